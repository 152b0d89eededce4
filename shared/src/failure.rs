//! Why messages could not be done. A queue keeps no reasons, so they are kept beside the work areas.

use serde::{Deserialize, Serialize};

use crate::queue::Message;
use crate::storage::{Location, PutMode, Storage, StorageError, put_json, try_get_json};

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

    /// Notes that a message failed for this reason.
    pub async fn note(
        storage: &dyn Storage,
        work_prefix: &Location,
        message: &Message,
        reason: &str,
    ) -> Result<(), StorageError> {
        let before = Self::of(storage, work_prefix, &message.id).await?;
        let failure = Self {
            version: 1,
            message_id: message.id.clone(),
            first_error: before.map_or_else(|| reason.to_owned(), |before| before.first_error),
            last_error: reason.to_owned(),
            receives: message.receive_count,
        };
        put_json(storage, &at(work_prefix, &message.id), &failure, PutMode::Overwrite).await
    }
}

/// No job's name begins with an underscore.
fn at(work_prefix: &Location, message_id: &str) -> Location {
    work_prefix.join(&format!("_failures/{message_id}.json"))
}
