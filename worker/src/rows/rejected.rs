//! Rows that are not taken.

/// A row that is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RejectedRow {
    /// Number of the row among those that came in, from 1.
    pub(crate) number: u64,
    pub(crate) column: String,
    pub(crate) reason: String,
    /// The row as a JSON object.
    pub(crate) raw: String,
}
