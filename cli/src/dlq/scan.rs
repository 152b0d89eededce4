//! One walk through all dead letters, each met once.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use shared::{DeadLetter, DeadLetters, Queue, QueueError, ReceiptHandle, error_chain};

/// How long a letter is hidden from others when it is met. One that is needed for longer is met again, and known.
const VISIBILITY: Duration = Duration::from_secs(30);

/// How long a receive waits; without waiting, SQS asks only some of its servers.
const WAIT: Duration = Duration::from_secs(1);

/// Letters that are given back at once.
const AT_ONCE: usize = 16;

/// A walk through a queue of dead letters, which ends when nothing new comes.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    letters: &'a DeadLetters,
    /// What each letter that was met, and is still the queue's, is given back by.
    held: HashMap<String, ReceiptHandle>,
    /// Letters that came again since the last new one.
    again: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(letters: &'a DeadLetters) -> Self {
        Self { letters, held: HashMap::new(), again: 0 }
    }

    /// Up to `most` letters that were not met before; none at the end of the walk.
    pub(super) async fn next(&mut self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        loop {
            let received = self.letters.receive(most, WAIT, VISIBILITY).await?;
            let is_empty = received.is_empty();
            let mut new = Vec::new();
            for letter in received {
                let (id, receipt) = (letter.message.id.clone(), letter.message.receipt.clone());
                match self.held.insert(id, receipt) {
                    Some(_) => self.again += 1,
                    None => new.push(letter),
                }
            }
            if !new.is_empty() {
                self.again = 0;
                return Ok(new);
            }
            // Known ones keep coming in long walks; a whole round of them means that there is nothing else.
            if is_empty || self.again > self.held.len() {
                return Ok(new);
            }
        }
    }

    /// From now on these letters are not the queue's any more.
    pub(super) fn forget(&mut self, letters: &[DeadLetter]) {
        for letter in letters {
            self.held.remove(&letter.message.id);
        }
    }

    /// Makes all letters that were met visible to others at once.
    pub(super) async fn give_back(self) {
        let queue = self.letters.queue();
        let given = stream::iter(self.held).map(async |(id, receipt)| (id, queue.hide(&receipt, Duration::ZERO).await));
        let mut given = std::pin::pin!(given.buffer_unordered(AT_ONCE));
        while let Some((message_id, given)) = given.next().await {
            if let Err(error) = given {
                let reason = error_chain(&error);
                tracing::warn!(message_id, reason, "not given back; it is visible again in {} s", VISIBILITY.as_secs());
            }
        }
    }
}
