//! `sluice work`: worker or splitter as a process that polls a queue until it is asked to stop.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use shared::metrics::metrics;
use shared::settings::Function;
use shared::{Progress, QueueAttributes, QueueError, Settings, SqsQueue, Stores};
use splitter::HandlerContext;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{LoadContext, TableStore};

use crate::args::{self, WorkArgs};
use crate::config;
use crate::error::{CliError, Done};
use crate::numbers::{counted, grouped};
use crate::output::Output;
use crate::poll::{Answers, Pollers, Work, failures, rest_after};
use crate::stop;

/// What was done until the stop, in messages.
#[derive(Debug, Default, Serialize)]
struct Report {
    done: u64,
    /// Left to be received again, since it may succeed later.
    retried: u64,
    /// Left to become dead letters.
    rejected: u64,
    /// Received, and not begun.
    handed_back: u64,
}

/// Runs the command.
pub(crate) async fn run(args: &WorkArgs, output: Output) -> Done {
    let settings = config::settings().map_err(CliError::Settings)?;
    let stop = stop::on_signal();
    // Cancelled by a signal, or by the first worker that cannot begin.
    let stop = stop.child_token();
    let work = if args.splitter { split(args, settings, &stop).await? } else { load(settings) };
    let queue = SqsQueue::from_env(&args.queue_url).await;
    let metered = args.metrics.as_ref().map(|name| Arc::new(Metered::of(&work, name)));
    let printing = metered.clone().map(|metered| tokio::spawn(async move { metered.print_each_minute().await }));
    let report = match look_into(&queue, &stop).await.map_err(CliError::Queue)? {
        Some(attributes) => {
            warn_of(&attributes);
            let (batch, visibility) = (usize::from(args.batch), attributes.visibility);
            poll(Pollers::new(Arc::new(queue), work, batch, visibility), args.workers(), &stop).await
        }
        None => Ok(Report::default()),
    };
    if let Some(printing) = printing {
        printing.abort();
    }
    if let Some(metered) = metered {
        metered.print();
    }
    let report = report?;
    let done = counted(report.done, "message");
    let (retried, rejected, handed_back) =
        (grouped(report.retried), grouped(report.rejected), grouped(report.handed_back));
    output.result(
        &report,
        &format!(
            "stopped on request: {done} done, {retried} left for later, {rejected} rejected, {handed_back} handed back"
        ),
    )?;
    Ok(())
}

fn load(settings: Settings) -> Work {
    let topic = settings.topic();
    let context = LoadContext::new(Stores::from_env(), settings, TableStore::from_env());
    Work::Load(Box::new(LoadContext { topic, ..context }))
}

async fn split(args: &WorkArgs, mut settings: Settings, stop: &CancellationToken) -> Result<Work, CliError> {
    // A job that is stopped midway is handed over through the queue that it came from.
    settings.aws.source_queue_url.get_or_insert_with(|| args.queue_url.clone());
    let mut context = HandlerContext::from_settings(settings).await.map_err(CliError::Context)?;
    context.split.stop = stop.clone();
    let threads = splitter::threads(&context.split.settings, args::cores());
    context.split.threads = (threads / args.workers()).max(1);
    Ok(Work::Split(Box::new(context)))
}

/// The queue's attributes, however long it takes until it answers; none when asked to stop before that.
async fn look_into(queue: &SqsQueue, stop: &CancellationToken) -> Result<Option<QueueAttributes>, QueueError> {
    let mut failures = failures();
    while !stop.is_cancelled() {
        match queue.attributes().await {
            Ok(attributes) => return Ok(Some(attributes)),
            Err(error) if error.is_lasting() => return Err(error),
            Err(error) => rest_after(&error, &mut failures, stop).await,
        }
    }
    Ok(None)
}

fn warn_of(attributes: &QueueAttributes) {
    const SHORT_SECONDS: u64 = 30;
    let QueueAttributes { visibility, max_receives, visible, .. } = attributes;
    if max_receives.is_none() {
        tracing::warn!("the queue has no redrive policy: a message that cannot be done comes again until it expires");
    }
    if visibility.as_secs() < SHORT_SECONDS {
        let seconds = visibility.as_secs();
        tracing::warn!(
            seconds,
            "the queue's visibility timeout is short: messages in progress may be received by others"
        );
    }
    tracing::info!(waiting = visible, visibility_seconds = visibility.as_secs(), "polling");
}

async fn poll(pollers: Pollers, workers: usize, stop: &CancellationToken) -> Result<Report, CliError> {
    let pollers = Arc::new(pollers);
    let mut polling = JoinSet::new();
    for _ in 0..workers {
        let (pollers, stop) = (Arc::clone(&pollers), stop.clone());
        polling.spawn(async move { pollers.poll(&stop).await });
    }
    let mut outcome = Ok(());
    while let Some(ended) = polling.join_next().await {
        if let Err(error) = ended.map_err(CliError::Bug).and_then(|ended| ended.map_err(CliError::Queue)) {
            // The others finish what they have in progress.
            stop.cancel();
            outcome = outcome.and(Err(error));
        }
    }
    outcome.map(|()| Report::new(pollers.answers()))
}

/// What is printed as metrics, and under which name.
struct Metered {
    name: String,
    of: Function,
    progress: Arc<Progress>,
}

impl Metered {
    fn of(work: &Work, name: &str) -> Self {
        let (of, progress) = match work {
            Work::Load(context) => (Function::Worker, &context.progress),
            Work::Split(context) => (Function::Splitter, &context.split.progress),
        };
        Self { name: name.to_owned(), of, progress: Arc::clone(progress) }
    }

    /// Prints what was done since the last time.
    fn print(&self) {
        if let Some(line) = metrics(self.of, &self.name, SystemTime::now(), &self.progress.take()) {
            // Nobody is left to tell when stderr is gone.
            drop(writeln!(io::stderr(), "{line}"));
        }
    }

    async fn print_each_minute(&self) {
        loop {
            tokio::time::sleep(Duration::from_mins(1)).await;
            self.print();
        }
    }
}

impl Report {
    fn new(answers: &Answers) -> Self {
        let Answers { done, retried, rejected, handed_back, .. } = answers;
        let [done, retried, rejected, handed_back] =
            [done, retried, rejected, handed_back].map(|count| count.load(Ordering::Relaxed));
        Self { done, retried, rejected, handed_back }
    }
}
