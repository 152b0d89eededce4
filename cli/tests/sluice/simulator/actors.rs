//! Splitters and workers: the code of production, driven as functions and pollers drive it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::{Message, Progress, Queue, Requeue, Settings, Verdict, VisibilityHeartbeat};
use splitter::{HandlerContext, SplitContext, handle_message, handle_within};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use worker::{Checkpoints, LoadContext, LoadError, Maintenance, TableStore, Vacuum, load, maintain};

use super::dice::Dice;
use super::queue::SimulatedQueue;
use super::storage::SimulatedStorage;
use super::table_store::SimulatedTable;
use super::world::{Process, World};

/// Between two lives.
const RESTART: Duration = Duration::from_millis(500);

/// The time that a function has.
const TIME: Duration = Duration::from_mins(15);

/// What a process does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Splitter,
    Worker,
}

/// A process that is started again whenever it dies.
pub(crate) async fn lives(world: Arc<World>, role: Role, number: u64) {
    for life in 1.. {
        let is_timeless = matches!(role, Role::Splitter) && world.scenario.has_parquet();
        let process = Process::start(&world, format!("{role:?} {number}.{life}").to_lowercase(), is_timeless);
        let live = async {
            match role {
                Role::Splitter => split_drops(&process).await,
                Role::Worker => load_chunks(&process).await,
            }
        };
        tokio::select! {
            biased;
            () = process.died() => {}
            () = live => {}
        }
        sleep(RESTART).await;
    }
}

fn settings(world: &World, dice: &mut Dice) -> Settings {
    let mut settings = Settings::from_lookup(|_| None).unwrap();
    let scenario = &world.scenario;
    settings.read.chunk_bytes = dice.one_of(&scenario.chunk_bytes);
    settings.load.sql = dice.one_of(&scenario.sql).map(str::to_owned);
    settings.load.partition_by.clone_from(&scenario.partition_by);
    settings.work_prefix = Some(work_prefix());
    settings.table = Some("s3://lake/t".parse().unwrap());
    settings.load.commit_mode = dice.clone().one_of(scenario.commit_modes);
    settings.load.on_replace = scenario.on_replace;
    settings.commit.max_attempts = dice.one_of(&[1, 3, 50]);
    // Drawn between nothing and twice this: a simulated millisecond whatever is drawn, so that chance has no part in it.
    settings.commit.initial = Duration::from_micros(400);
    settings.commit.max = settings.commit.initial;
    settings
}

pub(crate) fn work_prefix() -> shared::Location {
    "s3://chunks/sluice".parse().unwrap()
}

/// How long a function may take: now and then next to nothing.
fn time_left(world: &World, dice: &mut Dice) -> Duration {
    let hurried = [TIME, TIME, Duration::from_mins(1), Duration::from_secs(2), Duration::from_millis(300)];
    if world.is_calm() { TIME } else { dice.one_of(&hurried) }
}

async fn split_drops(process: &Arc<Process>) {
    let world = &process.world;
    let queue: Arc<dyn Queue> = SimulatedQueue::events(process);
    let mut dice = process.dice("settings");
    let settings = settings(world, &mut dice);
    let split = SplitContext {
        storage: SimulatedStorage::new(process),
        queue: Some(SimulatedQueue::tasks(process)),
        work_prefix: work_prefix(),
        table: settings.table.clone(),
        settings,
        threads: usize::try_from(dice.between(1, 3)).unwrap(),
        topic: None,
        known: splitter::Known::default(),
        gate: None,
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: CancellationToken::new(),
    };
    let context = HandlerContext { split, source_queue: Some(Arc::clone(&queue)), routes: None };
    loop {
        for message in world.events.receive(1).await {
            world.note(&process.name, format_args!("receives {}", message.id));
            if world.scenario.functions {
                split_in_function(process, &context, &message).await;
            } else {
                split_in_poller(process, &context, &message).await;
            }
        }
    }
}

async fn split_in_function(process: &Process, context: &HandlerContext, message: &Message) {
    let attributes = json!({"ApproximateReceiveCount": message.receive_count.to_string()});
    let record = json!({
        "eventSource": "aws:sqs", "messageId": message.id, "receiptHandle": message.receipt.0, "body": message.body,
        "attributes": attributes,
    });
    let left = time_left(&process.world, &mut process.dice("time"));
    let handled = timeout(left, handle_within(context, json!({"Records": [record]}), left)).await;
    match handled {
        Err(_) => process.die("its time is over"),
        Ok(Err(error)) => process.world.check(&process.name, Err(format!("no answer: {error}"))),
        Ok(Ok(answer)) if answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty) => {
            acknowledge(context.source_queue.as_deref().unwrap(), message).await;
        }
        Ok(Ok(_)) => {}
    }
}

async fn split_in_poller(process: &Process, context: &HandlerContext, message: &Message) {
    let queue = context.source_queue.clone().unwrap();
    let requeue = Requeue::new(Some(Arc::clone(&queue)), Arc::clone(&context.split.storage), Some(work_prefix()));
    let held = VisibilityHeartbeat::new(Arc::clone(&queue), std::slice::from_ref(message), Duration::from_secs(30));
    let verdict = handle_message(context, message).await;
    held.release(&message.receipt).await;
    answer(process, queue.as_ref(), &requeue, message, &verdict).await;
}

fn load_context(process: &Arc<Process>) -> LoadContext {
    let mut settings = settings(&process.world, &mut process.dice("settings"));
    settings.load.data_files = process.dice("data files").one_of(process.world.scenario.data_files);
    let table_store = TableStore { object_store: Some(SimulatedTable::new(process)), ..TableStore::default() };
    LoadContext::new(SimulatedStorage::new(process), settings, table_store)
}

/// Housekeeping, once all has come to rest: jobs that are done and have no receipt get theirs.
pub(crate) async fn look_after(world: &Arc<World>) -> Result<(), String> {
    let process = Process::start(world, "housekeeper".to_owned(), false);
    let context = load_context(&process);
    let asked = Maintenance {
        checkpoint: Checkpoints::Off,
        log: false,
        vacuum: Vacuum::Off,
        keep_jobs: None,
        ..Maintenance::default()
    };
    let Some(table) = context.settings.table.clone() else { return Ok(()) };
    match maintain(&context, &table, &work_prefix(), &asked).await {
        Ok(_) | Err(LoadError::NoSuchTable { .. }) => Ok(()),
        Err(error) => Err(error.reason()),
    }
}

async fn load_chunks(process: &Arc<Process>) {
    let world = &process.world;
    let queue: Arc<dyn Queue> = SimulatedQueue::tasks(process);
    let context = load_context(process);
    let requeue = Requeue::new(Some(Arc::clone(&queue)), Arc::clone(&context.storage), Some(work_prefix()));
    loop {
        let messages = world.tasks.receive(world.scenario.batch).await;
        let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        world.note(&process.name, format_args!("receives {}", ids.join(", ")));
        let mut dice = process.dice("time");
        let mut context = context.clone();
        if !world.is_calm() && dice.percent(5) {
            // By its clock, there is no time left for a second attempt.
            context.deadline = Some(std::time::Instant::now());
        }
        let held = world.scenario.holds.then(|| requeue.heartbeat(&messages)).flatten();
        let Ok(verdicts) = timeout(time_left(world, &mut dice), load(&context, &messages)).await else {
            return process.die("its time is over");
        };
        for (message, verdict) in messages.iter().zip(&verdicts) {
            if let Some(held) = &held {
                held.release(&message.receipt).await;
            }
            answer(process, queue.as_ref(), &requeue, message, verdict).await;
        }
    }
}

async fn answer(process: &Process, queue: &dyn Queue, requeue: &Requeue, message: &Message, verdict: &Verdict) {
    let reason = verdict.reason().unwrap_or("done");
    process.world.note(&process.name, format_args!("answers {}: {reason}", message.id));
    if let (Verdict::Reject { reason, .. }, false) = (verdict, process.is_dead()) {
        // All that goes wrong here may pass.
        process.world.check(&process.name, Err(format!("a message is rejected: {reason}")));
    }
    match verdict {
        Verdict::Done => acknowledge(queue, message).await,
        _ => requeue.requeue(message, verdict).await,
    }
}

/// An acknowledgement that fails is no loss: the message comes again.
async fn acknowledge(queue: &dyn Queue, message: &Message) {
    drop(queue.acknowledge(std::slice::from_ref(&message.receipt)).await);
}

/// What S3 tells of an object.
pub(crate) fn news(at: &shared::Location, e_tag: &str) -> String {
    let object: Value = json!({"key": at.key(), "eTag": e_tag, "size": 1, "sequencer": "01"});
    let s3 = json!({"bucket": {"name": at.bucket()}, "object": object});
    json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}).to_string()
}
