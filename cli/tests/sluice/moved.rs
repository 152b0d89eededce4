//! Tables that were moved or copied.

use std::path::Path;
use std::process::Command;

use shared::testing::run_python;

use crate::others::{count, killed_after};
use crate::resume::numbered;
use crate::support::Place;

fn copy(place: &Place, from: &str, to: &str) {
    let copied = Command::new("cp").arg("-a").args([place.path(from), place.path(to)]).status().unwrap();
    assert!(copied.success());
}

fn log(table: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(table.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_table_that_was_moved_or_copied_knows_its_jobs() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    place.write("y.csv", "id\n3\n");
    place.ingest(&place.path("x.csv"), &[]);
    std::fs::rename(place.path("t"), place.path("moved")).unwrap();
    copy(&place, "moved", "copied");
    let before = log(&place.path("moved"));
    let load = |source: &str, table: &str| {
        let ran = place.run(&["ingest", source, "--table", table, "--json"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()["already_done"].as_bool().unwrap()
    };
    for table in ["moved", "copied", "copied/", "./copied/../copied"] {
        assert!(load("x.csv", table), "{table}");
    }
    assert!(!load("y.csv", "copied"));
    assert!(load("y.csv", "copied"));
    std::os::unix::fs::symlink(place.path("copied"), place.path("link")).unwrap();
    assert!(load("y.csv", "link") && load("x.csv", "link"));
    assert_eq!((count(&place, "moved"), count(&place, "copied")), (2, 3));
    for (table, source) in [("moved", "x.csv"), ("copied", "x.csv"), ("copied", "y.csv"), ("link", "x.csv")] {
        let verified = place.run(&["status", source, "--table", table, "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
        let real = if table == "link" { "copied" } else { table };
        assert!(verified.stdout.contains(&format!("table        [place]/{real}\n")), "{verified:?}");
    }
    let undone = place.run(&["undo", "x.csv", "--table", "copied"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    assert_eq!((count(&place, "moved"), count(&place, "copied")), (2, 1));
    assert_eq!(log(&place.path("moved")), before, "nothing was done to the other table");
    let verified = place.run(&["status", "x.csv", "--table", "copied", "--verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    assert!(!load("y.csv", "moved"));
    assert_eq!(count(&place, "moved"), 3);
}

#[test]
fn a_table_from_before_its_log_said_its_name_knows_its_jobs() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    place.ingest(&place.path("x.csv"), &[]);
    let entry = place.path("t/_delta_log/00000000000000000001.json");
    let named = std::fs::read_to_string(&entry).unwrap();
    let without: String =
        named.lines().filter(|line| !line.contains("sluice/table/")).map(|line| format!("{line}\n")).collect();
    assert_ne!(named, without);
    std::fs::write(&entry, without).unwrap();
    std::fs::rename(place.path("t"), place.path("u")).unwrap();
    let again = place.run(&["ingest", "x.csv", "--table", "u", "--json"]);
    assert_eq!(again.json()["already_done"], true, "{again:?}");
    place.write("y.csv", "id\n3\n");
    place.run(&["ingest", "y.csv", "--table", "u"]);
    std::fs::remove_dir_all(place.path("u/_sluice")).unwrap();
    let again = place.run(&["ingest", "x.csv", "--table", "u", "--json"]);
    assert_eq!(again.json()["rows"]["committed"], 2, "{again:?}");
    assert_eq!(count(&place, "u"), 3, "the log has the former name now");
}

/// Writes the checkpoint of table `t` at version 2 in two parts, and removes the entries before it.
const CHECKPOINT_IN_PARTS: &str = "
import json, os, pyarrow.parquet as pq
path = 't/_delta_log/00000000000000000002.checkpoint.parquet'
whole = pq.read_table(path)
for part, rows in ((1, whole.slice(0, 1)), (2, whole.slice(1))):
    pq.write_table(rows, path.replace('.parquet', f'.{part:010}.{2:010}.parquet'), store_schema=False)
os.remove(path)
with open('t/_delta_log/_last_checkpoint', 'w') as hint:
    json.dump({'version': 2, 'size': whole.num_rows, 'parts': 2}, hint)
for version in (0, 1):
    os.remove(f't/_delta_log/{version:020}.json')";

#[test]
fn a_table_whose_checkpoint_is_in_parts_knows_its_names() {
    let place = Place::new();
    for (name, content) in [("x.csv", "id\n1\n2\n"), ("y.csv", "id\n3\n"), ("z.csv", "id\n4\n")] {
        place.write(name, content);
    }
    for name in ["x.csv", "z.csv"] {
        place.ingest(&place.path(name), &[]);
    }
    let made = place.run(&["maintain", "--table", "t", "--checkpoint"]);
    assert_eq!(made.status, 0, "{made:?}");
    run_python(&place.path(""), CHECKPOINT_IN_PARTS);
    std::fs::rename(place.path("t"), place.path("u")).unwrap();
    // Its commit puts the new name into an entry that is read at once.
    let other = place.run(&["ingest", "y.csv", "--table", "u"]);
    assert_eq!(other.status, 0, "{other:?}");
    let again = place.run(&["ingest", "x.csv", "--table", "u", "--json"]);
    assert_eq!(again.json()["already_done"], true, "{again:?}");
    assert_eq!(count(&place, "u"), 4);
}

#[test]
fn a_job_that_was_half_loaded_is_finished_where_the_table_is_now() {
    let place = Place::new();
    numbered(&place, 20_000);
    killed_after(&place, "numbered.csv", 1, &[]);
    copy(&place, "t", "u");
    let before = count(&place, "t");
    let done = place.run(&["ingest", "numbered.csv", "--table", "u", "--json"]);
    assert_eq!((done.status, &done.json()["rows"]["committed"]), (0, &20_000.into()), "{done:?}");
    assert_eq!((count(&place, "t"), count(&place, "u")), (before, 20_000));
}

#[test]
fn drops_and_replays_of_a_table_that_was_moved_go_on() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,b\nthree,c\n");
    let ingest = |table: &str| {
        let more = ["--on-replace", "replace", "--schema", "id:int64", "--json"];
        let ran = place.run(&[&["ingest", "x.csv", "--table", table], &more[..]].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()["job_id"].as_str().unwrap().to_owned()
    };
    let job = ingest("t");
    std::fs::rename(place.path("t"), place.path("u")).unwrap();
    assert_eq!(ingest("u"), job);
    let args = ["quarantine", "replay", &job, "--table", "u", "--bad-records", "null"];
    let replayed = place.run(&args);
    assert_eq!((replayed.status, count(&place, "u")), (0, 3), "{replayed:?}");
    assert!(!place.path("t").exists(), "nothing is made where the table was");
    std::fs::rename(place.path("u"), place.path("v")).unwrap();
    let again = place.run(&[&args[..4], &["v", "--bad-records", "null"]].concat());
    assert!(again.stdout.contains("already done"), "{again:?}");
    let undone = place.run(&["undo", &job, "--table", "v"]);
    assert_eq!((undone.status, undone.stderr.contains("records that job")), (3, true), "{undone:?}");
    place.write("x.csv", "id,name\n7,z\n");
    assert_ne!(ingest("v"), job);
    assert_eq!(count(&place, "v"), 1, "it takes the place of the drop and of its replay");
}
