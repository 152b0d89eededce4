//! Types of columns, from the values they hold.

use shared::{ColumnType, CsvPolicy};

use crate::decode::is_null;
use crate::fields::Records;
use crate::value;

/// Types in the order of preference; text is what remains.
const TYPES: [ColumnType; 6] = [
    ColumnType::Boolean,
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::Date32,
    ColumnType::Timestamp,
    ColumnType::TimestampUtc,
];

/// What the values of one column can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    possible: [bool; TYPES.len()],
    values: u64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { possible: [true; TYPES.len()], values: 0 }
    }
}

impl Evidence {
    fn observe(&mut self, text: &[u8]) {
        self.values += 1;
        for (possible, column_type) in self.possible.iter_mut().zip(TYPES) {
            *possible = *possible && value::is_a(column_type, text);
        }
    }

    /// Evidence of values that are text and nothing else.
    pub(crate) fn of_text() -> Self {
        Self { possible: [false; TYPES.len()], values: 1 }
    }

    /// Whether there are values that no type but text has. A column of nulls alone is not known to be text.
    pub(crate) fn is_text(&self) -> bool {
        self.values > 0 && self.column_type() == ColumnType::Utf8
    }

    /// What both allow.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.values += other.values;
        for (possible, other) in self.possible.iter_mut().zip(other.possible) {
            *possible = *possible && other;
        }
    }

    /// The first type that every value is one of; text where there is none, and where there are no values.
    pub(crate) fn column_type(&self) -> ColumnType {
        let first = self.possible.iter().zip(TYPES).find(|(possible, _)| **possible);
        first.filter(|_| self.values > 0).map_or(ColumnType::Utf8, |(_, column_type)| column_type)
    }
}

/// What the values in a piece of text can be, column by column; records that would be rejected whatever their types have
/// no say. `strict` gives no evidence at all when a record has the wrong number of fields: a sample from the middle of a
/// file may begin inside a quoted field and be read wrongly.
pub(crate) fn observe(text: &[u8], csv: &CsvPolicy, ends_open: bool, strict: bool) -> Vec<Evidence> {
    let nothing = vec![Evidence::default(); csv.columns.len()];
    let mut evidence = nothing.clone();
    let mut records = Records::new(text, csv);
    while let Some(record) = records.next() {
        if ends_open && record.end >= text.len() {
            break;
        }
        if record.fields.len() != csv.columns.len() {
            if strict {
                return nothing;
            }
            continue;
        }
        if std::str::from_utf8(record.fields.as_slice()).is_err() {
            continue;
        }
        for ((evidence, column), field) in evidence.iter_mut().zip(&csv.columns).zip(record.fields) {
            // A null word says nothing about the other values.
            if !is_null(field, csv, column) {
                evidence.observe(field);
            }
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column_type(values: &[&str]) -> ColumnType {
        let mut evidence = Evidence::default();
        for value in values {
            evidence.observe(value.as_bytes());
        }
        evidence.column_type()
    }

    #[test]
    fn the_first_type_that_fits_all_values() {
        for (values, expected) in [
            (&[][..], ColumnType::Utf8),
            (&["1", "-2"], ColumnType::Int64),
            (&["1", "2.5"], ColumnType::Float64),
            (&["1", "00123"], ColumnType::Utf8),
            (&["1", "9223372036854775808"], ColumnType::Utf8),
            (&["9007199254740993", "2.5"], ColumnType::Utf8),
            (&["true", "FALSE"], ColumnType::Boolean),
            (&["true", "1"], ColumnType::Utf8),
            (&["2013-01-01"], ColumnType::Date32),
            (&["2013-01-01", "2013-01-01 10:00:00"], ColumnType::Utf8),
            (&["2013-01-01 10:00:00"], ColumnType::Timestamp),
            (&["2013-01-01T10:00:00Z"], ColumnType::TimestampUtc),
            (&["2013-01-01T10:00:00Z", "2013-01-01T10:00:00"], ColumnType::Utf8),
        ] {
            assert_eq!(column_type(values), expected, "{values:?}");
        }
    }

    #[test]
    fn merging_is_observing_together() {
        let mut first = Evidence::default();
        first.observe(b"1");
        let mut second = Evidence::default();
        second.observe(b"2.5");
        first.merge(&second);
        assert_eq!(first.column_type(), ColumnType::Float64);
        first.merge(&Evidence::default());
        assert_eq!(first.column_type(), ColumnType::Float64);
    }
}
