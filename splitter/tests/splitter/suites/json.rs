//! `JSONTestSuite`: a value that must be accepted is loaded as it stands, one that must not is a rejected record.

use arrow::array::{Array, AsArray, RecordBatch};

use super::files;
use crate::one_file::{settings, split_file};

/// What becomes of a value: its text, `null`, or why it is rejected.
async fn outcome(value: &[u8]) -> Result<String, String> {
    let file = [b"{\"v\":0}\n{\"v\":", value, b"}\n"].concat();
    let split = split_file(file, settings(&[("FORMAT", "ndjson"), ("SCHEMA", "v:text")])).await;
    let split = split.map_err(|error| {
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    })?;
    let (rows, rejects) = (split.rows().await?, split.rejects().await);
    let taken: usize = rows.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(split.outcome.manifest.records, u64::try_from(taken + rejects.len()).unwrap());
    if let Some(reject) = rejects.first() {
        return Err(reject.reason.clone());
    }
    let values = rows.first().unwrap().column(0).as_string::<i32>();
    assert_eq!(values.len(), 2);
    Ok(if values.is_valid(1) { values.value(1).to_owned() } else { "null".to_owned() })
}

/// A value as it is to be loaded: strings without quotes and escapes, all else as it stands.
fn expected(value: &[u8]) -> String {
    match serde_json::from_slice(value).unwrap() {
        serde_json::Value::String(text) => text,
        _ => std::str::from_utf8(value).unwrap().trim().to_owned(),
    }
}

/// What the suite leaves to the reader, and is rejected here: bytes that are not UTF-8, and a byte order mark within the text.
const REJECTED: &[&str] = &[
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_UTF-8_invalid_sequence.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_UTF-8_BOM_empty_object.json",
];

#[tokio::test]
async fn values_are_taken_or_rejected_as_the_suite_says() {
    for (name, value) in files("JSONTestSuite/test_parsing") {
        // A value on several lines is none in NDJSON.
        let is_one_line = !value.trim_ascii().contains(&b'\n');
        let found = outcome(value.trim_ascii()).await;
        match name.split_at(2).0 {
            "y_" if is_one_line => assert_eq!(found, Ok(expected(&value)), "{name}"),
            "i_" => assert_eq!(found.is_err(), REJECTED.contains(&name.as_str()), "{name}: {found:?}"),
            _ => assert!(found.is_err(), "{name}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn values_that_are_never_closed_are_rejected_however_deep_they_are() {
    for open in ["[", "{\"\":", "[{\"\":"] {
        let found = outcome(open.repeat(50_000).as_bytes()).await.unwrap_err();
        assert!(found.starts_with("not a JSON object: "), "{found}");
    }
}
