//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use shared::{BadRecords, Column, ColumnType, CsvPolicy};

use crate::fields::Fields;
use crate::quarantine::Reject;
use crate::records::Block;
use crate::value;

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

/// Schema of the rows of a CSV source.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, data_type(column.column_type), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
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

/// Decodes a block.
pub(crate) fn decode(
    block: &Block,
    csv: &CsvPolicy,
    schema: &SchemaRef,
    bad_records: BadRecords,
    max_record_bytes: u64,
) -> Result<Decoded, ArrowError> {
    let max_record_bytes = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    let mut fields = Fields::read(block, csv, max_record_bytes);
    let mut misfits = Misfits { by_row: BTreeMap::new(), nulls_instead: bad_records == BadRecords::Null };
    let columns: Vec<ArrayRef> = csv
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| decode_column(&fields, csv, index, column, &mut misfits))
        .collect();
    let rows = RecordBatch::try_new(Arc::clone(schema), columns)?;
    let rejects = misfits.by_row.iter().filter_map(|(row, misfit)| {
        let column = csv.columns.get(misfit.column).map(|column| column.name.clone());
        Some(fields.rows.get(*row)?.reject(block, &csv.dialect, column, misfit.reason.clone()))
    });
    let rejects: Vec<Reject> = rejects.collect();
    let rows = if rejects.is_empty() {
        rows
    } else {
        let taken = (0..fields.rows.len()).map(|row| Some(!misfits.by_row.contains_key(&row)));
        filter_record_batch(&rows, &taken.collect::<BooleanArray>())?
    };
    fields.rejects.extend(rejects);
    fields.rejects.sort_by_key(|reject| reject.record);
    Ok(Decoded { rows, records: fields.records, rejects: fields.rejects })
}

/// Values that do not fit their column; of each row the first.
struct Misfits {
    by_row: BTreeMap<usize, Misfit>,
    nulls_instead: bool,
}

struct Misfit {
    column: usize,
    reason: String,
}

impl Misfits {
    fn note(&mut self, row: usize, column: usize, text: &[u8], column_type: ColumnType) {
        if self.nulls_instead {
            return;
        }
        self.by_row.entry(row).or_insert_with(|| Misfit { column, reason: reason(text, column_type) });
    }
}

fn reason(text: &[u8], column_type: ColumnType) -> String {
    const SHOWN: usize = 60;
    let Ok(text) = std::str::from_utf8(text) else {
        return "the text is not valid UTF-8, or not valid in the file's encoding".to_owned();
    };
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let what = match column_type {
        ColumnType::Boolean => "neither true nor false",
        ColumnType::Int64 => "not an integer of 64 bits",
        ColumnType::Float64 => "not a number that double precision holds without loss",
        ColumnType::Date32 => "not a date such as 2013-01-31",
        ColumnType::Timestamp => "not a timestamp such as 2013-01-31 12:00:00",
        ColumnType::TimestampUtc => "not a timestamp with zone such as 2013-01-31T12:00:00Z",
        ColumnType::Utf8 => "not valid UTF-8",
    };
    format!("'{shown}' is {what}")
}

/// Decodes one column: a builder, and the function that reads one value.
fn decode_column(fields: &Fields, csv: &CsvPolicy, index: usize, column: &Column, misfits: &mut Misfits) -> ArrayRef {
    let column_type = column.column_type;
    macro_rules! column {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for (row, text) in fields.column(index).enumerate() {
                if is_null(text, csv, column) {
                    builder.append_null();
                } else if let Some(value) = $parse(text) {
                    builder.append_value(value);
                } else {
                    misfits.note(row, index, text, column_type);
                    builder.append_null();
                }
            }
            Arc::new(builder.finish())
        }};
    }
    let rows = fields.rows.len();
    match column_type {
        ColumnType::Boolean => column!(BooleanBuilder::with_capacity(rows), value::boolean),
        ColumnType::Int64 => column!(Int64Builder::with_capacity(rows), value::int64),
        ColumnType::Float64 => column!(Float64Builder::with_capacity(rows), value::float64),
        ColumnType::Date32 => column!(Date32Builder::with_capacity(rows), value::date32),
        ColumnType::Timestamp => column!(TimestampMicrosecondBuilder::with_capacity(rows), value::timestamp),
        ColumnType::TimestampUtc => {
            let builder = TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC");
            column!(builder, value::timestamp_utc)
        }
        ColumnType::Utf8 => {
            let bytes = fields.column(index).map(<[u8]>::len).sum();
            column!(StringBuilder::with_capacity(rows, bytes), |text| std::str::from_utf8(text).ok())
        }
    }
}
