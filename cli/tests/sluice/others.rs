//! What others do to a table, and to its folder, after Sluice has loaded it.

use shared::testing::run_python;

use crate::resume::numbered;
use crate::shim::{Fault, Shim};
use crate::support::{Place, Ran};

/// Rows of a table by three other readers, which have to agree.
pub(crate) fn count(place: &Place, table: &str) -> u64 {
    let script =
        format!("import os, readers; print(sorted(set(readers.counts('{table}').values())), flush=True); os._exit(0)");
    let counts = run_python(&place.path(""), &script);
    counts.trim_matches(['[', ']']).parse().unwrap_or_else(|_| panic!("the readers disagree: {counts}"))
}

/// Has the Python package do something to table `t`.
fn python(place: &Place, what: &str) {
    let script = format!("import deltalake, os, pyarrow as pa\nt = deltalake.DeltaTable('t')\n{what}\nos._exit(0)");
    run_python(&place.path(""), &script);
}

fn ingest(place: &Place, source: &str, more: &[&str]) -> Ran {
    place.run(&[&["ingest", source, "--table", "t"], more].concat())
}

/// Kills an ingest when it has put an entry of the log, and has only to remove the name that this had before.
pub(crate) fn killed_after(place: &Place, source: &str, version: usize, more: &[&str]) {
    let args = [&["ingest", source, "--table", "t", "--chunk-size-mb", "1", "--workers", "1"], more].concat();
    let root = place.path("").canonicalize().unwrap();
    let operation = format!("unlink {}/t/_delta_log/{version:020}.json#", root.display());
    let shim = Shim::below(&root).matching(&operation).at(1, Fault::Kill);
    let ran = shim.on(&mut place.command(&args)).output().unwrap();
    assert_eq!(ran.status.code(), None, "it was to be killed: {ran:?}");
    assert!(place.path(&format!("t/_delta_log/{version:020}.json")).exists());
}

#[test]
fn a_second_load_that_was_killed_after_its_first_commit_is_gone_on_with() {
    let place = Place::new();
    let source = numbered(&place, 20_000);
    let chunks = place.ingest(&source, &["--chunk-size-mb", "1"])["chunks"].as_array().unwrap().len();
    assert!(chunks > 1);
    let versions = std::fs::read_dir(place.path("t/_delta_log")).unwrap().count();
    killed_after(&place, "numbered.csv", versions, &["--again"]);
    assert!(count(&place, "t") > 20_000, "its first chunk is in the table");
    let done = place.ingest(&source, &["--again"]);
    assert_eq!(done["rows"]["committed"], 20_000);
    assert!(done["job_id"].as_str().unwrap().ends_with("-g2"), "{done}");
    assert_eq!(count(&place, "t"), 40_000);
    assert!(place.ingest(&source, &["--again"])["job_id"].as_str().unwrap().ends_with("-g3"));
    assert_eq!(count(&place, "t"), 60_000);
}

#[test]
fn a_job_whose_work_area_was_lost_is_finished() {
    for more in [&[][..], &["--sql", "select id, square from chunk"]] {
        let place = Place::new();
        let source = numbered(&place, 40_000);
        killed_after(&place, "numbered.csv", 1, more);
        let there = count(&place, "t");
        assert!(0 < there && there < 40_000, "{there}");
        std::fs::remove_dir_all(place.path("t/_sluice")).unwrap();
        let again = ingest(&place, "numbered.csv", &[&["--chunk-size-mb", "1", "--again"], more].concat());
        assert_eq!((again.status, again.stderr.contains("without --again first")), (1, true), "{again:?}");
        let other = ingest(&place, "numbered.csv", &["--chunk-size-mb", "2"]);
        assert_eq!((other.status, other.stderr.contains("sluice undo")), (1, true), "{other:?}");
        assert_eq!(count(&place, "t"), there, "another cut brings nothing in");
        std::fs::remove_dir_all(place.path("t/_sluice")).unwrap();
        let done = place.ingest(&source, &[&["--chunk-size-mb", "1"], more].concat());
        assert_eq!(done["rows"]["committed"], 40_000);
        assert_eq!(count(&place, "t"), 40_000);
        let verified = place.run(&["status", "numbered.csv", "--table", "t", "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
}

#[test]
fn what_a_log_has_lost_is_loaded_again() {
    let place = Place::new();
    let source = numbered(&place, 20_000);
    let first = place.ingest(&source, &["--chunk-size-mb", "1", "--workers", "1"]);
    let last = std::fs::read_dir(place.path("t/_delta_log")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    // As after a power loss, where entries were not on the disk.
    std::fs::remove_file(last).unwrap();
    assert!(count(&place, "t") < 20_000);
    let status = place.run(&["status", "numbered.csv", "--table", "t"]);
    assert!(status.stdout.contains("since then"), "{status:?}");
    let again = place.run(&["ingest", "numbered.csv", "--table", "t", "--json"]);
    assert!(again.stderr.contains("they are loaded again"), "{again:?}");
    let again = again.json();
    assert_eq!((&again["already_done"], &again["rows"]), (&false.into(), &first["rows"]));
    assert_eq!(count(&place, "t"), 20_000);
    assert_eq!(place.ingest(&source, &[])["already_done"], true);
}

#[test]
fn what_others_took_out_is_told_and_can_be_loaded_again() {
    let overwrite = "deltalake.write_deltalake('t', pa.table({'id': [7]}), mode='overwrite')";
    for (what, operation, expected) in
        [("t.restore(0)", "(RESTORE, ", 3), (overwrite, "(WRITE, ", 3), ("t.delete()", "(DELETE, ", 0)]
    {
        let place = Place::new();
        place.write("x.csv", "id\n1\n2\n");
        let job = place.ingest(&place.path("x.csv"), &[])["job_id"].as_str().unwrap().to_owned();
        python(&place, what);
        let left = count(&place, "t");
        let told = ingest(&place, "x.csv", &[]);
        assert_eq!(told.status, expected, "{told:?}");
        let numbers = "the table has 0 of its 2 rows: version 2 (";
        let said = if expected == 0 { &told.stdout } else { &told.stderr };
        for text in [operation, numbers, "took out 1 of its 1 file"] {
            assert!(said.contains(text), "{told:?}");
        }
        // What was deleted is to stay so.
        assert_eq!(told.stderr.contains("use --again"), expected == 3, "{told:?}");
        let status = place.run(&["status", "x.csv", "--table", "t"]);
        assert!(status.stdout.contains(numbers), "{status:?}");
        let again = place.ingest(&place.path("x.csv"), &["--again"]);
        assert_eq!(again["job_id"].as_str().unwrap(), format!("{job}-g2"));
        assert_eq!(count(&place, "t"), left + 2, "{what}");
    }
}

#[test]
fn what_a_log_that_begins_later_than_a_job_tells() {
    let overwrite = "deltalake.write_deltalake('t', pa.table({'id': [7]}), mode='overwrite')";
    for (what, status, told) in [
        (overwrite, 3, "(WRITE, "),
        ("t.delete()", 0, "the table has 0 of its 2 rows"),
        ("pass", 0, "does not tell how many of its 2 rows are there"),
    ] {
        let place = Place::new();
        for name in ["x.csv", "y.csv"] {
            place.write(name, "id\n1\n2\n");
            place.ingest(&place.path(name), &[]);
        }
        python(&place, "t.optimize.compact(); t.create_checkpoint()");
        let version = |version: usize| place.path(&format!("t/_delta_log/{version:020}.json"));
        let last = (0..10).rfind(|number| version(*number).exists()).unwrap();
        (0..last).for_each(|old| std::fs::remove_file(version(old)).unwrap());
        python(&place, what);
        let again = ingest(&place, "x.csv", &[]);
        let said = format!("{}{}", again.stdout, again.stderr);
        assert_eq!((again.status, said.contains(told)), (status, true), "{what}: {again:?}");
    }
}

#[test]
fn rows_that_came_after_an_overwrite_are_not_those_of_a_job_before_it() {
    let overwrite = "t.optimize.compact(); deltalake.write_deltalake('t', pa.table({'id': [7, 8]}), mode='overwrite')";
    for (since, status) in [
        ("t.delete('id = 7')", 3),
        ("t.delete('id = 7'); t.optimize.compact()", 3),
        ("t.update(predicate='id = 7', updates={'id': '9'}); t.delete('id = 9')", 3),
        // These may bring rows back, or leave open whose they are.
        ("t.restore(1); t.delete('id = 1')", 0),
    ] {
        let place = Place::new();
        place.write("x.csv", "id\n1\n2\n");
        place.ingest(&place.path("x.csv"), &[]);
        place.write("y.csv", "id\n3\n");
        place.ingest(&place.path("y.csv"), &[]);
        let since = since.replace("; ", "\nt = deltalake.DeltaTable('t')\n");
        python(&place, &format!("{overwrite}\nt = deltalake.DeltaTable('t')\n{since}"));
        let again = ingest(&place, "x.csv", &[]);
        assert_eq!(again.status, status, "{since}: {again:?}");
        assert_eq!(again.stderr.contains("(WRITE, "), status == 3, "{since}: {again:?}");
    }
}

#[test]
fn what_others_rewrote_is_told() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n3\n");
    place.ingest(&place.path("x.csv"), &[]);
    python(&place, "t.delete('id = 2')");
    let told = ingest(&place, "x.csv", &[]);
    assert_eq!(told.status, 0, "{told:?}");
    assert!(
        told.stdout.contains("version 2 (DELETE, ") && told.stdout.contains("rewrote or took out 1 of its 1 file"),
        "{told:?}"
    );
    let own = "0 of its 3 rows are in files of its own: version 2";
    let rest = "; the rest is deleted, or in files of that writer";
    assert!(told.stdout.contains(own) && told.stdout.contains(rest), "{told:?}");
    assert_eq!(count(&place, "t"), 2);
}

#[test]
fn rows_arranged_anew_by_others_are_there() {
    let place = Place::new();
    for name in ["x.csv", "y.csv"] {
        place.write(name, "id\n1\n2\n");
        place.ingest(&place.path(name), &[]);
    }
    python(&place, "t.optimize.compact()");
    assert_eq!(place.ingest(&place.path("x.csv"), &[])["already_done"], true);
    python(&place, "deltalake.write_deltalake('t', pa.table({'id': [7]}), mode='overwrite')");
    let told = ingest(&place, "x.csv", &[]);
    assert_eq!((told.status, told.stderr.contains("version 4 (WRITE, ")), (3, true), "{told:?}");
}

#[test]
fn what_is_left_of_a_job_does_not_come_twice() {
    let place = Place::new();
    let source = numbered(&place, 20_000);
    place.ingest(&source, &["--chunk-size-mb", "1", "--workers", "1"]);
    python(&place, "t.restore(1)");
    let left = count(&place, "t");
    assert!(0 < left && left < 20_000, "{left}");
    for more in [&[][..], &["--again"]] {
        let told = ingest(&place, "numbered.csv", more);
        assert_eq!((told.status, told.stderr.contains("sluice undo")), (3, true), "{told:?}");
    }
    assert_eq!(count(&place, "t"), left);
    let undone = place.run(&["undo", "numbered.csv", "--table", "t"]);
    assert_eq!((undone.status, undone.stdout.contains("others had taken out")), (0, true), "{undone:?}");
    assert_eq!(count(&place, "t"), 0);
    place.ingest(&source, &["--again"]);
    assert_eq!(count(&place, "t"), 20_000);
}

#[test]
fn what_others_merged_does_not_come_twice() {
    let place = Place::new();
    let source = numbered(&place, 40_000);
    place.ingest(&source, &["--chunk-size-mb", "1", "--workers", "1"]);
    python(&place, "t.restore(2)");
    let left = count(&place, "t");
    assert!(0 < left && left < 40_000, "{left}");
    python(&place, "t.optimize.compact()");
    assert_eq!(place.files().len(), 1, "two chunks");
    for more in [&[][..], &["--again"]] {
        let told = ingest(&place, "numbered.csv", more);
        assert_eq!((told.status, told.stderr.contains("delete them by their values")), (3, true), "{told:?}");
    }
    assert_eq!(count(&place, "t"), left);
}

#[test]
fn what_a_restored_version_brought_back_can_be_undone_again() {
    let place = Place::new();
    for (name, text) in [("x.csv", "id\n1\n2\n"), ("y.csv", "id\n3\n")] {
        place.write(name, text);
        place.ingest(&place.path(name), &[]);
    }
    let undo = || place.run(&["undo", "x.csv", "--table", "t"]);
    let verify = || place.run(&["status", "x.csv", "--table", "t", "--verify"]);
    assert_eq!(undo().status, 0);
    python(&place, "t.restore(2)");
    assert_eq!((count(&place, "t"), verify().status), (3, 1));
    for more in [&[][..], &["--again"]] {
        let told = ingest(&place, "x.csv", more);
        assert_eq!((told.status, told.stderr.contains("sluice undo")), (3, true), "{told:?}");
    }
    let again = undo();
    assert!(again.stdout.contains("removed      2 rows in 1 file"), "{again:?}");
    assert_eq!((count(&place, "t"), verify().status), (1, 0));
    assert!(undo().stdout.contains("was undone before"), "{:?}", undo());
    place.ingest(&place.path("x.csv"), &["--again"]);
    assert_eq!(count(&place, "t"), 3);
}

#[test]
fn a_document_of_another_job_that_cannot_be_read_stops_nothing() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    std::fs::create_dir_all(place.path("t/_sluice/other")).unwrap();
    place.write("t/_sluice/other/job.json", "half");
    let loaded = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert_eq!(loaded.status, 0, "{loaded:?}");
    assert!(loaded.stderr.contains("t/_sluice/other/job.json"), "{loaded:?}");
}

#[test]
fn a_drop_that_is_a_link_takes_the_place_of_what_it_led_to_before() {
    let place = Place::new();
    place.write("jan.csv", "id\n1\n2\n");
    place.write("feb.csv", "id\n3\n");
    for (target, rows) in [("jan.csv", 2), ("feb.csv", 1), ("feb.csv", 1), ("jan.csv", 2)] {
        drop(std::fs::remove_file(place.path("latest.csv")));
        std::os::unix::fs::symlink(target, place.path("latest.csv")).unwrap();
        let ran = ingest(&place, "latest.csv", &["--on-replace", "replace"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(count(&place, "t"), rows, "{target}");
    }
}

#[test]
fn what_killed_runs_were_writing_is_removed_once_it_is_old() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    place.ingest(&place.path("x.csv"), &[]);
    let job = place.area().file_name().unwrap().to_str().unwrap().to_owned();
    let names = [
        format!("t/_sluice/{job}/chunks/00001.parquet.0123456789abcdef0123456789abcdef.partial"),
        format!("t/_sluice/{job}/receipt.json.0123456789abcdef0123456789abcdef.partial"),
        "t/part-00000-0c.snappy.parquet#1".to_owned(),
        "t/_delta_log/00000000000000000002.json#17".to_owned(),
    ];
    let maintain = |more: &[&str]| {
        let ran = place.run(&[&["maintain", "--table", "t", "--retention", "1h"], more].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.stdout
    };
    for name in &names {
        std::fs::write(place.path(name), "half").unwrap();
    }
    assert!(!maintain(&[]).contains("unfinished"), "they may be in use");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    for name in &names {
        std::fs::File::options().append(true).open(place.path(name)).unwrap().set_modified(long_ago).unwrap();
    }
    assert!(maintain(&["--dry-run"]).contains("unfinished   4 files (0.0 MiB) to be removed"));
    assert!(maintain(&[]).contains("unfinished   4 files (0.0 MiB) removed"));
    assert!(names.iter().all(|name| !place.path(name).exists()));
    assert_eq!(count(&place, "t"), 2);
}

#[test]
fn what_lies_beside_receipts_is_not_read() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    place.ingest(&place.path("x.csv"), &[]);
    std::fs::write(place.area().join("loaded/00000.json_first-wins-0f-one"), "").unwrap();
    assert_eq!(place.ingest(&place.path("x.csv"), &[])["already_done"], true);
    for args in [&["status", "x.csv", "--table", "t", "--verify"][..], &["undo", "x.csv", "--table", "t"]] {
        let ran = place.run(args);
        assert_eq!(ran.status, 0, "{args:?} {ran:?}");
    }
    assert_eq!(count(&place, "t"), 0);
}

#[test]
fn what_other_programs_write_beside_work_areas_stays() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n2\n");
    place.ingest(&place.path("x.csv"), &["--work-dir", "w"]);
    let areas = std::fs::read_dir(place.path("w")).unwrap().map(|entry| entry.unwrap());
    let area = areas.into_iter().find(|entry| entry.path().join("job.json").exists()).unwrap();
    let job = area.file_name().into_string().unwrap();
    let partial = "a.json.0123456789abcdef0123456789abcdef.partial";
    let ours = [format!("w/{job}/{partial}"), format!("w_drops/0f/{partial}"), format!("w/_failures/{partial}")];
    let others = ["w/big.csv.partial", "w/download/page.json#1", "w/download/x.partial"].map(str::to_owned);
    let others = others.into_iter().chain([format!("w/download/{partial}"), format!("w/{job}/chunks/x.partial")]);
    let others: Vec<String> = others.collect();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    for name in ours.iter().chain(&others) {
        std::fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
        std::fs::write(place.path(name), "half").unwrap();
        std::fs::File::options().append(true).open(place.path(name)).unwrap().set_modified(long_ago).unwrap();
    }
    let ran = place.run(&["maintain", "--table", "t", "--work-dir", "w", "--retention", "1h"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ours.iter().all(|name| !place.path(name).exists()), "{ran:?}");
    assert!(others.iter().all(|name| place.path(name).exists()), "{ran:?}");
}
