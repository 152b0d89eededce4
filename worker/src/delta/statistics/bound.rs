//! A bound of a column: as a value, as JSON of the log, and the one compared with the other.

use std::cmp::Ordering;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta};

/// Days from the first of January of the year 1 to that of 1970.
const EPOCH_DAYS: i32 = 719_163;

const NANOSECONDS_A_MILLISECOND: i128 = 1_000_000;

/// Which of the two bounds one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Low,
    High,
}

/// A bound that a footer proves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proven {
    pub(crate) value: Bound,
    /// Whether it is a value of the file, and not only a bound of all.
    pub(crate) is_exact: bool,
}

/// A value of a column. Values of one column are of one variant, and in the order of readers.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Bound {
    Truth(bool),
    Integer(i64),
    /// Days since 1970.
    Day(i64),
    /// Nanoseconds since 1970.
    Moment {
        nanoseconds: i128,
        is_utc: bool,
    },
    Decimal {
        unscaled: i128,
        scale: u8,
    },
    /// A float of 32 bits, which readers read its JSON as.
    Single(f32),
    Float(f64),
    Text(String),
}

impl Proven {
    pub(crate) fn exact(value: Bound) -> Self {
        Self { value, is_exact: true }
    }

    /// Whether a bound of the log, as JSON, excludes a value of the file for certain, or is not a value of the column.
    pub(crate) fn contradicts(&self, side: Side, json: &str) -> bool {
        let Some(ordering) = self.value.compare(json) else { return true };
        // How the log's stands to the file's.
        match (side, ordering) {
            (_, Ordering::Equal) | (Side::Low, Ordering::Less) | (Side::High, Ordering::Greater) => false,
            (Side::Low, Ordering::Greater) => self.is_exact || !self.begins(json),
            (Side::High, Ordering::Less) => self.is_exact && !self.value.is_cut_to(json),
        }
    }

    /// Whether a text begins with this one, which a longer one was cut to.
    fn begins(&self, json: &str) -> bool {
        match (&self.value, serde_json::from_str::<String>(json)) {
            (Bound::Text(text), Ok(longer)) => longer.starts_with(text.as_str()),
            _ => false,
        }
    }
}

impl Bound {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "it was of 32 bits, or is rounded as readers do"
    )]
    pub(crate) fn single(value: f64) -> Self {
        Self::Single(value as f32)
    }

    /// The value as JSON of the log, rounded outward where the log is coarser; none when it has no form for it.
    pub(crate) fn json(&self, side: Side) -> Option<String> {
        match self {
            Self::Truth(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Day(days) => date(*days),
            Self::Moment { nanoseconds, is_utc } => {
                let down = nanoseconds.div_euclid(NANOSECONDS_A_MILLISECOND);
                let up = i128::from(nanoseconds.rem_euclid(NANOSECONDS_A_MILLISECOND) > 0);
                moment(if side == Side::Low { down } else { down + up }, *is_utc)
            }
            Self::Decimal { unscaled, scale } => Some(point(*unscaled, *scale)),
            Self::Single(value) => number(f64::from(*value), side),
            Self::Float(value) => number(*value, side),
            Self::Text(text) => serde_json::to_string(text).ok(),
        }
    }

    /// Whether a value of the log is this one, cut to milliseconds. The Delta protocol has writers cut even the greatest moment so, and
    /// readers allow for it.
    fn is_cut_to(&self, json: &str) -> bool {
        let Self::Moment { nanoseconds, is_utc } = self else { return false };
        let milliseconds = nanoseconds.div_euclid(NANOSECONDS_A_MILLISECOND);
        let cut = Self::Moment { nanoseconds: milliseconds * NANOSECONDS_A_MILLISECOND, is_utc: *is_utc };
        cut.compare(json) == Some(Ordering::Equal)
    }

    /// How a value of the log stands to this one; none when it is not a value of the column.
    fn compare(&self, json: &str) -> Option<Ordering> {
        let text = || serde_json::from_str::<String>(json).ok();
        match self {
            Self::Truth(value) => Some(serde_json::from_str::<bool>(json).ok()?.cmp(value)),
            Self::Integer(value) => compare_number(json, (*value).into(), 0),
            Self::Decimal { unscaled, scale } => compare_number(json, *unscaled, (*scale).into()),
            Self::Single(value) => json.parse::<f32>().ok()?.partial_cmp(value),
            Self::Float(value) => json.parse::<f64>().ok()?.partial_cmp(value),
            Self::Text(value) => Some(text()?.as_str().cmp(value)),
            Self::Day(days) => {
                let date = text().filter(|text| text.len() == "0000-00-00".len())?.parse::<NaiveDate>().ok()?;
                Some(i64::from(date.num_days_from_ce() - EPOCH_DAYS).cmp(days))
            }
            Self::Moment { nanoseconds, .. } => Some(read_moment(&text()?)?.cmp(nanoseconds)),
        }
    }
}

/// How a number of JSON stands to `unscaled / 10^scale`, to the last digit; none when it is not a number, or has too many digits.
fn compare_number(json: &str, unscaled: i128, scale: i32) -> Option<Ordering> {
    let (mantissa, exponent) = json.split_once(['e', 'E']).unwrap_or((json, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    // What is beyond 128 bits is further from zero than the other, which is within.
    let shift = exponent.checked_add(scale)?;
    let power = |by: i32| u32::try_from(by).ok().and_then(|by| 10_i128.checked_pow(by));
    Some(if shift >= 0 {
        match power(shift).and_then(|power| digits.checked_mul(power)) {
            Some(digits) => digits.cmp(&unscaled),
            None if digits == 0 => 0.cmp(&unscaled),
            None => digits.cmp(&0),
        }
    } else {
        match power(-shift).and_then(|power| unscaled.checked_mul(power)) {
            Some(unscaled) => digits.cmp(&unscaled),
            None if unscaled == 0 => digits.cmp(&0),
            None => 0.cmp(&unscaled),
        }
    })
}

/// Nanoseconds since 1970 of a moment as any writer has it, of four digits of the year.
fn read_moment(text: &str) -> Option<i128> {
    let moment = match DateTime::parse_from_rfc3339(text) {
        Ok(moment) => moment.naive_utc(),
        Err(_) => ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?,
    };
    let is_plain = text.as_bytes().get(4) == Some(&b'-') && text.starts_with(|first: char| first.is_ascii_digit());
    let since: TimeDelta = moment - DateTime::UNIX_EPOCH.naive_utc();
    is_plain.then(|| i128::from(since.num_seconds()) * 1_000_000_000 + i128::from(since.subsec_nanos()))
}

/// A float; JSON has none that are infinite. Both zeros are one value to some readers and two to others.
fn number(value: f64, side: Side) -> Option<String> {
    let value = match side {
        _ if value != 0.0 => value,
        Side::Low => -0.0,
        Side::High => 0.0,
    };
    serde_json::to_string(&value).ok().filter(|_| value.is_finite())
}

/// A day as the log has it; none beyond the years that have four digits.
fn date(days: i64) -> Option<String> {
    let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?.checked_add(EPOCH_DAYS)?)?;
    (0..=9999).contains(&date.year()).then(|| format!("\"{date}\""))
}

/// Milliseconds as the log has them.
fn moment(milliseconds: i128, is_utc: bool) -> Option<String> {
    let milliseconds = i64::try_from(milliseconds).ok()?;
    let moment = DateTime::from_timestamp_millis(milliseconds)?.naive_utc();
    let form = match (is_utc, milliseconds % 1000 == 0) {
        (true, true) => "\"%Y-%m-%dT%H:%M:%SZ\"",
        (true, false) => "\"%Y-%m-%dT%H:%M:%S%.3fZ\"",
        (false, true) => "\"%Y-%m-%d %H:%M:%S\"",
        (false, false) => "\"%Y-%m-%d %H:%M:%S%.3f\"",
    };
    (0..=9999).contains(&moment.year()).then(|| moment.format(form).to_string())
}

/// A decimal, digit for digit.
fn point(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_a_footer() {
        let decimal = |unscaled, scale| Proven::exact(Bound::Decimal { unscaled, scale });
        let text = |text: &str, is_exact| Proven { value: Bound::Text(text.to_owned()), is_exact };
        let utc = |nanoseconds| Proven::exact(Bound::Moment { nanoseconds, is_utc: true });
        let last = Proven::exact(Bound::Integer(i64::MAX));
        for (proven, low, high) in [
            // A double of the greatest decimal of 18 digits.
            (decimal(123_456_789_012_345_678, 2), ("1234567890123456.8", true), ("1234567890123456.8", false)),
            (decimal(123_456_789_012_345_678, 2), ("1234567890123456.78", false), ("1234567890123456.78", false)),
            (decimal(123_456_789_012_345_678, 2), ("1.2345678901234566e15", false), ("1.2345678901234566e15", true)),
            (decimal(18_446_744_073_709_551_615, 0), ("9223372036854775807", false), ("9223372036854775807", true)),
            (decimal(-5, 2), ("-0.05", false), ("-0.0499", false)),
            (decimal(-5, 2), ("-0.0499", true), ("-0.0501", true)),
            (decimal(i128::MAX, 0), ("1e39", true), ("1e39", false)),
            (decimal(1, 38), ("0.0", false), ("1e-40", true)),
            (last.clone(), ("9223372036854775807", false), ("9223372036854775806", true)),
            (last, ("\"a\"", true), ("9223372036854775807.0", false)),
            (Proven::exact(Bound::single(0.1)), ("0.1", false), ("0.1", false)),
            (Proven::exact(Bound::Float(0.1)), ("0.2", true), ("0.2", false)),
            (Proven::exact(Bound::Day(0)), ("\"1970-01-01\"", false), ("\"+10000-01-01\"", true)),
            (utc(1_500_000_000), ("\"1970-01-01T00:00:01.500Z\"", false), ("\"1970-01-01T00:00:01.499999Z\"", true)),
            (utc(0), ("\"1970-01-01T02:00:00+02:00\"", false), ("\"+11000-01-01T00:00:00Z\"", true)),
            (utc(-1), ("\"1969-12-31 23:59:59.999\"", false), ("\"1969-12-31T23:59:59.999Z\"", false)),
            // As the protocol has it, and cut further.
            (utc(1_499_999_000), ("\"1970-01-01T00:00:01.499Z\"", false), ("\"1970-01-01T00:00:01.499Z\"", false)),
            (utc(1_499_999_000), ("\"1970-01-01T00:00:01.498Z\"", false), ("\"1970-01-01T00:00:01.498Z\"", true)),
            (utc(-1), ("\"1969-12-31 23:59:59.998\"", false), ("\"1969-12-31T23:59:59.998Z\"", true)),
            (text("b", true), ("\"c\"", true), ("\"a\"", true)),
            (text("b", false), ("\"bc\"", false), ("\"a\"", false)),
            (text("b", false), ("\"c\"", true), ("\"c\"", false)),
        ] {
            let found = (proven.contradicts(Side::Low, low.0), proven.contradicts(Side::High, high.0));
            assert_eq!(found, (low.1, high.1), "{proven:?} {low:?} {high:?}");
        }
    }
}
