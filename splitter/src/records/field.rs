//! A field, and short ones as numbers: up to sixteen bytes that are looked at all at once.

use crate::records::span::Span;

/// The longest text that is a word.
pub(crate) const WORD_BYTES: usize = 16;

/// Bytes that the longest numbers have, nearly all of them.
pub(crate) const WINDOW_BYTES: usize = 32;

/// Half of a word.
const HALF_BYTES: usize = 8;

/// A one in each byte.
const ONES: u128 = u128::MAX / 0xff;
const ONES_IN_HALF: u64 = u64::MAX / 0xff;

/// All bits of the first so many bytes.
pub(crate) const FIRST: [u128; WORD_BYTES + 1] = {
    let mut first = [0; WORD_BYTES + 1];
    let mut bytes = 1;
    while bytes <= WORD_BYTES {
        first[bytes] = first[bytes - 1] << 8 | 0xff;
        bytes += 1;
    }
    first
};

/// A run of bytes in a text, and what stands after it there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The text from where the field begins.
    text: &'a [u8],
    length: usize,
}

impl<'a> From<&'a [u8]> for Field<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self { text, length: text.len() }
    }
}

impl<'a> Field<'a> {
    /// The field that stands there in a text.
    #[inline]
    pub(crate) fn at(text: &'a [u8], span: Span) -> Self {
        debug_assert!(span.start() <= span.end() && span.end() <= text.len(), "{span:?} of {} bytes", text.len());
        Self { text: text.get(span.start()..).unwrap_or_default(), length: span.end() - span.start() }
    }

    /// Its bytes.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.text.get(..self.length).unwrap_or_default()
    }

    /// How many bytes it has.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// The byte that it is, if it is one.
    #[inline]
    pub(crate) fn byte(self) -> Option<u8> {
        let [byte] = *self.bytes() else { return None };
        Some(byte)
    }

    /// Its digits, if it has eight bytes at most and begins with a digit other than zero, as most numbers do, and if eight bytes
    /// of the text are left to read. So `None` says nothing of it.
    #[inline]
    pub(crate) fn digits(self) -> Option<Digits> {
        let unused = HALF_BYTES.checked_sub(self.length)?;
        let bytes = u64::from_le_bytes(*self.text.first_chunk()?);
        let from_zero = bytes ^ (ONES_IN_HALF * u64::from(b'0'));
        let is_first = (1..10).contains(&(from_zero & 0xff));
        // What stands after the text goes, and as many zeros come before it.
        let aligned = from_zero.checked_shl(u32::try_from(unused).ok()? * 8)?;
        is_first.then_some(Digits(aligned))
    }

    /// Its bytes as a number, if they are few.
    #[inline]
    pub(crate) fn word(self) -> Option<Word> {
        let mask = FIRST.get(self.length)?;
        // Sixteen bytes are read whatever the length is, since a branch for each length would be guessed wrong too often.
        let bits = u128::from_le_bytes(self.text.first_chunk().copied().unwrap_or_else(|| padded(self.text)));
        Some(Word { bits: bits & mask, length: self.length })
    }

    /// Its first bytes and those after it, if so many are left in the text.
    #[inline]
    pub(crate) fn window(self) -> Option<&'a [u8; WINDOW_BYTES]> {
        self.text.first_chunk()
    }

    /// The same where fewer are left, with zeros in place of the others.
    pub(crate) fn padded_window(self) -> [u8; WINDOW_BYTES] {
        padded(self.text)
    }
}

/// The bytes of a text, each less `0` and the last one highest, with as many zeros before them as there is room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits(u64);

impl Digits {
    /// The number; `None` where a byte is not a digit.
    #[inline]
    pub(crate) fn number(self) -> Option<u64> {
        let beyond_nine = self.0.wrapping_add(ONES_IN_HALF * (0x7f - 9)) | self.0;
        (beyond_nine & (ONES_IN_HALF << 7) == 0).then(|| eight_digits(self.0))
    }

    /// The same without its first `point`, and how many bytes stand after that; as it is, where none does.
    #[inline]
    pub(crate) fn without_point(self, point: u8) -> (Self, usize) {
        let Some(place) = place_in(self.0, point ^ b'0').filter(|place| *place < HALF_BYTES - 1) else {
            return (self, 0);
        };
        let behind = u64::MAX << ((place + 1) * 8);
        let before = !behind >> 8;
        (Self((self.0 & before) << 8 | self.0 & behind), HALF_BYTES - 1 - place)
    }
}

/// The bytes of a text that has fewer, and zeros.
#[cold]
pub(crate) fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(text).for_each(|(padded, byte)| *padded = *byte);
    bytes
}

/// A text of at most sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its bytes, the first one lowest, and zeros after.
    pub(crate) bits: u128,
    pub(crate) length: usize,
}

impl Word {
    /// The text after a byte that it begins with; `None` where it does not.
    #[inline]
    pub(crate) fn after(self, byte: u8) -> Option<Self> {
        self.begins_with(byte).then(|| Self { bits: self.bits >> 8, length: self.length.saturating_sub(1) })
    }

    /// Whether this is its first byte; a text of none has a zero for it.
    #[inline]
    pub(crate) fn begins_with(self, byte: u8) -> bool {
        self.bits & 0xff == u128::from(byte)
    }

    /// Where a byte other than zero stands first.
    #[inline]
    pub(crate) fn find(self, byte: u8) -> Option<usize> {
        let [first, last] = halves(self.bits);
        place_in(first, byte).or_else(|| place_in(last, byte).map(|place| place + HALF_BYTES))
    }

    /// The text without its byte at a place.
    #[inline]
    pub(crate) fn without(self, place: usize) -> Self {
        let before = FIRST.get(place).copied().unwrap_or(u128::MAX);
        let bits = (self.bits & before) | (self.bits >> 8 & !before);
        Self { bits, length: self.length.saturating_sub(1) }
    }

    /// The number that it is in digits; `None` where a byte is not a digit, or there is none.
    #[inline]
    pub(crate) fn number(self) -> Option<u64> {
        // Most numbers are of few digits, with which there is half as much to do.
        let Some(unused) = HALF_BYTES.checked_sub(self.length) else { return self.long_number() };
        let [digits, _] = halves(self.bits);
        // With as many zeros before it as there is room for.
        let digits = (digits ^ (ONES_IN_HALF * u64::from(b'0'))).checked_shl(u32::try_from(unused).ok()? * 8)?;
        Digits(digits).number()
    }

    #[inline]
    fn long_number(self) -> Option<u64> {
        let unused = u32::try_from(WORD_BYTES - self.length).ok()? * 8;
        let digits = (self.bits ^ (ONES * u128::from(b'0'))).checked_shl(unused)?;
        let beyond_nine = digits.wrapping_add(ONES * (0x7f - 9)) | digits;
        if beyond_nine & (ONES << 7) != 0 {
            return None;
        }
        let [first, last] = halves(digits);
        Some(eight_digits(first) * 100_000_000 + eight_digits(last))
    }
}

/// The first eight bytes of a word, and the others.
#[inline]
pub(crate) fn halves(bits: u128) -> [u64; 2] {
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    [half(bits), half(bits >> 64)]
}

/// Where a byte other than zero stands first in half a word.
#[inline]
fn place_in(half: u64, byte: u8) -> Option<usize> {
    let zero_if_equal = half ^ (ONES_IN_HALF * u64::from(byte));
    // The lowest byte that is zero is the lowest whose highest bit comes to be set.
    let found = zero_if_equal.wrapping_sub(ONES_IN_HALF) & !zero_if_equal & (ONES_IN_HALF << 7);
    let place = usize::try_from(found.trailing_zeros()).ok()? / 8;
    (found != 0).then_some(place)
}

/// The number of eight digits, the first in the lowest byte: neighbours are joined to pairs, these to fours, and these to
/// the whole, each time all at once.
#[inline]
pub(crate) fn eight_digits(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_is_the_text_whatever_stands_behind(
            text in proptest::collection::vec(proptest::sample::select(b"0159.-a\x00\x2f\x3a\x80\xb0\xff".to_vec()), 0..40),
            cut in any::<proptest::sample::Index>(),
            place in any::<proptest::sample::Index>(),
        ) {
            let length = cut.index(text.len() + 1);
            let bytes = &text[..length];
            let field = Field { text: &text, length };
            prop_assert_eq!(field.bytes(), bytes);
            prop_assert_eq!(field.word(), Field::from(bytes).word());
            let Some(word) = field.word() else {
                prop_assert!(length > WORD_BYTES);
                return Ok(());
            };
            prop_assert_eq!(&word.bits.to_le_bytes()[..length], bytes);
            prop_assert_eq!(word.bits.to_le_bytes()[length..].iter().max().copied().unwrap_or_default(), 0);
            prop_assert_eq!(word.find(b'.'), bytes.iter().position(|byte| *byte == b'.'));
            let behind = bytes.strip_prefix(b"-").map(|rest| Field::from(rest).word().unwrap());
            prop_assert_eq!(word.after(b'-'), behind);
            let number = std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with('+')).and_then(|text| text.parse().ok());
            prop_assert_eq!(word.number(), number);
            if length > 0 {
                let place = place.index(length);
                let without = [&bytes[..place], &bytes[place + 1..]].concat();
                prop_assert_eq!(word.without(place), Field::from(without.as_slice()).word().unwrap());
            }
        }

        #[test]
        fn digits_are_those_of_short_numbers(
            text in proptest::collection::vec(proptest::sample::select(b"0123456789.-/:\xb1\x1e".to_vec()), 0..30),
            cut in 0_usize..12,
        ) {
            let length = cut.min(text.len());
            let bytes = &text[..length];
            let found = Field { text: &text, length }.digits();
            let is_short = (1..=8).contains(&length) && text.len() >= 8 && (b'1'..=b'9').contains(&bytes[0]);
            prop_assert_eq!(found.is_some(), is_short);
            let Some(digits) = found else { return Ok(()) };
            let read = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('-')).and_then(|text| text.parse().ok());
            prop_assert_eq!(digits.number(), read(bytes));
            let (digits, places) = digits.without_point(b'.');
            let point = bytes.iter().position(|byte| *byte == b'.').filter(|point| *point + 1 < length);
            let without = point.map_or(bytes.to_vec(), |point| [&bytes[..point], &bytes[point + 1..]].concat());
            prop_assert_eq!((digits.number(), places), (read(&without), point.map_or(0, |point| length - 1 - point)));
        }

        #[test]
        fn every_number_of_sixteen_digits_is_read(number in 0_u64..10_000_000_000_000_000, width in 1_usize..=16) {
            let text = format!("{number:0width$}");
            prop_assert_eq!(Field::from(text.as_bytes()).word().unwrap().number(), Some(number));
        }
    }
}
