//! The rows of a file, written again in the columns of its table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field};
use buoyant_kernel::expressions::{Scalar, StructData};
use deltalake::{DeltaResult, DeltaTableError};

use super::bins::SmallFile;
use crate::delta::deletions::{deleted_rows, without};
use crate::delta::snapshot::TableSnapshot;
use crate::delta::write::DataFiles;
use crate::error::LoadError;
use crate::fetch::data_file::StoredFile;
use crate::rows::conform::carry::carry;
use crate::schema::write_schema::WriteSchema;

/// A file whose rows are written again.
pub(super) struct Source<'a> {
    pub(super) small: &'a SmallFile,
    pub(super) stored: StoredFile,
}

/// Writes the rows of a file again; gives whether that can be done without a change of any value.
pub(super) async fn rewrite(
    head: &TableSnapshot,
    write_schema: &WriteSchema,
    file: &Source<'_>,
    files: &mut DataFiles<'_>,
) -> Result<bool, LoadError> {
    let failed = |error: DeltaTableError| LoadError::table(head.table().uri(), "merge data files of", error);
    let Source { small, stored } = file;
    let deleted = deleted_rows(head.table(), small.deleted.as_ref()).await.map_err(failed)?;
    let mut rows = 0;
    for group in 0..stored.groups() {
        for batch in stored.batches(group).await.map_err(failed)? {
            let batch = batch.map_err(failed)?;
            let first = u64::try_from(rows).unwrap_or_default();
            rows += batch.num_rows();
            let batch = without(&batch, first, &deleted).map_err(|error| failed(error.into()))?;
            match fit(&batch, write_schema, small.partition.as_ref()).map_err(failed)? {
                Some(batch) => files.write(&batch).await?,
                None => return Ok(false),
            }
        }
    }
    match small.rows {
        Some(expected) if expected != rows => {
            let reason = format!("{} has {rows} rows, and the log says {expected}", small.path);
            Err(failed(DeltaTableError::generic(reason)))
        }
        _ => Ok(true),
    }
}

/// The columns of the table for the rows of a file; none when one of them has another type there.
fn fit(
    rows: &RecordBatch,
    write_schema: &WriteSchema,
    partition: Option<&StructData>,
) -> DeltaResult<Option<RecordBatch>> {
    let (all, schema) = (rows.num_columns(), write_schema.schema());
    let rows = write_schema.of_file(rows)?;
    if rows.num_columns() < all {
        // The table has dropped the column.
        return Ok(None);
    }
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let column = match (of_partition(partition, field), rows.column_by_name(field.name())) {
            (Some(value), _) => value.to_array(rows.num_rows())?,
            (None, Some(column)) => match widened(column, field.data_type())? {
                Some(values) => values,
                None => return Ok(None),
            },
            (None, None) => new_null_array(field.data_type(), rows.num_rows()),
        };
        columns.push(column);
    }
    Ok(Some(RecordBatch::try_new(Arc::clone(schema), columns)?))
}

/// Values in the type of the table, which may have been a narrower one when they were written; none where a value would change.
fn widened(values: &ArrayRef, to: &DataType) -> DeltaResult<Option<ArrayRef>> {
    let from = values.data_type();
    let is_wider = match (from, to) {
        (DataType::Float64, DataType::Float32) => false,
        (DataType::Date32, DataType::Timestamp(_, None)) => true,
        (from, to) => from.is_numeric() && to.is_numeric(),
    };
    if from == to {
        return Ok(Some(Arc::clone(values)));
    }
    if !is_wider {
        return Ok(None);
    }
    let carried = carry(values, to)?;
    let is_whole = carried.invalid.count_set_bits() + carried.shortened.count_set_bits() == 0;
    Ok(is_whole.then_some(carried.values))
}

/// The value that all rows of a file have in a column by which the table is partitioned.
fn of_partition<'a>(partition: Option<&'a StructData>, field: &Field) -> Option<&'a Scalar> {
    let partition = partition?;
    let place = partition.fields().iter().position(|one| one.name() == field.name())?;
    partition.values().get(place)
}
