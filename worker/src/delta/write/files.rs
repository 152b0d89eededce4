//! Files that are open, and those that are written.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use deltalake::kernel::StructField;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::buffered::BufWriter;
use deltalake::{DeltaTableError, ObjectStoreError, Path};
use futures::{StreamExt, stream};
use parquet::errors::ParquetError;
use shared::{EncodePool, Location};
use tokio::io::AsyncWriteExt;

use super::order::Order;
use super::partitions::{Part, Partition};
use super::row_group::{Encoder, ParquetFile, take_bytes};
use super::rows::Rows;
use crate::delta::data_file::DataFile;
use crate::delta::statistics::footer::Footer;
use crate::delta::statistics::indexed::Indexed;
use crate::delta::statistics::numbers::NotNumbers;
use crate::delta::statistics::statistics;
use crate::error::LoadError;

/// Parts of an upload, and how many are on their way at once.
const PART_BYTES: usize = 5 << 20;
const PARTS_AT_ONCE: usize = 2;

/// Files that are written at once. Each takes the writer of a column, and hardly more.
const FILES_AT_ONCE: usize = 8;

/// What the footer of a file takes in memory for each column of each row group.
const FOOTER_BYTES: usize = 1 << 10;

/// What no file is said to be.
const LOST: &str = "a file was lost while rows were added to it";

/// Where files go, and what of.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: Location,
    pub(super) store: ObjectStoreRef,
    /// The thread that encodes.
    pub(super) pool: EncodePool,
    /// Columns that the files have.
    pub(super) columns: Vec<StructField>,
    pub(super) indexed: Indexed,
    /// Bytes from which on a file gets no more rows.
    pub(super) file_bytes: u64,
    /// Bytes that open files hold together; the largest are closed when there are more.
    pub(super) held_bytes: usize,
}

/// The files of one chunk.
#[derive(Debug)]
pub(super) struct Files {
    target: Arc<Target>,
    encoder: Arc<Encoder>,
    /// By the number of their partition.
    open: HashMap<u32, OpenFile>,
    written: Vec<DataFile>,
}

/// A file that may get more rows.
struct OpenFile {
    path: Path,
    partition: Arc<Partition>,
    /// None while rows are encoded, and after that failed.
    file: Option<ParquetFile>,
    upload: BufWriter,
    bytes: usize,
    /// Row groups.
    groups: usize,
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("path", &self.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Files {
    pub(super) fn new(target: Target, encoder: Encoder) -> Self {
        let (target, encoder) = (Arc::new(target), Arc::new(encoder));
        Self { target, encoder, open: HashMap::new(), written: Vec::new() }
    }

    /// Encodes what comes in another way. No file is open.
    pub(super) fn use_encoder(&mut self, encoder: Encoder) {
        self.encoder = Arc::new(encoder);
    }

    /// Writes a row group for each part; `all` closes all files.
    pub(super) async fn store(&mut self, rows: Arc<Rows>, parts: Vec<Part>, all: bool) -> Result<(), LoadError> {
        // So many at a time that their footers find room.
        let at_once = self.target.held_bytes / (self.encoder.width() * FOOTER_BYTES).max(1);
        let mut parts = parts.into_iter().peekable();
        while parts.peek().is_some() {
            let some = parts.by_ref().take(at_once.max(FILES_AT_ONCE)).map(|part| self.file_of(part));
            let some = some.collect::<Result<_, _>>()?;
            self.advance(Arc::clone(&rows), some, all).await?;
            let large = self.too_large();
            if !large.is_empty() {
                self.advance(Arc::new(Rows::none()), large, true).await?;
            }
        }
        let rest = if all { self.open.drain().map(|(id, file)| (id, file, None)).collect() } else { Vec::new() };
        self.advance(Arc::new(Rows::none()), rest, all).await
    }

    /// The file that a part goes to, the one that is open or a new one.
    fn file_of(&mut self, part: Part) -> Result<(u32, OpenFile, Option<Order>), LoadError> {
        let file = match self.open.remove(&part.id) {
            Some(file) => file,
            None => {
                OpenFile::new(&self.target, &self.encoder, part.partition).map_err(|error| self.target.failed(error))?
            }
        };
        Ok((part.id, file, Some(part.rows)))
    }

    /// Adds rows to files, some at once, and closes those that are full; with `all`, all of these. When one fails, the others are
    /// brought to an end, so that they can be given up.
    async fn advance(
        &mut self,
        rows: Arc<Rows>,
        work: Vec<(u32, OpenFile, Option<Order>)>,
        all: bool,
    ) -> Result<(), LoadError> {
        let (target, encoder) = (Arc::clone(&self.target), Arc::clone(&self.encoder));
        let steps = work.into_iter().map(|(id, file, order)| {
            let (target, encoder, rows) = (Arc::clone(&target), Arc::clone(&encoder), Arc::clone(&rows));
            async move { (id, file.advance(&target, encoder, rows, order, all).await) }
        });
        let mut steps = stream::iter(steps).buffer_unordered(FILES_AT_ONCE);
        let mut failed = None;
        while let Some((id, step)) = steps.next().await {
            match step {
                Ok(Step::Open(file)) => drop(self.open.insert(id, *file)),
                Ok(Step::Written(add)) => self.written.push(*add),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes the largest open files, as long as all hold too much together.
    fn too_large(&mut self) -> Vec<(u32, OpenFile, Option<Order>)> {
        let width = self.encoder.width();
        let mut held: usize = self.open.values().map(|file| file.held(width)).sum();
        if held <= self.target.held_bytes {
            return Vec::new();
        }
        let mut by_size: Vec<(usize, u32)> = self.open.iter().map(|(id, file)| (file.held(width), *id)).collect();
        by_size.sort_unstable_by(|one, other| other.cmp(one));
        let mut large = Vec::new();
        for (bytes, id) in by_size {
            if held <= self.target.held_bytes / 2 {
                break;
            }
            held -= bytes;
            large.extend(self.open.remove(&id).map(|file| (id, file, None)));
        }
        large
    }

    pub(super) fn into_written(self) -> Vec<DataFile> {
        self.written
    }

    /// Gives up what is open; gives the files that are written.
    pub(super) async fn abort(mut self) -> Vec<DataFile> {
        for (_, file) in self.open.drain() {
            file.abort(&self.target).await;
        }
        self.written
    }
}

enum Step {
    Open(Box<OpenFile>),
    Written(Box<DataFile>),
}

impl OpenFile {
    fn new(target: &Target, encoder: &Encoder, partition: Arc<Partition>) -> Result<Self, ParquetError> {
        let path = partition.folder.clone().join(format!("part-00000-{}-c000.zstd.parquet", uuid::Uuid::new_v4()));
        let upload = BufWriter::with_capacity(ObjectStoreRef::clone(&target.store), path.clone(), PART_BYTES);
        let upload = upload.with_max_concurrency(PARTS_AT_ONCE);
        Ok(Self { path, partition, file: Some(encoder.begin()?), upload, bytes: 0, groups: 0 })
    }

    /// What it holds: bytes that wait for their upload, and its footer in the making.
    fn held(&self, width: usize) -> usize {
        self.bytes.min(PART_BYTES * (PARTS_AT_ONCE + 1)) + self.groups * width * FOOTER_BYTES
    }

    async fn advance(
        mut self,
        target: &Target,
        encoder: Arc<Encoder>,
        rows: Arc<Rows>,
        order: Option<Order>,
        close: bool,
    ) -> Result<Step, LoadError> {
        if let Some(order) = order
            && let Err(error) = self.append(target, encoder, rows, order).await
        {
            self.abort(target).await;
            return Err(error);
        }
        let is_full = u64::try_from(self.bytes).is_ok_and(|bytes| bytes >= target.file_bytes);
        if close || is_full {
            self.finish(target).await.map(|add| Step::Written(Box::new(add)))
        } else {
            Ok(Step::Open(Box::new(self)))
        }
    }

    /// Encodes rows on the one thread that there is for it.
    async fn append(
        &mut self,
        target: &Target,
        encoder: Arc<Encoder>,
        rows: Arc<Rows>,
        order: Order,
    ) -> Result<(), LoadError> {
        let mut file = self.file.take().ok_or_else(|| target.bug(&LOST))?;
        let encoding = target.pool.run(move || {
            encoder.append(&mut file, &rows, &order)?;
            let bytes = take_bytes(&mut file)?;
            Ok::<_, ParquetError>((file, bytes))
        });
        let outcome = encoding.await.map_err(|error| target.bug(&error))?;
        let (file, bytes) = outcome.map_err(|error| target.failed(error))?;
        self.file = Some(file);
        self.groups += 1;
        self.put(target, bytes).await
    }

    async fn put(&mut self, target: &Target, bytes: Vec<u8>) -> Result<(), LoadError> {
        self.bytes += bytes.len();
        self.upload.put(bytes.into()).await.map_err(|error| target.failed(error))
    }

    /// Closes the file; it is durable then.
    async fn finish(mut self, target: &Target) -> Result<DataFile, LoadError> {
        let ended = match self.file.take() {
            Some(mut file) => file.finish().and_then(|footer| Ok((footer, take_bytes(&mut file)?))),
            None => Err(ParquetError::General(LOST.to_owned())),
        };
        let put = match ended {
            Ok((footer, bytes)) => self.put(target, bytes).await.map(|()| footer),
            Err(error) => Err(target.failed(error)),
        };
        let footer = match put {
            Ok(footer) => footer,
            Err(error) => {
                self.abort(target).await;
                return Err(error);
            }
        };
        // An upload that fails at its end can no longer be given up.
        self.upload.shutdown().await.map_err(|error| match error.downcast::<ObjectStoreError>() {
            Ok(error) => target.failed(error),
            Err(source) => target.failed(DeltaTableError::Io { source }),
        })?;
        let footer = Footer::new(&footer);
        let columns: Vec<&StructField> = target.columns.iter().collect();
        let rows = footer.rows().unwrap_or_default();
        // What has values that are not numbers has no bounds in the footer.
        let stats = statistics(&footer, rows, &columns, &target.indexed, &NotNumbers::default());
        Ok(DataFile {
            path: self.path.to_string(),
            bytes: u64::try_from(self.bytes).map_err(|error| target.bug(&error))?,
            written: crate::delta::log::now(),
            partition: self.partition.values.clone().into_iter().collect(),
            statistics: Some(stats.map_err(|error| target.bug(&error))?),
            tags: BTreeMap::new(),
        })
    }

    async fn abort(mut self, target: &Target) {
        if let Err(error) = self.upload.abort().await {
            let table = &target.table;
            tracing::debug!(%table, %error, "parts of a data file left for the store's own cleaning");
        }
    }
}

impl Target {
    fn failed(&self, error: impl Into<DeltaTableError>) -> LoadError {
        LoadError::table(&self.table, "write data files of", error)
    }

    fn bug(&self, error: &dyn fmt::Display) -> LoadError {
        LoadError::Bug { what: format!("data files of {}", self.table), reason: error.to_string() }
    }
}
