//! Dead letters on SQS: a look into them, and the way back to where they came from.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sqs::types::{ListMessageMoveTasksResultEntry, MessageSystemAttributeName};

use super::sqs::{SqsQueue, message};
use crate::aws::aws_settings;
use crate::queue::{Message, QueueError};

/// A queue of dead letters on SQS.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    queue: SqsQueue,
}

/// A message that exhausted its receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub message: Message,
    /// When it was first sent, long before it became a dead letter perhaps.
    pub sent: Option<SystemTime>,
}

/// SQS's own task that moves dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// How far it is.
    pub state: MoveState,
    /// When it was started, in milliseconds since 1970; distinguishes it from the queue's earlier moves.
    pub started: i64,
    /// Messages that were moved, about.
    pub moved: u64,
    /// Messages that were there when it began, about.
    pub to_move: Option<u64>,
}

/// How far a move is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// Under way, or being cancelled.
    Running,
    /// All is moved.
    Completed,
    /// Ended on request; the rest stays where it is.
    Cancelled,
    /// Ended by an error; the rest stays where it is.
    Failed {
        /// What SQS says of it.
        reason: String,
    },
}

impl DeadLetters {
    /// The queue of dead letters, with the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`.
    pub async fn from_env(url: &str) -> Self {
        Self::new(aws_settings().await, url)
    }

    /// The queue of dead letters, with these settings.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        Self { queue: SqsQueue::new(config, url) }
    }

    /// The same as a plain queue: its attributes, and how its messages are answered.
    pub fn queue(&self) -> &SqsQueue {
        &self.queue
    }

    /// Another queue, reached in the same way.
    pub fn other(&self, url: &str) -> SqsQueue {
        SqsQueue { client: self.queue.client.clone(), url: url.to_owned() }
    }

    /// Up to `most` letters (1 to 10), hidden for `visibility`; none when none came within `wait`.
    pub async fn receive(
        &self,
        most: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let seconds = |time: Duration, most: u64| i32::try_from(time.as_secs().min(most)).unwrap_or_default();
        let receive = self.queue.client.receive_message().queue_url(&self.queue.url);
        let received = receive
            .max_number_of_messages(i32::try_from(most.clamp(1, 10)).unwrap_or(10))
            .wait_time_seconds(seconds(wait, 20))
            .visibility_timeout(seconds(visibility, 43_200))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| self.queue.failed("receive from", &error))?;
        let letters = received.messages.unwrap_or_default().into_iter().filter_map(|received| {
            let sent = received.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
            let sent = sent.and_then(|text| text.parse().ok()).map(Duration::from_millis);
            let sent = sent.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            Some(DeadLetter { message: message(received)?, sent })
        });
        Ok(letters.collect())
    }

    /// URLs of the queues whose dead letters come here.
    pub async fn sources(&self) -> Result<Vec<String>, QueueError> {
        let list = self.queue.client.list_dead_letter_source_queues().queue_url(&self.queue.url);
        let mut pages = list.into_paginator().send();
        let mut sources = Vec::new();
        while let Some(page) = pages.next().await {
            sources.extend(page.map_err(|error| self.queue.failed("list the sources of", &error))?.queue_urls);
        }
        sources.sort();
        Ok(sources)
    }

    /// Starts SQS's own task that moves all letters of the queue `arn`, each to where it came from or all to the queue
    /// `to`; gives what it is cancelled by. There can be but one at a time.
    pub async fn start_move(&self, arn: &str, to: Option<&str>, per_second: Option<u16>) -> Result<String, QueueError> {
        let start = self.queue.client.start_message_move_task().source_arn(arn);
        let start = start.set_destination_arn(to.map(str::to_owned));
        let started = start.set_max_number_of_messages_per_second(per_second.map(i32::from)).send().await;
        let started = started.map_err(|error| self.queue.failed("start to move the messages of", &error))?;
        Ok(started.task_handle.unwrap_or_default())
    }

    /// The move that was started last from the queue `arn`.
    pub async fn last_move(&self, arn: &str) -> Result<Option<Move>, QueueError> {
        let list = self.queue.client.list_message_move_tasks().source_arn(arn).max_results(1);
        let listed = list.send().await.map_err(|error| self.queue.failed("watch the move of messages from", &error))?;
        Ok(listed.results().first().map(Move::new))
    }

    /// Asks a move to end; what is not moved by then stays where it is.
    pub async fn cancel_move(&self, handle: &str) -> Result<(), QueueError> {
        let cancel = self.queue.client.cancel_message_move_task().task_handle(handle).send().await;
        cancel.map(drop).map_err(|error| self.queue.failed("cancel the move of messages from", &error))
    }
}

impl Move {
    fn new(entry: &ListMessageMoveTasksResultEntry) -> Self {
        let state = match entry.status().unwrap_or_default() {
            "COMPLETED" => MoveState::Completed,
            "CANCELLED" => MoveState::Cancelled,
            "FAILED" => MoveState::Failed { reason: entry.failure_reason().unwrap_or("no reason is given").to_owned() },
            _ => MoveState::Running,
        };
        Self {
            state,
            started: entry.started_timestamp(),
            moved: u64::try_from(entry.approximate_number_of_messages_moved()).unwrap_or_default(),
            to_move: entry.approximate_number_of_messages_to_move().and_then(|count| u64::try_from(count).ok()),
        }
    }
}
