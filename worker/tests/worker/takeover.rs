//! Chunks that become data files as they are: which do, and that readers of the table cannot tell.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int8Array, Int32Array, Int64Array,
    LargeStringArray, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use deltalake::kernel::StructField;
use deltalake::{DeltaTable, kernel};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use proptest::prelude::*;
use serde_json::Value;
use shared::{ChunkEntry, CommitMode, DataFileMode, PutMode, checksum::Checksum};
use worker::{Finding, verify};

use crate::compact::WITHIN;
use crate::support::{Load, World, batch, expected, longs, message, numbered, strings, world};

impl World {
    /// The finding, the rows that there are, and how many chunks differ.
    async fn verified(&self) -> (Finding, u64, usize) {
        let verified = verify(&self.context, &self.table, &self.job.job_id, &self.area).await.unwrap();
        (verified.finding, verified.found.rows, verified.differing.len())
    }

    async fn load_file(&self, index: u32, bytes: Vec<u8>, rows: usize) {
        let mut checksum = Checksum::default();
        checksum.update(&bytes);
        let entry = ChunkEntry { index, rows: rows as u64, bytes: bytes.len() as u64, checksum: checksum.text() };
        self.context.storage.put(&self.area.chunk(index), bytes.into(), PutMode::Overwrite).await.unwrap();
        self.load_done(&[message(&entry.task(&self.area, &self.job.job_id).body().unwrap())]).await;
    }

    async fn create(&self, fields: Vec<StructField>, setting: Option<(&str, &str)>) {
        std::fs::create_dir_all(self.table.key()).unwrap();
        let table = DeltaTable::try_from_url(url::Url::from_directory_path(self.table.key()).unwrap()).await;
        let made = table.unwrap().create().with_columns(fields);
        made.with_configuration(setting.map(|(key, value)| (key, Some(value)))).await.unwrap();
    }
}

/// Whether an `add` names a chunk as it was, whose bytes those are.
fn is_chunk(world: &World, add: &Value) -> bool {
    let Some(tag) = add.pointer("/tags/sluice.checksum") else { return false };
    let bytes = std::fs::read(std::path::Path::new(world.table.key()).join(add["path"].as_str().unwrap())).unwrap();
    let mut checksum = Checksum::default();
    checksum.update(&bytes);
    assert_eq!((tag, &add["size"]), (&Value::from(checksum.text()), &Value::from(bytes.len())));
    true
}

fn written(rows: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build())).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

fn column(values: impl arrow::array::Array + 'static) -> RecordBatch {
    batch(vec![("v", Arc::new(values))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_chunks_are_taken_over() {
    let plain = WriterProperties::builder;
    let codec = |codec| plain().set_compression(codec);
    let one = || column(Int64Array::from(vec![1]));
    let required = RecordBatch::try_new(
        Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, false)])),
        one().columns().to_vec(),
    );
    let pair = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int64, true)), longs(&[Some(1)]))]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    let split = plain().set_column_encoding("v".into(), Encoding::BYTE_STREAM_SPLIT).set_dictionary_enabled(false);
    let load = Load::default;
    for (what, load, rows, properties, is_taken) in [
        ("plain", load(), one(), plain(), true),
        ("snappy", load(), one(), codec(Compression::SNAPPY), true),
        ("zstd", load(), one(), codec(Compression::ZSTD(parquet::basic::ZstdLevel::default())), true),
        ("a codec that Spark has late", load(), one(), codec(Compression::LZ4_RAW), false),
        ("an encoding that Spark has late", load(), column(Float64Array::from(vec![1.5])), split, false),
        ("no null possible", load(), required.unwrap(), plain(), true),
        ("whole files", Load { commit: CommitMode::File, ..load() }, one(), plain(), true),
        ("by the settings", Load { data_files: DataFileMode::Rewritten, ..load() }, one(), plain(), false),
        ("SQL", Load { sql: Some("select * from chunk"), ..load() }, one(), plain(), false),
        ("others' row groups", Load { of_parquet: true, ..load() }, one(), plain(), false),
        ("a large text", load(), column(LargeStringArray::from(vec!["a"])), plain(), false),
        ("no sign", load(), column(UInt32Array::from(vec![1])), plain(), false),
        ("milliseconds", load(), column(TimestampMillisecondArray::from(vec![1])), plain(), false),
        ("a byte", load(), column(Int8Array::from(vec![1])), plain(), true),
        ("bytes", load(), column(BinaryArray::from(vec![b"a".as_slice()])), plain(), true),
        ("a struct", load(), column(pair), plain(), true),
        ("a list of items that Delta names otherwise", load(), column(list), plain(), false),
    ] {
        let whole = load.commit == CommitMode::File;
        let world = World::new(load).await;
        if whole {
            let bytes = written(&rows, properties);
            let mut checksum = Checksum::default();
            checksum.update(&bytes);
            let entry = ChunkEntry { index: 0, rows: 1, bytes: bytes.len() as u64, checksum: checksum.text() };
            world.manifest(vec![entry]).await;
            world.load_file(0, bytes, 1).await;
        } else {
            world.load_file(0, written(&rows, properties), 1).await;
        }
        let adds = world.all_adds();
        assert_eq!(adds.iter().map(|add| is_chunk(&world, add)).collect::<Vec<_>>(), [is_taken], "{what}");
        assert_eq!(world.chunk_receipt(0).await.checksum.is_some(), is_taken, "{what}");
        assert_eq!(world.verified().await, (Finding::Equal, 1, 0), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_table_must_be_like() {
    use kernel::DataType as T;
    let named = |name: &str, data_type, nullable| StructField::new(name, data_type, nullable);
    let nullable = || vec![named("id", T::LONG, true), named("name", T::STRING, true)];
    let ids_only = || batch(vec![("id", longs(&[Some(1), Some(2)]))]);
    let with_null = || batch(vec![("id", longs(&[Some(1), None])), ("name", strings(&[Some("a"), Some("b")]))]);
    for (what, fields, setting, rows, is_taken) in [
        ("the same", nullable(), None, numbered(0..2), true),
        ("a column more", nullable(), None, ids_only(), true),
        ("a column less", vec![named("id", T::LONG, true)], None, numbered(0..2), true),
        ("other letters", vec![named("ID", T::LONG, true)], None, numbered(0..2), false),
        ("another type", vec![named("id", T::INTEGER, true)], None, numbered(0..2), false),
        ("another order", nullable().into_iter().rev().collect(), None, numbered(0..2), true),
        ("not null", vec![named("id", T::LONG, false)], None, numbered(0..2), true),
        ("not null, and there is one", vec![named("id", T::LONG, false)], None, with_null(), false),
        ("not null, and missing", vec![named("x", T::LONG, true), named("id", T::LONG, true)], None, ids_only(), true),
        ("small files wanted", nullable(), Some(("delta.targetFileSize", "100")), numbered(0..2), false),
        ("large files wanted", nullable(), Some(("delta.targetFileSize", "1gb")), numbered(0..2), true),
    ] {
        let world = world().await;
        world.create(fields, setting).await;
        let task = world.chunk(0, &rows).await;
        world.load_done(&[task]).await;
        let adds = world.all_adds();
        assert_eq!(adds.iter().map(|add| is_chunk(&world, add)).collect::<Vec<_>>(), [is_taken], "{what}");
        let read = world.chunk_receipt(0).await.rows;
        assert_eq!(world.rows().await.len() as u64, read.committed, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_with_other_bytes_is_refused_and_leaves_nothing() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    let at = world.area.chunk(0);
    let mut bytes = world.context.storage.get(&at).await.unwrap().to_vec();
    bytes[20] ^= 1;
    world.context.storage.put(&at, bytes.into(), PutMode::Overwrite).await.unwrap();
    let reason = world.rejected(task).await;
    assert!(reason.contains("is damaged: its checksum is crc64nvme:"), "{reason}");
    assert!(world.no_table() && world.files_on_disk() == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chunk_stays_and_a_redelivery_adds_nothing() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(std::slice::from_ref(&task)).await;
    assert!(world.context.storage.stat(&world.area.chunk(0)).await.is_ok());
    world.load_done(&[task]).await;
    assert_eq!((world.rows().await, world.files_on_disk()), (expected(0..10), 1));
}

/// Of two attempts one wrote rows again and died, and the other tells what it would have done: the rows tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_of_another_attempt_are_no_false_alarm() {
    let mut world = World::new(Load { data_files: DataFileMode::Rewritten, ..Load::default() }).await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(std::slice::from_ref(&task)).await;
    let mut receipt = world.chunk_receipt(0).await;
    receipt.row_hash = None;
    let entry = world.store(0, &numbered(0..10)).await;
    receipt.checksum = Some(entry.checksum);
    shared::put_json(world.context.storage.as_ref(), &world.area.chunk_receipt(0), &receipt, PutMode::Overwrite)
        .await
        .unwrap();
    world.restart();
    assert_eq!(world.verified().await, (Finding::Equal, 10, 0));

    world.context.storage.delete(&world.area.chunk(0)).await.unwrap();
    assert_eq!(world.verified().await, (Finding::Untold, 10, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_other_bytes_is_told() {
    let world = world().await;
    let tasks = [world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await];
    world.load_done(&tasks).await;
    assert_eq!(world.verified().await, (Finding::Equal, 20, 0));
    let path = std::path::Path::new(world.table.key()).join(world.all_adds()[1]["path"].as_str().unwrap());
    std::fs::write(&path, crate::support::encode(&numbered(20..30))).unwrap();
    assert_eq!(world.verified().await, (Finding::Differs, 20, 1));
}

/// Merged files are not chunks any more, so their rows are compared, with those of the chunks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_files_are_verified_by_the_chunks() {
    let world = world().await;
    for index in 0..2 {
        let first = i64::from(index) * 10;
        let task = world.chunk(index, &numbered(first..first + 10)).await;
        world.load_done(&[task]).await;
    }
    assert_eq!(world.compact(WITHIN).await.made, 1);
    assert_eq!(world.verified().await, (Finding::Equal, 20, 0));
    world.store(1, &numbered(20..30)).await;
    let damaged = verify(&world.context, &world.table, &world.job.job_id, &world.area).await;
    assert!(damaged.unwrap_err().reason().contains("its checksum is"));
    world.context.storage.delete(&world.area.chunk(1)).await.unwrap();
    assert_eq!(world.verified().await, (Finding::Untold, 20, 1));
}

/// Where some files of a job are merged and others are chunks still, the rows of all are compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_that_is_partly_merged_rows_are_verified() {
    let world = world().await;
    for index in 0..3 {
        let first = i64::from(index) * 10;
        let task = world.chunk(index, &numbered(first..first + 10)).await;
        world.load_done(&[task]).await;
        if index == 1 {
            assert_eq!(world.compact(WITHIN).await.made, 1);
        }
    }
    assert_eq!(world.verified().await, (Finding::Equal, 30, 0));
    for index in 0..3 {
        world.context.storage.delete(&world.area.chunk(index)).await.unwrap();
    }
    assert_eq!(world.verified().await, (Finding::Untold, 30, 1), "as many rows, and nothing to compare them with");
}

/// Columns of every type that Delta and a chunk of text have in common, and some more.
fn all_types() -> impl Strategy<Value = RecordBatch> {
    let edge = |edges: Vec<i64>| prop_oneof![proptest::sample::select(edges), any::<i64>()];
    let long = proptest::option::of(edge(vec![0, -1, i64::MIN, i64::MAX]));
    let day = proptest::option::of(-700_000..2_900_000_i32);
    let moment = proptest::option::of(-62_000_000_000_000_000..250_000_000_000_000_000_i64);
    let float = proptest::option::of(prop_oneof![
        proptest::sample::select(vec![0.0, -0.0, 1.5, f64::MIN, f64::MAX, f64::INFINITY, f64::NEG_INFINITY]),
        any::<f64>().prop_filter("a number", |float| !float.is_nan())
    ]);
    let decimal = proptest::option::of(-(10_i128.pow(30))..10_i128.pow(30));
    let text = proptest::option::of("[a-zé\u{10FFFF} ]{0,40}");
    let row = (long, day, moment, float, decimal, text, proptest::option::of(any::<bool>()));
    proptest::collection::vec(row, 1..400).prop_map(|rows| {
        let get = |value: fn(&i128) -> i128, rows: Vec<Option<i128>>| {
            rows.iter().map(|row| row.as_ref().map(value)).collect::<Vec<_>>()
        };
        let longs: Int64Array = rows.iter().map(|row| row.0).collect();
        let days: Date32Array = rows.iter().map(|row| row.1).collect();
        let moments: TimestampMicrosecondArray = rows.iter().map(|row| row.2).collect();
        let floats: Float64Array = rows.iter().map(|row| row.3).collect();
        let narrow = cast(&floats, &DataType::Float32).unwrap();
        let all: Vec<Option<i128>> = rows.iter().map(|row| row.4).collect();
        let wide = Decimal128Array::from(all.clone()).with_precision_and_scale(38, 7).unwrap();
        let small = Decimal128Array::from(get(|number| number % 1_000_000, all.clone()));
        let middle = Decimal128Array::from(get(|number| number % 1_000_000_000_000, all));
        let texts: StringArray = rows.iter().map(|row| row.5.clone()).collect();
        let flags: BooleanArray = rows.iter().map(|row| row.6).collect();
        let ints: Int32Array = rows.iter().map(|row| row.1).collect();
        let fields = StructArray::from(vec![
            (Arc::new(Field::new("days", DataType::Date32, true)), Arc::new(days.clone()) as ArrayRef),
            (Arc::new(Field::new("texts", DataType::Utf8, true)), Arc::new(texts.clone()) as ArrayRef),
        ]);
        batch(vec![
            ("longs", Arc::new(longs)),
            ("ints", Arc::new(ints)),
            ("days", Arc::new(days)),
            ("moments", Arc::new(moments.clone())),
            ("utc", Arc::new(moments.with_timezone("UTC"))),
            ("floats", Arc::new(floats)),
            ("narrow", narrow),
            ("wide", Arc::new(wide)),
            ("small", Arc::new(small.with_precision_and_scale(9, 2).unwrap())),
            ("middle", Arc::new(middle.with_precision_and_scale(18, 4).unwrap())),
            ("texts", Arc::new(texts)),
            ("flags", Arc::new(flags)),
            ("fields", Arc::new(fields)),
        ])
    })
}

/// Whether what one writer says of a column is what the other says, or is left unsaid where the other may err.
fn is_as_sound(of_chunk: Option<&Value>, of_rows: Option<&Value>) -> bool {
    match (of_chunk, of_rows) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            other.keys().all(|key| is_as_sound(one.get(key), other.get(key)))
        }
        (Some(Value::Number(one)), Some(Value::Number(other))) => {
            // The other writer rounds decimals.
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= other.abs() * 1e-12
        }
        (Some(Value::String(one)), Some(Value::String(other))) => {
            // The other writer cuts fractions of milliseconds off.
            one == other || one.get(..19) == other.get(..19) || one.starts_with(|c: char| c.is_ascii_digit())
        }
        // What JSON has no number for, and years beyond four digits.
        (None, Some(other)) => {
            other.is_null() || other.as_str().is_some_and(|text| text.starts_with(['+', '-'])) || other.is_object()
        }
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn readers_see_what_was_written_anew(rows in all_types()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut seen = Vec::new();
            for data_files in [DataFileMode::AsSplit, DataFileMode::Rewritten] {
                let world = World::new(Load { data_files, ..Load::default() }).await;
                let task = world.chunk(0, &rows).await;
                world.load_done(&[task]).await;
                let add = world.all_adds().remove(0);
                assert_eq!(is_chunk(&world, &add), data_files == DataFileMode::AsSplit);
                let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
                seen.push((world.rows().await, stats, world.delta().await.snapshot().unwrap().schema().clone()));
            }
            let (anew, taken) = (seen.pop().unwrap(), seen.pop().unwrap());
            assert_eq!((&taken.0, &taken.2), (&anew.0, &anew.2));
            assert_eq!((&taken.1["numRecords"], &taken.1["nullCount"]), (&anew.1["numRecords"], &anew.1["nullCount"]));
            for bound in ["minValues", "maxValues"] {
                assert!(is_as_sound(taken.1.get(bound), anew.1.get(bound)), "{:#} is not {:#}", taken.1, anew.1);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_statistics_there_are_none() {
    let world = world().await;
    let none = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
    world.load_file(0, written(&numbered(0..10), none), 10).await;
    let stats = world.all_adds()[0]["stats"].as_str().unwrap().to_owned();
    assert_eq!(stats, r#"{"numRecords":10,"minValues":{},"maxValues":{},"nullCount":{}}"#);
}
