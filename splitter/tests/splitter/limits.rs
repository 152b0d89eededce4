//! What is refused, or rejected, beyond the limits of `docs/limits.md`, and how long it takes up to these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use shared::testing::MemoryStorage;
use shared::{Location, Manifest, Progress, PutMode, Settings, Storage};
use splitter::{SplitContext, SplitError, split};

fn at(key: &str) -> Location {
    Location::S3 { bucket: "b".to_owned(), key: key.to_owned() }
}

async fn split_with(source: impl Into<bytes::Bytes>, told: &[(&str, &str)]) -> Result<Manifest, String> {
    let objects = MemoryStorage::default();
    objects.put(&at("source"), source.into(), PutMode::Overwrite).await.unwrap();
    let told = |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, value)| (*value).to_owned());
    let context = SplitContext {
        storage: Arc::new(objects),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings: Settings::from_lookup(told).unwrap(),
        threads: 2,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let split = split(&context, &at("source")).await;
    split.map(|outcome| outcome.manifest).map_err(|error| {
        assert!(error.is_bad_input() || matches!(error, SplitError::Memory { .. }));
        let hint = SplitError::hint(&error).unwrap();
        format!("{error}\nhint: {hint}")
    })
}

/// A Parquet file of so many columns and row groups, each of one row.
fn parquet(columns: usize, row_groups: i64) -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..row_groups));
    let columns = (0..columns).map(|number| (format!("c{number}"), Arc::clone(&column)));
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1)).build();
    let mut file = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    // The writer goes one step deeper for each row group of a batch.
    (0..rows.num_rows()).for_each(|row| file.write(&rows.slice(row, 1)).unwrap());
    file.into_inner().unwrap()
}

fn csv_of(columns: usize) -> String {
    let header: Vec<String> = (0..columns).map(|number| format!("c{number}")).collect();
    format!("{}\n{}1\n", header.join(","), "1,".repeat(columns - 1))
}

#[tokio::test]
async fn columns() {
    assert_eq!(split_with(csv_of(10_000), &[]).await.unwrap().records, 1);
    let refused = "s3://b/source: it has 10001 columns, and a table may have 10000 at most\n\
        hint: have it written as several files of fewer columns, or with a row for each value instead of a column";
    assert_eq!(split_with(csv_of(10_001), &[]).await.unwrap_err(), refused);
    assert_eq!(split_with(parquet(10_001, 1), &[]).await.unwrap_err(), refused);
    // Of objects, those with other keys are rejected.
    let keys = |from: usize, to: usize| (from..to).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(",");
    let text = format!("{{{}}}\n{{{}}}\n{{{}}}\n", keys(0, 6000), keys(6000, 10_000), keys(9_999, 10_001));
    let split = split_with(text, &[]).await.unwrap();
    assert_eq!((split.records, split.quarantined), (3, 1));
    let key = |name: char| std::iter::repeat_n(name, 1 << 21).collect::<String>();
    let text: String = ['a', 'b', 'c'].map(|name| format!("{{\"{}\":1}}\n", key(name))).concat();
    let split = split_with(text, &[("INFER", "full"), ("FORMAT", "ndjson")]).await.unwrap();
    assert_eq!((split.records, split.quarantined), (3, 1));
}

#[tokio::test]
async fn header() {
    let header = |bytes: usize| format!("\"{}\",b\n1,2\n", "a".repeat(bytes));
    assert_eq!(split_with(header(1_000_000), &[]).await.unwrap().records, 1);
    insta::assert_snapshot!(split_with(header(1 << 20), &[]).await.unwrap_err(), @"
    s3://b/source: the header does not end within the first 1048576 bytes
    hint: is this a CSV file? check CSV_DELIMITER, CSV_QUOTE and CSV_SKIP_LINES, and that a quote in the header is closed
    ");
}

#[tokio::test]
async fn footer_of_parquet() {
    assert_eq!(split_with(parquet(100, 9), &[("MAX_FOOTER_MB", "2")]).await.unwrap().records, 9);
    let refused = split_with(parquet(100, 30), &[("MAX_FOOTER_MB", "2")]).await.unwrap_err();
    insta::assert_snapshot!(refused, @"
    s3://b/source: its footer, of 30 row groups with 3000 columns in all, would take about 4 MiB of memory, and MAX_FOOTER_MB=2 allows no more
    hint: have it written with larger row groups, or, with so much more memory, run with a higher MAX_FOOTER_MB
    ");
}

#[tokio::test]
async fn a_record_and_a_footer_that_there_is_no_memory_for() {
    let long = format!("a,b\n1,\"{}\"\n", "x".repeat(15 << 20));
    let refused = split_with(long.clone(), &[("MEMORY_MB", "128")]).await.unwrap_err();
    let hinted = refused.split_once("set MEMORY_MB=").and_then(|(_, hint)| hint.split_once(' ')).unwrap().0;
    assert!(refused.starts_with("the record near byte 4 of s3://b/source cannot be read: it needs "), "{refused}");
    assert_eq!(split_with(long, &[("MEMORY_MB", hinted)]).await.unwrap().records, 1);
    let refused = split_with(parquet(1000, 70), &[("MEMORY_MB", "128")]).await.unwrap_err();
    let hinted = refused.split_once("set MEMORY_MB=").and_then(|(_, hint)| hint.split_once(' ')).unwrap().0;
    assert!(refused.starts_with("the footer of s3://b/source cannot be read: it needs "), "{refused}");
    assert_eq!(split_with(parquet(1000, 70), &[("MEMORY_MB", hinted)]).await.unwrap().records, 70);
}

#[tokio::test]
async fn values_within_values() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let text = format!("{{\"a\":{}}}\n", deep(200_000));
    let split = split_with(text, &[]).await.unwrap();
    assert_eq!((split.records, split.quarantined), (1, 0));
}

/// How long it takes to split a source.
async fn seconds(source: String, told: &[(&str, &str)]) -> (Manifest, Duration) {
    let began = Instant::now();
    (split_with(source, told).await.unwrap(), began.elapsed())
}

#[tokio::test]
async fn quotes_that_are_left_open_cost_their_lines_and_no_more() {
    let mut text = "a,b\n".to_owned() + &"\"some text\",\"more \"\"text\"\" here\"\n".repeat(40_000);
    let clean = seconds(text.clone(), &[]).await.1;
    text += &"5\" pipe,\"6\n".repeat(20_000);
    let (split, took) = seconds(text, &[]).await;
    assert_eq!((split.records, split.quarantined), (60_000, 20_000));
    // It was a hundred times that.
    assert!(took < clean * 20 + Duration::from_secs(2), "{took:?}, and {clean:?} without them");
}

#[tokio::test]
async fn row_groups_of_a_chunk_that_is_nearly_full() {
    let source = parquet(4, 3000);
    let size = source.len();
    let began = Instant::now();
    let split = split_with(source, &[("CHUNK_SIZE_MB", "1")]).await.unwrap();
    let took = began.elapsed();
    assert_eq!(split.records, 3000);
    assert!(took < Duration::from_secs(20), "{size} bytes: {took:?}");
}
