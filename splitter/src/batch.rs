//! Rows of a text, decoded: what stands between reading values and writing them.

use std::sync::Arc;

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
    /// Values that recur.
    Keyed(Keyed),
}

/// The values of a column, each once, and which of them each row has.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    /// Of each row, the place of its value.
    pub(crate) keys: ScalarBuffer<i32>,
    /// Some of these may be null.
    pub(crate) values: ArrayRef,
    /// Whether each of these is some row's for sure.
    pub(crate) are_all_used: bool,
}

impl Keyed {
    /// Values that are some row's each.
    pub(crate) fn of_all(keys: Vec<i32>, values: ArrayRef) -> Self {
        Self { keys: keys.into(), values, are_all_used: true }
    }

    fn slice(&self, start: usize, rows: usize) -> Self {
        let are_all_used = self.are_all_used && rows == self.keys.len();
        Self { keys: self.keys.slice(start, rows), values: Arc::clone(&self.values), are_all_used }
    }

    fn filter(&self, taken: &BooleanArray) -> Result<Self, ArrowError> {
        let keys = filter(&Int32Array::new(self.keys.clone(), None), taken)?;
        let keys = keys.as_primitive::<Int32Type>().values().clone();
        Ok(Self { keys, values: Arc::clone(&self.values), are_all_used: false })
    }

    fn to_arrow(&self) -> Result<ArrayRef, ArrowError> {
        take(&self.values, &Int32Array::new(self.keys.clone(), None), None)
    }
}

impl Batch {
    /// So many rows, the first of them at `start`.
    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let part = |column: &Values| match column {
            Values::Plain(values) => Values::Plain(values.slice(start, rows)),
            Values::Keyed(values) => Values::Keyed(values.slice(start, rows)),
        };
        Self { columns: self.columns.iter().map(part).collect(), rows }
    }

    /// The rows that are to be taken.
    pub(crate) fn filter(&self, taken: &BooleanArray) -> Result<Self, ArrowError> {
        let part = |column: &Values| match column {
            Values::Plain(values) => Ok(Values::Plain(filter(values, taken)?)),
            Values::Keyed(values) => values.filter(taken).map(Values::Keyed),
        };
        let columns = self.columns.iter().map(part).collect::<Result<_, ArrowError>>()?;
        Ok(Self { columns, rows: taken.true_count() })
    }

    /// The same rows for Arrow.
    pub(crate) fn to_arrow(&self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let array = |column: &Values| match column {
            Values::Plain(values) => Ok(values.clone()),
            Values::Keyed(values) => values.to_arrow(),
        };
        let columns = self.columns.iter().map(array).collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new().with_row_count(Some(self.rows)))
    }
}
