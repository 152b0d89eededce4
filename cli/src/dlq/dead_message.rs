//! A dead letter, for people and machines.

use std::time::SystemTime;

use serde::Serialize;
use shared::{ChunkTask, DeadLetter, Failure, Location, NO_ROUTE, WorkArea};
use splitter::Notification;

use crate::numbers::counted;

/// A dead letter, for people and machines.
#[derive(Debug, Serialize)]
pub(super) struct DeadMessage {
    pub(super) id: String,
    kind: Kind,
    pub(super) job_id: Option<String>,
    /// Position of the chunk in its job.
    chunk: Option<u32>,
    /// The chunk, or what was dropped.
    pub(super) objects: Vec<String>,
    /// Receives before this one, earlier looks at it included.
    receives: u32,
    /// Time since it was first sent.
    pub(super) age_seconds: Option<u64>,
    /// Why it could not be done at its first receive, as far as the message itself or the work area tells.
    pub(super) first_error: Option<String>,
    /// Why not at its last.
    last_error: Option<String>,
    pub(super) body: String,
    /// Where reasons are kept, if the message itself says so.
    #[serde(skip)]
    pub(super) work_prefix: Option<Location>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A chunk of a job.
    Chunk,
    /// News of dropped objects.
    Drop,
    /// News of an object that no route takes.
    NoRoute,
    /// Only bucket and key: a chunk to a worker, a drop to a splitter.
    Object,
    /// Nothing that worker or splitter can read.
    Unreadable,
}

impl DeadMessage {
    pub(super) fn new(letter: &DeadLetter, now: SystemTime) -> Self {
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
            last_error: None,
            body: message.body.clone(),
            work_prefix: None,
        };
        match (ChunkTask::parse(&message.body), Notification::parse(&message.body)) {
            (Ok(task), news) => {
                shown.kind = if task.chunk.is_none() && news.is_ok() { Kind::Object } else { Kind::Chunk };
                let at = task.location();
                shown.objects = at.iter().map(ToString::to_string).collect();
                shown.work_prefix = at.ok().and_then(|at| WorkArea::of_chunk(&at)?.root().parent());
                shown.chunk = task.chunk.as_ref().map(|chunk| chunk.index);
                shown.job_id = task.chunk.map(|chunk| chunk.job_id.to_string());
            }
            (Err(_), Ok(news)) => {
                shown.kind = Kind::Drop;
                shown.objects = news.dropped.iter().map(|object| object.location().to_string()).collect();
            }
            (Err(_), Err(_)) => {}
        }
        shown
    }

    /// Takes over what is known of the reasons.
    pub(super) fn explain(&mut self, failure: Failure) {
        if matches!(self.kind, Kind::Drop | Kind::Object) && failure.last_error.starts_with(NO_ROUTE) {
            self.kind = Kind::NoRoute;
        }
        self.first_error = Some(failure.first_error);
        self.last_error = Some(failure.last_error);
    }

    /// Whether the first or the last reason has this text in it, in letters of either case.
    pub(super) fn has_reason(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.first_error, &self.last_error].into_iter().flatten().any(|error| error.to_lowercase().contains(&text))
    }

    /// The reasons, a line each.
    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        let last = self.last_error.as_ref().filter(|last| self.first_error.as_ref() != Some(last));
        let first = self.first_error.iter().map(|error| format!("first error: {error}"));
        first.chain(last.map(|error| format!("last error: {error}")))
    }

    pub(super) fn line(&self) -> String {
        let what = match (&self.job_id, self.chunk) {
            _ if self.kind == Kind::Unreadable => "unreadable".to_owned(),
            (Some(job), Some(chunk)) => format!("chunk {chunk} of {job}"),
            _ if self.kind == Kind::NoRoute => format!("{NO_ROUTE}: {}", self.objects.join(", ")),
            _ if self.objects.is_empty() => "no object".to_owned(),
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

    fn letter(body: &str) -> DeadMessage {
        let message = Message {
            id: "m".to_owned(),
            receipt: ReceiptHandle("r".to_owned()),
            body: body.to_owned(),
            receive_count: 6,
        };
        let sent = SystemTime::UNIX_EPOCH;
        DeadMessage::new(&DeadLetter { message, sent: Some(sent) }, sent + Duration::from_hours(3))
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
            (r#"{"Event":"s3:TestEvent"}"#, Kind::Drop, "m  no object  (5 receives, sent 3 h ago)"),
            ("?", Kind::Unreadable, "m  unreadable  (5 receives, sent 3 h ago)"),
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
