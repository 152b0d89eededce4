//! The whole of Sluice in a simulated world: splitters, workers and commits as they are, over stores, queues and a clock
//! that do their worst, as a seed decides.
//!
//! Everything that a process sees of the world passes through `Process::call`, where it may die, be refused, be cheated or
//! have to wait. After every step `invariants` looks at what landed; when the faults are over and all is done, `ending` looks
//! at the whole. Time is simulated: it passes only when nobody has anything to do.

mod actors;
pub(crate) mod dice;
mod ending;
mod faults;
mod invariants;
mod queue;
mod scenario;
mod storage;
mod table_store;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::{Location, PutMode, Storage};
use tokio::task::JoinSet;
use tokio::time::sleep;

use actors::{Role, lives, look_after, news};
use dice::Dice;
use scenario::{Drop, Source};
use storage::at_once;
use world::World;

/// How many seeds are tried unless `SLUICE_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;

/// Seeds that found something once, and what it was.
const NAMED: &[(u64, &str)] = &[
    (13, "a range of a Parquet source that could not be read was taken for damage, and the drop rejected"),
    (52_051, "a splitter died between manifest and receipt of a source that was overwritten by then: no receipt"),
];

/// Between two looks at whether all is done.
const TICK: Duration = Duration::from_secs(5);

/// Ticks without faults after which all must be done.
const PATIENCE: u32 = 3_000;

/// Seeds that find something before the rest is left untried.
const ENOUGH: usize = 3;

/// What a simulation ends with.
#[derive(Debug)]
struct Simulated {
    broken: Vec<String>,
    trace: Vec<String>,
}

/// The library panics, and catches it itself, where it gives up a data file whose put has failed: nothing to be told of.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|at| at.file().ends_with("src/buffered.rs")) {
                tell(panic);
            }
        }));
    });
}

fn simulate(seed: u64) -> Simulated {
    hush();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let simulated = runtime.block_on(async {
        let world = World::new(seed);
        live(&world).await;
        Simulated { broken: world.ledger().broken.clone(), trace: world.trace() }
    });
    runtime.shutdown_background();
    simulated
}

async fn live(world: &Arc<World>) {
    let sources = Arc::new(Mutex::new(BTreeMap::new()));
    let mut actors = JoinSet::new();
    for number in 0..world.scenario.splitters {
        actors.spawn(lives(Arc::clone(world), Role::Splitter, number));
    }
    for number in 0..world.scenario.workers {
        actors.spawn(lives(Arc::clone(world), Role::Worker, number));
    }
    let mut drops = JoinSet::new();
    for drop in world.scenario.drops.clone() {
        drops.spawn(put_drop(Arc::clone(world), drop, Arc::clone(&sources)));
    }
    let came_to_rest = tokio::select! {
        came_to_rest = rest(world, &mut drops) => came_to_rest,
        () = world.watch() => Ok(()),
    };
    actors.shutdown().await;
    if world.ledger().broken.is_empty() {
        world.check("world", came_to_rest);
    }
    if world.ledger().broken.is_empty() {
        world.calm_down();
        let looked_after = look_after(world).await;
        world.check("housekeeper", looked_after);
    }
    if world.ledger().broken.is_empty() {
        let sources = sources.lock().unwrap().clone();
        let checked = ending::inspect(world, &sources).await;
        world.check("world", checked);
    }
}

type Sources = Arc<Mutex<BTreeMap<(Location, String), Source>>>;

/// Puts a drop where it belongs, and another in its place later, and has its news sent.
async fn put_drop(world: Arc<World>, drop: Drop, sources: Sources) {
    let mut now = 0;
    for (at, source) in drop.sources {
        sleep(Duration::from_millis(at - now)).await;
        now = at;
        at_once(world.objects.put(&drop.at, source.body.clone(), PutMode::Overwrite)).unwrap();
        let e_tag = at_once(world.objects.stat(&drop.at)).unwrap().version.0;
        world.note("world", format_args!("puts {} as {e_tag}", drop.at));
        world.ledger().newest.insert(drop.at.clone(), e_tag.clone());
        sources.lock().unwrap().insert((drop.at.clone(), e_tag.clone()), source);
        for later in &drop.news {
            let (world, news, later) = (Arc::clone(&world), news(&drop.at, &e_tag), Duration::from_millis(*later));
            tokio::spawn(async move {
                sleep(later).await;
                world.events.send(&[news]);
            });
        }
    }
    sleep(Duration::from_secs(2)).await;
}

/// Waits until there is nothing left to do, for anyone.
async fn rest(world: &Arc<World>, drops: &mut JoinSet<()>) -> Result<(), String> {
    while drops.join_next().await.is_some() {}
    let mut dice = Dice::of(world.seed, &["rest"]);
    let mut patience = PATIENCE;
    let mut delivers_again = world.scenario.delivers_again;
    loop {
        sleep(TICK).await;
        if !world.ledger().broken.is_empty() {
            return Ok(());
        }
        if world.now() >= world.scenario.fair_from {
            world.calm_down();
            world.events.calm_down();
            world.tasks.calm_down();
            patience = patience.checked_sub(1).ok_or("it does not come to rest")?;
        }
        if world.is_calm() || dice.percent(10) {
            let replayed = world.events.replay_dead_letters() + world.tasks.replay_dead_letters();
            if replayed > 0 {
                world.note("world", format_args!("replays {replayed} dead letters"));
            }
        }
        if !world.events.is_empty() || !world.tasks.is_empty() || world.is_in_flight() {
            continue;
        }
        if std::mem::take(&mut delivers_again) {
            world.note("world", "delivers everything once more");
            let tasks: Vec<String> = world.ledger().tasks.iter().cloned().collect();
            world.tasks.send(&tasks);
            let newest = world.ledger().newest.clone();
            let news: Vec<String> = newest.iter().map(|(at, e_tag)| news(at, e_tag)).collect();
            world.events.send(&news);
            continue;
        }
        // Whoever works on what somebody else has done already comes to an end too.
        sleep(Duration::from_hours(1)).await;
        if world.events.is_empty() && world.tasks.is_empty() && !world.is_in_flight() {
            return Ok(());
        }
    }
}

/// The seed's number in the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn tell(seed: u64, simulated: &Simulated, lines: usize) {
    let tail = simulated.trace.len().saturating_sub(lines);
    println!("seed {seed}: {}\n{}", simulated.broken.join("; "), simulated.trace[tail..].join("\n"));
    println!("Replay it: SLUICE_SEED={seed} cargo test --workspace -- --nocapture simulator::replays");
}

/// Simulates seeds on all cores; gives those that found something.
fn try_all(seeds: &[u64]) -> Vec<u64> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
            let simulated = simulate(*seed);
            if !simulated.broken.is_empty() {
                let mut failed = failed.lock().unwrap();
                tell(*seed, &simulated, 40);
                failed.push(*seed);
                if failed.len() >= ENOUGH {
                    next.store(u64::from(u32::MAX), Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn many_seeds() {
    let (first, count) = (number("SLUICE_FIRST_SEED").unwrap_or(0), number("SLUICE_SEEDS").unwrap_or(SEEDS));
    let began = std::time::Instant::now();
    let failed = try_all(&(first..first + count).collect::<Vec<_>>());
    println!("{count} seeds, {:?} each", began.elapsed() / u32::try_from(count.max(1)).unwrap());
    assert!(failed.is_empty(), "seeds that found something: {failed:?}");
}

#[test]
fn named_seeds() {
    let failed = try_all(&NAMED.iter().map(|(seed, _)| *seed).collect::<Vec<_>>());
    assert!(failed.is_empty(), "seeds that found something again: {failed:?} of {NAMED:?}");
}

/// Simulates the seed `SLUICE_SEED`, and tells everything that happened.
#[test]
fn replays() {
    if let Some(seed) = number("SLUICE_SEED") {
        let simulated = simulate(seed);
        tell(seed, &simulated, usize::MAX);
        assert!(simulated.broken.is_empty(), "seed {seed} found something");
    }
}
