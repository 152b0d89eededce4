//! Types of columns, from the values they hold.

mod fractions;

use shared::{Column, ColumnType, CsvPolicy, DECIMAL_DIGITS, DateFormat, TypeOrigin, TypedColumn};

use crate::column::reader::{is_null, notation};
use crate::csv::record::Records;
use crate::value::moment::{Moment, MomentKind};
use crate::value::number::{Notation, float64, int64, places};
use crate::value::{AMBIGUOUS_WORDS, boolean, shown, unpadded};
use fractions::Fractions;

/// How a value stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// A field of a CSV, which can be anything.
    Field(Notation),
    /// A JSON string: no number, whatever its letters are.
    Quoted,
    /// Any other JSON value: no date.
    Bare(Notation),
}

/// Types in the order of preference, a decimal's places aside; text is what remains.
const KINDS: [&str; 7] = ["boolean", "int64", "float64", "decimal", "date", "timestamp", "timestamp_utc"];
const BOOLEAN: usize = 0;
const INT64: usize = 1;
const FLOAT64: usize = 2;
const DECIMAL: usize = 3;
const DATE: usize = 4;
const TIMESTAMP: usize = 5;
const TIMESTAMP_UTC: usize = 6;

/// What the values of one column can be, and what speaks against each type that they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    values: u64,
    nulls: u64,
    /// The first value.
    example: Option<String>,
    /// By type, the first value that is none of it.
    against: [Option<String>; KINDS.len()],
    /// Formats in which every value begins with a date.
    formats: Vec<DateFormat>,
    /// Most digits before the point, and digits after it.
    places: (u8, u8),
    /// How the numbers of a CSV are written.
    fractions: Fractions,
    /// Whether a word was taken for null that may be a value, and one that may not.
    has_ambiguous_word: bool,
    has_null_word: bool,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            values: 0,
            nulls: 0,
            example: None,
            against: Default::default(),
            formats: DateFormat::ALL.to_vec(),
            places: (0, 0),
            fractions: Fractions::default(),
            has_ambiguous_word: false,
            has_null_word: false,
        }
    }
}

/// What is to be made of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finding {
    column_type: ColumnType,
    date_format: DateFormat,
}

impl Evidence {
    /// Values that were seen, nulls not counted.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Nulls that were seen.
    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    /// Whether words were taken for null, rather than empty fields alone.
    pub fn has_null_words(&self) -> bool {
        self.has_ambiguous_word || self.has_null_word
    }

    /// The first value that was seen.
    pub fn example(&self) -> Option<&str> {
        self.example.as_deref()
    }

    /// The types that the column has not, each with the first value that is none of it.
    pub fn against(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KINDS.into_iter().zip(&self.against).filter_map(|(kind, value)| Some((kind, value.as_deref()?)))
    }

    /// The date formats that all values have, where that is more than one: so that it is not known whether day or month comes first.
    pub fn ambiguous_dates(&self) -> Option<[DateFormat; 2]> {
        match self.formats.as_slice() {
            [one, other] if self.values > 0 => Some([*one, *other]),
            _ => None,
        }
    }

    /// Whether the values look like numbers, and may be codes or thousands.
    pub fn has_doubtful_numbers(&self) -> bool {
        self.values > 0 && (self.is_possible(FLOAT64) || self.is_possible(DECIMAL)) && self.fractions.are_doubtful()
    }

    /// Notes that all other records have no value.
    pub(crate) fn count_records(&mut self, records: u64) {
        self.nulls = records.saturating_sub(self.values);
    }

    /// Notes a text that means null.
    pub(crate) fn observe_null(&mut self, text: &[u8]) {
        self.nulls += 1;
        let is_ambiguous = AMBIGUOUS_WORDS.iter().any(|word| word.as_bytes() == text);
        self.has_ambiguous_word |= is_ambiguous;
        self.has_null_word |= !is_ambiguous && !text.is_empty();
    }

    pub(crate) fn observe(&mut self, text: &[u8], written: Written) {
        self.values += 1;
        if self.example.is_none() {
            self.example = Some(example(text));
        }
        let (plain, quoted) = match written {
            Written::Field(notation) => (Some(notation), true),
            Written::Quoted => (None, true),
            Written::Bare(notation) => (Some(notation), false),
        };
        self.hold(BOOLEAN, text, |_| plain.is_some() && boolean(text).is_some());
        self.hold(INT64, text, |_| plain.is_some() && int64(text.into()).is_some());
        self.hold(FLOAT64, text, |_| plain.is_some_and(|notation| float64(text.into(), notation).is_some()));
        self.hold(DECIMAL, text, |evidence| {
            plain.and_then(|notation| places(text, notation)).is_some_and(|places| evidence.add_places(places))
        });
        if let Written::Field(notation) = written {
            self.fractions.observe(text, notation.point);
        }
        let mut kind = None;
        // An empty string is not a date, and null where dates are given.
        if !text.is_empty() {
            self.formats.retain(|format| {
                let read = Moment::read(text, *format).map(Moment::kind);
                kind = kind.or(read);
                read.is_some()
            });
        }
        let kind = kind.filter(|_| quoted);
        self.hold(DATE, text, |_| kind == Some(MomentKind::Date));
        self.hold(TIMESTAMP, text, |_| kind == Some(MomentKind::Timestamp));
        self.hold(TIMESTAMP_UTC, text, |_| kind == Some(MomentKind::TimestampUtc));
    }

    /// Notes that `text` speaks against a type, unless something did before.
    fn hold(&mut self, kind: usize, text: &[u8], fits: impl FnOnce(&mut Self) -> bool) {
        if self.is_possible(kind) && !fits(self) {
            self.refute(kind, example(text));
        }
    }

    fn is_possible(&self, kind: usize) -> bool {
        self.against.get(kind).is_some_and(Option::is_none)
    }

    fn refute(&mut self, kind: usize, text: String) {
        if let Some(against) = self.against.get_mut(kind) {
            against.get_or_insert(text);
        }
    }

    /// Takes a value with such places among those of one decimal type. Fractions must be equally long, integers aside: where
    /// they are not, a later one may well be longer.
    fn add_places(&mut self, (whole, fraction): (u8, u8)) -> bool {
        let (most, scale) = self.places;
        let is_scale = scale == fraction || scale == 0 || fraction == 0;
        let (whole, scale) = (most.max(whole), scale.max(fraction));
        let fits = is_scale && whole + scale <= DECIMAL_DIGITS;
        if fits {
            self.places = (whole, scale);
        }
        fits
    }

    /// Evidence of values that are text and nothing else.
    pub(crate) fn of_text() -> Self {
        let against = std::array::from_fn(|_| Some(String::new()));
        Self { values: 1, against, formats: Vec::new(), ..Self::default() }
    }

    /// Whether there are values that no type but text has. A column of nulls alone is not known to be text, unless the
    /// nulls may be values.
    fn is_text(&self) -> bool {
        let is_known = self.values > 0 || (self.has_ambiguous_word && !self.has_null_word);
        is_known && self.finding().column_type == ColumnType::Utf8
    }

    /// What both allow.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.has_ambiguous_word |= other.has_ambiguous_word;
        self.has_null_word |= other.has_null_word;
        self.fractions.merge(&other.fractions);
        if other.values == 0 {
            return;
        }
        for (kind, against) in other.against.iter().enumerate() {
            if let Some(text) = against {
                self.refute(kind, text.clone());
            }
        }
        let example = other.example.clone().unwrap_or_default();
        if self.is_possible(DECIMAL) && !self.add_places(other.places) {
            self.refute(DECIMAL, example.clone());
        }
        self.formats.retain(|format| other.formats.contains(format));
        if self.formats.is_empty() {
            for kind in [DATE, TIMESTAMP, TIMESTAMP_UTC] {
                self.refute(kind, example.clone());
            }
        }
        self.values += other.values;
        self.example = self.example.take().or(Some(example));
    }

    /// The first type that every value is one of; text where there is none, and where there are no values.
    fn finding(&self) -> Finding {
        let date_format = match self.formats.as_slice() {
            [DateFormat::Digits] => None,
            [format] => Some(*format),
            _ => None,
        };
        let of_dates = |column_type| Some(Finding { column_type, date_format: date_format? });
        let plain = |column_type| Some(Finding { column_type, date_format: DateFormat::default() });
        let (_, scale) = self.places;
        let is_doubtful = self.fractions.are_doubtful();
        let kinds = [
            plain(ColumnType::Boolean),
            plain(ColumnType::Int64),
            plain(ColumnType::Float64).filter(|_| !is_doubtful),
            plain(ColumnType::Decimal { precision: DECIMAL_DIGITS, scale }).filter(|_| !is_doubtful),
            of_dates(ColumnType::Date32),
            of_dates(ColumnType::Timestamp),
            of_dates(ColumnType::TimestampUtc),
        ];
        let mut possible = kinds.into_iter().zip(&self.against).filter(|(_, against)| against.is_none());
        let first = possible.find_map(|(finding, _)| finding).filter(|_| self.values > 0);
        first.unwrap_or(Finding { column_type: ColumnType::Utf8, date_format: DateFormat::default() })
    }

    /// Gives a column the type that was given, or the one that its values have.
    ///
    /// The error says why that cannot be.
    pub(crate) fn settle(
        &self,
        column: &mut Column,
        told: Option<(&TypedColumn, TypeOrigin)>,
        null_words_set: bool,
    ) -> Result<(), String> {
        let Some((told, origin)) = told else {
            let Finding { column_type, date_format } = self.finding();
            (column.column_type, column.date_format, column.origin) = (column_type, date_format, TypeOrigin::Inferred);
            column.null_words = null_words_set || !self.is_text();
            return Ok(());
        };
        column.column_type = told.column_type;
        column.origin = origin;
        column.null_words = null_words_set || told.column_type != ColumnType::Utf8;
        column.date_format = match (told.date_format, self.ambiguous_dates()) {
            (Some(format), _) => format,
            (None, Some([one, other])) if told.column_type.has_dates() => {
                let value = self.example.as_deref().unwrap_or_default();
                return Err(format!("dates such as '{value}' may be {one} or {other}"));
            }
            (None, _) => self.formats.first().filter(|_| self.values > 0).copied().unwrap_or_default(),
        };
        Ok(())
    }
}

fn example(text: &[u8]) -> String {
    shown(text).unwrap_or_else(|| "bytes that are not UTF-8".to_owned())
}

/// What the values in a piece of text can be, column by column; records that would be rejected whatever their types have
/// no say. `strict` gives no evidence at all when a record has the wrong number of fields: a sample from the middle of a
/// file may begin inside a quoted field and be read wrongly.
pub(crate) fn observe_csv(text: &[u8], csv: &CsvPolicy, ends_open: bool, strict: bool) -> Vec<Evidence> {
    let nothing = vec![Evidence::default(); csv.columns.len()];
    let mut evidence = nothing.clone();
    let written = Written::Field(notation(csv));
    let mut records = Records::new(text, csv);
    while let Some(record) = records.next() {
        if ends_open && record.end >= text.len() {
            break;
        }
        if record.spans.len() != csv.columns.len() {
            if strict {
                return nothing;
            }
            continue;
        }
        if std::str::from_utf8(text.get(record.start..record.end).unwrap_or_default()).is_err() {
            continue;
        }
        for ((evidence, column), field) in evidence.iter_mut().zip(&csv.columns).zip(record.fields()) {
            // A null word says nothing about the other values.
            let unpadded = unpadded(field);
            if is_null(unpadded, csv, column) {
                evidence.observe_null(unpadded);
            } else {
                evidence.observe(unpadded, written);
            }
        }
    }
    evidence
}

#[cfg(test)]
mod tests;
