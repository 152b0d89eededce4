//! How the numbers of a column are written, as far as that speaks against their being numbers.

use crate::value::number::whole_and_fraction;

/// Digits of a group of thousands.
const GROUP: usize = 3;

/// The fractions of a column's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fractions {
    /// Digits of the shortest and of the longest fraction; none while there is no fraction.
    lengths: Option<(usize, usize)>,
    /// Whether a fraction of more than one digit ends with a zero.
    is_padded: bool,
    /// Whether there is a number without a fraction.
    has_whole: bool,
    /// Whether a number shows that points are not separators of thousands: `0.125`, `1234.125`, `1500`.
    has_points: bool,
}

impl Fractions {
    /// Notes a number, by its digits before and after the point.
    pub(super) fn observe(&mut self, text: &[u8], point: u8) {
        let Some((whole, fraction)) = whole_and_fraction(text, point) else { return };
        self.has_points |= whole.len() > GROUP;
        match fraction {
            [] => self.has_whole = true,
            fraction => {
                let (shortest, longest) = self.lengths.unwrap_or((fraction.len(), fraction.len()));
                self.lengths = Some((shortest.min(fraction.len()), longest.max(fraction.len())));
                self.is_padded |= fraction.len() > 1 && fraction.ends_with(b"0");
                self.has_points |= whole == b"0";
            }
        }
    }

    /// Notes what was noted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lengths = match (self.lengths, other.lengths) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.is_padded |= other.is_padded;
        self.has_whole |= other.has_whole;
        self.has_points |= other.has_points;
    }

    /// Whether they may be other than the numbers that they look like: codes, such as `250.0` and `250.00`, of which numbers
    /// would make one; or thousands, as `1.200` beside `950` may be.
    pub(super) fn are_doubtful(&self) -> bool {
        let Some((shortest, longest)) = self.lengths else { return false };
        let may_be_codes = self.is_padded && shortest < longest;
        let may_be_thousands = self.has_whole && !self.has_points && (shortest, longest) == (GROUP, GROUP);
        may_be_codes || may_be_thousands
    }
}
