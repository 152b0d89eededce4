//! The store of sources and work areas, as one process reaches it.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use shared::testing::MemoryStorage;
use shared::{Location, ObjectStat, ObjectVersion, PutMode, Storage, StorageError, StoredObject, Upload};

use super::faults::Service;
use super::world::{Call, Failure, Process};

/// The store in memory, behind everything that can go wrong.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedStorage {
    process: Arc<Process>,
}

impl SimulatedStorage {
    pub(crate) fn new(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process) })
    }

    async fn call<T: Send + 'static>(
        &self,
        verb: &'static str,
        at: &Location,
        if_absent: bool,
        effect: impl FnOnce(&MemoryStorage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let failed = |failure: Failure| match failure {
            Failure::Exists => StorageError::AlreadyExists { at: at.clone() },
            _ => StorageError::Unavailable { at: at.clone(), action: "reach", source: failure.text().into() },
        };
        let objects = self.process.world.objects.clone();
        let name = at.to_string();
        let call = Call { service: Service::Storage, verb, object: &name, if_absent };
        self.process.call(call, failed, move || effect(&objects)).await
    }

    /// What a put does: the object is there, and everybody who knows what may not change looks at it.
    fn landing(
        &self,
        at: &Location,
        body: Bytes,
        mode: PutMode,
    ) -> impl FnOnce(&MemoryStorage) -> Result<(), StorageError> + use<> {
        let (process, at) = (Arc::clone(&self.process), at.clone());
        move |objects| {
            at_once(objects.put(&at, body.clone(), mode))?;
            let checked = process.world.ledger().put(&at, &body);
            process.world.check(&process.name, checked);
            Ok(())
        }
    }
}

/// The result of a future that waits for nothing.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

#[async_trait]
impl Storage for SimulatedStorage {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        let place = at.clone();
        self.call("stat", at, false, move |objects| at_once(objects.stat(&place))).await
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        let place = at.clone();
        self.call("get", at, false, move |objects| at_once(objects.get(&place))).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let (place, version) = (at.clone(), version.clone());
        self.call("read", at, false, move |objects| at_once(objects.get_range(&place, &version, range))).await
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        self.call("put", at, mode == PutMode::IfAbsent, self.landing(at, body, mode)).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        self.call("begin", at, false, |_| Ok(())).await?;
        Ok(Box::new(SimulatedUpload { storage: self.clone(), at: at.clone(), body: BytesMut::new() }))
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        let place = prefix.clone();
        self.call("list", prefix, false, move |objects| at_once(objects.list(&place))).await
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        let place = at.clone();
        let process = Arc::clone(&self.process);
        self.call("delete", at, false, move |objects| {
            process.world.check(&process.name, Err(format!("{place} is deleted, which nobody has reason to")));
            at_once(objects.delete(&place))
        })
        .await
    }
}

#[derive(Debug)]
struct SimulatedUpload {
    storage: SimulatedStorage,
    at: Location,
    body: BytesMut,
}

#[async_trait]
impl Upload for SimulatedUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.storage.call("write", &self.at, false, |_| Ok(())).await?;
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StorageError> {
        let landing = self.storage.landing(&self.at, self.body.freeze(), PutMode::Overwrite);
        self.storage.call("finish", &self.at, false, landing).await
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        self.storage.call("abort", &self.at, false, |_| Ok(())).await
    }
}
