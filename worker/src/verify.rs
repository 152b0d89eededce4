//! Proof from the table itself: the rows of a job, read back from its data files and compared with its receipts.

mod judge;
mod read_back;
mod tally;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use shared::{ChunkReceipt, JobId, Location, RowHash, Seal, Undone, WorkArea, get_json, try_get_json};

use crate::context::LoadContext;
use crate::delta::app_ids::job_app_id;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::is_merged;
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::rows::of_table::as_in_table;
use crate::rows::row_hash::row_hash;
use crate::schema::write_schema::WriteSchema;
pub use judge::Finding;
use judge::{deleted, judge};
use read_back::ReadBack;
use tally::{ByChunk, as_one, compare};
pub use tally::{DifferingChunk, Tally};

/// Receipts that are read at once.
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
