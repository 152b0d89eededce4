//! Values that do not fit their column.

use shared::{Column, ColumnType};

use super::cell::ColumnRef;
use crate::records::span::Span;
use crate::value;

/// What is noted of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// It does not fit its column.
    Invalid(&'a [u8]),
    /// It has digits that its value does not have.
    Shortened,
}

/// Values that do not fit their column; of each row the one in the first column. Also those that lost digits.
#[derive(Debug, Default)]
pub(crate) struct InvalidValues {
    nulls_instead: bool,
    /// By row, which of those that are noted is its own, counted from 1; 0 for none.
    by_row: Vec<u32>,
    pub(crate) noted: Vec<InvalidValue>,
    /// What is shown of them.
    shown: String,
    /// The row of each value that lost digits.
    shortened: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct InvalidValue {
    pub(crate) column: u32,
    /// Where its text is among those that are shown; none for one that is not text.
    pub(crate) text: Option<Span>,
}

impl InvalidValues {
    /// None yet; with `nulls_instead` none are ever noted, since they become null.
    pub(crate) fn new(nulls_instead: bool) -> Self {
        Self { nulls_instead, ..Self::default() }
    }

    /// Notes a text of a row.
    pub(crate) fn note(&mut self, row: usize, place: ColumnRef<'_>, note: Note<'_>) {
        match note {
            Note::Invalid(text) => self.note_invalid(row, place, text),
            Note::Shortened => self.shortened.extend(u32::try_from(row)),
        }
    }

    /// How many values lost digits, of rows that are taken.
    pub(crate) fn shortened(&self) -> u64 {
        let is_taken = |row: &&u32| usize::try_from(**row).is_ok_and(|row| self.of_row(row).is_none());
        u64::try_from(self.shortened.iter().filter(is_taken).count()).unwrap_or(u64::MAX)
    }

    fn note_invalid(&mut self, row: usize, (index, _): ColumnRef<'_>, text: &[u8]) {
        let column = u32::try_from(index).unwrap_or(u32::MAX);
        if self.nulls_instead || self.of_row(row).is_some_and(|value| value.column <= column) {
            return;
        }
        let start = self.shown.len();
        let text = value::shown(text).map(|shown| {
            self.shown.push_str(&shown);
            Span::new(start, self.shown.len())
        });
        self.noted.push(InvalidValue { column, text });
        if self.by_row.len() <= row {
            self.by_row.resize(row + 1, 0);
        }
        if let Some(number) = self.by_row.get_mut(row) {
            *number = u32::try_from(self.noted.len()).unwrap_or(u32::MAX);
        }
    }

    pub(crate) fn of_row(&self, row: usize) -> Option<InvalidValue> {
        let number = self.by_row.get(row)?.checked_sub(1)?;
        self.noted.get(usize::try_from(number).ok()?).copied()
    }

    pub(crate) fn shown(&self, value: InvalidValue) -> Option<&str> {
        let text = value.text?;
        self.shown.get(text.start()..text.end())
    }
}

pub(crate) fn reason(shown: Option<&str>, column: &Column) -> String {
    let Some(shown) = shown else {
        return value::UNDECODABLE.to_owned();
    };
    let date = column.date_format;
    let what = match column.column_type {
        ColumnType::Boolean => "neither true nor false".to_owned(),
        ColumnType::Int64 => "not an integer of 64 bits".to_owned(),
        ColumnType::Float64 => "not a number that double precision holds without loss".to_owned(),
        ColumnType::Decimal { precision, scale } => {
            format!("not a number of at most {precision} digits, {scale} of them after the point")
        }
        ColumnType::Date32 => format!("not a date as {date}"),
        ColumnType::Timestamp => format!("not a timestamp as {date} HH:MM:SS"),
        ColumnType::TimestampUtc => format!("not a timestamp with zone as {date} HH:MM:SS+HH:MM"),
        ColumnType::Utf8 => "not valid UTF-8".to_owned(),
    };
    format!("'{shown}' is {what}")
}
