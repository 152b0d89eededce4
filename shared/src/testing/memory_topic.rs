//! A topic in memory.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::notice::{Notice, NoticeError, Topic};

/// A topic that keeps its notices in memory, and refuses as many as it is told to.
#[derive(Clone, Debug, Default)]
pub struct MemoryTopic {
    notices: Arc<Mutex<Vec<Notice>>>,
    refusals: Arc<AtomicU32>,
}

impl MemoryTopic {
    /// All notices, in their order.
    pub fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses the next notices.
    pub fn refuse(&self, notices: u32) {
        self.refusals.store(notices, SeqCst);
    }
}

#[async_trait]
impl Topic for MemoryTopic {
    fn arn(&self) -> &'static str {
        "arn:aws:sns:eu-central-1:123456789012:done"
    }

    async fn publish(&self, notice: &Notice) -> Result<(), NoticeError> {
        let refused = self.refusals.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if refused {
            return Err(NoticeError { topic: self.arn().to_owned(), reason: "Throttled: slow down".to_owned() });
        }
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice.clone());
        Ok(())
    }
}
