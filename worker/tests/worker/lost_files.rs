//! Data files that go between the time they are written and their commit: no version may name one that is gone.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use shared::{CommitMode, Verdict};
use worker::{Checkpoints, Compaction, LoadContext, Maintained, Maintenance, Tables, Vacuum, load, maintain};

use crate::support::{Load, World, encode, expected, message, numbered, world};
use crate::watched::Watched;

const HOUR: Duration = Duration::from_hours(1);

/// A vacuum of what is older than an hour, and nothing else.
const VACUUM: Maintenance = Maintenance {
    checkpoint: Checkpoints::Off,
    log: false,
    vacuum: Vacuum::After(HOUR),
    compact: Compaction::Off,
    compact_after: Duration::ZERO,
    fix_statistics: false,
    keep_jobs: None,
    dry_run: false,
};

/// All data files of a folder.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(data_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            files.push(path);
        }
    }
    files
}

/// What two hours, and then a vacuum, do to the files of a table.
async fn vacuum_after_two_hours(world: &World) -> Maintained {
    let then = SystemTime::now().checked_sub(2 * HOUR).unwrap();
    for file in data_files(Path::new(world.table.key())) {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
    }
    let context = world.other_process();
    maintain(&context, &world.table, &world.area.root().parent().unwrap(), &VACUUM).await.unwrap()
}

/// A second view of a world, for what happens beside a load of it.
fn beside(world: &World) -> World {
    World {
        folder: tempfile::TempDir::new().unwrap(),
        context: world.other_process(),
        job: world.job.clone(),
        area: world.area.clone(),
        table: world.table.clone(),
    }
}

/// A world whose table has ten rows, and a store that can be told what is to happen before its next commit.
async fn watched_world() -> (World, std::sync::Arc<Watched>) {
    let mut world = world().await;
    let first = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[first]).await;
    let store = Watched::new();
    world.restart();
    world.context.table_store.object_store = Some(store.clone());
    (world, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_leaves_what_a_suspended_load_is_about_to_commit() {
    let (world, store) = watched_world().await;
    let other = beside(&world);
    store.before_commit(async move {
        assert_eq!(vacuum_after_two_hours(&other).await.vacuum.unwrap().objects, 0);
    });
    let task = world.chunk(1, &numbered(10..20)).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_leaves_what_each_of_two_attempts_is_about_to_commit() {
    let (world, store) = watched_world().await;
    let task = world.chunk(1, &numbered(10..20)).await;
    let (mut other, again) = (beside(&world), task.clone());
    let died = Watched::new();
    // A second delivery writes data files of its own, and dies before it commits them.
    died.before_commit(std::future::pending());
    other.context.table_store.object_store = Some(died);
    store.before_commit(async move {
        let again = [again];
        assert!(tokio::time::timeout(Duration::from_secs(1), other.load(&again)).await.is_err());
        other.context = other.other_process();
        assert_eq!(vacuum_after_two_hours(&other).await.vacuum.unwrap().objects, 0);
    });
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_leaves_what_a_file_of_no_splitter_became() {
    let (world, store) = watched_world().await;
    let other = beside(&world);
    store.before_commit(async move {
        assert_eq!(vacuum_after_two_hours(&other).await.vacuum.unwrap().objects, 0);
    });
    let at = world.folder.path().join("bare.parquet");
    std::fs::write(&at, encode(&numbered(10..20))).unwrap();
    let body = format!(r#"{{"s3_bucket":"file://","s3_object_key":"{}"}}"#, at.display());
    world.load_done(&[message(&body)]).await;
    assert_eq!(world.rows().await, expected(0..20));
    let notes = Path::new(world.table.key()).join("_sluice/_staged");
    assert_eq!(std::fs::read_dir(notes).unwrap().count(), 0, "a note is taken back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_leaves_what_small_files_are_merged_into() {
    let (world, store) = watched_world().await;
    let task = world.chunk(1, &numbered(10..20)).await;
    world.load_done(&[task]).await;
    let other = beside(&world);
    store.before_commit(async move {
        assert_eq!(vacuum_after_two_hours(&other).await.vacuum.unwrap().objects, 0);
    });
    let asked = Maintenance { vacuum: Vacuum::Off, compact: Compaction::AcrossJobs, ..VACUUM };
    let done = maintain(&world.context, &world.table, &world.area.root().parent().unwrap(), &asked).await.unwrap();
    assert_eq!(done.compaction.unwrap().made, 1);
    assert_eq!(world.rows().await, expected(0..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_went_before_the_table_was_made_are_written_again() {
    let mut world = world().await;
    let store = Watched::new();
    world.context.table_store.object_store = Some(store.clone());
    let table = world.table.key().to_owned();
    store.before_commit(async move {
        std::fs::remove_dir_all(&table).unwrap();
    });
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_deleted_during_a_commit_is_made_anew() {
    let (world, store) = watched_world().await;
    let table = world.table.key().to_owned();
    store.before_commit(async move {
        std::fs::remove_dir_all(&table).unwrap();
    });
    let task = world.chunk(1, &numbered(10..20)).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(10..20), "of the others nothing was to be kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_another_one_replaces_during_a_commit_keeps_its_own_log() {
    let (world, store) = watched_world().await;
    let (table, other) = (PathBuf::from(world.table.key()), world.folder.path().join("other"));
    copy(&table, &other);
    let entry = other.join("_delta_log/00000000000000000001.json");
    std::fs::write(&entry, std::fs::read_to_string(&entry).unwrap().replace("sluice/", "other/")).unwrap();
    store.before_commit(async move {
        std::fs::remove_dir_all(&table).unwrap();
        copy(&other, &table);
    });
    let task = world.chunk(1, &numbered(10..20)).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..20));
    assert_eq!(world.log().len(), 3);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_waits_for_its_file_and_lost_its_own_is_written_again() {
    let world = World::new(Load { commit: CommitMode::File, ..Load::default() }).await;
    let (mut tasks, mut entries) = (Vec::new(), Vec::new());
    for index in 0..3_u32 {
        let first = i64::from(index) * 10;
        let entry = world.store(index, &numbered(first..first + 10)).await;
        tasks.push(message(&entry.task(&world.area, &world.job.job_id).body().unwrap()));
        entries.push(entry);
    }
    world.manifest(entries).await;
    world.load_done(&tasks[..2]).await;
    for (lost, file) in data_files(Path::new(world.table.key())).iter().enumerate() {
        // The file may be a second name of the chunk, which is to stay as it is.
        std::fs::remove_file(file).unwrap();
        if lost > 0 {
            std::fs::write(file, "short").unwrap();
        }
    }
    world.load_done(&tasks[2..]).await;
    assert_eq!(world.rows().await, expected(0..30));
    assert_eq!(world.receipt().await.unwrap().rows.committed, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_chunk_cannot_be_written_again_is_told() {
    let world = World::new(Load { commit: CommitMode::File, ..Load::default() }).await;
    let entries = [world.store(0, &numbered(0..10)).await, world.store(1, &numbered(10..20)).await];
    let tasks = entries.each_ref().map(|entry| message(&entry.task(&world.area, &world.job.job_id).body().unwrap()));
    world.manifest(entries.to_vec()).await;
    world.load_done(&tasks[..1]).await;
    for file in data_files(Path::new(world.table.key())) {
        std::fs::remove_file(file).unwrap();
    }
    world.context.storage.delete(&world.area.chunk(0)).await.unwrap();
    let reason = world.rejected(tasks[1].clone()).await;
    assert!(reason.contains("chunks/00000.parquet does not exist"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_whose_files_are_gone_is_not_taken() {
    let (world, store) = watched_world().await;
    let (second, third) = (world.chunk(1, &numbered(10..20)).await, world.chunk(2, &numbered(20..30)).await);
    let (fourth, other) = (world.chunk(3, &numbered(30..40)).await, beside(&world));
    store.before_commit(async move { other.load_done(&[third]).await });
    let mut slow = world.context.clone();
    // It waits for the rest of the test, and dies.
    (slow.settings.commit.initial, slow.settings.commit.max) = (HOUR, HOUR);
    let maker = tokio::spawn(async move { load(&slow, &[second]).await });
    let offers = Path::new(world.table.key()).join("_sluice/_offers");
    while std::fs::read_dir(&offers).map_or(0, Iterator::count) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    maker.abort();
    maker.await.unwrap_err();
    let staged: Value = serde_json::from_slice(&std::fs::read(world.area.staged(1).key()).unwrap()).unwrap();
    let file = staged["files"][0].as_str().unwrap();
    std::fs::remove_file(Path::new(world.table.key()).join(file)).unwrap();
    let context = world.other_process();
    assert_eq!(load(&context, &[fourth]).await, [Verdict::Done]);
    let mut rows = expected(0..10);
    rows.extend(expected(20..40));
    rows.sort();
    assert_eq!(world.rows().await, rows);
    // Whoever gets the message of the maker writes its chunk again.
    let context = LoadContext { tables: Tables::default(), ..context };
    let second = world.chunk(1, &numbered(10..20)).await;
    assert_eq!(load(&context, &[second]).await, [Verdict::Done]);
    assert_eq!(world.rows().await, expected(0..40));
}
