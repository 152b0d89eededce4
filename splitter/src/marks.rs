//! Marks: the few bytes that give a text its structure.

use wide::u8x16;

/// Bytes that are looked at together: as many as a mask has bits.
const STRIDE: usize = 64;

/// The places in a text at which one of a few bytes stands, in order.
#[derive(Clone, Debug)]
pub(crate) struct Marks<'a, const N: usize> {
    wanted: [u8; N],
    /// The text from the stride in hand on, and where that begins.
    rest: &'a [u8],
    base: usize,
    /// Those of its places that were not given out yet, the first as the lowest bit.
    mask: u64,
}

impl<'a, const N: usize> Marks<'a, N> {
    /// The places of all wanted bytes; one that is named twice counts once.
    pub(crate) fn new(text: &'a [u8], wanted: [u8; N]) -> Self {
        Self { wanted, rest: text, base: 0, mask: mask(text, wanted) }
    }
}

impl<const N: usize> Iterator for Marks<'_, N> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.rest = self.rest.get(STRIDE..)?;
            self.base += STRIDE;
            self.mask = mask(self.rest, self.wanted);
        }
        let place = usize::try_from(self.mask.trailing_zeros()).ok()?;
        self.mask &= self.mask - 1;
        Some(self.base + place)
    }
}

/// Where wanted bytes stand in the first stride of a text.
#[inline]
fn mask<const N: usize>(text: &[u8], wanted: [u8; N]) -> u64 {
    if let Some(stride) = text.first_chunk() {
        return mask_of_stride(stride, wanted);
    }
    let mut stride = [0; STRIDE];
    stride.iter_mut().zip(text).for_each(|(padded, byte)| *padded = *byte);
    // The padding may be what is wanted.
    mask_of_stride(&stride, wanted) & ((1 << text.len()) - 1)
}

#[inline]
fn mask_of_stride<const N: usize>(stride: &[u8; STRIDE], wanted: [u8; N]) -> u64 {
    let wanted = wanted.map(u8x16::splat);
    let (parts, _) = stride.as_chunks();
    parts.iter().rev().fold(0, |mask, part| {
        let part = u8x16::new(*part);
        let found = wanted.into_iter().fold(u8x16::ZERO, |found, wanted| found | part.simd_eq(wanted));
        mask << 16 | u64::from(found.to_bitmask())
    })
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
    }
}
