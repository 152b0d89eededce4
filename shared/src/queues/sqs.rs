//! SQS.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use crate::aws::{aws_error_message, aws_settings};
use crate::backoff::{Backoff, BackoffSettings};
use crate::queue::{Message, Queue, QueueError, ReceiptHandle};

/// Entries that SQS takes in one batch.
const BATCH: usize = 10;

/// Bytes that SQS takes in one batch, with room for the envelope; queues made before August 2025 may still have 256 KiB.
const BATCH_BYTES: usize = 240 << 10;

/// A queue on SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    pub(super) client: Client,
    pub(super) url: String,
}

/// How a queue on SQS is set up, and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// Name of the queue for policies and move tasks.
    pub arn: String,
    /// How long a message is hidden when it is received.
    pub visibility: Duration,
    /// Receives after which a message is a dead letter; none when there is no queue for dead letters.
    pub max_receives: Option<u32>,
    /// Messages that wait to be received, about.
    pub visible: u64,
    /// Messages that were received and are hidden, about.
    pub in_flight: u64,
}

impl SqsQueue {
    /// A queue, with the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`.
    pub async fn from_env(url: &str) -> Self {
        Self::new(aws_settings().await, url)
    }

    /// A queue with these settings.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(config), url: url.to_owned() }
    }

    /// How it is set up, and how much is in it.
    pub async fn attributes(&self) -> Result<QueueAttributes, QueueError> {
        use QueueAttributeName as Name;
        let asked = [
            Name::QueueArn,
            Name::VisibilityTimeout,
            Name::RedrivePolicy,
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(asked.into()));
        let answer = get.send().await.map_err(|error| self.failed("look into", &error))?;
        let known = answer.attributes.unwrap_or_default();
        let text = |name| known.get(&name).map(String::as_str).unwrap_or_default();
        let number = |name| text(name).parse().unwrap_or_default();
        Ok(QueueAttributes {
            arn: text(Name::QueueArn).to_owned(),
            visibility: Duration::from_secs(number(Name::VisibilityTimeout)),
            max_receives: max_receives(text(Name::RedrivePolicy)),
            visible: number(Name::ApproximateNumberOfMessages),
            in_flight: number(Name::ApproximateNumberOfMessagesNotVisible),
        })
    }

    pub(super) fn failed<E>(&self, action: &'static str, error: &SdkError<E>) -> QueueError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The same refusal has a name of its own in each protocol and each generation of SQS.
        let code = error.code().unwrap_or_default().to_owned();
        let (queue, source) = (self.url.clone(), aws_error_message(error).into());
        match code.rsplit('.').next().unwrap_or_default() {
            "QueueDoesNotExist" | "NonExistentQueue" => QueueError::Missing { queue, source },
            "AccessDenied"
            | "AccessDeniedException"
            | "KmsAccessDenied"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch" => QueueError::Denied { queue, action, source },
            _ if is_unconfigured(error) => QueueError::Denied { queue, action, source },
            _ => QueueError::Unavailable { queue, action, source },
        }
    }

    /// Sends one batch, and again those entries that were refused for a reason that may pass.
    async fn send_batch(&self, bodies: &[String]) -> Result<(), QueueError> {
        let mut pending: Vec<usize> = (0..bodies.len()).collect();
        let mut backoff = Backoff::new(&BackoffSettings::default());
        loop {
            let entries = pending.iter().filter_map(|&place| {
                let body = bodies.get(place)?;
                SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body).build().ok()
            });
            let entries = Some(entries.collect());
            let answer = self.client.send_message_batch().queue_url(&self.url).set_entries(entries).send().await;
            let failed = answer.map_err(|error| self.failed("send to", &error))?.failed;
            let Some(first) = failed.first() else { return Ok(()) };
            let partial = QueueError::Partial {
                queue: self.url.clone(),
                refused: failed.len(),
                all: bodies.len(),
                first: describe(first),
            };
            if failed.iter().any(BatchResultErrorEntry::sender_fault) {
                return Err(partial);
            }
            let wait = backoff.next_wait().ok_or(partial)?;
            pending = failed.iter().filter_map(|entry| entry.id().parse().ok()).collect();
            tokio::time::sleep(wait).await;
        }
    }
}

/// Whether nothing was asked, since credentials or region are missing.
fn is_unconfigured<E: std::error::Error + 'static>(error: &SdkError<E>) -> bool {
    let is_other = matches!(error, SdkError::DispatchFailure(failure) if failure.is_other());
    let text = DisplayErrorContext(error).to_string();
    is_other && (text.contains("credentials") || text.contains("signing region"))
}

fn describe(entry: &BatchResultErrorEntry) -> String {
    format!("{} {}", entry.code(), entry.message().unwrap_or_default()).trim_end().to_owned()
}

/// A message as SQS hands it over; none without what it is answered by.
pub(super) fn message(received: aws_sdk_sqs::types::Message) -> Option<Message> {
    let count = received.attributes().and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    let receive_count = count.and_then(|text| text.parse().ok()).unwrap_or(1);
    Some(Message {
        id: received.message_id?,
        receipt: ReceiptHandle(received.receipt_handle?),
        body: received.body.unwrap_or_default(),
        receive_count,
    })
}

/// Receives that a redrive policy grants; written as a number or, by some tools, as text.
fn max_receives(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_str().map_or_else(|| u32::try_from(count.as_u64()?).ok(), |text| text.parse().ok())
}

/// Runs of bodies that fit one batch each.
fn batches(bodies: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH).take_while(|body| {
            bytes += body.len();
            bytes <= BATCH_BYTES
        });
        // One that is too large for any batch goes alone, and SQS says what it thinks of it.
        let (batch, after) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, bodies: &[String]) -> Result<(), QueueError> {
        for batch in batches(bodies) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }

    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most.clamp(1, BATCH)).unwrap_or(10))
            .wait_time_seconds(i32::try_from(wait.as_secs().min(20)).unwrap_or(20))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| self.failed("receive from", &error))?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn acknowledge(&self, receipts: &[ReceiptHandle]) -> Result<(), QueueError> {
        for batch in receipts.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(place, receipt)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                entry.receipt_handle(&receipt.0).build().ok()
            });
            let entries = Some(entries.collect());
            let answer = self.client.delete_message_batch().queue_url(&self.url).set_entries(entries).send().await;
            let failed = answer.map_err(|error| self.failed("acknowledge to", &error))?.failed;
            // An expired receipt is the message's second delivery under way: its next reader will find the work done.
            let failed: Vec<_> = failed.iter().filter(|entry| entry.code() != "ReceiptHandleIsInvalid").collect();
            if let Some(first) = failed.first() {
                return Err(QueueError::Partial {
                    queue: self.url.clone(),
                    refused: failed.len(),
                    all: batch.len(),
                    first: describe(first),
                });
            }
        }
        Ok(())
    }

    async fn hide(&self, receipt: &ReceiptHandle, visibility: Duration) -> Result<(), QueueError> {
        // Rounded up: a wait below a second is not to become none. 12 hours is the most that SQS takes.
        let seconds = visibility.as_millis().div_ceil(1000).min(43_200);
        let hidden = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(43_200))
            .send()
            .await;
        match hidden {
            Err(error) if is_stale(&error) => Ok(()),
            hidden => hidden.map(drop).map_err(|error| self.failed("extend visibility on", &error)),
        }
    }

    async fn visibility(&self) -> Result<Duration, QueueError> {
        Ok(self.attributes().await?.visibility)
    }
}

/// Whether the message is gone, visible again, or another receiver's by now.
fn is_stale(error: &SdkError<ChangeMessageVisibilityError>) -> bool {
    let Some(error) = error.as_service_error() else { return false };
    error.is_message_not_inflight()
        || error.is_receipt_handle_is_invalid()
        // What SQS says of a message that was removed; it uses the same code for a visibility that is too long.
        || error.code() == Some("InvalidParameterValue")
            && error.message().is_some_and(|text| text.contains("not available for visibility timeout change"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policies_in_both_spellings() {
        assert_eq!(max_receives(r#"{"deadLetterTargetArn":"a","maxReceiveCount":5}"#), Some(5));
        assert_eq!(max_receives(r#"{"deadLetterTargetArn":"a","maxReceiveCount":"7"}"#), Some(7));
        assert_eq!(max_receives(""), None);
    }

    #[test]
    fn batches_keep_to_count_and_bytes() {
        let sizes = |bodies: &[usize]| -> Vec<usize> {
            let bodies: Vec<String> = bodies.iter().map(|size| "x".repeat(*size)).collect();
            batches(&bodies).iter().map(|batch| batch.len()).collect()
        };
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[1; 23]), [10, 10, 3]);
        assert_eq!(sizes(&[100 << 10; 5]), [2, 2, 1]);
        assert_eq!(sizes(&[300 << 10, 1, 1]), [1, 2]);
    }
}
