//! csv-spectrum: each file becomes the cells that its JSON has.

use arrow::array::{Array, AsArray, RecordBatch};
use serde_json::Value;
use shared::{Column, Format};

use super::files;
use crate::one_file::{settings, split_file};

/// The rows as objects, with the names of the source; an empty field is null, and an empty string there.
fn objects(rows: &[RecordBatch], columns: &[Column]) -> Value {
    let cell = |rows: &RecordBatch, column: usize, row: usize| {
        let texts = rows.column(column).as_string::<i32>();
        let text = if texts.is_valid(row) { texts.value(row) } else { "" };
        (columns[column].source_name.clone(), Value::from(text))
    };
    let object = |rows: &RecordBatch, row| {
        let cells = (0..rows.num_columns()).map(|column| cell(rows, column, row));
        Value::Object(cells.collect())
    };
    rows.iter().flat_map(|rows| (0..rows.num_rows()).map(|row| object(rows, row))).collect()
}

#[tokio::test]
async fn cells_are_those_of_the_suite() {
    let expected = files("csv-spectrum/json");
    let csvs = files("csv-spectrum/csvs");
    assert_eq!(csvs.len(), 12);
    for (name, csv) in csvs {
        let split = split_file(csv, settings(&[("INFER", "none")])).await.unwrap();
        let Format::Csv(policy) = &split.outcome.job.policy.format else { panic!("{name} is no CSV") };
        let mut expected: Value = serde_json::from_slice(&expected[&name.replace(".csv", ".json")]).unwrap();
        if name == "location_coordinates.csv" {
            // One object, with another number than there is in the CSV.
            expected["Contact Phone Number"] = "2095257564".into();
            expected = vec![expected].into();
        }
        assert_eq!(objects(&split.rows().await.unwrap(), &policy.columns), expected, "{name}");
        assert_eq!(split.rejects().await, [], "{name}");
    }
}
