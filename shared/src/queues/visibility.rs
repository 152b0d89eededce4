//! Messages that are worked on, which others do not receive meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::queue::{Message, Queue, ReceiptHandle};
use crate::telemetry::error_chain;

/// Most time that an extension may take.
const LONGEST: Duration = Duration::from_secs(5);

type Receipts = Arc<Mutex<Vec<ReceiptHandle>>>;

/// Messages that are worked on, kept hidden until they are released or this is dropped.
#[derive(Debug)]
pub struct VisibilityHeartbeat {
    receipts: Receipts,
    _keeper: AbortOnDropHandle<()>,
}

impl VisibilityHeartbeat {
    /// Keeps messages hidden that were just received from a queue which hides them for `visibility`. A process that dies
    /// leaves them hidden for that long at most.
    pub fn new(queue: Arc<dyn Queue>, messages: &[Message], visibility: Duration) -> Self {
        Self::with(messages, |receipts| async move {
            tokio::time::sleep(visibility / 3).await;
            keep_hidden(queue, receipts, visibility).await;
        })
    }

    /// As [`Self::new`], for messages that another process received. From now on they are hidden for `most`, or for as long
    /// as the queue itself hides messages if that is less.
    pub fn from_now(queue: Arc<dyn Queue>, messages: &[Message], most: Duration) -> Self {
        Self::with(messages, |receipts| async move {
            let visibility = queue.visibility().await.map_or(most, |visibility| visibility.min(most));
            keep_hidden(queue, receipts, visibility).await;
        })
    }

    fn with<F>(messages: &[Message], keep: impl FnOnce(Receipts) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let receipts = Arc::new(Mutex::new(messages.iter().map(|message| message.receipt.clone()).collect()));
        // In a task of its own: work may keep its task busy for long.
        let keeper = tokio::spawn(keep(Arc::clone(&receipts)).in_current_span());
        Self { receipts, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// From when this returns on, the visibility of the message is not touched.
    pub async fn release(&self, receipt: &ReceiptHandle) {
        self.receipts.lock().await.retain(|held| held != receipt);
    }
}

async fn keep_hidden(queue: Arc<dyn Queue>, receipts: Receipts, visibility: Duration) {
    // A queue that hides for less than a second has given the message to the next one anyway.
    let visibility = visibility.max(Duration::from_secs(1));
    loop {
        // Locked until the queue has answered, so that no extension overtakes the answer to a message.
        let held = receipts.lock().await;
        let extensions = join_all(held.iter().map(|receipt| queue.hide(receipt, visibility)));
        // And not for longer than that, so that a queue that hangs does not hold up the others.
        let extended = tokio::time::timeout(LONGEST.min(visibility / 3), extensions).await.unwrap_or_default();
        for error in extended.into_iter().filter_map(Result::err) {
            tracing::warn!(reason = error_chain(&error), "a message in progress may be received by others too");
        }
        drop(held);
        tokio::time::sleep(visibility / 3).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::memory::MemoryQueue;

    #[tokio::test]
    async fn all_that_is_in_hand_stays_hidden_until_it_is_released() {
        let visibility = Duration::from_secs(1);
        let queue = Arc::new(MemoryQueue::new(visibility, 9));
        queue.send(&["a", "b", "c"].map(str::to_owned)).await.unwrap();
        let received = queue.receive(10, Duration::ZERO).await.unwrap();
        let held = VisibilityHeartbeat::new(queue.clone(), &received, visibility);
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

    #[tokio::test]
    async fn whoever_dies_leaves_them_for_the_shorter_time() {
        let queue = Arc::new(MemoryQueue::new(Duration::from_hours(1), 9));
        queue.send(&["a".to_owned()]).await.unwrap();
        let received = queue.receive(1, Duration::ZERO).await.unwrap();
        let held = VisibilityHeartbeat::from_now(queue.clone(), &received, Duration::from_secs(1));
        // On this one thread, the keeper has its turn while this sleeps.
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(held);
        assert_eq!(queue.receive(1, Duration::from_secs(20)).await.unwrap().len(), 1);
    }
}
