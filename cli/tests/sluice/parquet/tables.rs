//! Delta tables of other writers: rows are appended, verified, merged and taken out again, and three readers see each step.

use super::python;
use crate::support::{Place, fixture};

/// Tables by Spark are archives of `fixtures/tables`; those by deltalake, Polars and `DuckDB` are made here.
#[test]
fn tables_of_others_are_appended_to_and_as_they_were_after_an_undo() {
    let folder = fixture("tables").canonicalize().unwrap();
    let script = format!(
        "import tables\nsources.report(tables.lines({:?}, {folder:?}, with_made=True))",
        env!("CARGO_BIN_EXE_sluice")
    );
    let found = python(&Place::new(), &script);
    let found: Vec<&str> = found.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let expected = std::fs::read_to_string(fixture("tables/outcomes.txt")).unwrap();
    assert_eq!(found, expected.lines().collect::<Vec<_>>());
}
