//! A queue in memory that behaves as SQS does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::queue::{Message, Queue, QueueError, ReceiptHandle};

/// Visibility, redelivery, receive counts and dead letters as on SQS, on tokio's clock.
#[derive(Debug)]
pub struct MemoryQueue {
    visibility: Duration,
    max_receives: u32,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Stored>,
    dead: Vec<Message>,
    next_id: u64,
    next_receipt: u64,
}

#[derive(Debug)]
struct Stored {
    id: String,
    body: String,
    visible_at: Instant,
    receipt: Option<ReceiptHandle>,
    receive_count: u32,
}

/// Least time between two looks at messages that are visible and that nobody has taken yet.
const TICK: Duration = Duration::from_millis(10);

impl MemoryQueue {
    /// An empty queue. A message is hidden for `visibility` when it is received, and becomes a dead letter when it
    /// would be received more than `max_receives` times.
    pub fn new(visibility: Duration, max_receives: u32) -> Self {
        Self { visibility, max_receives, state: Mutex::default(), changed: Notify::new() }
    }

    /// Messages that exhausted their receives.
    pub fn dead_letters(&self) -> Vec<Message> {
        self.lock().dead.clone()
    }

    /// Messages that are neither acknowledged nor dead, hidden ones included.
    pub fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Whether every message is acknowledged or dead.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all messages out, hidden ones included, and gives their bodies, the first first.
    pub fn take_all(&self) -> Vec<String> {
        let taken = std::mem::take(&mut self.lock().messages);
        self.changed.notify_waiters();
        taken.into_iter().map(|message| message.body).collect()
    }

    /// Waits until every message is acknowledged or dead.
    pub async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            let (_, next_visible) = self.receive_now(0);
            if self.is_empty() {
                return;
            }
            let until = next_visible.unwrap_or_else(Instant::now);
            let _: Result<(), _> = timeout(until.saturating_duration_since(Instant::now()).max(TICK), changed).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that can panic, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visible messages, and when the next hidden one becomes visible.
    fn receive_now(&self, most: usize) -> (Vec<Message>, Option<Instant>) {
        let now = Instant::now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut taken = Vec::new();
        let mut kept = Vec::with_capacity(state.messages.len());
        let mut next_visible: Option<Instant> = None;
        for mut message in state.messages.drain(..) {
            if message.visible_at <= now && message.receive_count >= self.max_receives {
                state.dead.push(message.received(ReceiptHandle(String::new())));
                continue;
            }
            if message.visible_at <= now && taken.len() < most {
                state.next_receipt += 1;
                let receipt = ReceiptHandle(format!("{}#{}", message.id, state.next_receipt));
                message.receive_count += 1;
                message.visible_at = now + self.visibility;
                message.receipt = Some(receipt.clone());
                taken.push(message.received(receipt));
            }
            next_visible = Some(next_visible.map_or(message.visible_at, |next| next.min(message.visible_at)));
            kept.push(message);
        }
        state.messages = kept;
        (taken, next_visible)
    }
}

impl Stored {
    fn received(&self, receipt: ReceiptHandle) -> Message {
        Message { id: self.id.clone(), receipt, body: self.body.clone(), receive_count: self.receive_count }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, bodies: &[String]) -> Result<(), QueueError> {
        let mut state = self.lock();
        for body in bodies {
            state.next_id += 1;
            let id = format!("message-{}", state.next_id);
            let message =
                Stored { id, body: body.clone(), visible_at: Instant::now(), receipt: None, receive_count: 0 };
            state.messages.push(message);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let deadline = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let (taken, next_visible) = self.receive_now(most.clamp(1, 10));
            let until = next_visible.map_or(deadline, |next| next.min(deadline));
            if !taken.is_empty() || Instant::now() >= deadline {
                return Ok(taken);
            }
            // Whether it was a change or the time that came first, look again.
            let _: Result<(), _> = timeout(until.saturating_duration_since(Instant::now()), changed).await;
        }
    }

    async fn acknowledge(&self, receipts: &[ReceiptHandle]) -> Result<(), QueueError> {
        self.lock().messages.retain(|m| m.receipt.as_ref().is_none_or(|receipt| !receipts.contains(receipt)));
        self.changed.notify_waiters();
        Ok(())
    }

    async fn hide(&self, receipt: &ReceiptHandle, visibility: Duration) -> Result<(), QueueError> {
        let mut state = self.lock();
        if let Some(message) = state.messages.iter_mut().find(|m| m.receipt.as_ref() == Some(receipt)) {
            message.visible_at = Instant::now() + visibility;
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn visibility(&self) -> Result<Duration, QueueError> {
        Ok(self.visibility)
    }
}
