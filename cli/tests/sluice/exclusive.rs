//! A server that ignores `If-None-Match` is refused before anything is written to a table.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use shared::testing::Emulator;
use shared::{PutMode, Storage};

use crate::support::Place;

const HEADER: &[u8] = b"if-none-match";

/// Passes requests on to a server, in which the header has another name: it is as if the server did not know it.
fn ignoring_proxy(to: &str) -> String {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the tests.
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&to).unwrap();
            let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(client, server, true));
            std::thread::spawn(move || pass(server_too, client_too, false));
        }
    });
    endpoint
}

fn pass(mut from: TcpStream, mut to: TcpStream, renames: bool) {
    let (mut buffer, mut held) = (vec![0; 1 << 16], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        held.extend_from_slice(&buffer[..length]);
        while let Some(at) = held.windows(HEADER.len()).position(|part| part.eq_ignore_ascii_case(HEADER)) {
            if !renames {
                break;
            }
            held[at..at + HEADER.len()].copy_from_slice(b"x-nobody-asks");
        }
        // A name may be cut in two; it is never the last thing that is sent.
        let is_whole = held.ends_with(b"\r\n\r\n") || held.len() < HEADER.len() || !renames;
        let cut = if is_whole || !has_start_of_header(&held) { held.len() } else { held.len() - HEADER.len() };
        if to.write_all(&held[..cut]).is_err() {
            return;
        }
        held.drain(..cut);
    }
    drop(to.shutdown(std::net::Shutdown::Write));
}

/// Whether the end could be the start of the header's name.
fn has_start_of_header(held: &[u8]) -> bool {
    (1..HEADER.len()).any(|length| held.to_ascii_lowercase().ends_with(&HEADER[..length]))
}

/// Keys of a bucket.
fn keys(emulator: &Emulator, bucket: &str) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listed = runtime.block_on(async { emulator.s3().await.list(&format!("s3://{bucket}").parse().unwrap()).await });
    listed.unwrap().into_iter().map(|listed| listed.location.key().to_owned()).collect()
}

fn place_at(emulator: &Emulator, endpoint: &str) -> Place {
    let mut env = emulator.env();
    for (name, value) in &mut env {
        if name == "AWS_ENDPOINT_URL" {
            endpoint.clone_into(value);
        }
    }
    let place = Place::with_env(env);
    place.write("x.csv", "id\n1\n2\n");
    place
}

#[test]
fn a_server_that_ignores_if_none_match() {
    let emulator = Emulator::start();
    tokio::runtime::Runtime::new().unwrap().block_on(emulator.create_bucket("lake"));
    let proxy = ignoring_proxy(&emulator.endpoint());
    let place = place_at(&emulator, &proxy);
    // Jobs and receipts lie there, or the table alone does.
    for more in [&[][..], &["--work-dir", "w"]] {
        let ran = place.run(&[&["ingest", "x.csv", "--table", "s3://lake/t"], more].concat());
        assert_eq!(ran.status, 1, "{ran:?}");
        for said in ["ignores If-None-Match", "hint: keep tables and work areas on S3, on a server that heeds"] {
            assert!(ran.stderr.contains(said), "{ran:?}");
        }
        assert_eq!(keys(&emulator, "lake"), Vec::<String>::new(), "{more:?}");
    }
    // With a server that heeds it the same goes, and is noted; the note says nothing of another server.
    let good = place_at(&emulator, &emulator.endpoint());
    let ran = good.run(&["ingest", "x.csv", "--table", "s3://lake/t", "--work-dir", "w"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let before = keys(&emulator, "lake");
    assert!(before.iter().any(|key| key == "t/_sluice/_store.json"), "{before:?}");
    assert!(!before.iter().any(|key| key.contains("_first-wins")), "{before:?}");
    place.write("y.csv", "id\n3\n");
    // As of a writer that rounds.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (s3, entry) = (emulator.s3().await, "s3://lake/t/_delta_log/00000000000000000001.json".parse().unwrap());
        let log = String::from_utf8(s3.get(&entry).await.unwrap().to_vec()).unwrap();
        let rounded = log.replace(r#"\"maxValues\":{\"id\":2}"#, r#"\"maxValues\":{\"id\":1}"#);
        assert_ne!(log, rounded);
        s3.put(&entry, rounded.into(), PutMode::Overwrite).await.unwrap();
    });
    for args in [
        &["maintain", "--table", "s3://lake/t", "--fix-statistics"][..],
        &["ingest", "y.csv", "--table", "s3://lake/t", "--work-dir", "w"],
        &["maintain", "--table", "s3://lake/t", "--compact", "across-jobs", "--compact-after", "0s"],
    ] {
        let ran = place.run(args);
        assert!(ran.status == 1 && ran.stderr.contains("ignores If-None-Match"), "{args:?} {ran:?}");
    }
    let log = |keys: Vec<String>| keys.into_iter().filter(|key| key.contains("_delta_log/")).collect::<Vec<_>>();
    assert_eq!(log(keys(&emulator, "lake")), log(before));
}
