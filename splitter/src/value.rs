//! Values: which text is which typed value, without loss.
//!
//! A text is a number only when printing the number gives the text again (zeros at the end of a fraction aside), so
//! `00123`, `+1` and `1e5` are not. Inference and decoding ask the same functions, so what one found the other can read.

use chrono::NaiveDate;
use shared::ColumnType;

/// Words that mean null in columns that are not text, unless `NULL_WORDS` says otherwise.
pub(crate) const NULL_WORDS: &[&str] = &["NA", "N/A", "NULL", "null", "\\N"];

/// Digits that a double-precision number carries whatever they are (`DBL_DIG`); more of them may or may not come back.
const FLOAT_DIGITS: usize = 15;

const MICROSECONDS: i64 = 1_000_000;

/// An integer as it prints.
pub(crate) fn int64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    // "-0" would print as "0".
    if !is_whole(digits) || (negative && digits == b"0") {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// A decimal number that double precision gives back as it was, and an exponent only behind a fraction, since `1e5` may as
/// well be a name.
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    let (_, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(place) => (unsigned.get(..place)?, Some(unsigned.get(place + 1..)?)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(place) => (mantissa.get(..place)?, Some(mantissa.get(place + 1..)?)),
        None => (mantissa, None),
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let exponent_is_sound = exponent.is_none_or(|exponent| {
        fraction.is_some() && digits(exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent))
    });
    if !is_whole(whole) || !fraction.is_none_or(digits) || !exponent_is_sound {
        return None;
    }
    let significant = whole.iter().chain(fraction.unwrap_or_default()).skip_while(|digit| **digit == b'0').count();
    if fraction.is_none() && text == b"-0" {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let value = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    (significant <= FLOAT_DIGITS || prints_as(value, text)).then_some(value)
}

/// Whether the number prints as the text, zeros at the end of its fraction aside.
fn prints_as(value: f64, text: &str) -> bool {
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    value.to_string() == trimmed
}

/// `true` and `false`, in small letters, capitals, or with a capital at the start.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// `YYYY-MM-DD`, as days since 1970.
pub(crate) fn date32(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
    Some(date.to_epoch_days())
}

/// `YYYY-MM-DD HH:MM:SS`, or with a `T`, with up to six digits of a fraction, as microseconds since 1970.
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let days = i64::from(date32(text.get(..10)?)?);
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2, fraction @ ..] = text.get(10..)? else { return None };
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let microseconds = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            number(digits)? * 10_u32.pow(6 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * MICROSECONDS + i64::from(microseconds))
}

/// A timestamp that ends in `Z`, `+hh:mm`, `+hhmm`, `-hh:mm` or `-hhmm`, as microseconds since 1970 in UTC.
pub(crate) fn timestamp_utc(text: &[u8]) -> Option<i64> {
    if let [local @ .., b'Z'] = text {
        return timestamp(local);
    }
    let (local, sign, hours, minutes) = match text {
        [local @ .., sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
        | [local @ .., sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (local, sign, number(&[*h1, *h2])?, number(&[*m1, *m2])?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = i64::from(hours * 3600 + minutes * 60) * MICROSECONDS;
    Some(timestamp(local)? + if *sign == b'+' { -offset } else { offset })
}

/// Whether the text is a value of the type.
pub(crate) fn is_a(column_type: ColumnType, text: &[u8]) -> bool {
    match column_type {
        ColumnType::Boolean => boolean(text).is_some(),
        ColumnType::Int64 => int64(text).is_some(),
        ColumnType::Float64 => float64(text).is_some(),
        ColumnType::Date32 => date32(text).is_some(),
        ColumnType::Timestamp => timestamp(text).is_some(),
        ColumnType::TimestampUtc => timestamp_utc(text).is_some(),
        ColumnType::Utf8 => std::str::from_utf8(text).is_ok(),
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest))
}

/// Digits without a zero before them.
fn is_whole(digits: &[u8]) -> bool {
    match digits {
        [b'0'] => true,
        [] | [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    }
}

/// A short run of digits; `None` when there is anything else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("00123", None),
            ("-0", None),
            ("+1", None),
            ("1.0", None),
            ("1e5", None),
            (" 1", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(int64(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, value) in [
            ("0.04", Some(0.04)),
            ("-1.50", Some(-1.5)),
            ("17", Some(17.0)),
            ("1.5e-3", Some(0.0015)),
            ("123456789012345", Some(123_456_789_012_345.0)),
            ("1234567890123456", Some(1_234_567_890_123_456.0)),
            ("9007199254740993", None),
            ("0.30000000000000004", Some(0.300_000_000_000_000_04)),
            ("0.12345678901234567", None),
            ("0.000000000000000000001", Some(1e-21)),
            ("1e5", None),
            (".5", None),
            ("5.", None),
            ("01.5", None),
            ("1.5e400", None),
            ("-0", None),
            ("NaN", None),
            ("inf", None),
            ("1,5", None),
            ("", None),
        ] {
            assert_eq!(float64(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(date32(b"1970-01-02"), Some(1));
        assert_eq!(date32(b"2023-02-29"), None);
        assert_eq!(date32(b"2024-2-3"), None);
        assert_eq!(timestamp(b"1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(timestamp(b"1970-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(timestamp(b"1970-01-01T24:00:00"), None);
        assert_eq!(timestamp(b"1970-01-01T00:00:00.1234567"), None);
        assert_eq!(timestamp_utc(b"1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(timestamp_utc(b"1970-01-01T00:00:00-0130"), Some(5_400_000_000));
        assert_eq!(timestamp_utc(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(timestamp_utc(b"1970-01-01T00:00:00"), None);
    }

    proptest! {
        #[test]
        fn what_is_an_integer_prints_as_it_was(text in "-?[0-9]{1,20}") {
            if let Some(value) = int64(text.as_bytes()) {
                prop_assert_eq!(value.to_string(), text);
            }
        }

        #[test]
        fn every_integer_is_one(value: i64) {
            prop_assert_eq!(int64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn what_is_a_float_prints_as_it_was(text in "-?[0-9]{1,12}\\.[0-9]{1,18}") {
            if let Some(value) = float64(text.as_bytes()) {
                let printed = value.to_string();
                let without_zeros = text.trim_end_matches('0').trim_end_matches('.');
                prop_assert_eq!(printed.as_str(), if without_zeros == "-0" { "-0" } else { without_zeros });
            }
        }
    }
}
