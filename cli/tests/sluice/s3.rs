//! The same commands over S3.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use shared::testing::Emulator;
use shared::{PutMode, Storage};

use crate::support::{Place, fixture};

#[test]
fn source_chunks_and_table_on_s3() {
    let emulator = Emulator::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        emulator.create_bucket("drops").await;
        emulator.create_bucket("lake").await;
        let config = emulator.sdk_config().await;
        let client =
            aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
        let body = std::fs::read(fixture("flights.csv")).unwrap();
        client.put_object().bucket("drops").key("in/my flights+é=1.csv").body(body.into()).send().await.unwrap();
    });
    let place = Place::with_env(emulator.env());
    let args = ["ingest", "s3://drops/in/my flights+é=1.csv", "--table", "s3://lake/flights", "--json"];
    let ran = place.run(&[&args[..], &["--chunk-size-mb", "1"]].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["rows"]["committed"], 27_004);
    let again = place.run(&args).json();
    assert_eq!((&again["already_done"], &again["chunks"]), (&true.into(), &report["chunks"]));
    let status = place.run(&["status", args[1], "--table", args[3], "--json"]).json();
    assert_eq!(status[0]["state"], "done");
    let jobs = place.run(&["jobs", "--table", args[3], "--json"]).json();
    let loads = jobs["jobs"].as_array().unwrap();
    assert_eq!((loads.len(), &loads[0]["source"], &loads[0]["rows"]), (1, &args[1].into(), &report["rows"]), "{jobs}");
    let tuned = place.run(&["tune", args[1], "--sizes", "1", "--chunk-size-mb", "1", "--json"]);
    let tuned = tuned.json()["sizes"][0].clone();
    assert_eq!((&tuned["chunks"], &tuned["basis"]), (&1.into(), &"measured".into()), "{tuned}");
    let missing = place.run(&["ingest", "s3://drops/no-such.csv", "--table", "s3://lake/flights"]);
    assert_eq!(missing.status, 3, "{missing:?}");
    assert!(missing.stderr.contains("s3://drops/no-such.csv does not exist"), "{missing:?}");
}

#[test]
fn a_replay_on_s3() {
    let emulator = Emulator::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for bucket in ["lake", "work"] {
            emulator.create_bucket(bucket).await;
        }
    });
    let place = Place::with_env(emulator.env());
    let source = place.write("x.csv", "id,n\n1,a\nx,b\ny,c\n");
    // Work areas at the top of a bucket.
    let to = ["--table", "s3://lake/t", "--work-dir", "s3://work", "--json"];
    let run = |args: &[&str]| {
        let ran = place.run(&[args, &to].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()
    };
    let first = run(&["ingest", source.to_str().unwrap(), "--schema", "id:int64"]);
    let job = first["job_id"].as_str().unwrap();
    let replay = ["quarantine", "replay", job, "--bad-records", "null"];
    let report = run(&replay);
    assert_eq!((&first["rows"]["committed"], &report["rows"]["committed"]), (&1.into(), &2.into()), "{report}");
    assert_eq!(run(&replay)["already_done"], true);
    let status = run(&["status", job]);
    assert_eq!(status[0]["replays"][0], report["job_id"], "{status}");
    let refused = place.run(&[&["undo", job][..], &to].concat());
    assert_eq!(refused.status, 3, "{refused:?}");
    run(&["undo", report["job_id"].as_str().unwrap()]);
    assert_eq!(run(&["undo", job])["removed"]["rows"], 1);
}

/// Passes connections on to a server, but answers the first request by itself, and refuses it.
fn refusing_once(to: &str) -> String {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the tests.
    std::thread::spawn(move || {
        let mut first = listener.accept().unwrap().0;
        let mut asked = vec![0; 1 << 16];
        assert!(first.read(&mut asked).unwrap() > 0);
        first.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        drop(first);
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut server = TcpStream::connect(&to).unwrap();
            let (mut client_too, mut server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut client, &mut server));
            std::thread::spawn(move || std::io::copy(&mut server_too, &mut client_too));
        }
    });
    endpoint
}

#[test]
fn a_source_that_cannot_be_looked_up_is_not_taken_for_a_new_one() {
    let emulator = Emulator::start();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        emulator.create_bucket("drops").await;
        let put = emulator.s3().await;
        put.put(&"s3://drops/x.csv".parse().unwrap(), "id\n1\n".into(), PutMode::Overwrite).await.unwrap();
    });
    let mut env = emulator.env();
    let place = Place::with_env(env.clone());
    let args = ["ingest", "s3://drops/x.csv", "--table", "t"];
    assert_eq!(place.run(&args).status, 0);
    for (name, value) in &mut env {
        if name == "AWS_ENDPOINT_URL" {
            *value = refusing_once(&emulator.endpoint());
        }
    }
    let ran = place.command(&[&args[..], &["--again"]].concat()).envs(env).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("could not look up s3://drops/x.csv"), "{ran:?}");
}
