//! Rows that are in the table as they were committed are told from those that are not.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::array::{BooleanArray, ListArray, TimestampMicrosecondArray};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use shared::{ChunkReceipt, CommitMode, DataFileMode, PutMode, put_json};
use worker::{Finding, Verification, undo, verify};

use crate::support::{Load, World, batch, longs, numbered, strings};

impl World {
    /// Loads these rows as the chunks of a whole job.
    async fn with_job(load: Load<'_>, chunks: &[RecordBatch]) -> Self {
        let world = Self::new(load).await;
        let (mut entries, mut tasks) = (Vec::new(), Vec::new());
        for (index, rows) in (0..).zip(chunks) {
            entries.push(world.store(index, rows).await);
            tasks.push(world.chunk(index, rows).await);
        }
        world.manifest(entries).await;
        world.load_done(&tasks).await;
        assert!(world.receipt().await.is_some());
        world
    }

    async fn verify(&self) -> Verification {
        verify(&self.context, &self.table, &self.job.job_id, &self.area).await.unwrap()
    }

    async fn is_equal(&self, rows: u64) {
        let verified = self.verify().await;
        assert_eq!((verified.finding, verified.expected.rows), (Finding::Equal, rows), "{verified:?}");
        assert_eq!((&verified.expected, verified.differing.len()), (&verified.found, 0));
        assert_eq!(self.receipt().await.unwrap().row_hash, verified.found.row_hash);
    }

    /// Data files as the log has them.
    pub(crate) fn all_adds(&self) -> Vec<Value> {
        let log = self.log();
        let actions =
            log.iter().flat_map(|entry| entry.lines()).map(|line| serde_json::from_str::<Value>(line).unwrap());
        actions.filter_map(|action| action.get("add").cloned()).collect()
    }

    /// Adds a version that takes a file out, and puts nothing or another one in its place.
    fn replace(&self, operation: &str, gone: &Value, data_change: bool, added: Option<&Value>) {
        let remove = json!({"remove": {"path": gone["path"], "deletionTimestamp": 1, "dataChange": data_change,
            "partitionValues": gone["partitionValues"], "size": gone["size"]}});
        let mut lines = vec![json!({"commitInfo": {"timestamp": 0, "operation": operation}}), remove];
        lines.extend(added.map(|add| json!({"add": add})));
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        let name = format!("_delta_log/{:020}.json", self.log().len());
        std::fs::write(std::path::Path::new(self.table.key()).join(name), text.join("\n")).unwrap();
    }
}

fn column<A: arrow::array::Array + 'static>(values: A) -> ArrayRef {
    Arc::new(values)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_is_there() {
    let chunks = [numbered(0..100), numbered(100..250)];
    World::with_job(Load::default(), &chunks).await.is_equal(250).await;
    World::with_job(Load { commit: CommitMode::File, ..Load::default() }, &chunks).await.is_equal(250).await;
    let sql = Some("select id, upper(name) as name, id % 7 as day from chunk where id % 3 > 0");
    World::with_job(Load { sql, ..Load::default() }, &chunks).await.is_equal(166).await;
    let wider = [numbered(0..10), batch(vec![("id", longs(&[Some(10)])), ("later", strings(&[Some("x")]))])];
    World::with_job(Load::default(), &wider).await.is_equal(11).await;
    World::with_job(Load { sql: Some("select * from chunk where id < 0"), ..Load::default() }, &chunks[..1])
        .await
        .is_equal(0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_partitions_are_read_from_the_log() {
    let decimals = Decimal128Array::from(vec![Some(150), Some(-1), None]).with_precision_and_scale(9, 2).unwrap();
    let moments = TimestampMicrosecondArray::from(vec![Some(1), Some(-86_400_000_001), None]);
    let items = [Some(vec![Some(1), None]), None, Some(vec![])];
    for values in [
        column(StringArray::from(vec![Some("a b/c%20=é"), Some(""), None])),
        column(Int64Array::from(vec![Some(i64::MIN), Some(7), None])),
        column(Float64Array::from(vec![Some(-0.0), Some(1.5e-3), Some(f64::NAN)])),
        column(BooleanArray::from(vec![Some(true), Some(false), None])),
        column(Date32Array::from(vec![Some(-1), Some(20_000), None])),
        column(decimals),
        column(moments.clone()),
        column(moments.with_timezone("UTC")),
    ] {
        let list = column(ListArray::from_iter_primitive::<Int32Type, _, _>(items.clone()));
        let rows = batch(vec![("id", longs(&[Some(1), Some(2), Some(3)])), ("p", values), ("items", list)]);
        for partition_by in [&["p"][..], &[]] {
            let load = Load { partition_by, ..Load::default() };
            World::with_job(load, std::slice::from_ref(&rows)).await.is_equal(3).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_file_is_told() {
    let load = Load { data_files: DataFileMode::Rewritten, ..Load::default() };
    let world = World::with_job(load, &[numbered(0..10), numbered(10..20)]).await;
    let path = std::path::Path::new(world.table.key()).join(world.all_adds()[1]["path"].as_str().unwrap());
    let read = |path| ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let rows = read(&path).next().unwrap().unwrap();
    let write = |rows: &RecordBatch| {
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), None).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
    };
    let turned: Int64Array = (0..10).rev().collect();
    write(&take_record_batch(&rows, &turned).unwrap());
    world.is_equal(20).await;

    let names = take_record_batch(&rows, &turned).unwrap().column(1).clone();
    write(&RecordBatch::try_new(rows.schema(), vec![rows.column(0).clone(), names]).unwrap());
    let verified = world.verify().await;
    assert_eq!((verified.finding, verified.found.rows, verified.reason), (Finding::Differs, 20, None));
    let chunk = format!("sluice/{}/1", world.job.job_id);
    assert_eq!(verified.differing.iter().map(|one| one.chunk.as_str()).collect::<Vec<_>>(), [chunk]);

    std::fs::remove_file(&path).unwrap();
    let error = verify(&world.context, &world.table, &world.job.job_id, &world.area).await.unwrap_err().reason();
    assert!(error.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_did_is_told() {
    let chunks = [numbered(0..10), numbered(10..20)];
    let untagged = |add: &Value| {
        let mut add = add.clone();
        add.as_object_mut().unwrap().remove("tags");
        add
    };
    for (operation, data_change, finding) in
        [("DELETE", true, Finding::Differs), ("UPDATE", true, Finding::Differs), ("OPTIMIZE", false, Finding::Untold)]
    {
        let world = World::with_job(Load::default(), &chunks).await;
        let gone = world.all_adds().remove(0);
        let mut copy = untagged(&gone);
        copy["path"] = json!("copy.parquet");
        let folder = std::path::Path::new(world.table.key());
        std::fs::copy(folder.join(gone["path"].as_str().unwrap()), folder.join("copy.parquet")).unwrap();
        world.replace(operation, &gone, data_change, (operation != "DELETE").then_some(&copy));
        let verified = world.verify().await;
        assert_eq!((verified.finding, verified.expected.rows, verified.found.rows), (finding, 20, 10), "{operation}");
        let reason = verified.reason.unwrap();
        assert!(reason.contains(&format!("({operation}) rewrote or removed files since, 1 of the job's")), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_that_is_undone_nothing_is_expected() {
    let world = World::with_job(Load::default(), &[numbered(0..10)]).await;
    undo(&world.context, &world.table, &world.job.job_id, &world.area, false).await.unwrap();
    let verified = world.verify().await;
    assert_eq!((verified.finding, verified.expected.rows, verified.found.rows), (Finding::Equal, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_on_its_way_is_verified_as_far_as_it_is() {
    let world = World::new(Load::default()).await;
    let tasks = [world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await];
    world.load_done(&tasks).await;
    world.context.storage.delete(&world.area.chunk_receipt(1)).await.unwrap();
    let verified = world.verify().await;
    assert_eq!((verified.finding, verified.expected.rows, verified.found.rows), (Finding::Equal, 10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_without_a_hash_proves_nothing() {
    let load = Load { data_files: DataFileMode::Rewritten, ..Load::default() };
    let world = World::with_job(load, &[numbered(0..10)]).await;
    let receipt = ChunkReceipt { row_hash: None, ..world.chunk_receipt(0).await };
    let (storage, at) = (world.context.storage.as_ref(), world.area.chunk_receipt(0));
    put_json(storage, &at, &receipt, PutMode::Overwrite).await.unwrap();
    let verified = world.verify().await;
    assert_eq!((verified.finding, verified.found.rows), (Finding::Untold, 10));
    assert!(verified.reason.unwrap().contains("the receipts are from before rows were hashed"));
}
