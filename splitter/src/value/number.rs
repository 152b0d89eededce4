//! Numbers: which text is which number.
//!
//! Strictly, a text is a number only if no text is lost by it: `00123`, `+1`, `.5` and `1e5` may be names. In columns whose
//! type was given, it is the number that it looks like.

use shared::DECIMAL_DIGITS;

use crate::records::field::{Digits, Field, Word};
use crate::value::double::Printed;

/// How numbers are written in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notation {
    /// What stands before the fraction.
    pub(crate) point: u8,
    /// Whether `1e5` is a number, as in JSON. In a CSV it may as well be a name, and only `1.0e5` is one.
    pub(crate) bare_exponents: bool,
}

/// A double-precision number carries 15 digits whatever they are (`DBL_DIG`); more of them may or may not come back.
const FLOAT_LIMIT: u64 = 1_000_000_000_000_000;

/// Digits that 64 bits hold whatever they are, with or without a sign.
const QUICK_DIGITS: usize = 18;

/// Powers of ten that a decimal holds.
const UNITS: [i128; 39] = {
    let mut units = [1; 39];
    let mut place = 1;
    while place < units.len() {
        units[place] = units[place - 1] * 10;
        place += 1;
    }
    units
};

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

/// The parts of a decimal number; `whole` or `fraction` has digits.
#[derive(Debug)]
struct Parts<'a> {
    sign: Option<u8>,
    whole: &'a [u8],
    /// Digits after the point; none where there is no point.
    fraction: Option<&'a [u8]>,
    /// With its sign.
    exponent: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8], point: u8) -> Option<Self> {
        let (sign, unsigned) = signed(text);
        let (whole, rest) = run_of_digits(unsigned);
        let (fraction, rest) = match rest.split_first() {
            Some((first, behind)) if *first == point => {
                let (fraction, rest) = run_of_digits(behind);
                (Some(fraction), rest)
            }
            _ => (None, rest),
        };
        let exponent = match rest.split_first() {
            None => None,
            Some((b'e' | b'E', exponent)) => Some(exponent).filter(|exponent| is_digits(signed(exponent).1)),
            Some(_) => return None,
        };
        let is_number = !(whole.is_empty() && fraction.unwrap_or_default().is_empty());
        (is_number && exponent.is_none() == rest.is_empty()).then_some(Self { sign, whole, fraction, exponent })
    }

    /// Whether the number is written as numbers are printed, and so is not a name.
    fn are_plain(&self, notation: Notation) -> bool {
        let has_fraction = self.fraction.is_some();
        self.sign != Some(b'+')
            && is_whole(self.whole)
            && self.fraction.is_none_or(|fraction| !fraction.is_empty())
            && (self.exponent.is_none() || has_fraction || notation.bare_exponents || self.has_printed_exponent())
            // "-0" would be an integer that prints as "0".
            && (self.sign.is_none() || self.whole != b"0" || has_fraction || self.exponent.is_some())
    }

    /// Whether the exponent is written as programs print one: after a single digit, with its sign and two digits at least, as in
    /// `1e-05`. Names such as `1e5` are hardly ever.
    fn has_printed_exponent(&self) -> bool {
        self.whole.len() == 1
            && self.exponent.is_some_and(|exponent| exponent.len() > 2 && signed(exponent).0.is_some())
    }

    /// Whether `value`, printed with as many digits, is the text of these parts. Not asked of whole numbers: one with more
    /// digits than an integer has is a name, even if a double happens to give it back.
    fn comes_back(&self, text: &[u8], point: u8, value: f64) -> bool {
        self.fraction.is_some() && shared::prints_back(text, point, value)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + Clone {
        self.whole.iter().chain(self.fraction.unwrap_or_default()).copied()
    }

    /// The nearest number; `text` is what the parts are of.
    fn float(&self, text: &[u8]) -> Option<f64> {
        let mut text = text.to_vec();
        if let Some(point) = self.fraction.and(text.get_mut(usize::from(self.sign.is_some()) + self.whole.len())) {
            *point = b'.';
        }
        let value: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// Whether these are the digits that `value` prints with: the fewest that no other number has.
    fn are_those_of(&self, value: f64) -> bool {
        let leading = self.digits().take_while(|digit| *digit == b'0').count();
        let digits = self.digits().skip(leading);
        let Some(last) = digits.clone().enumerate().filter(|(_, digit)| *digit != b'0').last() else {
            return value == 0.0;
        };
        let exponent = self.exponent.map_or(Some(0), |exponent| std::str::from_utf8(exponent).ok()?.parse().ok());
        let printed = format!("{:e}", value.abs());
        let Some((mantissa, power)) = printed.split_once('e') else { return false };
        let place = i64::try_from(self.whole.len()).ok().zip(i64::try_from(leading).ok());
        let place =
            place.zip(exponent).map(|((whole, leading), exponent): (_, i32)| whole - leading - 1 + i64::from(exponent));
        power.parse().ok() == place && mantissa.bytes().filter(|byte| *byte != b'.').eq(digits.take(last.0 + 1))
    }

    /// The number in units of the `scale`-th place after the point, if it has no digits beyond.
    fn decimal(&self, precision: u8, scale: u8) -> Option<i128> {
        let scale = usize::from(scale);
        let fraction = self.fraction.unwrap_or_default();
        let (held, beyond) = fraction.split_at(scale.min(fraction.len()));
        if self.exponent.is_some() || beyond.iter().any(|digit| *digit != b'0') {
            return None;
        }
        let padding = std::iter::repeat_n(&b'0', scale - held.len());
        let mut digits = self.whole.iter().chain(held).chain(padding).map(|digit| digit - b'0');
        let value = if self.whole.len() + scale <= QUICK_DIGITS {
            i128::from(digits.fold(0_u64, |value, digit| value * 10 + u64::from(digit)))
        } else {
            digits.try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(digit)))?
        };
        let value = (value < *UNITS.get(usize::from(precision))?).then_some(value)?;
        Some(if self.sign == Some(b'-') { -value } else { value })
    }
}

fn signed(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text {
        [sign @ (b'-' | b'+'), rest @ ..] => (Some(*sign), rest),
        _ => (None, text),
    }
}

fn run_of_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// Digits without a zero before them.
fn is_whole(digits: &[u8]) -> bool {
    match digits {
        [b'0'] => true,
        [] | [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    }
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
