//! Structural marks: the few bytes that give a text its structure (delimiter, quote, record ends).
//!
//! Finding the fields of a CSV is most of the work of reading it, and a loop that branches on each byte is slow: which byte comes
//! next cannot be predicted. So 64 bytes are compared at a time, without branches, and the result is a *mask*: bit `n` is
//! set where byte `n` is a mark. What follows only visits bits that are set (`trailing_zeros`, then `mask &= mask - 1`), so it
//! costs per mark and not per byte. simdjson does the same for JSON.
//!
//! Two iterators are built on the masks:
//!
//! - [`Marks`] gives the positions of all wanted bytes. The framer passes over quotes with it.
//! - [`StructuralScanner`] keeps delimiters and all other marks in two masks. Between two other marks every delimiter ends a field,
//!   whatever stands around it, so [`StructuralScanner::delimiters`] gives them out in a run, and the reader of records writes the
//!   fields' spans in a loop without a branch on content. Only at the other marks (quotes, record ends) something is decided.
//!
//! If you change this:
//!
//! - The end of a text is padded with zeros, and a zero may be what is wanted; [`Wanted::mask`] cuts the padding off.
//! - A byte that is both (a delimiter that is also named as another mark) is a delimiter.
//! - `wide` compiles to SSE2 on x86-64 and NEON on aarch64. Check that the loop still has no branches, with
//!   `cargo bench --bench stages`, before and after.

use wide::u8x16;

/// Bytes that are looked at together: as many as a mask has bits.
pub(crate) const STRIDE: usize = 64;

/// The places in a text at which one of a few bytes stands, in order.
#[derive(Clone, Debug)]
pub(crate) struct Marks<'a, const N: usize> {
    wanted: Wanted<N>,
    /// The text from the current stride on, and where that begins.
    rest: &'a [u8],
    base: usize,
    /// Those of its places that were not given out yet, the first as the lowest bit.
    mask: u64,
}

impl<'a, const N: usize> Marks<'a, N> {
    /// The places of all wanted bytes; one that is named twice counts once.
    pub(crate) fn new(text: &'a [u8], wanted: [u8; N]) -> Self {
        let wanted = Wanted::new(wanted);
        Self { wanted, rest: text, base: 0, mask: wanted.mask(text) }
    }
}

impl<const N: usize> Iterator for Marks<'_, N> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.rest = self.rest.get(STRIDE..)?;
            self.base += STRIDE;
            self.mask = self.wanted.mask(self.rest);
        }
        let place = usize::try_from(self.mask.trailing_zeros()).ok()?;
        self.mask &= self.mask - 1;
        Some(self.base + place)
    }
}

/// The delimiters of a text and its other marks, a stride at a time: between two others, delimiters are all that counts. What is
/// both is a delimiter.
#[derive(Clone, Debug)]
pub(crate) struct StructuralScanner<'a> {
    delimiter: Wanted<1>,
    others: Wanted<2>,
    /// The text from the current stride on, and where that begins.
    rest: &'a [u8],
    base: usize,
    /// Those of the stride that are still to be looked at, the first as the lowest bit.
    delimiters_left: u64,
    others_left: u64,
}

impl<'a> StructuralScanner<'a> {
    /// Those of a text.
    pub(crate) fn new(text: &'a [u8], delimiter: u8, others: [u8; 2]) -> Self {
        let (delimiter, others) = (Wanted::new([delimiter]), Wanted::new(others));
        let mut scanner = Self { delimiter, others, rest: text, base: 0, delimiters_left: 0, others_left: 0 };
        scanner.load();
        scanner
    }

    /// Leaves out what stands before a place.
    #[inline]
    pub(crate) fn skip_to(&mut self, place: usize) {
        while place >= self.base + STRIDE {
            if self.advance().is_none() {
                (self.delimiters_left, self.others_left) = (0, 0);
                return;
            }
        }
        let behind = u64::MAX << place.saturating_sub(self.base);
        self.delimiters_left &= behind;
        self.others_left &= behind;
    }

    /// Gives out the delimiters of the stride that stand before its next other mark.
    #[inline]
    pub(crate) fn delimiters(&mut self) -> Positions {
        let before = lowest(self.others_left).wrapping_sub(1);
        let places = Positions { base: self.base, left: self.delimiters_left & before };
        self.delimiters_left &= !before;
        places
    }

    /// Where the stride's next other mark is. The delimiters before it are not given out any more.
    #[inline]
    pub(crate) fn other(&mut self) -> Option<usize> {
        let mut places = Positions { base: self.base, left: self.others_left };
        let place = places.next()?;
        self.delimiters_left &= !lowest(self.others_left).wrapping_sub(1);
        self.others_left = places.left;
        Some(place)
    }

    /// Goes on to the next stride, if there is one.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<()> {
        self.rest = self.rest.get(STRIDE..)?;
        self.base += STRIDE;
        self.load();
        Some(())
    }

    #[inline]
    fn load(&mut self) {
        self.delimiters_left = self.delimiter.mask(self.rest);
        self.others_left = self.others.mask(self.rest) & !self.delimiters_left;
    }
}

/// Positions in a stride.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    base: usize,
    left: u64,
}

impl Iterator for Positions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let left = self.left;
        self.left &= left.wrapping_sub(1);
        (left != 0).then(|| self.base + usize::try_from(left.trailing_zeros()).unwrap_or_default())
    }
}

/// The lowest bit that is set.
#[inline]
fn lowest(bits: u64) -> u64 {
    bits & bits.wrapping_neg()
}

/// Bytes that are looked for, each as often as it is compared at once.
#[derive(Clone, Copy, Debug)]
struct Wanted<const N: usize>([u8x16; N]);

impl<const N: usize> Wanted<N> {
    fn new(bytes: [u8; N]) -> Self {
        Self(bytes.map(u8x16::splat))
    }

    /// Where they stand in the first stride of a text.
    #[inline]
    fn mask(&self, text: &[u8]) -> u64 {
        if let Some(stride) = text.first_chunk() {
            return self.mask_of_stride(stride);
        }
        let mut stride = [0; STRIDE];
        stride.iter_mut().zip(text).for_each(|(padded, byte)| *padded = *byte);
        // The padding may be what is wanted.
        self.mask_of_stride(&stride) & ((1 << text.len()) - 1)
    }

    #[inline]
    fn mask_of_stride(&self, stride: &[u8; STRIDE]) -> u64 {
        let (parts, _) = stride.as_chunks();
        parts.iter().rev().fold(0, |mask, part| {
            let part = u8x16::new(*part);
            let found = self.0.iter().fold(u8x16::ZERO, |found, wanted| found | part.simd_eq(*wanted));
            mask << 16 | u64::from(found.to_bitmask())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_where_the_bytes_are(
            text in proptest::collection::vec(proptest::sample::select(b"a,\"\n\r\0\x80\xff".to_vec()), 0..300),
            wanted in proptest::array::uniform4(proptest::sample::select(b",\"\n\r\0\x80".to_vec())),
        ) {
            let expected = |wanted: &[u8]| -> Vec<usize> {
                text.iter().enumerate().filter(|(_, byte)| wanted.contains(byte)).map(|(place, _)| place).collect()
            };
            let [a, b, ..] = wanted;
            prop_assert!(Marks::new(&text, wanted).eq(expected(&wanted)));
            prop_assert!(Marks::new(&text, [a, b]).eq(expected(&[a, b])));
            prop_assert!(Marks::new(&text, [a]).eq(expected(&[a])));
        }

        #[test]
        fn strides_have_all_marks_from_a_place_on(
            text in proptest::collection::vec(proptest::sample::select(b"a,\"\n\r\0\x80".to_vec()), 0..300),
            from in any::<proptest::sample::Index>(),
            delimiter in proptest::sample::select(b",\"\n".to_vec()),
        ) {
            let from = from.index(text.len() + 1);
            let mut scanner = StructuralScanner::new(&text, delimiter, [b'"', b'\n']);
            scanner.skip_to(from);
            let mut found = Vec::new();
            loop {
                found.extend(scanner.delimiters().map(|place| (place, true)));
                match scanner.other() {
                    Some(place) => found.push((place, false)),
                    None if scanner.advance().is_some() => {}
                    None => break,
                }
            }
            let marks = (from..text.len()).filter(|place| text[*place] == delimiter || b"\"\n".contains(&text[*place]));
            prop_assert_eq!(found, marks.map(|place| (place, text[place] == delimiter)).collect::<Vec<_>>());
        }
    }
}
