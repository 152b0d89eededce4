//! Parquet sources of other writers: each value as its writer reads it, or refused by name.

mod floats;
mod fuzz;
mod kinds;
mod messages;
mod nested;
mod partitions;
mod schemas;
mod suites;
mod tables;
mod types;

use std::path::Path;

use serde_json::Value;
use shared::testing::run_python;

use crate::support::{Place, Ran};

/// Runs a script with the real writers and readers in the folder of a test; gives the JSON document that it prints last.
pub(crate) fn python(place: &Place, script: &str) -> Value {
    let head = "import datetime, decimal, json, duckdb, polars, pyarrow as pa, pyarrow.parquet as pq\n\
                import deltalake, readers, sources\nD = decimal.Decimal\n";
    // Left at once: libraries with threads of their own may abort on the way out.
    let tail = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)";
    let printed = run_python(&place.path(""), &format!("{head}{script}{tail}"));
    printed.lines().last().map_or(Value::Null, |last| serde_json::from_str(last).unwrap())
}

/// `sluice ingest FILE --table TABLE`, columns by the names that the source has.
fn ingest(place: &Place, file: &str, table: &str) -> Ran {
    place.run(&["ingest", file, "--table", table, "--column-names", "keep", "--json"])
}

/// Ingests a file, which must go well; gives the report.
fn ingested(place: &Place, file: &str, table: &str) -> Value {
    let ran = ingest(place, file, table);
    assert_eq!(ran.status, 0, "{file}: {ran:?}");
    ran.json()
}

/// Ingests a file, which must be refused as bad input; gives what is said.
fn refused(place: &Place, file: &str, table: &str) -> String {
    let ran = ingest(place, file, table);
    assert_eq!(ran.status, 3, "{file}: {ran:?}");
    assert!(!ran.stderr.contains("backtrace") && !ran.stderr.contains("panicked"), "{file}: {ran:?}");
    ran.stderr
}

/// Versions of a table.
fn versions(table: &Path) -> usize {
    let entries = std::fs::read_dir(table.join("_delta_log")).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "json")).count()
}
