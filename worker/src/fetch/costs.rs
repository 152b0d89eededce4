//! What reading a chunk takes of an account.

use std::sync::OnceLock;

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use shared::page_sizes as size;
use shared::{Memory, MemoryTooSmall};

use crate::fetch::keyed_pages;
use crate::fetch::row_group_bytes::{Beside, RowGroupBytes, batch_bytes};

/// Most bytes of a row group that is read while the one before it is decoded.
const MOST_AHEAD: u64 = 32 << 20;

/// Batches, and the part of the memory, whose room a row group that is decoded with its keys takes at most.
const KEYED_BATCHES: u64 = 2;
const KEYED_PART: u64 = 12;

/// What reading a chunk takes of an account, by its footer.
pub(super) struct Costs<'a> {
    pub(super) footer: &'a ParquetMetaData,
    /// Whether the splitter encoded its rows.
    pub(super) is_own: bool,
    /// What is taken beside.
    pub(super) beside: Beside,
}

impl Costs<'_> {
    /// What decoding any of its row groups takes, reading the next meanwhile, and what is taken beside.
    pub(super) fn whole(&self, memory: &Memory) -> u64 {
        let cost = self.largest(memory);
        if self.has_room(memory, cost) { cost.saturating_add(self.largest_group()) } else { cost }
    }

    /// Whether there is room for the next row group beside the one that is decoded.
    pub(super) fn reads_ahead(&self, memory: &Memory) -> bool {
        self.has_room(memory, self.largest(memory))
    }

    /// The row group that takes the most.
    pub(super) fn dearest(&self, memory: &Memory) -> usize {
        let groups = self.footer.row_groups().iter().enumerate();
        let costs = groups.map(|(group, metadata)| (self.of_group(memory, metadata), group));
        costs.max().map_or(0, |(_, group)| group)
    }

    /// Rows of a row group that are decoded at once. What others encoded is looked at first. `whole` keeps [`Self::whole`].
    pub(super) fn rows_at_once(
        &self,
        memory: &Memory,
        whole: &OnceLock<u64>,
        group: usize,
        bytes: &RowGroupBytes,
    ) -> Result<usize, MemoryTooSmall> {
        let metadata = self.footer.row_group(group);
        let rows = size::unsigned(metadata.num_rows());
        let batch = batch_bytes(memory);
        if self.is_own {
            return Ok(size::rows_within(batch, size::fixed_row_bytes(metadata.columns(), rows)));
        }
        let survey = size::survey(bytes, metadata.columns(), rows);
        let beyond = survey.beyond(metadata);
        let whole = *whole.get_or_init(|| self.whole(memory));
        if whole.saturating_add(beyond) > memory.bytes() {
            memory.check(|memory| self.whole(memory).saturating_add(beyond))?;
        }
        Ok(size::rows_within(batch, survey.row_bytes))
    }

    /// Whether a row group of the splitter's is decoded at once, with its keys: it takes not much more than a batch.
    pub(super) fn is_kept_keyed(&self, memory: &Memory, group: &RowGroupMetaData) -> bool {
        let most = (KEYED_BATCHES * batch_bytes(memory)).min(memory.bytes() / KEYED_PART);
        self.is_own && keyed_pages::bytes(group) <= most
    }

    fn largest(&self, memory: &Memory) -> u64 {
        let costs = self.footer.row_groups().iter().map(|group| self.of_group(memory, group));
        costs.max().unwrap_or_else(|| (self.beside)(memory))
    }

    /// What decoding a row group takes, and what is taken beside.
    fn of_group(&self, memory: &Memory, group: &RowGroupMetaData) -> u64 {
        let most = batch_bytes(memory);
        let batch = match self.is_own {
            // Fewer of these are there at once: what becomes of one has the same values.
            true if self.is_kept_keyed(memory, group) => keyed_pages::bytes(group) / 3 * 2,
            true => size::likely_batch(group).min(most),
            false => most,
        };
        size::cost(group, batch).saturating_add((self.beside)(memory))
    }

    /// Whether there is room for the next row group beside one that costs so much.
    fn has_room(&self, memory: &Memory, cost: u64) -> bool {
        let next = self.largest_group();
        next <= MOST_AHEAD.min(memory.bytes() / 8) && cost.saturating_add(next) <= memory.bytes()
    }

    /// Bytes of the largest row group as stored.
    fn largest_group(&self) -> u64 {
        let stored = self.footer.row_groups().iter().map(|group| size::unsigned(group.compressed_size()));
        stored.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData};

    use super::*;

    /// The footer of a file with row groups of so many bytes.
    fn footer(row_groups: &[i64]) -> ParquetMetaData {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let schema = Arc::new(ArrowSchemaConverter::new().convert(&schema).unwrap());
        let group = |bytes: &i64| {
            let column = ColumnChunkMetaData::builder(schema.column(0))
                .set_total_compressed_size(*bytes)
                .set_total_uncompressed_size(*bytes)
                .set_num_values(1000);
            let group = RowGroupMetaData::builder(Arc::clone(&schema)).set_num_rows(1000);
            group.set_column_metadata(vec![column.build().unwrap()]).build().unwrap()
        };
        let groups: Vec<_> = row_groups.iter().map(group).collect();
        let file = FileMetaData::new(2, 1000, None, None, Arc::clone(&schema), None);
        ParquetMetaData::new(file, groups)
    }

    #[test]
    fn a_row_group_is_read_ahead_up_to_32_mib_or_an_eighth_of_the_memory() {
        const MIB: i64 = 1 << 20;
        for (memory_mb, most) in [(1769, 32 * MIB), (512, 32 * MIB), (192, 16 * MIB), (128, 8 * MIB)] {
            let memory = Memory::of_mb(memory_mb);
            for (largest, reads_ahead) in [(most, true), (most + 1, false)] {
                let footer = footer(&[1, largest, 2]);
                let costs = Costs { footer: &footer, is_own: true, beside: |_| 0 };
                assert_eq!(costs.reads_ahead(&memory), reads_ahead, "{largest} bytes, {memory_mb} MB");
                // What is read ahead is taken of the account, too.
                let ahead = if reads_ahead { size::unsigned(largest) } else { 0 };
                assert_eq!(costs.whole(&memory), costs.largest(&memory) + ahead);
            }
        }
        // Nor where there is no room for both.
        let (footer, memory) = (footer(&[MIB]), Memory::of_mb(128));
        let costs = Costs { footer: &footer, is_own: true, beside: |memory| memory.bytes() - 1024 };
        assert!(!costs.reads_ahead(&memory));
    }
}
