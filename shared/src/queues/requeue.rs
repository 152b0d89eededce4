//! The way back into the queue of messages that are not done.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::visibility::VisibilityHeartbeat;
use crate::failure::Failure;
use crate::location::Location;
use crate::memory::Memory;
use crate::queue::{Message, Queue};
use crate::storage::Storage;
use crate::telemetry::error_chain;
use crate::verdict::Verdict;

/// How long a function hides messages at a time, at most. One that dies leaves them hidden for this long, rather than for
/// the six times its timeout that its queue has; and threads that are busy with rows for a third of it do no harm.
const FUNCTION_VISIBILITY: Duration = Duration::from_mins(2);

/// Puts messages back that are not done: hidden for as long as their verdict asks for, and with a note of the reason.
#[derive(Clone, Debug, Default)]
pub struct Requeue {
    queue: Option<Arc<dyn Queue>>,
    notes: Option<(Arc<dyn Storage>, Location)>,
}

impl Requeue {
    /// Messages of a queue, with notes below a prefix of work areas. Without the one they come again when the queue itself
    /// thinks so, without the other the log alone has the reasons.
    pub fn new(queue: Option<Arc<dyn Queue>>, storage: Arc<dyn Storage>, work_prefix: Option<Location>) -> Self {
        Self { queue, notes: work_prefix.map(|prefix| (storage, prefix)) }
    }

    /// Keeps messages hidden for a function that was handed them.
    pub fn heartbeat(&self, messages: &[Message]) -> Option<VisibilityHeartbeat> {
        Some(VisibilityHeartbeat::from_now(self.queue.clone()?, messages, FUNCTION_VISIBILITY))
    }

    /// Notes what is begun for messages that were received before, so that a process that is killed leaves a reason. `work` says it of
    /// a message, `left` is the time that there is for it; none where there is no end to it.
    pub async fn begin(
        &self,
        messages: &[Message],
        work: impl Fn(&Message) -> String,
        memory: &Memory,
        left: Option<Duration>,
    ) {
        let Some((storage, prefix)) = &self.notes else { return };
        let left = left.map_or_else(String::new, |left| format!(" and {} s left", left.as_secs()));
        let means = format!("MEMORY_MB={}{left}", memory.mb());
        let again = messages.iter().filter(|message| message.receive_count > 1);
        join_all(again.map(async |message| {
            let message_id = message.id.as_str();
            let begun = Failure::begin(storage.as_ref(), prefix, message, &work(message), &means).await;
            if let Err(error) = begun {
                tracing::warn!(message_id, reason = error_chain(&error), "no note could be kept of what is begun");
            }
        }))
        .await;
    }

    /// Notes that what was begun for a message is done, where that was noted.
    pub async fn end(&self, message: &Message) {
        let message_id = message.id.as_str();
        if let Some((storage, prefix)) = self.notes.as_ref().filter(|_| message.receive_count > 1)
            && let Err(error) = Failure::end(storage.as_ref(), prefix, message).await
        {
            tracing::warn!(message_id, reason = error_chain(&error), "no note could be kept of what is done");
        }
    }

    /// Puts one message back. Neither call that fails is a loss: the message comes again.
    pub async fn requeue(&self, message: &Message, verdict: &Verdict) {
        let message_id = message.id.as_str();
        if let (Some((storage, prefix)), Some(reason)) = (&self.notes, verdict.reason())
            && let Err(error) = Failure::note(storage.as_ref(), prefix, message, reason).await
        {
            tracing::warn!(message_id, reason = error_chain(&error), "no note could be kept of why it failed");
        }
        if let (Some(queue), Some(rest)) = (&self.queue, verdict.rest(message.receive_count))
            && let Err(error) = queue.hide(&message.receipt, rest).await
        {
            tracing::warn!(message_id, reason = error_chain(&error), "could not be left alone; it comes again");
        }
    }
}
