//! Marks: the few bytes that give a text its structure.

/// Bytes that are looked at together: as many as a mask has bits.
const STRIDE: usize = 64;

/// The places in a text at which one of four bytes stands, in order.
#[derive(Clone, Debug)]
pub(crate) struct Marks<'a> {
    wanted: [u8; 4],
    /// The text from the stride in hand on, and where that begins.
    rest: &'a [u8],
    base: usize,
    /// Those of its places that were not given out yet, the first as the lowest bit.
    mask: u64,
}

impl<'a> Marks<'a> {
    /// The places of all wanted bytes; one that is named twice counts once.
    pub(crate) fn new(text: &'a [u8], wanted: [u8; 4]) -> Self {
        Self { wanted, rest: text, base: 0, mask: mask(text, wanted) }
    }
}

impl Iterator for Marks<'_> {
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
fn mask(text: &[u8], wanted: [u8; 4]) -> u64 {
    if let Some(stride) = text.first_chunk() {
        return mask_of_stride(stride, wanted);
    }
    let mut stride = [0; STRIDE];
    stride.iter_mut().zip(text).for_each(|(padded, byte)| *padded = *byte);
    // The padding may be what is wanted.
    mask_of_stride(&stride, wanted) & ((1 << text.len()) - 1)
}

/// Written so that the compiler compares many bytes at once.
fn mask_of_stride(stride: &[u8; STRIDE], [a, b, c, d]: [u8; 4]) -> u64 {
    /// Moves the lowest bits of eight bytes side by side, into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut found = [0_u8; STRIDE];
    for (found, byte) in found.iter_mut().zip(stride) {
        *found = u8::from(*byte == a) | u8::from(*byte == b) | u8::from(*byte == c) | u8::from(*byte == d);
    }
    let (eights, _) = found.as_chunks();
    let bits = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    bits.zip((0..).step_by(8)).fold(0, |mask, (bits, shift): (u64, u32)| mask | bits << shift)
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
            let expected = text.iter().enumerate().filter(|(_, byte)| wanted.contains(byte)).map(|(place, _)| place);
            prop_assert!(Marks::new(&text, wanted).eq(expected));
        }
    }
}
