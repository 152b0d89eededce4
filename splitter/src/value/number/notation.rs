//! How numbers are written, and what integers of a size hold.

/// How numbers are written in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notation {
    /// What stands before the fraction.
    pub(crate) point: u8,
    /// Whether `1e5` is a number, as in JSON. In a CSV it may as well be a name, and only `1.0e5` is one.
    pub(crate) bare_exponents: bool,
}

/// Digits that 64 bits hold whatever they are, with or without a sign.
pub(super) const QUICK_DIGITS: usize = 18;

/// Powers of ten that a decimal holds.
pub(super) const UNITS: [i128; 39] = {
    let mut units = [1; 39];
    let mut place = 1;
    while place < units.len() {
        units[place] = units[place - 1] * 10;
        place += 1;
    }
    units
};
