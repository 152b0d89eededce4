//! Answers to messages that name dropped objects, and the answer of the Lambda function.

pub(crate) mod event;
mod verdict;

use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use tracing::field::Empty;

use serde_json::Value;
use shared::{
    Lines, Manifest, Message, Progress, Queue, Requeue, Settings, SqsQueue, Stores, Verdict, batch_answer, error_chain,
};
use tokio_util::sync::CancellationToken;

use crate::context::{Known, SplitContext};
use crate::error::{BadInput, SplitError};
use crate::handler::event::{DroppedObject, EventError, Notification, Payload, unquoted};
use crate::handler::verdict::{RETRY_AFTER, graver, logged, verdict};
use crate::room::THREAD_BYTES;
use crate::routes::contexts::contexts;
use crate::routes::kept::KeptRoutes;
use crate::split::split;

/// Most time that is kept for coming to a stop before the invocation's end.
const STOP_MARGIN: Duration = Duration::from_mins(1);

/// Blocks that are decoded and encoded at once: one a core, as far as there is memory for them.
pub fn threads(settings: &Settings, cores: usize) -> usize {
    settings.memory.at_once(cores, THREAD_BYTES)
}

/// What messages are answered with the help of.
#[derive(Clone, Debug)]
pub struct HandlerContext {
    /// What the splitter works with.
    pub split: SplitContext,
    /// The queue that the messages come from: for keeping them hidden, and for handing over a job that is not done when it
    /// is time to stop.
    pub source_queue: Option<Arc<dyn Queue>>,
    /// The routes by which objects are bound for tables; none where all are bound for that of `split`.
    pub routes: Option<KeptRoutes>,
}

/// A variable that the splitter cannot do without is not set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} is not set: it must be {what}")]
pub struct ContextError {
    /// Name of the variable.
    pub name: &'static str,
    /// What it must be.
    pub what: &'static str,
}

/// Why an invocation fails as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The payload cannot be answered message by message.
    #[error("the payload cannot be answered")]
    Payload(#[source] EventError),
    /// What was asked for directly is not done; the caller is to try again or to look.
    #[error("the objects of a direct invocation are not split: {reason}")]
    Direct {
        /// The whole cause, as text.
        reason: String,
    },
}

impl HandlerContext {
    /// All that the settings ask for, with AWS from the environment.
    pub async fn from_settings(settings: Settings) -> Result<Self, ContextError> {
        let unset = |name, what| ContextError { name, what };
        let work_prefix = settings.work_prefix.clone();
        let work_prefix = work_prefix.ok_or_else(|| unset("CHUNK_BUCKET", "the bucket that chunks are kept in"))?;
        let url = settings.aws.chunk_queue_url.as_deref();
        let url = url.ok_or_else(|| unset("CHUNK_QUEUE_URL", "the SQS queue that chunk tasks are sent to"))?;
        let routes = settings.routes.clone().map(|at| KeptRoutes::new(at, work_prefix.clone()));
        let table = settings.table.clone();
        if table.is_none() && routes.is_none() {
            return Err(unset("TABLE_URI", "the Delta table that drops are bound for, unless ROUTES_URI is set"));
        }
        let source_queue: Option<Arc<dyn Queue>> = match &settings.aws.source_queue_url {
            Some(url) => Some(Arc::new(SqsQueue::from_env(url).await)),
            None => None,
        };
        let split = SplitContext {
            storage: Stores::from_env(),
            queue: Some(Arc::new(SqsQueue::from_env(url).await)),
            topic: settings.topic(),
            gate: None,
            work_prefix,
            table,
            threads: threads(&settings, std::thread::available_parallelism().map_or(1, usize::from)),
            known: Known::default(),
            announce_again: false,
            progress: Arc::new(Progress::default()),
            stop: CancellationToken::new(),
            settings,
        };
        Ok(Self { split, source_queue, routes })
    }
}

/// As [`handle`], but comes to a stop at a checkpoint ahead of the invocation's end, which is `left` from now.
pub async fn handle_within(context: &HandlerContext, payload: Value, left: Duration) -> Result<Value, HandlerError> {
    let stop = context.split.stop.child_token();
    let split = SplitContext { stop: stop.clone(), ..context.split.clone() };
    let context = HandlerContext { split, ..context.clone() };
    let handled = answer(&context, payload, Some(left));
    tokio::pin!(handled);
    tokio::select! {
        answer = &mut handled => return answer,
        () = tokio::time::sleep(time_to_work(left)) => stop.cancel(),
    }
    handled.await
}

/// Time from now on after which to stop.
fn time_to_work(left: Duration) -> Duration {
    left.saturating_sub(STOP_MARGIN.min(left / 5))
}

/// Answers what a Lambda function is handed.
///
/// The answer to a batch names the messages that are to come again, and leaves the others to be deleted; anything but a
/// batch ends in an error unless all of it is done, so that Lambda tries again. Messages are taken one after the other,
/// since each uses all threads there are.
pub async fn handle(context: &HandlerContext, payload: Value) -> Result<Value, HandlerError> {
    answer(context, payload, None).await
}

/// As [`handle`], where so much time is left.
async fn answer(context: &HandlerContext, payload: Value, left: Option<Duration>) -> Result<Value, HandlerError> {
    let payload = Payload::parse(&payload).inspect_err(|error| {
        tracing::error!(reason = error_chain(error), "the payload cannot be answered");
    });
    let messages = match payload.map_err(HandlerError::Payload)? {
        Payload::Batch(messages) => messages,
        Payload::Direct(message) => match handle_message(context, &message).await {
            Verdict::Done => Vec::new(),
            Verdict::Retry { reason, .. } | Verdict::Reject { reason, .. } => {
                return Err(HandlerError::Direct { reason });
            }
        },
    };
    let (storage, work_prefix) = (Arc::clone(&context.split.storage), context.split.work_prefix.clone());
    let requeue = Requeue::new(context.source_queue.clone(), storage, Some(work_prefix));
    let held = requeue.heartbeat(&messages);
    let mut failures = Vec::new();
    for message in messages {
        requeue.begin(std::slice::from_ref(&message), splitting, &context.split.settings.memory, left).await;
        let verdict = handle_message(context, &message).await;
        if let Some(held) = &held {
            held.release(&message.receipt).await;
        }
        if verdict == Verdict::Done {
            requeue.end(&message).await;
        } else {
            requeue.requeue(&message, &verdict).await;
            failures.push(message.id);
        }
    }
    Ok(batch_answer(failures))
}

/// What is begun with a message, in words.
pub fn splitting(message: &Message) -> String {
    let objects = Notification::parse(&message.body).map(|notification| notification.dropped).unwrap_or_default();
    let objects: Vec<String> = objects.iter().map(|object| object.location().to_string()).collect();
    format!("splitting {}", if objects.is_empty() { "the objects of a message".to_owned() } else { objects.join(", ") })
}

/// Splits all objects that a message names, and returns the answer to the message. A panic is this message's only.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use shared::testing::MemoryStorage;
/// use shared::{MemoryQueue, Message, PutMode, Queue, ReceiptHandle, Settings, Storage, Verdict};
/// use splitter::{HandlerContext, SplitContext, handle_message};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = Arc::new(MemoryStorage::default());
/// storage.put(&"s3://drops/a.csv".parse()?, "id\n1\n2\n".into(), PutMode::Overwrite).await?;
/// let queue = Arc::new(MemoryQueue::new(Duration::from_secs(30), 5));
///
/// let split = SplitContext::new(storage, "s3://chunks/work".parse()?, Settings::from_lookup(|_| None)?);
/// let split = SplitContext { queue: Some(queue.clone()), ..split };
/// let context = HandlerContext { split, source_queue: None, routes: None };
/// let body = r#"{"s3_bucket": "drops", "s3_object_key": "a.csv"}"#.to_owned();
/// let message = Message { id: "1".to_owned(), receipt: ReceiptHandle(String::new()), body, receive_count: 1 };
///
/// assert_eq!(handle_message(&context, &message).await, Verdict::Done);
/// assert_eq!(queue.receive(10, Duration::ZERO).await?.len(), 1, "one chunk, one task");
/// # Ok(())
/// # }
/// ```
pub async fn handle_message(context: &HandlerContext, message: &Message) -> Verdict {
    let (context, worked_on) = (context.clone(), message.clone());
    let work = tokio::spawn(async move { Box::pin(work_on(&context, &worked_on)).await }.in_current_span());
    work.await.unwrap_or_else(|panic| {
        let reason = error_chain(&panic);
        tracing::error!(message_id = message.id, reason, "the splitter has a bug");
        Verdict::Retry { reason, after: RETRY_AFTER, most_receives: None }
    })
}

async fn work_on(context: &HandlerContext, message: &Message) -> Verdict {
    let message_id = message.id.as_str();
    let notification = match Notification::parse(&message.body) {
        Ok(notification) => notification,
        Err(error) => {
            let reason = error_chain(&error);
            tracing::error!(message_id, reason, "the message cannot be read");
            return Verdict::Reject { reason, bad_input: false };
        }
    };
    for skip in &notification.skipped {
        tracing::info!(message_id, reason = %skip, "nothing to do");
    }
    let mut answer = Verdict::Done;
    let mut advanced = false;
    for object in &notification.dropped {
        for split in contexts_of(context, object).await {
            let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
            // Of the gravest level, so that it is there whatever level is logged.
            let span = tracing::error_span!("drop", message_id, bucket, key, job = Empty);
            let result = match split {
                Ok(split) => split_object(&split, object).instrument(span.clone()).await,
                Err(error) => Err(error),
            };
            advanced |= has_advanced(&result);
            let verdict = span.in_scope(|| log_result(message_id, object, &result));
            count(&context.split.progress, &result, &verdict);
            if matches!(result, Err(SplitError::Stopped { .. })) {
                return if advanced { hand_over(context, message, verdict).await } else { verdict };
            }
            answer = graver(answer, verdict);
        }
    }
    answer
}

/// What an object is split by, for each table that it goes to; one error if that is not known.
async fn contexts_of(context: &HandlerContext, object: &DroppedObject) -> Vec<Result<SplitContext, SplitError>> {
    let (split, at) = (&context.split, object.location());
    // What the splitter wrote itself has no route.
    let routes = context.routes.as_ref().filter(|_| !split.work_prefix.contains(&at));
    match contexts(split, routes, &at).await {
        Ok(contexts) => contexts.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// What became of an object.
#[derive(Debug)]
enum Ending {
    /// All its chunks are announced.
    Split {
        /// Whether none of this was left to be done.
        before: bool,
        /// What was split.
        manifest: Box<Manifest>,
    },
    /// It was written to after the event; that has an event of its own.
    Superseded,
    /// It is not a drop: the splitter wrote it.
    Own,
}

async fn split_object(split_by: &SplitContext, object: &DroppedObject) -> Result<Ending, SplitError> {
    let at = object.location();
    if split_by.stop.is_cancelled() {
        return Err(SplitError::Stopped { chunks: 0, advanced: 0 });
    }
    if split_by.work_prefix.contains(&at) {
        return Ok(Ending::Own);
    }
    if split_by.table.as_ref().is_some_and(|table| table.contains(&at)) {
        let hint =
            "keep drops out of the table's prefix, and keep the bucket's notifications to the prefix of the drops";
        return Err(BadInput::whole(&at, "the object lies within the table that it is bound for", hint).into());
    }
    if let Some(e_tag) = &object.e_tag {
        let present = split_by.storage.stat(&at).await.map_err(SplitError::Source)?;
        if unquoted(&present.version.0) != e_tag {
            return Ok(Ending::Superseded);
        }
    }
    let known = Known { dropped_at: object.time, ..split_by.known.clone() };
    let outcome = split(&SplitContext { known, ..split_by.clone() }, &at).await?;
    Ok(Ending::Split { before: outcome.was_split_before, manifest: Box::new(outcome.manifest) })
}

/// Whether there are chunks now that were not announced before.
fn has_advanced(result: &Result<Ending, SplitError>) -> bool {
    match result {
        Ok(Ending::Split { before, manifest }) => !manifest.chunks.is_empty() && !before,
        Err(SplitError::Stopped { advanced, .. }) => *advanced > 0,
        _ => false,
    }
}

/// Counts what became of an object. Records and lines of a file count once, at its end, whatever number of attempts it takes.
fn count(progress: &Progress, result: &Result<Ending, SplitError>, verdict: &Verdict) {
    match result {
        Ok(Ending::Superseded | Ending::Own | Ending::Split { before: true, .. }) => return,
        Ok(Ending::Split { before: false, manifest }) => {
            progress.files_split.add(1);
            progress.split_bytes.add(manifest.run.as_ref().map_or(0, |run| run.bytes));
            progress.split_records.add(manifest.records);
            progress.split_rejected.add(manifest.quarantined);
            progress.split_skipped_lines.add(manifest.lines.as_ref().map_or(0, Lines::skipped));
            progress.split_chunks.add(u64::try_from(manifest.chunks.len()).unwrap_or_default());
        }
        Err(_) => progress.files_rejected.add(u64::from(matches!(verdict, Verdict::Reject { .. }))),
    }
    progress.split_attempts.add(1);
}

/// Logs what became of an object, this once, and returns the answer to its message.
fn log_result(message_id: &str, object: &DroppedObject, result: &Result<Ending, SplitError>) -> Verdict {
    let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
    let error = match result {
        Ok(Ending::Split { before, manifest }) => {
            let Manifest { records, quarantined, chunks, lines, .. } = manifest.as_ref();
            let (chunks, skipped_lines) = (chunks.len(), lines.as_ref().map(Lines::skipped));
            let lines = lines.as_ref().map(|lines| lines.total);
            tracing::info!(
                message_id,
                bucket,
                key,
                chunks,
                before,
                records,
                quarantined,
                lines,
                skipped_lines,
                "split"
            );
            return Verdict::Done;
        }
        Ok(Ending::Superseded) => {
            let (e_tag, version_id, sequencer) = (&object.e_tag, &object.version_id, &object.sequencer);
            tracing::info!(message_id, bucket, key, e_tag, version_id, sequencer, "superseded by a newer object");
            return Verdict::Done;
        }
        Ok(Ending::Own) => {
            let reason = "it lies in the work area; keep the bucket's notifications to the prefix of the drops";
            tracing::warn!(message_id, bucket, key, reason, "not split");
            return Verdict::Done;
        }
        Err(error) => error,
    };
    let verdict = verdict(error, object.e_tag.is_some());
    let reason = logged(error);
    match verdict {
        Verdict::Done => tracing::warn!(message_id, bucket, key, reason, "the object was deleted before it was split"),
        Verdict::Retry { .. } => tracing::warn!(message_id, bucket, key, reason, "not split for now"),
        Verdict::Reject { .. } => tracing::error!(message_id, bucket, key, reason, "cannot be split"),
    }
    verdict
}

/// A message that comes back has used up one of its receives, and a job that takes more invocations than receives would
/// end among the dead letters. So one that came further is sent again, and the old message is done; each hand-over has
/// announced a chunk, so there is an end to them. Without a queue to send to, `verdict` stands.
async fn hand_over(context: &HandlerContext, message: &Message, verdict: Verdict) -> Verdict {
    let Some(queue) = &context.source_queue else { return verdict };
    let message_id = message.id.as_str();
    match queue.send(std::slice::from_ref(&message.body)).await {
        Ok(()) => {
            tracing::info!(message_id, "handed over: sent again to the source queue");
            Verdict::Done
        }
        Err(error) => {
            tracing::warn!(message_id, reason = error_chain(&error), "not handed over; the message comes back");
            verdict
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_minute_or_a_fifth_for_stopping() {
        for (left, work) in [(900, 840), (300, 240), (100, 80), (5, 4), (0, 0)] {
            assert_eq!(time_to_work(Duration::from_secs(left)), Duration::from_secs(work), "{left}");
        }
    }
}
