//! Workers and splitters outside of Lambda: receive, work, and turn verdicts into answers.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use shared::{Backoff, BackoffSettings, Message, Queue, QueueError, ReceiptHandle, Verdict, error_chain};
use splitter::HandlerContext;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use worker::LoadContext;

/// How long one receive waits for a message: in this process, and at SQS, which asks for whole seconds and charges every
/// receive. A stop takes as long at most when there is nothing to do.
const EMBEDDED_WAIT: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_secs(5);

/// Mean of the longest wait between two receives that fail.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How long a message that was rejected is left alone before its next receive, on its way to the dead letters.
const REJECTED_AGAIN: Duration = Duration::from_secs(2);

/// How much longer a message is left alone at each receive, and how long at most. It has but a few receives; a failure
/// that lasts minutes is not to use them all up in seconds.
const RETRY_FACTOR: u32 = 4;
const LONGEST_RETRY: Duration = Duration::from_mins(15);

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
    /// Whether queue and workers are of one process, which ends with the job.
    is_embedded: bool,
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
    reasons: std::sync::Mutex<Vec<String>>,
}

impl Pollers {
    /// Workers of a queue in this process, which hides a message for `visibility`.
    pub(crate) fn embedded(queue: Arc<dyn Queue>, context: LoadContext, visibility: Duration) -> Self {
        let (work, answers) = (Work::Load(Box::new(context)), Answers::default());
        Self { queue, work, batch: 1, visibility, is_embedded: true, answers }
    }

    /// Workers of a queue that others work on too.
    pub(crate) fn new(queue: Arc<dyn Queue>, work: Work, batch: usize, visibility: Duration) -> Self {
        Self { queue, work, batch, visibility, is_embedded: false, answers: Answers::default() }
    }

    /// How many messages were answered in which way so far.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Takes the reasons for which messages of the embedded queue were rejected.
    pub(crate) fn take_reasons(&self) -> Vec<String> {
        std::mem::take(&mut *self.answers.reasons.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on one batch after the other until `stop` is cancelled; what is in hand is finished, what is not begun is
    /// handed back. Ends with an error only when the very first receive fails for a lasting reason.
    pub(crate) async fn poll(&self, stop: &CancellationToken) -> Result<(), QueueError> {
        let mut failures = failures();
        let mut has_received = false;
        while !stop.is_cancelled() {
            let wait = if self.is_embedded { EMBEDDED_WAIT } else { WAIT };
            let received = tokio::select! {
                // A receive that is cut off may have taken messages, which would stay hidden; not so in this process.
                () = stop.cancelled(), if self.is_embedded => break,
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
        let held = Held::new(Arc::clone(&self.queue), &received, self.visibility);
        let mut rest = received.as_slice();
        while !rest.is_empty() && !stop.is_cancelled() {
            let (begun, later) = match &self.work {
                Work::Load(_) => (rest, &[][..]),
                Work::Split(_) => rest.split_at(1),
            };
            let verdicts = match &self.work {
                Work::Load(context) => worker::load(context, begun).await,
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

    async fn answer(&self, message: &Message, verdict: Verdict) {
        let (message_id, receives) = (message.id.as_str(), message.receive_count);
        let is_load = matches!(self.work, Work::Load(_));
        let Answers { done, retried, rejected, reasons, .. } = &self.answers;
        match verdict {
            Verdict::Done => {
                done.fetch_add(1, Ordering::Relaxed);
                tracing::info!(message_id, receives, "done");
                self.acknowledge(message).await;
            }
            Verdict::Retry { reason, after } => {
                retried.fetch_add(1, Ordering::Relaxed);
                let after = if self.is_embedded { after } else { later(after, receives) };
                tracing::warn!(message_id, receives, reason, after_seconds = after.as_secs(), "to be tried again");
                told(message, "left alone", self.queue.hide(&message.receipt, after)).await;
            }
            Verdict::Reject { reason } if self.is_embedded => {
                // On one machine the one who ran the command is the one who looks into dead letters.
                reasons.lock().unwrap_or_else(PoisonError::into_inner).push(reason);
                self.acknowledge(message).await;
            }
            Verdict::Reject { reason } => {
                rejected.fetch_add(1, Ordering::Relaxed);
                // The splitter's handler has said why, object by object.
                if is_load {
                    tracing::error!(message_id, receives, reason, "rejected, on its way to the dead letters");
                }
                told(message, "left alone", self.queue.hide(&message.receipt, REJECTED_AGAIN)).await;
            }
        }
    }

    async fn acknowledge(&self, message: &Message) {
        told(message, "acknowledged", self.queue.acknowledge(std::slice::from_ref(&message.receipt))).await;
    }
}

/// An answer that does not reach the queue is no loss: the message comes again, and is found done if it was.
async fn told(message: &Message, what: &str, answer: impl Future<Output = Result<(), QueueError>>) {
    if let Err(error) = answer.await {
        let (message_id, reason) = (message.id.as_str(), error_chain(&error));
        tracing::warn!(message_id, reason, "could not be {what}; it comes again");
    }
}

/// When to try again what is received for the `receives`-th time.
fn later(after: Duration, receives: u32) -> Duration {
    let factor = RETRY_FACTOR.saturating_pow(receives.saturating_sub(1));
    after.saturating_mul(factor).min(LONGEST_RETRY.max(after))
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

/// Messages in hand, kept hidden until they are released.
#[derive(Debug)]
struct Held {
    receipts: Arc<Mutex<Vec<ReceiptHandle>>>,
    _keeper: AbortOnDropHandle<()>,
}

impl Held {
    /// Extends the visibility of messages from now on, in a task of its own: work may keep its task busy for long.
    fn new(queue: Arc<dyn Queue>, messages: &[Message], visibility: Duration) -> Self {
        let receipts = Arc::new(Mutex::new(messages.iter().map(|message| message.receipt.clone()).collect()));
        let keeper = tokio::spawn(keep_hidden(queue, Arc::clone(&receipts), visibility));
        Self { receipts, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// From when this returns on, the visibility of the message is not touched.
    async fn release(&self, receipt: &ReceiptHandle) {
        self.receipts.lock().await.retain(|held| held != receipt);
    }
}

async fn keep_hidden(queue: Arc<dyn Queue>, receipts: Arc<Mutex<Vec<ReceiptHandle>>>, visibility: Duration) {
    // A queue that hides for less than a second has given the message to the next one anyway.
    let visibility = visibility.max(Duration::from_secs(1));
    loop {
        tokio::time::sleep(visibility / 3).await;
        // Locked until the queue has answered, so that no extension overtakes the answer to a message.
        let receipts = receipts.lock().await;
        let extensions = join_all(receipts.iter().map(|receipt| queue.hide(receipt, visibility)));
        // And not for longer than that, so that a queue that hangs does not hold up who is done.
        let extended = tokio::time::timeout(visibility / 3, extensions).await.unwrap_or_default();
        for error in extended.into_iter().filter_map(Result::err) {
            tracing::warn!(reason = error_chain(&error), "a message in hand may be received by others too");
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::MemoryQueue;

    use super::*;

    #[test]
    fn a_failure_that_lasts_gets_its_time() {
        let waits = |after| [1, 2, 3, 4, 9].map(|receives| later(Duration::from_secs(after), receives).as_secs());
        assert_eq!(waits(10), [10, 40, 160, 640, 900]);
        assert_eq!(waits(1000), [1000; 5]);
        assert_eq!(waits(0), [0; 5], "what is handed back comes at once");
    }

    #[tokio::test]
    async fn all_that_is_in_hand_stays_hidden_until_it_is_released() {
        let visibility = Duration::from_secs(1);
        let queue = Arc::new(MemoryQueue::new(visibility, 9));
        queue.send(&["a", "b", "c"].map(str::to_owned)).await.unwrap();
        let received = queue.receive(10, Duration::ZERO).await.unwrap();
        let held = Held::new(queue.clone(), &received, visibility);
        let mut ids = Vec::new();
        for message in &received {
            assert_eq!(queue.receive(10, visibility * 3 / 2).await.unwrap(), [], "{ids:?}");
            held.release(&message.receipt).await;
            let freed = queue.receive(10, visibility * 3 / 2).await.unwrap();
            queue.acknowledge(&[freed[0].receipt.clone()]).await.unwrap();
            ids.extend(freed.into_iter().map(|message| message.id));
        }
        assert_eq!(ids, received.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
    }
}
