//! What was loaded can be taken out again, exactly.

use serde_json::json;
use shared::testing::run_python;

use crate::support::{Place, Ran};

fn undo(place: &Place, what: &str, more: &[&str]) -> Ran {
    place.run(&[&["undo", what, "--table", "t"], more].concat())
}

#[test]
fn undo_a_file_and_load_it_again() {
    let place = Place::new();
    let (one, two) = (place.write("one.csv", "id\n1\n2\n"), place.write("two.csv", "id\n3\n"));
    let job = place.ingest(&one, &[])["job_id"].as_str().unwrap().to_owned();
    place.ingest(&two, &[]);
    let dry = undo(&place, "one.csv", &["--dry-run"]);
    assert!(dry.stdout.contains(&format!("{job}: would be undone\n")), "{dry:?}");
    assert!(dry.stdout.contains("removed      2 rows in 1 file ("), "{dry:?}");
    assert_eq!(place.rows().num_rows(), 3);

    let done = undo(&place, "one.csv", &["--json"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{done:?}");
    let mut report = done.json();
    report["removed"].as_object_mut().unwrap().remove("bytes");
    let expected = json!({"job_id": job, "table": "[place]/t", "already_undone": false, "dry_run": false,
        "table_version": 3, "removed": {"files": 1, "rows": 2}});
    assert_eq!(report, expected);
    assert_eq!(place.rows().num_rows(), 1);
    let status = place.run(&["status", "one.csv", "--table", "t"]);
    assert!(status.stdout.contains(": undone\n"), "{status:?}");
    assert!(status.stdout.contains("removed      2, by version 3 of the table"), "{status:?}");
    let again = undo(&place, &job, &[]);
    assert!(again.stdout.contains("was undone before, nothing was changed"), "{again:?}");

    let plain = place.run(&["ingest", "one.csv", "--table", "t"]);
    assert_eq!((plain.status, plain.stderr.contains("was undone") && plain.stderr.contains("--again")), (3, true));
    let second = place.ingest(&one, &["--again"])["job_id"].as_str().unwrap().to_owned();
    assert_eq!(second, format!("{job}-g2"));
    assert_eq!(place.rows().num_rows(), 3);
}

#[test]
fn undo_without_a_work_area() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    std::fs::remove_dir_all(place.path("t/_sluice")).unwrap();
    let done = undo(&place, "x.csv", &[]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(!place.path("t/_sluice").exists(), "no work area is made for it");
    assert_eq!(place.files().len(), 0);
    let plain = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert_eq!((plain.status, plain.stderr.contains("--again")), (3, true), "{plain:?}");
    std::fs::remove_dir_all(place.path("t/_sluice")).unwrap();
    assert!(place.ingest(&source, &["--again"])["job_id"].as_str().unwrap().ends_with("-g2"));
    assert_eq!(place.rows().num_rows(), 2);
}

/// An undo that was killed after its commit left no note. It is repeated after a checkpoint came that no hint names, with the commit in
/// the log or cleaned up.
#[test]
fn undo_that_was_killed_after_its_commit_is_repeated() {
    for (cleaned, version) in [(0, json!(3)), (1, json!(3)), (2, json!(3)), (3, json!(3)), (4, json!(null))] {
        let place = Place::new();
        place.ingest(&place.write("x.csv", "id\n1\n2\n"), &[]);
        place.ingest(&place.write("y.csv", "id\n3\n"), &[]);
        let job = undo(&place, "x.csv", &["--json"]).json()["job_id"].as_str().unwrap().to_owned();
        std::fs::remove_file(place.path(&format!("t/_sluice/{job}/undone.json"))).unwrap();
        place.ingest(&place.write("z.csv", "id\n4\n"), &[]);
        run_python(&place.path(""), "import deltalake; deltalake.DeltaTable('t').create_checkpoint()");
        std::fs::remove_file(place.path("t/_delta_log/_last_checkpoint")).unwrap();
        for old in 0..cleaned {
            std::fs::remove_file(place.path(&format!("t/_delta_log/{old:020}.json"))).unwrap();
        }
        let again = undo(&place, &job, &["--json"]);
        assert_eq!(again.status, 0, "{cleaned}: {again:?}");
        let report = again.json();
        assert_eq!((&report["already_undone"], &report["table_version"]), (&json!(true), &version), "{cleaned}");
        assert_eq!(place.rows().num_rows(), 2, "{cleaned}");
    }
}

#[test]
fn undo_asks_which_load_is_meant() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    let first = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
    place.ingest(&source, &["--again"]);
    let refused = undo(&place, "x.csv", &[]);
    assert_eq!((refused.status, refused.stderr.contains(&format!("{first}, {first}-g2"))), (2, true), "{refused:?}");
    assert_eq!(undo(&place, &first, &[]).status, 0);
    assert_eq!(place.rows().num_rows(), 2);
}

#[test]
fn undo_of_what_is_not_there() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n");
    let no_table = undo(&place, "x.csv", &[]);
    assert_eq!((no_table.status, no_table.stderr.contains("is not in table [place]/t")), (3, true), "{no_table:?}");
    assert!(!place.path("t").exists());
    place.ingest(&source, &[]);
    for unknown in ["y.csv", "y-0123456789abcdef"] {
        let refused = undo(&place, unknown, &["--json"]);
        assert_eq!((refused.status, refused.json()["exit_status"].as_i64()), (3, Some(3)), "{refused:?}");
    }
    assert_eq!(place.run(&["undo", "x.csv"]).status, 2, "no table is given");
}

#[test]
fn undo_of_a_load_that_was_interrupted() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    let job = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
    std::fs::remove_file(place.path(&format!("t/_sluice/{job}/receipt.json"))).unwrap();
    assert_eq!(undo(&place, &job, &[]).status, 0);
    assert!(place.ingest(&source, &["--again"])["job_id"].as_str().unwrap().ends_with("-g2"));
    assert_eq!(place.rows().num_rows(), 2);
}

/// The name of a job is not the beginning of its next generation's.
#[test]
fn undo_of_a_job_without_a_work_area_takes_out_no_other() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    let job = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
    assert_eq!(undo(&place, &job, &[]).status, 0);
    assert!(place.ingest(&source, &["--again"])["job_id"].as_str().unwrap().ends_with("-g2"));
    std::fs::remove_dir_all(place.path(&format!("t/_sluice/{job}"))).unwrap();
    let again = undo(&place, &job, &[]);
    assert!(!again.stdout.contains("-g2"), "{again:?}");
    assert_eq!(place.rows().num_rows(), 2);
    let short = undo(&place, "x-", &[]);
    assert_eq!((short.status, short.stderr.contains("too short a beginning")), (2, true), "{short:?}");
    assert_eq!(place.rows().num_rows(), 2);
}

#[test]
fn undo_of_rows_that_others_merged_took_out_and_brought_back() {
    let place = Place::new();
    place.ingest(&place.write("x.csv", "id\n1\n2\n"), &[]);
    place.ingest(&place.write("y.csv", "id\n3\n"), &[]);
    let script = "import deltalake, pyarrow\n\
                  table = deltalake.DeltaTable('t')\n\
                  table.optimize.compact()\n\
                  merged = table.version()\n\
                  deltalake.write_deltalake('t', pyarrow.table({'id': [9]}), mode='overwrite')\n\
                  deltalake.DeltaTable('t').restore(merged)";
    run_python(&place.path(""), script);
    let refused = undo(&place, "x.csv", &[]);
    assert!(refused.status == 1 && refused.stderr.contains("(OPTIMIZE) rewrote"), "{refused:?}");
    assert_eq!(place.rows().num_rows(), 3);
}

#[test]
fn undo_of_a_job_that_added_nothing_tells_why() {
    let place = Place::new();
    place.ingest(&place.write("first.csv", "id\n1\n"), &[]);
    place.write("x.csv", "id\n1\n2\n");
    let sql = "select concat('n', id) as id from chunk";
    let failed = place.run(&["ingest", "x.csv", "--table", "t", "--sql", sql, "--bad-records", "fail"]);
    assert_eq!(failed.status, 3, "{failed:?}");
    let status = place.run(&["status", "x.csv", "--table", "t", "--json"]).json();
    let job = status[0]["job_id"].as_str().unwrap().to_owned();
    let area = place.path("t/_sluice").join(&job);
    for asked in ["x.csv", &job] {
        let refused = undo(&place, asked, &[]);
        let said = format!("job {job} added nothing to table [place]/t: its last run failed, because of: ");
        assert_eq!((refused.status, refused.stderr.contains(&said)), (3, true), "{refused:?}");
        assert!(refused.stderr.contains("hint: there is nothing to undo"), "{refused:?}");
    }
    std::fs::remove_file(area.join("failed.json")).unwrap();
    let refused = undo(&place, "x.csv", &[]);
    assert!(refused.stderr.contains("it is split, and none of its chunks is loaded yet"), "{refused:?}");
    std::fs::remove_file(area.join("manifest.json")).unwrap();
    let refused = undo(&place, "x.csv", &[]);
    assert!(refused.stderr.contains("it is not split to its end"), "{refused:?}");
}
