//! Rejected records, kept as Parquet beside the job.

use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use shared::{PutMode, QuarantineEntry, RejectedRecords, Storage, StorageError, WorkArea};

use crate::records::rejects::Reject;

/// Rejected records that are stored together, so many bytes at a time.
const PART_BYTES: usize = 8 << 20;

/// Rejects of the chunk that is being made.
///
/// Objects are named by chunk and part, and where a part ends depends on the rejects alone, so an attempt that is
/// repeated writes the same objects again.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    pending: RejectedRecords,
    pending_bytes: usize,
    part: u32,
}

impl Quarantine {
    /// Takes a reject; returns what had to be stored to keep memory bounded.
    pub(crate) async fn add(
        &mut self,
        reject: Reject<'_>,
        storage: &dyn Storage,
        area: &WorkArea,
        chunk: u32,
    ) -> Result<Option<QuarantineEntry>, StorageError> {
        self.pending_bytes += reject.raw.len() + reject.reason.len() + 32;
        self.pending.add(reject.record, Some(reject.byte_offset), reject.column, reject.reason, reject.raw);
        if self.pending_bytes < PART_BYTES {
            return Ok(None);
        }
        self.store(storage, area, chunk).await
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
        let records = u64::try_from(self.pending.count()).unwrap_or_default();
        if records == 0 {
            return Ok(None);
        }
        let at = area.split_quarantine(chunk, self.part);
        let encoded = encode(&mut self.pending).map_err(|source| StorageError::Unavailable {
            at: at.clone(),
            action: "encode",
            source: source.into(),
        })?;
        storage.put(&at, encoded.into(), PutMode::Overwrite).await?;
        self.pending_bytes = 0;
        self.part += 1;
        Ok(Some(QuarantineEntry { key: format!("quarantine/{}", at.name()), records }))
    }
}

/// The records as a file, after which there are none.
fn encode(records: &mut RejectedRecords) -> Result<Vec<u8>, ParquetError> {
    let batch = records.finish()?;
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(&batch)?;
    writer.into_inner()
}
