//! Rows of a text, decoded: what stands between reading values and writing them.

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use shared::values::Values;

/// Rows, column by column.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) columns: Vec<Values>,
    /// How many; where there are no columns, too.
    pub(crate) rows: usize,
}

impl Batch {
    /// So many rows, the first of them at `start`.
    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        Self { columns: self.columns.iter().map(|column| column.slice(start, rows)).collect(), rows }
    }

    /// The rows that are to be taken.
    pub(crate) fn filter(&self, taken: &BooleanArray) -> Result<Self, ArrowError> {
        let is_taken = (0..taken.len()).map(|row| u32::from(taken.value(row)));
        let taken_before = is_taken.scan(0, |before, is_taken| Some(std::mem::replace(before, *before + is_taken)));
        let taken_before: Vec<u32> = taken_before.collect();
        let columns = self.columns.iter().map(|column| column.filter(taken, &taken_before));
        Ok(Self { columns: columns.collect::<Result<_, ArrowError>>()?, rows: taken.true_count() })
    }

    /// The same rows for Arrow.
    pub(crate) fn to_arrow(&self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter().map(Values::to_arrow).collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new().with_row_count(Some(self.rows)))
    }
}
