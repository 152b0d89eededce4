//! The worker as a Lambda function behind an SQS queue: answers with the messages that are to come again.

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use shared::{LogFormat, Message, Progress, ReceiptHandle, Settings, Stores, Verdict, init_logs};
use worker::{DeltaOptions, LoadContext, load};

/// Time before the function's own limit at which commits are no longer tried.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logs(LogFormat::Json, "info");
    let context = LoadContext {
        storage: Stores::from_env(),
        settings: Settings::from_env()?,
        progress: std::sync::Arc::new(Progress::default()),
        delta: DeltaOptions::from_env(),
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Batch>| handle(&context, event))).await
}

/// What SQS hands over; fields that are not named here are left alone.
#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: Option<String>,
    #[serde(default)]
    receipt_handle: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
struct Attributes {
    #[serde(rename = "ApproximateReceiveCount")]
    receive_count: Option<String>,
}

/// The messages that were not done; SQS deletes the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

async fn handle(context: &LoadContext, event: LambdaEvent<Batch>) -> Result<Answer, Error> {
    let messages = event.payload.records.into_iter().map(message).collect::<Result<Vec<_>, Error>>()?;
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let mut context = context.clone();
    context.delta.deadline = Instant::now().checked_add(left.saturating_sub(MARGIN));
    let verdicts = load(&context, &messages).await;
    let mut failures = Vec::new();
    for (message, verdict) in messages.into_iter().zip(verdicts) {
        let (message_id, receive_count) = (message.id, message.receive_count);
        match verdict {
            Verdict::Done => {
                tracing::info!(message_id, receive_count, "chunk loaded");
                continue;
            }
            Verdict::Retry { reason, .. } => {
                tracing::warn!(message_id, receive_count, reason, "chunk not loaded for now");
            }
            Verdict::Reject { reason } => tracing::error!(message_id, receive_count, reason, "chunk cannot be loaded"),
        }
        failures.push(Failure { item_identifier: message_id });
    }
    Ok(Answer { batch_item_failures: failures })
}

/// A record without an id cannot be answered on its own: an answer that leaves it out would have SQS delete it.
fn message(record: Record) -> Result<Message, Error> {
    let id = record.message_id.filter(|id| !id.is_empty()).ok_or("a record of the event has no messageId")?;
    let receive_count = record.attributes.receive_count.and_then(|count| count.parse().ok()).unwrap_or(1);
    Ok(Message { id, receipt: ReceiptHandle(record.receipt_handle), body: record.body, receive_count })
}
