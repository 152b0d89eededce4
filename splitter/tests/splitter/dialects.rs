//! Dialects and records without an end, through the whole splitter.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::testing::MemoryStorage;
use shared::{Format, Location, Progress, PutMode, Settings, Storage};
use splitter::{SplitContext, SplitError, SplitOutcome, split};

fn at(key: &str) -> Location {
    Location::S3 { bucket: "b".to_owned(), key: key.to_owned() }
}

async fn split_by(objects: &MemoryStorage, variables: &[(&str, &str)]) -> Result<SplitOutcome, SplitError> {
    let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let context = SplitContext {
        storage: Arc::new(objects.clone()),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings: Settings::from_lookup(lookup).unwrap(),
        threads: 2,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    split(&context, &at("source.csv")).await
}

async fn drop_file(text: &str) -> MemoryStorage {
    let objects = MemoryStorage::default();
    objects.put(&at("source.csv"), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    objects
}

/// Number, place, reason and text of each rejected record.
fn rejects(objects: &MemoryStorage) -> Vec<String> {
    let parts = objects.objects().into_iter().filter(|(place, _)| place.key().contains("/quarantine/"));
    let mut rejects = Vec::new();
    for (_, body) in parts {
        for batch in ParquetRecordBatchReaderBuilder::try_new(body).unwrap().build().unwrap().map(Result::unwrap) {
            let number = |name: &str, row| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row);
            let reasons = batch.column_by_name("reason").unwrap().as_string::<i32>();
            let raw = batch.column_by_name("raw").unwrap().as_binary::<i32>();
            rejects.extend((0..batch.num_rows()).map(|row| {
                let text = String::from_utf8_lossy(raw.value(row));
                let (record, byte) = (number("record_number", row), number("byte_offset", row));
                format!("{record} at {byte}: {text}: {}", reasons.value(row))
            }));
        }
    }
    rejects
}

#[tokio::test]
async fn a_quote_that_is_never_closed_costs_its_line() {
    let text = "id,note\n1,a\n2,\"b\n3,c\n4,d\n";
    let objects = drop_file(text).await;
    let manifest = split_by(&objects, &[]).await.unwrap().manifest;
    assert_eq!((manifest.records, manifest.quarantined), (4, 1));
    insta::assert_snapshot!(rejects(&objects).join("\n"), @r#"2 at 12: 2,"b: the file ends inside a quoted field of the record that begins here; its first line is kept, up to 1 MiB, and the next record begins after this line"#);
    // Not so for those who want none of it.
    let error = split_by(&drop_file(text).await, &[("BAD_RECORDS", "fail")]).await.unwrap_err();
    insta::assert_snapshot!(error, @"s3://b/source.csv, byte 12: the file ends inside a quoted field of the record that begins here");
}

#[tokio::test]
async fn a_record_that_is_too_long_costs_its_line() {
    let text = format!("id,note\n1,a\n2,\"b\n{}", format!("3,{}\n", "c".repeat(1000)).repeat(6000));
    let settings = [("MAX_RECORD_MB", "1"), ("CSV_QUOTE", "\"")];
    let objects = drop_file(&text).await;
    let manifest = split_by(&objects, &settings).await.unwrap().manifest;
    assert_eq!((manifest.records, manifest.quarantined), (6002, 1));
    insta::assert_snapshot!(rejects(&objects).join("\n"), @r#"2 at 12: 2,"b: the record that begins here is longer than MAX_RECORD_MB=1; its first line is kept, up to 1 MiB, and the next record begins after this line"#);
    let settings = [settings.as_slice(), &[("BAD_RECORDS", "fail")]].concat();
    let error = split_by(&drop_file(&text).await, &settings).await.unwrap_err();
    insta::assert_snapshot!(error, @"s3://b/source.csv, byte 12: the record that begins here is longer than MAX_RECORD_MB=1");
}

#[tokio::test]
async fn what_was_found_first_holds() {
    let objects = drop_file("# by hand\nid;amount\n1;2,5\n2;3,75\n").await;
    let found = split_by(&objects, &[]).await.unwrap();
    let again = split_by(&objects, &[("CSV_DELIMITER", ","), ("CSV_HEADER", "false")]).await.unwrap();
    assert_eq!(found.job, again.job);
    let Format::Csv(csv) = &found.job.policy.format else { panic!("no CSV") };
    assert_eq!((csv.dialect.delimiter, csv.dialect.decimal, csv.data_start), (';', ',', 20));
    let names: Vec<_> = csv.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "amount"]);
}
