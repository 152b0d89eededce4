//! Proof from the table itself: the rows of a job, read back from its data files and compared with its receipts.
#![expect(
    deprecated,
    reason = "nothing else in the library gives the tags of a file, nor reads Parquet from its store"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use deltalake::kernel::{DataType, LogicalFileView};
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::{DeltaTableError, ObjectStoreError};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetObjectReader;
use serde::Serialize;
use shared::checksum::Checksum;
use shared::{ChunkReceipt, JobId, Location, Memory, RowHash, Seal, Undone, WorkArea, get_json, try_get_json};

use crate::context::LoadContext;
use crate::delta::app_ids::job_app_id;
use crate::delta::deletions::{deleted_rows, without};
use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::CHECKSUM_TAG;
use crate::delta::tags::{chunk_of, is_merged, is_of};
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::fetch::data_file::StoredFile;
use crate::rows::conform::carry::carry;
use crate::rows::row_hash::row_hash;
use crate::schema::write_schema::WriteSchema;
use crate::undo::history::History;

/// Data files, or receipts, that are read at once.
const AT_ONCE: usize = 4;

/// What a table has of a job, next to what the job's receipts say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether the two are the same.
    pub finding: Finding,
    /// Version of the table that was read.
    pub table_version: u64,
    /// What the receipts of chunks say; nothing for a job that was undone.
    pub expected: Tally,
    /// What the data files of the job hold.
    pub found: Tally,
    /// Chunks of which the table has other rows than their receipts say, by their application ids.
    pub differing: Vec<DifferingChunk>,
    /// Who changed the job's files since, or why nothing can be told.
    pub reason: Option<String>,
}

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The table has the very rows that were committed.
    Equal,
    /// It has not.
    Differs,
    /// The job's rows cannot be told apart from others any more, or there is no hash to compare with.
    Untold,
}

/// Rows, counted and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub rows: u64,
    /// Their hash; none where nobody took it.
    pub row_hash: Option<RowHash>,
    /// Checksum of the bytes of the one data file that they are in, where that is what is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A chunk of which the table has other rows than its receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferingChunk {
    /// Its application id.
    pub chunk: String,
    /// What its receipt says.
    pub expected: Tally,
    /// What its data files hold.
    pub found: Tally,
}

impl Default for Tally {
    fn default() -> Self {
        Self { rows: 0, row_hash: Some(RowHash::default()), checksum: None }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        let is_first = *self == Self::default();
        self.rows += other.rows;
        self.row_hash = RowHash::sum(self.row_hash, other.row_hash);
        self.checksum = other.checksum.filter(|_| is_first);
    }
}

/// Rows by the application id of their chunk.
type ByChunk = BTreeMap<String, Tally>;

/// Reads the rows of a job back from its table, and compares them with the job's receipts, chunk by chunk.
///
/// Files of the job are known by their tags. Chunks without a receipt count only once the job has its own: they may be on
/// their way. Only a few batches of rows are held at once.
pub async fn verify(
    context: &LoadContext,
    table: &Location,
    job: &JobId,
    area: &WorkArea,
) -> Result<Verification, LoadError> {
    let missing = || LoadError::NoSuchTable { table: table.clone() };
    // Receipts first: what they tell of is in the table by then.
    let mut expected = receipts(context, job, area).await?;
    let mut is_whole = is_ended(context, area).await?;
    let snapshot = context.open(table).await?.ok_or_else(missing)?;
    if snapshot.transaction(&job_app_id(job)).await? == Some(Seal::UNDONE.0) {
        // Whoever undid it may have died before it could say so in the work area.
        (expected, is_whole) = (ByChunk::new(), true);
    }
    let ReadBack { mut found, mut stored, paths } =
        ReadBack::of(&snapshot, job, &expected, &context.settings.memory).await?;
    let table_version = snapshot.version().ok_or_else(missing)?;
    for tallies in [&mut found, &mut stored] {
        tallies.retain(|chunk, _| is_whole || is_merged(chunk) || expected.contains_key(chunk));
    }
    let is_merged = found.keys().any(|chunk| is_merged(chunk));
    hash_chunks(context, &snapshot, area, &mut expected, |chunk| {
        is_merged || found.get(chunk).is_some_and(|found| found.checksum.is_none())
    })
    .await?;
    if is_merged {
        // Rows of several chunks are in one file: the sums tell.
        [expected, found, stored] = [expected, found, stored].map(|tallies| as_one(tallies, job));
    }
    let differing = compare(&expected, &found);
    let (finding, reason) = match deleted(&differing, &stored) {
        Some(reason) => (Finding::Differs, Some(reason)),
        None => judge(&snapshot, job, &paths, &differing).await?,
    };
    let sum = |tallies: ByChunk| {
        tallies.into_values().fold(Tally::default(), |mut all, one| {
            all.add(one);
            all
        })
    };
    Ok(Verification { finding, table_version, expected: sum(expected), found: sum(found), differing, reason })
}

/// All chunks of a job as if they were one.
fn as_one(chunks: ByChunk, job: &JobId) -> ByChunk {
    let all = chunks.into_values().fold(Tally::default(), |mut all, one| {
        all.add(one);
        all
    });
    ByChunk::from([(job_app_id(job), all)])
}

/// Whether no chunk of the job is on its way any more.
async fn is_ended(context: &LoadContext, area: &WorkArea) -> Result<bool, LoadError> {
    let storage = context.storage.as_ref();
    let receipt: Option<shared::Receipt> = try_get_json(storage, &area.receipt(), "receipt").await?;
    Ok(receipt.is_some() || undone(context, area).await?)
}

async fn undone(context: &LoadContext, area: &WorkArea) -> Result<bool, LoadError> {
    let note: Option<Undone> = try_get_json(context.storage.as_ref(), &area.undone(), "note of undoing").await?;
    Ok(note.is_some())
}

/// What the table should have.
async fn receipts(context: &LoadContext, job: &JobId, area: &WorkArea) -> Result<ByChunk, LoadError> {
    if undone(context, area).await? {
        return Ok(ByChunk::new());
    }
    let storage = context.storage.as_ref();
    let listed = storage.list(&area.loaded()).await?;
    let listed = listed.into_iter().filter(|listed| WorkArea::index_of(&listed.location).is_some());
    let reads = listed.map(|listed| async move {
        let receipt: ChunkReceipt = get_json(storage, &listed.location, "chunk receipt").await?;
        let tally = Tally { rows: receipt.rows.committed, row_hash: receipt.row_hash, checksum: receipt.checksum };
        Ok::<_, LoadError>((format!("{}/{}", job_app_id(job), receipt.index), tally))
    });
    stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await
}

/// Takes the hash of the rows of chunks that were taken over, where their files are not what they were: of those that are still
/// in the work area. Their rows are the table's, in the table's types.
async fn hash_chunks(
    context: &LoadContext,
    snapshot: &TableSnapshot,
    area: &WorkArea,
    expected: &mut ByChunk,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), LoadError> {
    let Some(state) = snapshot.state() else { return Ok(()) };
    let failed = |error| LoadError::table(snapshot.table().uri(), "read the schema of", error);
    let write_schema = &WriteSchema::of(state).map_err(failed)?;
    for (chunk, tally) in expected.iter_mut().filter(|(chunk, _)| is_wanted(chunk)) {
        let (Some(checksum), Some(index)) = (tally.checksum.take(), index_of(chunk)) else { continue };
        let (at, memory) = (area.chunk(index), &context.settings.memory);
        let file = match ChunkFile::open_verified(&context.storage, &at, &checksum, memory).await {
            Err(LoadError::Missing { .. }) => continue,
            file => file?,
        };
        let _share = file.take_memory().await?;
        let mut hash = RowHash::default();
        let mut batches = file.batches();
        while let Some(batch) = batches.try_next().await? {
            let rows = as_in_table(write_schema, &[], &batch).and_then(|rows| row_hash(&rows, &[]));
            hash += rows.map_err(|error| LoadError::Bug { what: at.to_string(), reason: error.to_string() })?;
        }
        tally.row_hash = Some(hash);
    }
    Ok(())
}

/// Place of a chunk in its job, by its application id.
fn index_of(chunk: &str) -> Option<u32> {
    chunk.rsplit('/').next()?.parse().ok()
}

/// What was read back of a job.
#[derive(Debug, Default)]
struct ReadBack {
    /// What the table has.
    found: ByChunk,
    /// What its files hold: that, and the rows that deletion vectors take out.
    stored: ByChunk,
    /// The files.
    paths: BTreeSet<String>,
}

impl ReadBack {
    async fn of(snapshot: &TableSnapshot, job: &JobId, expected: &ByChunk, memory: &Memory) -> Result<Self, LoadError> {
        let mut all = Self::default();
        let Some(state) = snapshot.state() else { return Ok(all) };
        let failed = |error| LoadError::table(snapshot.table().uri(), "read the schema of", error);
        let write_schema = &WriteSchema::of(state).map_err(failed)?;
        let mut files = Vec::new();
        for view in state.log_data().iter() {
            let add = view.add_action();
            if let Some(chunk) = chunk_of(&add).filter(|chunk| is_of(chunk, job)) {
                let tag = add.tags.as_ref().and_then(|tags| tags.get(CHECKSUM_TAG)?.clone());
                let is_chunk = tag.is_some() && tag == expected.get(chunk).and_then(|chunk| chunk.checksum.clone());
                files.push((chunk.to_owned(), view, is_chunk));
                all.paths.insert(add.path);
            }
        }
        // Once some are merged, the sums tell, and bytes have none.
        let is_merged = files.iter().any(|(chunk, ..)| is_merged(chunk));
        let reads = files.into_iter().map(|(chunk, view, is_chunk)| async move {
            let (found, stored) = if is_chunk && !is_merged {
                let stored = read_bytes(snapshot, &view).await?;
                let deleted = view.deletion_vector_descriptor().map_or(0, |deleted| deleted.cardinality);
                let rows = stored.rows.saturating_sub(u64::try_from(deleted).unwrap_or_default());
                (Tally { rows, ..stored.clone() }, stored)
            } else {
                read_file(snapshot, write_schema, &view, memory).await?
            };
            Ok::<_, LoadError>((chunk, found, stored))
        });
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some((chunk, found, stored)) = reads.try_next().await? {
            all.found.entry(chunk.clone()).or_default().add(found);
            all.stored.entry(chunk).or_default().add(stored);
        }
        Ok(all)
    }
}

/// The bytes of a file that is a chunk as it was. They are those of the receipt, or their rows are not to be counted on.
async fn read_bytes(snapshot: &TableSnapshot, view: &LogicalFileView) -> Result<Tally, LoadError> {
    let mut checksum = Checksum::default();
    let read = async {
        let mut pieces = snapshot.table().object_store().get(&view.object_store_path()).await?.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            checksum.update(&piece);
        }
        Ok::<_, ObjectStoreError>(())
    };
    read.await.map_err(|error| unread(snapshot, view, &error.into()))?;
    let mut reader = ParquetObjectReader::new(snapshot.table().object_store(), view.object_store_path());
    let footer = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await;
    let footer = footer.map_err(|error| unread(snapshot, view, &error.into()))?;
    let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or_default();
    Ok(Tally { rows, row_hash: None, checksum: Some(checksum.text()) })
}

fn unread(snapshot: &TableSnapshot, view: &LogicalFileView, error: &DeltaTableError) -> LoadError {
    let source = DeltaTableError::Generic(format!("{}: {}", view.path(), shared::error_chain(error)));
    LoadError::table(snapshot.table().uri(), "read back a data file of", source)
}

/// The rows of one file that are in the table; and all of them, those that a deletion vector takes out included.
async fn read_file(
    snapshot: &TableSnapshot,
    write_schema: &WriteSchema,
    view: &LogicalFileView,
    memory: &Memory,
) -> Result<(Tally, Tally), LoadError> {
    let failed = |error: DeltaTableError| unread(snapshot, view, &error);
    let file = StoredFile::open(snapshot.table(), view.object_store_path(), memory).await.map_err(failed)?;
    let _share = file.take_memory(|_| 0).await?;
    let constants = partition_values(write_schema, view).map_err(failed)?;
    let vector = view.deletion_vector_descriptor();
    let deleted = deleted_rows(snapshot.table(), vector.as_ref()).await.map_err(failed)?;
    let (mut found, mut stored) = (Tally::default(), Tally::default());
    for group in 0..file.groups() {
        for batch in file.batches(group).await.map_err(failed)? {
            let batch = batch.map_err(failed)?;
            let tally = |rows: &RecordBatch| -> Result<Tally, ArrowError> {
                let row_hash = row_hash(rows, write_schema.partition_by())?;
                let rows = u64::try_from(rows.num_rows()).unwrap_or_default();
                Ok(Tally { rows, row_hash: Some(row_hash), checksum: None })
            };
            let tallies = as_in_table(write_schema, &constants, &batch).and_then(|rows| {
                let all = tally(&rows)?;
                let left =
                    if deleted.is_empty() { all.clone() } else { tally(&without(&rows, stored.rows, &deleted)?)? };
                Ok((left, all))
            });
            let (left, all) = tallies.map_err(|error: ArrowError| failed(error.into()))?;
            found.add(left);
            stored.add(all);
        }
    }
    Ok((found, stored))
}

/// Columns that a data file has no values of, each with its value in all rows.
fn partition_values(
    write_schema: &WriteSchema,
    view: &LogicalFileView,
) -> Result<Vec<(FieldRef, ArrayRef)>, DeltaTableError> {
    let texts = view.partition_values_map();
    let mut values = Vec::new();
    for ((field, column), of_file) in
        write_schema.fields().iter().zip(write_schema.schema().fields()).zip(write_schema.file_fields())
    {
        let (true, DataType::Primitive(data_type)) =
            (write_schema.partition_by().contains(field.name()), field.data_type())
        else {
            continue;
        };
        if let Some(text) = texts.get(of_file.name()).and_then(Option::as_ref) {
            let value = data_type.parse_scalar(text).and_then(|value| value.to_array(1));
            values.push((Arc::clone(column), value.map_err(DeltaTableError::from)?));
        }
    }
    Ok(values)
}

/// Rows of a data file in the columns and types of the table, as far as it has them.
fn as_in_table(
    write_schema: &WriteSchema,
    constants: &[(FieldRef, ArrayRef)],
    batch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let batch = &write_schema.of_file(batch)?;
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for field in write_schema.schema().fields() {
        let constant = constants.iter().find(|(constant, _)| constant.name() == field.name());
        let values = match (constant, batch.column_by_name(field.name())) {
            (Some((_, value)), _) => arrow::compute::take(value, &zeros(batch.num_rows()), None)?,
            (None, Some(values)) => Arc::clone(values),
            (None, None) => continue,
        };
        columns.push(if values.data_type() == field.data_type() {
            values
        } else {
            carry(&values, field.data_type())?.values
        });
        fields.push(field.as_ref().clone().with_nullable(true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn zeros(rows: usize) -> arrow::array::UInt64Array {
    std::iter::repeat_n(0, rows).collect()
}

fn compare(expected: &ByChunk, found: &ByChunk) -> Vec<DifferingChunk> {
    let chunks: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let tally = |of: &ByChunk, chunk: &String| of.get(chunk).cloned().unwrap_or_default();
    let pair = |chunk: &String| DifferingChunk {
        chunk: chunk.clone(),
        expected: tally(expected, chunk),
        found: tally(found, chunk),
    };
    chunks.into_iter().map(pair).filter(|pair| pair.expected != pair.found).collect()
}

/// What deletion vectors have to do with the differences; nothing where no row was deleted.
fn deleted(differing: &[DifferingChunk], stored: &ByChunk) -> Option<String> {
    let stored_of = |one: &DifferingChunk| stored.get(&one.chunk).cloned().unwrap_or_default();
    let deleted: u64 = differing.iter().map(|one| stored_of(one).rows.saturating_sub(one.found.rows)).sum();
    if deleted == 0 {
        return None;
    }
    let is_certain = |one: &DifferingChunk| one.expected.row_hash.is_some() || one.expected.checksum.is_some();
    let are_all = differing.iter().all(|one| is_certain(one) && stored_of(one) == one.expected);
    let others = if are_all {
        "with them, the files hold the very rows that were committed, so no other row is missing or changed"
    } else if differing.iter().all(is_certain) {
        "even with them, the files do not hold the rows that were committed"
    } else {
        "whether the others are those that were committed cannot be told, since the chunks are gone that they could be compared with"
    };
    Some(format!("{deleted} of its rows are deleted since, by deletion vectors; {others}"))
}

/// What the differences say, and what the log says of them.
async fn judge(
    snapshot: &TableSnapshot,
    job: &JobId,
    paths: &BTreeSet<String>,
    differing: &[DifferingChunk],
) -> Result<(Finding, Option<String>), LoadError> {
    if differing.is_empty() {
        return Ok((Finding::Equal, None));
    }
    let failed = |error| LoadError::table(snapshot.table().uri(), "read the log of", error);
    let history = History::read(&snapshot.table().log_store(), snapshot.version().unwrap_or_default(), job).await;
    let history = history.map_err(failed)?;
    let gone: Vec<&String> = history.added.keys().filter(|path| !paths.contains(*path)).collect();
    let removals: Vec<_> = gone.iter().filter_map(|path| history.removed.get(*path)).collect();
    let chunks_gone: BTreeSet<&str> =
        gone.iter().filter_map(|path| history.added.get(*path)).filter_map(chunk_of).collect();
    if let Some(last) = removals.iter().max() {
        let is_rearranged = removals.iter().all(|removal| removal.rearranged)
            && differing.iter().all(|one| one.chunk == job_app_id(job) || chunks_gone.contains(one.chunk.as_str()));
        let reason = format!(
            "version {} ({}) rewrote or removed files since, {} of the job's are gone; rows in the files that took their \
             place cannot be told apart from others any more",
            last.version,
            last.operation,
            gone.len()
        );
        return Ok((if is_rearranged { Finding::Untold } else { Finding::Differs }, Some(reason)));
    }
    let is_unhashed = |one: &DifferingChunk| one.expected.row_hash.is_none() && one.expected.checksum.is_none();
    if differing.iter().all(|one| one.expected.rows == one.found.rows && is_unhashed(one)) {
        let reason = "there are as many rows as there should be, and nothing that they could be compared with: the receipts are \
                      from before rows were hashed, or the files are no longer the chunks, and the chunks are gone";
        return Ok((Finding::Untold, Some(reason.to_owned())));
    }
    if !history.is_whole && differing.iter().all(|one| one.found.rows < one.expected.rows) {
        let reason = "files of the job are gone, and so is the part of the log that would tell why";
        return Ok((Finding::Untold, Some(reason.to_owned())));
    }
    Ok((Finding::Differs, None))
}
