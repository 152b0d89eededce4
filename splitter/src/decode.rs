//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use shared::{BadRecords, Column, ColumnType, CsvPolicy};

use crate::batch::Batch;
use crate::column::{self, Nulls, Place, Reader};
use crate::fields::{Fields, Rows};
use crate::json::Objects;
use crate::record::{Span, byte};
use crate::record_format::RecordFormat;
use crate::records::Block;
use crate::rejects::Rejects;
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
    pub(crate) rejects: Rejects,
    /// Values of the rows that lost digits.
    pub(crate) shortened: u64,
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
    let mut misfits = Misfits { nulls_instead: bad_records == BadRecords::Null, ..Misfits::default() };
    let (read, columns) = match format {
        RecordFormat::Csv(csv) => {
            let mut fields = Fields::new(block, csv, max_record_bytes);
            let reader = |column| Reader { column, notation: notation(csv), nulls: Nulls::of(csv, column) };
            let columns = column::decode(&mut fields, csv.columns.iter().map(reader), &mut misfits);
            (fields.into_rows(), columns)
        }
        RecordFormat::Ndjson(json) => Objects::read(block, json, max_record_bytes).decode(&mut misfits),
    };
    let Rows { taken: read, records, mut rejects } = read;
    let mut rows = Batch { columns, rows: read.len() };
    let shortened = misfits.shortened();
    if !misfits.noted.is_empty() {
        let taken = (0..read.len()).map(|row| Some(misfits.of_row(row).is_none()));
        rows = rows.filter(&taken.collect())?;
        rejects = rejects.merged((0..).zip(&read).filter_map(|(number, row)| {
            let misfit = misfits.of_row(number)?;
            let column = format.columns().get(usize::try_from(misfit.column).ok()?)?;
            let fault = (Some(column.name.clone()), reason(misfits.shown(misfit), column));
            Some((row.record(), row.place(block, format.dialect()), fault))
        }));
    }
    if rejects.len() == 0 {
        // So that they hold the block's text no longer.
        rejects = Rejects::default();
    }
    Ok(Decoded { rows, records, rejects, shortened })
}

/// What is noted of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// It does not fit its column.
    Misfit(&'a [u8]),
    /// It has digits that its value does not have.
    Shortened,
}

/// Values that do not fit their column; of each row the one in the first column. Also those that lost digits.
#[derive(Debug, Default)]
pub(crate) struct Misfits {
    nulls_instead: bool,
    /// By row, which of those that are noted is its own, counted from 1; 0 for none.
    by_row: Vec<u32>,
    noted: Vec<Misfit>,
    /// What is shown of them.
    shown: String,
    /// The row of each value that lost digits.
    shortened: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Misfit {
    column: u32,
    /// Where its text is among those that are shown; none for one that is no text.
    text: Option<Span>,
}

impl Misfits {
    /// Notes a text of a row.
    pub(crate) fn note(&mut self, row: usize, place: Place<'_>, note: Note<'_>) {
        match note {
            Note::Misfit(text) => self.note_misfit(row, place, text),
            Note::Shortened => self.shortened.extend(u32::try_from(row)),
        }
    }

    /// How many values lost digits, of rows that are taken.
    fn shortened(&self) -> u64 {
        let is_taken = |row: &&u32| usize::try_from(**row).is_ok_and(|row| self.of_row(row).is_none());
        u64::try_from(self.shortened.iter().filter(is_taken).count()).unwrap_or(u64::MAX)
    }

    fn note_misfit(&mut self, row: usize, (index, _): Place<'_>, text: &[u8]) {
        let column = u32::try_from(index).unwrap_or(u32::MAX);
        if self.nulls_instead || self.of_row(row).is_some_and(|misfit| misfit.column <= column) {
            return;
        }
        let start = self.shown.len();
        let text = value::shown(text).map(|shown| {
            self.shown.push_str(&shown);
            Span::new(start, self.shown.len())
        });
        self.noted.push(Misfit { column, text });
        if self.by_row.len() <= row {
            self.by_row.resize(row + 1, 0);
        }
        if let Some(number) = self.by_row.get_mut(row) {
            *number = u32::try_from(self.noted.len()).unwrap_or(u32::MAX);
        }
    }

    fn of_row(&self, row: usize) -> Option<Misfit> {
        let number = self.by_row.get(row)?.checked_sub(1)?;
        self.noted.get(usize::try_from(number).ok()?).copied()
    }

    fn shown(&self, misfit: Misfit) -> Option<&str> {
        let text = misfit.text?;
        self.shown.get(text.start()..text.end())
    }
}

fn reason(shown: Option<&str>, column: &Column) -> String {
    let Some(shown) = shown else {
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
