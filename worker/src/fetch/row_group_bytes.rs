//! The bytes of one row group, as the decoder wants them.

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use shared::Memory;

/// Bytes of a decoded batch, as long as it has more than one row.
const MOST_BATCH_BYTES: u64 = 4 << 20;
const LEAST_BATCH_BYTES: u64 = 1 << 20;
const BATCH_PART: u64 = 16;

/// What whoever reads a file takes beside it of an account.
pub(super) type Beside = fn(&Memory) -> u64;

/// First byte of a row group, and the byte behind its last; none when they are not all before `end`.
pub(super) fn extent(group: &RowGroupMetaData, end: u64) -> Option<(u64, u64)> {
    let extents = group.columns().iter().map(|column| {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size())?;
        Some((u64::try_from(start).ok()?, u64::try_from(end).ok()?))
    });
    let whole: Vec<_> = extents.collect::<Option<_>>()?;
    if whole.iter().any(|(from, to)| from > to || *to > end) {
        return None;
    }
    let start = whole.iter().map(|(start, _)| *start).min().unwrap_or(0);
    Some((start, whole.iter().map(|(_, end)| *end).max().unwrap_or(start)))
}

/// Bytes of rows that are decoded at once.
pub(super) fn batch_bytes(memory: &Memory) -> u64 {
    memory.part(BATCH_PART, LEAST_BATCH_BYTES, MOST_BATCH_BYTES)
}

/// The bytes of one row group, addressed as in the whole file.
#[derive(Clone)]
pub(super) struct RowGroupBytes {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
    pub(super) length: u64,
}

impl RowGroupBytes {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let outside = || ParquetError::EOF(format!("byte {start} is outside of its row group"));
        let skip = start.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok()).ok_or_else(outside)?;
        if skip > self.bytes.len() {
            return Err(outside());
        }
        Ok(self.bytes.slice(skip..))
    }
}

impl Length for RowGroupBytes {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for RowGroupBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} reach beyond the row group")));
        }
        Ok(bytes.slice(..length))
    }
}
