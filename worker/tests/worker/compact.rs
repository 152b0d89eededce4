//! Small data files become fewer, and every row stays what it was.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use deltalake::checkpoints::create_checkpoint;
use futures::FutureExt;
use serde_json::{Value, json};
use shared::testing::run_python;
use shared::{Location, Message};
use worker::{Checkpoints, Compacted, Compaction, Finding, LoadError, Maintenance, Vacuum, maintain, undo, verify};

use crate::support::{Load, World, batch, expected, numbered, strings, world};
use crate::watched::Watched;

/// Merges whatever is small, and does nothing else.
pub(crate) const WITHIN: Maintenance = Maintenance {
    checkpoint: Checkpoints::Off,
    log: false,
    vacuum: Vacuum::Off,
    compact: Compaction::WithinJobs,
    compact_after: Duration::ZERO,
    fix_statistics: false,
    keep_jobs: None,
    dry_run: false,
};
const ACROSS: Maintenance = Maintenance { compact: Compaction::AcrossJobs, ..WITHIN };

impl World {
    /// Loads chunks one by one, so that each has a commit and a file of its own.
    async fn with_chunks(&self, chunks: &[RecordBatch]) -> Vec<Message> {
        let mut tasks = Vec::new();
        for (index, rows) in (0..).zip(chunks) {
            let task = self.chunk(index, rows).await;
            self.load_done(std::slice::from_ref(&task)).await;
            tasks.push(task);
        }
        tasks
    }

    pub(crate) async fn compact(&self, asked: Maintenance) -> Compacted {
        self.compacted(asked).await.unwrap()
    }

    async fn compacted(&self, asked: Maintenance) -> Result<Compacted, LoadError> {
        let prefix = self.area.root().parent().unwrap();
        Ok(maintain(&self.context, &self.table, &prefix, &asked).await?.compaction.unwrap())
    }

    async fn active(&self) -> usize {
        self.delta().await.snapshot().unwrap().log_data().num_files()
    }
}

fn numbers(compacted: Compacted) -> (u64, u64) {
    (compacted.merged, compacted.made)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_files_have_the_same_rows() {
    let world = world().await;
    let tasks = world.with_chunks(&[numbered(0..10), numbered(10..30), numbered(30..35)]).await;
    let dry = world.compact(Maintenance { dry_run: true, ..WITHIN }).await;
    assert_eq!((numbers(dry), world.active().await), ((3, 0), 3));
    let young = world.compact(Maintenance { compact_after: Duration::from_hours(1), ..WITHIN }).await;
    assert_eq!(numbers(young), (0, 0));
    assert_eq!(numbers(world.compact(WITHIN).await), (3, 1));
    assert_eq!((world.rows().await, world.active().await), (expected(0..35), 1));
    let log = world.log();
    let entry: Vec<Value> = log.last().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for action in entry.iter().filter_map(|action| action.get("add").or(action.get("remove"))) {
        assert_eq!(action["dataChange"], false, "{action}");
    }
    assert_eq!(numbers(world.compact(WITHIN).await), (0, 0), "one file is not merged with itself");
    world.load_done(&tasks).await;
    assert_eq!(world.rows().await, expected(0..35), "chunks are known as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_memory_in_which_rows_of_merged_files_wait() {
    let world = world().await;
    let chunks: Vec<RecordBatch> = (0..20).map(|index| numbered(index..index + 1)).collect();
    world.with_chunks(&chunks).await;
    let memory = world.context.settings.memory.clone();
    let waits = AtomicU32::new(0);
    let others = async {
        loop {
            let mut all = pin!(memory.reserve(memory.bytes()));
            let share = if let Some(share) = all.as_mut().now_or_never() {
                share
            } else {
                waits.fetch_add(1, Ordering::Relaxed);
                all.await
            };
            drop(share.unwrap());
            tokio::task::yield_now().await;
        }
    };
    let merged = tokio::select! {
        merged = world.compact(WITHIN) => merged,
        () = others => unreachable!(),
    };
    assert_eq!(waits.into_inner(), 1, "others waited once, for all files together");
    assert_eq!(numbers(merged), (20, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_files_were_merged_among_themselves_can_be_undone() {
    for is_forgotten in [false, true] {
        let world = world().await;
        world.with_chunks(&[numbered(0..10), numbered(10..20)]).await;
        let other = World::beside(&world).await;
        other.with_chunks(&[numbered(20..30), numbered(30..40)]).await;
        assert_eq!(numbers(world.compact(WITHIN).await), (4, 2), "not with those of the other job");
        if is_forgotten {
            create_checkpoint(&world.delta().await, None).await.unwrap();
            std::fs::remove_file(Path::new(world.table.key()).join("_delta_log/00000000000000000001.json")).unwrap();
        }
        let undoing = undo(&world.context, &world.table, &world.job.job_id, &world.area, false).await.unwrap();
        assert_eq!(undoing.removed.unwrap().rows, Some(20));
        assert_eq!(world.rows().await, expected(20..40));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_can_be_read_back_after_merging() {
    let world = world().await;
    world.with_chunks(&[numbered(0..10), numbered(10..20), numbered(20..30)]).await;
    let other = World::beside(&world).await;
    other.with_chunks(&[numbered(30..40)]).await;
    let finding = async || verify(&world.context, &world.table, &world.job.job_id, &world.area).await.unwrap().finding;
    assert_eq!(numbers(world.compact(WITHIN).await), (3, 1));
    assert_eq!(finding().await, Finding::Equal);
    assert_eq!(numbers(world.compact(ACROSS).await), (2, 1));
    assert_eq!(finding().await, Finding::Untold);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_different_jobs_are_merged_if_that_is_wanted() {
    let world = world().await;
    world.with_chunks(&[numbered(0..10)]).await;
    let other = World::beside(&world).await;
    other.with_chunks(&[numbered(10..20)]).await;
    assert_eq!(numbers(world.compact(WITHIN).await), (0, 0));
    assert_eq!(numbers(world.compact(ACROSS).await), (2, 1));
    assert_eq!(world.rows().await, expected(0..20));
    let refused = undo(&world.context, &world.table, &world.job.job_id, &world.area, false).await;
    match refused {
        Err(LoadError::Mingled { reason, .. }) => assert!(reason.contains("(OPTIMIZE) rewrote"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_columns_and_types_stay() {
    let world = World::new(Load { partition_by: &["day", "name"], ..Load::default() }).await;
    let rows = |day: i32, more: bool| {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("day", Arc::new(Date32Array::from(vec![Some(day), Some(day), None]))),
            ("name", Arc::new(StringArray::from(vec![Some("a b/é=%"), None, Some("z")]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC"))),
            ("price", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)]))),
        ];
        if more {
            columns.push(("late", strings(&[Some("x"), None, Some("")])));
        }
        batch(columns)
    };
    world.with_chunks(&[rows(1, false), rows(2, false), rows(1, true)]).await;
    let (before, files) = (world.rows().await, world.active().await);
    assert_eq!((before.len(), files), (9, 9));
    assert_eq!(numbers(world.compact(WITHIN).await), (7, 3));
    assert_eq!((world.rows().await, world.active().await), (before, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_meanwhile_is_not_brought_back() {
    let mut world = world().await;
    world.with_chunks(&[numbered(0..10), numbered(10..20)]).await;
    let meanwhile = world.other_process();
    let (table, job, area) = (world.table.clone(), world.job.job_id.clone(), world.area.clone());
    let store = Watched::new();
    store.before_commit(async move {
        undo(&meanwhile, &table, &job, &area, false).await.unwrap();
    });
    world.context.table_store.object_store = Some(store.clone());
    assert_eq!(numbers(world.compact(WITHIN).await), (0, 0));
    assert_eq!(world.rows().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_others_are_no_conflict() {
    let mut world = world().await;
    world.with_chunks(&[numbered(0..10), numbered(10..20)]).await;
    let other = World::beside(&world).await;
    let late = other.chunk(0, &numbered(20..30)).await;
    let store = Watched::new();
    store.before_commit(async move { other.load_done(&[late]).await });
    world.context.table_store.object_store = Some(store.clone());
    assert_eq!(numbers(world.compact(WITHIN).await), (2, 1));
    assert_eq!(world.rows().await, expected(0..30));
}

/// A table of two chunks and a file of another writer, whose ids have a type of their own.
async fn with_other_ids(ids: ArrayRef) -> World {
    let world = world().await;
    world.with_chunks(&[numbered(0..10), numbered(10..20)]).await;
    let rows = batch(vec![("id", ids), ("name", strings(&[Some("n20"), Some("n21")]))]);
    let bytes = crate::support::encode(&rows);
    std::fs::write(Path::new(world.table.key()).join("other.parquet"), &bytes).unwrap();
    let add = json!({"add": {"path": "other.parquet", "partitionValues": {}, "size": bytes.len(), "modificationTime": 1,
        "dataChange": true, "stats": "{\"numRecords\":2}"}});
    let entry = Path::new(world.table.key()).join(format!("_delta_log/{:020}.json", world.log().len()));
    std::fs::write(entry, add.to_string()).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_other_types_are_left_alone() {
    let world = with_other_ids(strings(&[Some("20"), Some("21")])).await;
    let before = world.rows().await;
    assert_eq!(numbers(world.compact(ACROSS).await), (0, 0));
    assert_eq!(numbers(world.compact(WITHIN).await), (2, 1));
    assert_eq!(world.rows().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_narrower_types_are_widened() {
    let world = with_other_ids(Arc::new(arrow::array::Int32Array::from(vec![20, 21]))).await;
    let before = world.rows().await;
    assert_eq!(numbers(world.compact(ACROSS).await), (3, 1));
    assert_eq!(world.rows().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_whose_paths_the_log_has_in_another_form_are_not_doubled() {
    let world = world().await;
    // The Python package, and for `p=é` the way in which Spark writes such a path into the log.
    let script = r"
import glob, json, os, urllib.parse, deltalake, pyarrow as pa
for number in range(2):
    rows = pa.table({'id': [number, number], 'p': ['é', 'e']})
    deltalake.write_deltalake('table', rows, mode='append', partition_by=['p'])
for entry in glob.glob('table/_delta_log/*.json'):
    actions = [json.loads(line) for line in open(entry)]
    for action in actions:
        if 'add' in action:
            at = urllib.parse.unquote(action['add']['path'])
            raw = urllib.parse.unquote(at)
            os.makedirs(os.path.dirname('table/' + raw), exist_ok=True)
            os.rename('table/' + at, 'table/' + raw)
            action['add']['path'] = raw
    open(entry, 'w').write('\n'.join(json.dumps(action, ensure_ascii=False) for action in actions))
print(sorted(open('table/_delta_log/00000000000000000001.json').read().count(p) for p in ['p=é/', 'p=e/']))
";
    let counts = || {
        let script = "import readers; print(sorted(set(readers.counts('table').values())))";
        run_python(world.folder.path(), script)
    };
    assert_eq!(run_python(world.folder.path(), script), "[1, 1]");
    assert_eq!(counts(), "[4]");
    let compacted = world.compact(ACROSS).await;
    assert_eq!((numbers(compacted), compacted.skipped), ((2, 1), 2));
    assert_eq!(counts(), "[4]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_told() {
    let world = world().await;
    let nothing: Location = world.table.parent().unwrap().join("nothing");
    let world = World { table: nothing, ..world };
    assert!(matches!(world.compacted(WITHIN).await, Err(LoadError::NoSuchTable { .. })));
}
