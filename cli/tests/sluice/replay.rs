//! `sluice quarantine replay`: rejected records that are loaded after all.

use serde_json::Value;

use crate::resume::{assert_each_once, end_command_when, numbered};
use crate::support::{Place, Ran, read};

/// `sluice quarantine replay JOB --table t` and more.
fn replay(place: &Place, job: &str, more: &[&str]) -> Ran {
    place.run(&[&["quarantine", "replay", job, "--table", "t"], more].concat())
}

/// The same with `--json`, which must succeed.
fn replayed(place: &Place, job: &str, more: &[&str]) -> Value {
    let ran = replay(place, job, &[&["--json"], more].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.json()
}

/// Loads a file; gives its job.
fn ingest(place: &Place, text: &[u8], more: &[&str]) -> (String, Value) {
    let report = place.ingest(&place.write("x.csv", text), more);
    (report["job_id"].as_str().unwrap().to_owned(), report)
}

/// The rows of the table, each as text, sorted.
fn rows(place: &Place) -> Vec<String> {
    let mut rows = Vec::new();
    for file in place.files() {
        let batch = read(&file);
        let options = arrow::util::display::FormatOptions::default();
        for row in 0..batch.num_rows() {
            let value = |column| {
                let formatter = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
                formatter.value(row).to_string()
            };
            rows.push(batch.columns().iter().map(|column| value(column.as_ref())).collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    rows
}

/// Text, options of `ingest` and `replay`; records that the two commit, that are rejected again, and left out; the rows there are.
type Case<'a> = (&'a str, &'a [u8], &'a [&'a str], &'a [&'a str], [u64; 4], &'a [&'a str]);

const INT: &[&str] = &["--schema", "id:int64"];
const NULL: &[&str] = &["--bad-records", "null"];
const QUOTE_NONE: &[&str] = &["--csv-quote", "none"];
const AS_RECORD_SEPARATED: &[&str] = &["--schema", "id:int64", "--csv-terminator", "0x1e"];
const SHIFT_JIS: &[&str] = &["--encoding", "shift_jis", "--schema", "id:int64"];
const CAST: &str = "select cast(replace(id, 'x', '') as bigint) as id, n from chunk";
const FILTERED: &[&str] = &["--schema", "id:int64", "--sql", "select id, n from chunk where id < 5"];
const DATES: &[&str] = &["--schema", "d:date"];
const POINT: &[&str] = &["--schema", "p:decimal(5,2)", "--csv-decimal", "."];

#[rustfmt::skip]
const CASES: &[Case<'_>] = &[
    ("type", b"id,n\n1,a\nx,b\n3,c\n", INT, &["--schema", "id:text"], [2, 0, 1, 0], &["1|a", "3|c"]),
    ("nothing to replay", b"id,n\n1,a\n007,b\n", &["--infer", "none"], INT, [2, 0, 0, 0], &["007|b", "1|a"]),
    ("null", b"id,n\n1,a\nx,b\n", INT, NULL, [1, 1, 0, 0], &["1|a", "|b"]),
    ("null words", b"id,n\n1,a\nx,b\n", INT, &["--null-words", "x"], [1, 1, 0, 0], &["1|a", "|b"]),
    ("SQL", b"id,n\n1,a\n2x,b\n", INT, &["--schema", "id:text", "--sql", CAST], [1, 1, 0, 0], &["1|a", "2|b"]),
    ("no SQL", b"id,n\n1,a\nx,b\n", FILTERED, &["--bad-records", "null", "--sql", ""], [1, 1, 0, 0], &["1|a", "|b"]),
    ("SQL as before", b"id,n\n1,a\nx,b\n", FILTERED, NULL, [1, 0, 0, 0], &["1|a"]),
    ("width", b"id,n\n1,a\n2;b\n3\n", INT, &["--csv-delimiter", ";"], [1, 1, 1, 0], &["1|a", "2|b"]),
    ("loose quote", b"id,n\n1,a\n2,\"b\"c\n", &[], QUOTE_NONE, [1, 1, 0, 0], &["1|a", "2|\"b\"c"]),
    ("torn", b"id,n\n1,a\nx,b\n3,\"c\n4,d\n", INT, NULL, [2, 1, 0, 1], &["1|a", "4|d", "|b"]),
    ("torn no more", b"id,n\n1,a\n3,\"c\n4,d\n", &[], QUOTE_NONE, [2, 1, 0, 0], &["1|a", "3|\"c", "4|d"]),
    ("dates", b"d,n\n2020-01-31,a\n31.01.2020,b\n", DATES, &["--schema", "d:date(DD.MM.YYYY)"], [1, 1, 0, 0], &["2020-01-31|a", "2020-01-31|b"]),
    ("decimal comma", b"p;n\n1.5;a\n\"2,5\";b\n", POINT, &["--csv-decimal", ","], [1, 1, 0, 0], &["1.50|a", "2.50|b"]),
    ("lines in quotes", b"id,n\n1,a\nx,\"b\nb\"\n", INT, NULL, [1, 1, 0, 0], &["1|a", "|b\nb"]),
    ("terminator", b"id,n\x1e1,a\x1ex,b\nb\x1e", AS_RECORD_SEPARATED, NULL, [1, 1, 0, 0], &["1|a", "|b\nb"]),
    ("not UTF-8", b"id,n\n1,a\n2,\xff\n", &["--encoding", "utf-8"], &[], [1, 0, 1, 0], &["1|a"]),
    ("undecodable", b"id,n\n1,\x93\xfa\n2,\x81\nx,\x96\x7b\n", SHIFT_JIS, NULL, [1, 1, 0, 1], &["1|日", "|本"]),
    ("NDJSON", b"{\"id\":1,\"n\":\"a\"}\n{\"id\":\"x\",\"n\":\"b\"}\n{oops\n", INT, NULL, [1, 1, 1, 0], &["1|a", "|b"]),
];

#[test]
fn every_record_comes_in_once() {
    for (name, text, of_ingest, of_replay, [before, by_replay, again, left_out], expected) in CASES {
        let place = Place::new();
        let (job, first) = ingest(&place, text, of_ingest);
        assert_eq!(first["rows"]["committed"], *before, "{name}: {first}");
        let report = replayed(&place, &job, of_replay);
        let left: u64 = report["left_out"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        let rejected = first["rows"]["quarantined"].as_u64().unwrap();
        assert_eq!((report["records"].as_u64().unwrap() + left, left), (rejected, *left_out), "{name}");
        if report["records"] != 0 {
            let rows = &report["rows"];
            assert_eq!((&rows["committed"], &rows["quarantined"]), (&(*by_replay).into(), &(*again).into()), "{name}");
        }
        assert_eq!(rows(&place), *expected, "{name}");
        let repeated = replayed(&place, &job, of_replay);
        assert_eq!(repeated["already_done"].as_bool(), (report["records"] != 0).then_some(true), "{name}");
        assert_eq!(rows(&place), *expected, "{name}: twice");
    }
}

/// A file with three records that are not numbers, and one that has a field too many.
const FILE: &[u8] = b"id,n\n1,a\nx,b\n2,c,d\ny,e\nz,f\n";

#[test]
fn what_it_says() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    let said = |ran: &Ran| ran.stdout.replace(&job, "[job]");
    let dry = replay(&place, &job, &["--dry-run", "--schema", "id:boolean"]);
    insta::assert_snapshot!(said(&dry), @r#"
    [job]: 4 records would be replayed, nothing was changed
      taken        1
      rejected     3
      first        record 1, byte 0, column 'id': 'x' is neither true nor false
      not tried    SQL, the types of the table, and what becomes of records that are rejected again
    "#);
    assert_eq!(rows(&place), ["1|a"]);
    let ran = replay(&place, &job, NULL);
    assert_eq!(ran.status, 0, "{ran:?}");
    let text: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains(" MiB")).collect();
    insta::assert_snapshot!(text.join("\n").replace(&job, "[job]"), @r#"
    [job]-replay: done
      source       [place]/t/_sluice/[job]/quarantine
      table        [place]/t (version 2)
      read         4
      committed    3
      filtered     0
      quarantined  1
      rejected records are in [place]/t/_sluice/[job]-replay/quarantine
      replayed     what [job] rejected
    "#);
    let again = replay(&place, &job, NULL);
    assert!(again.stdout.starts_with(&format!("{job}-replay: already done, nothing was added\n")), "{again:?}");
    let mut json = replayed(&place, &job, &["--dry-run"]);
    json["replay_of"] = "[job]".into();
    insta::assert_snapshot!(json, @r#"{"dry_run":{"first_rejected":"record 1, byte 0, column 'id': 'x' is not an integer of 64 bits","rejected":4,"taken":0},"left_out":{"load":0,"torn":0,"undecodable":0},"records":4,"replay_of":"[job]"}"#);
    let status = place.run(&["status", &job, "--table", "t"]);
    insta::assert_snapshot!(said(&status), @r#"
    [job]: done
      source       [place]/x.csv
      table        [place]/t
      work area    [place]/t/_sluice/[job]
      chunks       1 split, 1 committed
      read         5
      committed    1
      filtered     0
      quarantined  4
      replays      [job]-replay
    "#);
    let by_source = replay(&place, "x.csv", &["--dry-run"]);
    assert_eq!(said(&by_source), said(&replay(&place, &job, &["--dry-run"])));
}

#[test]
fn nothing_to_replay() {
    let place = Place::new();
    let (job, _) = ingest(&place, b"id\n1\n", &[]);
    let ran = replay(&place, &job, &[]);
    assert_eq!((ran.status, ran.stdout), (0, format!("{job}: nothing to replay\n")));
    assert!(!place.path(&format!("t/_sluice/{job}-replay")).exists());
}

#[test]
fn in_another_way_only_once_the_first_is_undone() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    replayed(&place, &job, NULL);
    let healed = ["1|a", "|b", "|e", "|f"];
    assert_eq!(rows(&place), healed);
    let refused = replay(&place, &job, &["--csv-delimiter", ";"]);
    assert_eq!((refused.status, refused.stderr.contains("was replayed in another way")), (3, true), "{refused:?}");
    assert_eq!(rows(&place), healed);
    let of_job = place.run(&["undo", &job, "--table", "t"]);
    assert_eq!((of_job.status, of_job.stderr.contains(&format!("by {job}-replay;"))), (3, true), "{of_job:?}");
    assert_eq!(place.run(&["undo", &format!("{job}-replay"), "--table", "t"]).status, 0);
    assert_eq!(rows(&place), ["1|a"]);
    let other = ["--sql", "select n as id, n from chunk where n = 'b'", "--schema", "id:text"];
    let second = replayed(&place, &job, &[&other[..], NULL].concat());
    assert_eq!(second["job_id"], format!("{job}-replay-g2"));
    assert_eq!(rows(&place), ["1|a", "|b"]);
    // The way that was undone stays so, as long as there is another.
    assert_eq!(replay(&place, &job, NULL).status, 3);
    assert_eq!(replayed(&place, &job, &[&other[..], NULL].concat())["already_done"], true);
    assert_eq!(rows(&place), ["1|a", "|b"]);
}

#[test]
fn what_brought_nothing_in_stands_in_nobodys_way() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    let failed = replay(&place, &job, &["--bad-records", "null", "--sql", "select nosuch from chunk"]);
    assert_eq!((failed.status, failed.stderr.contains("nosuch")), (1, true), "{failed:?}");
    let again = replayed(&place, &job, &["--schema", "id:boolean"]);
    assert_eq!((&again["rows"]["committed"], &again["rows"]["quarantined"]), (&1.into(), &3.into()), "{again}");
}

#[test]
fn what_is_rejected_again_is_replayed_in_turn() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    let first = replayed(&place, &job, NULL);
    assert_eq!(first["rows"]["quarantined"], 1);
    let shown = place.run(&["quarantine", "show", &format!("{job}-replay"), "--table", "t"]);
    assert!(shown.stdout.contains("record 2, byte 4: 2,c,d"), "{shown:?}");
    let second = replayed(&place, &format!("{job}-replay"), &["--csv-delimiter", ";", "--schema", "id:text"]);
    assert_eq!((&second["records"], &second["rows"]["quarantined"]), (&1.into(), &1.into()), "{second}");
    assert_eq!(second["job_id"], format!("{job}-replay-replay"));
}

#[test]
fn a_later_drop_takes_the_place_of_replays_too() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    replayed(&place, &job, NULL);
    place.write("x.csv", "id,n\n7,g\n");
    place.ingest(&place.path("x.csv"), &["--on-replace", "replace"]);
    assert_eq!(rows(&place), ["7|g"]);
    let refused = replay(&place, &job, NULL);
    assert_eq!((refused.status, refused.stderr.contains("undone or replaced")), (3, true), "{refused:?}");
    let status = place.run(&["status", &format!("{job}-replay"), "--table", "t", "--json"]).json();
    assert_eq!(status[0]["state"], "undone", "{status}");
}

#[test]
fn what_is_refused() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    for (args, status, said) in [
        (&["--schema", "no:int64"][..], 3, "SCHEMA has a column 'no', the source has id, n"),
        (&["--csv-delimiter", "\""], 3, "a character would have two meanings"),
        (&["--bad-records", "widen"], 2, "[possible values: quarantine, fail, null]"),
        (&["--bad-records", "fail"], 3, "record 1, byte 0, column 'id': 'x' is not an integer of 64 bits"),
        (&["--max-bad-records", "1"], 4, "4 of the first 4 records were rejected"),
    ] {
        let ran = replay(&place, &job, args);
        assert_eq!((ran.status, ran.stderr.contains(said)), (status, true), "{args:?}: {ran:?}");
    }
    assert_eq!(rows(&place), ["1|a"]);
    assert_eq!(replay(&place, "no-such", &[]).status, 3);
    std::fs::remove_file(place.path(&format!("t/_sluice/{job}/manifest.json"))).unwrap();
    let unfinished = replay(&place, &job, NULL);
    assert_eq!((unfinished.status, unfinished.stderr.contains("not split to its end")), (1, true), "{unfinished:?}");
    let alone = place.run(&["split", "x.csv", "--out", "chunks", "--schema", "id:int64", "--json"]).json();
    let alone =
        place.run(&["quarantine", "replay", alone["chunk"]["job_id"].as_str().unwrap(), "--work-dir", "chunks"]);
    assert_eq!((alone.status, alone.stderr.contains("bound for no table")), (3, true), "{alone:?}");
}

#[test]
fn a_killed_replay_is_gone_on_with() {
    for file in ["job.json", "chunks/00000.parquet", "manifest.json", "prepared/00000.json", "loaded/00000.json"] {
        let place = Place::new();
        let source = numbered(&place, 20_000);
        // Half of the squares are too long.
        let as_number = "select id, cast(square as bigint) as square, filler from chunk";
        let of_ingest = ["--schema", "square:decimal(8,0)", "--chunk-size-mb", "1", "--sql", as_number];
        let first = place.ingest(&source, &of_ingest);
        let job = first["job_id"].as_str().unwrap();
        let args = ["quarantine", "replay", job, "--table", "t", "--schema", "square:int64"];
        end_command_when(&place, &args, "-replay", file, "-KILL");
        let report = replayed(&place, job, &args[5..]);
        let committed = |report: &Value| report["rows"]["committed"].as_u64().unwrap();
        assert_eq!(committed(&first) + committed(&report), 20_000, "killed at {file}: {report}");
        assert_each_once(&place.path("t"), 20_000);
        assert_eq!(replayed(&place, job, &args[5..])["already_done"], true);
    }
}

#[test]
fn what_is_lost_of_a_replay_is_made_again_and_nothing_comes_twice() {
    let lost: [&[&str]; 4] =
        [&["receipt.json"], &["receipt.json", "loaded"], &["receipt.json", "loaded", "prepared"], &["."]];
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    let healed = ["1|a", "|b", "|e", "|f"];
    let first = replayed(&place, &job, NULL);
    for lost in lost {
        for name in lost {
            let path = place.path(&format!("t/_sluice/{job}-replay/{name}"));
            drop(std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path)));
        }
        let again = replayed(&place, &job, NULL);
        assert_eq!((&again["rows"], &again["job_id"]), (&first["rows"], &first["job_id"]), "without {lost:?}");
        assert_eq!(rows(&place), healed, "without {lost:?}");
    }
}

#[test]
fn at_once_in_one_way_or_in_several() {
    let ways: [&[&str]; 2] = [&["--bad-records", "null"], &["--bad-records", "null", "--null-words", "e"]];
    for ways in [[ways[0]; 4], [ways[0], ways[1], ways[0], ways[1]]] {
        let place = Place::new();
        let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
        let args = ways.map(|way| [&["quarantine", "replay", &job, "--table", "t"], way].concat());
        let children = args.map(|args| place.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap());
        let done = children.map(|mut child| child.wait().unwrap().success());
        // In another way than the first it may be refused, or lose against those that began later.
        assert!(ways[0] != ways[1] || done == [true; 4], "{done:?}");
        let found = rows(&place);
        assert!(found == ["1|a", "|b", "|e", "|f"] || found == ["1|a", "|", "|b", "|f"], "{found:?}");
    }
}

#[test]
fn what_is_in_the_table_in_another_cut_is_not_replayed() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    std::fs::remove_dir_all(place.path(&format!("t/_sluice/{job}"))).unwrap();
    let other = place.run(&["ingest", "x.csv", "--table", "t", "--schema", "id:int64", "--null-words", "none"]);
    assert_eq!(other.status, 1, "the table has the job as it was read first: {other:?}");
    let ran = replay(&place, &job, NULL);
    assert_eq!((ran.status, ran.stderr.contains("as it was read from another work area")), (3, true), "{ran:?}");
    assert_eq!(rows(&place), ["1|a"]);
}

#[test]
fn what_a_replay_of_an_undone_job_rejected_is_not_replayed() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    let again = replayed(&place, &job, &["--schema", "id:int64"]);
    assert_eq!(again["rows"]["committed"], 0, "{again}");
    let undone = place.run(&["undo", &job, "--table", "t"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    let ran = replay(&place, &format!("{job}-replay"), NULL);
    assert_eq!((ran.status, ran.stderr.contains("was undone or replaced")), (3, true), "{ran:?}");
    assert_eq!(rows(&place), [""; 0]);
}

#[test]
fn a_table_that_was_moved_gets_what_is_replayed_and_its_old_place_nothing() {
    let place = Place::new();
    let (job, _) = ingest(&place, FILE, &["--schema", "id:int64"]);
    std::fs::rename(place.path("t"), place.path("moved")).unwrap();
    let ran = place.run(&[&["quarantine", "replay", &job, "--table", "moved"], NULL].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(!place.path("t").exists());
    place.write("y.csv", "id\n1\n");
    place.run(&["ingest", "y.csv", "--table", "other"]);
    let args = ["quarantine", "replay", &job, "--table", "other", "--work-dir", "moved/_sluice"];
    let ran = place.run(&[&args, NULL].concat());
    assert_eq!((ran.status, ran.stderr.contains("belongs to table")), (3, true), "{ran:?}");
}
