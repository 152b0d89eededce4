//! A table that is looked after keeps every row, and loads go on beside it.

mod vacuum;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use shared::testing::MemoryTopic;
use shared::{Location, PutMode, Verdict, WorkArea, put_json};
use worker::{
    Checkpoints, Cleared, Compaction, LoadError, Maintained, Maintenance, Vacuum, has_job, load, maintain, undo,
};

use crate::support::{Load, World, expected, job, message, numbered, world};
use crate::watched::Watched;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Nothing is switched on.
const NOTHING: Maintenance = Maintenance {
    checkpoint: Checkpoints::Off,
    log: false,
    vacuum: Vacuum::Off,
    compact: Compaction::Off,
    compact_after: Duration::ZERO,
    fix_statistics: false,
    keep_jobs: None,
    dry_run: false,
};

impl World {
    fn prefix(&self) -> Location {
        self.area.root().parent().unwrap()
    }

    async fn maintain(&self, asked: Maintenance) -> Maintained {
        maintain(&self.context, &self.table, &self.prefix(), &asked).await.unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.table.key()).join(name)
    }

    fn log_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("_delta_log")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Adds versions up to this one, each of one file that is nowhere and one transaction, as other writers might.
    fn grow(&self, last: usize) {
        for version in self.log().len()..=last {
            let add = json!({"add": {"path": format!("f{version}.parquet"), "partitionValues": {}, "size": 1,
                "modificationTime": 1, "dataChange": true, "stats": "{\"numRecords\":0}"}});
            let txn = json!({"txn": {"appId": format!("other/{version}"), "version": 1}});
            std::fs::write(self.path(&format!("_delta_log/{version:020}.json")), format!("{add}\n{txn}")).unwrap();
        }
    }

    /// Changes the table's settings where they were first made.
    fn set(&self, name: &str, value: &str) {
        let lines: Vec<String> = self.log()[0]
            .lines()
            .map(|line| {
                let mut action: Value = serde_json::from_str(line).unwrap();
                if let Some(table) = action.get_mut("metaData") {
                    table["configuration"][name] = value.into();
                }
                action.to_string()
            })
            .collect();
        std::fs::write(self.path("_delta_log/00000000000000000000.json"), lines.join("\n")).unwrap();
    }

    /// Undoes the job so long ago, in the table's version 2.
    async fn undo_before(&self, age: Duration) {
        undo(&self.context, &self.table, &self.job.job_id, &self.area, false).await.unwrap();
        let entry = self.path("_delta_log/00000000000000000002.json");
        let then = SystemTime::now().checked_sub(age).unwrap();
        let millis = u64::try_from(then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let lines: Vec<String> = std::fs::read_to_string(&entry)
            .unwrap()
            .lines()
            .map(|line| {
                let mut action: Value = serde_json::from_str(line).unwrap();
                if let Some(remove) = action.get_mut("remove") {
                    remove["deletionTimestamp"] = millis.into();
                }
                action.to_string()
            })
            .collect();
        std::fs::write(&entry, lines.join("\n")).unwrap();
        aged(&entry, age);
    }
}

/// Makes a file, or all files of a folder, look so much older.
fn aged(path: &Path, age: Duration) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            aged(&entry.unwrap().path(), age);
        }
    } else {
        let then = SystemTime::now().checked_sub(age).unwrap();
        match std::fs::File::options().write(true).open(path) {
            // Somebody has removed it by now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            file => file.unwrap().set_modified(then).unwrap(),
        }
    }
}

fn on_disk(at: &Location) -> &Path {
    Path::new(at.key())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintain_writes_the_checkpoint_that_is_due() {
    let asked = Maintenance { checkpoint: Checkpoints::WhenDue, ..NOTHING };
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(std::slice::from_ref(&task)).await;
    world.grow(99);
    assert!(!world.maintain(asked).await.checkpoint.unwrap().written, "99 versions came, and the table wants 100");
    world.grow(100);
    let dry = world.maintain(Maintenance { dry_run: true, ..asked }).await.checkpoint.unwrap();
    assert_eq!((dry.written, world.log_names().len()), (true, 101));
    assert!(world.maintain(asked).await.checkpoint.unwrap().written);
    let checkpoint = "00000000000000000100.checkpoint.parquet".to_owned();
    assert!(world.log_names().contains(&checkpoint), "{:?}", world.log_names());
    let again = world.maintain(asked).await.checkpoint.unwrap();
    assert_eq!((again.last, again.written), (Some(100), false));
    let always = Maintenance { checkpoint: Checkpoints::Always, ..NOTHING };
    assert!(!world.maintain(always).await.checkpoint.unwrap().written, "there is nothing new");
    world.load_done(&[task]).await;
    assert_eq!(world.log().len(), 101, "the chunk is known from the checkpoint");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintain_cleans_the_log_behind_a_checkpoint() {
    let asked = Maintenance { checkpoint: Checkpoints::Always, log: true, ..NOTHING };
    let mut world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(std::slice::from_ref(&task)).await;
    world.grow(12);
    aged(&world.path("_delta_log"), 31 * DAY);
    aged(&world.path("_delta_log/00000000000000000010.json"), DAY);
    let kept = world.maintain(asked).await;
    assert_eq!(kept.log.unwrap().objects, 0, "version 10 is young, and no checkpoint stands for those before");
    aged(&world.path("_delta_log/00000000000000000010.json"), 31 * DAY);
    let dry = world.maintain(Maintenance { dry_run: true, ..asked }).await.log.unwrap();
    assert_eq!((dry.objects, world.log().len()), (12, 13));
    assert_eq!(world.maintain(asked).await.log, Some(dry));
    assert_eq!(world.log().len(), 1);
    assert_eq!(world.maintain(asked).await.log, Some(Cleared::default()));
    world.restart();
    world.load_done(&[task]).await;
    assert_eq!(world.log().len(), 1, "the chunk is known from the checkpoint");
    assert_eq!(has_job(&world.context, &world.table, &world.job.job_id).await.unwrap(), Some(world.job.seal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintain_keeps_the_log_of_a_table_that_wants_it() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    world.set("delta.enableExpiredLogCleanup", "false");
    aged(&world.path("_delta_log"), 31 * DAY);
    let asked = Maintenance { checkpoint: Checkpoints::Always, log: true, ..NOTHING };
    assert_eq!(world.maintain(asked).await.log, None);
    assert_eq!(world.log().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_leans_on_a_checkpoint_that_is_gone_finds_its_way() {
    let world = world().await;
    let (one, two) = (world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await);
    world.load_done(&[one]).await;
    let asked = Maintenance { checkpoint: Checkpoints::Always, log: true, ..NOTHING };
    world.maintain(asked).await;
    let mut old = world.other_process();
    old.settings.commit.max_attempts = 1;
    let three = world.chunk(2, &numbered(20..30)).await;
    assert_eq!(load(&old, &[two]).await, [Verdict::Done]);
    world.grow(6);
    world.maintain(asked).await;
    aged(&world.path("_delta_log"), 31 * DAY);
    assert!(world.maintain(asked).await.log.unwrap().objects > 2);
    if load(&old, std::slice::from_ref(&three)).await != [Verdict::Done] {
        assert_eq!(load(&old, &[three]).await, [Verdict::Done]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintain_removes_the_chunks_of_jobs_that_ended_long_ago() {
    let world = world().await;
    let entry = world.store(0, &numbered(0..10)).await;
    world.manifest(vec![entry.clone()]).await;
    let task = message(&entry.task(&world.area, &world.job.job_id).body().unwrap());
    world.load_done(std::slice::from_ref(&task)).await;
    let asked = Maintenance { keep_jobs: Some(30 * DAY), ..NOTHING };
    aged(on_disk(world.area.root()), 29 * DAY);
    assert_eq!(world.maintain(asked).await.work_areas, Some(Cleared::default()));
    aged(on_disk(world.area.root()), 31 * DAY);
    let other = job(&world.job.source.uri, &world.table.join("other"), 1 << 20, &Load::default());
    put_json(world.context.storage.as_ref(), &world.area.job(), &other, PutMode::Overwrite).await.unwrap();
    assert_eq!(world.maintain(asked).await.work_areas, Some(Cleared::default()), "it is another table's");
    put_json(world.context.storage.as_ref(), &world.area.job(), &world.job, PutMode::Overwrite).await.unwrap();
    let dry = world.maintain(Maintenance { dry_run: true, ..asked }).await.work_areas.unwrap();
    assert_eq!((dry.objects, on_disk(&world.area.chunk(0)).exists()), (2, true));
    assert_eq!(world.maintain(asked).await.work_areas, Some(dry));
    for (at, is_kept) in [
        (world.area.job(), true),
        (world.area.manifest(), true),
        (world.area.receipt(), true),
        (world.area.chunk_receipt(0), true),
        (world.area.chunk(0), false),
        (world.area.staged(0), false),
    ] {
        assert_eq!(on_disk(&at).exists(), is_kept, "{at}");
    }
    assert_eq!(world.maintain(asked).await.work_areas, Some(Cleared::default()));
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintain_leaves_a_job_that_is_not_at_its_end() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    aged(on_disk(world.area.root()), 99 * DAY);
    let asked = Maintenance { keep_jobs: Some(DAY), ..NOTHING };
    assert_eq!(world.maintain(asked).await.work_areas, Some(Cleared::default()));
    undo(&world.context, &world.table, &world.job.job_id, &world.area, false).await.unwrap();
    aged(on_disk(&world.area.undone()), 2 * DAY);
    assert_eq!(world.maintain(asked).await.work_areas.unwrap().objects, 2, "what is undone is at its end, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_race_with_maintain() {
    let world = Arc::new(world().await);
    let first = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[first]).await;
    let asked = Maintenance {
        checkpoint: Checkpoints::Always,
        log: true,
        vacuum: Vacuum::After(HOUR),
        keep_jobs: Some(DAY),
        ..NOTHING
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let keepers = [(), ()].map(|()| {
        let (world, is_over) = (Arc::clone(&world), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                aged(&world.path("_delta_log"), 31 * DAY);
                world.maintain(asked).await;
            }
        })
    });
    let mut loads = Vec::new();
    for index in 1..13 {
        let from = i64::from(index) * 10;
        let task = world.chunk(index, &numbered(from..from + 10)).await;
        // Each as a process of its own, twice.
        let context = || world.other_process();
        for context in [context(), context()] {
            let task = task.clone();
            loads.push(tokio::spawn(async move {
                // What a queue does: what may succeed later comes again.
                while load(&context, std::slice::from_ref(&task)).await != [Verdict::Done] {}
            }));
        }
    }
    for load in loads {
        load.await.unwrap();
    }
    is_over.store(true, Ordering::SeqCst);
    for keeper in keepers {
        keeper.await.unwrap();
    }
    assert_eq!(world.rows().await, expected(0..130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_there_is_not_looked_after() {
    let world = world().await;
    let looked = maintain(&world.context, &world.table, &world.prefix(), &Maintenance::default()).await;
    assert!(matches!(looked, Err(LoadError::NoSuchTable { .. })), "{looked:?}");
    assert!(world.no_table());
}

/// Calls to the table's store that a new process takes to load a chunk.
async fn calls_of_a_load(world: &World) -> u64 {
    let task = world.chunk(1, &numbered(10..20)).await;
    let store = Watched::new();
    let mut context = world.other_process();
    context.table_store.object_store = Some(store.clone());
    assert_eq!(load(&context, &[task]).await, [Verdict::Done]);
    store.calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_costs_a_load_nothing_once_it_is_looked_after() {
    let fresh = world().await;
    let task = fresh.chunk(0, &numbered(0..10)).await;
    fresh.load_done(&[task]).await;
    let long = world().await;
    let task = long.chunk(0, &numbered(0..10)).await;
    long.load_done(&[task]).await;
    long.grow(2000);
    long.maintain(Maintenance::default()).await;
    let (few, many) = (calls_of_a_load(&fresh).await, calls_of_a_load(&long).await);
    assert!(many <= 2 * few, "{many} calls where a fresh table takes {few}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_done_and_has_no_receipt_gets_one() {
    let mut world = World::new(Load::default()).await;
    world.context.topic = Some(Arc::new(MemoryTopic::default()));
    let entries = vec![world.store(0, &numbered(0..3)).await];
    let task = world.chunk(0, &numbered(0..3)).await;
    world.load_done(&[task]).await;
    let other = WorkArea::new(&world.prefix(), &shared::JobId::from("being-split-0123456789abcdef".to_owned()));
    put_json(world.context.storage.as_ref(), &other.job(), &world.job, PutMode::Overwrite).await.unwrap();
    // Who split it died before it could look for receipts, and nobody takes its message again.
    world.manifest(entries).await;
    assert_eq!(world.maintain(Maintenance { dry_run: true, ..NOTHING }).await.completed, None);
    assert_eq!(world.receipt().await, None);
    assert_eq!(world.maintain(NOTHING).await.completed, Some(1));
    assert_eq!(world.receipt().await.unwrap().rows.committed, 3);
    assert_eq!(world.maintain(NOTHING).await.completed, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_was_not_sent_is() {
    let mut world = World::new(Load::default()).await;
    let topic = MemoryTopic::default();
    world.context.topic = Some(Arc::new(topic.clone()));
    world.manifest(vec![world.store(0, &numbered(0..3)).await]).await;
    let task = world.chunk(0, &numbered(0..3)).await;
    topic.refuse(2);
    for _ in 0..2 {
        let verdict = world.load(std::slice::from_ref(&task)).await.remove(0);
        assert!(matches!(&verdict, Verdict::Retry { reason, .. } if reason.contains("slow down")), "{verdict:?}");
    }
    assert_eq!((world.rows().await.len(), topic.notices().len()), (3, 0));
    assert_eq!(world.maintain(NOTHING).await.completed, Some(0), "whoever wrote the receipt may be about to send it");
    aged(on_disk(&world.area.receipt()), HOUR);
    assert_eq!(world.maintain(NOTHING).await.completed, Some(1));
    world.load_done(&[task]).await;
    assert_eq!((world.maintain(NOTHING).await.completed, topic.notices().len()), (Some(0), 1));
}
