//! Why a source could not be split.

use std::borrow::Cow;
use std::fmt;

use shared::{
    BadRecordLimit, CompletionError, ContractError, JobId, Location, LookupError, MemoryTooSmall, NoticeError,
    QueueError, RouteError, RoutesError, RoutesTableError, StorageError,
};

use crate::contract::difference::Deviation;

/// Why a source could not be split; variants are named for what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The source is not what it should be; the same bytes will never do.
    #[error(transparent)]
    BadInput(Box<BadInput>),
    /// The source deviates from its contract in a way that the contract refuses.
    #[error(transparent)]
    Deviates(Box<Deviation>),
    /// The contract cannot be used.
    #[error(transparent)]
    Contract(Box<ContractError>),
    /// The contract could not be read.
    #[error("cannot read the contract")]
    ContractStore(#[source] StorageError),
    /// The routes cannot be used.
    #[error(transparent)]
    Routes(Box<RoutesError>),
    /// The routes could not be read.
    #[error("cannot read the routes")]
    RoutesStore(#[source] StorageError),
    /// The table that holds the routes could not be read.
    #[error("cannot read the routes")]
    RoutesTable(#[source] RoutesTableError),
    /// No route takes the source, or one takes it that cannot give it a table.
    #[error(transparent)]
    Route(Box<RouteError>),
    /// More of its records were rejected than `MAX_BAD_RECORDS` allows; with a higher limit the job goes on.
    #[error(transparent)]
    TooManyBad(Box<TooManyBad>),
    /// All of its records were rejected, and `MAX_BAD_RECORDS` does not say that they may be.
    #[error(transparent)]
    AllRejected(Box<AllRejected>),
    /// The source could not be read.
    #[error("cannot read the source")]
    Source(#[source] StorageError),
    /// The work area could not be read or written.
    #[error("cannot use the work area")]
    WorkArea(#[source] StorageError),
    /// The log of the target table could not be read.
    #[error("cannot look up the columns of the table")]
    Table(#[source] StorageError),
    /// The table could not be asked whether it takes the source.
    #[error("cannot look into the table")]
    Gate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A look-up that SQL names cannot be used.
    #[error(transparent)]
    Lookup(Box<LookupError>),
    /// A chunk could not be announced; it will be when the job resumes.
    #[error("cannot announce a chunk")]
    Queue(#[source] QueueError),
    /// The job is in its table, and its notice was not sent.
    #[error(transparent)]
    Notice(NoticeError),
    /// The job was asked to stop; it resumes from its checkpoint.
    #[error("stopped on request; {chunks} chunks are stored and announced")]
    Stopped {
        /// Chunks so far.
        chunks: usize,
        /// Those of this attempt among them.
        advanced: usize,
    },
    /// The job was begun by another version of Sluice, which makes other chunks of the same rows.
    #[error(
        "job {job_id} was begun by a version of Sluice that cuts chunks otherwise (encoder {begun}; this one has {ours})"
    )]
    OtherEncoder {
        /// The job.
        job_id: JobId,
        /// Version of the encoder that the job was begun with.
        begun: u32,
        /// That of this build.
        ours: u32,
    },
    /// Reading it takes more memory than the process has.
    #[error("{what} of {at} cannot be read: {source}")]
    Memory {
        /// The source.
        at: Box<Location>,
        /// Which part of it.
        what: String,
        /// How much it takes.
        #[source]
        source: MemoryTooSmall,
    },
    /// Something that cannot happen did.
    #[error("a row group of {at} could not be made")]
    Internal {
        /// The source.
        at: Location,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with a source, and where.
#[derive(Debug)]
pub struct BadInput {
    /// The source.
    pub at: Location,
    /// Byte offset in the text of the source, decompressed and in UTF-8, where it is known.
    pub byte: Option<u64>,
    /// Record number from 1, without the header, where it is known.
    pub record: Option<u64>,
    /// Name of the column, where it is known.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What may help.
    pub hint: &'static str,
}

impl BadInput {
    /// Something that is wrong with the source as a whole.
    pub(crate) fn whole(at: &Location, reason: impl Into<String>, hint: &'static str) -> Self {
        Self { at: at.clone(), byte: None, record: None, column: None, reason: reason.into(), hint }
    }

    /// Something that is wrong at a byte.
    pub(crate) fn at_byte(at: &Location, byte: u64, reason: impl Into<String>, hint: &'static str) -> Self {
        Self { byte: Some(byte), ..Self::whole(at, reason, hint) }
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(record) = self.record {
            write!(f, ", record {record}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, ", byte {byte}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column '{column}'")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for BadInput {}

/// A source that was given up for its rejected records.
#[derive(Debug)]
pub struct TooManyBad {
    /// The source.
    pub at: Location,
    /// Records that were rejected; they are kept.
    pub rejected: u64,
    /// Records that were read.
    pub read: u64,
    /// How many may be rejected.
    pub limit: BadRecordLimit,
    /// What is wrong with the first ones that this attempt saw.
    pub first: Vec<String>,
    /// Chunks that were announced before.
    pub chunks: usize,
}

impl fmt::Display for TooManyBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rejected, read, limit, first, chunks } = self;
        write!(
            f,
            "{at}: {rejected} of the first {read} records were rejected, MAX_BAD_RECORDS={limit} allows no more"
        )?;
        write_rejected(f, first, *chunks)
    }
}

impl std::error::Error for TooManyBad {}

/// A source of which no record was accepted.
#[derive(Debug)]
pub struct AllRejected {
    /// The source.
    pub at: Location,
    /// Records that were read, and rejected; they are kept.
    pub read: u64,
    /// What is wrong with the first ones that this attempt saw.
    pub first: Vec<String>,
    /// Chunks that were announced before.
    pub chunks: usize,
}

impl fmt::Display for AllRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, read, first, chunks } = self;
        write!(f, "{at}: all {read} records were rejected")?;
        write_rejected(f, first, *chunks)
    }
}

impl std::error::Error for AllRejected {}

/// Ends a message with what was announced before, and the first reasons.
fn write_rejected(f: &mut fmt::Formatter<'_>, first: &[String], chunks: usize) -> fmt::Result {
    if chunks > 0 {
        write!(f, "; {chunks} chunks were announced before")?;
    }
    first.iter().try_for_each(|first| write!(f, "; {first}"))
}

impl From<BadInput> for SplitError {
    fn from(bad: BadInput) -> Self {
        Self::BadInput(Box::new(bad))
    }
}

impl From<Deviation> for SplitError {
    fn from(deviation: Deviation) -> Self {
        Self::Deviates(Box::new(deviation))
    }
}

impl From<ContractError> for SplitError {
    fn from(error: ContractError) -> Self {
        Self::Contract(Box::new(error))
    }
}

impl From<RoutesError> for SplitError {
    fn from(error: RoutesError) -> Self {
        Self::Routes(Box::new(error))
    }
}

impl From<Box<RouteError>> for SplitError {
    fn from(error: Box<RouteError>) -> Self {
        Self::Route(error)
    }
}

impl From<LookupError> for SplitError {
    fn from(error: LookupError) -> Self {
        Self::Lookup(Box::new(error))
    }
}

impl From<CompletionError> for SplitError {
    fn from(error: CompletionError) -> Self {
        match error {
            CompletionError::Storage(error) => Self::WorkArea(error),
            CompletionError::Notice(error) => Self::Notice(error),
        }
    }
}

impl SplitError {
    /// What may help, for a person.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Memory { source, .. } => Some(source.hint().into()),
            _ => self.constant_hint().map(Cow::Borrowed),
        }
    }

    fn constant_hint(&self) -> Option<&'static str> {
        match self {
            Self::BadInput(bad) => Some(bad.hint),
            Self::Deviates(_) => Some(
                "if the feed changed for good, change the contract; its new_columns and missing_columns say what else becomes of such columns; `sluice contract check` shows all",
            ),
            Self::Contract(error) => Some(error.hint),
            Self::ContractStore(StorageError::NotFound { .. }) => {
                Some("CONTRACT_URI, or --contract, names the file; `sluice plan SOURCE --save FILE` writes one")
            }
            Self::ContractStore(StorageError::Denied { .. }) => {
                Some("the user or role that runs this needs s3:GetObject on the contract")
            }
            Self::Routes(error) => Some(error.hint()),
            Self::RoutesStore(StorageError::NotFound { .. }) => Some("ROUTES_URI, or --routes, names the file"),
            Self::RoutesStore(StorageError::Denied { .. }) => {
                Some("the user or role that runs this needs s3:GetObject on the routes")
            }
            Self::RoutesTable(RoutesTableError::NotFound { .. }) => Some("ROUTES_URI, or --routes, names the table"),
            Self::RoutesTable(RoutesTableError::Denied { .. }) => {
                Some("the user or role that runs this needs dynamodb:Scan on the table of routes")
            }
            Self::Route(error) => Some(error.hint()),
            Self::Lookup(error) => error.hint(),
            Self::AllRejected(_) => Some(
                "`sluice quarantine show` shows more of them; read the file with other options, or set MAX_BAD_RECORDS=100% if all may be rejected",
            ),
            Self::TooManyBad(_) => Some(
                "`sluice quarantine show` shows more of them; with a higher MAX_BAD_RECORDS it continues from here",
            ),
            Self::Source(StorageError::NotFound { .. }) => Some("check the path or the key; names are case-sensitive"),
            Self::Source(StorageError::Malformed { .. }) => {
                Some("name one file: `sluice ingest` alone takes directories, and what comes through a pipe")
            }
            Self::Source(StorageError::Changed { .. }) => {
                Some("the file was written to while it was read; run the same command again once it is complete")
            }
            Self::Source(StorageError::Denied { .. })
            | Self::WorkArea(StorageError::Denied { .. })
            | Self::Table(StorageError::Denied { .. }) => {
                Some("check the permissions of the user or role that runs this")
            }
            Self::WorkArea(StorageError::NotExclusive { .. }) => Some(shared::NOT_EXCLUSIVE_HINT),
            Self::OtherEncoder { .. } => Some("let that version finish the job; or undo it, and use --again"),
            _ => None,
        }
    }

    /// Whether the source, rather than Sluice or its surroundings, is to blame.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::BadInput(_)
                | Self::Deviates(_)
                | Self::Route(_)
                | Self::Source(
                    StorageError::NotFound { .. } | StorageError::Denied { .. } | StorageError::Malformed { .. }
                )
        )
    }

    pub(crate) fn internal(at: &Location, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { at: at.clone(), source: source.into() }
    }
}
