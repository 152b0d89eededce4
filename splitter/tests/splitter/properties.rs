//! What must hold of every split, whatever the source, the settings, the threads and the interruptions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use shared::testing::MemoryStorage;
use shared::{
    Location, ObjectStat, ObjectVersion, Progress, PutMode, Settings, Storage, StorageError, StoredObject, Upload,
};
use splitter::{SplitContext, SplitError, SplitOutcome, split};

/// A store whose calls fail once so many of them were made, as if the process had died there.
#[derive(Debug)]
struct Mortal {
    objects: MemoryStorage,
    calls_left: Arc<AtomicU64>,
}

impl Mortal {
    fn call(&self, at: &Location) -> Result<(), StorageError> {
        call(&self.calls_left, at)
    }
}

fn call(calls_left: &AtomicU64, at: &Location) -> Result<(), StorageError> {
    let left = calls_left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
    left.map(drop).map_err(|_| StorageError::Unavailable { at: at.clone(), action: "reach", source: "dead".into() })
}

/// An upload to such a store: what was not finished before is not there.
#[derive(Debug)]
struct MortalUpload {
    upload: Box<dyn Upload>,
    at: Location,
    calls_left: Arc<AtomicU64>,
}

#[async_trait]
impl Upload for MortalUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.upload.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<(), StorageError> {
        call(&self.calls_left, &self.at)?;
        self.upload.finish().await
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        self.upload.abort().await
    }
}

#[async_trait]
impl Storage for Mortal {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        self.call(at)?;
        self.objects.stat(at).await
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        self.call(at)?;
        self.objects.get(at).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        self.call(at)?;
        self.objects.get_range(at, version, range).await
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        self.call(at)?;
        self.objects.put(at, body, mode).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        self.call(at)?;
        let (upload, calls_left) = (self.objects.create(at).await?, Arc::clone(&self.calls_left));
        Ok(Box::new(MortalUpload { upload, at: at.clone(), calls_left }))
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        self.call(prefix)?;
        self.objects.list(prefix).await
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        self.call(at)?;
        self.objects.delete(at).await
    }
}

/// One way to split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) chunk_bytes: u64,
    pub(crate) max_record_bytes: u64,
    pub(crate) threads: usize,
    pub(crate) calls: u64,
}

pub(crate) async fn split_to(objects: &MemoryStorage, out: &str, how: How) -> Result<SplitOutcome, SplitError> {
    split(&context(objects, out, how), &at("source.csv")).await
}

pub(crate) fn context(objects: &MemoryStorage, out: &str, how: How) -> SplitContext {
    // Files of nothing but rejected records are split, too.
    let all_may_be_bad = |name: &str| (name == "MAX_BAD_RECORDS").then(|| "100%".to_owned());
    let mut settings = Settings::from_lookup(all_may_be_bad).unwrap();
    settings.read.chunk_bytes = how.chunk_bytes;
    settings.read.max_record_bytes = how.max_record_bytes;
    SplitContext {
        storage: Arc::new(Mortal { objects: objects.clone(), calls_left: Arc::new(AtomicU64::new(how.calls)) }),
        queue: None,
        work_prefix: at(out),
        table: None,
        settings,
        threads: how.threads,
        topic: None,
        known: splitter::Known::default(),
        gate: None,
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    }
}

pub(crate) fn at(name: &str) -> Location {
    Location::S3 { bucket: "b".to_owned(), key: name.to_owned() }
}

/// Everything below a prefix, by its name within the job: the job's own name differs from destination to destination.
pub(crate) fn tree(objects: &MemoryStorage, out: &str) -> BTreeMap<String, Bytes> {
    let within = |location: &Location| {
        let (_, name) = location.key().strip_prefix(out)?.strip_prefix('/')?.split_once('/')?;
        Some(name.to_owned())
    };
    objects.objects().into_iter().filter_map(|(location, body)| Some((within(&location)?, body))).collect()
}

/// Chunks and rejects, the bytes that must be the same however they came to be.
pub(crate) fn product(objects: &MemoryStorage, out: &str) -> BTreeMap<String, Bytes> {
    let mut files = tree(objects, out);
    files.retain(|name, _| name.starts_with("chunks/") || name.starts_with("quarantine/"));
    files
}

pub(crate) fn rows(chunk: Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(chunk).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// Records with a number, a text that may need quotes, and now and then one that is to be rejected.
fn source_text(records: &[(String, bool)]) -> String {
    let mut text = String::from("id,note\n");
    for (id, (note, good)) in records.iter().enumerate() {
        let quoted = note.replace('"', "\"\"");
        let end = if *good { "\n" } else { ",surplus\r\n" };
        text.extend([&id.to_string(), ",\"", &quoted, "\"", end]);
    }
    text
}

/// Splits a source at several parallelisms and after deaths; what came of it must be the same.
fn split_in_all_ways(source: impl Into<Bytes>, whole: How, deaths: &[u64]) -> (SplitOutcome, BTreeMap<String, Bytes>) {
    let objects = MemoryStorage::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let run = |out: &str, how: How| runtime.block_on(split_to(&objects, out, how));
    runtime.block_on(objects.put(&at("source.csv"), source.into(), PutMode::Overwrite)).unwrap();
    let outcome = run("one", whole).unwrap();
    let product_of_one = product(&objects, "one");

    // At any parallelism the bytes are the same.
    for threads in [2, 8] {
        let out = threads.to_string();
        let manifest = run(&out, How { threads, ..whole }).unwrap().manifest;
        assert_eq!(manifest.lines, outcome.manifest.lines, "{threads} threads");
        assert_eq!(product(&objects, &out), product_of_one, "{threads} threads");
    }
    // After any number of deaths, and with another chunk size at each attempt, they are the same too.
    let known = || !tree(&objects, "dead").is_empty();
    let next = || if known() { How { chunk_bytes: 1 << 20, ..whole } } else { whole };
    for calls in deaths {
        drop(run("dead", How { calls: *calls, ..next() }));
    }
    let resumed = run("dead", next()).unwrap();
    assert_eq!(product(&objects, "dead"), product_of_one, "after deaths");
    assert_eq!(
        (&resumed.manifest.chunks, resumed.manifest.records, &resumed.manifest.lines),
        (&outcome.manifest.chunks, outcome.manifest.records, &outcome.manifest.lines)
    );
    (outcome, product_of_one)
}

fn check(records: &[(String, bool)], chunk_bytes: u64, deaths: &[u64]) {
    let whole = How { chunk_bytes, max_record_bytes: 16 << 20, threads: 1, calls: u64::MAX };
    let text = source_text(records);
    let line_count = u64::try_from(text.matches('\n').count()).unwrap();
    let (outcome, product_of_one) = split_in_all_ways(text, whole, deaths);
    assert_eq!(outcome.manifest.lines.as_ref().map(|lines| lines.total), Some(line_count));

    // No chunk is over the limit, and together they are the source.
    let mut found = Vec::new();
    for (name, bytes) in product_of_one {
        if name.starts_with("chunks/") {
            assert!(u64::try_from(bytes.len()).unwrap() <= chunk_bytes, "{name} has {} bytes", bytes.len());
            for batch in rows(bytes) {
                let ids = batch.column(0).as_primitive::<Int64Type>();
                let notes = batch.column(1).as_string::<i32>();
                let note = |row| if notes.is_valid(row) { notes.value(row).to_owned() } else { String::new() };
                found.extend((0..batch.num_rows()).map(|row| (ids.value(row), note(row))));
            }
        }
    }
    let good = records.iter().enumerate().filter(|(_, (_, good))| *good);
    let expected: Vec<(i64, String)> = good.map(|(id, (note, _))| (i64::try_from(id).unwrap(), note.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(outcome.manifest.records, u64::try_from(records.len()).unwrap());
    assert_eq!(outcome.manifest.quarantined, u64::try_from(records.len() - expected.len()).unwrap());
}

/// A Parquet file of numbers from 0 on with texts, in row groups of so many rows.
fn parquet_source(notes: &[String], row_group_rows: usize) -> Bytes {
    let ids = (0..notes.len()).map(|id| i64::try_from(id).unwrap());
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from_iter_values(ids))), ("note", Arc::new(StringArray::from_iter_values(notes)))];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(row_group_rows)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap().into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn chunks_are_the_source_whatever_happens(
        records in proptest::collection::vec(("[a-zé,\"\n\r ]{0,40}", proptest::bool::weighted(0.9)), 1..400),
        chunk_bytes in 3_000_u64..12_000,
        deaths in proptest::collection::vec(3_u64..40, 0..5),
    ) {
        check(&records, chunk_bytes, &deaths);
    }

    #[test]
    fn parquet_chunks_are_the_source_whatever_happens(
        notes in proptest::collection::vec("[a-zé]{0,40}", 1..400),
        row_group_rows in 1_usize..300,
        chunk_bytes in 3_000_u64..12_000,
        deaths in proptest::collection::vec(3_u64..40, 0..5),
    ) {
        let whole = How { chunk_bytes, max_record_bytes: 16 << 20, threads: 1, calls: u64::MAX };
        let (outcome, product) = split_in_all_ways(parquet_source(&notes, row_group_rows), whole, &deaths);
        let mut found = Vec::new();
        for bytes in product.into_values() {
            prop_assert!(u64::try_from(bytes.len()).unwrap() <= chunk_bytes);
            for batch in rows(bytes) {
                let (ids, texts) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
                found.extend((0..batch.num_rows()).map(|row| (ids.value(row), texts.value(row).to_owned())));
            }
        }
        let expected: Vec<(i64, String)> = (0..).zip(notes).collect();
        prop_assert_eq!(outcome.manifest.records, u64::try_from(expected.len()).unwrap());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn records_without_an_end_are_the_same_whatever_happens(
        records in proptest::collection::vec("[a-z]{0,8}(,\"?[a-z]{0,30}){1,2}\"?", 1..400),
        max_record_bytes in 1_u64..2_000,
        deaths in proptest::collection::vec(3_u64..40, 0..3),
    ) {
        let whole = How { chunk_bytes: 4_000, max_record_bytes, threads: 1, calls: u64::MAX };
        let (outcome, product) = split_in_all_ways(format!("id,note\n{}\n", records.join("\n")), whole, &deaths);
        let line_count = u64::try_from(records.len()).unwrap() + 1;
        prop_assert_eq!(outcome.manifest.lines.as_ref().map(|lines| lines.total), Some(line_count));
        // Nothing is dropped: what is not in a chunk is rejected.
        let chunks = product.iter().filter(|(name, _)| name.starts_with("chunks/"));
        let taken: usize = chunks.flat_map(|(_, chunk)| rows(chunk.clone())).map(|batch| batch.num_rows()).sum();
        prop_assert_eq!(outcome.manifest.records, u64::try_from(taken).unwrap() + outcome.manifest.quarantined);
    }
}

#[test]
fn every_point_of_death() {
    // Deaths at each call of a run: the same schedule that a crash could follow.
    // The last blocks hold nothing but rejects.
    let good = |id: usize| !id.is_multiple_of(13) && id < 600;
    let records: Vec<(String, bool)> = (0..800).map(|id| (format!("note {}", id * 7919 % 1009), good(id))).collect();
    for calls in 3..60 {
        check(&records, 4_000, &[calls]);
    }
}
