//! What the values of a source become, from its text to the chunks: types found, declared, and of the table; and what
//! becomes of a value that the sample did not tell of.

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::testing::MemoryStorage;
use shared::{Format, Location, Progress, PutMode, Settings, Storage};
use splitter::{SplitContext, examine, split};

fn at(key: &str) -> Location {
    Location::S3 { bucket: "b".to_owned(), key: key.to_owned() }
}

/// What came of a split: names and types, rows as text, and rejected records.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) columns: String,
    pub(crate) rows: Vec<String>,
    pub(crate) rejects: Vec<String>,
}

/// What splits a text that is bound for a table with such fields.
async fn context(objects: &MemoryStorage, text: &[u8], told: &[(&str, &str)], table_fields: &str) -> SplitContext {
    objects.put(&at("source"), text.to_vec().into(), PutMode::Overwrite).await.unwrap();
    let schema = serde_json::json!(format!("{{\"type\":\"struct\",\"fields\":[{table_fields}]}}"));
    let log = format!("{{\"metaData\":{{\"schemaString\":{schema}}}}}\n");
    objects.put(&at("table/_delta_log/00000000000000000000.json"), log.into(), PutMode::Overwrite).await.unwrap();
    let told = |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, value)| (*value).to_owned());
    SplitContext {
        storage: Arc::new(objects.clone()),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: Some(at("table")),
        settings: Settings::from_lookup(told).unwrap(),
        threads: 2,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    }
}

/// Splits a text; the error as text.
pub(crate) async fn load(text: impl AsRef<[u8]>, told: &[(&str, &str)], table_fields: &str) -> Result<Loaded, String> {
    let objects = MemoryStorage::default();
    let context = context(&objects, text.as_ref(), told, table_fields).await;
    let outcome = split(&context, &at("source")).await.map_err(|error| shared::error_chain(&error))?;
    let columns = match &outcome.job.policy.format {
        Format::Csv(csv) => &csv.columns,
        Format::Ndjson(json) => &json.columns,
        Format::Parquet { .. } => return Err("Parquet".to_owned()),
    };
    let columns: Vec<String> = columns.iter().map(|column| format!("{}:{}", column.name, column.column_type)).collect();
    let rows_below = |folder: &str| {
        let below = move |(place, _): &(Location, bytes::Bytes)| place.key().contains(folder);
        objects.objects().into_iter().filter(below).flat_map(|(_, body)| rows(body)).collect::<Vec<String>>()
    };
    Ok(Loaded { columns: columns.join(" "), rows: rows_below("/chunks/"), rejects: rows_below("/quarantine/") })
}

/// The rows of a Parquet file, cell by cell.
fn rows(body: bytes::Bytes) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(body).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader.map(Result::unwrap) {
        let options = FormatOptions::default().with_null("∅");
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ");
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}

#[tokio::test]
async fn types_are_found_declared_or_of_the_table() {
    let long = "{\"name\":\"N\",\"type\":\"long\"},{\"name\":\"t\",\"type\":\"string\"}";
    let day = "{\"name\":\"d\",\"type\":\"date\"}";
    for (text, told, table, expected) in [
        ("n,t\n1,1.10\n", &[][..], "", "n:int64 t:float64\n1 | 1.1"),
        ("n,t\n001,1.10\n", &[], long, "n:int64 t:text\n1 | 1.10"),
        ("n,t\n001,1.10\n", &[("TRANSFORM_SQL", "select 1")], long, "n:text t:float64\n001 | 1.1"),
        ("n,t\n001,NA\n", &[("SCHEMA", "n:text,t:decimal(5,2)")], long, "n:text t:decimal(5,2)\n001 | ∅"),
        ("n,t\n001,NA\n", &[("INFER", "none")], "", "n:text t:text\n001 | NA"),
        ("n,t\n001,NA\n", &[("INFER", "none"), ("SCHEMA", "n:int64")], "", "n:int64 t:text\n1 | NA"),
        ("d,x\n31.01.2013,1\n", &[], day, "d:date x:int64\n2013-01-31 | 1"),
        ("d,x\n20130131,1\n", &[], day, "d:date x:int64\n2013-01-31 | 1"),
        ("d,x\n20130131,1\n", &[], "", "d:int64 x:int64\n20130131 | 1"),
        ("n;p\n1;1,50\n2;2,25\n", &[("CSV_DECIMAL", ",")], "", "n:int64 p:float64\n1 | 1.5\n2 | 2.25"),
        ("{\"n\":1,\"t\":\"1\"}\n", &[], "", "n:int64 t:text\n1 | 1"),
        ("\u{feff}{\"n\":1}\n{\"n\":2.50}\n", &[], "", "n:float64\n1.0\n2.5"),
        ("{\"n\":1,\"t\":1.10}\n", &[], long, "n:int64 t:text\n1 | 1.10"),
        ("{\"n\":1}\n{\"n\":2}\n", &[("INFER", "none")], "", "n:text\n1\n2"),
        ("{\"n\":1}\n{\"n\":2}\n", &[("INFER", "full")], "", "n:int64\n1\n2"),
        ("{\"n\":\"-\"}\n{\"n\":\"2013-01-31\"}\n", &[("NULL_WORDS", "-")], "", "n:date\n∅\n2013-01-31"),
        ("{\"N\":1}\n", &[("SCHEMA", "late:date")], "", "n:int64 late:date\n1 | ∅"),
    ] {
        let loaded = load(text, told, table).await.unwrap();
        let found = format!("{}\n{}", loaded.columns, loaded.rows.join("\n"));
        assert_eq!(found, expected, "{text} {told:?}");
        assert!(loaded.rejects.is_empty(), "{text}: {:?}", loaded.rejects);
    }
}

#[tokio::test]
async fn what_cannot_be_settled_is_told_of() {
    for (text, told, expected) in [
        (
            "d,x\n01/02/2013,1\n",
            &[("SCHEMA", "d:date")][..],
            "s3://b/source, column 'd': dates such as '01/02/2013' may be DD/MM/YYYY or MM/DD/YYYY",
        ),
        ("a,b\n1,2\n", &[("SCHEMA", "c:int64")], "s3://b/source: SCHEMA has a column 'c', the source has a, b"),
        ("[{\"a\":1},\n{\"a\":2}]\n", &[], "s3://b/source: this is one JSON array of objects, not one object a line"),
        (
            "{\"id\":1,\"v\":NaN}\n{\"id\":2,\"v\":1.5}\n",
            &[],
            "s3://b/source: line 1 is not a JSON object: expected value at byte 13 of the line, at 'NaN}'",
        ),
        ("{\n\"a\":1}\n", &[], "s3://b/source: this is JSON, but not one object a line"),
        ("x\n", &[("FORMAT", "ndjson")], "s3://b/source: no object with a key was found"),
        ("a,b\n1,2\n", &[("FORMAT", "parquet")], "s3://b/source: this Parquet file of 8 bytes does not end as one"),
    ] {
        assert_eq!(load(text, told, "").await.unwrap_err(), expected, "{text}");
    }
}

/// A CSV whose sample has integers, and one more record that the sample does not have.
fn surprise(value: &str) -> String {
    let numbers = |range: std::ops::Range<u32>| range.map(|n| n.to_string() + ",x\n").collect::<String>();
    // The sample's first part is 1 MiB; right behind it nothing is looked at.
    format!("n,t\n{}{value},x\n{}", numbers(1_000_000..1_120_000), numbers(2_000_000..2_060_000))
}

#[tokio::test]
async fn a_later_value_that_does_not_fit_is_a_matter_of_policy() {
    for (value, policy, expected) in [
        (
            "1.5",
            "quarantine",
            Ok(("n:int64 t:text", 180_000, "120001 | 1200004 | n | '1.5' is not an integer of 64 bits")),
        ),
        ("1.5", "null", Ok(("n:int64 t:text", 180_001, ""))),
        (
            "1.5",
            "fail",
            Err("s3://b/source, record 120001, byte 1200004, column 'n': '1.5' is not an integer of 64 bits"),
        ),
        ("1.5", "widen", Ok(("n:float64 t:text", 180_001, ""))),
        ("many", "widen", Ok(("n:text t:text", 180_001, ""))),
        ("1,2", "widen", Ok(("n:int64 t:text", 180_000, "120001 | 1200004 | ∅ | 3 fields where 2 are expected"))),
    ] {
        let loaded = load(&surprise(value), &[("BAD_RECORDS", policy)], "").await;
        let found = loaded.map(|loaded| {
            let reasons = loaded.rejects.iter().filter_map(|reject| Some(reject.rsplit_once(" | ")?.0.to_owned()));
            (loaded.columns, loaded.rows.len(), reasons.collect::<Vec<_>>().join("\n"))
        });
        let expected = expected.map(|(columns, rows, rejects)| (columns.to_owned(), rows, rejects.to_owned()));
        assert_eq!(found, expected.map_err(str::to_owned), "{value} {policy}");
    }
}

#[tokio::test]
async fn a_key_that_comes_late_is_a_matter_of_policy() {
    let lines =
        |range: std::ops::Range<u32>| range.map(|n| "{\"n\":".to_owned() + &n.to_string() + "}\n").collect::<String>();
    let text = format!("{}{{\"n\":1,\"k\":2}}\n{}", lines(1_000_000..1_090_000), lines(2_000_000..2_040_000));
    for (told, columns, rows, rejects) in [
        (&[][..], "n:int64", 130_000, 1),
        (&[("SCHEMA", "k:int64")], "n:int64 k:int64", 130_001, 0),
        (&[("BAD_RECORDS", "widen")], "n:int64 k:int64", 130_001, 0),
    ] {
        let loaded = load(&text, told, "").await.unwrap();
        let found = (loaded.columns.as_str(), loaded.rows.len(), loaded.rejects.len());
        assert_eq!(found, (columns, rows, rejects), "{told:?} {:?}", loaded.rejects);
    }
}

#[tokio::test]
async fn examining_tells_what_types_follow_from_and_writes_nothing() {
    let objects = MemoryStorage::default();
    let text = "id,price,d\n1,1.10,01/02/2013\n2,,05/02/2013\nx,2.20,03/04/2013\n";
    let context = context(&objects, text.as_bytes(), &[], "").await;
    let before = objects.objects().len();
    let examined = examine(&context, &at("source")).await.unwrap();
    assert_eq!(objects.objects().len(), before);
    let Format::Csv(csv) = &examined.policy.format else { unreachable!("it is a CSV") };
    let lines = csv.columns.iter().zip(&examined.evidence).map(|(column, evidence)| {
        let against: Vec<String> = evidence.against().map(|(kind, value)| format!("{kind} {value}")).collect();
        let (values, nulls) = (evidence.values(), evidence.nulls());
        let ambiguous = evidence.ambiguous_dates().map(|formats| formats.map(|format| format.to_string()).join(" or "));
        format!("{}:{} {values} {nulls} {} {ambiguous:?}", column.name, column.column_type, against.join(", "))
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    id:text 3 0 boolean 1, int64 x, float64 x, decimal x, date 1, timestamp 1, timestamp_utc 1 None
    price:float64 2 1 boolean 1.10, int64 1.10, date 1.10, timestamp 1.10, timestamp_utc 1.10 None
    d:text 3 0 boolean 01/02/2013, int64 01/02/2013, float64 01/02/2013, decimal 01/02/2013, timestamp 01/02/2013, timestamp_utc 01/02/2013 Some("DD/MM/YYYY or MM/DD/YYYY")
    "#);
}
