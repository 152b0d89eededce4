//! What `ingest` says of how it read a file, and of what it guessed.

use serde_json::{Value, json};

use crate::support::{Place, Ran};

/// The lines of a report that are about the reading, without the table's place.
fn reading(ran: &Ran) -> String {
    let words = ["read as", "dialect", "skipped", "null words", "columns", "drop"];
    let is_told = |line: &&str| words.iter().any(|word| line.starts_with(&format!("  {word} ")));
    ran.stdout.lines().filter(is_told).map(str::trim).collect::<Vec<_>>().join("\n")
}

fn ingest(place: &Place, source: &str, more: &[&str]) -> Ran {
    let ran = place.run(&[&["ingest", source, "--table", "t"], more].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    ran
}

#[test]
fn a_plain_file_has_a_line_and_its_columns() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,b\n");
    let ran = ingest(&place, "x.csv", &[]);
    insta::assert_snapshot!(reading(&ran), @r"
    read as      csv, utf-8, delimiter ',', 1 header row
    columns      2 new: id int64, name text
    ");
    assert_eq!(ran.stderr, "");
    let again = ingest(&place, "x.csv", &[]);
    insta::assert_snapshot!(reading(&again), @"read as      csv, utf-8, delimiter ',', 1 header row");
    assert_eq!(again.stderr, "");
}

#[test]
fn what_is_not_usual_has_lines_of_its_own() {
    let place = Place::new();
    let text = "Orders of May\r\n\r\nid;preis;tag\r\n1;7,5;2026-01-31\r\n\r\n2;12,25;NA\r\n";
    place.write("x.csv", text);
    let ran = ingest(&place, "x.csv", &["--csv-decimal", ",", "--csv-skip-lines", "1"]);
    insta::assert_snapshot!(reading(&ran), @r"
    read as      csv, utf-8, delimiter ';', 1 header row, 3 lines skipped
    dialect      decimal comma
    skipped      1 line before the table (line 1: 'Orders of May')
    skipped      2 blank lines (line 2; the last is line 5)
    null words   are null in tag
    columns      3 new: id int64, preis float64, tag date
    ");
    assert_eq!(ran.stderr, "");
}

#[test]
fn columns_that_are_added_or_lack_and_earlier_drops() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,b\n");
    ingest(&place, "x.csv", &[]);
    place.write("x.csv", "id,price\n3,2.5\n");
    insta::assert_snapshot!(reading(&ingest(&place, "x.csv", &[])), @r"
    read as      csv, utf-8, delimiter ',', 1 header row
    columns      1 added: price float64
    columns      1 not in the file, so null: name
    drop         2nd of this name; rows of earlier drops are kept
    ");
    place.write("x.csv", "id,price,name\n3,2.75,x\n");
    insta::assert_snapshot!(reading(&ingest(&place, "x.csv", &["--on-replace", "replace"])), @r"
    read as      csv, utf-8, delimiter ',', 1 header row
    drop         3rd of this name; its rows replace those of earlier drops
    ");
    let sql = ingest(&place, "x.csv", &["--again", "--sql", "select id, price * 2 as double_price from chunk"]);
    insta::assert_snapshot!(reading(&sql), @r"
    read as      csv, utf-8, delimiter ',', 1 header row
    columns      1 added: double_price
    columns      2 not made by SQL, so null: name, price
    drop         4th of this name; rows of earlier drops are kept
    ");
}

#[test]
fn other_formats() {
    let place = Place::new();
    place.write("x.ndjson", "{\"a\":1,\"b\":\"x\"}\n\n{\"a\":2}\n");
    insta::assert_snapshot!(reading(&ingest(&place, "x.ndjson", &[])), @r"
    read as      ndjson, utf-8, 1 line skipped
    skipped      1 blank line (line 2)
    columns      2 new: a int64, b text
    ");
    let parquet = crate::support::fixture("spark/int96.parquet");
    let ran = place.run(&["ingest", parquet.to_str().unwrap(), "--table", "p"]);
    insta::assert_snapshot!(reading(&ran), @r#"
    read as      parquet
    columns      6 new: id Int32, at Timestamp(µs, "UTC"), all List(Timestamp(µs, "UTC"), field: 'element') and 3 more
    "#);
}

/// A guess is told on stderr and in the document, again when the job is done, and by `plan`; a setting ends it.
#[test]
fn a_guessed_encoding_is_told() {
    const TOLD: &str =
        "the encoding is taken to be windows-1252, by few letters; ENCODING=windows-1252 says so for good";
    let place = Place::new();
    place.write("x.csv", b"id,gap\n1,5 \xb5m\n2,7 \xb5m\n");
    for run in 0..2 {
        let ran = ingest(&place, "x.csv", &["--json"]);
        assert_eq!((ran.stderr.matches(TOLD).count(), ran.stderr.lines().count()), (1, 1), "{run}: {ran:?}");
        let warnings = json!([{
            "about": "encoding",
            "text": "the encoding is taken to be windows-1252, by few letters",
            "setting": "ENCODING=windows-1252",
        }]);
        assert_eq!(ran.json()["warnings"], warnings, "{run}");
    }
    let receipt: Value = serde_json::from_slice(&std::fs::read(place.area().join("receipt.json")).unwrap()).unwrap();
    assert_eq!(receipt["reading"]["warnings"][0]["about"], "encoding");
    assert!(place.run(&["plan", "x.csv"]).stderr.contains(TOLD));
    let told = place.run(&["ingest", "x.csv", "--table", "u", "--encoding", "windows-1252", "--json"]);
    assert_eq!((told.stderr.as_str(), &told.json()["warnings"]), ("", &json!([])), "{told:?}");
    // SQL is checked on the file before, which tells nothing twice.
    let sql = place.run(&["ingest", "x.csv", "--table", "v", "--sql", "select id from chunk"]);
    assert_eq!(sql.stderr.matches(TOLD).count(), 1, "{sql:?}");
}

#[test]
fn all_lines_are_told_of_a_file_of_which_all_is_rejected() {
    let place = Place::new();
    place.write("x.csv", b"id,gap\nx,5 \xb5m\ny,7 \xb5m\n");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--schema", "id:int64"]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.stderr.contains("ENCODING=windows-1252"), "{ran:?}");
}
