//! Files that go into one commit (`COMMIT_MODE=file`): each chunk waits, its data files written, until all of its job do.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{Manifest, PutMode, Storage, StorageError, WorkArea, get_json, put_json, try_get_json};

use crate::chunk::{AssignedChunk, Origin};
use crate::commit::prepared::Prepared;
use crate::context::LoadContext;
use crate::delta::data_file::{DataFile, DataFileV1};
use crate::delta::presence::missing;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::rows::row_counts::RowCounts;
use crate::schema::constraints::Constraint;
use crate::schema::write_schema::{Comparison, NotedSchema};

/// What a note is called.
const WHAT: &str = "prepared chunk";

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// A chunk whose data files are written and in no version of the table yet.
#[derive(Debug, Serialize, Deserialize)]
struct PreparedChunk {
    /// Version of this document, 2.
    version: u32,
    schema: NotedSchema,
    files: Vec<DataFile>,
    /// Id of the table that the files were written for; none when there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table_id: Option<String>,
    #[serde(flatten)]
    counts: RowCounts,
}

/// Version 1 of it, which is read for one release.
#[derive(Debug, Deserialize)]
struct PreparedChunkV1 {
    fields: Vec<Value>,
    partition_by: Vec<String>,
    #[serde(default)]
    constraints: Vec<Constraint>,
    #[serde(default)]
    is_mapped: bool,
    files: Vec<DataFileV1>,
    #[serde(default)]
    table_id: Option<String>,
    #[serde(flatten)]
    counts: RowCounts,
}

impl PreparedChunk {
    fn parse(document: Value) -> Result<Self, serde_json::Error> {
        if document["version"] != 1 {
            return serde_json::from_value(document);
        }
        let PreparedChunkV1 { fields, partition_by, constraints, is_mapped, files, table_id, counts } =
            serde_json::from_value(document)?;
        let schema = NotedSchema::of_v1(fields, partition_by, constraints, is_mapped);
        Ok(Self { version: 2, schema, files: files.into_iter().map(DataFile::from).collect(), table_id, counts })
    }
}

/// Lets a chunk wait. From now on it is durable; its data files are deleted by nobody but housekeeping, since whoever sees
/// the last chunk commits all of them.
pub(crate) async fn keep(storage: &dyn Storage, prepared: &Prepared) -> Result<(), LoadError> {
    let Some(Origin { identity, area, .. }) = &prepared.chunk.origin else { return Ok(()) };
    let schema = prepared.write_schema.noted();
    let document = PreparedChunk {
        version: 2,
        schema: schema.map_err(|error| LoadError::table(&prepared.chunk.table, "note the columns of", error))?,
        files: prepared.files.clone(),
        table_id: prepared.table_id.clone(),
        counts: prepared.counts.clone(),
    };
    Ok(put_json(storage, &area.prepared(identity.index), &document, PutMode::Overwrite).await?)
}

const UNJUDGED: &str = "a worker of an earlier version prepared it, which judges no rows; stop such workers, and send the chunk's task again";

/// Whether a chunk waits already, with data files that are there and fit the table.
pub(crate) async fn is_kept(storage: &dyn Storage, table: &Table, chunk: &AssignedChunk) -> Result<bool, LoadError> {
    let Some(prepared) = kept(storage, chunk).await? else { return Ok(false) };
    if chunk.expectations.is_some() && prepared.counts.expectations.is_none() {
        // A worker from before there were expectations wrote it.
        return Ok(false);
    }
    if missing(table, &prepared.files, prepared.table_id.as_deref()).await?.is_some() {
        return Ok(false);
    }
    let Some(state) = table.state() else { return Ok(true) };
    let compared = prepared.write_schema.compare(state);
    let compared = compared.map_err(|error| LoadError::table(table.uri(), "read the schema of", error))?;
    Ok(!matches!(compared, Comparison::Outdated))
}

async fn kept(storage: &dyn Storage, chunk: &AssignedChunk) -> Result<Option<Prepared>, LoadError> {
    let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(None) };
    let at = area.prepared(identity.index);
    let Some(document) = try_get_json::<Value>(storage, &at, WHAT).await? else { return Ok(None) };
    let malformed = |source: serde_json::Error| StorageError::Malformed { at, what: WHAT, source: source.into() };
    let PreparedChunk { schema, files, counts, table_id, .. } = PreparedChunk::parse(document).map_err(malformed)?;
    let write_schema = schema.read();
    let write_schema =
        write_schema.map_err(|error| LoadError::table(&chunk.table, "read the columns of data files of", error))?;
    Ok(Some(Prepared { chunk: chunk.clone(), write_schema, files, counts, table_id, note: None }))
}

/// All chunks of the job that a chunk belongs to; none while the job is being split, or one of them does not wait yet.
pub(crate) async fn all_kept(storage: &dyn Storage, chunk: &AssignedChunk) -> Result<Option<Vec<Prepared>>, LoadError> {
    let Some(Origin { area, .. }) = &chunk.origin else { return Ok(None) };
    let Some(manifest) = try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? else {
        return Ok(None);
    };
    let prepared = storage.list(&area.all_prepared()).await?;
    if prepared.iter().filter(|at| WorkArea::index_of(&at.location).is_some()).count() < manifest.chunks.len() {
        return Ok(None);
    }
    let reads = siblings(chunk, &manifest).into_iter().map(|chunk| async move { kept(storage, &chunk).await });
    let all: Vec<Option<Prepared>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(all.into_iter().collect())
}

/// Why nothing of a file may be loaded: what its rows are against, by the sums of all chunks. None if it may. A chunk that a worker of an
/// earlier version prepared was not judged, so nothing can be said of the file.
pub(crate) fn unexpected(all: &[Prepared]) -> Option<LoadError> {
    let first = &all.first()?.chunk;
    let (expectations, origin) = (first.expectations.as_ref()?, first.origin.as_ref()?);
    let mut results = expectations.no_results();
    for prepared in all {
        let Some(of_chunk) = prepared.counts.expectations.as_ref() else {
            return Some(LoadError::Expectations { chunk: prepared.chunk.at.clone(), reason: UNJUDGED.to_owned() });
        };
        results += of_chunk;
    }
    let exceeded: Vec<String> = expectations.exceeded(&results).iter().map(ToString::to_string).collect();
    (!exceeded.is_empty()).then(|| LoadError::Unexpected {
        job: origin.identity.job_id.clone(),
        contract: expectations.contract.clone(),
        exceeded: exceeded.join("; "),
    })
}

/// The chunks of a job, made after one of them. Only that one has messages to be answered.
fn siblings(chunk: &AssignedChunk, manifest: &Manifest) -> Vec<AssignedChunk> {
    let Some(origin) = &chunk.origin else { return vec![chunk.clone()] };
    let sibling = |entry: &shared::ChunkEntry| {
        if entry.index == origin.identity.index {
            return Some(chunk.clone());
        }
        let identity = entry.task(&origin.area, &origin.identity.job_id).chunk?;
        Some(AssignedChunk {
            at: origin.area.chunk(entry.index),
            app_id: crate::delta::app_ids::chunk_app_id(&identity),
            quarantine: Some(origin.area.load_quarantine(entry.index)),
            messages: Vec::new(),
            receives: None,
            shaping: chunk.shaping.of_chunk(entry.index),
            origin: Some(Origin { identity, ..origin.clone() }),
            ..chunk.clone()
        })
    };
    manifest.chunks.iter().filter_map(sibling).collect()
}

/// The chunks of the file that a chunk belongs to.
pub(crate) async fn of_file(storage: &dyn Storage, chunk: &AssignedChunk) -> Result<Vec<AssignedChunk>, LoadError> {
    let Some(Origin { area, .. }) = &chunk.origin else { return Ok(vec![chunk.clone()]) };
    Ok(siblings(chunk, &get_json(storage, &area.manifest(), "manifest").await?))
}

/// Makes sure of the receipts of a job whose commit was found in the table: who made it may have died after it.
pub(crate) async fn found(context: &LoadContext, chunk: &AssignedChunk) -> Result<(), LoadError> {
    let storage = context.storage.as_ref();
    for sibling in of_file(storage, chunk).await? {
        crate::receipts::note_found(storage, &sibling).await?;
    }
    crate::receipts::ensure_complete(context, chunk).await
}
