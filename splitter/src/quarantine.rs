//! Rejected records, kept as Parquet beside the job.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use shared::{PutMode, QuarantineEntry, Storage, StorageError, WorkArea};

/// A record that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// Record number from 1, without the header.
    pub(crate) record: u64,
    /// Byte offset of its first byte in the text of the source.
    pub(crate) byte_offset: u64,
    /// Name of the column whose value does not fit, where it is one.
    pub(crate) column: Option<String>,
    /// Why.
    pub(crate) reason: String,
    /// The record as it stands in the text, without its line end; bytes that cannot be decoded as they stand in the source.
    pub(crate) raw: Vec<u8>,
}

impl Reject {
    /// Where it stands and what is wrong with it; `records_before` is added to its number.
    pub(crate) fn told(&self, records_before: u64) -> String {
        let (record, byte) = (records_before + self.record, self.byte_offset);
        let column = self.column.as_ref().map_or_else(String::new, |column| format!(", column '{column}'"));
        format!("record {record}, byte {byte}{column}: {}", self.reason)
    }
}

/// Rejected records that are stored together, so many bytes at a time.
const PART_BYTES: usize = 8 << 20;

/// Rejects of the chunk that is being made.
///
/// Objects are named by chunk and part, and where a part ends depends on the rejects alone, so an attempt that is
/// repeated writes the same objects again.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    pending: Vec<Reject>,
    pending_bytes: usize,
    part: u32,
}

impl Quarantine {
    /// Takes rejects; returns what had to be stored to keep memory bounded.
    pub(crate) async fn add(
        &mut self,
        rejects: Vec<Reject>,
        storage: &dyn Storage,
        area: &WorkArea,
        chunk: u32,
    ) -> Result<Vec<QuarantineEntry>, StorageError> {
        let mut stored = Vec::new();
        for reject in rejects {
            self.pending_bytes += reject.raw.len() + reject.reason.len() + 32;
            self.pending.push(reject);
            if self.pending_bytes >= PART_BYTES {
                stored.extend(self.store(storage, area, chunk).await?);
            }
        }
        Ok(stored)
    }

    /// Stores what is left for the chunk, and begins with the next one.
    pub(crate) async fn end_chunk(
        &mut self,
        storage: &dyn Storage,
        area: &WorkArea,
        chunk: u32,
    ) -> Result<Option<QuarantineEntry>, StorageError> {
        let stored = self.store(storage, area, chunk).await;
        self.part = 0;
        stored
    }

    async fn store(
        &mut self,
        storage: &dyn Storage,
        area: &WorkArea,
        chunk: u32,
    ) -> Result<Option<QuarantineEntry>, StorageError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let at = area.split_quarantine(chunk, self.part);
        let encoded = encode(&self.pending).map_err(|source| StorageError::Unavailable {
            at: at.clone(),
            action: "encode",
            source: source.into(),
        })?;
        storage.put(&at, encoded.into(), PutMode::Overwrite).await?;
        let records = u64::try_from(self.pending.len()).unwrap_or_default();
        self.pending.clear();
        self.pending_bytes = 0;
        self.part += 1;
        Ok(Some(QuarantineEntry { key: format!("quarantine/{}", at.name()), records }))
    }
}

fn encode(rejects: &[Reject]) -> Result<Vec<u8>, ParquetError> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("record_number", Arc::new(rejects.iter().map(|r| Some(number(r.record))).collect::<Int64Array>()), false),
        ("byte_offset", Arc::new(rejects.iter().map(|r| Some(number(r.byte_offset))).collect::<Int64Array>()), true),
        ("column", Arc::new(rejects.iter().map(|r| r.column.as_deref()).collect::<StringArray>()), true),
        ("reason", Arc::new(rejects.iter().map(|r| Some(r.reason.as_str())).collect::<StringArray>()), false),
        ("raw", Arc::new(rejects.iter().map(|r| Some(r.raw.as_slice())).collect::<BinaryArray>()), false),
    ];
    let batch: Result<RecordBatch, ArrowError> = RecordBatch::try_from_iter_with_nullable(columns);
    let batch = batch?;
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(&batch)?;
    writer.into_inner()
}
