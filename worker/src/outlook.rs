//! Whether what failed may succeed when it is tried again: the one place that tells what passes from what a person has to look at.

use std::error::Error;
use std::io;

use buoyant_kernel::Error as KernelError;
use deltalake::kernel::transaction::TransactionError;
use deltalake::{DeltaTableError, ObjectStoreError};
use shared::StorageError;

/// What may become of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It passes by itself: another writer was faster, or a store is busy or was not reached.
    Passes,
    /// It may pass, and then soon: what is not known for what it is, or may be half written.
    Soon,
    /// There is no room, until somebody makes some.
    Full,
    /// Permissions stand in the way, which are fixed, or take effect, while messages wait.
    Denied,
    /// Nothing can be written there.
    ReadOnly,
    /// Time changes nothing.
    Never,
}

/// What a server answers to requests that it does not take, for the sake of credentials, clock or region, until a person has changed
/// those: status codes, codes of S3, and what the library says to a redirect.
const NEED_A_PERSON: [&str; 14] = [
    "status code: 401",
    "status code: 403",
    "redirect without LOCATION",
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

impl Outlook {
    /// Of a failure of a store of chunks and receipts.
    pub(crate) fn of_storage(error: &StorageError) -> Self {
        match error {
            StorageError::Changed { .. } => Self::Passes,
            StorageError::Denied { .. } => Self::Denied,
            StorageError::Unavailable { source, .. } => Self::of_chain(source.as_ref()).unwrap_or(Self::Passes),
            StorageError::NotFound { .. }
            | StorageError::AlreadyExists { .. }
            | StorageError::NoBucket { .. }
            | StorageError::NotExclusive { .. }
            | StorageError::Malformed { .. } => Self::Never,
            _ => Self::Soon,
        }
    }

    /// Of a failure of a table.
    pub(crate) fn of_table(error: &DeltaTableError) -> Self {
        use DeltaTableError as E;
        match error {
            E::ObjectStore { source } => Self::of_object_store(source),
            E::Transaction { source } => Self::of_transaction(source),
            E::KernelError(error) => Self::of_kernel(error),
            E::Io { source } => Self::of_io(source),
            E::VersionAlreadyExists(_) => Self::Passes,
            // A log entry that is being written by somebody who does not do it at once, or that is cleaned up just now.
            E::Parquet { .. }
            | E::InvalidJsonLog { .. }
            | E::InvalidStatsJson { .. }
            | E::InvalidVersion(_)
            | E::VersionDowngrade { .. }
            | E::VersionMismatch(..)
            | E::Generic(_)
            | E::GenericError { .. }
            | E::Kernel { .. }
            | E::NotInitialized => Self::of_chain(error).unwrap_or(Self::Soon),
            E::Arrow { .. }
            | E::InvalidDateTimeString { .. }
            | E::InvalidData { .. }
            | E::NotATable(_)
            | E::NoSchema
            | E::SchemaMismatch { .. }
            | E::PartitionError { .. }
            | E::InvalidPartitionFilter { .. }
            | E::CommitValidation { .. }
            | E::MissingFeature { .. }
            | E::InvalidTableLocation(_)
            | E::SerializeLogJson { .. }
            | E::MetadataError(_)
            | E::NotInitializedWithFiles(_)
            | E::ChangeDataNotRecorded { .. }
            | E::ChangeDataNotEnabled { .. }
            | E::ChangeDataInvalidVersionRange { .. }
            | E::ChangeDataTimestampGreaterThanCommit { .. }
            | E::NoStartingVersionOrTimestamp
            | E::UnsupportedColumnMapping { .. } => Self::of_chain(error).unwrap_or(Self::Never),
        }
    }

    fn of_transaction(error: &TransactionError) -> Self {
        use TransactionError as E;
        match error {
            E::VersionAlreadyExists(_) | E::CommitConflict(_) | E::MaxCommitAttempts(_) => Self::Passes,
            E::ObjectStore { source } => Self::of_object_store(source),
            E::LogStoreError { source, .. } => Self::of_chain(source.as_ref()).unwrap_or(Self::Soon),
            E::SerializeLogJson { .. }
            | E::DeltaTableAppendOnly
            | E::UnsupportedTableFeatures(_)
            | E::TableFeaturesRequired(_) => Self::Never,
        }
    }

    fn of_kernel(error: &KernelError) -> Self {
        use KernelError as E;
        match error {
            E::Backtraced { source, .. } => Self::of_kernel(source),
            E::ObjectStore(error) => Self::of_object_store(error),
            E::IOError(error) => Self::of_io(error),
            E::GenericError { source } => Self::of_chain(source.as_ref()).unwrap_or(Self::Soon),
            E::Arrow(error) => Self::of_chain(error).unwrap_or(Self::Never),
            E::FileAlreadyExists(_) | E::Reqwest(_) => Self::Passes,
            E::EngineDataType(_)
            | E::Extract(..)
            | E::ScalarConversion(_)
            | E::ObjectStorePath(_)
            | E::UnexpectedColumnType(_)
            | E::InvalidPartitionValues(_)
            | E::InvalidTransactionState(_)
            | E::InvalidUrl(_)
            | E::InvalidProtocol(_)
            | E::ParseError(..)
            | E::InvalidColumnMappingMode(_)
            | E::InvalidDecimal(_)
            | E::InvalidStructData(_)
            | E::InvalidExpressionEvaluation(_)
            | E::Unsupported(_)
            | E::ParseIntervalError(_)
            | E::Schema(_)
            | E::StatsValidation(_) => Self::Never,
            // A log that is being written or cleaned up, a folder that was deleted just now, and whatever later versions of the kernel know of.
            error => Self::of_chain(error).unwrap_or(Self::Soon),
        }
    }

    fn of_object_store(error: &ObjectStoreError) -> Self {
        use ObjectStoreError as E;
        match error {
            E::Generic { source, .. } => Self::of_chain(source.as_ref()).unwrap_or_else(|| Self::of_answer(error)),
            E::NotFound { .. } if error.to_string().contains("NoSuchBucket") => Self::Never,
            E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => Self::Passes,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Denied,
            E::InvalidPath { .. }
            | E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::UnknownConfigurationKey { .. } => Self::Never,
            // What is not found may be cleaned up just now; the rest are those of later versions.
            _ => Self::Soon,
        }
    }

    /// Of what a server answered, of which the library gives nothing but the text.
    fn of_answer(error: &ObjectStoreError) -> Self {
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // A body that came too slowly is told of as a bad request.
        if says(&["status code: 408", "status code: 429", "RequestTimeout"]) {
            Self::Passes
        } else if says(&NEED_A_PERSON) {
            Self::Denied
        } else if says(&["status code: 4"]) {
            Self::Soon
        } else {
            Self::Passes
        }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => Self::Full,
            K::PermissionDenied => Self::Denied,
            K::ReadOnlyFilesystem => Self::ReadOnly,
            K::NotADirectory | K::IsADirectory | K::InvalidInput | K::InvalidFilename | K::Unsupported => Self::Never,
            K::AlreadyExists
            | K::ConnectionRefused
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
            | K::NotConnected
            | K::BrokenPipe
            | K::TimedOut
            | K::UnexpectedEof
            | K::Interrupted
            | K::WouldBlock
            | K::ResourceBusy => Self::Passes,
            // An error of another kind may be wrapped in it.
            _ => error.get_ref().and_then(|inner| Self::of_chain(inner)).unwrap_or(Self::Soon),
        }
    }

    /// Of the first error in a chain that is known.
    fn of_chain(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Some(Self::of_io(error));
            } else if let Some(error) = error.downcast_ref::<ObjectStoreError>() {
                return Some(Self::of_object_store(error));
            } else if let Some(
                kernel @ (KernelError::Backtraced { .. } | KernelError::ObjectStore(_) | KernelError::IOError(_)),
            ) = error.downcast_ref::<KernelError>()
            {
                return Some(Self::of_kernel(kernel));
            }
            next = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(source: impl Into<Box<dyn Error + Send + Sync>>) -> ObjectStoreError {
        ObjectStoreError::Generic { store: "S3", source: source.into() }
    }

    fn os(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    #[test]
    fn every_error_of_a_table_has_its_outlook() {
        use DeltaTableError as E;
        // Numbers of Linux.
        let (not_permitted, broken, no_access, no_space, read_only, quota) = (1, 5, 13, 28, 30, 122);
        let denied = || ObjectStoreError::PermissionDenied { path: "k".to_owned(), source: "403".into() };
        let missing = |text: &str| ObjectStoreError::NotFound { path: "k".to_owned(), source: text.into() };
        let wrapped = |source: Box<dyn Error + Send + Sync>| E::GenericError { source };
        let answer = |status: &str| store(format!("Server returned non-2xx status code: {status}"));
        let table: Vec<(E, Outlook)> = vec![
            (store(os(no_space)).into(), Outlook::Full),
            (E::Io { source: os(quota) }, Outlook::Full),
            (wrapped(store(os(no_space)).into()), Outlook::Full),
            (E::from(parquet::errors::ParquetError::External(Box::new(os(no_space)))), Outlook::Full),
            (store(os(read_only)).into(), Outlook::ReadOnly),
            (store(os(no_access)).into(), Outlook::Denied),
            (store(os(not_permitted)).into(), Outlook::Denied),
            (store(os(broken)).into(), Outlook::Soon),
            (E::Io { source: io::Error::other(denied()) }, Outlook::Denied),
            (denied().into(), Outlook::Denied),
            (E::KernelError(KernelError::ObjectStore(denied())), Outlook::Denied),
            (E::KernelError(KernelError::generic_err(denied())), Outlook::Denied),
            (wrapped(KernelError::IOError(os(read_only)).into()), Outlook::ReadOnly),
            (E::Transaction { source: TransactionError::ObjectStore { source: denied() } }, Outlook::Denied),
            (E::KernelError(KernelError::Schema("too deep".to_owned())), Outlook::Never),
            (E::KernelError(KernelError::Unsupported("x".to_owned())), Outlook::Never),
            (E::KernelError(KernelError::MissingVersion), Outlook::Soon),
            (E::KernelError(KernelError::InvalidTableLocation("no such path".to_owned())), Outlook::Soon),
            (missing("404").into(), Outlook::Soon),
            (missing("<Code>NoSuchBucket</Code>").into(), Outlook::Never),
            (answer("400 Bad Request: ExpiredToken").into(), Outlook::Denied),
            (answer("400 Bad Request: <Code>AuthorizationHeaderMalformed</Code>").into(), Outlook::Denied),
            (answer("400 Bad Request: <Code>RequestTimeout</Code>").into(), Outlook::Passes),
            (answer("400 Bad Request: <Code>IncompleteBody</Code>").into(), Outlook::Soon),
            (answer("408 Request Timeout").into(), Outlook::Passes),
            (answer("429 Too Many Requests").into(), Outlook::Passes),
            (answer("503 Service Unavailable").into(), Outlook::Passes),
            (store("connection reset").into(), Outlook::Passes),
            (store(io::Error::from(io::ErrorKind::ConnectionRefused)).into(), Outlook::Passes),
            (store(io::Error::other("failed to lookup address information")).into(), Outlook::Soon),
            (E::VersionAlreadyExists(1), Outlook::Passes),
            (E::InvalidTableLocation("x".to_owned()), Outlook::Never),
            (E::generic("?"), Outlook::Soon),
        ];
        for (error, expected) in table {
            assert_eq!(Outlook::of_table(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn every_storage_error_has_its_outlook() {
        let (no_space, read_only) = (28, 30);
        let at: shared::Location = "s3://b/k".parse().unwrap();
        let unavailable = |source: Box<dyn Error + Send + Sync>| StorageError::Unavailable {
            at: at.clone(),
            action: "write",
            source,
        };
        for (error, expected) in [
            (unavailable(os(no_space).into()), Outlook::Full),
            (unavailable(os(read_only).into()), Outlook::ReadOnly),
            (unavailable("503".into()), Outlook::Passes),
            (StorageError::NoBucket { at: at.clone() }, Outlook::Never),
            (StorageError::Denied { at: at.clone(), source: "403".into() }, Outlook::Denied),
        ] {
            assert_eq!(Outlook::of_storage(&error), expected, "{error:?}");
        }
    }
}
