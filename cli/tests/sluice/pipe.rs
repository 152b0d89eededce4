//! Sources that come through a pipe.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shim::{Fault, Shim};
use crate::support::{Place, Ran, account, fixture};

/// `sluice ingest - --table t` with these bytes on its standard input, and more arguments.
fn piped(place: &Place, bytes: &[u8], more: &[&str]) -> Ran {
    let mut command = place.command(&[&["ingest", "-", "--table", "t"], more].concat());
    run_with(place, &mut command, bytes)
}

fn run_with(place: &Place, command: &mut Command, bytes: &[u8]) -> Ran {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have refused by then.
    drop(child.stdin.take().unwrap().write_all(bytes));
    place.ended(child.wait_with_output().unwrap())
}

/// The same through a FIFO.
fn through_fifo(place: &Place, bytes: &[u8]) -> Ran {
    let fifo = place.path("fifo.csv");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let bytes = bytes.to_vec();
    let at = fifo.clone();
    let writer = std::thread::spawn(move || std::fs::write(at, bytes).unwrap());
    let ran = place.run(&["ingest", "fifo.csv", "--table", "t", "--json"]);
    writer.join().unwrap();
    std::fs::remove_file(fifo).unwrap();
    ran
}

fn kept(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path("t/_sluice/_spool")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn done(ran: &Ran) -> (bool, u64) {
    assert_eq!(ran.status, 0, "{ran:?}");
    let report: Value = ran.json();
    (report["already_done"] == true, report["rows"]["committed"].as_u64().unwrap())
}

#[test]
fn the_same_bytes_are_the_same_job_whichever_pipe_they_come_through() {
    let place = Place::new();
    let csv = b"id,a\n1,x\n2,y\n";
    assert_eq!(done(&piped(&place, csv, &["--json"])), (false, 2));
    assert_eq!(kept(&place), Vec::<PathBuf>::new(), "what is done is not kept");
    assert_eq!(done(&piped(&place, csv, &["--json"])), (true, 2));
    assert_eq!(done(&through_fifo(&place, csv)), (true, 2));
    assert_eq!(done(&through_fifo(&place, b"id,a\n3,z\n")), (false, 1));
    assert_eq!(done(&piped(&place, csv, &["--json", "--again"])), (false, 2));
    assert_eq!(place.rows().num_rows(), 5);
    let other = Place::new();
    let parquet = std::fs::read(fixture("flights.parquet")).unwrap();
    let (_, rows) = done(&piped(&other, &parquet, &["--json"]));
    assert_eq!(done(&piped(&other, &parquet, &["--json"])), (true, rows), "its content is not compared, its name is");
}

#[test]
fn a_pipe_without_bytes_has_no_records() {
    let place = Place::new();
    let ran = piped(&place, b"", &[]);
    assert_eq!((ran.status, ran.stdout.contains("the source has no records, nothing was added")), (0, true), "{ran:?}");
    assert!(!place.path("t/_delta_log").exists());
    assert_eq!(kept(&place), Vec::<PathBuf>::new());
}

#[test]
fn an_interrupted_job_goes_on_with_what_is_kept() {
    let place = Place::new();
    let csv = b"id,a\n1,x\n2,y\n";
    std::fs::create_dir(place.path("t")).unwrap();
    let mut killed = place.command(&["ingest", "-", "--table", "t"]);
    let shim = Shim::below(&place.path("t")).matching("_delta_log/00000000000000000001.json").at(1, Fault::Kill);
    assert_eq!(run_with(&place, shim.on(&mut killed), csv).status, -1);
    let [spooled] = kept(&place).try_into().unwrap();
    let ran = place.run(&["ingest", spooled.to_str().unwrap(), "--table", "t", "--json"]);
    assert_eq!(done(&ran), (false, 2));
    assert_eq!(done(&piped(&place, csv, &["--json"])), (true, 2));
    assert_eq!(place.rows().num_rows(), 2);
}

#[test]
fn what_cannot_be_read_is_kept_to_be_read_in_another_way() {
    let place = Place::new();
    let ran = piped(&place, b"id,a\n1,x\n2,\"y\n", &["--bad-records", "fail"]);
    let kept_at = "what came through the pipe is kept: `sluice ingest [place]/t/_sluice/_spool/piped-";
    assert_eq!((ran.status, ran.stderr.contains(kept_at)), (3, true), "{ran:?}");
    let [file] = kept(&place).try_into().unwrap();
    let ran = place.run(&["ingest", file.to_str().unwrap(), "--table", "t", "--bad-records", "quarantine", "--json"]);
    assert_eq!(done(&ran), (false, 1));
}

#[test]
fn a_full_disk_is_told_and_keeps_nothing() {
    let place = Place::new();
    let spool = place.path("t/_sluice/_spool");
    std::fs::create_dir_all(&spool).unwrap();
    for at in ["create", "write", "fsync", "link"] {
        let mut command = place.command(&["ingest", "-", "--table", "t"]);
        let shim = Shim::below(&spool).matching(&format!("{at} ")).at(1, Fault::Fail(28));
        let ran = run_with(&place, shim.on(&mut command), &vec![b'x'; 3 << 20]);
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{at} {ran:?}");
        let said = "error: cannot keep what comes through the pipe in [place]/t/_sluice/_spool: No space left on device (os error 28)\n\
                    hint: it needs room for the whole source";
        assert!(ran.stderr.starts_with(said), "{at} {ran:?}");
        assert_eq!(kept(&place), Vec::<PathBuf>::new(), "{at}");
    }
}

#[test]
fn a_silent_pipe_can_be_left() {
    let place = Place::new();
    let mut command = place.command(&["ingest", "-", "--table", "t"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"id\n1\n").unwrap();
    let begun = Instant::now();
    while kept(&place).is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ran = place.ended(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ran.status, 130, "{ran:?}");
    assert!(ran.stderr.contains("error: stopped on request before the pipe was at its end"), "{ran:?}");
    assert_eq!(kept(&place), Vec::<PathBuf>::new(), "nothing half-written is left");
}

#[test]
fn pipes_that_cannot_be_taken() {
    let place = Place::with_env(account());
    let csv = b"id\n1\n";
    for (more, status, said) in [
        (&["--on-replace", "replace"][..], 2, "has no name by which it could take the place of earlier drops"),
        (
            &["--work-dir", "s3://b/work"],
            2,
            "is kept in the work area first, and s3://b/work is not a local folder\nhint: set --work-dir DIR",
        ),
    ] {
        let ran = piped(&place, csv, more);
        assert_eq!((ran.status, ran.stderr.contains(said)), (status, true), "{ran:?}");
    }
    for command in [&["plan", "-"][..], &["split", "-", "--out", "out"]] {
        let ran = run_with(&place, &mut place.command(command), csv);
        let said = "it is a pipe or a device\nhint: name one file: `sluice ingest` alone takes directories, and what comes through a pipe";
        assert_eq!((ran.status, ran.stderr.contains(said)), (3, true), "{ran:?}");
    }
    assert!(!place.path("t").exists());
}

#[test]
fn a_redirected_file_is_read_as_what_it_is() {
    let place = Place::new();
    let file = place.write("x.csv", "id\n1\n2\n");
    let mut command = place.command(&["ingest", "-", "--table", "t", "--json"]);
    let ran = command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert_eq!(done(&place.ended(ran)), (false, 2));
    assert_eq!(place.ingest(&file, &[])["already_done"], true);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    for args in [
        &["ingest", "x.csv", "--table", "t"][..],
        &["plan", "x.csv"],
        &["settings"],
        &["status", "x.csv", "--table", "t"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = place.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((ran.status.code(), String::from_utf8(ran.stderr).unwrap().as_str()), (Some(0), ""), "{args:?}");
    }
}
