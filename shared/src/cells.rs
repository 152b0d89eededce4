//! Rows and types of columns as text, for people.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::column::ColumnType;

/// The first rows, at most so many, cell by cell; none for null.
pub fn cells(rows: &RecordBatch, most: usize) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let options = FormatOptions::default();
    let columns: Result<Vec<_>, ArrowError> =
        rows.columns().iter().map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?))).collect();
    let columns = columns?;
    let cell = |row| {
        columns
            .iter()
            .map(move |(column, cells)| (!column.is_null(row)).then(|| cells.value(row).to_string()))
            .collect()
    };
    Ok((0..rows.num_rows().min(most)).map(cell).collect())
}

/// The name of a type as `SCHEMA` has it; that of Arrow where it has none.
pub fn type_name(data_type: &DataType) -> String {
    let known = match data_type {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int64 => ColumnType::Int64,
        DataType::Float64 => ColumnType::Float64,
        DataType::Date32 => ColumnType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ColumnType::TimestampUtc,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Utf8,
        DataType::Decimal128(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) => ColumnType::Decimal { precision: *precision, scale },
            Err(_) => return data_type.to_string(),
        },
        other => return other.to_string(),
    };
    known.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_schema() {
        for (data_type, name) in [
            (DataType::Boolean, "boolean"),
            (DataType::Int64, "int64"),
            (DataType::Int32, "Int32"),
            (DataType::Float64, "float64"),
            (DataType::Date32, "date"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "timestamp"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "timestamp_utc"),
            (DataType::Decimal128(9, 2), "decimal(9,2)"),
            (DataType::Utf8View, "text"),
        ] {
            assert_eq!(type_name(&data_type), name);
        }
    }
}
