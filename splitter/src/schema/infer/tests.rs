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
        (&["0.12345678901234567", "2.5"], "text"),
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
        // Versions, codes and thousands, of which numbers would make others.
        (&["1.9", "1.10"], "text"),
        (&["401.9", "250.0", "250.00"], "text"),
        (&["401.9", "250.0", "3"], "float64"),
        (&["1.200", "950", "12.400"], "text"),
        (&["1.200", "950", "0.400"], "float64"),
        (&["1.200", "950", "1500"], "float64"),
        (&["1.200", "12.400"], "float64"),
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
        (&["1.9"], &["1.10"], "text"),
        (&["950"], &["1.200"], "text"),
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
        let told: TypedColumn = format!("c:{told}").parse().unwrap();
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
                ColumnType::Int64 => int64(text.into()).is_some(),
                ColumnType::Float64 => float64(text.into(), notation).is_some(),
                ColumnType::Decimal { precision, scale } => decimal(text.into(), notation, precision, scale).is_some(),
                ColumnType::Date32 => date(text, date_format).is_some(),
                ColumnType::Timestamp => timestamp(text, date_format).is_some(),
                ColumnType::TimestampUtc => timestamp_utc(text, date_format).is_some(),
                ColumnType::Utf8 => true,
            };
            prop_assert!(is_read, "{:?} as {}", values, column_type);
        }
    }
}
