//! Rows of data files as rows of their table: with its columns, names and types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use deltalake::DeltaTableError;
use deltalake::kernel::DataType;

use crate::rows::conform::carry::{Carried, carry};
use crate::schema::write_schema::WriteSchema;

/// The columns of a table, each of which may be null: files may lack columns that came later.
pub(crate) fn nullable(write_schema: &WriteSchema) -> SchemaRef {
    let fields = write_schema.schema().fields().iter();
    Arc::new(Schema::new(fields.map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// Rows of a data file in all columns of the table. The error names a column with values that the table's type does not take.
pub(crate) fn in_all_columns(
    write_schema: &WriteSchema,
    columns: &SchemaRef,
    constants: &[(FieldRef, ArrayRef)],
    batch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let (rows, batch) = (batch.num_rows(), write_schema.of_file(batch)?);
    let column = |field: &FieldRef| {
        let constant = constants.iter().find(|(constant, _)| constant.name() == field.name());
        match (constant, batch.column_by_name(field.name())) {
            (Some((_, value)), _) => arrow::compute::take(value, &zeros(rows), None),
            (None, Some(values)) if values.data_type() == field.data_type() => Ok(Arc::clone(values)),
            (None, Some(values)) => {
                let Carried { values: carried, invalid, .. } = carry(values, field.data_type())?;
                if invalid.count_set_bits() == 0 {
                    return Ok(carried);
                }
                let (name, is, wanted) = (field.name(), values.data_type(), field.data_type());
                let reason =
                    format!("column '{name}' has values of type {is} that the table's type {wanted} does not take");
                Err(ArrowError::CastError(reason))
            }
            (None, None) => Ok(new_null_array(field.data_type(), rows)),
        }
    };
    let all = columns.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(columns), all, &options)
}

/// Columns that a data file has no values of, each with its value in all rows.
pub(crate) fn partition_values(
    write_schema: &WriteSchema,
    texts: &HashMap<String, Option<String>>,
) -> Result<Vec<(FieldRef, ArrayRef)>, DeltaTableError> {
    let mut values = Vec::new();
    for ((field, column), of_file) in
        write_schema.fields().iter().zip(write_schema.schema().fields()).zip(write_schema.file_fields())
    {
        let (true, DataType::Primitive(data_type)) =
            (write_schema.partition_by().contains(field.name()), field.data_type())
        else {
            continue;
        };
        if let Some(text) = texts.get(of_file.name()).and_then(Option::as_ref) {
            let value = data_type.parse_scalar(text).and_then(|value| value.to_array(1));
            values.push((Arc::clone(column), value.map_err(DeltaTableError::from)?));
        }
    }
    Ok(values)
}

/// Rows of a data file in the columns and types of the table, as far as it has them.
pub(crate) fn as_in_table(
    write_schema: &WriteSchema,
    constants: &[(FieldRef, ArrayRef)],
    batch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let batch = &write_schema.of_file(batch)?;
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for field in write_schema.schema().fields() {
        let constant = constants.iter().find(|(constant, _)| constant.name() == field.name());
        let values = match (constant, batch.column_by_name(field.name())) {
            (Some((_, value)), _) => arrow::compute::take(value, &zeros(batch.num_rows()), None)?,
            (None, Some(values)) => Arc::clone(values),
            (None, None) => continue,
        };
        columns.push(if values.data_type() == field.data_type() {
            values
        } else {
            carry(&values, field.data_type())?.values
        });
        fields.push(field.as_ref().clone().with_nullable(true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn zeros(rows: usize) -> arrow::array::UInt64Array {
    std::iter::repeat_n(0, rows).collect()
}
