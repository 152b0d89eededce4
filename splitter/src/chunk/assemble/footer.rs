//! The end of a file, written row group by row group.

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData};
use shared::compact::{Compact, append_varint};

use crate::chunk::row_group::{ChunkSchema, MAGIC};

/// What stands between the head of a footer and the first of its row groups, if there is none: that there are 0 rows, and a list of 0
/// structs.
const NO_ROW_GROUPS: [u8; 4] = [0x16, 0, 0x19, 0x0c];

/// Bytes of a file after the metadata: their length and four letters.
const TAIL_BYTES: usize = 8;

/// The end of a file of these row groups.
pub(crate) fn footer(schema: &ChunkSchema, row_groups: Vec<RowGroupMetaData>) -> Result<Bytes, ParquetError> {
    let rows = row_groups.iter().map(RowGroupMetaData::num_rows).sum();
    let described = FileMetaData::new(
        2,
        rows,
        Some("sluice".to_owned()),
        schema.key_values.clone(),
        Arc::clone(&schema.columns),
        None,
    );
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &ParquetMetaData::new(described, row_groups)).finish()?;
    Ok(footer.into())
}

/// The footer of a file that grows by row groups. The same bytes as [`footer`] makes of all of them, but each is serialised once, and
/// takes no more memory than that.
#[derive(Debug)]
pub(super) struct GrowingFooter {
    /// What comes before the number of rows: version and schema.
    head: Bytes,
    /// What comes after the row groups, the length of it all aside.
    rest: Bytes,
    row_groups: Vec<u8>,
    count: usize,
    rows: i64,
}

/// A row group, as it stands in a footer.
#[derive(Debug)]
pub(crate) struct Entry {
    bytes: Bytes,
    rows: i64,
}

impl GrowingFooter {
    /// Without row groups yet.
    pub(super) fn new(schema: &ChunkSchema) -> Result<Self, ParquetError> {
        let empty = footer(schema, Vec::new())?;
        let metadata = empty.slice(..empty.len().saturating_sub(TAIL_BYTES));
        let mut fields = Compact(&metadata);
        // Version and schema.
        let behind =
            fields.skip_field(0).and_then(|last| fields.skip_field(last)).map(|_| metadata.len() - fields.0.len());
        let is_there = |behind: &usize| metadata.get(*behind..).is_some_and(|rest| rest.starts_with(&NO_ROW_GROUPS));
        let behind = behind.filter(is_there).ok_or_else(unexpected)?;
        let rest = metadata.slice(behind + NO_ROW_GROUPS.len()..);
        Ok(Self { head: metadata.slice(..behind), rest, row_groups: Vec::new(), count: 0, rows: 0 })
    }

    /// A row group, placed in the file, as it would stand here.
    pub(super) fn entry(&self, schema: &ChunkSchema, placed: RowGroupMetaData) -> Result<Entry, ParquetError> {
        let rows = placed.num_rows();
        let alone = footer(schema, vec![placed])?;
        let before = self.head.len() + counts(rows, 1).len();
        let behind = alone.len().saturating_sub(self.rest.len() + TAIL_BYTES);
        let is_there = alone.get(self.head.len()..before) == Some(&*counts(rows, 1)) && before <= behind;
        if !is_there
            || !alone.starts_with(&self.head)
            || alone.get(behind..behind + self.rest.len()) != Some(&*self.rest)
        {
            return Err(unexpected());
        }
        Ok(Entry { bytes: alone.slice(before..behind), rows })
    }

    /// Bytes of the footer with another row group as its last.
    pub(super) fn bytes_with(&self, entry: &Entry) -> usize {
        let counts = counts(self.rows + entry.rows, self.count + 1).len();
        self.head.len() + counts + self.row_groups.len() + entry.bytes.len() + self.rest.len() + TAIL_BYTES
    }

    /// Adds a row group.
    pub(super) fn push(&mut self, entry: &Entry) {
        self.row_groups.extend_from_slice(&entry.bytes);
        self.count += 1;
        self.rows += entry.rows;
    }

    /// How many there are.
    pub(super) fn row_groups(&self) -> usize {
        self.count
    }

    /// Rows of all of them.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// All of it, in pieces.
    pub(super) fn finish(self) -> Result<[Bytes; 3], ParquetError> {
        let counts = counts(self.rows, self.count);
        let length = self.head.len() + counts.len() + self.row_groups.len() + self.rest.len();
        let tail = [&*self.rest, &u32::try_from(length)?.to_le_bytes(), MAGIC].concat();
        Ok([[&*self.head, &counts].concat().into(), self.row_groups.into(), tail.into()])
    }
}

/// What a footer says before its row groups: how many rows there are, and how many of these.
fn counts(rows: i64, row_groups: usize) -> Vec<u8> {
    let mut bytes = vec![NO_ROW_GROUPS[0]];
    // No count is negative, so that its sign is a zero as the lowest bit.
    append_varint(u64::try_from(rows).unwrap_or_default() << 1, &mut bytes);
    bytes.push(NO_ROW_GROUPS[2]);
    if let Ok(few @ 0..15) = u8::try_from(row_groups) {
        bytes.push(few << 4 | NO_ROW_GROUPS[3]);
    } else {
        bytes.push(0xf0 | NO_ROW_GROUPS[3]);
        append_varint(u64::try_from(row_groups).unwrap_or(u64::MAX), &mut bytes);
    }
    bytes
}

fn unexpected() -> ParquetError {
    ParquetError::General("a footer was written in another way than Sluice expects".to_owned())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::statistics::Statistics;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_footer_that_grows_is_the_same_as_one_of_all_row_groups(
            names in proptest::collection::vec("[a-z]{1,200}", 1..20),
            rows in proptest::collection::vec(prop_oneof![0_i64..3, 1_i64..1 << 40, Just(64)], 0..40),
        ) {
            let fields: Vec<Field> = names.iter().zip(0..).map(|(name, n)| Field::new(format!("{name}{n}"), DataType::Int64, true)).collect();
            let schema = ChunkSchema::of(&Schema::new(fields)).unwrap();
            let mut position = 4;
            let mut row_group = |rows: &i64| {
                let columns = schema.columns.columns().iter().map(|described| {
                    position += rows + 7;
                    ColumnChunkMetaData::builder(Arc::clone(described))
                        .set_num_values(*rows)
                        .set_data_page_offset(position)
                        .set_statistics(Statistics::int64(Some(-rows), Some(position), None, Some(1), false))
                        .build().unwrap()
                });
                RowGroupMetaData::builder(Arc::clone(&schema.columns)).set_num_rows(*rows).set_column_metadata(columns.collect()).build().unwrap()
            };
            let row_groups: Vec<RowGroupMetaData> = rows.iter().map(&mut row_group).collect();
            let mut growing = GrowingFooter::new(&schema).unwrap();
            for (place, row_group) in row_groups.iter().enumerate() {
                let entry = growing.entry(&schema, row_group.clone()).unwrap();
                let expected = footer(&schema, row_groups[..=place].to_vec()).unwrap();
                prop_assert_eq!(growing.bytes_with(&entry), expected.len());
                growing.push(&entry);
            }
            prop_assert_eq!(growing.rows(), rows.iter().sum::<i64>());
            prop_assert_eq!(growing.finish().unwrap().concat(), footer(&schema, row_groups).unwrap());
        }
    }
}
