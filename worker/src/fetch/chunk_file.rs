//! Verified reading of a chunk: a row group at a time, every byte checked before anything is committed.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use shared::page_sizes::unsigned;
use shared::{
    BadRecords, Copied, EncodePool, Location, Memory, MemoryShare, MemoryTooSmall, ObjectStat, Storage, StorageError,
};
use tokio::sync::mpsc;

use crate::chunk::AssignedChunk;
use crate::error::LoadError;
use crate::fetch::costs::Costs;
use crate::fetch::footer::{FOOTER_TAIL, read_footer};
use crate::fetch::keyed_pages;
use crate::fetch::object::{Check, Object};
use crate::fetch::pages;
use crate::fetch::row_group_bytes::{Beside, RowGroupBytes, extent};
use crate::keyed;
use crate::rows::rejected::RejectedRow;

/// Decoded batches that wait for whoever consumes them.
const BATCHES_AHEAD: usize = 2;

/// A chunk that is open for reading: one version of one object.
#[derive(Debug)]
pub(crate) struct ChunkFile {
    object: Object,
    /// Checksum that the bytes must have; none for a file that no splitter made.
    checksum: Option<String>,
    /// The Parquet source whose row groups it has as they were.
    parquet_source: Option<Location>,
    /// Whether a text that is not UTF-8 becomes null, or its row is rejected.
    nulls: bool,
    /// Rows that are not among the batches, and were not taken yet.
    rejected: Mutex<Vec<RejectedRow>>,
    /// Places of all such rows, from 1; none where nobody asks for them.
    set_aside: Mutex<Option<Vec<u64>>>,
    /// The last bytes, and where they begin.
    footer: Bytes,
    footer_start: u64,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
    rows: u64,
    memory: Memory,
    beside: Beside,
    /// [`Costs::whole`] of its account, once it is known: a footer may have a hundred thousand columns of row groups.
    whole_cost: OnceLock<u64>,
}

/// What is known of a file before it is opened, as [`ChunkFile`] has it.
#[derive(Debug)]
struct Known {
    checksum: Option<String>,
    parquet_source: Option<Location>,
    nulls: bool,
}

/// The columns that are decoded.
#[derive(Clone, Debug)]
struct Decoded {
    mask: ProjectionMask,
    schema: SchemaRef,
    /// Their places, where they may come with the keys that their pages have.
    keyed: Option<Vec<usize>>,
}

impl ChunkFile {
    /// Opens a chunk: its length and its footer are as the task says.
    pub(crate) async fn open(
        storage: &Arc<dyn Storage>,
        chunk: &AssignedChunk,
        memory: &Memory,
        beside: Beside,
    ) -> Result<Arc<Self>, LoadError> {
        let at = &chunk.at;
        let damaged = |reason: String| LoadError::Damaged { chunk: at.clone(), reason };
        let stat = match &chunk.stat {
            Some(stat) => stat.clone(),
            None => storage.stat(at).await.map_err(|source| LoadError::reading(at, source))?,
        };
        let identity = chunk.origin.as_ref().map(|origin| &origin.identity);
        if let Some(identity) = identity.filter(|identity| identity.bytes != stat.size) {
            return Err(damaged(format!("it has {} bytes instead of {}", stat.size, identity.bytes)));
        }
        let checksum = identity.map(|identity| identity.checksum.clone());
        let known = Known {
            checksum,
            parquet_source: chunk.parquet_source.clone(),
            nulls: chunk.bad_records == BadRecords::Null,
        };
        let file = Self::open_version(storage, at, stat, known, (memory, beside)).await?;
        if let Some(identity) = identity.filter(|identity| identity.rows != file.rows) {
            return Err(damaged(format!("it has {} rows instead of {}", file.rows, identity.rows)));
        }
        Ok(file)
    }

    /// Opens a file that is to have this checksum, and nothing else is known of. Whoever reads it takes nothing beside it.
    pub(crate) async fn open_verified(
        storage: &Arc<dyn Storage>,
        at: &Location,
        checksum: &str,
        memory: &Memory,
    ) -> Result<Arc<Self>, LoadError> {
        let stat = storage.stat(at).await.map_err(|source| LoadError::reading(at, source))?;
        let known = Known { checksum: Some(checksum.to_owned()), parquet_source: None, nulls: false };
        Self::open_version(storage, at, stat, known, (memory, |_| 0)).await
    }

    async fn open_version(
        storage: &Arc<dyn Storage>,
        at: &Location,
        stat: ObjectStat,
        known: Known,
        (memory, beside): (&Memory, Beside),
    ) -> Result<Arc<Self>, LoadError> {
        let Known { checksum, parquet_source, nulls } = known;
        let (footer_start, footer) = read_footer(storage.as_ref(), at, &stat, memory).await?;
        let undecodable = |source| LoadError::Undecodable { chunk: at.clone(), source };
        let length = footer.len().saturating_sub(FOOTER_TAIL);
        let metadata = ParquetMetaDataReader::decode_metadata(&footer[..length]);
        let metadata = metadata.map_err(|error| undecodable(error.into()))?;
        let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum();
        let instants = shared::int96_are_instants(&metadata);
        let metadata = shared::arrow_metadata(&Arc::new(metadata), instants).map_err(undecodable)?;
        Ok(Arc::new(Self {
            object: Object { storage: Arc::clone(storage), at: at.clone(), stat },
            checksum,
            parquet_source,
            nulls,
            rejected: Mutex::default(),
            set_aside: Mutex::default(),
            footer,
            footer_start,
            schema: Arc::new(Schema::new(metadata.schema().fields().clone())),
            metadata,
            rows,
            memory: memory.clone(),
            beside,
            whole_cost: OnceLock::new(),
        }))
    }

    /// Takes of the account what reading its batches takes, and what is taken beside.
    pub(crate) async fn take_memory(&self) -> Result<MemoryShare, LoadError> {
        let costs = self.costs();
        let taken = self.memory.reserve_for(|memory| costs.whole(memory)).await;
        taken.map_err(|source| self.too_large(costs.dearest(&self.memory), source))
    }

    fn costs(&self) -> Costs<'_> {
        Costs { footer: self.footer(), is_own: self.is_own(), beside: self.beside }
    }

    /// Whether the splitter encoded its rows: no value of theirs is longer than the block of the source that it was in.
    pub(crate) fn is_own(&self) -> bool {
        self.parquet_source.is_none() && self.checksum.is_some()
    }

    fn too_large(&self, group: usize, source: MemoryTooSmall) -> LoadError {
        let at = Box::new(self.parquet_source.clone().unwrap_or_else(|| self.object.at.clone()));
        LoadError::Memory { at, what: format!("row group {group}"), source }
    }

    /// Rows of a row group that are decoded at once.
    fn rows_at_once(&self, group: usize, bytes: &RowGroupBytes) -> Result<usize, LoadError> {
        let rows = self.costs().rows_at_once(&self.memory, &self.whole_cost, group, bytes);
        rows.map_err(|source| self.too_large(group, source))
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows by the footer.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn at(&self) -> &Location {
        &self.object.at
    }

    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.object.stat.size
    }

    /// The checksum that its bytes must have; none for a file that no splitter made.
    pub(crate) fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// What the file says of itself.
    pub(crate) fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Where the bytes begin that its statistics were read from, and these bytes.
    pub(crate) fn tail(&self) -> (u64, &Bytes) {
        (self.footer_start, &self.footer)
    }

    /// Has its store copy this version of it.
    pub(crate) async fn copy_to(&self, to: &Location) -> Result<Option<Copied>, StorageError> {
        self.object.storage.copy(&self.object.at, &self.object.stat.version, to).await
    }

    /// Whether its bytes are those that they must be, by their checksum.
    pub(crate) fn compare(&self, found: &str) -> Result<(), LoadError> {
        match &self.checksum {
            Some(expected) if found != expected => {
                Err(self.damaged(format!("its checksum is {found} instead of {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the splitter found that a column's values do not recur, so that it has a dictionary in no row group.
    pub(crate) fn is_without_dictionary(&self, column: usize) -> bool {
        let groups = self.footer().row_groups().iter();
        self.is_own() && groups.map(|group| group.columns().get(column)).all(|column| column.is_some_and(is_plain))
    }

    /// All rows. The stream ends with an error unless every row was read from bytes with the right checksum, so whoever
    /// reads it to its end has a verified chunk. Each call reads the chunk again.
    pub(crate) fn batches(self: &Arc<Self>) -> BoxStream<'static, Result<RecordBatch, LoadError>> {
        self.decoded(Decoded { mask: ProjectionMask::all(), schema: Arc::clone(&self.schema), keyed: None })
    }

    /// The same of a chunk that the splitter encoded, with some of its columns alone, in order, and with keys ([`keyed`]) where it has a
    /// dictionary. All bytes are verified.
    pub(crate) fn keyed_batches_of(
        self: &Arc<Self>,
        columns: &[usize],
    ) -> BoxStream<'static, Result<RecordBatch, LoadError>> {
        let fields = columns.iter().filter_map(|column| self.schema.fields().get(*column)).cloned();
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let described = self.footer().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(described, columns.iter().copied());
        self.decoded(Decoded { mask, schema, keyed: self.is_own().then(|| columns.to_vec()) })
    }

    fn decoded(self: &Arc<Self>, decoded: Decoded) -> BoxStream<'static, Result<RecordBatch, LoadError>> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let file = Arc::clone(self);
        let scan = tokio::spawn(async move { file.scan(decoded, sender).await });
        let at = self.object.at.clone();
        let batches = stream::unfold((receiver, Some(scan)), move |(mut receiver, mut scan)| {
            let at = at.clone();
            async move {
                if let Some(batch) = receiver.recv().await {
                    return Some((Ok(batch), (receiver, scan)));
                }
                let ended = scan.take()?.await;
                let result = ended.unwrap_or_else(|error| Err(bug(&at, &error)));
                result.err().map(|error| (Err(error), (receiver, scan)))
            }
        });
        batches.boxed()
    }

    /// Takes the rows that are not among the batches that were read so far, since a text of theirs is not UTF-8.
    pub(crate) fn take_rejected(&self) -> Vec<RejectedRow> {
        std::mem::take(&mut self.rejected.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on keeps the places of rows that are not among the batches.
    pub(crate) fn keep_set_aside(&self) {
        *self.set_aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Gives places of all rows, from 1, that are not among the batches that were read since these are kept, in their order.
    pub(crate) fn with_set_aside<T>(&self, take: impl FnOnce(&[u64]) -> T) -> T {
        let set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        take(set_aside.as_deref().unwrap_or_default())
    }

    /// Decodes one row group while the next is being read.
    async fn scan(self: Arc<Self>, columns: Decoded, sender: mpsc::Sender<RecordBatch>) -> Result<(), LoadError> {
        let groups = self.metadata.metadata().num_row_groups();
        // A thread of its own keeps to itself what the allocator has it keep.
        let pool = EncodePool::new(1).map_err(|error| bug(&self.object.at, &error))?;
        let mut check = Check::new(&self.object, self.checksum.is_some());
        let reads_ahead = self.costs().reads_ahead(&self.memory);
        let mut read = 0;
        let mut next = match groups {
            0 => None,
            _ => Some(self.read_row_group(&mut check, 0).await?),
        };
        for group in 0..groups {
            let Some(bytes) = next.take() else { break };
            let decoding = self.decode(&pool, group, bytes, (columns.clone(), sender.clone()));
            let reading = async {
                if reads_ahead && group + 1 < groups {
                    self.read_row_group(&mut check, group + 1).await.map(Some)
                } else {
                    Ok(None)
                }
            };
            let (decoded, bytes) = tokio::try_join!(decoding, reading)?;
            let Some(rows) = decoded else { return Ok(()) };
            read += rows;
            next = match bytes {
                None if group + 1 < groups => Some(self.read_row_group(&mut check, group + 1).await?),
                bytes => bytes,
            };
        }
        if let Some(found) = check.finish(self.footer_start, &self.footer).await? {
            self.compare(&found)?;
        }
        match &self.parquet_source {
            _ if read == self.rows => Ok(()),
            None => Err(self.damaged(format!("{read} rows of {} could be read", self.rows))),
            Some(at) => {
                let reason = format!("there are {read} rows, and the footer says {}", self.rows);
                Err(LoadError::BadPages { at: at.clone(), place: format!("row groups of {}", self.object.at), reason })
            }
        }
    }

    async fn read_row_group(&self, check: &mut Check<'_>, group: usize) -> Result<RowGroupBytes, LoadError> {
        let (start, end) = self.extent(self.metadata.metadata().row_group(group))?;
        check.read(start, end).await
    }

    /// Decodes a row group off the async threads. Gives the number of its rows, or `None` when nobody wants them.
    async fn decode(
        self: &Arc<Self>,
        pool: &EncodePool,
        group: usize,
        bytes: RowGroupBytes,
        (columns, sender): (Decoded, mpsc::Sender<RecordBatch>),
    ) -> Result<Option<u64>, LoadError> {
        let file = Arc::clone(self);
        let decoding = pool.run(move || file.decode_all(group, &bytes, &columns, &sender));
        decoding.await.map_err(|error| bug(&self.object.at, &error))?
    }

    fn decode_all(
        &self,
        group: usize,
        bytes: &RowGroupBytes,
        columns: &Decoded,
        sender: &mpsc::Sender<RecordBatch>,
    ) -> Result<Option<u64>, LoadError> {
        let sent = |batch: Vec<ArrayRef>, rows: usize| {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&columns.schema), batch, &options)?;
            Ok::<_, ParquetError>(sender.blocking_send(batch).is_ok())
        };
        if let Some((batch, rows)) = self.decode_keyed(group, bytes, columns) {
            return Ok(sender.blocking_send(batch).is_ok().then_some(rows));
        }
        let at_once = self.rows_at_once(group, bytes)?;
        let mut rows = 0;
        let decoded = shared::guarded(|| {
            for batch in pages::reader(bytes.clone(), &self.metadata, group, columns.mask.clone(), at_once)? {
                let batch = batch?;
                if !sent(batch.columns().to_vec(), batch.num_rows())? {
                    return Ok(None);
                }
                rows += batch.num_rows();
            }
            Ok(Some(rows))
        });
        let decoded = match (decoded, &self.parquet_source) {
            (Err(error), Some(_)) if pages::is_text(&error) => {
                let before = self.metadata.metadata().row_groups().iter().take(group);
                let before: i64 = before.map(RowGroupMetaData::num_rows).sum();
                let texts = pages::Texts { schema: &self.schema, before, nulls: self.nulls, skip: rows, at_once };
                texts.decode(bytes.clone(), &self.metadata, group, |columns, left, rejected| {
                    let mut set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(set_aside) = set_aside.as_mut() {
                        set_aside.extend(rejected.iter().map(|row| row.number));
                    }
                    drop(set_aside);
                    self.rejected.lock().unwrap_or_else(PoisonError::into_inner).extend(rejected);
                    sent(columns, left)
                })
            }
            (decoded, _) => decoded,
        };
        match (decoded, &self.parquet_source) {
            (Ok(rows), _) => Ok(rows.and_then(|rows| u64::try_from(rows).ok())),
            (Err(source), None) => Err(LoadError::Undecodable { chunk: self.object.at.clone(), source: source.into() }),
            (Err(error), Some(at)) => {
                let (column, reason) = shared::undecodable(bytes, &self.metadata, group, &error);
                let column = column.map_or_else(String::new, |column| format!("column '{column}', "));
                let place = format!("{column}row group {group} of {}", self.object.at);
                Err(LoadError::BadPages { at: at.clone(), place, reason })
            }
        }
    }

    /// A whole row group with keys, if it is to have them, takes no more than batches may, and is as the splitter writes it.
    fn decode_keyed(&self, group: usize, bytes: &RowGroupBytes, columns: &Decoded) -> Option<(RecordBatch, u64)> {
        let metadata = self.metadata.metadata().row_group(group);
        let (Some(places), Ok(rows)) = (&columns.keyed, usize::try_from(metadata.num_rows())) else { return None };
        if places.is_empty() || !self.costs().is_kept_keyed(&self.memory, metadata) {
            return None;
        }
        let batch = shared::guarded(|| {
            let values = keyed_pages::columns(bytes, metadata, places, columns.schema.fields())?;
            Ok(values.map(|values| keyed::batch(&columns.schema, values, rows)).transpose()?)
        });
        // What is wrong is said by the reader of all files.
        batch.ok().flatten().map(|batch| (batch, unsigned(metadata.num_rows())))
    }

    fn damaged(&self, reason: String) -> LoadError {
        LoadError::Damaged { chunk: self.object.at.clone(), reason }
    }

    /// Bytes from `start` to before `end`.
    pub(crate) async fn read(&self, start: u64, end: u64) -> Result<Bytes, LoadError> {
        self.object.read(start, end).await
    }

    /// First byte of a row group, and the byte behind its last.
    fn extent(&self, group: &RowGroupMetaData) -> Result<(u64, u64), LoadError> {
        extent(group, self.footer_start).ok_or_else(|| self.damaged("its footer points outside of it".to_owned()))
    }
}

fn is_plain(column: &ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_none()
}

fn bug(at: &Location, error: &dyn std::error::Error) -> LoadError {
    LoadError::Bug { what: at.to_string(), reason: error.to_string() }
}
