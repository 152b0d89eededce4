//! Each chunk is in the table once, whatever is delivered again, raced or crashed.

use std::path::Path;
use std::sync::Arc;

use shared::{PutMode, Rows, Verdict, put_json};
use worker::{has_job, load, table_version};

use crate::support::{Load, World, expected, job, message, numbered, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_a_job_and_completes_it() {
    let world = world().await;
    let mut entries = Vec::new();
    for index in 0..3 {
        let first = i64::from(index) * 250;
        entries.push(world.store(index, &numbered(first..first + 250)).await);
    }
    world.manifest(entries.clone()).await;
    let tasks: Vec<_> =
        entries.iter().map(|entry| message(&entry.task(&world.area, &world.job.job_id).body().unwrap())).collect();
    world.load_done(&tasks[..2]).await;
    assert_eq!(world.receipt().await, None);
    world.load_done(&tasks[2..]).await;
    assert_eq!(world.rows().await, expected(0..750));
    let receipt = world.receipt().await.unwrap();
    assert_eq!(receipt.rows, Rows { read: 750, committed: 750, ..Rows::default() });
    assert_eq!(table_version(&world.context, &world.table).await.unwrap(), receipt.table_version);
    assert_eq!(has_job(&world.context, &world.table, &world.job.job_id).await.unwrap(), Some(world.job.seal));
    // Two chunks in one call are one commit, beside the one that made the table.
    assert_eq!(world.log().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_known_of_a_table_that_is_not_there() {
    let world = world().await;
    assert_eq!(table_version(&world.context, &world.table).await.unwrap(), None);
    assert_eq!(has_job(&world.context, &world.table, &world.job.job_id).await.unwrap(), None);
    assert!(!std::path::Path::new(world.table.key()).exists());
}

/// A log with the present URI alone would say that jobs under former ones do not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_jobs_and_no_uri_gets_one_by_a_load_that_knows_all() {
    const URI: &str = "sluice/table/";
    let mut world = world().await;
    let tasks = [world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await];
    let last = world.chunk(2, &numbered(20..30)).await;
    world.load_done(&tasks[..1]).await;
    let entry = Path::new(world.table.key()).join("_delta_log/00000000000000000001.json");
    let text = std::fs::read_to_string(&entry).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains(URI)).collect();
    std::fs::write(&entry, without.join("\n")).unwrap();
    world.restart();
    world.load_done(&tasks[1..]).await;
    assert!(!world.log().concat().contains(URI));
    world.context.former_uris.are_all_known = true;
    world.load_done(&[last]).await;
    assert_eq!(world.log().concat().matches(URI).count(), 1);
    assert_eq!(world.rows().await, expected(0..30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_adds_nothing() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task.clone(), task.clone()]).await;
    let version = table_version(&world.context, &world.table).await.unwrap();
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..10));
    assert_eq!(table_version(&world.context, &world.table).await.unwrap(), version);
    assert_eq!(world.files_on_disk(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_loaded_may_be_gone() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(std::slice::from_ref(&task)).await;
    world.context.storage.delete(&world.area.chunk(0)).await.unwrap();
    world.load_done(&[task]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_loads_of_the_same_chunks_add_each_once() {
    let world = Arc::new(world().await);
    let mut tasks = Vec::new();
    for index in 0..4 {
        let first = i64::from(index) * 10;
        tasks.push(world.chunk(index, &numbered(first..first + 10)).await);
    }
    let racers = (0..6).map(|racer| {
        let (world, mut tasks) = (Arc::clone(&world), tasks.clone());
        tokio::spawn(async move {
            tasks.rotate_left(racer % 4);
            for task in tasks {
                assert_eq!(load(&world.context, &[task]).await, [Verdict::Done]);
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    assert_eq!(world.rows().await, expected(0..40));
    assert_eq!(world.files_on_disk(), 4, "losers clear up their files");
    for index in 0..4 {
        assert_eq!(world.chunk_receipt(index).await.rows, Rows { read: 10, committed: 10, ..Rows::default() });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creators_one_wins() {
    let world = Arc::new(world().await);
    let mut racers = Vec::new();
    for index in 0..8 {
        let first = i64::from(index) * 10;
        let task = world.chunk(index, &numbered(first..first + 10)).await;
        let world = Arc::clone(&world);
        racers.push(tokio::spawn(async move { load(&world.context, &[task]).await }));
    }
    for racer in racers {
        assert_eq!(racer.await.unwrap(), [Verdict::Done]);
    }
    assert_eq!(world.rows().await, expected(0..80));
    let created = world.log().iter().filter(|commit| commit.contains(r#"{"metaData":"#)).count();
    assert_eq!(created, 1);
    let seals = world.log().concat().matches(&format!(r#""appId":"sluice/{}","#, world.job.job_id)).count();
    assert_eq!(seals, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_commit_and_receipt_is_healed() {
    let world = World::new(Load { sql: Some("select * from chunk where id >= 4"), ..Load::default() }).await;
    let entry = world.store(0, &numbered(0..10)).await;
    world.manifest(vec![entry.clone()]).await;
    let task = message(&entry.task(&world.area, &world.job.job_id).body().unwrap());
    world.load_done(std::slice::from_ref(&task)).await;
    let (chunk, whole) = (world.chunk_receipt(0).await, world.receipt().await.unwrap());
    for at in [world.area.chunk_receipt(0), world.area.receipt()] {
        world.context.storage.delete(&at).await.unwrap();
    }
    world.load_done(&[task]).await;
    assert_eq!(world.chunk_receipt(0).await.rows, chunk.rows);
    assert_eq!(world.receipt().await.unwrap().rows, whole.rows);
    assert_eq!(whole.rows, Rows { read: 10, committed: 6, filtered: 4, ..Rows::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_cut_in_another_way_is_refused() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    let other = job(&world.job.source.uri, &world.table, 2 << 20, &Load::default());
    assert_eq!(other.job_id, world.job.job_id);
    put_json(world.context.storage.as_ref(), &world.area.job(), &other, PutMode::Overwrite).await.unwrap();
    let task = world.chunk(1, &numbered(10..20)).await;
    let reason = world.rejected(task).await;
    assert!(reason.contains("cut in another way") && reason.contains("--work-dir"), "{reason}");
    assert_eq!(world.rows().await, expected(0..10));
    assert_eq!(world.files_on_disk(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cuts_of_a_job_do_not_mix_in_one_commit() {
    let world = world().await;
    let mut other = World::beside(&world).await;
    other.job = job(&world.job.source.uri, &world.table, 2 << 20, &Load::default());
    put_json(other.context.storage.as_ref(), &other.area.job(), &other.job, PutMode::Overwrite).await.unwrap();
    assert_eq!(other.job.job_id, world.job.job_id);
    let tasks = [
        world.chunk(0, &numbered(0..10)).await,
        other.chunk(1, &numbered(5..20)).await,
        // The same place in the job, and other rows.
        other.chunk(0, &numbered(0..5)).await,
    ];
    let verdicts = world.load(&tasks).await;
    assert_eq!(verdicts[0], Verdict::Done);
    assert!(
        matches!(&verdicts[1], Verdict::Reject { reason, .. } if reason.contains("cut in another way")),
        "{verdicts:?}"
    );
    assert!(matches!(&verdicts[2], Verdict::Retry { .. }), "{verdicts:?}");
    assert_eq!(world.rows().await, expected(0..10));
    let verdicts = world.load(&tasks[2..]).await;
    assert!(matches!(&verdicts[0], Verdict::Reject { .. }), "{verdicts:?}");
    assert_eq!(world.files_on_disk(), 1);
}

/// A process lives on while its table is deleted, and made again with a longer log than the one that it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_takes_the_place_of_another_is_seen_for_what_it_is() {
    let world = world().await;
    let mut tasks = Vec::new();
    for index in 0..5 {
        let first = i64::from(index) * 10;
        tasks.push(world.chunk(index, &numbered(first..first + 10)).await);
    }
    world.load_done(&tasks[..1]).await;
    std::fs::remove_dir_all(world.table.key()).unwrap();
    world.load_done(&tasks[1..2]).await;
    assert_eq!(world.rows().await, expected(10..20));
    std::fs::remove_dir_all(world.table.key()).unwrap();
    let mut elsewhere = world.context.clone();
    elsewhere.tables = worker::Tables::default();
    for task in &tasks[2..] {
        assert_eq!(load(&elsewhere, std::slice::from_ref(task)).await, [Verdict::Done]);
    }
    world.load_done(&tasks[..2]).await;
    assert_eq!(world.rows().await, expected(0..50));
}
