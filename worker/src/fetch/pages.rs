//! Pages of a row group, decoded: also those of other writers, which may hold anything.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::ChunkReader;
use shared::guarded;

use crate::rows::conform::carry::carry;
use crate::rows::conform::{self};
use crate::rows::rejected::RejectedRow;

/// The rows of a row group, so many at a time, with these columns.
pub(super) fn reader(
    bytes: impl ChunkReader + 'static,
    metadata: &ArrowReaderMetadata,
    group: usize,
    columns: ProjectionMask,
    rows: usize,
) -> Result<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata.clone());
    builder.with_row_groups(vec![group]).with_projection(columns).with_batch_size(rows).build()
}

/// Whether decoding failed over a text.
pub(super) fn is_text(error: &ParquetError) -> bool {
    let text = error.to_string().to_lowercase();
    text.contains("utf-8") || text.contains("utf8")
}

/// Rows of a row group some texts of which are not UTF-8.
pub(super) struct Texts<'a> {
    pub(super) schema: &'a SchemaRef,
    /// Rows of the row groups before.
    pub(super) before: i64,
    /// Whether such a text becomes null, or its row is rejected.
    pub(super) nulls: bool,
    /// Rows that were read already.
    pub(super) skip: usize,
    /// Rows that are decoded at once.
    pub(super) at_once: usize,
}

impl Texts<'_> {
    /// Decodes texts as bytes, and hands on the rows whose texts are all UTF-8, and the others as rejected.
    pub(super) fn decode(
        &self,
        bytes: impl ChunkReader + 'static,
        metadata: &ArrowReaderMetadata,
        group: usize,
        mut hand_on: impl FnMut(Vec<ArrayRef>, usize, Vec<RejectedRow>) -> Result<bool>,
    ) -> Result<Option<usize>> {
        let metadata = shared::arrow_metadata_of_bytes(metadata)?;
        let mut read = 0;
        guarded(|| {
            for batch in reader(bytes, &metadata, group, ProjectionMask::all(), self.at_once)? {
                let batch = batch?;
                let known = self.skip.saturating_sub(read).min(batch.num_rows());
                let first = read + known;
                read += batch.num_rows();
                let rest = batch.slice(known, batch.num_rows() - known);
                let (columns, left, rejected) = self.part(rest.columns(), rest.num_rows(), first)?;
                if rest.num_rows() > 0 && !hand_on(columns, left, rejected)? {
                    return Ok(None);
                }
            }
            Ok(Some(read))
        })
    }

    /// The columns of the rows that are fine, how many these are, and the others.
    fn part(&self, bytes: &[ArrayRef], rows: usize, first: usize) -> Result<(Vec<ArrayRef>, usize, Vec<RejectedRow>)> {
        let (mut columns, mut invalid) = (Vec::new(), Vec::new());
        for (field, values) in self.schema.fields().iter().zip(bytes) {
            let plain = in_plain_text(field.data_type());
            let carried = carry(values, &plain)?;
            let values = carried.values;
            columns.push(if plain == *field.data_type() { values } else { cast(&values, field.data_type())? });
            invalid.push(carried.invalid);
        }
        let none = BooleanBuffer::new_unset(rows);
        let bad = if self.nulls { none } else { invalid.iter().fold(none, |all, one| &all | one) };
        let rejected = bad.set_indices().map(|row| self.reject(bytes, &columns, &invalid, row, first)).collect();
        if bad.count_set_bits() == 0 {
            return Ok((columns, rows, rejected));
        }
        let keep = BooleanArray::new(!&bad, None);
        let kept = columns.iter().map(|column| filter(column, &keep)).collect::<Result<Vec<_>, _>>()?;
        Ok((kept, keep.true_count(), rejected))
    }

    fn reject(
        &self,
        bytes: &[ArrayRef],
        columns: &[ArrayRef],
        invalid: &[BooleanBuffer],
        row: usize,
        first: usize,
    ) -> RejectedRow {
        let is_bad = |column: usize| invalid.get(column).is_some_and(|invalid| invalid.value(row));
        let shown: Vec<ArrayRef> = columns
            .iter()
            .zip(bytes)
            .enumerate()
            .map(|(column, (text, bytes))| Arc::clone(if is_bad(column) { bytes } else { text }))
            .collect();
        let name = |column: usize| self.schema.field(column).name().clone();
        let column = (0..columns.len()).find(|column| is_bad(*column)).map(name).unwrap_or_default();
        let number =
            u64::try_from(self.before).unwrap_or_default() + u64::try_from(first + row).unwrap_or_default() + 1;
        let fields = Schema::new(self.schema.fields().clone());
        let raw = conform::json(&fields, &shown, row);
        RejectedRow {
            number,
            column,
            reason: "its text is not UTF-8; raw has its bytes in hexadecimal digits".to_owned(),
            raw,
        }
    }
}

/// A type whose texts are `Utf8`.
fn in_plain_text(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(Field::clone(field).with_data_type(in_plain_text(field.data_type())));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, values) if values.is_string() => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}
