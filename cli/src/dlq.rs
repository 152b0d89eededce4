//! `sluice dlq`: what is among the dead letters, and the way back.

mod dead_message;
mod reasons;
mod replay;
mod scan;

use std::collections::HashSet;
use std::time::SystemTime;

use serde::Serialize;
use shared::{DeadLetter, DeadLetters, error_chain};
use tokio_util::sync::CancellationToken;

use crate::args::DlqListArgs;
use crate::error::{CliError, Done};
use crate::numbers::counted;
use crate::output::Output;
use crate::stop;

use dead_message::DeadMessage;
use reasons::Reasons;
pub(crate) use replay::replay;
use scan::Scan;

/// What is among the dead letters.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    queue: &'a str,
    /// Whether the listing ended because it is as long as was asked for.
    is_cut: bool,
    messages: Vec<DeadMessage>,
}

/// What dead letters are about.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    /// Jobs of chunks.
    pub(crate) jobs: HashSet<String>,
    /// URIs of what was dropped.
    pub(crate) objects: HashSet<String>,
}

/// Looks through a queue of dead letters, and leaves them where they are.
pub(crate) async fn dead(url: &str) -> Result<Dead, CliError> {
    let found = all(&DeadLetters::from_env(url).await, usize::MAX, &stop::on_signal()).await?;
    let mut dead = Dead::default();
    for letter in &found {
        let message = DeadMessage::new(letter, SystemTime::now());
        match message.job_id {
            Some(job) => drop(dead.jobs.insert(job)),
            None => dead.objects.extend(message.objects),
        }
    }
    Ok(dead)
}

/// Shows the dead letters, and leaves them where they are.
pub(crate) async fn list(args: &DlqListArgs, with_bodies: bool, output: Output) -> Done {
    let stop = stop::on_signal();
    let reasons = Reasons::new(args.work_dir.as_deref())?;
    let letters = DeadLetters::from_env(&args.queue_url).await;
    let most = usize::try_from(args.most).unwrap_or(usize::MAX);
    if letters.sources().await.is_ok_and(|sources| sources.is_empty()) {
        tracing::warn!(
            "no queue has this one as its queue of dead letters: messages of a queue in use are hidden by a look"
        );
    }
    let found = all(&letters, most, &stop).await?;
    let now = SystemTime::now();
    let mut messages: Vec<DeadMessage> = found.iter().map(|letter| DeadMessage::new(letter, now)).collect();
    if let Err(error) = reasons.add_to(&mut messages).await {
        tracing::warn!(reason = error_chain(&error), "what is kept of the reasons cannot be read");
    }
    messages.sort_by(|one, other| other.age_seconds.cmp(&one.age_seconds).then_with(|| one.id.cmp(&other.id)));
    let listing = Listing { queue: &args.queue_url, is_cut: messages.len() >= most, messages };
    output.result(&listing, &listing.text(with_bodies))?;
    Ok(())
}

/// Meets each dead letter once, up to so many of them.
async fn all(letters: &DeadLetters, most: usize, stop: &CancellationToken) -> Result<Vec<DeadLetter>, CliError> {
    let mut scan = Scan::new(letters);
    let mut found: Vec<DeadLetter> = Vec::new();
    let ended = loop {
        if stop.is_cancelled() {
            break Err(CliError::ListStopped);
        }
        match scan.next(most - found.len()).await {
            Ok(new) if new.is_empty() => break Ok(()),
            Ok(new) => found.extend(new),
            Err(error) => break Err(CliError::Queue(error)),
        }
        if found.len() >= most {
            break Ok(());
        }
    };
    scan.give_back().await;
    ended.map(|()| found)
}

impl Listing<'_> {
    fn text(&self, with_bodies: bool) -> String {
        let count = counted(u64::try_from(self.messages.len()).unwrap_or_default(), "message");
        let cut = if self.is_cut { ", and maybe more: --most shows them" } else { "" };
        let mut lines = vec![format!("{count} in {}{cut}", self.queue)];
        for letter in &self.messages {
            lines.push(format!("  {}", letter.line()));
            lines.extend(letter.reasons().map(|reason| format!("    {reason}")));
            if with_bodies {
                lines.push(format!("    {}", letter.body.replace(char::is_control, " ")));
            }
        }
        if self.messages.iter().any(|letter| letter.first_error.is_none()) {
            lines.push(
                "where no reason stands, none was found in the work area (CHUNK_BUCKET, or --work-dir); the log of who \
                 received the message has it, under the message's id"
                    .to_owned(),
            );
        }
        lines.join("\n")
    }
}
