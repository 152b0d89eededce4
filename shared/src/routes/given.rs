//! What routes give.

/// A setting that a route gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteKey {
    /// As the file has it.
    pub key: String,
    /// The variable that it stands for.
    pub variable: &'static str,
    /// Its value, as the variable would have it.
    pub value: String,
    /// Its line in the file, from 1.
    pub line: usize,
}
