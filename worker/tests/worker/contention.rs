//! Many writers, one table.

mod peers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::aws::AmazonS3Builder;
use deltalake::logstore::object_store::local::LocalFileSystem;
use deltalake::logstore::object_store::memory::InMemory;
use deltalake::logstore::object_store::throttle::{ThrottleConfig, ThrottledStore};
use shared::testing::Emulator;
use shared::{Message, Verdict};
use worker::{LoadContext, Tables, load, table_version};

use crate::support::{World, expected, numbered, world};
use crate::watched::Watched;

/// Rows of a chunk.
const ROWS: i64 = 2;

/// What many writers took together.
#[derive(Debug)]
struct Race {
    done: u32,
    attempts: u32,
    versions: u32,
    wall: Duration,
    /// How long each took, sorted.
    each: Vec<Duration>,
}

impl Race {
    fn new(attempts: u64, versions: u64, wall: Duration, mut each: Vec<Duration>) -> Self {
        each.sort();
        let [done, attempts, versions] = [each.len() as u64, attempts, versions].map(|n| u32::try_from(n).unwrap());
        Self { done, attempts, versions, wall, each }
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.each
            .get((self.each.len() * percent / 100).min(self.each.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    fn line(&self, name: &str) -> String {
        let chunks = f64::from(self.done.max(1));
        format!(
            "| {name} | {} | {:.1} | {} | {:.2} | {} | {} |",
            self.done,
            f64::from(self.done) / self.wall.as_secs_f64(),
            self.versions,
            f64::from(self.attempts) / chunks,
            self.percentile(50).as_millis(),
            self.percentile(99).as_millis(),
        )
    }
}

/// How writers are spread over processes, which share nothing but the table.
#[derive(Clone, Copy, Debug)]
enum Processes {
    One,
    OneEach,
}

/// Loads one chunk a message with so many writers at once, until all is done or the time is over.
async fn race(world: &World, tasks: Vec<Message>, writers: usize, processes: Processes, most: Duration) -> Race {
    let (tasks, next, began) = (Arc::new(tasks), Arc::new(AtomicUsize::new(0)), Instant::now());
    let attempts = world.context.progress.commit_attempts.get();
    let writers = (0..writers).map(|_| {
        let (tasks, next) = (Arc::clone(&tasks), Arc::clone(&next));
        let mut context = world.context.clone();
        if matches!(processes, Processes::OneEach) {
            context.tables = Tables::default();
        }
        tokio::spawn(async move { write(&context, &tasks, &next, began + most).await })
    });
    let mut each = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        each.extend(writer.await.unwrap());
    }
    let attempts = world.context.progress.commit_attempts.get() - attempts;
    let wall = began.elapsed();
    let versions = table_version(&world.context, &world.table).await.unwrap().map_or(0, |latest| latest + 1);
    Race::new(attempts, versions, wall, each)
}

async fn write(context: &LoadContext, tasks: &[Message], next: &AtomicUsize, end: Instant) -> Vec<Duration> {
    let mut each = Vec::new();
    while let Some(task) = tasks.get(next.fetch_add(1, Ordering::SeqCst))
        && Instant::now() < end
    {
        let began = Instant::now();
        assert_eq!(load(context, std::slice::from_ref(task)).await, [Verdict::Done]);
        each.push(began.elapsed());
    }
    each
}

async fn chunks(world: &World, count: usize) -> Vec<Message> {
    let mut tasks = Vec::new();
    for index in 0..u32::try_from(count).unwrap() {
        tasks.push(chunk(world, index).await);
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_process_share_their_commits() {
    let world = world().await;
    let mut tasks = chunks(&world, 200).await;
    // Each second one is told of twice.
    tasks.extend(tasks.clone().into_iter().step_by(2));
    let race = race(&world, tasks, 64, Processes::One, Duration::from_hours(1)).await;
    assert_eq!(race.done, 300);
    assert_eq!(world.rows().await, expected(0..200 * ROWS));
    // One version made the table, and no two writers of a process ever clash.
    assert_eq!(race.attempts, race.versions - 1, "{race:?}");
    assert!(race.versions < 100, "{race:?}");
    assert_eq!(world.files_on_disk(), 200, "files of the second ones are deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_many_processes_get_there_too() {
    let world = world().await;
    let mut tasks = chunks(&world, 60).await;
    tasks.extend(tasks.clone().into_iter().step_by(2));
    let race = race(&world, tasks, 12, Processes::OneEach, Duration::from_hours(1)).await;
    assert_eq!(race.done, 90);
    assert_eq!(world.rows().await, expected(0..60 * ROWS));
    let offers = std::path::Path::new(world.table.key()).join("_sluice/_offers");
    let left = std::fs::read_dir(offers).map_or(0, Iterator::count);
    assert_eq!(left, 0, "what is decided is not offered any more");
}

/// A process that dies leaves its offer to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_offered_is_committed_by_the_next() {
    let mut world = world().await;
    let (first, lost, next) = (chunk(&world, 0).await, chunk(&world, 1).await, chunk(&world, 2).await);
    world.load_done(&[first]).await;
    let rival = world.other_process();
    let store = Watched::new();
    let beaten = async move { assert_eq!(load(&rival, &[next]).await, [Verdict::Done]) };
    store.before_commit(beaten);
    world.restart_with(store);
    // It loses the race, offers its chunk, and is killed while it waits.
    world.context.settings.commit.initial = Duration::from_hours(1);
    world.context.settings.commit.max = Duration::from_hours(1);
    let offers = std::path::Path::new(world.table.key()).join("_sluice/_offers");
    let context = world.context.clone();
    let task = lost.clone();
    let dying = tokio::spawn(async move { load(&context, &[task]).await });
    while std::fs::read_dir(&offers).map_or(0, Iterator::count) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dying.abort();
    drop(dying.await);
    assert_eq!(world.rows().await, [&expected(0..2)[..], &expected(4..6)[..]].concat());

    world.context.settings.commit.initial = Duration::from_millis(5);
    world.context = world.other_process();
    let other = chunk(&world, 3).await;
    world.load_done(&[other]).await;
    assert_eq!(world.rows().await, expected(0..8), "it is taken along");
    let version = world.log().len();
    world.load_done(&[lost]).await;
    assert_eq!((world.log().len(), world.chunk_receipt(1).await.rows.committed), (version, 2));
    let later = chunk(&world, 4).await;
    world.load_done(&[later]).await;
    assert_eq!(std::fs::read_dir(&offers).unwrap().count(), 0, "what is in the table is cleared away");
}

async fn chunk(world: &World, index: u32) -> Message {
    let first = i64::from(index) * ROWS;
    world.chunk(index, &numbered(first..first + ROWS)).await
}

/// 64 writers and 1,000 chunks against what else one would write with:
/// `cargo test --workspace --release -- --ignored --nocapture contention::bench`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark, of minutes"]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
async fn bench() {
    const WRITERS: usize = 64;
    let (count, most) = (setting("CHUNKS", 1000), Duration::from_secs(setting("SECONDS", 120) as u64));
    let emulator = Emulator::start();
    emulator.create_bucket("lake").await;
    for place in ["disk", "30 ms a call", "emulated S3"] {
        if std::env::var("STORE").is_ok_and(|asked| asked != place) {
            continue;
        }
        println!("\n{WRITERS} writers, {count} chunks, {place}, at most {} s", most.as_secs());
        println!("| writer | done | a second | versions | attempts a chunk | p50 ms | p99 ms |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for (name, processes) in [("Sluice, one process", Processes::One), ("Sluice, 64 processes", Processes::OneEach)]
        {
            let mut world = world().await;
            world.context.table_store.object_store = Some(store(place, &emulator));
            world.context.settings.commit = shared::Settings::from_lookup(|_| None).unwrap().commit;
            world.context.settings.commit.max_attempts = 10_000;
            let tasks = chunks(&world, count).await;
            println!("{}", race(&world, tasks, WRITERS, processes, most).await.line(name));
        }
        for peer in peers::ALL.into_iter().take(setting("PEERS", 3)) {
            println!("{}", peers::race(peer, store(place, &emulator), WRITERS, count, most).await.line(peer.name()));
        }
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Local disk; or memory, each call after 30 ms; or S3 as the emulator has it.
fn store(place: &str, emulator: &Emulator) -> ObjectStoreRef {
    let wait = Duration::from_millis(30);
    match place {
        "disk" => Arc::new(LocalFileSystem::new()),
        "emulated S3" => {
            let bucket = AmazonS3Builder::new().with_bucket_name("lake").with_region("eu-central-1");
            let bucket = bucket.with_access_key_id("none").with_secret_access_key("none");
            Arc::new(bucket.with_endpoint(emulator.endpoint()).with_allow_http(true).build().unwrap())
        }
        _ => {
            let config = ThrottleConfig {
                wait_delete_per_call: wait,
                wait_get_per_call: wait,
                wait_list_per_call: wait,
                wait_list_with_delimiter_per_call: wait,
                wait_put_per_call: wait,
                ..ThrottleConfig::default()
            };
            Arc::new(ThrottledStore::new(InMemory::new(), config))
        }
    }
}
