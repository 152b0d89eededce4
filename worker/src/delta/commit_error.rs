//! What the error of a commit says about the commit.

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

/// How an attempt was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another writer was there first.
    Conflict,
    /// It was refused before anything was put.
    Refused,
    /// It may have succeeded.
    Unknown,
}

/// How an attempt that ended with this error was lost.
pub(crate) fn loss(error: &DeltaTableError) -> Loss {
    use DeltaTableError as E;
    match error {
        E::VersionAlreadyExists(_) => Loss::Conflict,
        E::Transaction { source } => match source {
            TransactionError::VersionAlreadyExists(_)
            | TransactionError::CommitConflict(_)
            | TransactionError::MaxCommitAttempts(_) => Loss::Conflict,
            TransactionError::SerializeLogJson { .. }
            | TransactionError::DeltaTableAppendOnly
            | TransactionError::UnsupportedTableFeatures(_)
            | TransactionError::TableFeaturesRequired(_) => Loss::Refused,
            TransactionError::ObjectStore { .. } | TransactionError::LogStoreError { .. } => Loss::Unknown,
        },
        _ => Loss::Unknown,
    }
}
