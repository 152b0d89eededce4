//! A worker outside of Lambda: receives, loads, and turns verdicts into answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::{Message, Queue, QueueError, Verdict};
use tokio_util::sync::CancellationToken;
use worker::LoadContext;

/// How long one receive waits for a message.
const WAIT: Duration = Duration::from_millis(500);

/// Workers that share one queue.
#[derive(Debug)]
pub(crate) struct Pollers {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) context: LoadContext,
    /// How long the queue hides a message that was received.
    pub(crate) visibility: Duration,
    /// Why chunks were rejected.
    pub(crate) rejected: Mutex<Vec<String>>,
}

impl Pollers {
    /// Loads one message after the other until `stop` is cancelled; the message in hand is finished.
    pub(crate) async fn poll(&self, stop: &CancellationToken) -> Result<(), QueueError> {
        while !stop.is_cancelled() {
            let received = tokio::select! {
                () = stop.cancelled() => break,
                received = self.queue.receive(1, WAIT) => received?,
            };
            if received.is_empty() {
                continue;
            }
            let verdicts = tokio::select! {
                verdicts = worker::load(&self.context, &received) => verdicts,
                error = self.keep_hidden(&received) => return Err(error),
            };
            for (message, verdict) in received.iter().zip(verdicts) {
                self.answer(message, verdict).await?;
            }
        }
        Ok(())
    }

    /// Extends the visibility of messages for as long as they are worked on; returns only with an error.
    async fn keep_hidden(&self, messages: &[Message]) -> QueueError {
        loop {
            tokio::time::sleep(self.visibility / 3).await;
            for message in messages {
                if let Err(error) = self.queue.hide(&message.receipt, self.visibility).await {
                    return error;
                }
            }
        }
    }

    async fn answer(&self, message: &Message, verdict: Verdict) -> Result<(), QueueError> {
        match verdict {
            Verdict::Done => self.queue.acknowledge(std::slice::from_ref(&message.receipt)).await,
            Verdict::Retry { reason, after } => {
                tracing::warn!(message = %message.id, receives = message.receive_count, %reason, "chunk is tried again");
                self.queue.hide(&message.receipt, after).await
            }
            Verdict::Reject { reason } => {
                // On one machine the one who ran the command is the one who looks into dead letters.
                self.rejected.lock().unwrap_or_else(PoisonError::into_inner).push(reason);
                self.queue.acknowledge(std::slice::from_ref(&message.receipt)).await
            }
        }
    }
}
