//! The parts of a decimal number in any notation: what is read slowly, and decides where the fast ways do not.

use super::notation::{Notation, QUICK_DIGITS, UNITS};

/// The parts of a decimal number; `whole` or `fraction` has digits.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) sign: Option<u8>,
    pub(super) whole: &'a [u8],
    /// Digits after the point; none where there is no point.
    pub(super) fraction: Option<&'a [u8]>,
    /// With its sign.
    pub(super) exponent: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a [u8], point: u8) -> Option<Self> {
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
    pub(super) fn are_plain(&self, notation: Notation) -> bool {
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
    pub(super) fn comes_back(&self, text: &[u8], point: u8, value: f64) -> bool {
        self.fraction.is_some() && shared::prints_back(text, point, value)
    }

    pub(super) fn digits(&self) -> impl Iterator<Item = u8> + Clone {
        self.whole.iter().chain(self.fraction.unwrap_or_default()).copied()
    }

    /// The nearest number; `text` is what the parts are of.
    pub(super) fn float(&self, text: &[u8]) -> Option<f64> {
        let mut text = text.to_vec();
        if let Some(point) = self.fraction.and(text.get_mut(usize::from(self.sign.is_some()) + self.whole.len())) {
            *point = b'.';
        }
        let value: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// Whether these are the digits that `value` prints with: the fewest that no other number has.
    pub(super) fn are_those_of(&self, value: f64) -> bool {
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
    pub(super) fn decimal(&self, precision: u8, scale: u8) -> Option<i128> {
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
