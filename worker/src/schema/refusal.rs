//! Why a table cannot have columns.

/// Why a table cannot have columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What stands in the way, with the column where it is known.
    pub reason: String,
    /// What may help.
    pub hint: Option<&'static str>,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, hint: None }
    }
}
