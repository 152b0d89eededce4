//! Rejected records as they are kept beside their job, those of the splitter and of workers alike.

use std::sync::Arc;

use arrow::array::{Array, ArrayBuilder, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;

/// The columns of every object of rejected records.
pub fn rejected_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("record_number", DataType::Int64, false),
        Field::new("byte_offset", DataType::Int64, true),
        Field::new("column", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Binary, false),
    ]))
}

/// One rejected record, or one rejected row of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its number from 1: in the source without the header, or among the rows of its chunk.
    pub number: u64,
    /// Byte offset of its first byte in the text of the source; none for rows of chunks.
    pub byte_offset: Option<u64>,
    /// Name of the column whose value does not fit, where it is one.
    pub column: Option<String>,
    /// Why it was rejected.
    pub reason: String,
    /// The record as it stands in the text, without its line end; a row of a chunk as JSON.
    pub raw: Vec<u8>,
}

impl RejectedRecord {
    /// The records of a batch; none when it has other columns.
    pub fn of(batch: &RecordBatch) -> Option<Vec<Self>> {
        let numbers = batch.column_by_name("record_number")?.as_primitive_opt::<Int64Type>()?;
        let offsets = batch.column_by_name("byte_offset")?.as_primitive_opt::<Int64Type>()?;
        let columns = batch.column_by_name("column")?.as_string_opt::<i32>()?;
        let reasons = batch.column_by_name("reason")?.as_string_opt::<i32>()?;
        let raws = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
        let record = |row| Self {
            number: u64::try_from(numbers.value(row)).unwrap_or_default(),
            byte_offset: offsets.is_valid(row).then(|| u64::try_from(offsets.value(row)).unwrap_or_default()),
            column: columns.is_valid(row).then(|| columns.value(row).to_owned()),
            reason: reasons.value(row).to_owned(),
            raw: raws.value(row).to_vec(),
        };
        Some((0..batch.num_rows()).map(record).collect())
    }
}

/// Rejected records in the making, column by column: as vectors of their own each would take several times the bytes of a
/// short record.
#[derive(Debug, Default)]
pub struct RejectedRecords {
    numbers: Int64Builder,
    offsets: Int64Builder,
    columns: StringBuilder,
    reasons: StringBuilder,
    raws: BinaryBuilder,
}

impl RejectedRecords {
    /// Adds a record; see [`RejectedRecord`].
    pub fn add(&mut self, number: u64, byte_offset: Option<u64>, column: Option<&str>, reason: &str, raw: &[u8]) {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.numbers.append_value(signed(number));
        self.offsets.append_option(byte_offset.map(signed));
        self.columns.append_option(column);
        self.reasons.append_value(reason);
        self.raws.append_value(raw);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// All of them, after which there are none.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.numbers.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.columns.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.raws.finish()),
        ];
        RecordBatch::try_new(rejected_schema(), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_read_back() {
        let mut records = RejectedRecords::default();
        records.add(7, Some(40), Some("qty"), "'x' is not a bigint", b"7,x");
        records.add(8, None, None, "a quote is not closed", b"\"8");
        assert_eq!(records.count(), 2);
        let batch = records.finish().unwrap();
        let read = RejectedRecord::of(&batch).unwrap();
        let first = RejectedRecord {
            number: 7,
            byte_offset: Some(40),
            column: Some("qty".to_owned()),
            reason: "'x' is not a bigint".to_owned(),
            raw: b"7,x".to_vec(),
        };
        assert_eq!((&read[0], read[1].byte_offset, read[1].column.as_deref()), (&first, None, None));
        assert_eq!((records.count(), RejectedRecord::of(&batch.project(&[0]).unwrap())), (0, None));
    }
}
