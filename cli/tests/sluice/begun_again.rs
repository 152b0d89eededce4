//! A job of which nothing is in the table is begun again with other options, as the next generation: only one of the two is ever loaded.

use shared::testing::run_python;

use crate::resume::{assert_each_once, numbered};
use crate::shim::Shim;
use crate::support::Place;

const BAD: &[&str] = &["ingest", "x.csv", "--table", "t", "--schema", "id:int64"];

/// Ingests a file of which all is rejected.
fn rejected(place: &Place) -> String {
    place.write("x.csv", "id,a\nx1,p\nx2,q\n");
    let ran = place.run(BAD);
    assert_eq!(ran.status, 4, "{ran:?}");
    place.area().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn other_options_begin_the_next_generation() {
    let place = Place::new();
    let job = rejected(&place);
    let same = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert_eq!(same.status, 4, "without an option it is what it was: {same:?}");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--schema", "id:text", "--json"]);
    assert_eq!((ran.status, &ran.json()["rows"]["committed"]), (0, &2.into()), "{ran:?}");
    assert_eq!(ran.json()["job_id"], format!("{job}-g2"));
    assert!(ran.stderr.contains("it starts again with the options given now"), "{ran:?}");
    let again = place.ingest(&place.path("x.csv"), &[]);
    assert_eq!((&again["already_done"], &again["job_id"]), (&true.into(), &format!("{job}-g2").into()));
    let status = place.run(&["status", "x.csv", "--table", "t", "--verify"]);
    let replaced = format!("{job}: replaced by a later job\n");
    assert_eq!((status.status, status.stdout.contains(&replaced)), (0, true), "{status:?}");
    let shown = place.run(&["quarantine", "show", &job, "--table", "t"]);
    assert!(shown.stdout.contains("x1"), "what the first reading rejected is kept: {shown:?}");
}

#[test]
fn status_says_why_a_file_was_given_up() {
    let place = Place::new();
    let job = rejected(&place);
    let status = place.run(&["status", "x.csv", "--table", "t"]);
    assert!(status.stdout.contains(&format!("{job}: given up by the last run\n")), "{status:?}");
    let why = "  failed       [place]/x.csv: all 2 records were rejected; record 1, byte 5, column 'id': 'x1' is not an integer";
    assert!(status.stdout.contains(why), "{status:?}");
    let undo = place.run(&["undo", &job, "--table", "t"]);
    assert!(
        undo.stderr.contains("its last run failed, because of: [place]/x.csv: all 2 records were rejected"),
        "{undo:?}"
    );
    let ran = place.run(&[BAD, &["--max-bad-records", "100%"]].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    let status = place.run(&["status", "x.csv", "--table", "t"]);
    assert_eq!((status.stdout.contains(": done\n"), status.stdout.contains("failed")), (true, false), "{status:?}");
}

#[test]
fn options_that_cannot_be_used_change_nothing() {
    for (option, value, status) in [
        ("--sql", "select nosuch from chunk", 2),
        ("--schema", "nosuch:text,id:text", 3),
        ("--schema", "id:boolean", 4),
    ] {
        let place = Place::new();
        let job = rejected(&place);
        let ran = place.run(&["ingest", "x.csv", "--table", "t", option, value]);
        assert_eq!(ran.status, status, "{option}: {ran:?}");
        let shown = place.run(&["quarantine", "show", &job, "--table", "t"]);
        assert!(shown.status == 0 && shown.stdout.contains("x1"), "{option}: {shown:?}");
    }
}

#[test]
fn what_a_replay_brought_in_does_not_come_twice() {
    let place = Place::new();
    place.write("x.csv", "id,a\nx1,p\nx2,q\n");
    let job = place.run(&[BAD, &["--max-bad-records", "100%"]].concat());
    assert_eq!(job.status, 0, "{job:?}");
    let replay = place.run(&["quarantine", "replay", "x.csv", "--table", "t", "--schema", "id:text"]);
    assert_eq!(replay.status, 0, "{replay:?}");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--schema", "id:text"]);
    assert_eq!((ran.status, ran.stderr.contains("-replay")), (3, true), "{ran:?}");
    assert_eq!(place.rows().num_rows(), 2);
}

/// One process is suspended before it has something in the table; the other begins the next generation.
#[test]
fn of_two_processes_with_other_options_only_one_loads() {
    const RECORDS: u64 = 20_000;
    let first = ["ingest", "numbered.csv", "--table", "t", "--chunk-size-mb", "1", "--workers", "1"];
    let second = ["ingest", "numbered.csv", "--table", "t", "--chunk-size-mb", "1", "--bad-records", "null"];
    for at in [
        "job.json",
        "chunks/00000",
        "checkpoint.json",
        "manifest.json",
        "_delta_log/00000000000000000000",
        "_delta_log/00000000000000000001",
    ] {
        let place = Place::new();
        numbered(&place, RECORDS);
        std::fs::create_dir(place.path("t")).unwrap();
        let stopped = Shim::start_stopped(&place, &first, at);
        let other = place.run(&second);
        assert_eq!(other.status, 0, "{at}: {other:?}");
        assert_each_once(&place.path("t"), RECORDS);
        let late = stopped.go_on(&place);
        assert_each_once(&place.path("t"), RECORDS);
        assert!(late.status != 0 || at == "job.json", "{at}: {late:?}");
        let again = place.run(&["ingest", "numbered.csv", "--table", "t"]);
        assert_eq!((again.status, again.stdout.contains("already done")), (0, true), "{at}: {again:?}");
    }
}

/// The same with SQL and partitions, by which both jobs have other rows or other folders.
#[test]
fn of_two_processes_with_other_sql_or_partitions_only_one_loads() {
    const RECORDS: u64 = 20_000;
    const BY: &[&str] = &["--sql", "select *, id % 3 as part from chunk", "--partition-by", "part"];
    let cases: [(&[&str], &[&str]); 4] = [
        (&[], &["--sql", "select id, square, filler, 1 as one from chunk"]),
        (&["--sql", "select id, square from chunk"], &["--sql", "select id, filler from chunk"]),
        (BY, &["--sql", "select *, id % 5 as part from chunk"]),
        (&["--sql", "select *, id % 3 as part from chunk"], BY),
    ];
    for (first, second) in cases {
        for at in ["manifest.json", "_delta_log/00000000000000000000", "_delta_log/00000000000000000001"] {
            let place = Place::new();
            numbered(&place, RECORDS);
            std::fs::create_dir(place.path("t")).unwrap();
            let options = ["ingest", "numbered.csv", "--table", "t", "--chunk-size-mb", "1", "--workers", "1"];
            let stopped = Shim::start_stopped(&place, &[&options[..], first].concat(), at);
            let other = place.run(&[&options[..], second].concat());
            assert_eq!(other.status, 0, "{first:?} {second:?} {at}: {other:?}");
            let late = stopped.go_on(&place);
            assert_ne!(late.status, 0, "{first:?} {second:?} {at}: {late:?}");
            assert_each_once(&place.path("t"), RECORDS);
            let again = place.run(&["ingest", "numbered.csv", "--table", "t"]);
            assert_eq!((again.status, again.stdout.contains("already done")), (0, true), "{at}: {again:?}");
            let verified = place.run(&["status", "numbered.csv", "--table", "t", "--verify"]);
            assert_eq!(verified.status, 0, "{first:?} {second:?} {at}: {verified:?}");
        }
    }
}

/// A file whose records were all rejected, begun again with SQL and with partitions.
#[test]
fn other_sql_and_partitions_begin_the_next_generation() {
    const SQL: &str = "select upper(id) as id, a from chunk";
    for (first, second, rows) in [
        (&["--sql", "select id, a from chunk"][..], &["--sql", SQL][..], "X1|p X2|q"),
        (&["--partition-by", "a"], &["--sql", SQL, "--partition-by", "a"], "X1|p X2|q"),
        (&["--partition-by", "a"], &["--partition-by", "id"], "x1|p x2|q"),
    ] {
        let place = Place::new();
        place.write("x.csv", "id,a\nx1,p\nx2,q\n");
        let ran = place.run(&[BAD, first].concat());
        assert_eq!(ran.status, 4, "{first:?}: {ran:?}");
        let ran = place.run(&[&["ingest", "x.csv", "--table", "t", "--schema", "id:text"], second].concat());
        assert_eq!((ran.status, ran.stderr.contains("it starts again")), (0, true), "{second:?}: {ran:?}");
        let python = "import deltalake\nrows = deltalake.DeltaTable('t').to_pyarrow_table().to_pylist()\nprint(' '.join(sorted('|'.join([row['id'], row['a']]) for row in rows)))";
        assert_eq!(run_python(&place.path(""), python).trim(), rows, "{first:?} {second:?}");
        let status = place.run(&["status", "x.csv", "--table", "t", "--verify"]);
        assert_eq!(status.status, 0, "{status:?}");
    }
}

/// The other way round: the first process is quicker than the one that was begun in its place.
#[test]
fn a_job_that_was_loaded_after_all_keeps_the_one_in_its_place_out() {
    const RECORDS: u64 = 20_000;
    let place = Place::new();
    numbered(&place, RECORDS);
    std::fs::create_dir(place.path("t")).unwrap();
    let options = ["--table", "t", "--chunk-size-mb", "1", "--workers", "1"];
    let first = [&["ingest", "numbered.csv"], &options[..]].concat();
    let stopped = Shim::start_stopped(&place, &first, "_delta_log/00000000000000000000");
    let second = [&first[..], &["--bad-records", "null"]].concat();
    let newer = Shim::start_stopped(&place, &second, "_delta_log/00000000000000000000");
    let ran = stopped.go_on(&place);
    assert_eq!(ran.status, 0, "{ran:?}");
    let late = newer.go_on(&place);
    assert_eq!((late.status, late.stderr.contains("in place of which")), (1, true), "{late:?}");
    assert_each_once(&place.path("t"), RECORDS);
}

/// What a process has open is another file each time, so none takes the place of another.
#[test]
fn standard_input_is_no_link() {
    for source in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let place = Place::new();
        for (name, rows) in [("a.csv", 1), ("b.csv", 2)] {
            let file = std::fs::File::open(place.write(name, format!("id\n{rows}\n"))).unwrap();
            let mut command = place.command(&["ingest", source, "--table", "t", "--on-replace", "replace"]);
            let ran = place.ended(command.stdin(file).output().unwrap());
            assert_eq!(ran.status, 0, "{source}: {ran:?}");
            assert_eq!(place.rows().num_rows(), rows, "{source}");
        }
    }
}
