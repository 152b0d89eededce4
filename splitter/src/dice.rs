//! Chance for tests that compare a fast way with a slow one on many texts.

/// Numbers that a seed decides: splitmix64.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

/// Cases that are tried: so many unless `SLUICE_SEEDS` says otherwise.
pub(crate) fn cases(unless_told: u64) -> u64 {
    std::env::var("SLUICE_SEEDS").map_or(unless_told, |cases| cases.parse().unwrap())
}

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() >> 16).unwrap() % limit
    }

    /// Whether something happens that does so once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())]
    }

    /// The text with one byte replaced, removed or added.
    pub(crate) fn mutated(&mut self, text: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        let (place, byte) = (self.below(text.len()), self.of(bytes));
        match self.below(3) {
            0 => text[place] = byte,
            1 => drop(text.remove(place)),
            _ => text.insert(place, byte),
        }
        text
    }
}
