//! The store of every location: local paths and S3.

pub(crate) mod first_wins;
pub(crate) mod local;
pub(crate) mod s3;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::location::Location;
use crate::storage::{Copied, ObjectStat, ObjectVersion, PutMode, Storage, StorageError, StoredObject, Upload};
use local::LocalStorage;
use s3::S3Storage;

/// The store of every location: local paths and S3, the S3 client being made when it is first needed.
#[derive(Debug, Default)]
pub struct Stores {
    local: LocalStorage,
    s3: OnceCell<S3Storage>,
}

impl Stores {
    /// A store of all locations, with AWS settings from the environment.
    pub fn from_env() -> Arc<Self> {
        Arc::new(Self::default())
    }

    async fn of(&self, at: &Location) -> &dyn Storage {
        match at {
            Location::Local { .. } => &self.local,
            Location::S3 { .. } => self.s3.get_or_init(S3Storage::from_env).await,
        }
    }
}

#[async_trait]
impl Storage for Stores {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        self.of(at).await.stat(at).await
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        self.of(at).await.get(at).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        self.of(at).await.get_range(at, version, range).await
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        self.of(at).await.put(at, body, mode).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        self.of(at).await.create(at).await
    }

    async fn copy(
        &self,
        from: &Location,
        version: &ObjectVersion,
        to: &Location,
    ) -> Result<Option<Copied>, StorageError> {
        self.of(from).await.copy(from, version, to).await
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        self.of(prefix).await.list(prefix).await
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        self.of(at).await.delete(at).await
    }
}
