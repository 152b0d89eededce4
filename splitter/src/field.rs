//! A field, and short ones as numbers: up to sixteen bytes that are looked at all at once.

use crate::record::Span;

/// The longest text that is a word.
pub(crate) const WORD_BYTES: usize = 16;

/// A one in each byte.
const ONES: u128 = u128::MAX / 0xff;
const ONES_IN_HALF: u64 = u64::MAX / 0xff;

/// All bits of the first so many bytes.
const FIRST: [u128; WORD_BYTES + 1] = {
    let mut first = [0; WORD_BYTES + 1];
    let mut bytes = 1;
    while bytes <= WORD_BYTES {
        first[bytes] = first[bytes - 1] << 8 | 0xff;
        bytes += 1;
    }
    first
};

/// A run of bytes in a text, and what stands behind it there.
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
        let text = text.get(span.start()..).unwrap_or_default();
        Self { text, length: (span.end() - span.start()).min(text.len()) }
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

    /// Its bytes as a number, if they are few.
    #[inline]
    pub(crate) fn word(self) -> Option<Word> {
        let mask = FIRST.get(self.length)?;
        // Sixteen bytes are read whatever the length is, since a branch for each length would be guessed wrong too often.
        let bits = self.text.first_chunk().map_or_else(|| padded(self.text), |bytes| u128::from_le_bytes(*bytes));
        Some(Word { bits: bits & mask, length: self.length })
    }
}

/// The first bytes of a text that has fewer than sixteen.
#[cold]
fn padded(text: &[u8]) -> u128 {
    let mut bytes = [0; WORD_BYTES];
    bytes.iter_mut().zip(text).for_each(|(padded, byte)| *padded = *byte);
    u128::from_le_bytes(bytes)
}

/// A text of at most sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its bytes, the first one lowest, and zeros behind.
    pub(crate) bits: u128,
    pub(crate) length: usize,
}

impl Word {
    /// The text behind a byte that it begins with; `None` where it does not.
    #[inline]
    pub(crate) fn behind(self, byte: u8) -> Option<Self> {
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
        let zero_if_equal = self.bits ^ (ONES * u128::from(byte));
        // The lowest byte that is zero is the lowest whose highest bit comes to be set.
        let found = zero_if_equal.wrapping_sub(ONES) & !zero_if_equal & (ONES << 7);
        let place = usize::try_from(found.trailing_zeros()).ok()? / 8;
        (found != 0).then_some(place)
    }

    /// The text without its byte at a place.
    #[inline]
    pub(crate) fn without(self, place: usize) -> Self {
        let before = FIRST.get(place).copied().unwrap_or(u128::MAX);
        let bits = (self.bits & before) | (self.bits >> 8 & !before);
        Self { bits, length: self.length.saturating_sub(1) }
    }

    /// The number that it is in digits; `None` where a byte is no digit, or there is none.
    #[inline]
    pub(crate) fn number(self) -> Option<u64> {
        // Most numbers are of few digits, with which there is half as much to do.
        let Some(unused) = 8_usize.checked_sub(self.length) else { return self.long_number() };
        let [digits, _] = halves(self.bits);
        // With as many zeros before it as there is room for.
        let digits = (digits ^ (ONES_IN_HALF * u64::from(b'0'))).checked_shl(u32::try_from(unused).ok()? * 8)?;
        let beyond_nine = digits.wrapping_add(ONES_IN_HALF * (0x7f - 9)) | digits;
        (beyond_nine & (ONES_IN_HALF << 7) == 0).then(|| eight_digits(digits))
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

/// The number of eight digits, the first in the lowest byte: neighbours are joined to pairs, these to fours, and these to
/// the whole, each time all at once.
#[inline]
fn eight_digits(digits: u64) -> u64 {
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
            prop_assert_eq!(word.behind(b'-'), behind);
            let number = std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with('+')).and_then(|text| text.parse().ok());
            prop_assert_eq!(word.number(), number);
            if length > 0 {
                let place = place.index(length);
                let without = [&bytes[..place], &bytes[place + 1..]].concat();
                prop_assert_eq!(word.without(place), Field::from(without.as_slice()).word().unwrap());
            }
        }

        #[test]
        fn every_number_of_sixteen_digits_is_read(number in 0_u64..10_000_000_000_000_000, width in 1_usize..=16) {
            let text = format!("{number:0width$}");
            prop_assert_eq!(Field::from(text.as_bytes()).word().unwrap().number(), Some(number));
        }
    }
}
