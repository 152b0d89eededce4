//! The worker as a Lambda function behind an SQS queue: answers with the messages that are to come again. A schedule calls it
//! with an event of its own, to have tables looked after.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use shared::{
    Location, LogFormat, Message, Progress, PutBack, Queue, ReceiptHandle, Settings, SqsQueue, Storage, Stores,
    Verdict, init_logs, metrics,
};
use worker::{
    Compaction, LoadContext, LoadError, Maintained, Maintenance, TableStore, Vacuum, load, loading, maintain,
};

/// Time before the function's own limit at which commits are no longer tried.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logs(LogFormat::Json, tracing::Level::INFO);
    let start = async { Ok::<_, Error>(start(Settings::from_env()?).await) };
    let (context, put_back) =
        start.await.inspect_err(|error| tracing::error!(reason = %error, "the worker cannot start"))?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| handle(&context, &put_back, event))).await
}

async fn start(settings: Settings) -> (LoadContext, PutBack) {
    let queue: Option<Arc<dyn Queue>> = match &settings.chunk_queue_url {
        Some(url) => Some(Arc::new(SqsQueue::from_env(url).await)),
        None => None,
    };
    let storage: Arc<dyn Storage> = Stores::from_env();
    let put_back = PutBack::new(queue, Arc::clone(&storage), settings.work_prefix.clone());
    let topic = settings.topic();
    (LoadContext { topic, ..LoadContext::new(storage, settings, TableStore::from_env()) }, put_back)
}

/// What SQS hands over, or a schedule; fields that are not named here are left alone.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
    maintain: Option<MaintainEvent>,
}

/// Tables to look after, `{"maintain": {"tables": ["s3://bucket/table"]}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaintainEvent {
    tables: Vec<Location>,
    /// Days for which chunks of finished jobs are kept.
    keep_jobs_days: Option<u32>,
    /// Days for which data files are kept that the table no longer names.
    retention_days: Option<u32>,
    /// Which small data files are merged.
    compact: Option<Compaction>,
    /// Days from which they are.
    compact_after_days: Option<u32>,
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

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reply {
    Answer(Answer),
    Maintained(Vec<Maintained>),
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

async fn handle(context: &LoadContext, put_back: &PutBack, event: LambdaEvent<Event>) -> Result<Reply, Error> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let mut context = context.clone();
    context.progress = Arc::new(Progress::default());
    context.deadline = Instant::now().checked_add(left.saturating_sub(MARGIN));
    let function = event.context.env_config.function_name.as_str();
    match event.payload.maintain {
        Some(asked) => look_after(&context, &asked).await.map(Reply::Maintained),
        None => take(&context, put_back, function, left, event.payload.records).await.map(Reply::Answer),
    }
}

/// `CloudWatch` takes metrics from what a function prints.
#[expect(clippy::print_stdout, reason = "logs go to stderr")]
fn tell_metrics(function: &str, progress: &Progress) {
    println!("{}", metrics(function, SystemTime::now(), &progress.snapshot()));
}

async fn take(
    context: &LoadContext,
    put_back: &PutBack,
    function: &str,
    left: Duration,
    records: Vec<Record>,
) -> Result<Answer, Error> {
    let messages = records.into_iter().map(message).collect::<Result<Vec<_>, Error>>()?;
    let held = put_back.hold(&messages);
    put_back.begin(&messages, loading(messages.len()), &context.settings.memory, Some(left)).await;
    let verdicts = load(context, &messages).await;
    tell_metrics(function, &context.progress);
    let failed = messages.into_iter().zip(verdicts).map(async |(message, verdict)| {
        if let Some(held) = &held {
            held.release(&message.receipt).await;
        }
        tell(&message, &verdict);
        let is_done = verdict == Verdict::Done;
        if is_done {
            put_back.end(&message).await;
        } else {
            put_back.put_back(&message, &verdict).await;
        }
        (!is_done).then_some(Failure { item_identifier: message.id })
    });
    let failures = futures::future::join_all(failed).await.into_iter().flatten().collect();
    Ok(Answer { batch_item_failures: failures })
}

/// Looks after one table after the other. One that fails does not keep the others from it; the call then fails at its end.
async fn look_after(context: &LoadContext, asked: &MaintainEvent) -> Result<Vec<Maintained>, Error> {
    let days = |days: u32| Duration::from_hours(24) * days;
    let mut maintenance = Maintenance::default();
    if let Some(kept) = asked.keep_jobs_days {
        maintenance.keep_jobs = Some(days(kept));
    }
    if let Some(kept) = asked.retention_days {
        maintenance.vacuum = Vacuum::After(days(kept));
    }
    maintenance.compact = asked.compact.unwrap_or(maintenance.compact);
    maintenance.compact_after = asked.compact_after_days.map_or(maintenance.compact_after, days);
    let (mut done, mut failed) = (Vec::new(), 0);
    for table in &asked.tables {
        let prefix = context.settings.work_prefix.clone().unwrap_or_else(|| table.join("_sluice"));
        match maintain(context, table, &prefix, &maintenance).await {
            Ok(maintained) => {
                tracing::info!(%table, report = serde_json::to_string(&maintained)?, "table looked after");
                done.push(maintained);
            }
            // Nothing was loaded yet.
            Err(LoadError::NoSuchTable { .. }) => tracing::info!(%table, "there is no table yet"),
            Err(error) => {
                tracing::error!(%table, reason = error.reason(), "table not looked after");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        Err(format!("{failed} of {} tables not looked after", asked.tables.len()).into())
    } else {
        Ok(done)
    }
}

fn tell(message: &Message, verdict: &Verdict) {
    let (message_id, receive_count) = (message.id.as_str(), message.receive_count);
    match verdict {
        Verdict::Done => tracing::info!(message_id, receive_count, "chunk loaded"),
        Verdict::Retry { reason, .. } => {
            tracing::warn!(message_id, receive_count, reason, "chunk not loaded for now");
        }
        Verdict::Reject { reason, .. } => tracing::error!(message_id, receive_count, reason, "chunk cannot be loaded"),
    }
}

/// A record without an id cannot be answered on its own: an answer that leaves it out would have SQS delete it.
fn message(record: Record) -> Result<Message, Error> {
    let id = record.message_id.filter(|id| !id.is_empty()).ok_or("a record of the event has no messageId")?;
    let receive_count = record.attributes.receive_count.and_then(|count| count.parse().ok()).unwrap_or(1);
    Ok(Message { id, receipt: ReceiptHandle(record.receipt_handle), body: record.body, receive_count })
}
