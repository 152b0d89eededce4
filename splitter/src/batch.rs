//! Rows of a text, decoded: what stands between reading values and writing them.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, RecordBatchOptions};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

/// Rows, column by column.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) columns: Vec<Values>,
    /// How many; where there are no columns, too.
    pub(crate) rows: usize,
}

/// A column of rows.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// The value of each row.
    Plain(ArrayRef),
    /// Of each row, the place of its value among those that recur; some of these may be null, or no row's.
    Keyed(ScalarBuffer<i32>, ArrayRef),
}

impl Batch {
    /// So many rows, the first of them at `start`.
    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let part = |column: &Values| match column {
            Values::Plain(values) => Values::Plain(values.slice(start, rows)),
            Values::Keyed(keys, values) => Values::Keyed(keys.slice(start, rows), values.clone()),
        };
        Self { columns: self.columns.iter().map(part).collect(), rows }
    }

    /// The rows that are to be taken.
    pub(crate) fn filter(&self, taken: &BooleanArray) -> Result<Self, ArrowError> {
        let part = |column: &Values| match column {
            Values::Plain(values) => Ok(Values::Plain(filter(values, taken)?)),
            Values::Keyed(keys, values) => {
                let keys = filter(&Int32Array::new(keys.clone(), None), taken)?;
                Ok(Values::Keyed(keys.as_primitive::<Int32Type>().values().clone(), values.clone()))
            }
        };
        let columns = self.columns.iter().map(part).collect::<Result<_, ArrowError>>()?;
        Ok(Self { columns, rows: taken.true_count() })
    }

    /// The same rows for Arrow.
    pub(crate) fn to_arrow(&self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let array = |column: &Values| match column {
            Values::Plain(values) => Ok(values.clone()),
            Values::Keyed(keys, values) => take(values, &Int32Array::new(keys.clone(), None), None),
        };
        let columns = self.columns.iter().map(array).collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new().with_row_count(Some(self.rows)))
    }
}
