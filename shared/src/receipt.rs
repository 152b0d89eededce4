//! Proof that every record of a source is accounted for.

use serde::{Deserialize, Serialize};

use crate::job::{Job, JobId};
use crate::manifest::Manifest;
use crate::row_hash::RowHash;
use crate::storage::{Location, PutMode, Storage, StorageError, get_json, put_json, try_get_json};
use crate::work_area::WorkArea;

/// What became of one chunk; written after its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkReceipt {
    /// Position among the chunks of the job.
    pub index: u32,
    /// What became of its rows.
    pub rows: Rows,
    /// Hash of the rows that are in the table, in the table's types; none in receipts from before there was one.
    #[serde(default)]
    pub row_hash: Option<RowHash>,
    /// Version of the table that holds the chunk, where it is known.
    pub table_version: Option<u64>,
}

/// What became of rows: `read + added = committed + filtered + quarantined`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows, or records, that came in.
    pub read: u64,
    /// Rows that are in the table.
    pub committed: u64,
    /// Rows that SQL left out.
    pub filtered: u64,
    /// Rows, or records, that were rejected and kept.
    pub quarantined: u64,
    /// Rows that SQL made beyond those that came in.
    #[serde(default)]
    pub added: u64,
}

impl Rows {
    /// Whether every row is accounted for.
    pub fn balance(&self) -> bool {
        self.read + self.added == self.committed + self.filtered + self.quarantined
    }
}

impl std::ops::AddAssign for Rows {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.committed += other.committed;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
        self.added += other.added;
    }
}

/// Proof that a whole job is in its table; written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this document, 1.
    pub version: u32,
    /// The job.
    pub job_id: JobId,
    /// The dropped file.
    pub source: Location,
    /// The table.
    pub table: Option<Location>,
    /// What became of all records of the source.
    pub rows: Rows,
    /// Hash of the rows that are in the table: the sum of those of the chunks. None when one of them has none.
    #[serde(default)]
    pub row_hash: Option<RowHash>,
    /// Number of chunks.
    pub chunks: u32,
    /// Highest version of the table that a chunk of the job was committed with; none for a job without chunks.
    pub table_version: Option<u64>,
}

/// Writes the receipt when the job is split and every chunk has its own; `None` while something is outstanding.
///
/// The splitter calls this after the manifest, a worker after each chunk receipt. Whichever of the last two documents
/// comes later, its writer sees the other one, so no race leaves a finished job without a receipt; put-if-absent makes
/// it one.
pub async fn complete(storage: &dyn Storage, area: &WorkArea) -> Result<Option<Receipt>, StorageError> {
    if let Some(receipt) = try_get_json(storage, &area.receipt(), "receipt").await? {
        return Ok(Some(receipt));
    }
    let Some(manifest) = try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? else {
        return Ok(None);
    };
    let loaded = storage.list(&area.loaded()).await?;
    if loaded.len() < manifest.chunks.len() {
        return Ok(None);
    }
    let job: Job = get_json(storage, &area.job(), "job").await?;
    let mut rows = Rows { read: manifest.quarantined, quarantined: manifest.quarantined, ..Rows::default() };
    let (mut row_hash, mut table_version) = (Some(RowHash::default()), None);
    for chunk in &manifest.chunks {
        let at = area.chunk_receipt(chunk.index);
        let Some(receipt) = try_get_json::<ChunkReceipt>(storage, &at, "chunk receipt").await? else {
            return Ok(None);
        };
        rows += receipt.rows;
        row_hash = RowHash::sum(row_hash, receipt.row_hash);
        table_version = table_version.max(receipt.table_version);
    }
    if rows.read != manifest.records || !rows.balance() {
        let text = format!("{} records were read and {rows:?} are accounted for", manifest.records);
        return Err(StorageError::Malformed { at: area.loaded(), what: "set of chunk receipts", source: text.into() });
    }
    let receipt = Receipt {
        version: 1,
        job_id: manifest.job_id,
        source: job.source.uri,
        table: job.table,
        rows,
        row_hash,
        chunks: u32::try_from(manifest.chunks.len()).unwrap_or(u32::MAX),
        table_version,
    };
    match put_json(storage, &area.receipt(), &receipt, PutMode::IfAbsent).await {
        Ok(()) => Ok(Some(receipt)),
        Err(StorageError::AlreadyExists { .. }) => get_json(storage, &area.receipt(), "receipt").await.map(Some),
        Err(error) => Err(error),
    }
}
