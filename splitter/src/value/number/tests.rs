mod doubles;

use proptest::prelude::*;

use super::*;
use crate::records::span::Span;

const CSV: Notation = Notation { point: b'.', bare_exponents: false };
const COMMA: Notation = Notation { point: b',', bare_exponents: false };
const JSON: Notation = Notation { point: b'.', bare_exponents: true };

#[test]
fn integers() {
    for (text, strictly, told) in [
        ("0", Some(0), Some(0)),
        ("-7", Some(-7), Some(-7)),
        ("9223372036854775807", Some(i64::MAX), Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN), Some(i64::MIN)),
        ("9223372036854775808", None, None),
        ("00123", None, Some(123)),
        ("-0", None, Some(0)),
        ("+1", None, Some(1)),
        ("1.0", None, Some(1)),
        ("1.5", None, None),
        ("1e5", None, None),
        (" 1", None, None),
        ("", None, None),
        ("-", None, None),
        (".0", None, None),
    ] {
        assert_eq!(int64(text.as_bytes().into()), strictly, "{text}");
        assert_eq!(lenient_int64(text.as_bytes().into(), b'.'), told, "{text}");
    }
}

#[test]
fn floats() {
    for (text, strictly, told) in [
        ("0.04", Some(0.04), Some(0.04)),
        ("-1.50", Some(-1.5), Some(-1.5)),
        ("17", Some(17.0), Some(17.0)),
        ("1.5e-3", Some(0.0015), Some(0.0015)),
        ("123456789012345", Some(123_456_789_012_345.0), Some(123_456_789_012_345.0)),
        ("1234567890123456", Some(1_234_567_890_123_456.0), Some(1_234_567_890_123_456.0)),
        ("9007199254740993", None, Some(9_007_199_254_740_992.0)),
        ("0.30000000000000004", Some(0.300_000_000_000_000_04), Some(0.300_000_000_000_000_04)),
        ("1.2345678901234568e-05", Some(1.234_567_890_123_456_8e-5), Some(1.234_567_890_123_456_8e-5)),
        ("0.12345678901234567", None, Some(0.123_456_789_012_345_67)),
        // As `%.17g` and `%.18e` print them.
        ("1100000.31233110790", Some(1_100_000.312_331_108), Some(1_100_000.312_331_108)),
        ("0.84743373693723267", Some(0.847_433_736_937_232_7), Some(0.847_433_736_937_232_7)),
        ("0.0021060533511106927", Some(0.002_106_053_351_110_692_7), Some(0.002_106_053_351_110_692_7)),
        ("1.343642441124012210e-01", Some(0.134_364_244_112_401_22), Some(0.134_364_244_112_401_22)),
        ("1.343642441124012211e-01", None, Some(0.134_364_244_112_401_22)),
        ("1.000000000000000056e-01", Some(0.1), Some(0.1)),
        ("1e-05", Some(1e-5), Some(1e-5)),
        ("-4e+20", Some(-4e20), Some(-4e20)),
        ("12e+20", None, Some(1.2e21)),
        ("1e-5", None, Some(1e-5)),
        ("12345678901234567168", None, Some(12_345_678_901_234_567_000.0)),
        ("0.000000000000000000001", Some(1e-21), Some(1e-21)),
        ("1.50e300", Some(1.5e300), Some(1.5e300)),
        ("1.0e-400", None, Some(0.0)),
        ("1.5e400", None, None),
        ("1e5", None, Some(1e5)),
        (".5", None, Some(0.5)),
        ("5.", None, Some(5.0)),
        ("01.5", None, Some(1.5)),
        ("+1.5", None, Some(1.5)),
        ("-0", None, Some(-0.0)),
        ("inf", None, Some(f64::INFINITY)),
        ("1,5", None, None),
        ("1.5e", None, None),
        ("1.5e+", None, None),
        ("1.5x", None, None),
        (".", None, None),
        ("e5", None, None),
        ("", None, None),
    ] {
        assert_eq!(float64(text.as_bytes().into(), CSV), strictly, "{text}");
        assert_eq!(lenient_float64(text.as_bytes().into(), b'.').map(|nearest| nearest.value), told, "{text}");
    }
    assert!(lenient_float64("NaN".as_bytes().into(), b'.').is_some_and(|nearest| nearest.value.is_nan()));
    assert_eq!(float64("1e5".as_bytes().into(), JSON), Some(1e5));
    for (text, value) in [("1,5", Some(1.5)), ("-0,30000000000000004", Some(-0.300_000_000_000_000_04)), ("1.5", None)]
    {
        assert_eq!(float64(text.as_bytes().into(), COMMA), value, "{text}");
    }
}

#[test]
fn decimals() {
    for (text, strictly, told) in [
        ("1.10", Some(110), Some(110)),
        ("1.1", Some(110), Some(110)),
        ("1.100", Some(110), Some(110)),
        ("1.101", None, None),
        ("-0.01", Some(-1), Some(-1)),
        ("-0.00", None, Some(0)),
        ("999.99", Some(99_999), Some(99_999)),
        ("1000", None, None),
        ("01.1", None, Some(110)),
        ("+1", None, Some(100)),
        ("1e1", None, None),
        ("1.1.1", None, None),
        ("", None, None),
    ] {
        assert_eq!(decimal(text.as_bytes().into(), CSV, 5, 2), strictly, "{text}");
        assert_eq!(lenient_decimal(text.as_bytes().into(), b'.', 5, 2), told, "{text}");
    }
    assert_eq!(decimal("1,1".as_bytes().into(), COMMA, 5, 2), Some(110));
    let widest = "9".repeat(38);
    assert_eq!(decimal(widest.as_bytes().into(), CSV, 38, 0), widest.parse().ok());
    assert_eq!(decimal(format!("{widest}9").as_bytes().into(), CSV, 38, 0), None);
}

#[test]
fn places_of_decimals() {
    for (text, expected) in [
        ("0", Some((0, 0))),
        ("12345678901234567890", Some((20, 0))),
        ("12.50", Some((2, 2))),
        ("-0.001", Some((0, 3))),
        ("-0.0", None),
        ("1.5e3", None),
        ("x", None),
    ] {
        assert_eq!(places(text.as_bytes(), CSV), expected, "{text}");
    }
    assert_eq!(places(format!("1{}", "0".repeat(38)).as_bytes(), CSV), None);
}

/// A decimal as it prints, without zeros at the end of its fraction.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

proptest! {
    #[test]
    fn what_is_an_integer_prints_as_it_was(text in "-?[0-9]{1,20}") {
        if let Some(value) = int64(text.as_bytes().into()) {
            prop_assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn every_integer_is_one(value: i64) {
        prop_assert_eq!(int64(value.to_string().as_bytes().into()), Some(value));
    }

    #[test]
    fn what_is_a_float_prints_as_it_was(text in "-?[0-9]{1,12}\\.[0-9]{1,18}") {
        if let Some(value) = float64(text.as_bytes().into(), CSV) {
            let kept = without_zeros(&text);
            let as_many = format!("{value:.0$}", kept.split_once('.').map_or(0, |(_, fraction)| fraction.len()));
            prop_assert!(value.to_string() == kept || as_many == kept, "{} {}", value, text);
            prop_assert_eq!(Some(value), text.parse().ok());
        }
    }

    #[test]
    fn every_float_is_one(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        for text in [format!("{value:?}"), format!("{value:e}"), value.to_string(), format!("{value:.16e}"), format!("{value:.18e}")] {
            prop_assert_eq!(float64(text.as_bytes().into(), JSON), Some(value), "{}", text);
        }
    }

    #[test]
    fn what_is_a_decimal_prints_as_it_was(text in "-?[0-9]{1,30}(\\.[0-9]{1,12})?", scale in 0_u8..12) {
        if let Some(value) = decimal(text.as_bytes().into(), CSV, 38, scale) {
            let printed = arrow::array::Decimal128Array::from(vec![value]).with_precision_and_scale(38, i8::try_from(scale).unwrap());
            let printed = printed.unwrap().value_as_string(0);
            prop_assert_eq!(without_zeros(&printed), without_zeros(&text));
        }
    }

    #[test]
    fn what_is_strictly_a_number_is_the_same_told(text in "[-+]?[0-9]{0,3}\\.?[0-9]{0,3}(e[-+]?[0-9]{0,2})?") {
        let text = Field::from(text.as_bytes());
        for (strictly, told) in [
            (int64(text).map(|value| value.to_string()), lenient_int64(text, b'.').map(|value| value.to_string())),
            (float64(text, JSON).map(|value| value.to_string()), lenient_float64(text, b'.').map(|nearest| nearest.value.to_string())),
            (decimal(text, CSV, 9, 3).map(|value| value.to_string()), lenient_decimal(text, b'.', 9, 3).map(|value| value.to_string())),
        ] {
            prop_assert!(strictly.is_none() || strictly == told, "{:?} {:?}", strictly, told);
        }
    }
}

proptest! {
    #[test]
    fn short_numbers_are_read_as_long_ones_are(
        text in "[-+]?[0-9]{0,6}[.,:/e]?[0-9]{0,6}",
        behind in "[-0-9.,a\"]{8}",
        point in proptest::sample::select(vec![b'.', b',']),
    ) {
        // Alone, a text has too few bytes for the short way, unless it has eight.
        let (alone, together) = (text.as_bytes(), [text.as_bytes(), behind.as_bytes()].concat());
        let field = Field::at(&together, Span::new(0, alone.len()));
        let notation = Notation { point, bare_exponents: false };
        prop_assert_eq!(int64(field), any_int64(alone.into()));
        prop_assert_eq!(lenient_int64(field, point), lenient_int64(alone.into(), point));
        prop_assert_eq!(float64(field, notation).map(f64::to_bits), any_float64(alone.into(), notation).map(f64::to_bits));
        let told = |text: Field<'_>| lenient_float64(text, point).map(|nearest| (nearest.value.to_bits(), nearest.is_shortened));
        prop_assert_eq!(told(field), told(alone.into()));
        for (precision, scale) in [(9, 2), (18, 6), (38, 0)] {
            prop_assert_eq!(decimal(field, notation, precision, scale), decimal(alone.into(), notation, precision, scale));
            prop_assert_eq!(lenient_decimal(field, point, precision, scale), lenient_decimal(alone.into(), point, precision, scale));
        }
    }
}
