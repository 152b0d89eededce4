//! S3 locations on a local disk.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::location::Location;
use crate::storage::{ObjectStat, ObjectVersion, PutMode, Storage, StorageError, StoredObject, Upload};
use crate::stores::local::LocalStorage;

type Hook = Arc<dyn Fn(&'static str, &Location) + Send + Sync>;

/// A store that keeps `s3://bucket/key` in the file `<root>/bucket/key`, and versions by a digest of the content, in
/// quotes, as S3 has its eTags.
#[derive(Clone)]
pub struct BucketsOnDisk {
    root: PathBuf,
    hook: Option<Hook>,
}

impl fmt::Debug for BucketsOnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketsOnDisk").field("root", &self.root).finish_non_exhaustive()
    }
}

impl BucketsOnDisk {
    /// Buckets below an absolute path.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), hook: None }
    }

    /// Calls `hook` with the name of the method and the location before each call of the store, so that a test can get in
    /// between, or panic.
    #[must_use]
    pub fn with_hook(self, hook: impl Fn(&'static str, &Location) + Send + Sync + 'static) -> Self {
        Self { hook: Some(Arc::new(hook)), ..self }
    }

    /// The file of an object.
    pub fn path(&self, at: &Location) -> PathBuf {
        self.root.join(at.bucket()).join(at.key())
    }

    /// Tells the hook; the location as a file.
    fn file(&self, method: &'static str, at: &Location) -> Location {
        if let Some(hook) = &self.hook {
            hook(method, at);
        }
        Location::Local { path: self.path(at).to_string_lossy().into_owned() }
    }
}

/// What the store answers for an object whose content is this.
fn e_tag(content: &[u8]) -> ObjectVersion {
    let digest = Sha256::digest(content).iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte));
    ObjectVersion(format!("\"{digest:032x}\""))
}

#[async_trait]
impl Storage for BucketsOnDisk {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        let content = LocalStorage.get(&self.file("stat", at)).await?;
        Ok(ObjectStat { size: u64::try_from(content.len()).unwrap_or(u64::MAX), version: e_tag(&content) })
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        LocalStorage.get(&self.file("get", at)).await
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
        let content = LocalStorage.get(&self.file("get_range", at)).await?;
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let changed = || StorageError::Changed { at: at.clone(), version: version.0.clone() };
        if e_tag(&content) != *version || place(range.end) > content.len() {
            return Err(changed());
        }
        Ok(content.slice(place(range.start)..place(range.end)))
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        LocalStorage.put(&self.file("put", at), body, mode).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        LocalStorage.create(&self.file("create", at)).await
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        let listed = LocalStorage.list(&self.file("list", prefix)).await?;
        let bucket = format!("{}/", self.root.join(prefix.bucket()).to_string_lossy());
        let on_s3 = |listed: StoredObject| {
            let key = listed.location.key().strip_prefix(&bucket)?.to_owned();
            Some(StoredObject { location: Location::S3 { bucket: prefix.bucket().to_owned(), key }, ..listed })
        };
        Ok(listed.into_iter().filter_map(on_s3).collect())
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        LocalStorage.delete(&self.file("delete", at)).await
    }
}
