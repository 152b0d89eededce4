//! An order-free hash of rows: those of chunks add up to that of their job.

use std::fmt;
use std::ops::AddAssign;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Hash of a set of rows in which each counts as often as it occurs: the sum of the hashes of all rows, modulo 2^128. That of
/// no rows is 0. As text it is 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowHash(pub u128);

impl RowHash {
    /// The hash of two sets of rows together, if both are known.
    pub fn sum(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (mut sum, other) = (one?, other?);
        sum += other;
        Some(sum)
    }
}

impl AddAssign for RowHash {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for RowHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_text() {
        for (hash, text) in
            [(0, "00000000000000000000000000000000"), (u128::MAX - 1, "fffffffffffffffffffffffffffffffe")]
        {
            assert_eq!(serde_json::to_string(&RowHash(hash)).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<RowHash>(&format!("\"{text}\"")).unwrap(), RowHash(hash));
        }
        assert!(serde_json::from_str::<RowHash>("\"no hash\"").is_err());
    }
}
