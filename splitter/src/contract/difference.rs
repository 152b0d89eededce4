//! How a source differs from its contract.

use std::fmt;

use serde::Serialize;
use shared::Location;

/// One thing that a source has in another way than its contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// Name of the column in the contract, or of a new one in the source; or the key of `[read]`.
    pub name: String,
    /// What the contract says.
    pub expected: String,
    /// What the source has.
    pub found: String,
    /// What becomes of it.
    pub outcome: DifferenceOutcome,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The source has a column that the contract does not have.
    New,
    /// The contract has a column that the source does not have.
    Missing,
    /// A column has another type.
    Type,
    /// The source is written in another way.
    Reading,
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceOutcome {
    /// The source is refused.
    Refused,
    /// The column is loaded as text, or as it is.
    Added,
    /// The column is left out.
    Ignored,
    /// The column goes into the one of such columns.
    Rescued,
    /// The column is null.
    Null,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, expected, found, .. } = self;
        match kind {
            DifferenceKind::New => write!(f, "column '{name}' ({found}) is not in the contract"),
            DifferenceKind::Missing => write!(f, "column '{name}' ({expected}) is missing"),
            DifferenceKind::Type => write!(f, "column '{name}' is {found}, the contract says {expected}"),
            DifferenceKind::Reading => write!(f, "{name} is {found}, the contract says {expected}"),
        }
    }
}

/// A source that its contract refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The source.
    pub at: Location,
    /// Its contract.
    pub contract: Location,
    /// All differences; one of them, at least, is refused.
    pub differences: Vec<Difference>,
}

/// Differences that are told in one message.
const TOLD: usize = 8;

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, contract, differences } = self;
        write!(f, "{at} deviates from its contract {contract}: ")?;
        let refused = || differences.iter().filter(|difference| difference.outcome == DifferenceOutcome::Refused);
        let told: Vec<String> = refused().take(TOLD).map(Difference::to_string).collect();
        f.write_str(&told.join("; "))?;
        match refused().count().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Deviation {}
