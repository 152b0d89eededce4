//! `sluice status --verify` tells a table that has what was committed from one that has not.

use parquet::arrow::ArrowWriter;

use crate::support::{Place, read};

#[test]
fn verify_a_file() {
    for (data_files, hash) in [
        ("as-split", ""),
        (
            "rewritten",
            "\n  hash         7414d58a013135cc0fa5e65ccb2d769b in the table, 7414d58a013135cc0fa5e65ccb2d769b by the receipts",
        ),
    ] {
        let place = Place::new();
        let source = place.write("x.csv", "id,name\n1,a\n2,b\n3,c\n");
        place.ingest(&source, &["--data-files", data_files]);
        let plain = place.run(&["status", "x.csv", "--table", "t", "--json"]).json();
        assert!(plain[0]["verification"].is_null(), "{plain}");
        assert_eq!(plain[0]["receipt"]["row_hash"].is_string(), !hash.is_empty(), "{plain}");

        let equal = place.run(&["status", "x.csv", "--table", "t", "--verify"]);
        assert_eq!((equal.status, equal.stderr.as_str()), (0, ""), "{equal:?}");
        let shown: Vec<&str> = equal.stdout.lines().skip(9).collect();
        let expected = "  verified     the table has the very rows that were committed (version 1)\n  \
                        rows         3 in the table, 3 by the receipts";
        assert_eq!(shown.join("\n"), format!("{expected}{hash}"));
        tell_an_altered_file(&place);
    }
}

fn tell_an_altered_file(place: &Place) {
    let file = place.files().remove(0);
    let rows = read(&file).slice(0, 2);
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let other = place.run(&["status", "x.csv", "--table", "t", "--verify"]);
    assert_eq!(other.status, 1, "{other:?}");
    assert!(other.stdout.contains("THE TABLE HAS OTHER ROWS"), "{other:?}");
    assert!(other.stdout.contains("rows         2 in the table, 3 by the receipts\n"), "{other:?}");
    assert!(other.stderr.contains("error: 1 of 1 jobs cannot be shown to be in the table"), "{other:?}");
    let json = place.run(&["status", "x.csv", "--table", "t", "--verify", "--json"]);
    assert_eq!((json.status, json.json()[0]["verification"]["finding"].as_str()), (1, Some("differs")), "{json:?}");
}

/// The last run's failure is told, and what is in the table so far is not taken for the whole job.
#[test]
fn a_job_that_failed_is_not_proven() {
    let place = Place::new();
    let source = place.write("y.csv", "n\n1\n");
    place.ingest(&source, &[]);
    place.write("x.csv", "id\n1\n2\n3\n");
    let failed = place.run(&["ingest", "x.csv", "--table", "t", "--sql", "select 6 / (id - 2) as n from chunk"]);
    assert_eq!(failed.status, 3, "{failed:?}");
    let status = |more: &[&str]| place.run(&[&["status", "x.csv", "--table", "t"], more].concat());
    let shown = status(&[]);
    assert!(shown.stdout.contains(": split, not loaded: the last run failed\n"), "{shown:?}");
    assert!(shown.stdout.contains("  failed       1 chunk; the first because of: "), "{shown:?}");
    assert!(shown.stdout.to_lowercase().contains("divide by zero"), "{shown:?}");
    let json = status(&["--json"]).json();
    assert_eq!((&json[0]["state"], &json[0]["failure"]["chunks"]), (&"loading".into(), &1.into()), "{json}");
    let verified = status(&["--verify"]);
    assert_eq!(verified.status, 1, "{verified:?}");
    assert!(verified.stdout.contains("WHICH ARE NOT ALL of the job's"), "{verified:?}");
}
