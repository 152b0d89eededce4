//! The entries of a table's log, read once while the table is opened.
//!
//! The kernel reads them for the table's state, and we for its transactions. On S3 each is a request, up to a hundred before the next
//! checkpoint. Once the table is open nothing is kept: what is read later has to be as it is then.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::Path;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use futures::stream::{self, BoxStream, StreamExt};

/// Most bytes of entries that are kept, and of one of them.
const MOST_BYTES: usize = 16 << 20;
const MOST_BYTES_OF_ONE: usize = 1 << 20;

/// Digits of the name of an entry.
const DIGITS: usize = 20;

/// What was read, until the table is open.
#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Path, (ObjectMeta, Bytes)>,
    bytes: usize,
}

/// A store that keeps the entries of a log which are read from it, until [`Opening`] ends.
#[derive(Debug)]
pub(super) struct ReadOnce {
    store: ObjectStoreRef,
    kept: Mutex<Option<Kept>>,
}

/// The time in which a table is opened. What was kept goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Opening(Arc<ReadOnce>);

impl Drop for Opening {
    fn drop(&mut self) {
        *self.0.kept() = None;
    }
}

impl ReadOnce {
    pub(super) fn new(store: ObjectStoreRef) -> (Arc<Self>, Opening) {
        let once = Arc::new(Self { store, kept: Mutex::new(Some(Kept::default())) });
        (Arc::clone(&once), Opening(once))
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an entry, and keeps it if there is room.
    async fn entry(&self, at: &Path) -> Result<GetResult> {
        if let Some((meta, bytes)) = self.kept().as_ref().and_then(|kept| kept.entries.get(at)) {
            return Ok(whole(meta.clone(), bytes.clone()));
        }
        let read = self.store.get_opts(at, GetOptions::default()).await?;
        if usize::try_from(read.meta.size).map_or(true, |size| size > MOST_BYTES_OF_ONE) {
            return Ok(read);
        }
        let meta = read.meta.clone();
        let bytes = read.bytes().await?;
        if let Some(kept) = self.kept().as_mut().filter(|kept| kept.bytes + bytes.len() <= MOST_BYTES) {
            kept.bytes += bytes.len();
            kept.entries.insert(at.clone(), (meta.clone(), bytes.clone()));
        }
        Ok(whole(meta, bytes))
    }
}

fn whole(meta: ObjectMeta, bytes: Bytes) -> GetResult {
    let range = 0..meta.size;
    let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
    GetResult { payload, meta, range, attributes: Attributes::new() }
}

/// Whether an object is an entry of a log, which nobody changes.
fn is_entry(at: &Path) -> bool {
    let mut parts = at.as_ref().rsplit('/');
    let version = parts.next().and_then(|name| name.strip_suffix(".json"));
    version.is_some_and(|version| version.len() == DIGITS && version.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.next() == Some("_delta_log")
}

/// Whether all of an object is asked for, whatever it is.
fn is_plain(options: &GetOptions) -> bool {
    options.range.is_none()
        && !options.head
        && options.version.is_none()
        && options.if_match.is_none()
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
}

impl fmt::Display for ReadOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for ReadOnce {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        if is_plain(&options) && is_entry(at) && self.kept().is_some() {
            return self.entry(at).await;
        }
        self.store.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use deltalake::logstore::object_store::ObjectStoreExt;
    use deltalake::logstore::object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn an_entry_is_read_once_while_a_table_is_opened() {
        let memory = Arc::new(InMemory::new());
        let (once, opening) = ReadOnce::new(Arc::<InMemory>::clone(&memory));
        let (entry, hint) =
            (Path::from("t/_delta_log/00000000000000000007.json"), Path::from("t/_delta_log/_last_checkpoint"));
        for (before, after, at, seen) in [("a", "b", &entry, "a"), ("a", "b", &hint, "b")] {
            memory.put(at, before.into()).await.unwrap();
            assert_eq!(once.get(at).await.unwrap().bytes().await.unwrap(), before);
            memory.put(at, after.into()).await.unwrap();
            assert_eq!(once.get(at).await.unwrap().bytes().await.unwrap(), seen, "{at}");
        }
        drop(opening);
        assert_eq!(once.get(&entry).await.unwrap().bytes().await.unwrap(), "b");
    }

    #[test]
    fn entries_are_told_by_their_names() {
        for (at, is) in [
            ("_delta_log/00000000000000000007.json", true),
            ("lake/t/_delta_log/00000000000000000007.json", true),
            ("lake/t/_delta_log/_last_checkpoint", false),
            ("lake/t/_delta_log/00000000000000000007.00000000000000000009.compacted.json", false),
            ("lake/t/_delta_log/_commits/00000000000000000007.json", false),
            ("lake/t/00000000000000000007.json", false),
        ] {
            assert_eq!(is_entry(&Path::from(at)), is, "{at}");
        }
    }
}
