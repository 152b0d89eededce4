//! Row groups that are larger than a chunk are decoded, and encoded again as smaller ones.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::record_batch::RecordBatchReader;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use shared::{Policy, page_sizes};

use crate::chunk::encode::{EncodeError, encode, properties};
use crate::chunk::row_group::Encoded;
use crate::error::{BadInput, SplitError};
use crate::parquet_source::columns::renamed_arrow;
use crate::source::ranged_file::{HINT, RangedFile};

/// Text bytes of a row group's worth of rows, when a source's row group is cut into smaller ones.
const PIECE_BYTES: i64 = 16 << 20;

/// Most rows of such a piece: the footer does not say how large rows are once decoded.
const MOST_ROWS: usize = 64 << 10;

/// Most bytes that they may take once decoded, as far as dictionaries show. It decides the bytes of chunks, so it is not a part of the memory.
const MOST_DECODED: u64 = 192 << 20;

/// Cuts row groups of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cutter<'a> {
    pub(super) file: &'a RangedFile,
    pub(super) metadata: &'a ArrowReaderMetadata,
    pub(super) policy: &'a Policy,
    /// Names of the columns in the chunks.
    pub(super) column_names: &'a [String],
}

impl Cutter<'_> {
    /// As many rows of a row group as were to be decoded at once, or fewer if a few bytes stand for much.
    fn rows_within(&self, group: &RowGroupMetaData, rows: usize) -> usize {
        let wanted = u64::try_from(rows).unwrap_or(u64::MAX);
        let row = page_sizes::row_bytes_by_words(self.file, group, wanted, MOST_DECODED);
        usize::try_from(MOST_DECODED / row.max(1)).unwrap_or(usize::MAX).clamp(1, rows)
    }

    /// Decodes a row group, and hands it over encoded again as several. The error is `None` where `send` refuses one.
    pub(super) fn cut(&self, number: u64, send: impl Fn(Encoded) -> Option<()>) -> Result<(), Option<SplitError>> {
        let policy = self.policy;
        let blame = |error: ParquetError| Some(self.file.blame(&error));
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let group = self.metadata.metadata().row_group(place);
        let pieces = (group.total_byte_size() / PIECE_BYTES.min(signed(policy.block_bytes)) + 1).max(1);
        let rows_at_once = usize::try_from(group.num_rows() / pieces).unwrap_or(usize::MAX).clamp(1, MOST_ROWS);
        let rows_at_once = self.rows_within(group, rows_at_once);
        let bad_pages = |error: ParquetError| Some(self.bad_pages(place, &error));
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
            .with_row_groups(vec![place])
            .with_batch_size(rows_at_once)
            .build()
            .map_err(bad_pages)?;
        let schema = renamed_arrow(&reader.schema(), self.column_names);
        let properties = properties(&policy.codec);
        let mut next = || shared::guarded(|| reader.next().transpose().map_err(ParquetError::from));
        while let Some(rows) = next().map_err(bad_pages)? {
            let rows = RecordBatch::try_new(Arc::clone(&schema), rows.columns().to_vec());
            let rows = rows.map_err(|error| blame(error.into()))?;
            let count = i64::try_from(rows.num_rows()).unwrap_or(i64::MAX);
            let row_groups = encode(&rows, &properties, policy.chunk_bytes).map_err(|error| match error {
                EncodeError::Parquet(error) => blame(error),
                EncodeError::RowTooLarge => {
                    let reason = format!("a row of row group {number} is larger than a chunk");
                    Some(
                        BadInput::whole(&self.file.source.uri, reason, "run with a higher CHUNK_SIZE_MB and --again")
                            .into(),
                    )
                }
            })?;
            send(Encoded::of_parquet(number, count, row_groups)).ok_or(None)?;
        }
        Ok(())
    }

    /// The error of a row group that cannot be decoded, by the column that is to blame.
    fn bad_pages(&self, group: usize, error: &ParquetError) -> SplitError {
        if let Some(failure) = self.file.store_failure() {
            return SplitError::Source(failure);
        }
        let (column, message) = shared::undecodable(self.file, self.metadata, group, error);
        if let Some(failure) = self.file.store_failure() {
            return SplitError::Source(failure);
        }
        let reason = format!("the values of row group {group} cannot be decoded: {message}");
        BadInput { column, ..BadInput::whole(&self.file.source.uri, reason, HINT) }.into()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
