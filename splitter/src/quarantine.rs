//! Rejected records, kept as Parquet beside the job.

use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use shared::{PutMode, QuarantineEntry, Storage, StorageError, WorkArea};

use crate::rejects::Reject;

/// Rejected records that are stored together, so many bytes at a time.
const PART_BYTES: usize = 8 << 20;

/// Rejects of the chunk that is being made.
///
/// Objects are named by chunk and part, and where a part ends depends on the rejects alone, so an attempt that is
/// repeated writes the same objects again.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    pending: Pending,
    pending_bytes: usize,
    part: u32,
}

/// Rejects that wait to be stored, column by column: as vectors of their own each would take several times the bytes of a short record.
#[derive(Debug, Default)]
struct Pending {
    numbers: Int64Builder,
    offsets: Int64Builder,
    columns: StringBuilder,
    reasons: StringBuilder,
    raws: BinaryBuilder,
}

impl Quarantine {
    /// Takes a reject; returns what had to be stored to keep memory bounded.
    pub(crate) async fn add(
        &mut self,
        reject: &Reject,
        storage: &dyn Storage,
        area: &WorkArea,
        chunk: u32,
    ) -> Result<Option<QuarantineEntry>, StorageError> {
        self.pending_bytes += reject.raw.len() + reject.reason.len() + 32;
        self.pending.add(reject);
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
        let records = u64::try_from(self.pending.numbers.len()).unwrap_or_default();
        if records == 0 {
            return Ok(None);
        }
        let at = area.split_quarantine(chunk, self.part);
        let encoded = self.pending.encode().map_err(|source| StorageError::Unavailable {
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

impl Pending {
    fn add(&mut self, reject: &Reject) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.numbers.append_value(number(reject.record));
        self.offsets.append_value(number(reject.byte_offset));
        self.columns.append_option(reject.column.as_deref());
        self.reasons.append_value(&reject.reason);
        self.raws.append_value(&reject.raw);
    }

    /// All of them as a file, after which there are none.
    fn encode(&mut self) -> Result<Vec<u8>, ParquetError> {
        let columns: [(&str, ArrayRef, bool); 5] = [
            ("record_number", Arc::new(self.numbers.finish()), false),
            ("byte_offset", Arc::new(self.offsets.finish()), true),
            ("column", Arc::new(self.columns.finish()), true),
            ("reason", Arc::new(self.reasons.finish()), false),
            ("raw", Arc::new(self.raws.finish()), false),
        ];
        let batch: Result<RecordBatch, ArrowError> = RecordBatch::try_from_iter_with_nullable(columns);
        let batch = batch?;
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}
