//! Why messages and jobs could not be done. A queue keeps no reasons, so they are kept beside the work areas.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::chunk_task::ChunkTask;
use crate::job::JobId;
use crate::location::Location;
use crate::queue::Message;
use crate::storage::{PutMode, Storage, StorageError, put_json, try_get_json};
use crate::work_area::WorkArea;

/// Why a message could not be done, at its first receive and at the latest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Version of this document, 1.
    pub version: u32,
    /// Name of the message in its queue.
    pub message_id: String,
    /// The whole cause at the first receive that failed, as text.
    pub first_error: String,
    /// The whole cause at the latest.
    pub last_error: String,
    /// Receives up to the latest.
    pub receives: u32,
    /// Receives one after the other that ended without a word, if the latest ends so too; none once it has ended in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<u32>,
    /// The job of the chunk that the message names; none of other messages, and in notes from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Position of that chunk in its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
}

impl Failure {
    /// What is known of a message below a prefix of work areas; none when it never failed, or only in ways that left no
    /// time for a note.
    pub async fn of(
        storage: &dyn Storage,
        work_prefix: &Location,
        message_id: &str,
    ) -> Result<Option<Self>, StorageError> {
        try_get_json(storage, &at(work_prefix, message_id), "failure").await
    }

    /// All that is noted below a prefix of work areas. A note that cannot be read is passed over.
    pub async fn all(storage: &dyn Storage, work_prefix: &Location) -> Result<Vec<Self>, StorageError> {
        let listed = storage.list(&work_prefix.join(FOLDER)).await?.into_iter().map(|listed| listed.location);
        let reads = listed.map(|at| async move {
            match try_get_json::<Self>(storage, &at, "failure").await {
                Err(error @ StorageError::Malformed { .. }) => {
                    tracing::warn!(reason = crate::telemetry::error_chain(&error), "a note is passed over");
                    Ok(None)
                }
                read => read,
            }
        });
        let all: Vec<Option<Self>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Notes that a message failed for this reason.
    pub async fn note(
        storage: &dyn Storage,
        work_prefix: &Location,
        message: &Message,
        reason: &str,
    ) -> Result<(), StorageError> {
        let before = Self::of(storage, work_prefix, &message.id).await?;
        let before = before.filter(|before| before.receives <= message.receive_count);
        let first_error = before.map_or_else(|| reason.to_owned(), |before| before.first_error);
        Self::new(message, first_error, reason.to_owned(), None).put(storage, work_prefix).await
    }

    /// Notes what is begun for a message that was received before, as if it did not end: so a process that is killed leaves a
    /// reason, at the last receive too. Any other end is noted over it. At a first receive, which is most of them,
    /// nothing is noted, and what is noted at the second says that the first left no word.
    ///
    /// `work` is what is begun, as `loading chunk 3`; `means` what there is for it. Gives whether something was noted.
    pub async fn begin(
        storage: &dyn Storage,
        work_prefix: &Location,
        message: &Message,
        work: &str,
        means: &str,
    ) -> Result<bool, StorageError> {
        let receive = message.receive_count;
        if receive < 2 {
            return Ok(false);
        }
        let before = Self::of(storage, work_prefix, &message.id).await?;
        // Whatever was noted at this receive or later was noted before the message came back from the dead letters.
        let before = before.filter(|before| before.receives < receive);
        let unfinished = before.as_ref().map_or(0, |before| before.unfinished.unwrap_or_default());
        let silent = (receive - 1).saturating_sub(before.as_ref().map_or(0, |before| before.receives));
        let times = unfinished + silent + 1;
        let reason = format!(
            "killed {} while {work}, the last time at receive {receive} with {means}: no answer came: out of memory, out of time, or ended from outside",
            match times {
                1 => "once".to_owned(),
                2 => "twice".to_owned(),
                times => format!("{times} times"),
            }
        );
        let first_error = before.map_or_else(|| reason.clone(), |before| before.first_error);
        Self::new(message, first_error, reason, Some(times)).put(storage, work_prefix).await?;
        Ok(true)
    }

    /// Notes that what was begun is done, so that a message which comes once more is not taken for one that somebody was killed
    /// over.
    pub async fn end(storage: &dyn Storage, work_prefix: &Location, message: &Message) -> Result<(), StorageError> {
        let done = || format!("none: it was done at receive {}", message.receive_count);
        Self::new(message, done(), done(), None).put(storage, work_prefix).await
    }

    fn new(message: &Message, first_error: String, last_error: String, unfinished: Option<u32>) -> Self {
        let (message_id, receives) = (message.id.clone(), message.receive_count);
        let named = ChunkTask::parse(&message.body).ok().and_then(|task| task.chunk);
        let (chunk, job_id) = (named.as_ref().map(|named| named.index), named.map(|named| named.job_id));
        Self { version: 1, message_id, first_error, last_error, receives, unfinished, job_id, chunk }
    }

    async fn put(&self, storage: &dyn Storage, work_prefix: &Location) -> Result<(), StorageError> {
        put_json(storage, &at(work_prefix, &self.message_id), self, PutMode::Overwrite).await
    }
}

/// Why the last run of a job on one machine, where there are no dead letters, did not load all of its chunks; or why its source was
/// given up while it was split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFailure {
    /// Version of this document, 1.
    pub version: u32,
    /// Chunks that could not be loaded; 0 of a source that was given up.
    pub chunks: u64,
    /// Why the first of them could not be, or the source was given up: the whole cause as text.
    pub reason: String,
}

impl LoadFailure {
    /// What is noted of a job; none if no run of it failed in this way.
    pub async fn of(storage: &dyn Storage, area: &WorkArea) -> Result<Option<Self>, StorageError> {
        try_get_json(storage, &area.load_failure(), "failure").await
    }

    /// Notes it in place of what was noted before.
    pub async fn put(&self, storage: &dyn Storage, area: &WorkArea) -> Result<(), StorageError> {
        put_json(storage, &area.load_failure(), self, PutMode::Overwrite).await
    }
}

/// Where the notes are. No job's name begins with an underscore.
const FOLDER: &str = "_failures";

/// Notes that are read at once.
const AT_ONCE: usize = 16;

fn at(work_prefix: &Location, message_id: &str) -> Location {
    work_prefix.join(&format!("{FOLDER}/{message_id}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::ReceiptHandle;
    use crate::testing::MemoryStorage;

    /// What is noted of a message after some receives, each of which fails for a reason, is done, or is killed.
    async fn noted(receives: &[(u32, &str)]) -> Option<Failure> {
        let (storage, prefix) = (MemoryStorage::default(), "s3://b/p".parse().unwrap());
        for (receive_count, ended) in receives {
            let receipt = ReceiptHandle(String::new());
            let message = Message { id: "m".to_owned(), receipt, body: String::new(), receive_count: *receive_count };
            let begun = Failure::begin(&storage, &prefix, &message, "loading chunk 3", "512 MB, 290 s left").await;
            match *ended {
                "done" if begun.unwrap() => Failure::end(&storage, &prefix, &message).await.unwrap(),
                "killed" | "done" => {}
                reason => Failure::note(&storage, &prefix, &message, reason).await.unwrap(),
            }
        }
        Failure::of(&storage, &prefix, "m").await.unwrap()
    }

    #[tokio::test]
    async fn a_kill_leaves_a_reason_from_the_second_receive_on() {
        assert_eq!(noted(&[(1, "killed")]).await, None);
        assert_eq!(noted(&[(1, "done")]).await, None);
        let twice = noted(&[(1, "killed"), (2, "killed")]).await.unwrap();
        insta::assert_snapshot!(twice.last_error, @"killed twice while loading chunk 3, the last time at receive 2 with 512 MB, 290 s left: no answer came: out of memory, out of time, or ended from outside");
        let said = |failure: Option<Failure>| {
            let failure = failure.unwrap();
            let last = failure.last_error.split(" while").next().unwrap_or_default().to_owned();
            (failure.first_error.split(" while").next().unwrap_or_default().to_owned(), last, failure.receives)
        };
        let told = |first: &str, last: &str, receives| (first.to_owned(), last.to_owned(), receives);
        assert_eq!(
            said(noted(&[(1, "killed"), (2, "killed"), (3, "killed")]).await),
            told("killed twice", "killed 3 times", 3)
        );
        assert_eq!(said(noted(&[(1, "busy"), (2, "killed")]).await), told("busy", "killed once", 2));
        assert_eq!(
            said(noted(&[(1, "killed"), (2, "busy"), (3, "killed")]).await),
            told("killed twice", "killed once", 3)
        );
        assert_eq!(said(noted(&[(1, "killed"), (2, "busy")]).await), told("killed twice", "busy", 2));
        assert_eq!(said(noted(&[(4, "killed")]).await), told("killed 4 times", "killed 4 times", 4));
    }

    #[tokio::test]
    async fn a_message_that_came_back_begins_anew() {
        let dead = [(1, "busy"), (2, "killed"), (3, "killed")];
        let after = async |receives: &[(u32, &str)]| noted(&[&dead[..], receives].concat()).await.unwrap();
        let begins = |text: &str| text.split(" while").next().unwrap_or_default().to_owned();
        let killed = after(&[(1, "killed"), (2, "killed")]).await;
        assert_eq!(
            [&killed.first_error, &killed.last_error].map(|error| begins(error)),
            ["killed twice", "killed twice"]
        );
        let other = after(&[(1, "denied")]).await;
        assert_eq!((other.first_error.as_str(), other.last_error.as_str(), other.receives), ("denied", "denied", 1));
    }

    #[tokio::test]
    async fn a_note_names_the_job_of_a_chunk() {
        let (storage, prefix) = (MemoryStorage::default(), "s3://b/p".parse().unwrap());
        let task = r#"{"version":1,"s3_bucket":"b","s3_object_key":"p/j-1/chunks/00003.parquet",
            "chunk":{"job_id":"j-1","index":3,"rows":1,"bytes":1,"checksum":"c"}}"#;
        for (id, body) in [("m1", task), ("m2", "?")] {
            let receipt = ReceiptHandle(String::new());
            let message = Message { id: id.to_owned(), receipt, body: body.to_owned(), receive_count: 1 };
            Failure::note(&storage, &prefix, &message, "busy").await.unwrap();
        }
        let old = r#"{"version":1,"message_id":"m3","first_error":"e","last_error":"e","receives":1}"#;
        storage.put(&at(&prefix, "m3"), old.into(), PutMode::Overwrite).await.unwrap();
        storage.put(&at(&prefix, "m4"), "{".into(), PutMode::Overwrite).await.unwrap();
        let all = Failure::all(&storage, &prefix).await.unwrap();
        let named: Vec<_> = all.iter().map(|note| (note.job_id.as_ref().map(JobId::as_str), note.chunk)).collect();
        assert_eq!(named, [(Some("j-1"), Some(3)), (None, None), (None, None)]);
    }

    #[tokio::test]
    async fn what_was_done_was_not_killed() {
        let done = noted(&[(1, "killed"), (2, "done")]).await.unwrap();
        assert_eq!((done.unfinished, done.last_error.as_str()), (None, "none: it was done at receive 2"));
        let again = noted(&[(1, "killed"), (2, "done"), (3, "killed")]).await.unwrap();
        assert_eq!(again.unfinished, Some(1));
    }
}
