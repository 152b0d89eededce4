//! Mutations of inputs, as a seed decides.

use bytes::Bytes;

/// Most bytes of a mutation.
const MOST_BYTES: usize = 64 << 10;

/// Mutates by numbers that follow from a seed.
pub(super) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, by the generator `SplitMix64`.
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, and 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap().max(1);
        usize::try_from(self.number() % end).unwrap()
    }

    fn choice<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// A short run of the bytes of an input, or a long one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { 8.min(length - start) };
        start..start + self.below(most + 1)
    }

    /// An input of a corpus, with a few things changed.
    pub(super) fn mutation(&mut self, corpus: &[Bytes], words: &[&[u8]]) -> Vec<u8> {
        let mut input = self.choice(corpus).to_vec();
        for _ in 0..=self.below(4) {
            let range = self.range(input.len());
            match self.below(8) {
                0 => input.truncate(range.start),
                1 => drop(input.drain(range)),
                2 => {
                    let again = input[range.clone()].to_vec();
                    input.splice(range.end..range.end, again);
                }
                3 => {
                    let other = self.choice(corpus);
                    let piece = other.slice(self.range(other.len()));
                    input.splice(range, piece);
                }
                4 | 5 => {
                    let word = self.choice(words).to_vec();
                    let end = if self.below(2) == 0 { range.start } else { range.end };
                    input.splice(range.start..end, word);
                }
                6 => {
                    let bit = 1 << self.below(8);
                    input.get_mut(range.start).into_iter().for_each(|byte| *byte ^= bit);
                }
                _ => {
                    let byte = self.byte();
                    input.get_mut(range.start).into_iter().for_each(|place| *place = byte);
                }
            }
            input.truncate(MOST_BYTES);
        }
        input
    }
}
