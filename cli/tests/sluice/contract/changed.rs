//! Contracts that changed since a file was loaded by them.

use std::path::Path;

use super::{NULL, ORDERS, save};
use crate::support::Place;

/// A contract that changed since a file was loaded by it: what is loaded either does not contradict it, or the way out is named.
#[test]
fn a_contract_that_changed_since() {
    const TEXT: &str = "type = \"int64\"";
    const WAY: &str =
        "hint: to read the file by the contract as it is now, `sluice undo` the job, then ingest the file with --again";
    for (from, to, said) in [
        (TEXT, "type = \"text\"", Some("id:int64, and the contract [place]/c.toml says id:text")),
        (
            "csv_delimiter = \";\"",
            "csv_delimiter = \",\"",
            Some("csv_delimiter ;, and the contract [place]/c.toml says ,"),
        ),
        ("csv_header = 1", "csv_header = 2", Some("csv_header 1, and the contract [place]/c.toml says 2")),
        ("csv_skip_lines = 1", "csv_skip_lines = 0", Some("csv_skip_lines 1, and the contract [place]/c.toml says 0")),
        ("type_changes = \"quarantine\"", "type_changes = \"fail\"", None),
        ("new_columns = \"fail\"", "new_columns = \"rescue\"", None),
        (
            "[[columns]]\nname = \"name\"",
            "[[columns]]\nname = \"later\"\ntype = \"date\"\n\n[[columns]]\nname = \"name\"",
            None,
        ),
        ("[policy]", "max_record_mb = 3\ncolumn_names = \"keep\"\n\n[policy]", None),
    ] {
        let place = Place::new();
        save(&place, "orders.csv", ORDERS, &[NULL]);
        let ingest = ["ingest", "orders.csv", "--table", "t", "--contract", "c.toml"];
        assert_eq!(place.run(&ingest).status, 0);
        let contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
        assert!(contract.contains(from), "{from}: {contract}");
        place.write("c.toml", contract.replacen(from, to, 1));
        let ran = place.run(&ingest);
        let is_said = match said {
            Some(said) => ran.status == 3 && ran.stderr.contains(said) && ran.stderr.contains(WAY),
            None => ran.status == 0 && ran.stdout.contains("already done"),
        };
        assert!(is_said, "{to}: {ran:?}");
        assert_eq!(place.rows().num_rows(), 3);
    }
}

#[test]
fn a_job_keeps_the_contract_that_it_was_begun_with() {
    let place = Place::new();
    save(&place, "x.csv", b"id,n\n1,2\n", &[]);
    let by = ["--contract", "c.toml"];
    place.ingest(Path::new("x.csv"), &by);
    let contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
    place.write("c.toml", contract.replacen("type = \"int64\"", "type = \"text\"", 1));
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--contract", "c.toml"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("is in the table with id:int64, and the contract [place]/c.toml says id:text"),
        "{ran:?}"
    );
    let without = place.ingest(Path::new("x.csv"), &[]);
    assert_eq!(without["already_done"], true);
}
