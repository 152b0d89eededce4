//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, Int32Array, NullBufferBuilder, PrimitiveArray,
    RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use shared::{BadRecords, Column, ColumnType, CsvPolicy};

use crate::dictionary::Dictionary;
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
    /// The rows that were taken, in the order of the source; columns whose values recur as dictionaries.
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
    bad_records: BadRecords,
    max_record_bytes: u64,
) -> Result<Decoded, ArrowError> {
    let max_record_bytes = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    let mut misfits = Misfits { by_row: BTreeMap::new(), nulls_instead: bad_records == BadRecords::Null };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(format.columns().len());
    let (read, records, mut rejects) = match format {
        RecordFormat::Csv(csv) => {
            let fields = Fields::read(block, csv, max_record_bytes);
            let (rows, notation) = (fields.rows.len(), notation(csv));
            let is_null = |index, text: &[u8]| csv.columns.get(index).is_some_and(|column| is_null(text, csv, column));
            let cell = |row, index| Cell::Text(fields.field(row, index));
            let dictionaries = Dictionary::of_columns((rows, csv.columns.len()), cell, is_null);
            for (place, dictionary) in csv.columns.iter().enumerate().zip(dictionaries) {
                let cells =
                    Cells { rows, cell: |row| cell(row, place.0), is_null: |text: &[u8]| is_null(place.0, text) };
                columns.push(decode_column(&cells, dictionary, notation, place, &mut misfits)?);
            }
            (fields.rows, fields.records, fields.rejects)
        }
        RecordFormat::Ndjson(json) => {
            let objects = Objects::read(block, json, max_record_bytes);
            let rows = objects.rows.len();
            let cell = |row, index| match json.columns.get(index) {
                Some(column) => objects.cell(row, (index, column), &json.null_words),
                None => Cell::Null,
            };
            let dictionaries = Dictionary::of_columns((rows, json.columns.len()), cell, |_, _| false);
            for (place, dictionary) in json.columns.iter().enumerate().zip(dictionaries) {
                let cells = Cells { rows, cell: |row| cell(row, place.0), is_null: |_: &[u8]| false };
                columns.push(decode_column(&cells, dictionary, json::NOTATION, place, &mut misfits)?);
            }
            (objects.rows, objects.records, objects.rejects)
        }
    };
    let fields = format.columns().iter().zip(&columns);
    let schema = Schema::new(
        fields.map(|(column, values)| Field::new(&column.name, values.data_type().clone(), true)).collect::<Vec<_>>(),
    );
    // Of blank lines alone there are no columns to count by.
    let count = RecordBatchOptions::new().with_row_count(Some(read.len()));
    let mut rows = RecordBatch::try_new_with_options(Arc::new(schema), columns, &count)?;
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

/// Decodes one column. Where its texts recur, each is read once, and there is a dictionary of them.
fn decode_column<'a>(
    cells: &Cells<impl Fn(usize) -> Cell<'a>, impl Fn(&[u8]) -> bool>,
    dictionary: Option<Dictionary<'a>>,
    notation: Notation,
    (index, column): (usize, &Column),
    misfits: &mut Misfits,
) -> Result<ArrayRef, ArrowError> {
    // Of booleans Parquet has no dictionaries.
    let dictionary = dictionary.filter(|_| column.column_type != ColumnType::Boolean);
    let Some(Dictionary { cells: different, keys }) = dictionary else {
        return Ok(read_column(cells, notation, column, |row, text| misfits.note(row, (index, column), text)));
    };
    let mut unread = BTreeMap::new();
    let cell = |number: usize| different.get(number).copied().unwrap_or(Cell::Null);
    let each = Cells { rows: different.len(), cell, is_null: &cells.is_null };
    let values = read_column(&each, notation, column, |number, text| {
        unread.insert(number, text);
    });
    let number = |key: i32| usize::try_from(key).unwrap_or_default();
    if !unread.is_empty() {
        for (row, key) in keys.iter().enumerate() {
            if let Some(text) = unread.get(&number(*key)) {
                misfits.note(row, (index, column), text);
            }
        }
    }
    let is_null = |key: &i32| values.is_null(number(*key));
    let nulls = (values.null_count() > 0).then(|| keys.iter().map(|key| !is_null(key)).collect::<NullBuffer>());
    let keys = Int32Array::try_new(keys.into(), nulls)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// The cells of a column, and which of its texts mean null.
#[derive(Debug)]
struct Cells<C, N> {
    rows: usize,
    cell: C,
    is_null: N,
}

impl<'a, C: Fn(usize) -> Cell<'a>, N: Fn(&[u8]) -> bool> Cells<C, N> {
    fn iter(&self) -> impl Iterator<Item = Cell<'a>> {
        (0..self.rows).map(|row| match (self.cell)(row) {
            Cell::Text(text) if (self.is_null)(text) => Cell::Null,
            cell => cell,
        })
    }
}

/// Reads the values of a column, by the functions that read one of a type that was inferred and told. What cannot be read
/// is null, and noted.
fn read_column<'a>(
    cells: &Cells<impl Fn(usize) -> Cell<'a>, impl Fn(&[u8]) -> bool>,
    notation: Notation,
    column: &Column,
    note: impl FnMut(usize, &'a [u8]),
) -> ArrayRef {
    let (is_told, point, format) = (column.origin.is_told(), notation.point, column.date_format);
    macro_rules! column {
        ($type:ty, $strictly:expr, $told:expr) => {
            if is_told { primitive::<$type>(cells, $told, note) } else { primitive::<$type>(cells, $strictly, note) }
                .with_data_type(data_type(column.column_type))
        };
    }
    match column.column_type {
        ColumnType::Boolean => {
            let read = if is_told { value::told_boolean } else { value::boolean };
            Arc::new(values(cells, read, note).collect::<BooleanArray>())
        }
        ColumnType::Int64 => Arc::new(column!(Int64Type, number::int64, |text| number::told_int64(text, point))),
        ColumnType::Float64 => Arc::new(column!(Float64Type, |text| number::float64(text, notation), |text| {
            number::told_float64(text, point)
        })),
        ColumnType::Decimal { precision, scale } => {
            Arc::new(column!(Decimal128Type, |text| number::decimal(text, notation, precision, scale), |text| {
                number::told_decimal(text, point, precision, scale)
            }))
        }
        ColumnType::Date32 => {
            Arc::new(column!(Date32Type, |text| moment::date(text, format), |text| moment::told_date(text, format)))
        }
        ColumnType::Timestamp => {
            Arc::new(column!(TimestampMicrosecondType, |text| moment::timestamp(text, format), |text| {
                moment::told_timestamp(text, format)
            }))
        }
        ColumnType::TimestampUtc => {
            Arc::new(column!(TimestampMicrosecondType, |text| moment::timestamp_utc(text, format), |text| {
                moment::told_timestamp(text, format)
            }))
        }
        ColumnType::Utf8 => Arc::new(
            texts(cells)
                .unwrap_or_else(|| values(cells, |text| std::str::from_utf8(text).ok(), note).collect::<StringArray>()),
        ),
    }
}

/// A column of text; `None` where not all of it is UTF-8. That is told of all values at once, which is quick.
fn texts<'a>(cells: &Cells<impl Fn(usize) -> Cell<'a>, impl Fn(&[u8]) -> bool>) -> Option<StringArray> {
    let length = |cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
    let mut text = Vec::with_capacity(cells.iter().map(length).sum());
    let mut ends = Vec::with_capacity(cells.rows + 1);
    let mut nulls = NullBufferBuilder::new(cells.rows);
    ends.push(0);
    for cell in cells.iter() {
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

fn primitive<'a, T: ArrowPrimitiveType>(
    cells: &Cells<impl Fn(usize) -> Cell<'a>, impl Fn(&[u8]) -> bool>,
    read: impl Fn(&'a [u8]) -> Option<T::Native>,
    note: impl FnMut(usize, &'a [u8]),
) -> PrimitiveArray<T> {
    let mut numbers = Vec::with_capacity(cells.rows);
    let mut nulls = NullBufferBuilder::new(cells.rows);
    for value in values(cells, read, note) {
        nulls.append(value.is_some());
        numbers.push(value.unwrap_or_default());
    }
    PrimitiveArray::new(numbers.into(), nulls.finish())
}

/// The values of a column; what cannot be read is null, and noted.
fn values<'a, V>(
    cells: &Cells<impl Fn(usize) -> Cell<'a>, impl Fn(&[u8]) -> bool>,
    read: impl Fn(&'a [u8]) -> Option<V>,
    mut note: impl FnMut(usize, &'a [u8]),
) -> impl Iterator<Item = Option<V>> {
    cells.iter().enumerate().map(move |(row, cell)| match cell {
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
