//! `sluice dlq`: what is among the dead letters, and the way back.

mod replay;
mod scan;

use std::time::SystemTime;

use serde::Serialize;
use shared::{ChunkTask, DeadLetter, DeadLetters};
use splitter::Notification;

use crate::Done;
use crate::args::DlqListArgs;
use crate::error::CliError;
use crate::output::{Output, counted};
use crate::stop;

pub(crate) use replay::replay;
use scan::Scan;

/// What is among the dead letters.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    queue: &'a str,
    /// Whether the listing ended because it is as long as was asked for.
    is_cut: bool,
    messages: Vec<Letter>,
}

/// A dead letter, for people and machines.
#[derive(Debug, Serialize)]
struct Letter {
    id: String,
    kind: Kind,
    job_id: Option<String>,
    /// Position of the chunk in its job.
    chunk: Option<u32>,
    /// The chunk, or what was dropped.
    objects: Vec<String>,
    /// Receives before this one, earlier looks at it included.
    receives: u32,
    /// Time since it was first sent.
    age_seconds: Option<u64>,
    /// Why it could not be done, as far as the message itself tells: SQS keeps no reasons.
    first_error: Option<&'static str>,
    body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A chunk of a job.
    Chunk,
    /// News of dropped objects.
    Drop,
    /// Only bucket and key: a chunk to a worker, a drop to a splitter.
    Object,
    /// Nothing that worker or splitter can read.
    Unreadable,
}

const UNREADABLE: &str = "the message is neither a chunk task nor news of an object";

/// Shows the dead letters, and leaves them where they are.
pub(crate) async fn list(args: &DlqListArgs, with_bodies: bool, output: Output) -> Done {
    let stop = stop::on_signal();
    let letters = DeadLetters::from_env(&args.queue_url).await;
    let most = usize::try_from(args.most).unwrap_or(usize::MAX);
    let mut scan = Scan::new(&letters);
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
    ended?;
    let now = SystemTime::now();
    let mut messages: Vec<Letter> = found.iter().map(|letter| Letter::new(letter, now)).collect();
    messages.sort_by(|one, other| other.age_seconds.cmp(&one.age_seconds).then_with(|| one.id.cmp(&other.id)));
    let listing = Listing { queue: &args.queue_url, is_cut: messages.len() >= most, messages };
    output.result(&listing, &listing.text(with_bodies));
    Ok(())
}

impl Listing<'_> {
    fn text(&self, with_bodies: bool) -> String {
        let count = counted(u64::try_from(self.messages.len()).unwrap_or_default(), "message");
        let cut = if self.is_cut { ", and maybe more: --most shows them" } else { "" };
        let mut lines = vec![format!("{count} in {}{cut}", self.queue)];
        for letter in &self.messages {
            lines.push(format!("  {}", letter.line()));
            if with_bodies {
                lines.push(format!("    {}", letter.body.replace(char::is_control, " ")));
            }
        }
        if self.messages.iter().any(|letter| letter.first_error.is_none()) {
            lines.push(
                "SQS keeps no error with a message: the log of who received it has the reason, under the message's id"
                    .to_owned(),
            );
        }
        lines.join("\n")
    }
}

impl Letter {
    fn new(letter: &DeadLetter, now: SystemTime) -> Self {
        let message = &letter.message;
        let age = letter.sent.and_then(|sent| now.duration_since(sent).ok());
        let mut shown = Self {
            id: message.id.clone(),
            kind: Kind::Unreadable,
            job_id: None,
            chunk: None,
            objects: Vec::new(),
            receives: message.receive_count.saturating_sub(1),
            age_seconds: age.map(|age| age.as_secs()),
            first_error: None,
            body: message.body.clone(),
        };
        match (ChunkTask::parse(&message.body), Notification::parse(&message.body)) {
            (Ok(task), news) => {
                shown.kind = if task.chunk.is_none() && news.is_ok() { Kind::Object } else { Kind::Chunk };
                shown.objects = task.location().iter().map(ToString::to_string).collect();
                shown.chunk = task.chunk.as_ref().map(|chunk| chunk.index);
                shown.job_id = task.chunk.map(|chunk| chunk.job_id.to_string());
            }
            (Err(_), Ok(news)) => {
                shown.kind = Kind::Drop;
                shown.objects = news.dropped.iter().map(|object| object.location().to_string()).collect();
            }
            (Err(_), Err(_)) => shown.first_error = Some(UNREADABLE),
        }
        shown
    }

    fn line(&self) -> String {
        let what = match (&self.job_id, self.chunk, self.first_error) {
            (_, _, Some(error)) => error.to_owned(),
            (Some(job), Some(chunk), None) => format!("chunk {chunk} of {job}"),
            _ if self.objects.is_empty() => "news of no object".to_owned(),
            _ => self.objects.join(", "),
        };
        let age = self.age_seconds.map_or_else(String::new, |age| format!(", sent {} ago", span(age)));
        format!("{}  {what}  ({}{age})", self.id, counted(u64::from(self.receives), "receive"))
    }
}

/// A time in its largest unit, rounded down.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{Message, ReceiptHandle};

    use super::*;

    fn letter(body: &str) -> Letter {
        let message = Message {
            id: "m".to_owned(),
            receipt: ReceiptHandle("r".to_owned()),
            body: body.to_owned(),
            receive_count: 6,
        };
        let sent = SystemTime::UNIX_EPOCH;
        Letter::new(&DeadLetter { message, sent: Some(sent) }, sent + Duration::from_hours(3))
    }

    #[test]
    fn every_kind_of_letter_is_told() {
        let event = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},
            "object":{"key":"in/a+b.csv","size":1,"eTag":"e"}}}]}"#;
        let task = r#"{"version":1,"s3_bucket":"b","s3_object_key":"j/chunks/00003.parquet",
            "chunk":{"job_id":"j","index":3,"rows":1,"bytes":1,"checksum":"c"}}"#;
        for (body, kind, line) in [
            (task, Kind::Chunk, "m  chunk 3 of j  (5 receives, sent 3 h ago)"),
            (event, Kind::Drop, "m  s3://b/in/a b.csv  (5 receives, sent 3 h ago)"),
            (r#"{"s3_bucket":"b","s3_object_key":"k"}"#, Kind::Object, "m  s3://b/k  (5 receives, sent 3 h ago)"),
            (r#"{"Event":"s3:TestEvent"}"#, Kind::Drop, "m  news of no object  (5 receives, sent 3 h ago)"),
            (
                "?",
                Kind::Unreadable,
                "m  the message is neither a chunk task nor news of an object  (5 receives, sent 3 h ago)",
            ),
        ] {
            let letter = letter(body);
            assert_eq!((letter.kind, letter.line().as_str()), (kind, line));
        }
    }

    #[test]
    fn spans_for_people() {
        assert_eq!([59, 60, 7199, 172_799, 172_800].map(span), ["59 s", "1 min", "1 h", "47 h", "2 d"]);
    }
}
