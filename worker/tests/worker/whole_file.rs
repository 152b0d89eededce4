//! `COMMIT_MODE=file`: readers see all of a file or nothing.

use std::sync::Arc;

use shared::{CommitMode, Message, PutMode, Rows, Verdict};
use worker::{Tables, load, table_version};

use crate::support::{Load, World, batch, expected, numbered, strings};

const CHUNKS: u32 = 4;
const ROWS: i64 = 10;

async fn world() -> World {
    World::new(Load { commit: CommitMode::File, ..Load::default() }).await
}

/// Chunks of the world's job; gives their tasks.
async fn split(world: &World) -> (Vec<Message>, Vec<shared::ChunkEntry>) {
    let (mut tasks, mut entries) = (Vec::new(), Vec::new());
    for index in 0..CHUNKS {
        let first = i64::from(index) * ROWS;
        let entry = world.store(index, &numbered(first..first + ROWS)).await;
        tasks.push(crate::support::message(&entry.task(&world.area, &world.job.job_id).body().unwrap()));
        entries.push(entry);
    }
    (tasks, entries)
}

async fn assert_all_there(world: &World) {
    let rows = i64::from(CHUNKS) * ROWS;
    assert_eq!(world.rows().await, expected(0..rows));
    let receipt = world.receipt().await.unwrap();
    let rows = rows.unsigned_abs();
    assert_eq!(receipt.rows, Rows { read: rows, committed: rows, ..Rows::default() });
    assert_eq!(receipt.chunks, CHUNKS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_chunk_brings_all() {
    let world = world().await;
    let (tasks, entries) = split(&world).await;
    world.manifest(entries).await;
    for task in &tasks[..tasks.len() - 1] {
        world.load_done(std::slice::from_ref(task)).await;
        world.load_done(std::slice::from_ref(task)).await;
        assert!(world.no_table(), "nobody sees half a file");
    }
    world.load_done(&tasks[tasks.len() - 1..]).await;
    assert_all_there(&world).await;
    assert_eq!(world.log().len(), 2, "one version made the table, one holds the file");
    assert_eq!(world.files_on_disk(), CHUNKS as usize, "what was prepared once is not prepared again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_came_before_the_manifest_are_committed_when_it_is_told_of() {
    let world = world().await;
    let (tasks, entries) = split(&world).await;
    world.load_done(&tasks).await;
    assert!(world.no_table());
    world.manifest(entries).await;
    world.load_done(&tasks[tasks.len() - 1..]).await;
    assert_all_there(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_adds_nothing_and_completes_what_a_dead_worker_left() {
    let mut world = world().await;
    let (tasks, entries) = split(&world).await;
    world.manifest(entries).await;
    world.load_done(&tasks).await;
    let version = table_version(&world.context, &world.table).await.unwrap();
    // It died between the commit and the receipts.
    world.context.storage.delete(&world.area.receipt()).await.unwrap();
    for index in 0..CHUNKS {
        world.context.storage.delete(&world.area.chunk_receipt(index)).await.unwrap();
    }
    world.restart();
    world.load_done(&tasks[..1]).await;
    assert_all_there(&world).await;
    assert_eq!(table_version(&world.context, &world.table).await.unwrap(), version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_workers_commit_a_file_once() {
    let world = Arc::new(world().await);
    let (tasks, entries) = split(&world).await;
    world.manifest(entries).await;
    let racers = (0..6).map(|racer| {
        let (mut context, mut tasks) = (world.context.clone(), tasks.clone());
        context.tables = Tables::default();
        tokio::spawn(async move {
            tasks.rotate_left(racer % 4);
            for task in tasks {
                assert_eq!(load(&context, &[task]).await, [Verdict::Done]);
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    assert_all_there(&world).await;
    assert_eq!(world.log().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_changes_meanwhile_gets_files_that_fit_it() {
    let world = world().await;
    let (tasks, entries) = split(&world).await;
    world.load_done(&tasks[..2]).await;
    // Another job makes the table, where ids are text.
    let other = World::beside(&world).await;
    let rows = batch(vec![("id", strings(&[Some("x")])), ("name", strings(&[Some("y")]))]);
    let task = other.chunk(0, &rows).await;
    other.load_done(&[task]).await;
    world.manifest(entries).await;
    world.load_done(&tasks[2..]).await;
    let mut rows = expected(0..i64::from(CHUNKS) * ROWS);
    rows.push("id=x name=y".to_owned());
    rows.sort();
    assert_eq!(world.rows().await, rows);
    assert_eq!(world.receipt().await.unwrap().rows.committed, 40);
}

/// A vacuum that has given the notes up may be deleting the files while their job is resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_waited_for_a_fortnight_are_written_anew() {
    let world = world().await;
    let (tasks, entries) = split(&world).await;
    world.load_done(&tasks[..2]).await;
    let storage = world.context.storage.as_ref();
    let mut old = Vec::new();
    for index in 0..2 {
        let at = world.area.prepared(index);
        let mut note: serde_json::Value = shared::get_json(storage, &at, "note").await.unwrap();
        for file in note["files"].as_array_mut().unwrap() {
            let written = file["written"].as_i64().unwrap();
            file["written"] = (written - 14 * 24 * 3_600_000).into();
            old.push(file["path"].as_str().unwrap().to_owned());
        }
        shared::put_json(storage, &at, &note, PutMode::Overwrite).await.unwrap();
    }
    world.manifest(entries).await;
    world.load_done(&tasks[2..]).await;
    assert_all_there(&world).await;
    let log = world.log().concat();
    assert!(!old.is_empty() && old.iter().all(|path| !log.contains(path)), "{old:?}\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_chunk_keeps_the_file_out() {
    let world = world().await;
    let (tasks, entries) = split(&world).await;
    world.manifest(entries).await;
    world.context.storage.delete(&world.area.chunk(1)).await.unwrap();
    let verdicts = world.load(&tasks).await;
    assert!(matches!(verdicts[1], Verdict::Reject { .. }), "{verdicts:?}");
    assert!(world.no_table());
    assert_eq!(world.receipt().await, None);
    // Once it is there again, its task alone brings the file.
    world.store(1, &numbered(ROWS..2 * ROWS)).await;
    world.load_done(&tasks[1..2]).await;
    assert_all_there(&world).await;
}
