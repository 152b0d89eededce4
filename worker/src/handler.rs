//! The worker as a Lambda function behind an SQS queue: answers with the messages that are to come again. A schedule calls it
//! with events of its own, to have tables looked after, and chains followed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use shared::metrics::metrics;
use shared::settings::Function;
use shared::{
    ChunkTask, Location, Message, NoMessageId, Progress, Queue, Requeue, Routes, RoutesError, RoutesReadError,
    Settings, SettingsError, SqsQueue, Storage, Stores, Verdict, batch_answer, batch_messages, routes_text,
};
use tracing::Instrument;

use crate::chain::{Followed, Following, follow};
use crate::context::LoadContext;
use crate::delta::table_store::TableStore;
use crate::error::LoadError;
use crate::load::{batch_span, load, loading};
use crate::maintain::asked::{Compaction, Maintenance, Vacuum};
use crate::maintain::{Maintained, maintain};

/// Time before the function's own limit at which commits are no longer tried.
const MARGIN: Duration = Duration::from_secs(10);

/// What the function works with.
#[derive(Debug)]
pub struct Handler {
    load: LoadContext,
    requeue: Requeue,
}

/// Why a call fails as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The messages cannot be answered one by one.
    #[error(transparent)]
    Batch(#[from] NoMessageId),
    /// The event of a schedule cannot be read.
    #[error("the event of the schedule cannot be read")]
    Maintain(#[source] serde_json::Error),
    /// Chains are to be followed, and there are no routes.
    #[error("chains are to be followed, and ROUTES_URI is not set")]
    NoRoutes,
    /// The routes cannot be read.
    #[error("the routes cannot be read")]
    RoutesRead(#[from] RoutesReadError),
    /// The routes cannot be used.
    #[error(transparent)]
    Routes(#[from] RoutesError),
    /// A route has settings that cannot be used together with those of the function.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Some chains are not up to date; the log says why.
    #[error("{failed} of {all} chains not followed")]
    NotFollowed {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// What was done cannot be told.
    #[error("the answer cannot be written")]
    Answer(#[source] serde_json::Error),
    /// Some tables are not looked after; the log says why.
    #[error("{failed} of {all} tables not looked after")]
    NotMaintained {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
}

/// Tables to look after, `{"maintain": {"tables": ["s3://bucket/table"]}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaintainEvent {
    tables: Vec<Location>,
    /// Days for which chunks of finished jobs are kept.
    keep_jobs_days: Option<u32>,
    /// Days for which data files are kept that the table no longer names.
    retention_days: Option<u32>,
    /// Which small data files are merged.
    compact: Option<Compaction>,
    /// Days from which they are.
    compact_after_days: Option<u32>,
}

impl Handler {
    /// All that the settings ask for, with AWS from the environment.
    pub async fn from_settings(settings: Settings) -> Self {
        let queue: Option<Arc<dyn Queue>> = match &settings.aws.chunk_queue_url {
            Some(url) => Some(Arc::new(SqsQueue::from_env(url).await)),
            None => None,
        };
        let storage: Arc<dyn Storage> = Stores::from_env();
        let requeue = Requeue::new(queue, Arc::clone(&storage), settings.work_prefix.clone());
        let topic = settings.topic();
        let load = LoadContext { topic, ..LoadContext::new(storage, settings, TableStore::from_env()) };
        Self { load, requeue }
    }

    /// Answers an event; `left` is the time until the function's own limit, `function` its name.
    pub async fn handle(&self, event: &Value, function: &str, left: Duration) -> Result<Value, HandlerError> {
        let mut context = self.load.clone();
        context.progress = Arc::new(Progress::default());
        context.deadline = Instant::now().checked_add(left.saturating_sub(MARGIN));
        if let Some(asked) = event.get("maintain").filter(|asked| !asked.is_null()) {
            let asked = MaintainEvent::deserialize(asked).map_err(HandlerError::Maintain)?;
            let done = look_after(&context, &asked).await;
            print_metrics(function, &context.progress);
            return serde_json::to_value(done?).map_err(HandlerError::Answer);
        }
        if event.get("chain").is_some_and(|asked| !asked.is_null()) {
            let done = follow_chains(&context).await?;
            return serde_json::to_value(done).map_err(HandlerError::Answer);
        }
        let records = event.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let messages = batch_messages(records)?;
        Ok(batch_answer(self.load_batch(&context, messages, function, left).await))
    }

    /// Loads what messages tell of; gives those that are to come again.
    async fn load_batch(
        &self,
        context: &LoadContext,
        messages: Vec<Message>,
        function: &str,
        left: Duration,
    ) -> Vec<String> {
        let requeue = &self.requeue;
        let held = requeue.heartbeat(&messages);
        requeue.begin(&messages, loading(messages.len()), &context.settings.memory, Some(left)).await;
        let span = batch_span(&messages);
        let verdicts = load(context, &messages).instrument(span.clone()).await;
        print_metrics(function, &context.progress);
        let failed = messages.into_iter().zip(verdicts).map(async |(message, verdict)| {
            if let Some(held) = &held {
                held.release(&message.receipt).await;
            }
            log(&message, &verdict);
            let is_done = verdict == Verdict::Done;
            if is_done {
                requeue.end(&message).await;
            } else {
                requeue.requeue(&message, &verdict).await;
            }
            (!is_done).then_some(message.id)
        });
        futures::future::join_all(failed).instrument(span).await.into_iter().flatten().collect()
    }
}

/// `CloudWatch` takes metrics from what a function prints.
#[expect(clippy::print_stdout, reason = "logs go to stderr")]
fn print_metrics(function: &str, progress: &Progress) {
    if let Some(line) = metrics(Function::Worker, function, SystemTime::now(), &progress.take()) {
        println!("{line}");
    }
}

/// Follows one chain after the other. One that fails does not keep the others from it; the call then fails at its end.
async fn follow_chains(context: &LoadContext) -> Result<Vec<Followed>, HandlerError> {
    let at = context.settings.routes.as_ref().ok_or(HandlerError::NoRoutes)?;
    let text = routes_text(context.storage.as_ref(), at).await?;
    let routes = Routes::parse_new(&text, at)?;
    let (mut done, mut failed) = (Vec::new(), 0);
    for chain in &routes.chains {
        let settings = chain.settings(&context.settings, &routes.version)?;
        let context = LoadContext { settings, ..context.clone() };
        let (followed, stopped) = Box::pin(follow(&context, chain, Following::default())).await;
        let report = serde_json::to_string(&followed).map_err(HandlerError::Answer)?;
        match stopped {
            Some(Verdict::Retry { reason, .. } | Verdict::Reject { reason, .. }) => {
                tracing::error!(route = chain.name, report, reason, "chain not followed to its end");
                failed += 1;
            }
            Some(Verdict::Done) | None => tracing::info!(route = chain.name, report, "chain followed"),
        }
        done.push(followed);
    }
    if failed > 0 { Err(HandlerError::NotFollowed { failed, all: done.len() }) } else { Ok(done) }
}

/// Looks after one table after the other. One that fails does not keep the others from it; the call then fails at its end.
async fn look_after(context: &LoadContext, asked: &MaintainEvent) -> Result<Vec<Maintained>, HandlerError> {
    let days = |days: u32| Duration::from_hours(24) * days;
    let mut maintenance = Maintenance::default();
    if let Some(kept) = asked.keep_jobs_days {
        maintenance.keep_jobs = Some(days(kept));
    }
    if let Some(kept) = asked.retention_days {
        maintenance.vacuum = Vacuum::After(days(kept));
    }
    maintenance.compact = asked.compact.unwrap_or(maintenance.compact);
    maintenance.compact_after = asked.compact_after_days.map_or(maintenance.compact_after, days);
    let (mut done, mut failed) = (Vec::new(), 0);
    for table in &asked.tables {
        let prefix = context.settings.work_prefix.clone().unwrap_or_else(|| table.join("_sluice"));
        match maintain(context, table, &prefix, &maintenance).await {
            Ok(maintained) => {
                if let Some(unfinished) = &maintained.unfinished_jobs {
                    context.progress.oldest_unfinished_ms.raise_to(unfinished.oldest_seconds.saturating_mul(1000));
                }
                let report = serde_json::to_string(&maintained).map_err(HandlerError::Answer)?;
                tracing::info!(%table, report, "table looked after");
                done.push(maintained);
            }
            // Nothing was loaded yet.
            Err(LoadError::NoSuchTable { .. }) => tracing::info!(%table, "there is no table yet"),
            Err(error) => {
                tracing::error!(%table, reason = error.reason(), "table not looked after");
                failed += 1;
            }
        }
    }
    if failed > 0 { Err(HandlerError::NotMaintained { failed, all: asked.tables.len() }) } else { Ok(done) }
}

fn log(message: &Message, verdict: &Verdict) {
    let (message_id, receive_count) = (message.id.as_str(), message.receive_count);
    let of = ChunkTask::parse(&message.body).ok().and_then(|task| task.chunk);
    let (job, chunk) = (of.as_ref().map(|of| of.job_id.as_str()), of.as_ref().map(|of| of.index));
    match verdict {
        Verdict::Done => tracing::info!(message_id, receive_count, job, chunk, "chunk loaded"),
        Verdict::Retry { reason, .. } => {
            tracing::warn!(message_id, receive_count, job, chunk, reason, "chunk not loaded for now");
        }
        Verdict::Reject { reason, .. } => {
            tracing::error!(message_id, receive_count, job, chunk, reason, "chunk cannot be loaded");
        }
    }
}
