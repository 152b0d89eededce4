//! Objects at rest, and the stores that keep them.

use std::fmt::Debug;
use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::location::Location;

/// What identifies the content of an object: the eTag on S3, the time of modification in nanoseconds and the size locally.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ObjectVersion(pub String);

/// Size and version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStat {
    /// Length in bytes.
    pub size: u64,
    /// Version, to be handed to [`Storage::get_range`].
    pub version: ObjectVersion,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Where the object lies.
    pub location: Location,
    /// Length in bytes.
    pub size: u64,
    /// When it was written, by the clock of the store.
    pub modified: SystemTime,
}

/// A copy that a store made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Checksum of the bytes that the copy has, as [`checksum`](crate::checksum) writes it; none when the store does not return it.
    pub checksum: Option<String>,
}

/// Whether a put may replace an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Replaces what is there.
    Overwrite,
    /// Fails with [`StorageError::AlreadyExists`] when the object is there; of many racers exactly one wins.
    IfAbsent,
}

/// Why an object could not be read or written; variants are named for what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no such object.
    #[error("{at} does not exist")]
    NotFound {
        /// The object.
        at: Location,
    },
    /// A put with [`PutMode::IfAbsent`] found the object there.
    #[error("{at} exists already")]
    AlreadyExists {
        /// The object.
        at: Location,
    },
    /// The object is no longer the version that was asked for.
    #[error("{at} changed while it was being read (version {version} is gone)")]
    Changed {
        /// The object.
        at: Location,
        /// The version that was expected.
        version: String,
    },
    /// Access was refused.
    #[error("access to {at} was denied")]
    Denied {
        /// The object.
        at: Location,
        /// What the store answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no such bucket: a mistake in the settings, not an absent object.
    #[error("cannot use {at}: there is no bucket {}", at.bucket())]
    NoBucket {
        /// The object in it.
        at: Location,
    },
    /// The store lets a put win that was to fail, since the object is there.
    #[error("{at} cannot be written: server {endpoint} ignores If-None-Match, so that writers overwrite each other")]
    NotExclusive {
        /// The object that was to be written.
        at: Location,
        /// Where the server is.
        endpoint: String,
    },
    /// The store did not do its work; the same call may succeed later.
    #[error("could not {action} {at}")]
    Unavailable {
        /// The object.
        at: Location,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the store answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The object is there but is not what it should be.
    #[error("{at} is not a valid {what}")]
    Malformed {
        /// The object.
        at: Location,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What helps with a store that lets several writers win.
pub const NOT_EXCLUSIVE_HINT: &str =
    "keep tables and work areas on S3, on a server that heeds If-None-Match, or on a local disk; nothing was loaded";

/// Bytes that a buffer has free after a range that was read into it: room to complete a record that ends with the next range.
pub(crate) const ROOM_BYTES: usize = 16 << 10;

/// A store of objects.
///
/// Contracts, which `testing::storage_contract` holds every implementation to:
/// a finished put or upload is durable and is seen by every later call; an object appears whole or not at all;
/// [`PutMode::IfAbsent`] has exactly one winner.
#[async_trait]
pub trait Storage: Send + Sync + Debug {
    /// Size and version of an object.
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError>;

    /// Whether an object is there.
    async fn exists(&self, at: &Location) -> Result<bool, StorageError> {
        match self.stat(at).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A whole object; for small documents only, since all of it is held in memory.
    async fn get(&self, at: &Location) -> Result<Bytes, StorageError>;

    /// Exactly the bytes of `range`, of exactly this version; [`StorageError::Changed`] when the object is another by
    /// now, or ends before the range does. An empty range gives no bytes and touches nothing.
    async fn get_range(&self, at: &Location, version: &ObjectVersion, range: Range<u64>)
    -> Result<Bytes, StorageError>;

    /// Writes a small object in one go.
    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError>;

    /// Starts an object that is written piece by piece and replaces what is there once it is finished.
    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError>;

    /// Copies exactly this version of an object to a name that is free, within the store. [`StorageError::Changed`] when the
    /// object is another by now. The copy counts as written now, and nothing that becomes of the object changes it. `None`
    /// when the store does not copy between these two places; then nothing is there.
    async fn copy(
        &self,
        _from: &Location,
        _version: &ObjectVersion,
        _to: &Location,
    ) -> Result<Option<Copied>, StorageError> {
        Ok(None)
    }

    /// All objects below a prefix that ends at a `/`, sorted by key; a prefix with nothing below it gives none.
    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError>;

    /// Removes an object; one that is not there is removed already.
    async fn delete(&self, at: &Location) -> Result<(), StorageError>;
}

/// An object that is being written; dropped without [`Upload::finish`] it leaves nothing that a reader could see.
#[async_trait]
pub trait Upload: Send + Debug {
    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError>;

    /// Makes the object durable and visible.
    async fn finish(self: Box<Self>) -> Result<(), StorageError>;

    /// Gives the object up and removes its parts.
    async fn abort(self: Box<Self>) -> Result<(), StorageError>;
}

/// Reads a JSON document.
pub async fn get_json<T: DeserializeOwned>(
    storage: &dyn Storage,
    at: &Location,
    what: &'static str,
) -> Result<T, StorageError> {
    let bytes = storage.get(at).await?;
    serde_json::from_slice(&bytes).map_err(|source| StorageError::Malformed {
        at: at.clone(),
        what,
        source: source.into(),
    })
}

/// Reads a JSON document; `None` when there is none.
pub async fn try_get_json<T: DeserializeOwned>(
    storage: &dyn Storage,
    at: &Location,
    what: &'static str,
) -> Result<Option<T>, StorageError> {
    match get_json(storage, at, what).await {
        Ok(document) => Ok(Some(document)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a JSON document.
pub async fn put_json<T: Serialize + Sync>(
    storage: &dyn Storage,
    at: &Location,
    document: &T,
    mode: PutMode,
) -> Result<(), StorageError> {
    let body = serde_json::to_vec_pretty(document).map_err(|source| StorageError::Unavailable {
        at: at.clone(),
        action: "encode",
        source: source.into(),
    })?;
    storage.put(at, body.into(), mode).await
}
