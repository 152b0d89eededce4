//! A table is looked after by a command.

use serde_json::json;

use crate::support::{Place, Ran};

fn maintain(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&["maintain", "--table", "t"], more].concat())
}

#[test]
fn maintain_a_table() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    let dry = maintain(&place, &["--checkpoint", "--keep-jobs", "0", "--dry-run"]);
    assert_eq!((dry.status, dry.stderr.as_str()), (0, ""), "{dry:?}");
    for line in ["looked at, nothing was changed", "checkpoint   due", "log          0 expired files", "2 objects ("] {
        assert!(dry.stdout.contains(line), "{dry:?}");
    }
    assert!(!place.path("t/_delta_log/_last_checkpoint").exists());
    let mut done = maintain(&place, &["--checkpoint", "--keep-jobs", "0", "--json"]).json();
    let removed = done.as_object_mut().unwrap().remove("work_areas").unwrap();
    assert_eq!(removed["objects"], 2);
    let nothing = json!({"objects": 0, "bytes": 0});
    let expected = json!({"table": "[place]/t", "version": 1, "dry_run": false, "compaction": null,
        "checkpoint": {"last": null, "written": true}, "log": nothing, "vacuum": nothing, "completed": 0});
    assert_eq!(done, expected);
    assert!(place.path("t/_delta_log/_last_checkpoint").exists());
    let again = place.ingest(&source, &[]);
    assert_eq!((&again["already_done"], place.rows().num_rows()), (&json!(true), 2));
    let status = place.run(&["status", "x.csv", "--table", "t", "--json"]).json();
    assert_eq!(status[0]["state"], "done");
}

#[test]
fn maintain_merges_small_files() {
    let place = Place::new();
    for (name, text) in [("x.csv", "id\n1\n2\n"), ("y.csv", "id\n3\n")] {
        place.ingest(&place.write(name, text), &[]);
    }
    let within = maintain(&place, &["--compact", "within-jobs", "--compact-after", "0s"]);
    assert!(within.stdout.contains("small files  0 small files (0.0 MiB) merged into 0\n"), "{within:?}");
    let young = maintain(&place, &["--compact", "across-jobs"]);
    assert!(young.stdout.contains("small files  0 small files"), "{young:?}");
    let across = maintain(&place, &["--compact", "across-jobs", "--compact-after", "0s"]);
    assert!(across.stdout.contains("small files  2 small files (0.0 MiB) merged into 1\n"), "{across:?}");
    assert_eq!((place.files().len(), place.rows().num_rows()), (1, 3));
    let refused = place.run(&["undo", "x.csv", "--table", "t"]);
    assert!(refused.status == 1 && refused.stderr.contains("(OPTIMIZE) rewrote"), "{refused:?}");
}

#[test]
fn the_checkpoint_has_what_was_merged() {
    let place = Place::new();
    for (name, text) in [("x.csv", "id\n1\n2\n"), ("y.csv", "id\n3\n")] {
        place.ingest(&place.write(name, text), &[]);
    }
    let done = maintain(&place, &["--compact", "across-jobs", "--compact-after", "0s", "--checkpoint", "--json"]);
    assert_eq!(done.status, 0, "{done:?}");
    let done = done.json();
    assert_eq!((&done["version"], &done["checkpoint"]["written"]), (&3.into(), &true.into()), "{done}");
    let hint = std::fs::read_to_string(place.path("t/_delta_log/_last_checkpoint")).unwrap();
    assert!(hint.contains("\"version\":3"), "{hint}");
    assert!(place.path("t/_delta_log/00000000000000000003.checkpoint.parquet").exists());
    let again = maintain(&place, &["--checkpoint"]);
    assert!(again.stdout.contains("checkpoint   not due, the last is of version 3"), "{again:?}");
}

#[test]
fn maintain_leaves_alone_what_is_switched_off() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n");
    place.ingest(&source, &[]);
    let off = ["--no-checkpoint", "--no-log", "--no-vacuum", "--no-work-areas"];
    let done = maintain(&place, &off);
    assert_eq!((done.status, done.stdout.matches("left alone").count()), (0, 5), "{done:?}");
}

#[test]
fn maintain_what_cannot_be() {
    let place = Place::new();
    let no_table = maintain(&place, &["--json"]);
    assert_eq!((no_table.status, no_table.json()["exit_status"].as_i64()), (3, Some(3)), "{no_table:?}");
    assert!(
        no_table.stderr.contains("there is no table [place]/t\nhint: a table's directory has a _delta_log"),
        "{no_table:?}"
    );
    assert!(!place.path("t").exists());
    for (args, said) in [
        (vec!["--retention", "59m"], "from 1h"),
        (vec!["--retention", "soon"], "as 90s or 2d"),
        (vec!["--compact", "all"], "one of off, within-jobs, across-jobs"),
        (vec!["--keep-jobs", "-1"], "unexpected argument"),
        (vec!["--checkpoint", "--no-checkpoint"], "cannot be used with"),
    ] {
        let refused = maintain(&place, &args);
        assert_eq!((refused.status, refused.stderr.contains(said)), (2, true), "{refused:?}");
    }
    assert_eq!(place.run(&["maintain"]).status, 2, "no table is given");
}
