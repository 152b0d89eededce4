//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    NullBufferBuilder, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use shared::{BadRecords, Column, ColumnType, CsvPolicy};

use crate::fields::Fields;
use crate::json::{self, Objects};
use crate::quarantine::Reject;
use crate::record::byte;
use crate::record_format::RecordFormat;
use crate::records::Block;
use crate::value;
use crate::value::moment;
use crate::value::number::{self, Notation};

/// A block, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The rows that were taken, in the order of the source.
    pub(crate) rows: RecordBatch,
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

fn data_type(column_type: ColumnType) -> DataType {
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
    text.is_empty() || (column.null_words && csv.null_words.iter().any(|word| word.as_bytes() == text))
}

/// How numbers are written in a CSV source.
pub(crate) fn notation(csv: &CsvPolicy) -> Notation {
    Notation { point: byte(csv.dialect.decimal), bare_exponents: false }
}

/// What stands in one column of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a [u8]),
    /// A text that is no value of the column, whatever its letters are.
    Misfit(&'a [u8]),
}

/// Decodes a block.
pub(crate) fn decode(
    block: &Block,
    format: &RecordFormat,
    schema: &SchemaRef,
    bad_records: BadRecords,
    max_record_bytes: u64,
) -> Result<Decoded, ArrowError> {
    let max_record_bytes = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    let mut misfits = Misfits { by_row: BTreeMap::new(), nulls_instead: bad_records == BadRecords::Null };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(format.columns().len());
    let (read, records, mut rejects) = match format {
        RecordFormat::Csv(csv) => {
            let fields = Fields::read(block, csv, max_record_bytes);
            for (index, column) in csv.columns.iter().enumerate() {
                let cell = |text| if is_null(text, csv, column) { Cell::Null } else { Cell::Text(text) };
                let cells = || fields.column(index).map(cell);
                columns.push(decode_column(cells, fields.rows.len(), notation(csv), (index, column), &mut misfits));
            }
            (fields.rows, fields.records, fields.rejects)
        }
        RecordFormat::Ndjson(json) => {
            let objects = Objects::read(block, json, max_record_bytes);
            for place in json.columns.iter().enumerate() {
                let cells = || objects.column(place, &json.null_words);
                columns.push(decode_column(cells, objects.rows.len(), json::NOTATION, place, &mut misfits));
            }
            (objects.rows, objects.records, objects.rejects)
        }
    };
    // Of blank lines alone there are no columns to count by.
    let count = RecordBatchOptions::new().with_row_count(Some(read.len()));
    let mut rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &count)?;
    if !misfits.by_row.is_empty() {
        let taken = (0..read.len()).map(|row| Some(!misfits.by_row.contains_key(&row)));
        rows = filter_record_batch(&rows, &taken.collect::<BooleanArray>())?;
        rejects.extend(misfits.by_row.into_iter().filter_map(|(row, misfit)| {
            let column = format.columns().get(misfit.column).map(|column| column.name.clone());
            Some(read.get(row)?.reject(block, format.dialect(), column, misfit.reason))
        }));
        rejects.sort_by_key(|reject| reject.record);
    }
    Ok(Decoded { rows, records, rejects })
}

/// Values that do not fit their column; of each row the first.
#[derive(Debug)]
struct Misfits {
    by_row: BTreeMap<usize, Misfit>,
    nulls_instead: bool,
}

#[derive(Debug)]
struct Misfit {
    column: usize,
    reason: String,
}

impl Misfits {
    fn note(&mut self, row: usize, (index, column): (usize, &Column), text: &[u8]) {
        if !self.nulls_instead {
            self.by_row.entry(row).or_insert_with(|| Misfit { column: index, reason: reason(text, column) });
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

/// Decodes one column: a builder, and the functions that read one value of a type that was inferred and told.
fn decode_column<'a, C: Iterator<Item = Cell<'a>>>(
    cells: impl Fn() -> C,
    rows: usize,
    notation: Notation,
    (index, column): (usize, &Column),
    misfits: &mut Misfits,
) -> ArrayRef {
    let (is_told, point, format) = (column.origin.is_told(), notation.point, column.date_format);
    let note = |row, text: &[u8]| misfits.note(row, (index, column), text);
    macro_rules! column {
        ($builder:expr, $strictly:expr, $told:expr) => {{
            let mut builder = $builder;
            if is_told {
                builder.extend(values(cells(), $told, note));
            } else {
                builder.extend(values(cells(), $strictly, note));
            }
            Arc::new(builder.finish())
        }};
    }
    let timestamps = || TimestampMicrosecondBuilder::with_capacity(rows);
    match column.column_type {
        ColumnType::Boolean => column!(BooleanBuilder::with_capacity(rows), value::boolean, value::told_boolean),
        ColumnType::Int64 => {
            column!(Int64Builder::with_capacity(rows), number::int64, |text| number::told_int64(text, point))
        }
        ColumnType::Float64 => {
            column!(Float64Builder::with_capacity(rows), |text| number::float64(text, notation), |text| {
                number::told_float64(text, point)
            })
        }
        ColumnType::Decimal { precision, scale } => column!(
            Decimal128Builder::with_capacity(rows).with_data_type(data_type(column.column_type)),
            |text| number::decimal(text, notation, precision, scale),
            |text| number::told_decimal(text, point, precision, scale)
        ),
        ColumnType::Date32 => {
            column!(Date32Builder::with_capacity(rows), |text| moment::date(text, format), |text| moment::told_date(
                text, format
            ))
        }
        ColumnType::Timestamp => {
            column!(timestamps(), |text| moment::timestamp(text, format), |text| moment::told_timestamp(text, format))
        }
        ColumnType::TimestampUtc => {
            column!(timestamps().with_timezone("UTC"), |text| moment::timestamp_utc(text, format), |text| {
                moment::told_timestamp(text, format)
            })
        }
        ColumnType::Utf8 => Arc::new(texts(cells(), rows).unwrap_or_else(|| {
            let values = values(cells(), |text| std::str::from_utf8(text).ok(), note);
            values.collect::<StringArray>()
        })),
    }
}

/// A column of text; `None` where not all of it is UTF-8. That is told of all values at once, which is quick.
fn texts<'a>(cells: impl Iterator<Item = Cell<'a>>, rows: usize) -> Option<StringArray> {
    let mut text = Vec::new();
    let mut ends = Vec::with_capacity(rows + 1);
    let mut nulls = NullBufferBuilder::new(rows);
    ends.push(0);
    for cell in cells {
        match cell {
            Cell::Null => nulls.append_null(),
            Cell::Text(value) => {
                text.extend_from_slice(value);
                nulls.append_non_null();
            }
            Cell::Misfit(_) => return None,
        }
        ends.push(i32::try_from(text.len()).ok()?);
    }
    StringArray::try_new(OffsetBuffer::new(ends.into()), text.into(), nulls.finish()).ok()
}

/// The values of a column; what cannot be read is null, and noted.
fn values<'a, V>(
    cells: impl Iterator<Item = Cell<'a>>,
    read: impl Fn(&'a [u8]) -> Option<V>,
    mut note: impl FnMut(usize, &'a [u8]),
) -> impl Iterator<Item = Option<V>> {
    cells.enumerate().map(move |(row, cell)| match cell {
        Cell::Null => None,
        Cell::Text(text) => {
            let value = read(text);
            if value.is_none() {
                note(row, text);
            }
            value
        }
        Cell::Misfit(text) => {
            note(row, text);
            None
        }
    })
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
