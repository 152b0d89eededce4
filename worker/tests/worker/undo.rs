//! A job that is undone is out of its table, and nothing else is.

use std::sync::Arc;

use deltalake::checkpoints::create_checkpoint;
use serde_json::{Value, json};
use shared::{
    CommitMode, Job, LoadPolicy, Message, OnReplace, PutMode, Removed, Seal, Undone, Verdict, WorkArea, get_json,
    put_json,
};
use worker::{LoadError, Undoing, has_job, load, undo};

use crate::support::{Load, World, expected, job, message, numbered, world};
use crate::watched::Watched;

impl World {
    /// Goes on with another job, in a work area of its own; gives the first.
    async fn next_job(&mut self, source: &str) -> (Job, WorkArea) {
        let root: shared::Location = self.folder.path().to_str().unwrap().parse().unwrap();
        let next = job(&root.join(source), &self.table, 1 << 20, &Load::default());
        let area = WorkArea::new(&root.join("area"), &next.job_id);
        put_json(self.context.storage.as_ref(), &area.job(), &next, PutMode::Overwrite).await.unwrap();
        (std::mem::replace(&mut self.job, next), std::mem::replace(&mut self.area, area))
    }

    async fn undo(&self, dry_run: bool) -> Result<Undoing, LoadError> {
        undo(&self.context, &self.table, &self.job.job_id, &self.area, dry_run).await
    }

    async fn refusal(&self) -> String {
        let version = self.log().len();
        match self.undo(false).await {
            Err(LoadError::Mingled { reason, .. }) => {
                assert_eq!(self.log().len(), version, "nothing is changed");
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    /// Two jobs of two chunks each, all in one commit; the first is the one in progress.
    async fn with_two_jobs() -> Self {
        let mut world = world().await;
        let mut tasks = vec![world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await];
        let (job, area) = world.next_job("other.csv").await;
        tasks.extend([world.chunk(0, &numbered(20..30)).await, world.chunk(1, &numbered(30..40)).await]);
        world.load_done(&tasks).await;
        assert_eq!(world.log().len(), 2, "one commit, beside the one that made the table");
        (world.job, world.area) = (job, area);
        world
    }

    /// Rewrites an entry of the log line by line, each line being one action.
    fn rewrite(&self, version: usize, rewrite: impl Fn(&mut Value)) {
        let lines: Vec<String> = self.log()[version]
            .lines()
            .map(|line| {
                let mut action = serde_json::from_str(line).unwrap();
                rewrite(&mut action);
                action.to_string()
            })
            .collect();
        std::fs::write(self.entry(version), lines.join("\n")).unwrap();
    }

    /// Adds a version with these actions, as another writer would.
    fn commit(&self, operation: &str, actions: &[Value]) {
        let info = json!({"commitInfo": {"timestamp": 0, "operation": operation}});
        let lines: Vec<String> = std::iter::once(&info).chain(actions).map(Value::to_string).collect();
        std::fs::write(self.entry(self.log().len()), lines.join("\n")).unwrap();
    }

    fn entry(&self, version: usize) -> std::path::PathBuf {
        std::path::Path::new(self.table.key()).join(format!("_delta_log/{version:020}.json"))
    }

    /// The adds of a version.
    fn adds(&self, version: usize) -> Vec<Value> {
        let log = self.log();
        let actions = log[version].lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        actions.filter_map(|action| action.get("add").cloned()).collect()
    }
}

fn remove(path: &Value) -> Value {
    json!({"remove": {"path": path, "dataChange": true, "deletionTimestamp": 1}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_takes_out_what_the_job_added_and_nothing_else() {
    let world = World::with_two_jobs().await;
    let dry = world.undo(true).await.unwrap();
    assert_eq!((dry.table_version, world.log().len()), (None, 2), "a dry run changes nothing");
    let undoing = world.undo(false).await.unwrap();
    assert_eq!(world.rows().await, expected(20..40));
    let bytes = world.adds(1).into_iter().filter(|add| add["tags"]["sluice.chunk"].as_str().unwrap().contains("/in-"));
    let bytes = bytes.map(|add| add["size"].as_u64().unwrap()).sum();
    let removed = Some(Removed { files: 2, rows: Some(20), bytes });
    assert_eq!((undoing.table_version, undoing.removed, dry.removed), (Some(2), removed, removed));
    assert_eq!(has_job(&world.context, &world.table, &world.job.job_id).await.unwrap(), Some(Seal::UNDONE));
    let noted: Undone = get_json(world.context.storage.as_ref(), &world.area.undone(), "note").await.unwrap();
    assert_eq!((noted.table_version, noted.removed), (Some(2), removed));
    assert_eq!(world.files_on_disk(), 4, "earlier versions can be read until vacuum");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_again_changes_nothing_and_says_the_same() {
    let world = World::with_two_jobs().await;
    let first = world.undo(false).await.unwrap();
    // As if the first had been stopped between commit and note.
    world.context.storage.delete(&world.area.undone()).await.unwrap();
    let second = world.undo(false).await.unwrap();
    assert_eq!(second, Undoing { already_undone: true, ..first });
    assert_eq!(world.log().len(), 3);
    let noted: Undone = get_json(world.context.storage.as_ref(), &world.area.undone(), "note").await.unwrap();
    assert_eq!((noted.table_version, noted.removed), (second.table_version, second.removed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_an_undone_job_stay_out() {
    let world = world().await;
    let (loaded, late) = (world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await);
    world.load_done(std::slice::from_ref(&loaded)).await;
    world.undo(false).await.unwrap();
    assert_eq!(world.load(&[loaded, late]).await, [Verdict::Done, Verdict::Done]);
    assert_eq!(world.rows().await, [""; 0]);
    assert_eq!(world.files_on_disk(), 1);
    let receipts = world.context.storage.list(&world.area.loaded()).await.unwrap();
    assert_eq!(receipts.len(), 1, "what never came in has no receipt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_between_two_attempts_of_a_commit_is_seen() {
    let mut world = world().await;
    let first = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[first]).await;
    let late = world.chunk(1, &numbered(10..20)).await;
    let meanwhile = world.other_process();
    let (table, job, area) = (world.table.clone(), world.job.job_id.clone(), world.area.clone());
    let store = Watched::new();
    store.before_commit(async move {
        undo(&meanwhile, &table, &job, &area, false).await.unwrap();
    });
    world.restart_with(store);
    assert_eq!(world.load(&[late]).await, [Verdict::Done]);
    assert_eq!(world.rows().await, [""; 0]);
    assert_eq!(world.files_on_disk(), 2, "the late chunk had been offered to others, so its file is left for vacuum");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_comes_in_before_the_undoing_commit_goes_out_with_it() {
    let mut world = world().await;
    let first = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[first]).await;
    let (meanwhile, late) = (world.context.clone(), world.chunk(1, &numbered(10..20)).await);
    let store = Watched::new();
    store.before_commit(async move { assert_eq!(load(&meanwhile, &[late]).await, [Verdict::Done]) });
    world.restart_with(store);
    let undoing = world.undo(false).await.unwrap();
    assert_eq!((undoing.table_version, undoing.removed.unwrap().files), (Some(3), 2));
    assert_eq!(world.rows().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_races_with_loads_of_another_job() {
    let mut world = world().await;
    let first = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[first]).await;
    let (job, area) = world.next_job("other.csv").await;
    let mut tasks: Vec<Message> = Vec::new();
    for index in 0..8 {
        let from = 10 + i64::from(index) * 10;
        tasks.push(world.chunk(index, &numbered(from..from + 10)).await);
    }
    let world = Arc::new(world);
    let racers: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            // Each as a process of its own.
            let context = world.other_process();
            tokio::spawn(async move { assert_eq!(load(&context, &[task]).await, [Verdict::Done]) })
        })
        .collect();
    undo(&world.context, &world.table, &job.job_id, &area, false).await.unwrap();
    for racer in racers {
        racer.await.unwrap();
    }
    assert_eq!(world.rows().await, expected(10..90));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_others_rewrote_or_removed_are_not_undone() {
    let world = World::with_two_jobs().await;
    let add = world.adds(1).into_iter().find(|add| add["tags"].to_string().contains("/in-")).unwrap();
    let rewritten = json!({"add": {"path": "compacted.parquet", "partitionValues": {}, "size": 1,
        "modificationTime": 1, "dataChange": false, "stats": "{\"numRecords\":10}"}});
    world.commit("OPTIMIZE", &[remove(&add["path"]), rewritten]);
    let reason = world.refusal().await;
    assert!(reason.contains("version 2 (OPTIMIZE)") && reason.contains("1 of the 2"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_before_they_were_marked_are_told_by_their_commit() {
    let untag = |action: &mut Value| {
        if let Some(add) = action.get_mut("add") {
            add["tags"] = Value::Null;
        }
    };
    let mixed = World::with_two_jobs().await;
    mixed.rewrite(1, untag);
    let reason = mixed.refusal().await;
    assert!(reason.contains("version 1 adds files of other jobs too"), "{reason}");

    let mut world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    let (job, area) = world.next_job("other.csv").await;
    let task = world.chunk(0, &numbered(10..20)).await;
    world.load_done(&[task]).await;
    (world.job, world.area) = (job, area);
    for version in 1..=2 {
        world.rewrite(version, untag);
    }
    world.undo(false).await.unwrap();
    assert_eq!(world.rows().await, expected(10..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_log_has_been_cleaned_up_receipts_tell_whether_all_is_there() {
    let world = World::with_two_jobs().await;
    create_checkpoint(&world.delta().await, None).await.unwrap();
    std::fs::remove_file(world.entry(0)).unwrap();
    std::fs::remove_file(world.entry(1)).unwrap();
    let no_area = WorkArea::new(&world.table.join("nowhere"), &world.job.job_id);
    let refused = undo(&world.context, &world.table, &world.job.job_id, &no_area, false).await.unwrap_err();
    assert!(refused.to_string().contains("no receipts"), "{refused}");
    world.undo(false).await.unwrap();
    assert_eq!(world.rows().await, expected(20..40));

    let world = World::with_two_jobs().await;
    let path = world.adds(1).into_iter().find(|add| add["tags"].to_string().contains("/in-")).unwrap()["path"].clone();
    world.commit("DELETE", &[remove(&path)]);
    create_checkpoint(&world.delta().await, None).await.unwrap();
    for version in 0..=2 {
        std::fs::remove_file(world.entry(version)).unwrap();
    }
    let refused = world.undo(false).await.unwrap_err().to_string();
    assert!(refused.contains("has 10 rows, and there are 0"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_there_and_a_table_that_takes_no_removals() {
    let mut world = world().await;
    assert!(matches!(world.undo(false).await, Err(LoadError::Unknown { .. })), "no table");
    assert!(world.no_table());
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    let (job, area) = world.next_job("other.csv").await;
    assert!(matches!(world.undo(false).await, Err(LoadError::Unknown { .. })), "no such job");
    (world.job, world.area) = (job, area);
    world.rewrite(0, |action| {
        if let Some(table) = action.get_mut("metaData") {
            table["configuration"]["delta.appendOnly"] = "true".into();
        }
    });
    world.restart();
    let refused = world.undo(false).await.unwrap_err();
    assert!(shared::error_chain(&refused).contains("append"), "{refused:?}");
    assert_eq!(world.rows().await, expected(0..10));
}

#[tokio::test]
async fn what_an_undone_job_rejected_is_left_out() {
    for undone in [false, true] {
        let mut world = world().await;
        let task = world.chunk(0, &numbered(0..10)).await;
        world.load_done(&[task]).await;
        let (parent, area) = (world.job.clone(), world.area.clone());
        let load = LoadPolicy { commit: CommitMode::File, on_replace: OnReplace::Replace, ..LoadPolicy::default() };
        let replay = Job::replay(&parent, 1, parent.source.clone(), parent.policy.clone(), load);
        world.area = area.beside(&replay.job_id);
        world.job = Job { drop: Some(1), ..replay };
        put_json(world.context.storage.as_ref(), &world.area.job(), &world.job, PutMode::Overwrite).await.unwrap();
        let entry = world.store(0, &numbered(10..20)).await;
        let task = message(&entry.task(&world.area, &world.job.job_id).body().unwrap());
        world.manifest(vec![entry]).await;
        if undone {
            undo(&world.context, &world.table, &parent.job_id, &area, false).await.unwrap();
        }
        world.load_done(&[task]).await;
        let expected = if undone { vec![] } else { expected(0..20) };
        assert_eq!((world.rows().await, world.receipt().await.is_none()), (expected, undone));
    }
}
