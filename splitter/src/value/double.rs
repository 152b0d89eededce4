//! Long decimal numbers as doubles: which double is nearest, and whether it gives the digits back.
//!
//! The nearest double is found as by Eisel and Lemire (D. Lemire, *Number Parsing at a Gigabyte per Second*, Software: Practice and
//! Experience 51, 2021): the digits, as an integer, are multiplied by 128 bits of the power of ten. The first 53 bits of the product
//! are the double. The next 64 bits are how far the text is from the double below, in 2^-64 of the distance between two doubles.
//!
//! The same bits answer the second question, for which others print the double. Printed with as many digits as the text has, a double
//! is the text again if and only if it is less than half a unit of the last digit away. In the same scale that unit is the power of
//! ten, shifted. So one comparison is enough, and reading a double costs a tenth of printing it.
//!
//! Neither is decided where the product is too near to a limit. [`number`](super::number) then prints the double, which is exact:
//! one of some 10^18 random texts, and all that stand in the middle between two doubles.

use wide::u8x16;

use crate::records::field::{FIRST, Field, WINDOW_BYTES, eight_digits, halves};

/// The powers of ten for which there is a fast way, and their number. Numbers of other sizes are rare, and would double the table.
const SMALLEST_POWER: i32 = -150;
const LARGEST_POWER: i32 = 150;
const POWERS: usize = 301;

/// The digit zero in each byte.
const ZEROS: u128 = u128::MAX / 0xff * 0x30;

/// Powers of ten by the digits that do not fit into sixteen bytes.
const TENS: [u64; 4] = [1, 10, 100, 1000];

/// Powers of five from [`SMALLEST_POWER`] on: the first 128 bits of each, less an error of at most 2^10 of the last.
///
/// Each is made of its neighbour. A step adds at most two units of the last bit, and there are 150 at most.
static FIVES: [u128; POWERS] = {
    const ZEROTH: usize = 150;
    let mut fives = [1_u128 << 127; POWERS];
    let mut place = ZEROTH;
    while place + 1 < fives.len() {
        let five = fives[place];
        fives[place + 1] = match five.checked_add(five / 4) {
            Some(next) => next,
            None => five / 2 + five / 8,
        };
        place += 1;
    }
    place = ZEROTH;
    while place > 0 {
        let (fifth, rest) = (fives[place] / 5, fives[place] % 5);
        let unused = fifth.leading_zeros();
        fives[place - 1] = (fifth << unused) + (rest << unused) / 5;
        place -= 1;
    }
    fives
};

/// A number with a fraction, as programs print it: no sign but a minus, no zero before other digits of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Printed {
    negative: bool,
    /// Its digits, as an integer of at most nineteen.
    digits: u64,
    /// The power of ten that its last digit counts.
    power: i32,
}

/// The double that is nearest to a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounded {
    pub(super) value: f64,
    /// Whether the number has the digits that the double is printed with, if it is printed with as many.
    pub(super) comes_back: bool,
}

impl Printed {
    /// The number of a text; `None` for a text that is not such a number, and for some that are, since they are long.
    #[inline]
    pub(super) fn of(text: Field<'_>, point: u8) -> Option<Self> {
        let length = u32::try_from(text.len()).ok()?;
        match text.window() {
            Some(window) => Window::new(window, length)?.number(point),
            None => Window::new(&text.padded_window(), length)?.number(point),
        }
    }

    /// The double nearest to the number; `None` where that, or whether it gives the digits back, is too close to tell.
    #[inline]
    pub(super) fn nearest(self) -> Option<Rounded> {
        let sign = u64::from(self.negative) << 63;
        if self.digits == 0 {
            return Some(Rounded { value: f64::from_bits(sign), comes_back: true });
        }
        let (bits, comes_back) = self.rounded()?;
        // Zeros at the end of the text do not count. The shortest text of a power of two need not be the nearest one of as many digits,
        // because the double below it is half as far away as the double above.
        if !comes_back && (self.digits.is_multiple_of(10) || bits << 12 == 0) {
            return None;
        }
        Some(Rounded { value: f64::from_bits(bits | sign), comes_back })
    }

    /// The bits of the nearest double, without the sign, and whether it is less than half a unit of the last digit away.
    #[inline]
    fn rounded(self) -> Option<(u64, bool)> {
        /// How far the computed distances may be from the true ones, and more: 1 for the power and the product, 1 for what is cut off
        /// of each of two numbers that are compared.
        const CLOSE: u64 = 4;
        const MIDDLE: u64 = 1 << 63;
        let five = FIVES.get(usize::try_from(self.power - SMALLEST_POWER).ok()?)?;
        let [low, high] = halves(*five);
        let unused = self.digits.leading_zeros();
        let digits = u128::from(self.digits << unused);
        let product = digits * u128::from(high) + ((digits * u128::from(low)) >> 64);
        // The product has 127 or 128 bits. Which, cannot be predicted, so that there is no branch.
        let is_short = 1 - (halves(product)[1] >> 63);
        let [low, high] = halves(product << is_short);
        let beyond = high << 53 | low >> 11;
        let (unused, is_short) = (i32::try_from(unused).ok()?, i32::try_from(is_short).ok()?);
        let exponent = binary_exponent(self.power) + 1 - is_short - unused;
        if beyond.abs_diff(MIDDLE) <= CLOSE {
            return None;
        }
        let distance = beyond.min(beyond.wrapping_neg());
        // Half a unit of the last digit. A text of 15 digits or less has units that are larger than the distance between doubles.
        let [_, five] = halves(*five);
        let half = u32::try_from(12 - unused - is_short).map_or(u64::MAX, |shift| five >> shift);
        if distance.abs_diff(half) <= CLOSE {
            return None;
        }
        // Where rounding up carries, it carries into the exponent, as it has to. So does the first bit, which a double does not have.
        let exponent = u64::try_from(exponent - 1).ok()? << 52;
        Some((exponent + (high >> 11) + (beyond >> 63), distance < half))
    }
}

/// The exponent of a power of ten as doubles have it, for a product of 128 bits: 1,023 more than its binary logarithm, and 63 for the
/// integer before it.
#[inline]
fn binary_exponent(power: i32) -> i32 {
    debug_assert!((SMALLEST_POWER..=LARGEST_POWER).contains(&power));
    // The logarithm of ten, in 2^-16. It is exact enough for these powers.
    ((power * 217_706) >> 16) + 63 + 1023
}

/// The first bytes of a text, and which of them are digits.
#[derive(Clone, Copy, Debug)]
struct Window<'a> {
    bytes: &'a [u8; WINDOW_BYTES],
    length: u32,
    /// A bit for each byte of the text, the first one lowest.
    digits: u32,
    /// Those of them that are not zero.
    significant: u32,
}

impl<'a> Window<'a> {
    /// `None` if the text has more bytes.
    #[inline]
    fn new(bytes: &'a [u8; WINDOW_BYTES], length: u32) -> Option<Self> {
        let of_text = u32::MAX.checked_shr(u32::BITS.checked_sub(length)?)?;
        let (parts, _) = bytes.as_chunks::<16>();
        let (mut digits, mut zeros) = (0, 0);
        for part in parts.iter().rev() {
            let from_zero = u8x16::new(*part) ^ u8x16::splat(b'0');
            let are_digits = from_zero.simd_eq(from_zero.min(u8x16::splat(9)));
            digits = digits << 16 | are_digits.to_bitmask();
            zeros = zeros << 16 | from_zero.simd_eq(u8x16::ZERO).to_bitmask();
        }
        let digits = digits & of_text;
        Some(Self { bytes, length, digits, significant: digits & !zeros })
    }

    #[inline]
    fn number(self, point: u8) -> Option<Printed> {
        let negative = self.byte(0)? == b'-';
        let start = u32::from(negative);
        let whole = self.digits_from(start)?;
        let is_zero = self.byte(start)? == b'0';
        let behind = start + whole + 1;
        let fraction = self.digits_from(behind)?;
        if whole == 0 || (is_zero && whole > 1) || fraction == 0 || self.byte(start + whole)? != point {
            return None;
        }
        let exponent = if behind + fraction == self.length { 0 } else { self.exponent(behind + fraction)? };
        let power = exponent - i32::try_from(fraction).ok()?;
        // A number below one begins after its zeros. The point is between the digits of any other.
        let zeros = self.significant.checked_shr(behind)?.trailing_zeros().min(fraction);
        let (from, gap, count) =
            if is_zero { (behind + zeros, 0, fraction - zeros) } else { (start, 1, whole + fraction) };
        Some(Printed { negative, digits: self.integer(from, whole, gap, count)?, power })
    }

    #[inline]
    fn byte(self, place: u32) -> Option<u8> {
        self.bytes.get(usize::try_from(place).ok()?).copied()
    }

    /// How many digits there are from a place on.
    #[inline]
    fn digits_from(self, place: u32) -> Option<u32> {
        Some((!self.digits.checked_shr(place)?).trailing_zeros())
    }

    /// The exponent that is the rest of the text, as in `e-05`; none of more than three digits.
    #[inline]
    fn exponent(self, place: u32) -> Option<i32> {
        let sign = self.byte(place + 1)?;
        let start = place + 1 + u32::from(matches!(sign, b'-' | b'+'));
        let count = self.digits_from(start)?;
        if self.byte(place)? | 0x20 != b'e' || !(1..=3).contains(&count) || start + count != self.length {
            return None;
        }
        let digits = (start..self.length).filter_map(|place| self.byte(place));
        let exponent = digits.fold(0, |exponent, digit| exponent * 10 + i32::from(digit - b'0'));
        Some(if sign == b'-' { -exponent } else { exponent })
    }

    /// So many digits from a place on, as an integer; `gap` is 1 where a point stands after the first `whole` of them.
    #[inline]
    fn integer(self, from: u32, whole: u32, gap: u32, count: u32) -> Option<u64> {
        let at = |place: u32| self.bytes.get(usize::try_from(place).ok()?..);
        let (first, next) = (at(from)?.first_chunk()?, at(from + gap)?.first_chunk()?);
        let before = FIRST.get(usize::try_from(whole).ok()?)?;
        let joined = u128::from_le_bytes(*first) & before | u128::from_le_bytes(*next) & !before;
        // Sixteen digits, with as many zeros before them as there is room for, and up to three more.
        let unused = 16_u32.saturating_sub(count) * 8;
        let [first, last] = halves((joined ^ ZEROS).checked_shl(unused).unwrap_or(0));
        let first = eight_digits(first) * 100_000_000 + eight_digits(last);
        let beyond = count.saturating_sub(16);
        let more = u64::from_le_bytes(*at(from + gap + 16)?.first_chunk()?) ^ halves(ZEROS)[0];
        let more = more << 8 << (56_u32.checked_sub(beyond * 8)?);
        Some(first * TENS.get(usize::try_from(beyond).ok()?)? + eight_digits(more))
    }
}
