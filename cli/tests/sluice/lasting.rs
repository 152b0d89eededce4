//! What time does not fix ends in seconds, with one cause and one hint.

use std::time::{Duration, Instant};

use shared::testing::{Emulator, run_python};

use crate::shim::Shim;
use crate::support::{Place, Ran};

/// Runs, and sees that it ends in this time with status 1 and one error and one hint.
fn ends_within(seconds: u64, run: impl FnOnce() -> Ran) -> Ran {
    let begun = Instant::now();
    let ran = run();
    assert!(begun.elapsed() < Duration::from_secs(seconds), "{:?}: {ran:?}", begun.elapsed());
    assert_eq!(ran.status, 1, "{ran:?}");
    let count = |start: &str| ran.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("error: "), count("hint: ")), (1, 1), "{ran:?}");
    assert!(ran.stderr.lines().all(|line| !line.starts_with("error: ") || !line.contains("hint: ")), "{ran:?}");
    assert!(!ran.stderr.contains("buoyant_kernel::"), "{ran:?}");
    ran
}

#[test]
fn a_log_that_cannot_be_written_to() {
    // Numbers of Linux: no access, not permitted, read-only, no space, quota.
    for (errno, seconds, said, hint) in [
        (13, 40, "Permission denied", "allowed to list, read, write and delete"),
        (1, 40, "Operation not permitted", "allowed to list, read, write and delete"),
        (30, 20, "Read-only file system", "mounted read-only"),
        (28, 90, "No space left on device", "make room there"),
        (122, 90, "quota exceeded", "make room there"),
    ] {
        for at in ["t/_delta_log/00000000000000000000.json", "t/_delta_log/00000000000000000001.json"] {
            let place = Place::new();
            let source = place.write("x.csv", "id\n1\n2\n");
            let args = ["ingest", source.to_str().unwrap(), "--table", "t"];
            let ran = ends_within(seconds, || Shim::run_failing(&place, &args, at, errno));
            assert!(ran.stderr.contains(said) && ran.stderr.contains(hint), "{errno} {ran:?}");
            // Once it can be written to, the same command goes on.
            place.ingest(&source, &[]);
            assert_eq!(place.rows().num_rows(), 2);
        }
    }
}

#[test]
fn data_files_that_cannot_be_written() {
    for more in [&["--sql", "select id + 0 as id from chunk"][..], &[]] {
        let place = Place::new();
        let source = place.write("x.csv", "id\n1\n2\n");
        let args = [&["ingest", source.to_str().unwrap(), "--table", "t", "--work-dir", "w"], more].concat();
        // Links, by which chunks are taken over, and the copies that come in their place.
        let ran = ends_within(90, || Shim::run_failing(&place, &args, "t/part-", 28));
        assert!(ran.stderr.contains("No space left on device"), "{ran:?}");
    }
}

#[test]
fn a_log_that_is_no_folder() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    std::fs::create_dir(place.path("t")).unwrap();
    place.write("t/_delta_log", "a file");
    let begun = Instant::now();
    let ran = place.run(&["ingest", source.to_str().unwrap(), "--table", "t"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(ran.status, 1, "{ran:?}");
}

#[test]
fn columns_that_no_table_can_have() {
    let place = Place::new();
    let script = "import sys, pyarrow as pa, pyarrow.parquet as pq
t, v = pa.int64(), 1
for i in range(60): t, v = pa.struct([('f', t)]), {'f': v}
pq.write_table(pa.table({'x': pa.array([v], t)}), 'deep.parquet')";
    run_python(&place.path(""), script);
    let begun = Instant::now();
    let ran = place.run(&["ingest", "deep.parquet", "--table", "t"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{ran:?}");
    assert_eq!((ran.status, ran.stderr.lines().count()), (3, 2), "{ran:?}");
    assert!(ran.stderr.contains("column 'x': ") && ran.stderr.contains("too deeply nested"), "{ran:?}");
    assert!(!place.path("t/_delta_log").exists(), "{ran:?}");
}

#[test]
fn a_bucket_that_is_not_there() {
    let emulator = Emulator::start();
    let place = Place::with_env(emulator.env());
    place.write("x.csv", "id\n1\n2\n");
    let begun = Instant::now();
    for more in [&[][..], &["--work-dir", "w"]] {
        let ran = place.run(&[&["ingest", "x.csv", "--table", "s3://no-such-bucket/t"], more].concat());
        assert_eq!(ran.status, 1, "{ran:?}");
        assert!(ran.stderr.contains("no-such-bucket"), "{ran:?}");
    }
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
}

#[test]
fn a_store_that_does_not_answer_is_told_of_at_once() {
    let env = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let place = Place::with_env(env.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    place.write("x.csv", "id\n1\n2\n");
    let begun = Instant::now();
    let ran = place.run(&["ingest", "x.csv", "--table", "s3://lake/t", "--work-dir", "w"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(ran.status == 1 && ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
}
