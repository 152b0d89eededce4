//! Outlines: what a text is looked up by.

use rapidhash::v3::rapidhash_v3;

use crate::records::field::{Field, halves};

/// What distinguishes a text from others; of one that is a word, all that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// The bytes of a word; of a longer text its first and its last eight.
    bits: [u64; 2],
    pub(super) length: usize,
}

impl Outline {
    /// That of no text.
    pub(super) const NONE: Self = Self { bits: [0; 2], length: usize::MAX };

    /// That of a text, and by what the text is looked for.
    #[inline]
    pub(super) fn with_hash(text: Field<'_>) -> (Self, usize) {
        let Some(word) = text.word() else { return Self::of_long(text) };
        let outline = Self { bits: halves(word.bits), length: word.length };
        (outline, outline.hash())
    }

    /// The same of a text that is not a word.
    pub(super) fn of_long(text: Field<'_>) -> (Self, usize) {
        let end = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let bits = [end(text.bytes().first_chunk()), end(text.bytes().last_chunk())];
        let hash = usize::try_from(rapidhash_v3(text.bytes())).unwrap_or_default();
        (Self { bits, length: text.len() }, hash)
    }

    /// That of a word. The same in every process, as what collides decides over the bytes of a chunk.
    #[inline]
    pub(super) fn hash(self) -> usize {
        // Two numbers whose bits are in no order, so that multiplying mixes all bits of a text.
        const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
        let length = u64::try_from(self.length).unwrap_or_default();
        let [first, last] = self.bits;
        let product = u128::from(first ^ MIX[0]) * u128::from(last ^ length.rotate_left(32) ^ MIX[1]);
        let [low, high] = halves(product);
        usize::try_from(low ^ high).unwrap_or_default()
    }
}
