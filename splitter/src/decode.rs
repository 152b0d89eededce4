//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use shared::{BadRecords, Column, ColumnType, CsvPolicy};

use crate::batch::Batch;
use crate::column::{self, Nulls, Place, Reader};
use crate::fields::{Fields, Rows};
use crate::json::{self, Objects};
use crate::quarantine::Reject;
use crate::record::byte;
use crate::record_format::RecordFormat;
use crate::records::Block;
use crate::value;
use crate::value::number::Notation;

/// A block, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The rows that were taken, in the order of the source.
    pub(crate) rows: Batch,
    /// Records that were read, rejected ones included.
    pub(crate) records: u64,
    /// Records that were rejected, numbered from 1 within the block.
    pub(crate) rejects: Vec<Reject>,
}

/// Schema of the rows of a source of text.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, data_type(column.column_type), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// What a column is in Arrow.
pub(crate) fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or_default())
        }
        ColumnType::Date32 => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Utf8 => DataType::Utf8,
    }
}

/// Whether a field means null in a column.
pub(crate) fn is_null(text: &[u8], csv: &CsvPolicy, column: &Column) -> bool {
    Nulls::of(csv, column).hold(text)
}

/// How numbers are written in a CSV source.
pub(crate) fn notation(csv: &CsvPolicy) -> Notation {
    Notation { point: byte(csv.dialect.decimal), bare_exponents: false }
}

/// Decodes a block.
pub(crate) fn decode(
    block: &Block,
    format: &RecordFormat,
    bad_records: BadRecords,
    max_record_bytes: u64,
) -> Result<Decoded, ArrowError> {
    let max_record_bytes = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    let mut misfits = Misfits { by_row: BTreeMap::new(), nulls_instead: bad_records == BadRecords::Null };
    let (read, columns) = match format {
        RecordFormat::Csv(csv) => {
            let mut fields = Fields::new(block, csv, max_record_bytes);
            let reader = |column| Reader { column, notation: notation(csv), nulls: Nulls::of(csv, column) };
            let columns = column::decode(&mut fields, csv.columns.iter().map(reader), &mut misfits);
            (fields.into_rows(), columns)
        }
        RecordFormat::Ndjson(json) => {
            let mut objects = Objects::read(block, json, max_record_bytes);
            let reader = |column| Reader { column, notation: json::NOTATION, nulls: Nulls::NONE };
            let columns = column::decode(&mut objects, json.columns.iter().map(reader), &mut misfits);
            (objects.into_rows(), columns)
        }
    };
    let Rows { taken: read, records, mut rejects } = read;
    let mut rows = Batch { columns, rows: read.len() };
    if !misfits.by_row.is_empty() {
        let taken = (0..read.len()).map(|row| Some(!misfits.by_row.contains_key(&row)));
        rows = rows.filter(&taken.collect())?;
        rejects.extend(misfits.by_row.into_iter().filter_map(|(row, misfit)| {
            let column = format.columns().get(misfit.column).map(|column| column.name.clone());
            Some(read.get(row)?.reject(block, format.dialect(), column, misfit.reason))
        }));
        rejects.sort_by_key(|reject| reject.record);
    }
    Ok(Decoded { rows, records, rejects })
}

/// Values that do not fit their column; of each row the one in the first column.
#[derive(Debug)]
pub(crate) struct Misfits {
    by_row: BTreeMap<usize, Misfit>,
    nulls_instead: bool,
}

#[derive(Debug)]
struct Misfit {
    column: usize,
    reason: String,
}

impl Misfits {
    /// Notes a text of a row.
    pub(crate) fn note(&mut self, row: usize, (index, column): Place<'_>, text: &[u8]) {
        let is_first = self.by_row.get(&row).is_none_or(|misfit| index < misfit.column);
        if is_first && !self.nulls_instead {
            self.by_row.insert(row, Misfit { column: index, reason: reason(text, column) });
        }
    }
}

fn reason(text: &[u8], column: &Column) -> String {
    let Some(shown) = value::shown(text) else {
        return value::UNDECODABLE.to_owned();
    };
    let date = column.date_format;
    let what = match column.column_type {
        ColumnType::Boolean => "neither true nor false".to_owned(),
        ColumnType::Int64 => "not an integer of 64 bits".to_owned(),
        ColumnType::Float64 => "not a number that double precision holds without loss".to_owned(),
        ColumnType::Decimal { precision, scale } => {
            format!("not a number of at most {precision} digits, {scale} of them behind the point")
        }
        ColumnType::Date32 => format!("not a date as {date}"),
        ColumnType::Timestamp => format!("not a timestamp as {date} HH:MM:SS"),
        ColumnType::TimestampUtc => format!("not a timestamp with zone as {date} HH:MM:SS+HH:MM"),
        ColumnType::Utf8 => "not valid UTF-8".to_owned(),
    };
    format!("'{shown}' is {what}")
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
