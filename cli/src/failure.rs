//! What failed with one of many sources.

use std::borrow::Cow;

use serde::Serialize;
use shared::error_chain;

use crate::error::CliError;
use crate::hints::hint;

/// Exit status of a command that was stopped.
pub(crate) const STOPPED: u8 = 130;

/// What failed with a source, for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// None where what it stands in has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    pub(crate) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    exit_status: u8,
}

impl Failure {
    pub(crate) fn new(source: Option<&str>, error: &CliError) -> Self {
        let hint = hint(error).map(Cow::into_owned);
        Self { source: source.map(str::to_owned), error: error_chain(error), hint, exit_status: error.exit_code() }
    }
}

/// The worse of two exit statuses: what a person has to look into comes before what a file is to blame for.
pub(crate) fn worse(one: u8, other: u8) -> u8 {
    let rank = |status: u8| [0, 4, 3, 2, 1, STOPPED].iter().position(|known| *known == status);
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status() {
        let worst = |statuses: &[u8]| statuses.iter().copied().fold(0, worse);
        for (statuses, expected) in
            [(&[0, 0][..], 0), (&[4, 3], 3), (&[3, 4], 3), (&[2, 3], 2), (&[1, 3, 2], 1), (&[130, 1], 130)]
        {
            assert_eq!(worst(statuses), expected, "{statuses:?}");
        }
    }
}
