//! Dates and times: which text is which, in the format that was found for its column.

use chrono::NaiveDate;
use shared::DateFormat;

const MICROSECONDS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROSECONDS;

/// What a text says of when: a date, a date with a time, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Days since 1970.
    days: i32,
    /// Microseconds since midnight.
    time: Option<i64>,
    /// Microseconds that its clock is ahead of UTC.
    offset: Option<i64>,
}

/// What a text says of when, as a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MomentKind {
    Date,
    Timestamp,
    TimestampUtc,
}

impl Moment {
    /// Reads a date; then, after a space or a `T`, a time as `HH:MM`, `HH:MM:SS` or with a fraction, with `AM` or `PM`
    /// or not; after that a zone as `Z`, `UTC`, `+HH`, `+HH:MM` or `+HHMM`. Of the fraction no more than microseconds may be
    /// other than zeros.
    pub(crate) fn read(text: &[u8], format: DateFormat) -> Option<Self> {
        let (days, rest) = date_part(text, format)?;
        let [b' ' | b'T', clock @ ..] = rest else {
            return rest.is_empty().then_some(Self { days, time: None, offset: None });
        };
        let (time, rest) = time_part(clock, format)?;
        let offset = if rest.is_empty() { None } else { Some(zone(rest)?) };
        Some(Self { days, time: Some(time), offset })
    }

    pub(crate) fn kind(self) -> MomentKind {
        match (self.time, self.offset) {
            (None, _) => MomentKind::Date,
            (_, None) => MomentKind::Timestamp,
            _ => MomentKind::TimestampUtc,
        }
    }

    /// Microseconds since 1970, on its own clock.
    fn local(self) -> i64 {
        i64::from(self.days) * DAY + self.time.unwrap_or_default()
    }
}

/// A date, as days since 1970.
pub(crate) fn date(text: &[u8], format: DateFormat) -> Option<i32> {
    let (days, rest) = date_part(text, format)?;
    rest.is_empty().then_some(days)
}

/// A date with a time and no zone, as microseconds since 1970.
pub(crate) fn timestamp(text: &[u8], format: DateFormat) -> Option<i64> {
    let moment = Moment::read(text, format)?;
    (moment.kind() == MomentKind::Timestamp).then(|| moment.local())
}

/// A date with a time and a zone, as microseconds since 1970 in UTC.
pub(crate) fn timestamp_utc(text: &[u8], format: DateFormat) -> Option<i64> {
    let moment = Moment::read(text, format)?;
    Some(moment.local() - moment.offset?)
}

/// A date, or midnight of one, as days since 1970.
pub(crate) fn lenient_date(text: &[u8], format: DateFormat) -> Option<i32> {
    let moment = Moment::read(text, format)?;
    (moment.time.unwrap_or_default() == 0 && moment.offset.is_none()).then_some(moment.days)
}

/// A date, with a time or for midnight, with a zone or for UTC, as microseconds since 1970 in UTC.
pub(crate) fn lenient_timestamp(text: &[u8], format: DateFormat) -> Option<i64> {
    let moment = Moment::read(text, format)?;
    Some(moment.local() - moment.offset.unwrap_or_default())
}

/// The date that a text begins with, and what stands after it.
fn date_part(text: &[u8], format: DateFormat) -> Option<(i32, &[u8])> {
    if let DateFormat::Iso = format {
        let ([y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2], rest) = text.split_first_chunk()? else { return None };
        return day(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?, rest);
    }
    if let DateFormat::Digits = format {
        let ([y1, y2, y3, y4, m1, m2, d1, d2], rest) = text.split_first_chunk()?;
        return day(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?, rest);
    }
    let separator = match format {
        DateFormat::DayDot => b'.',
        DateFormat::YearSlash | DateFormat::DaySlash | DateFormat::MonthSlash => b'/',
        _ => b'-',
    };
    let (first, rest) = text.split_at_checked(text.iter().position(|byte| *byte == separator)?)?;
    let rest = rest.split_first()?.1;
    let (second, rest) = rest.split_at_checked(rest.iter().position(|byte| *byte == separator)?)?;
    let rest = rest.split_first()?.1;
    let (third, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len()));
    match format {
        DateFormat::YearSlash => day(of_width(first, 4, 4)?, of_width(second, 1, 2)?, of_width(third, 1, 2)?, rest),
        DateFormat::DayName => day(of_width(third, 4, 4)?, month_name(second)?, of_width(first, 1, 2)?, rest),
        DateFormat::MonthSlash | DateFormat::MonthDash => {
            day(of_width(third, 4, 4)?, of_width(first, 1, 2)?, of_width(second, 1, 2)?, rest)
        }
        _ => day(of_width(third, 4, 4)?, of_width(second, 1, 2)?, of_width(first, 1, 2)?, rest),
    }
}

fn day(year: u32, month: u32, day: u32, rest: &[u8]) -> Option<(i32, &[u8])> {
    Some((NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?.to_epoch_days(), rest))
}

fn month_name(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"];
    (1..).zip(NAMES).find(|(_, known)| name.eq_ignore_ascii_case(known)).map(|(month, _)| month)
}

/// The time that a text begins with, in microseconds since midnight, and what stands after it.
fn time_part(text: &[u8], format: DateFormat) -> Option<(i64, &[u8])> {
    let (hour, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b':')?)?;
    let hour = of_width(hour, if format == DateFormat::Iso { 2 } else { 1 }, 2)?;
    let ([b':', m1, m2], rest) = rest.split_first_chunk()? else { return None };
    let minute = number(&[*m1, *m2])?;
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    let (microseconds, rest) = match rest {
        [b'.', rest @ ..] => fraction_part(rest)?,
        _ => (0, rest),
    };
    let (hour, rest) = match rest {
        [b' ', half @ (b'A' | b'P' | b'a' | b'p'), b'M' | b'm', rest @ ..] if (1..=12).contains(&hour) => {
            (hour % 12 + if half.eq_ignore_ascii_case(&b'P') { 12 } else { 0 }, rest)
        }
        _ => (hour, rest),
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then_some((seconds * MICROSECONDS + i64::from(microseconds), rest))
}

/// The digits of a fraction of a second, in microseconds, and what stands after them.
fn fraction_part(text: &[u8]) -> Option<(u32, &[u8])> {
    const PLACES: usize = 6;
    let (digits, rest) = text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()));
    let (held, beyond) = digits.split_at(digits.len().min(PLACES));
    if digits.is_empty() || beyond.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let padding = u32::try_from(PLACES - held.len()).ok()?;
    Some((number(held)? * 10_u32.pow(padding), rest))
}

/// The zone that a text is, as microseconds ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text.strip_prefix(b" ").unwrap_or(text) {
        b"Z" | b"UTC" => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (sign, number(&[*h1, *h2])?, number(&[*m1, *m2])?)
        }
        [sign @ (b'+' | b'-'), h1, h2] => (sign, number(&[*h1, *h2])?, 0),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = i64::from(hours * 3600 + minutes * 60) * MICROSECONDS;
    Some(if *sign == b'-' { -offset } else { offset })
}

fn of_width(digits: &[u8], least: usize, most: usize) -> Option<u32> {
    (least..=most).contains(&digits.len()).then(|| number(digits)).flatten()
}

/// A short run of digits; `None` when there is anything else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDateTime};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_in_every_format() {
        for (text, format, days) in [
            ("1970-01-02", DateFormat::Iso, Some(1)),
            ("1969-12-31", DateFormat::Iso, Some(-1)),
            ("2023-02-29", DateFormat::Iso, None),
            ("2024-2-3", DateFormat::Iso, None),
            ("1970-01-02x", DateFormat::Iso, None),
            ("1970-01-0é", DateFormat::Iso, None),
            ("1970/01/02", DateFormat::YearSlash, Some(1)),
            ("1970/1/2", DateFormat::YearSlash, Some(1)),
            ("70/1/2", DateFormat::YearSlash, None),
            ("02.01.1970", DateFormat::DayDot, Some(1)),
            ("2.1.1970", DateFormat::DayDot, Some(1)),
            ("2.1.70", DateFormat::DayDot, None),
            ("002.1.1970", DateFormat::DayDot, None),
            (".1.1970", DateFormat::DayDot, None),
            ("31/01/1970", DateFormat::DaySlash, Some(30)),
            ("01/31/1970", DateFormat::DaySlash, None),
            ("31-01-1970", DateFormat::DayDash, Some(30)),
            ("01/31/1970", DateFormat::MonthSlash, Some(30)),
            ("1-31-1970", DateFormat::MonthDash, Some(30)),
            ("31-JAN-1970", DateFormat::DayName, Some(30)),
            ("31-jan-1970", DateFormat::DayName, Some(30)),
            ("31-MAI-1970", DateFormat::DayName, None),
            ("19700131", DateFormat::Digits, Some(30)),
            ("19700132", DateFormat::Digits, None),
            ("", DateFormat::Iso, None),
            ("//", DateFormat::DaySlash, None),
        ] {
            assert_eq!(date(text.as_bytes(), format), days, "{text} as {format}");
        }
    }

    #[test]
    fn times() {
        const HOUR: i64 = 3600 * MICROSECONDS;
        for (text, expected) in [
            ("1970-01-01 00:00:01", Some((MomentKind::Timestamp, 1_000_000))),
            ("1970-01-01T00:00:00.5", Some((MomentKind::Timestamp, 500_000))),
            ("1970-01-01T00:00:00.123456000", Some((MomentKind::Timestamp, 123_456))),
            ("1970-01-01T00:00:00.1234567", None),
            ("1970-01-01T00:00:00.", None),
            ("1970-01-01 10:00", Some((MomentKind::Timestamp, 10 * HOUR))),
            ("1970-01-01 10:00:00 PM", Some((MomentKind::Timestamp, 22 * HOUR))),
            ("1970-01-01 12:00 am", Some((MomentKind::Timestamp, 0))),
            ("1970-01-01 13:00 PM", None),
            ("1970-01-01T24:00:00", None),
            ("1970-01-01T23:59:60", None),
            ("1970-01-01T1:00:00", None),
            ("1970-01-01T", None),
            ("1970-01-01 ", None),
            ("1970-01-01T00:00:00Z", Some((MomentKind::TimestampUtc, 0))),
            ("1970-01-01 00:00:00 UTC", Some((MomentKind::TimestampUtc, 0))),
            ("1970-01-01T01:00:00+01:00", Some((MomentKind::TimestampUtc, 0))),
            ("1970-01-01T00:00:00-0130", Some((MomentKind::TimestampUtc, HOUR + HOUR / 2))),
            ("1970-01-01 00:00:00 +02", Some((MomentKind::TimestampUtc, -2 * HOUR))),
            ("1970-01-01 00:00:00+24:00", None),
            ("1970-01-01 00:00:00 ", None),
            ("1970-01-01 00:00:00 CET", None),
        ] {
            let moment = Moment::read(text.as_bytes(), DateFormat::Iso);
            let found = moment.map(|moment| (moment.kind(), moment.local() - moment.offset.unwrap_or_default()));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(timestamp(b"2.1.1970 9:05", DateFormat::DayDot), Some(DAY + 9 * HOUR + 5 * HOUR / 60));
    }

    #[test]
    fn told_moments() {
        for (text, days, instant) in [
            ("1970-01-02", Some(1), Some(DAY)),
            ("1970-01-02 00:00:00", Some(1), Some(DAY)),
            ("1970-01-02 00:00:01", None, Some(DAY + MICROSECONDS)),
            ("1970-01-02 00:00:00Z", None, Some(DAY)),
        ] {
            assert_eq!(lenient_date(text.as_bytes(), DateFormat::Iso), days, "{text}");
            assert_eq!(lenient_timestamp(text.as_bytes(), DateFormat::Iso), instant, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_is_read_as_it_prints(days in -700_000_i32..2_900_000) {
            let date_of = |days: i32| NaiveDate::from_epoch_days(days);
            if let Some(printed) = date_of(days) {
                for format in DateFormat::ALL {
                    let pattern = format.to_string().replace("YYYY", "%Y").replace("MON", "%b").replace("MM", "%m").replace("DD", "%d");
                    let text = printed.format(&pattern).to_string();
                    prop_assert_eq!(date(text.as_bytes(), format), Some(days), "{} as {}", text, format);
                }
            }
        }

        #[test]
        fn what_is_a_timestamp_is_what_chrono_reads(text in "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,6})?") {
            // Chrono takes a leap second, which no count of microseconds has room for.
            let theirs = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok();
            let theirs = theirs.filter(|_| text.get(17..19) != Some("60")).map(|moment| moment.and_utc().timestamp_micros());
            prop_assert_eq!(timestamp(text.as_bytes(), DateFormat::Iso), theirs);
        }

        #[test]
        fn nothing_panics(text in "[0-9.:/TZ+ é-]{0,30}") {
            for format in DateFormat::ALL {
                let _ = Moment::read(text.as_bytes(), format);
            }
        }
    }

    #[test]
    fn the_day_before_the_first_is_a_day_too() {
        let day = NaiveDate::from_epoch_days(0).and_then(|day| day.checked_sub_days(Days::new(1)));
        assert_eq!(day.map(|day| day.to_epoch_days()), date(b"1969-12-31", DateFormat::Iso));
    }
}
