//! Whatever type is found for a column, each of its values prints as the number, date or text that was read, or its record is
//! rejected. A double is printed with as few digits as tell it from others, or with as many as the text has.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Timelike};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::string::string_regex;
use shared::{Column, ColumnType, CsvPolicy, DateFormat, Dialect};

use super::*;
use crate::column::types::schema;
use crate::records::unterminated::UnterminatedLines;
use crate::schema::infer::observe_csv;

const DATES: [&str; 9] = [
    "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
    "(19|20)[0-9]{2}/[01]?[0-9]/[0-3]?[0-9]",
    "[0-3]?[0-9]\\.[01]?[0-9]\\.(19|20)[0-9]{2}",
    "[0-3]?[0-9]/[01]?[0-9]/(19|20)[0-9]{2}",
    "[0-3]?[0-9]-[01]?[0-9]-(19|20)[0-9]{2}",
    "[01]?[0-9]/[0-3]?[0-9]/(19|20)[0-9]{2}",
    "[01]?[0-9]-[0-3]?[0-9]-(19|20)[0-9]{2}",
    "[0-3]?[0-9]-(jan|Feb|MAR|Oct|DEC)-(19|20)[0-9]{2}",
    "(19|20)[0-9]{2}[01][0-9][0-3][0-9]",
];
const CLOCK: &str = "[ T][012]?[0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,7})?)?";
const ZONE: &str = " ?(Z|UTC|[-+][01][0-9](:?[0-5][0-9])?)";
const OTHERS: [&str; 9] = [
    "true|True|TRUE|false|False|FALSE|yes|tRUE",
    "-?(0|[1-9][0-9]{0,19})",
    "[-+]?[0-9]{1,3}",
    "-?(0|[1-9][0-9]{0,6})[.,][0-9]{1,9}",
    "-?[0-9]{1,16}([.,][0-9]{0,18})?",
    // As many digits as doubles have, and more than the shortest text of some.
    "[1-9][0-9]{6,7}[.,][0-9]{8,10}",
    "-?[1-9][0-9]{18,40}",
    "[-+]?[0-9]{0,2}[.,]?[0-9]{0,3}([eE][-+]?[0-9]{1,3})?",
    "[a-z0-9 +.é-]{1,6}",
];
const NULLS: [&str; 6] = ["", "NA", "N/A", "NULL", "null", "\\N"];

/// Values of one kind, as they are written in one column, or nearly so.
fn kinds() -> Vec<BoxedStrategy<String>> {
    let dates = DATES.iter().flat_map(|date| {
        [
            (*date).to_owned(),
            format!("{date}{CLOCK}"),
            format!("{date}{CLOCK} [AaPp][Mm]"),
            format!("{date}{CLOCK}{ZONE}"),
            format!("{date}({CLOCK}({ZONE})?)?"),
        ]
    });
    dates.chain(OTHERS.map(str::to_owned)).map(|pattern| string_regex(&pattern).unwrap().boxed()).collect()
}

/// Values of a sample, all of a kind but for nulls, and those of later records, which may be anything.
fn any_values() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let kinds = kinds();
    let any_kind = Union::new(kinds.clone()).boxed();
    select(kinds).prop_flat_map(move |kind| {
        let null = select(NULLS.to_vec()).prop_map(str::to_owned);
        let sampled = prop_oneof![9 => kind.clone(), 1 => null.clone()];
        let later = prop_oneof![6 => kind, 3 => any_kind.clone(), 1 => null];
        (vec(sampled, 1..5), vec(later, 0..5))
    })
}

/// Sign of a decimal number, its digits without zeros at either end, and where the point is before them.
fn number(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let zeros = digits.len() - significant.len();
    let point = i64::try_from(whole.len()).unwrap() - i64::try_from(zeros).unwrap() + exponent.parse::<i64>().unwrap();
    let point = if significant.is_empty() { 0 } else { point };
    (mantissa.starts_with('-'), significant.trim_end_matches('0').to_owned(), point)
}

/// A date as it prints, months in capitals, without zeros before its numbers.
fn printed(date: NaiveDate, format: DateFormat) -> String {
    let pattern = format.to_string().replace("YYYY", "%Y").replace("MON", "%b").replace("MM", "%m").replace("DD", "%d");
    plain(&date.format(&pattern).to_string())
}

fn plain(date: &str) -> String {
    let numbers = date.to_ascii_uppercase();
    numbers.split_inclusive(['-', '/', '.']).map(|number| number.trim_start_matches('0')).collect()
}

/// Whether a text is a date with a time, of so many microseconds since 1970 in UTC; one with a zone, or without.
fn is_moment(text: &str, instant: i64, format: DateFormat, has_zone: bool) -> bool {
    let colon = text.find(':').unwrap();
    let (date, rest) = text.split_at(text[..colon].rfind([' ', 'T']).unwrap());
    let (clock, zone) = rest[1..].split_at(rest[1..].find(['Z', 'U', '+', '-']).unwrap_or(rest.len() - 1));
    let offset = match zone {
        "" | "Z" | "UTC" => 0,
        _ => {
            let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
            let minutes = digits.get(2..4).map_or(0, |minutes| minutes.parse().unwrap());
            let minutes = digits[..2].parse::<i64>().unwrap() * 60 + minutes;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let local = DateTime::from_timestamp_micros(instant + offset * 60_000_000).unwrap().naive_utc();
    let mut parts = clock.trim_end().split([':', ' ']);
    let hour: u32 = parts.next().unwrap().parse().unwrap();
    let minute: u32 = parts.next().unwrap().parse().unwrap();
    let (mut second, mut hour_of_day) = (String::from("0"), local.hour());
    for part in parts {
        match part.to_ascii_uppercase().as_str() {
            // Twelve comes before one.
            half @ ("AM" | "PM") => {
                assert_eq!(half == "PM", hour_of_day >= 12);
                hour_of_day = (hour_of_day + 11) % 12 + 1;
            }
            part => part.clone_into(&mut second),
        }
    }
    let seconds = format!("{}.{:09}", local.second(), local.nanosecond());
    plain(date) == printed(local.date(), format)
        && (hour, minute) == (hour_of_day, local.minute())
        && number(&second) == number(&seconds)
        && zone.is_empty() != has_zone
}

/// Whether the value in a row prints as the text that was read.
fn prints_as(text: &str, values: &dyn Array, row: usize, column: &Column, point: char) -> bool {
    let format = column.date_format;
    let instant = || values.as_primitive::<TimestampMicrosecondType>().value(row);
    let is_number = |printed: String| number(&printed) == number(&text.replace(point, "."));
    match column.column_type {
        ColumnType::Boolean => values.as_boolean().value(row).to_string() == text.to_ascii_lowercase(),
        ColumnType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string() == text,
        ColumnType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            let digits = number(&text.replace(point, ".")).1.len();
            is_number(format!("{value:e}")) || is_number(format!("{value:.*e}", digits.saturating_sub(1)))
        }
        ColumnType::Decimal { .. } => is_number(values.as_primitive::<Decimal128Type>().value_as_string(row)),
        ColumnType::Date32 => {
            let days = values.as_primitive::<Date32Type>().value(row);
            NaiveDate::from_epoch_days(days).map(|date| printed(date, format)) == Some(plain(text))
        }
        ColumnType::Timestamp => is_moment(text, instant(), format, false),
        ColumnType::TimestampUtc => is_moment(text, instant(), format, true),
        ColumnType::Utf8 => values.as_string::<i32>().value(row) == text,
    }
}

/// A text of two columns, so that no record is a blank line.
fn text<'a>(values: impl IntoIterator<Item = &'a String>) -> Bytes {
    values.into_iter().flat_map(|value| ["x|", value, "\n"]).collect::<String>().into()
}

fn policy(point: char) -> CsvPolicy {
    let dialect = Dialect { delimiter: '|', quote: None, decimal: point, ..Dialect::default() };
    let columns = ["x", "v"].map(|name| Column::of_text(name.to_owned(), name.to_owned())).to_vec();
    CsvPolicy {
        dialect,
        data_start: 0,
        columns,
        null_words: NULLS[1..].iter().map(|word| (*word).to_owned()).collect(),
        fields: None,
        footer_start: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_prints_as_it_was_read((sampled, later) in any_values(), point in select(vec!['.', '.', ','])) {
        let mut csv = policy(point);
        let evidence = observe_csv(&text(&sampled), &csv, false, false);
        for (column, evidence) in csv.columns.iter_mut().zip(&evidence) {
            evidence.settle(column, None, false).unwrap();
        }
        let column = csv.columns[1].clone();
        let values: Vec<&String> = sampled.iter().chain(&later).collect();
        let block = Block { start: 0, text: text(values.iter().copied()), unterminated: UnterminatedLines::default() };
        let decoded = decode(&block, &(&csv).into(), BadRecords::Quarantine, 1 << 20).unwrap();
        // What the sample had was known.
        let rejected: Vec<usize> = decoded.rejects.iter().map(|reject| usize::try_from(reject.record).unwrap() - 1).collect();
        prop_assert!(rejected.iter().all(|record| *record >= sampled.len()), "{:?}", decoded.rejects);
        let taken = values.iter().enumerate().filter(|(record, _)| !rejected.contains(record));
        prop_assert_eq!(taken.clone().count(), decoded.rows.rows);
        let rows = decoded.rows.to_arrow(schema(&csv.columns)).unwrap();
        let found = rows.column(1);
        for (row, (_, value)) in taken.enumerate() {
            // Blanks around a value are not part of it, unless it is a text.
            let value = if column.column_type == ColumnType::Utf8 { value } else { value.trim_matches([' ', '\t']) };
            if found.is_valid(row) {
                prop_assert!(prints_as(value, found, row, &column, point), "'{}' is {:?} as {:?}", value, found, column);
            } else {
                prop_assert!(value.is_empty() || column.null_words && NULLS.contains(&value), "{}", value);
            }
        }
    }
}
