//! Objects in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::location::Location;
use crate::storage::{ObjectStat, ObjectVersion, PutMode, Storage, StorageError, StoredObject, Upload};

/// A store that keeps its objects in memory, for tests that make many of them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    objects: Arc<Mutex<Objects>>,
}

#[derive(Debug, Default)]
struct Objects {
    by_location: BTreeMap<Location, (Bytes, u64)>,
    puts: u64,
}

impl Objects {
    fn put(&mut self, at: &Location, body: Bytes) {
        self.puts += 1;
        self.by_location.insert(at.clone(), (body, self.puts));
    }
}

impl MemoryStorage {
    /// All objects.
    pub fn objects(&self) -> BTreeMap<Location, Bytes> {
        self.lock().by_location.iter().map(|(at, (body, _))| (at.clone(), body.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, at: &Location) -> Result<(Bytes, u64), StorageError> {
        self.lock().by_location.get(at).cloned().ok_or_else(|| StorageError::NotFound { at: at.clone() })
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        let (body, version) = self.find(at)?;
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        Ok(ObjectStat { size, version: ObjectVersion(version.to_string()) })
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        self.find(at).map(|(body, _)| body)
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let (body, found) = self.find(at)?;
        let within = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        within
            .filter(|(_, end)| found.to_string() == version.0 && *end <= body.len())
            .map(|(start, end)| body.slice(start..end))
            .ok_or_else(|| StorageError::Changed { at: at.clone(), version: version.0.clone() })
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        let mut objects = self.lock();
        if mode == PutMode::IfAbsent && objects.by_location.contains_key(at) {
            return Err(StorageError::AlreadyExists { at: at.clone() });
        }
        objects.put(at, body);
        Ok(())
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        Ok(Box::new(MemoryUpload { storage: self.clone(), at: at.clone(), body: BytesMut::new() }))
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        let folder = format!("{}/", prefix.to_string().trim_end_matches('/'));
        let objects = self.lock();
        let below = objects.by_location.iter().filter(|(at, _)| at.to_string().starts_with(&folder));
        let listed = below.map(|(at, (body, _))| StoredObject {
            location: at.clone(),
            size: u64::try_from(body.len()).unwrap_or(u64::MAX),
            modified: SystemTime::now(),
        });
        Ok(listed.collect())
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        self.lock().by_location.remove(at);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryUpload {
    storage: MemoryStorage,
    at: Location,
    body: BytesMut,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StorageError> {
        self.storage.lock().put(&self.at, self.body.freeze());
        Ok(())
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}
