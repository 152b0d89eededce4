//! Numbers: which text is which number.
//!
//! Strictly, a text is a number only if no text is lost by it: `00123`, `+1`, `.5` and `1e5` may be names. In columns whose
//! type was given, it is the number that it looks like.

mod notation;
mod parts;

use shared::DECIMAL_DIGITS;

use crate::records::field::{Digits, Field, Word};
use crate::value::double::Printed;
use notation::{QUICK_DIGITS, UNITS};
use parts::Parts;

pub(crate) use notation::Notation;

/// A double-precision number carries 15 digits whatever they are (`DBL_DIG`); more of them may or may not come back.
const FLOAT_LIMIT: u64 = 1_000_000_000_000_000;

/// Powers of ten that double precision holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// An integer as it prints.
#[inline]
pub(crate) fn int64(text: Field<'_>) -> Option<i64> {
    match text.digits().and_then(Digits::number) {
        Some(number) => i64::try_from(number).ok(),
        None => any_int64(text),
    }
}

/// The same, whatever its digits are.
fn any_int64(text: Field<'_>) -> Option<i64> {
    let Some(word) = text.word() else { return long_int64(text.bytes()) };
    let (digits, negative) = without_sign(word);
    // "-0" would print as "0".
    if digits.begins_with(b'0') && (digits.length > 1 || negative) {
        return None;
    }
    let value = i64::try_from(digits.number()?).ok()?;
    Some(if negative { -value } else { value })
}

fn long_int64(text: &[u8]) -> Option<i64> {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(b"-")));
    // A number of two digits or more that begins with a zero would print without it.
    if digits.starts_with(b"0") { None } else { integer(digits, !sign.is_empty()) }
}

/// A decimal number that double precision gives back as it was, zeros at the end of the fraction aside: printed with as many
/// digits as the text has, the number is the text again. So it may be the shortest that a program prints, or have the 17 digits of
/// C's `%.17g` and the 19 of `NumPy`'s `%.18e`.
#[inline]
pub(crate) fn float64(text: Field<'_>, notation: Notation) -> Option<f64> {
    match short_float(text, notation.point) {
        Some(value) => Some(value),
        None => any_float64(text, notation),
    }
}

/// One of eight digits at most, written as numbers are printed: one exact division gives it.
#[inline]
fn short_float(text: Field<'_>, point: u8) -> Option<f64> {
    let (digits, places) = text.digits()?.without_point(point);
    Some(f64::from(u32::try_from(digits.number()?).ok()?) / TENS.get(places)?)
}

/// One of any length.
fn any_float64(text: Field<'_>, notation: Notation) -> Option<f64> {
    if let Some(value) = Plain::of_any(text, notation.point).and_then(Plain::float) {
        return Some(value);
    }
    match Printed::of(text, notation.point).and_then(Printed::nearest) {
        Some(nearest) => nearest.comes_back.then_some(nearest.value),
        None => printed_float64(text.bytes(), notation),
    }
}

/// Any one, slowly: the number is printed and compared.
fn printed_float64(text: &[u8], notation: Notation) -> Option<f64> {
    let parts = Parts::of(text, notation.point).filter(|parts| parts.are_plain(notation))?;
    parts.float(text).filter(|value| parts.are_those_of(*value) || parts.comes_back(text, notation.point, *value))
}

/// A decimal number, in units of its last place.
#[inline]
pub(crate) fn decimal(text: Field<'_>, notation: Notation, precision: u8, scale: u8) -> Option<i128> {
    if let Some(plain) = Plain::of(text, notation.point)
        && let Some(value) = plain.decimal(precision, scale)
    {
        // "-0.0" would print as "0.0".
        return (value != 0 || !plain.negative).then_some(value);
    }
    let parts = Parts::of(text.bytes(), notation.point)?;
    let value = parts.decimal(precision, scale).filter(|_| parts.are_plain(notation))?;
    (value != 0 || parts.sign.is_none()).then_some(value)
}

/// Digits before the point, and after it, of a number that a decimal can hold as it prints.
pub(crate) fn places(text: &[u8], notation: Notation) -> Option<(u8, u8)> {
    let parts = Parts::of(text, notation.point)?;
    // "-0.0" would print as "0.0".
    let is_kept = parts.sign.is_none() || parts.digits().any(|digit| digit != b'0');
    if !is_kept || parts.exponent.is_some() || !parts.are_plain(notation) {
        return None;
    }
    let whole = if parts.whole == b"0" { 0 } else { parts.whole.len() };
    let fraction = parts.fraction.unwrap_or_default().len();
    let fits = whole + fraction <= usize::from(DECIMAL_DIGITS);
    fits.then_some((u8::try_from(whole).ok()?, u8::try_from(fraction).ok()?))
}

/// Digits before and after the point of a number without an exponent.
pub(crate) fn whole_and_fraction(text: &[u8], point: u8) -> Option<(&[u8], &[u8])> {
    let parts = Parts::of(text, point).filter(|parts| parts.exponent.is_none())?;
    Some((parts.whole, parts.fraction.unwrap_or_default()))
}

/// An integer, however it is written: `007`, `+7`, `7.0`.
#[inline]
pub(crate) fn lenient_int64(text: Field<'_>, point: u8) -> Option<i64> {
    if let Some(value) = text.word().and_then(Word::number) {
        return i64::try_from(value).ok();
    }
    let parts = Parts::of(text.bytes(), point)?;
    let is_integer = parts.exponent.is_none() && parts.fraction.unwrap_or_default().iter().all(|digit| *digit == b'0');
    integer(parts.whole, parts.sign == Some(b'-')).filter(|_| is_integer)
}

/// The double-precision number that is nearest to a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) value: f64,
    /// Whether the text has digits that it does not give back.
    pub(crate) is_shortened: bool,
}

/// The number that is nearest to a decimal number, however that is written; also `NaN` and `inf`.
#[inline]
pub(crate) fn lenient_float64(text: Field<'_>, point: u8) -> Option<Nearest> {
    let exact = |value| Nearest { value, is_shortened: false };
    if let Some(value) = Plain::of(text, point).and_then(Plain::float) {
        return Some(exact(value));
    }
    match Printed::of(text, point).and_then(Printed::nearest) {
        Some(nearest) => Some(Nearest { value: nearest.value, is_shortened: !nearest.comes_back }),
        None => printed_lenient_float64(text.bytes(), point),
    }
}

/// Any one, slowly: the number is printed and compared.
fn printed_lenient_float64(text: &[u8], point: u8) -> Option<Nearest> {
    let exact = |value| Nearest { value, is_shortened: false };
    match Parts::of(text, point) {
        Some(parts) => {
            let value = parts.float(text)?;
            Some(Nearest { value, is_shortened: !shared::prints_back(text, point, value) })
        }
        None => std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| !value.is_finite()).map(exact),
    }
}

/// A decimal number, however it is written, that has no more places than the type; in units of its last place.
#[inline]
pub(crate) fn lenient_decimal(text: Field<'_>, point: u8, precision: u8, scale: u8) -> Option<i128> {
    let plain = Plain::of(text, point).and_then(|plain| plain.decimal(precision, scale));
    plain.or_else(|| Parts::of(text.bytes(), point)?.decimal(precision, scale))
}

/// A short number that is written as numbers are printed, without an exponent. Almost every number is one.
#[derive(Clone, Copy, Debug)]
struct Plain {
    negative: bool,
    /// What its digits are, read as one number.
    digits: u64,
    /// How many of them stand after the point.
    places: usize,
}

impl Plain {
    #[inline]
    fn of(text: Field<'_>, point: u8) -> Option<Self> {
        if let Some(digits) = text.digits() {
            let (digits, places) = digits.without_point(point);
            if let Some(digits) = digits.number() {
                return Some(Self { negative: false, digits, places });
            }
        }
        Self::of_any(text, point)
    }

    /// The same, whatever its digits are.
    fn of_any(text: Field<'_>, point: u8) -> Option<Self> {
        let (unsigned, negative) = without_sign(text.word()?);
        let point = unsigned.find(point);
        let (digits, whole) = match point {
            Some(place) => (unsigned.without(place), place),
            None => (unsigned, unsigned.length),
        };
        let places = digits.length - whole;
        // "-0" would be an integer that prints as "0".
        let is_plain = match (whole, unsigned.begins_with(b'0')) {
            (0, _) | (2.., true) => false,
            (1, true) => point.is_some() || !negative,
            _ => true,
        };
        let digits = digits.number().filter(|_| is_plain && (point.is_none() || places > 0))?;
        Some(Self { negative, digits, places })
    }

    /// The number, where one exact division gives it and all of its digits come back.
    #[inline]
    fn float(self) -> Option<f64> {
        /// As the bits of a float, these are 2^52, and whatever is added to them is added to it.
        const BITS: u64 = 0x4330_0000_0000_0000;
        if self.digits >= FLOAT_LIMIT {
            return None;
        }
        let value = (f64::from_bits(BITS | self.digits) - f64::from_bits(BITS)) / TENS.get(self.places)?;
        Some(if self.negative { -value } else { value })
    }

    /// The number in units of the `scale`-th place after the point, if it has no digits beyond.
    #[inline]
    fn decimal(self, precision: u8, scale: u8) -> Option<i128> {
        let missing = usize::from(scale).checked_sub(self.places)?;
        let value = i128::from(self.digits).checked_mul(*UNITS.get(missing)?)?;
        let value = (value < *UNITS.get(usize::from(precision))?).then_some(value)?;
        Some(if self.negative { -value } else { value })
    }
}

fn without_sign(word: Word) -> (Word, bool) {
    word.after(b'-').map_or((word, false), |digits| (digits, true))
}

fn integer(digits: &[u8], negative: bool) -> Option<i64> {
    if digits.len() <= QUICK_DIGITS {
        let value = digits.iter().try_fold(0_i64, |value, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then(|| value * 10 + i64::from(digit))
        });
        return value.filter(|_| !digits.is_empty()).map(|value| if negative { -value } else { value });
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

#[cfg(test)]
mod tests;
