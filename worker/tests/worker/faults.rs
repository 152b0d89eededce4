//! Stores that say one thing and do another.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::object_store::local::LocalFileSystem;
use deltalake::logstore::object_store::{
    self, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use deltalake::{ObjectStoreError, Path};
use futures::stream::BoxStream;
use shared::{
    Copied, Location, Message, ObjectStat, ObjectVersion, Rows, Storage, StorageError, StoredObject, Upload, Verdict,
};
use worker::load;

use crate::support::{World, expected, numbered, world};

type Result<T> = object_store::Result<T>;

/// What a put of a commit does and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    DoneAndFails,
    DoneAndExists,
    LostAndFails,
}

/// Faults that follow one another, one for each second commit.
#[derive(Debug)]
struct FaultyStore {
    inner: LocalFileSystem,
    faults: Vec<Fault>,
    puts: AtomicU32,
}

impl FaultyStore {
    fn new(faults: &[Fault]) -> Arc<Self> {
        Arc::new(Self { inner: LocalFileSystem::new(), faults: faults.to_vec(), puts: AtomicU32::new(0) })
    }

    fn fault(&self, location: &Path, mode: &PutMode) -> Option<Fault> {
        let commit = location.as_ref().contains("_delta_log/") && matches!(mode, PutMode::Create);
        let count = if commit { self.puts.fetch_add(1, Ordering::SeqCst) } else { 0 };
        (count % 2 == 1).then(|| self.faults[(count / 2) as usize % self.faults.len()])
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.fault(location, &options.mode);
        let failure = ObjectStoreError::Generic { store: "faulty", source: "connection reset".into() };
        if fault == Some(Fault::LostAndFails) {
            return Err(failure);
        }
        let put = self.inner.put_opts(location, payload, options).await?;
        match fault {
            Some(Fault::DoneAndFails) => Err(failure),
            Some(Fault::DoneAndExists) => {
                Err(ObjectStoreError::AlreadyExists { path: location.to_string(), source: "412".into() })
            }
            _ => Ok(put),
        }
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn survives(faults: &[Fault]) -> World {
    let mut world = world().await;
    world.context.table_store.object_store = Some(FaultyStore::new(faults));
    for index in 0..6 {
        let first = i64::from(index) * 10;
        let task = world.chunk(index, &numbered(first..first + 10)).await;
        world.load_done(&[task.clone(), task]).await;
        assert_eq!(world.chunk_receipt(index).await.rows, Rows { read: 10, committed: 10, ..Rows::default() });
    }
    assert_eq!(world.rows().await, expected(0..60), "{faults:?}");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_landed_and_failed_is_not_made_again() {
    survives(&[Fault::DoneAndFails]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_a_commit_that_landed_and_was_called_a_conflict_are_kept() {
    survives(&[Fault::DoneAndExists]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_lost_is_made_again() {
    let world = survives(&[Fault::LostAndFails]).await;
    assert_eq!(world.files_on_disk(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racers_survive_all_faults_at_once() {
    let mut world = world().await;
    world.context.table_store.object_store =
        Some(FaultyStore::new(&[Fault::DoneAndFails, Fault::DoneAndExists, Fault::LostAndFails]));
    let mut tasks = Vec::new();
    for index in 0..8 {
        let first = i64::from(index) * 10;
        tasks.push(world.chunk(index, &numbered(first..first + 10)).await);
    }
    let world = Arc::new(world);
    let racers: Vec<_> = (0..4)
        .map(|racer| {
            let (world, mut tasks) = (Arc::clone(&world), tasks.clone());
            tokio::spawn(async move {
                tasks.rotate_left(racer * 2);
                for pair in tasks.chunks(2) {
                    assert_eq!(load(&world.context, pair).await, [Verdict::Done, Verdict::Done]);
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    assert_eq!(world.rows().await, expected(0..80));
}

/// How a store copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    /// Not at all.
    Never,
    /// It refuses to.
    Denied,
    /// It does not tell the checksum.
    Untold,
    /// It tells the checksum of other bytes.
    Wrong,
    /// To where the table does not look.
    Elsewhere,
}

/// A store whose receipts cannot be written at first, which panics at one chunk, and copies as it likes.
#[derive(Debug)]
struct FailingStorage {
    inner: Arc<dyn Storage>,
    receipts_fail: AtomicBool,
    panics_at: Option<Location>,
    copying: Copying,
}

impl FailingStorage {
    fn new(world: &World) -> Self {
        let inner = Arc::clone(&world.context.storage);
        Self { inner, receipts_fail: AtomicBool::new(false), panics_at: None, copying: Copying::Never }
    }
}

#[async_trait]
impl Storage for FailingStorage {
    async fn stat(&self, at: &Location) -> std::result::Result<ObjectStat, StorageError> {
        assert!(self.panics_at.as_ref() != Some(at), "a bug at {at}");
        self.inner.stat(at).await
    }

    async fn get(&self, at: &Location) -> std::result::Result<Bytes, StorageError> {
        self.inner.get(at).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: std::ops::Range<u64>,
    ) -> std::result::Result<Bytes, StorageError> {
        self.inner.get_range(at, version, range).await
    }

    async fn put(&self, at: &Location, body: Bytes, mode: shared::PutMode) -> std::result::Result<(), StorageError> {
        if at.key().contains("/loaded/") && self.receipts_fail.swap(false, Ordering::SeqCst) {
            let source = "503 Slow Down".into();
            return Err(StorageError::Unavailable { at: at.clone(), action: "write", source });
        }
        self.inner.put(at, body, mode).await
    }

    async fn create(&self, at: &Location) -> std::result::Result<Box<dyn Upload>, StorageError> {
        self.inner.create(at).await
    }

    async fn copy(
        &self,
        from: &Location,
        version: &ObjectVersion,
        to: &Location,
    ) -> std::result::Result<Option<Copied>, StorageError> {
        let to = if self.copying == Copying::Elsewhere { &to.beside(".elsewhere") } else { to };
        let copied = |checksum: Option<&str>| Some(Copied { checksum: checksum.map(str::to_owned) });
        match self.copying {
            Copying::Never => Ok(None),
            Copying::Denied => Err(StorageError::Denied { at: from.clone(), source: "403 Forbidden".into() }),
            Copying::Elsewhere => self.inner.copy(from, version, to).await,
            Copying::Untold => self.inner.copy(from, version, to).await.map(|_| copied(None)),
            Copying::Wrong => {
                self.inner.copy(from, version, to).await.map(|_| copied(Some("crc64nvme:0000000000000000")))
            }
        }
    }

    async fn list(&self, prefix: &Location) -> std::result::Result<Vec<StoredObject>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, at: &Location) -> std::result::Result<(), StorageError> {
        self.inner.delete(at).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_cannot_be_written_is_written_at_the_next_delivery() {
    let mut world = world().await;
    world.context.storage =
        Arc::new(FailingStorage { receipts_fail: AtomicBool::new(true), ..FailingStorage::new(&world) });
    let task = world.chunk(0, &numbered(0..10)).await;
    let verdict = world.load(std::slice::from_ref(&task)).await.remove(0);
    assert!(matches!(&verdict, Verdict::Retry { reason, .. } if reason.contains("503 Slow Down")), "{verdict:?}");
    world.load_done(&[task]).await;
    assert_eq!(world.chunk_receipt(0).await.rows.committed, 10);
    assert_eq!(world.rows().await, expected(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_fails_its_chunk_alone() {
    let mut world = world().await;
    let tasks = [world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(10..20)).await];
    let panics_at = Some(world.area.chunk(0));
    world.context.storage = Arc::new(FailingStorage { panics_at, ..FailingStorage::new(&world) });
    let verdicts = world.load(&tasks).await;
    assert!(matches!(&verdicts[0], Verdict::Retry { reason, .. } if reason.contains("a bug at")), "{verdicts:?}");
    assert_eq!(verdicts[1], Verdict::Done);
    assert_eq!(world.rows().await, expected(10..20));
    // Earlier receives may have ended for another reason.
    for (receive_count, is_rejected) in [(3, false), (4, true)] {
        let task = Message { receive_count, ..tasks[0].clone() };
        let verdicts = world.load(&[task]).await;
        assert_eq!(matches!(verdicts[0], Verdict::Reject { .. }), is_rejected, "{verdicts:?}");
    }
}

/// A chunk is taken over, or refused when its bytes are others, however its store copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_has_the_bytes_of_the_task() {
    for (copying, is_damaged, is_taken) in [
        (Copying::Never, false, true),
        (Copying::Denied, false, true),
        (Copying::Untold, false, true),
        (Copying::Elsewhere, false, true),
        (Copying::Wrong, false, true),
        (Copying::Never, true, false),
        (Copying::Denied, true, false),
        (Copying::Untold, true, false),
    ] {
        let mut world = world().await;
        let task = world.chunk(0, &numbered(0..10)).await;
        if is_damaged {
            let at = world.area.chunk(0);
            let mut bytes = world.context.storage.get(&at).await.unwrap().to_vec();
            bytes[20] ^= 1;
            world.context.storage.put(&at, bytes.into(), shared::PutMode::Overwrite).await.unwrap();
        }
        world.context.storage = Arc::new(FailingStorage { copying, ..FailingStorage::new(&world) });
        if is_taken {
            world.load_done(&[task]).await;
            assert_eq!(world.rows().await, expected(0..10), "{copying:?}");
            assert!(world.chunk_receipt(0).await.checksum.is_some(), "{copying:?}");
        } else {
            let reason = world.rejected(task).await;
            assert!(reason.contains("is damaged: its checksum is"), "{copying:?}: {reason}");
            assert!(world.no_table() && world.files_on_disk() == 0, "{copying:?}");
        }
    }
}
