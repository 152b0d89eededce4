//! Every fixture becomes what the model says.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Place, fixture, read};

#[derive(Deserialize)]
struct Model {
    files: Vec<Expected>,
    generated: Vec<Generated>,
}

#[derive(Deserialize)]
struct Expected {
    name: String,
    outcome: String,
    rows_read: u64,
    committed: u64,
    quarantined: Vec<Rejected>,
    #[serde(default)]
    columns: Vec<ExpectedColumn>,
}

#[derive(Deserialize)]
struct Generated {
    sha256: String,
    recipe: Recipe,
    name: String,
    outcome: String,
    rows_read: u64,
    committed: u64,
    quarantined: Vec<Rejected>,
    columns: Vec<ExpectedColumn>,
}

#[derive(Deserialize)]
struct Recipe {
    header: String,
    terminator: String,
    records: u64,
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
struct Override {
    record: u64,
    field: usize,
    value: String,
}

#[derive(Deserialize)]
struct Rejected {
    record: i64,
    byte_offset: i64,
    column: Option<String>,
    reason_contains: String,
}

#[derive(Deserialize)]
struct ExpectedColumn {
    name: String,
    #[serde(rename = "type")]
    column_type: Option<String>,
    nulls: usize,
    sum: Option<String>,
    text_bytes: Option<usize>,
    values: Option<Vec<Option<serde_json::Value>>>,
}

fn model() -> Model {
    serde_json::from_str(&std::fs::read_to_string(fixture("model.json")).unwrap()).unwrap()
}

#[test]
fn every_fixture_becomes_what_the_model_says() {
    let model = model();
    assert!(model.files.len() > 30, "the model has all fixtures");
    for expected in &model.files {
        println!("{}", expected.name);
        check(&Place::new(), &fixture(&expected.name), expected);
    }
}

#[test]
fn a_value_that_does_not_fit_late_in_the_file_is_quarantined() {
    for generated in model().generated {
        let recipe = &generated.recipe;
        let mut text = recipe.header.clone() + &recipe.terminator;
        for n in 1..=recipe.records {
            let mut fields = [n.to_string(), (n % 1000).to_string(), format!("late misfit row {n}")];
            for change in recipe.overrides.iter().filter(|change| change.record == n) {
                fields[change.field].clone_from(&change.value);
            }
            text += &(fields.join(",") + &recipe.terminator);
        }
        let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, generated.sha256, "the recipe gives the file of the model");
        let place = Place::new();
        let source = place.write(&generated.name, text);
        let Generated { name, outcome, rows_read, committed, quarantined, columns, .. } = generated;
        check(&place, &source, &Expected { name, outcome, rows_read, committed, quarantined, columns });
    }
}

fn check(place: &Place, source: &std::path::Path, expected: &Expected) {
    if expected.outcome == "bad_input" {
        let ran = place.run(&["ingest", source.to_str().unwrap(), "--table", "t"]);
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(!place.path("t/_delta_log").exists(), "no table is made of {}", expected.name);
        return;
    }
    let report = place.ingest(source, &[]);
    let quarantined = u64::try_from(expected.quarantined.len()).unwrap();
    let rows = json!({
        "read": expected.rows_read, "committed": expected.committed, "filtered": 0, "quarantined": quarantined, "added": 0,
    });
    assert_eq!(report["rows"], rows, "{}", expected.name);
    if expected.outcome == "empty" {
        assert!(!place.path("t/_delta_log").exists(), "no table is made of {}", expected.name);
        return;
    }
    let table = place.rows();
    let names: Vec<&str> = table.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    let expected_names: Vec<&str> = expected.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, expected_names, "{}", expected.name);
    for (column, array) in expected.columns.iter().zip(table.columns()) {
        check_column(&expected.name, column, array);
    }
    check_quarantine(place, &report, expected);
}

fn check_column(file: &str, expected: &ExpectedColumn, array: &ArrayRef) {
    let at = format!("{file}, column {}", expected.name);
    let found = match array.data_type() {
        DataType::Boolean => "boolean",
        DataType::Int64 => "int64",
        DataType::Float64 => "float64",
        DataType::Date32 => "date32",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp_utc",
        DataType::Decimal128(38, 0) => "decimal(38,0)",
        DataType::Utf8 => "utf8",
        _ => "other",
    };
    let Some(column_type) = &expected.column_type else { return };
    assert_eq!(found, column_type, "{at}");
    assert_eq!(array.null_count(), expected.nulls, "{at}: nulls");
    match column_type.as_str() {
        "int64" => {
            let sum: i128 = array.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum();
            assert_eq!(Some(sum.to_string()), expected.sum, "{at}: sum");
        }
        "decimal(38,0)" => {
            let sum: i128 = array.as_primitive::<Decimal128Type>().iter().flatten().sum();
            assert_eq!(Some(sum.to_string()), expected.sum, "{at}: sum");
        }
        "float64" => {
            let sum: f64 = array.as_primitive::<Float64Type>().iter().flatten().sum();
            let exact: f64 = expected.sum.as_ref().unwrap().parse().unwrap();
            assert!((sum - exact).abs() <= exact.abs() * 1e-12 + 1e-9, "{at}: sum {sum}, expected {exact}");
        }
        "utf8" => {
            let bytes = array.as_string::<i32>().iter().flatten().map(str::len).sum::<usize>();
            assert_eq!(Some(bytes), expected.text_bytes, "{at}: bytes of text");
            if let Some(values) = &expected.values {
                let found: Vec<_> =
                    array.as_string::<i32>().iter().map(|value| value.map(|text| json!(text))).collect();
                assert_eq!(&found, values, "{at}: values");
            }
        }
        _ => {}
    }
}

fn check_quarantine(place: &Place, report: &serde_json::Value, expected: &Expected) {
    if expected.quarantined.is_empty() {
        assert!(report["quarantine"].is_null(), "{}", expected.name);
        return;
    }
    let folder = report["quarantine"].as_str().unwrap().replace("[place]", place.path("").to_str().unwrap());
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let rejects: Vec<RecordBatch> = files.iter().map(|file| read(file)).collect();
    let rejects = arrow::compute::concat_batches(&rejects[0].schema(), &rejects).unwrap();
    assert_eq!(rejects.num_rows(), expected.quarantined.len(), "{}", expected.name);
    let number = |name: &str| rejects.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let text = |name: &str| rejects.column_by_name(name).unwrap().as_string::<i32>().clone();
    let source = std::fs::read(place.path(&expected.name)).or_else(|_| std::fs::read(fixture(&expected.name))).unwrap();
    for (row, rejected) in expected.quarantined.iter().enumerate() {
        let at = format!("{}, reject {row}", expected.name);
        assert_eq!(number("record_number").value(row), rejected.record, "{at}");
        assert_eq!(number("byte_offset").value(row), rejected.byte_offset, "{at}");
        let columns = text("column");
        let column = columns.is_valid(row).then(|| columns.value(row).to_owned());
        assert_eq!(column, rejected.column, "{at}");
        let reason = text("reason").value(row).to_lowercase();
        assert!(reason.contains(&rejected.reason_contains), "{at}: {reason}");
        // The raw bytes are those of the source at that very place.
        let raw = rejects.column_by_name("raw").unwrap().as_binary::<i32>().value(row).to_vec();
        let start = usize::try_from(rejected.byte_offset).unwrap();
        assert_eq!(&source[start..start + raw.len()], raw, "{at}");
        assert!(source.get(start + raw.len()).is_none_or(|byte| b"\r\n".contains(byte)), "{at}: the whole record");
    }
}
