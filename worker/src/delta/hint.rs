//! `_last_checkpoint`, the hint at a table's last checkpoint.
//!
//! Readers of Delta tables trust it: one that names a file which is missing keeps all of them from opening the table, even if
//! the rest of the log is whole.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use deltalake::{DeltaResult, ObjectStoreError, Path};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;

/// Where the hint is.
const HINT: &str = "_delta_log/_last_checkpoint";

/// What a hint says, as far as it is of interest here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hint {
    pub(crate) version: u64,
    parts: Option<u64>,
    v2_checkpoint: Option<Manifest>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    path: String,
}

/// A hint that names a file which is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenHint {
    missing: String,
}

impl fmt::Display for BrokenHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HINT} names {}, which is missing", self.missing)
    }
}

/// The hint of a table; none when there is none, or when it is not valid, which readers take for none.
pub(crate) async fn read(store: &dyn ObjectStore) -> DeltaResult<Option<Hint>> {
    let hint = match store.get(&Path::from(HINT)).await {
        Ok(hint) => hint.bytes().await?,
        Err(ObjectStoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(serde_json::from_slice(&hint).ok())
}

/// What is wrong with the hint of a table; none when nothing is.
pub(crate) async fn check(store: &dyn ObjectStore) -> DeltaResult<Option<BrokenHint>> {
    let Some(hint) = read(store).await? else { return Ok(None) };
    for name in hint.files() {
        match store.head(&Path::from(format!("_delta_log/{name}"))).await {
            Ok(_) => {}
            Err(ObjectStoreError::NotFound { .. }) => return Ok(Some(BrokenHint { missing: name })),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Removes the hint: readers then look for the last checkpoint themselves.
pub(crate) async fn remove(store: &dyn ObjectStore) -> DeltaResult<()> {
    match store.delete(&Path::from(HINT)).await {
        Ok(()) | Err(ObjectStoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Versions that the log of a table cannot be read without, and that no checkpoint stands for; none when all are there.
pub(crate) async fn missing_versions(store: &dyn ObjectStore) -> DeltaResult<Option<String>> {
    let log = Path::from("_delta_log");
    let listed: Vec<ObjectMeta> = store.list(Some(&log)).try_collect().await?;
    let (mut entries, mut checkpoints) = (BTreeSet::new(), BTreeSet::new());
    for object in listed {
        let Some((version, kind)) = object.location.filename().and_then(|name| name.split_once('.')) else { continue };
        let Ok(version) = version.parse::<u64>() else { continue };
        if kind == "json" {
            entries.insert(version);
        } else if kind.starts_with("checkpoint.") {
            checkpoints.insert(version);
        }
    }
    let first = checkpoints.last().map_or(0, |checkpoint| checkpoint + 1);
    let Some(latest) = entries.last().copied() else { return Ok(None) };
    let missing: Vec<u64> = (first..latest).filter(|version| !entries.contains(version)).collect();
    Ok(missing.first().zip(missing.last()).map(|(first, last)| {
        if first == last { format!("version {first}") } else { format!("versions {first} to {last}") }
    }))
}

impl Hint {
    /// Names of the files of the checkpoint.
    fn files(&self) -> Vec<String> {
        let version = self.version;
        match (&self.v2_checkpoint, self.parts) {
            (Some(manifest), _) => vec![manifest.path.clone()],
            (None, Some(parts)) => {
                (1..=parts).map(|part| format!("{version:020}.checkpoint.{part:010}.{parts:010}.parquet")).collect()
            }
            (None, None) => vec![format!("{version:020}.checkpoint.parquet")],
        }
    }
}

/// A store in which nobody finds the hint of a table, so that the log is read without it.
#[derive(Debug)]
pub(crate) struct WithoutHint(pub(crate) ObjectStoreRef);

impl fmt::Display for WithoutHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} without {HINT}", self.0)
    }
}

#[async_trait]
impl ObjectStore for WithoutHint {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        if at.as_ref().ends_with(HINT) {
            return Err(ObjectStoreError::NotFound { path: at.to_string(), source: "it is not to be used".into() });
        }
        self.0.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}
