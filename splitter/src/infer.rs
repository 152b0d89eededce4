//! Types of columns, from the values they hold.

use shared::{Column, ColumnType, CsvPolicy, DECIMAL_DIGITS, DateFormat, ToldColumn, TypeOrigin};

use crate::decode::{is_null, notation};
use crate::fields::Records;
use crate::value::moment::{Moment, MomentKind};
use crate::value::number::{Notation, float64, int64, places};
use crate::value::{boolean, shown};

/// How a value stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "JSON is not read yet"))]
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
    /// Most digits before the point, and digits behind it.
    places: (u8, u8),
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

    /// The first value that was seen.
    pub fn example(&self) -> Option<&str> {
        self.example.as_deref()
    }

    /// The types that the column has not, each with the first value that is none of it.
    pub fn against(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KINDS.into_iter().zip(&self.against).filter_map(|(kind, value)| Some((kind, value.as_deref()?)))
    }

    /// The date formats that all values have, where that is more than one: whether day or month comes first cannot be told.
    pub fn ambiguous_dates(&self) -> Option<[DateFormat; 2]> {
        match self.formats.as_slice() {
            [one, other] if self.values > 0 => Some([*one, *other]),
            _ => None,
        }
    }

    pub(crate) fn observe_null(&mut self) {
        self.nulls += 1;
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
        self.hold(INT64, text, |_| plain.is_some() && int64(text).is_some());
        self.hold(FLOAT64, text, |_| plain.is_some_and(|notation| float64(text, notation).is_some()));
        self.hold(DECIMAL, text, |evidence| {
            plain.and_then(|notation| places(text, notation)).is_some_and(|places| evidence.add_places(places))
        });
        if !self.formats.is_empty() {
            self.formats.retain(|format| quoted && Moment::read(text, *format).is_some());
        }
        let kind = self.formats.first().and_then(|format| Moment::read(text, *format)).map(Moment::kind);
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

    /// Whether there are values that no type but text has. A column of nulls alone is not known to be text.
    fn is_text(&self) -> bool {
        self.values > 0 && self.finding().column_type == ColumnType::Utf8
    }

    /// What both allow.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
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
        let kinds = [
            plain(ColumnType::Boolean),
            plain(ColumnType::Int64),
            plain(ColumnType::Float64),
            plain(ColumnType::Decimal { precision: DECIMAL_DIGITS, scale }),
            of_dates(ColumnType::Date32),
            of_dates(ColumnType::Timestamp),
            of_dates(ColumnType::TimestampUtc),
        ];
        let mut possible = kinds.into_iter().zip(&self.against).filter(|(_, against)| against.is_none());
        let first = possible.find_map(|(finding, _)| finding).filter(|_| self.values > 0);
        first.unwrap_or(Finding { column_type: ColumnType::Utf8, date_format: DateFormat::default() })
    }

    /// Gives a column the type that was told, or the one that its values have.
    ///
    /// The error says why that cannot be.
    pub(crate) fn settle(
        &self,
        column: &mut Column,
        told: Option<(&ToldColumn, TypeOrigin)>,
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
pub(crate) fn observe(text: &[u8], csv: &CsvPolicy, ends_open: bool, strict: bool) -> Vec<Evidence> {
    let nothing = vec![Evidence::default(); csv.columns.len()];
    let mut evidence = nothing.clone();
    let written = Written::Field(notation(csv));
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
            if is_null(field, csv, column) {
                evidence.observe_null();
            } else {
                evidence.observe(field, written);
            }
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::moment::{date, timestamp, timestamp_utc};
    use crate::value::number::decimal;

    const CSV: Written = Written::Field(Notation { point: b'.', bare_exponents: false });
    const JSON: Written = Written::Bare(Notation { point: b'.', bare_exponents: true });

    fn evidence(values: &[&str], written: Written) -> Evidence {
        let mut evidence = Evidence::default();
        for value in values {
            evidence.observe(value.as_bytes(), written);
        }
        evidence
    }

    /// The type, with the format of its dates where that is not ISO.
    fn found(evidence: &Evidence) -> String {
        let Finding { column_type, date_format } = evidence.finding();
        match date_format {
            DateFormat::Iso => column_type.to_string(),
            format => format!("{column_type} {format}"),
        }
    }

    #[test]
    fn the_first_type_that_fits_all_values() {
        for (values, expected) in [
            (&[][..], "text"),
            (&["1", "-2"], "int64"),
            (&["1", "2.5"], "float64"),
            (&["1.10", "2.25"], "float64"),
            (&["1", "00123"], "text"),
            (&["+491701234567"], "text"),
            (&["1e5", "2"], "text"),
            (&["1", "9223372036854775808"], "decimal(38,0)"),
            (&["1", "1".repeat(39).as_str()], "text"),
            (&["9007199254740993", "2.5"], "decimal(38,1)"),
            (&["1234567890123456.78", "0.10", "7"], "decimal(38,2)"),
            (&["1234567890123456.78", "0.1"], "text"),
            (&["0.10000000000000001", "2.5"], "text"),
            (&["true", "FALSE"], "boolean"),
            (&["true", "1"], "text"),
            (&["t", "f"], "text"),
            (&["2013-01-01"], "date"),
            (&["2013-01-01", "2013-01-01 10:00:00"], "text"),
            (&["2013-01-01 10:00:00"], "timestamp"),
            (&["2013-01-01T10:00:00Z"], "timestamp_utc"),
            (&["2013-01-01T10:00:00Z", "2013-01-01T10:00:00"], "text"),
            (&["2013-01-01T10:00:00.1234567"], "text"),
            (&["2013/01/31", "2013/1/1"], "date YYYY/MM/DD"),
            (&["01.02.2013"], "date DD.MM.YYYY"),
            (&["01/02/2013", "13/02/2013"], "date DD/MM/YYYY"),
            (&["01/02/2013", "02/13/2013"], "date MM/DD/YYYY"),
            (&["01/02/2013"], "text"),
            (&["13/02/2013", "02/13/2013"], "text"),
            (&["13/02/2013 9:05", "01/02/2013 10:00:00 PM"], "timestamp DD/MM/YYYY"),
            (&["13-02-2013 10:00:00+02:00"], "timestamp_utc DD-MM-YYYY"),
            (&["31-JAN-2013"], "date DD-MON-YYYY"),
            (&["20130131"], "int64"),
            (&["20130131 10:00:00"], "text"),
        ] {
            assert_eq!(found(&evidence(values, CSV)), expected, "{values:?}");
        }
    }

    #[test]
    fn in_json_quotes_tell_numbers_from_names() {
        for (values, written, expected) in [
            (&["1", "2"][..], JSON, "int64"),
            (&["1", "2"], Written::Quoted, "text"),
            (&["1e5", "1E-7"], JSON, "float64"),
            (&["true"], JSON, "boolean"),
            (&["true"], Written::Quoted, "text"),
            (&["2013-01-01"], Written::Quoted, "date"),
            (&["[1]"], JSON, "text"),
        ] {
            assert_eq!(found(&evidence(values, written)), expected, "{values:?} {written:?}");
        }
    }

    #[test]
    fn merging_is_observing_together() {
        for (first, second, expected) in [
            (&["1"][..], &["2.5"][..], "float64"),
            (&["1"], &[], "int64"),
            (&[], &["1"], "int64"),
            (&["1234567890123456.78"], &["12345678901234567890.1"], "text"),
            (&["12345678901234567890.12"], &["5"], "decimal(38,2)"),
            (&["01/02/2013"], &["13/02/2013"], "date DD/MM/YYYY"),
            (&["13/02/2013"], &["02/13/2013"], "text"),
            (&["2013-01-01"], &["2013-01-01 10:00"], "text"),
        ] {
            let mut merged = evidence(first, CSV);
            merged.merge(&evidence(second, CSV));
            assert_eq!(found(&merged), expected, "{first:?} {second:?}");
            let together: Vec<&str> = first.iter().chain(second).copied().collect();
            assert_eq!(found(&evidence(&together, CSV)), expected, "{together:?}");
        }
    }

    #[test]
    fn what_speaks_against_a_type_is_kept() {
        let evidence = evidence(&["1", "2.5", "x", "y"], CSV);
        let against: Vec<String> = evidence.against().map(|(kind, value)| format!("{kind}: {value}")).collect();
        insta::assert_snapshot!(
            against.join("; "),
            @"boolean: 1; int64: 2.5; float64: x; decimal: x; date: 1; timestamp: 1; timestamp_utc: 1"
        );
        assert_eq!((evidence.values(), evidence.example()), (4, Some("1")));
    }

    #[test]
    fn told_types() {
        let settled = |told: &str, values: &[&str]| {
            let mut column = Column::of_text("c".to_owned(), "c".to_owned());
            let told: ToldColumn = format!("c:{told}").parse().unwrap();
            evidence(values, CSV).settle(&mut column, Some((&told, TypeOrigin::Declared)), false)?;
            Ok::<_, String>(format!("{} {} {}", column.column_type, column.date_format, column.null_words))
        };
        for (told, values, expected) in [
            ("text", &["1"][..], Ok("text YYYY-MM-DD false")),
            ("decimal(5,2)", &["x"], Ok("decimal(5,2) YYYY-MM-DD true")),
            ("date", &[], Ok("date YYYY-MM-DD true")),
            ("date", &["20130131"], Ok("date YYYYMMDD true")),
            ("date", &["1.2.2013"], Ok("date DD.MM.YYYY true")),
            ("date", &["13/1/2013", "1/2/2013 00:00"], Ok("date DD/MM/YYYY true")),
            ("date", &["x"], Ok("date YYYY-MM-DD true")),
            ("date", &["1/2/2013"], Err("dates such as '1/2/2013' may be DD/MM/YYYY or MM/DD/YYYY")),
            ("date(MM/DD/YYYY)", &["1/2/2013"], Ok("date MM/DD/YYYY true")),
        ] {
            assert_eq!(settled(told, values), expected.map(str::to_owned).map_err(str::to_owned), "{told} {values:?}");
        }
    }

    proptest! {
        /// Each value of a column that was found to be of a type is read as one.
        #[test]
        fn what_inference_found_can_be_read(
            values in proptest::collection::vec(
                "-?[0-9]{1,3}|-?[0-9]{17,22}(\\.[0-9]{2})?|[0-3]?[0-9]/[01]?[0-9]/2013( 1[0-9]:30)?|2013-01-[0-3][0-9](T10:00:00Z)?|[tT]rue|-?0\\.[0-9]{0,18}",
                1..5,
            ),
        ) {
            let notation = Notation { point: b'.', bare_exponents: false };
            let texts: Vec<&str> = values.iter().map(String::as_str).collect();
            let Finding { column_type, date_format } = evidence(&texts, CSV).finding();
            for text in values.iter().map(String::as_bytes) {
                let is_read = match column_type {
                    ColumnType::Boolean => boolean(text).is_some(),
                    ColumnType::Int64 => int64(text).is_some(),
                    ColumnType::Float64 => float64(text, notation).is_some(),
                    ColumnType::Decimal { precision, scale } => decimal(text, notation, precision, scale).is_some(),
                    ColumnType::Date32 => date(text, date_format).is_some(),
                    ColumnType::Timestamp => timestamp(text, date_format).is_some(),
                    ColumnType::TimestampUtc => timestamp_utc(text, date_format).is_some(),
                    ColumnType::Utf8 => true,
                };
                prop_assert!(is_read, "{:?} as {}", values, column_type);
            }
        }
    }
}
