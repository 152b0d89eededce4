//! Rows that were gathered, and in which order some of them go to a file.

use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, Int32Array, new_empty_array};
use arrow::compute::{concat, interleave};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::merged::{Chosen, Merged};
use super::order::{Order, places};
use crate::keyed;

/// Rows that were gathered.
#[derive(Debug)]
pub(super) struct Rows {
    /// All of the same columns. A column has keys in all of them or in none.
    batches: Vec<RecordBatch>,
    /// Columns that go into files, by their places in the batches.
    columns: Vec<usize>,
    /// Of each column of the batches, once it is asked for, its values; none of those without keys.
    merged: Vec<OnceLock<Option<Merged>>>,
}

impl Rows {
    /// Rows of the same columns, of which these go into files.
    pub(super) fn new(batches: Vec<RecordBatch>, columns: Vec<usize>) -> Result<Self, ArrowError> {
        let width = batches.first().map_or(0, RecordBatch::num_columns);
        let are_alike = |column: usize| {
            let mut types = batches.iter().map(|batch| batch.column(column).data_type());
            let first = types.next();
            types.all(|other| Some(other) == first)
        };
        let unlike: Vec<usize> = (0..width).filter(|column| !are_alike(*column)).collect();
        let batches = if unlike.is_empty() {
            batches
        } else {
            batches.iter().map(|batch| without_keys(batch, &unlike)).collect::<Result<_, _>>()?
        };
        Ok(Self { batches, columns, merged: (0..width).map(|_| OnceLock::new()).collect() })
    }

    pub(super) fn none() -> Self {
        Self { batches: Vec::new(), columns: Vec::new(), merged: Vec::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Rows of each batch.
    pub(super) fn counts(&self) -> impl Iterator<Item = usize> {
        self.batches.iter().map(RecordBatch::num_rows)
    }

    /// Columns that go into files, by their places.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// A column, batch by batch.
    pub(super) fn column(&self, column: usize) -> Vec<&ArrayRef> {
        self.batches.iter().map(|batch| batch.column(column)).collect()
    }

    /// What rows have of the values of a column; none of a column without keys. `numbers` is room, as [`Merged::choose`] wants it.
    pub(super) fn chosen(
        &self,
        column: usize,
        order: &Order,
        numbers: &mut Vec<i32>,
    ) -> Result<Option<Chosen>, ArrowError> {
        let columns = self.column(column);
        let Some(of_column) = self.merged.get(column) else { return Ok(None) };
        let merged = if let Some(merged) = of_column.get() {
            merged
        } else {
            let merged = Merged::of(&columns)?;
            of_column.get_or_init(|| merged)
        };
        merged.as_ref().map(|merged| merged.choose(&columns, order, numbers)).transpose()
    }

    /// A column of rows in an order, without keys.
    pub(super) fn plain(&self, column: usize, order: &Order) -> Result<ArrayRef, ArrowError> {
        let columns = self.column(column).into_iter().map(keyed::plain).collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        match (order, columns.first()) {
            (Order::All(_), Some(_)) => concat(&columns),
            (Order::Of(rows), Some(_)) => interleave(&columns, &places(rows)),
            (_, None) => Ok(new_empty_array(&arrow::datatypes::DataType::Null)),
        }
    }

    /// Rows one after the other, with keys where they have them; none when there are none.
    pub(super) fn collect(&self, order: &Order) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(first) = self.batches.first().filter(|_| order.len() > 0) else { return Ok(None) };
        let mut numbers = Vec::new();
        let columns = (0..first.num_columns()).map(|column| match self.chosen(column, order, &mut numbers)? {
            Some(Chosen { keys, values }) => keyed::column(&Int32Array::from(keys), &values),
            None => self.plain(column, order),
        });
        keyed::batch(first.schema_ref(), columns.collect::<Result<_, _>>()?, order.len()).map(Some)
    }
}

/// A batch some columns of which have no keys any more.
fn without_keys(batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
    let mut schema = batch.schema_ref().fields().to_vec();
    let mut values = batch.columns().to_vec();
    for column in columns {
        if let (Some(field), Some(values)) = (schema.get_mut(*column), values.get_mut(*column)) {
            *values = keyed::plain(values)?;
            *field = std::sync::Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()));
        }
    }
    keyed::batch(&arrow::datatypes::Schema::new(schema), values, batch.num_rows())
}
