//! Workers and splitters outside of Lambda: receive, work, and turn verdicts into answers.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use shared::{
    Backoff, BackoffSettings, ChunkTask, JobId, Message, Queue, QueueError, Requeue, Verdict, VisibilityHeartbeat,
    error_chain,
};
use splitter::HandlerContext;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use worker::LoadContext;

/// How long one receive waits for a message: in this process, and at SQS, which asks for whole seconds and charges every
/// receive. A stop takes as long at most when there is nothing to do.
const EMBEDDED_WAIT: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_secs(5);

/// Most time that a message is left alone in this process.
const EMBEDDED_REST: Duration = Duration::from_secs(2);

/// Mean of the longest wait between two receives that fail.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What is done with messages.
#[derive(Debug)]
pub(crate) enum Work {
    /// Chunk tasks are loaded; a batch makes one commit a table.
    Load(Box<LoadContext>),
    /// News of dropped objects are followed by splitting these, one after the other.
    Split(Box<HandlerContext>),
}

/// Workers that share one queue.
#[derive(Debug)]
pub(crate) struct Pollers {
    queue: Arc<dyn Queue>,
    work: Work,
    /// Most messages that one worker receives at once.
    batch: usize,
    /// How long the queue hides a message that was received.
    visibility: Duration,
    /// What becomes of messages that are not done; none where queue and workers are of one process, which ends with the
    /// job.
    requeue: Option<Requeue>,
    /// Receives after which a message of the embedded queue is rejected.
    max_receives: u32,
    answers: Answers,
}

/// How many messages were answered in which way.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) done: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) handed_back: AtomicU64,
    /// Why messages of the embedded queue were rejected.
    reasons: std::sync::Mutex<Vec<Rejected>>,
}

/// Why a message of the embedded queue was rejected.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    /// The job of the chunk; none where the message does not say.
    pub(crate) job: Option<JobId>,
    /// The whole cause, as text.
    pub(crate) reason: String,
    /// Whether the source is to blame.
    pub(crate) bad_input: bool,
}

impl Pollers {
    /// Workers of a queue in this process, which hides a message for `visibility`.
    pub(crate) fn embedded(
        queue: Arc<dyn Queue>,
        context: LoadContext,
        batch: usize,
        visibility: Duration,
        max_receives: u32,
    ) -> Self {
        let (work, answers) = (Work::Load(Box::new(context)), Answers::default());
        Self { queue, work, batch, visibility, requeue: None, max_receives, answers }
    }

    /// Workers of a queue that others work on too.
    pub(crate) fn new(queue: Arc<dyn Queue>, work: Work, batch: usize, visibility: Duration) -> Self {
        let (storage, work_prefix) = match &work {
            Work::Load(context) => (&context.storage, context.settings.work_prefix.clone()),
            Work::Split(context) => (&context.split.storage, Some(context.split.work_prefix.clone())),
        };
        let requeue = Some(Requeue::new(Some(Arc::clone(&queue)), Arc::clone(storage), work_prefix));
        Self { queue, work, batch, visibility, requeue, max_receives: u32::MAX, answers: Answers::default() }
    }

    /// How many messages were answered in which way so far.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Takes the reasons for which messages of the embedded queue were rejected.
    pub(crate) fn take_reasons(&self) -> Vec<Rejected> {
        std::mem::take(&mut *self.answers.reasons.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on one batch after the other until `stop` is cancelled; what is in progress is finished, what is not begun is
    /// handed back. Ends with an error only when the very first receive fails for a lasting reason.
    pub(crate) async fn poll(&self, stop: &CancellationToken) -> Result<(), QueueError> {
        let mut failures = failures();
        let mut has_received = false;
        while !stop.is_cancelled() {
            let is_embedded = self.requeue.is_none();
            let wait = if is_embedded { EMBEDDED_WAIT } else { WAIT };
            let received = tokio::select! {
                // A receive that is cut off may have taken messages, which would stay hidden; not so in this process.
                () = stop.cancelled(), if is_embedded => break,
                received = self.queue.receive(self.batch, wait) => received,
            };
            match received {
                Ok(received) => {
                    (failures, has_received) = (self::failures(), true);
                    self.work_through(received, stop).await;
                }
                Err(error) if error.is_lasting() && !has_received => return Err(error),
                Err(error) => rest_after(&error, &mut failures, stop).await,
            }
        }
        Ok(())
    }

    async fn work_through(&self, received: Vec<Message>, stop: &CancellationToken) {
        let held = VisibilityHeartbeat::new(Arc::clone(&self.queue), &received, self.visibility);
        let mut rest = received.as_slice();
        while !rest.is_empty() && !stop.is_cancelled() {
            let (begun, later) = match &self.work {
                Work::Load(_) => (rest, &[][..]),
                Work::Split(_) => rest.split_at(1),
            };
            self.begin(begun).await;
            let verdicts = match &self.work {
                Work::Load(context) if self.requeue.is_none() => worker::load(context, begun).await,
                Work::Load(context) => worker::load(context, begun).instrument(worker::batch_span(begun)).await,
                Work::Split(context) => join_all(begun.iter().map(|m| splitter::handle_message(context, m))).await,
            };
            for (message, verdict) in begun.iter().zip(verdicts) {
                held.release(&message.receipt).await;
                self.answer(message, verdict).await;
            }
            rest = later;
        }
        for message in rest {
            held.release(&message.receipt).await;
            self.answers.handed_back.fetch_add(1, Ordering::Relaxed);
            told(message, "handed back", self.queue.hide(&message.receipt, Duration::ZERO)).await;
        }
    }

    /// Notes what is begun, for whoever finds it when this process is killed over it.
    async fn begin(&self, messages: &[Message]) {
        let Some(requeue) = &self.requeue else { return };
        match &self.work {
            Work::Load(context) => {
                let loading = worker::loading(messages.len());
                requeue.begin(messages, loading, &context.settings.memory, None).await;
            }
            Work::Split(context) => {
                requeue.begin(messages, splitter::splitting, &context.split.settings.memory, None).await;
            }
        }
    }

    async fn answer(&self, message: &Message, verdict: Verdict) {
        let (message_id, receives) = (message.id.as_str(), message.receive_count);
        let of = ChunkTask::parse(&message.body).ok().and_then(|task| task.chunk);
        let (job, chunk) = (of.as_ref().map(|of| of.job_id.as_str()), of.as_ref().map(|of| of.index));
        let Answers { done, retried, rejected, .. } = &self.answers;
        match &verdict {
            Verdict::Done => {
                done.fetch_add(1, Ordering::Relaxed);
                tracing::info!(message_id, receives, job, chunk, "done");
                if let Some(requeue) = &self.requeue {
                    requeue.end(message).await;
                }
                return self.acknowledge(message).await;
            }
            Verdict::Reject { reason, .. } | Verdict::Retry { reason, .. }
                if self.requeue.is_none()
                    && (receives >= self.max_receives || matches!(verdict, Verdict::Reject { .. })) =>
            {
                self.note_rejected(message, reason, matches!(verdict, Verdict::Reject { bad_input: true, .. }));
                return self.acknowledge(message).await;
            }
            Verdict::Retry { reason, after, .. } => {
                retried.fetch_add(1, Ordering::Relaxed);
                let is_embedded = self.requeue.is_none();
                let rest =
                    if is_embedded { (*after).min(EMBEDDED_REST) } else { verdict.rest(receives).unwrap_or_default() };
                let after_seconds = rest.as_secs();
                if is_embedded && receives > 1 {
                    // Who looks at the screen has read why.
                    tracing::info!(message_id, receives, job, chunk, reason, after_seconds, "to be tried again");
                } else {
                    tracing::warn!(message_id, receives, job, chunk, reason, after_seconds, "to be tried again");
                }
            }
            Verdict::Reject { reason, .. } => {
                rejected.fetch_add(1, Ordering::Relaxed);
                // The splitter's handler has said why, object by object.
                if matches!(self.work, Work::Load(_)) {
                    let what = "rejected, on its way to the dead letters";
                    tracing::error!(message_id, receives, job, chunk, reason, "{what}");
                }
            }
        }
        match (&self.requeue, verdict) {
            (Some(requeue), verdict) => requeue.requeue(message, &verdict).await,
            (None, Verdict::Retry { after, .. }) => {
                // Somebody waits before the screen.
                let after = after.min(EMBEDDED_REST);
                told(message, "left alone", self.queue.hide(&message.receipt, after)).await;
            }
            (None, _) => {}
        }
    }

    /// On one machine the one who ran the command is the one who looks into dead letters.
    fn note_rejected(&self, message: &Message, reason: &str, bad_input: bool) {
        let rejected = Rejected { job: job_of(message), reason: reason.to_owned(), bad_input };
        self.answers.reasons.lock().unwrap_or_else(PoisonError::into_inner).push(rejected);
    }

    async fn acknowledge(&self, message: &Message) {
        told(message, "acknowledged", self.queue.acknowledge(std::slice::from_ref(&message.receipt))).await;
    }
}

/// The job of a chunk task.
pub(crate) fn job_of(message: &Message) -> Option<JobId> {
    ChunkTask::parse(&message.body).ok()?.chunk.map(|chunk| chunk.job_id)
}

/// An answer that does not reach the queue is no loss: the message comes again, and is found done if it was.
async fn told(message: &Message, what: &str, answer: impl Future<Output = Result<(), QueueError>>) {
    if let Err(error) = answer.await {
        let (message_id, reason) = (message.id.as_str(), error_chain(&error));
        tracing::warn!(message_id, reason, "could not be {what}; it comes again");
    }
}

/// Waits between failures of a queue, without an end to them.
pub(crate) fn failures() -> Backoff {
    Backoff::new(&BackoffSettings { max_attempts: u32::MAX, max: LONGEST_REST, ..BackoffSettings::default() })
}

/// Tells of a failure of the queue, and waits before the next try, or until `stop`.
pub(crate) async fn rest_after(error: &QueueError, failures: &mut Backoff, stop: &CancellationToken) {
    let wait = failures.next_wait().unwrap_or(LONGEST_REST);
    tracing::warn!(reason = error_chain(error), wait_ms = wait.as_millis(), "the queue does not answer");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(wait) => {}
    }
}
