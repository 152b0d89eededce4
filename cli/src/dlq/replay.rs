//! The way back: by SQS's own move task, or message by message where only some are to go.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use shared::{Backoff, BackoffSettings, DeadLetter, DeadLetters, Move, MoveState, Queue, QueueError, error_chain};
use tokio_util::sync::CancellationToken;

use super::dead_message::DeadMessage;
use super::reasons::Reasons;
use super::scan::Scan;
use crate::args::DlqReplayArgs;
use crate::error::{CliError, Done};
use crate::jobs::{self, Purpose};
use crate::numbers::counted;
use crate::output::Output;
use crate::stop;

/// Messages that are sent at once.
const BATCH: u16 = 10;

/// How often a move task is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What was sent back, or would be.
#[derive(Debug, Serialize)]
struct Report<'a> {
    queue: &'a str,
    /// Where messages went; none when each went to where it came from.
    to: Option<String>,
    dry_run: bool,
    replayed: u64,
    /// Messages that were asked to stay; none where SQS moved all.
    left: Option<u64>,
    /// Messages of which no reason is known, where a reason was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<u64>,
    /// What would be sent back, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<DeadMessage>>,
}

/// Runs the command.
pub(crate) async fn replay(args: &DlqReplayArgs, output: Output) -> Done {
    let stop = stop::on_signal();
    if let Some(to) = args.to.as_deref().filter(|to| name(to) == name(&args.queue_url)) {
        return Err(CliError::SameQueue { queue: to.to_owned() });
    }
    let args = &with_whole_name(args).await?;
    let letters = DeadLetters::from_env(&args.queue_url).await;
    let report = if args.dry_run || args.has_filter() {
        one_by_one(&letters, args, &stop).await?
    } else {
        let to = args.to.clone();
        let moved = move_all(&letters, args, &stop).await?.moved;
        Report {
            queue: &args.queue_url,
            to,
            dry_run: false,
            replayed: moved,
            left: None,
            unexplained: None,
            messages: None,
        }
    };
    output.result(&report, &report.text())?;
    Ok(())
}

/// The same with the whole name of the job, where it is shortened, and the work area is known.
async fn with_whole_name(args: &DlqReplayArgs) -> Result<DlqReplayArgs, CliError> {
    let mut args = args.clone();
    let reasons = Reasons::new(args.work_dir.as_deref())?;
    if let (Some(job), Some(prefix)) = (&args.job, &reasons.work_prefix)
        && let Some(found) = jobs::find(reasons.storage.as_ref(), prefix, None, job, Purpose::Change).await?.pop()
    {
        args.job = Some(found.job_id.to_string());
    }
    Ok(args)
}

/// Account and name of a queue, which its URL ends with.
fn name(url: &str) -> Vec<&str> {
    url.trim_end_matches('/').rsplit('/').take(2).collect()
}

impl Report<'_> {
    fn text(&self) -> String {
        let verb = match (self.dry_run, self.replayed) {
            (true, _) => "would be",
            (false, 1) => "is",
            (false, _) => "are",
        };
        let to = self.to.as_deref().unwrap_or("where each came from");
        let left = self.left.map_or_else(String::new, |left| format!("; {} left", counted(left, "other")));
        let mut lines = vec![format!("{} {verb} sent back to {to}{left}", counted(self.replayed, "message"))];
        if let Some(unknown @ 1..) = self.unexplained {
            let messages = counted(unknown, "message");
            lines.push(format!("  no reason is known of {messages}: set CHUNK_BUCKET, or --work-dir"));
        }
        for letter in self.messages.iter().flatten() {
            lines.push(format!("  {}", letter.line()));
            lines.extend(letter.reasons().map(|reason| format!("    {reason}")));
        }
        lines.join("\n")
    }
}

impl DlqReplayArgs {
    fn has_filter(&self) -> bool {
        self.job.is_some() || self.older_than.is_some() || self.reason.is_some()
    }

    /// Whether a letter is to be sent back. One that was sent after the beginning has failed again since, and would go
    /// round in circles.
    fn takes(&self, letter: &DeadLetter, shown: &DeadMessage, began: SystemTime) -> bool {
        let is_of_job = self.job.is_none() || shown.job_id == self.job;
        let is_old = self.older_than.is_none_or(|least| shown.age_seconds.is_some_and(|age| age >= least.as_secs()));
        let is_explained = self.reason.as_ref().is_none_or(|text| shown.has_reason(text));
        is_of_job && is_old && is_explained && letter.sent.is_none_or(|sent| sent <= began)
    }
}

/// Where messages are sent to: as asked, or the only queue whose dead letters these are.
async fn destination(letters: &DeadLetters, args: &DlqReplayArgs) -> Result<Option<String>, CliError> {
    if args.to.is_some() {
        return Ok(args.to.clone());
    }
    let mut sources = letters.sources().await.map_err(CliError::Queue)?;
    match (sources.len(), args.has_filter()) {
        (1, _) => Ok(sources.pop()),
        // SQS itself knows where each message came from, and is who would move them.
        (_, false) => Ok(None),
        (_, true) => Err(CliError::NoSingleSource { queue: args.queue_url.clone(), sources }),
    }
}

async fn one_by_one<'a>(
    letters: &DeadLetters,
    args: &'a DlqReplayArgs,
    stop: &CancellationToken,
) -> Result<Report<'a>, CliError> {
    let to = destination(letters, args).await?;
    let messages = args.dry_run.then(Vec::new);
    let unexplained = args.reason.as_ref().map(|_| 0);
    let (queue, dry_run) = (args.queue_url.as_str(), args.dry_run);
    let mut report = Report { queue, to, dry_run, replayed: 0, left: Some(0), unexplained, messages };
    let reasons = Reasons::new(args.work_dir.as_deref())?;
    let mut scan = Scan::new(letters);
    let walked = walk(letters, args, stop, &reasons, &mut scan, &mut report).await;
    scan.give_back().await;
    match walked {
        Err(error) => {
            tracing::warn!(sent_back = report.replayed, "not all messages are sent back");
            Err(error)
        }
        Ok(()) if stop.is_cancelled() => Err(CliError::ReplayStopped { replayed: report.replayed }),
        Ok(()) => Ok(report),
    }
}

/// Sends each message that is to go, and only then deletes it: an end at any point loses none.
async fn walk(
    letters: &DeadLetters,
    args: &DlqReplayArgs,
    stop: &CancellationToken,
    reasons: &Reasons,
    scan: &mut Scan<'_>,
    report: &mut Report<'_>,
) -> Result<(), CliError> {
    let began = SystemTime::now();
    let most = usize::from(args.rate.unwrap_or(BATCH).min(BATCH));
    while !stop.is_cancelled() {
        let new = scan.next(most).await.map_err(CliError::Queue)?;
        if new.is_empty() {
            break;
        }
        let mut shown: Vec<_> = new.iter().map(|letter| DeadMessage::new(letter, began)).collect();
        reasons.add_to(&mut shown).await.map_err(CliError::WorkArea)?;
        if let Some(unexplained) = &mut report.unexplained {
            let unknown = shown.iter().filter(|shown| shown.first_error.is_none()).count();
            *unexplained += u64::try_from(unknown).unwrap_or_default();
        }
        let (going, staying): (Vec<_>, Vec<_>) =
            new.into_iter().zip(shown).partition(|(letter, shown)| args.takes(letter, shown, began));
        let (going, shown): (Vec<_>, Vec<_>) = going.into_iter().unzip();
        let count = |letters: usize| u32::try_from(letters).unwrap_or(u32::MAX);
        *report.left.get_or_insert(0) += u64::from(count(staying.len()));
        if let Some(messages) = &mut report.messages {
            messages.extend(shown);
        } else if let Some(to) = &report.to {
            send(letters, to, &going).await.map_err(CliError::Queue)?;
            scan.forget(&going);
            if let Some(rate) = args.rate {
                pause(Duration::from_secs(1) * count(going.len()) / u32::from(rate), stop).await;
            }
        }
        report.replayed += u64::from(count(going.len()));
    }
    Ok(())
}

async fn send(letters: &DeadLetters, to: &str, going: &[DeadLetter]) -> Result<(), QueueError> {
    let bodies: Vec<_> = going.iter().map(|letter| letter.message.body.clone()).collect();
    let receipts: Vec<_> = going.iter().map(|letter| letter.message.receipt.clone()).collect();
    letters.other(to).send(&bodies).await?;
    letters.queue().acknowledge(&receipts).await
}

/// Has SQS move all messages, and waits for the end of it; cancels on request.
async fn move_all(letters: &DeadLetters, args: &DlqReplayArgs, stop: &CancellationToken) -> Result<Move, CliError> {
    let arn = letters.queue().attributes().await.map_err(CliError::Queue)?.arn;
    let to = match &args.to {
        Some(url) => Some(letters.other(url).attributes().await.map_err(CliError::Queue)?.arn),
        None => None,
    };
    let before = letters.last_move(&arn).await.map_err(CliError::Queue)?.map(|before| before.started);
    let handle = letters.start_move(&arn, to.as_deref(), args.rate).await.map_err(CliError::Queue)?;
    let mut failures = Backoff::new(&BackoffSettings::default());
    let mut is_cancelled = false;
    loop {
        match letters.last_move(&arn).await {
            Ok(Some(now)) if Some(now.started) != before => {
                failures = Backoff::new(&BackoffSettings::default());
                tracing::info!(moved = now.moved, to_move = now.to_move, "moving");
                match now.state {
                    MoveState::Running => {}
                    MoveState::Completed => return Ok(now),
                    MoveState::Cancelled => return Err(CliError::ReplayStopped { replayed: now.moved }),
                    MoveState::Failed { reason } => return Err(CliError::MoveFailed { moved: now.moved, reason }),
                }
            }
            // It is not listed yet.
            Ok(_) => {}
            Err(error) => match failures.next_wait() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(CliError::Queue(error)),
            },
        }
        if stop.is_cancelled() && !is_cancelled {
            is_cancelled = true;
            if let Err(error) = letters.cancel_move(&handle).await {
                // That it has ended in the meantime is the usual reason; the next look tells.
                tracing::warn!(reason = error_chain(&error), "the move could not be cancelled");
            }
        }
        if is_cancelled { tokio::time::sleep(LOOK).await } else { pause(LOOK, stop).await }
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
