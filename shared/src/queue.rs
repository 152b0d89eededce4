//! Messages, and the queues that deliver them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

/// What a received message is acknowledged by; another one at each receive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptHandle(pub String);

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Name of the message; the same at each receive.
    pub id: String,
    /// What it is acknowledged by.
    pub receipt: ReceiptHandle,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// Why a queue did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such queue.
    #[error("queue {queue} does not exist")]
    Missing {
        /// The queue.
        queue: String,
        /// What was answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Who asks is not known, or not allowed to do this.
    #[error("not allowed to {action} queue {queue}")]
    Denied {
        /// The queue.
        queue: String,
        /// What was tried, as a verb and a preposition.
        action: &'static str,
        /// What was answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The queue could not be reached, or refused.
    #[error("could not {action} queue {queue}")]
    Unavailable {
        /// The queue.
        queue: String,
        /// What was tried, as a verb and a preposition.
        action: &'static str,
        /// What the queue answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The queue took the batch but not every entry of it.
    #[error("queue {queue} refused {refused} of {all} entries of a batch; the first because of: {first}")]
    Partial {
        /// The queue.
        queue: String,
        /// Entries that were refused, after retries.
        refused: usize,
        /// Entries in all.
        all: usize,
        /// The message for the first.
        first: String,
    },
}

impl QueueError {
    /// Whether the same call ends in the same way until a person changes something.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Denied { .. })
    }
}

/// A queue with the promises of SQS: a message is delivered at least once, in any order, and again when it is neither
/// acknowledged nor extended within its visibility.
#[async_trait]
pub trait Queue: Send + Sync + Debug {
    /// Sends messages, however many. After an error some of them may have been sent.
    async fn send(&self, bodies: &[String]) -> Result<(), QueueError>;

    /// Up to `most` messages (1 to 10); none when none came within `wait`.
    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, QueueError>;

    /// Removes messages. One that was removed already, or that has become visible again, is not an error.
    async fn acknowledge(&self, receipts: &[ReceiptHandle]) -> Result<(), QueueError>;

    /// Hides a message for this long from now on; zero gives it back at once. That the message was removed already, or
    /// was received again, is not an error: it is another's by then.
    async fn hide(&self, receipt: &ReceiptHandle, visibility: Duration) -> Result<(), QueueError>;

    /// For how long a message is hidden when it is received.
    async fn visibility(&self) -> Result<Duration, QueueError>;
}
