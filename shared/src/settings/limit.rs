//! How many rejected records are too many.

use std::fmt;
use std::str::FromStr;

/// Records of a source that a percentage says something about, at least, unless they are all.
const PERCENT_OF: u64 = 1000;

/// How many rejected records are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BadRecordLimit {
    /// More than this many.
    Count(u64),
    /// More than this part of all, in percent.
    Percent(f64),
}

impl BadRecordLimit {
    /// Whether `bad` of `all` records are beyond the limit.
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a percentage needs no exactness beyond 2^53"
    )]
    pub fn is_exceeded(self, bad: u64, all: u64) -> bool {
        match self {
            Self::Count(limit) => bad > limit,
            Self::Percent(limit) => bad as f64 * 100.0 > limit * all as f64,
        }
    }

    /// Whether a source is to be given up of whose first `all` records `bad` were rejected. Of a few records a percentage says
    /// too little.
    pub fn is_hopeless(self, bad: u64, all: u64) -> bool {
        let says_something = matches!(self, Self::Count(_)) || all >= PERCENT_OF;
        says_something && self.is_exceeded(bad, all)
    }
}

impl FromStr for BadRecordLimit {
    type Err = ();

    /// A number, or a percentage from 0 to 100, such as `0.5%`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let limit = match text.strip_suffix('%') {
            Some(percent) => {
                percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Self::Percent)
            }
            None => text.parse().ok().map(Self::Count),
        };
        limit.ok_or(())
    }
}

impl fmt::Display for BadRecordLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(limit) => write!(f, "{limit}"),
            Self::Percent(limit) => write!(f, "{limit}%"),
        }
    }
}
