//! Why a command did not do what it was asked for, and how it says so.

use std::path::PathBuf;

use shared::{
    CompletionError, JobId, Location, LocationError, QueueError, RouteError, RoutesTableError, SettingsError,
    StorageError,
};
use splitter::{ContextError, SplitError};
use worker::{Holding, LoadError};

use crate::config::ConfigError;
use crate::holding::held;
use crate::numbers::{counted, grouped};
use crate::pinned::Contradiction;
use crate::sources::error::SourcesError;

/// The outcome of a command.
pub(crate) type Done = Result<(), CliError>;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Settings(SettingsError),
    #[error(transparent)]
    Config(ConfigError),
    #[error(transparent)]
    Location(LocationError),
    #[error("cannot write the result to stdout")]
    Output {
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read what comes through the pipe {pipe}")]
    Pipe {
        pipe: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot keep what comes through the pipe in {at}")]
    Spool {
        at: String,
        #[source]
        source: std::io::Error,
    },
    #[error("what comes through a pipe is kept in the work area first, and {prefix} is not a local folder")]
    NoSpool { prefix: String },
    #[error(
        "what comes through a pipe has no name by which it could take the place of earlier drops (ON_REPLACE=replace)"
    )]
    PipeReplaces,
    #[error("what comes through a pipe has no key by which a route could take it")]
    PipeHasNoRoute,
    #[error("no routes are given")]
    NoRoutes,
    #[error("no route in {at} reads a table (from_table)")]
    NoChains { at: String },
    /// Of one route; the result is printed.
    #[error("{said}")]
    Chain { said: String, hint: Option<String>, bad_input: bool },
    #[error("an option contradicts the routes: {0}")]
    ContradictsRoute(String),
    /// The result is printed.
    #[error(transparent)]
    NoRoute(Box<RouteError>),
    #[error("{} not as expected", counted(*failing, "example"))]
    ExamplesFail { failing: u64 },
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The result is printed, and so is what is wrong with each.
    #[error("{said}")]
    SomeFailed { said: String, status: u8 },
    #[error("standard input is a terminal")]
    Terminal,
    #[error("stopped on request before the pipe was at its end; nothing is kept of it")]
    SpoolStopped,
    #[error("no table is given")]
    NoTable,
    #[error("no AWS region is set")]
    NoRegion,
    #[error("no AWS credentials can be used: {reason}")]
    NoCredentials { reason: String },
    #[error("no contract is given")]
    NoContract,
    #[error("{at} exists, and is not overwritten")]
    ContractExists { at: Location },
    #[error("cannot write the contract")]
    ContractWrite(#[source] StorageError),
    #[error("no contract is written to {at}: {reason}")]
    NotSaved { at: Location, reason: String },
    #[error("the contract would not let {} load as it is: {reason}", .at)]
    Held { at: Location, reason: String, status: u8 },
    #[error("neither a table nor a work area is given")]
    NoTableOrArea,
    #[error("cannot read the SQL file {file}")]
    SqlFile {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the SQL cannot be run: {0}")]
    Sql(String),
    #[error("the expectations of the contract cannot be judged: {0}")]
    Expectations(String),
    #[error(transparent)]
    Split(SplitError),
    #[error("cannot look into the table")]
    Table(#[source] LoadError),
    #[error("cannot complete the job")]
    Completion(#[source] CompletionError),
    #[error("cannot use the work area")]
    WorkArea(#[source] StorageError),
    #[error("{count} of the job's chunks could not be loaded; the first because of: {first}")]
    Chunks { count: usize, first: String, hint: Option<String>, committed: u64, bad_input: bool },
    #[error("receipts name chunks that table {table} does not have, though these were taken back")]
    TableLost { table: String },
    #[error("job {job_id} was loaded, but others took out what it added: {}", held(.holding, *.committed))]
    TakenOut { job_id: JobId, table: String, committed: u64, holding: Box<Holding> },
    #[error(
        "job {job_id} was undone in table {table}, and rows of it are there again: an earlier version was restored"
    )]
    Restored { job_id: JobId, table: String },
    #[error("others took out a part of what job {job_id} added to table {table}, and to load it again would double the rest: {} rows", holding.rows.map_or_else(|| "an unknown number of".to_owned(), grouped))]
    PartLeft { job_id: JobId, table: String, holding: Box<Holding> },
    #[error("the work area of job {job_id} is gone, so it is not known whether all of the job is in table {table}")]
    AreaLost { job_id: JobId, table: String },
    #[error("job {job_id} is in the table with {found}")]
    Contradicts { job_id: JobId, found: Box<Contradiction> },
    #[error("job {job_id} was undone in table {table}; nothing was added")]
    Undone { job_id: JobId, table: String },
    #[error("job {job_id} added nothing to table {table}: {why}")]
    NothingAdded { job_id: JobId, table: String, why: String },
    #[error(transparent)]
    Undo(LoadError),
    #[error(transparent)]
    Maintain(LoadError),
    #[error("'{asked}' was loaded more than once, by the jobs {}", names(.jobs))]
    SeveralJobs { asked: String, jobs: Vec<JobId> },
    #[error("'{asked}' is the beginning of {} jobs: {}", .jobs.len(), some_names(.jobs))]
    AmbiguousJob { asked: String, jobs: Vec<JobId> },
    #[error(
        "'{asked}' is too short a beginning of a job's name to change something by; one job's name begins so: {job_id}"
    )]
    ShortName { asked: String, job_id: JobId },
    #[error("which job is the latest is not certain: within a second of each other were begun {}", names(.jobs))]
    LatestTie { jobs: Vec<JobId> },
    #[error("job {job_id} is not split to its end, so not all that it rejects is known")]
    NotSplit { job_id: JobId },
    #[error("job {job_id} was split alone, and is bound for no table")]
    BoundForNoTable { job_id: JobId },
    #[error("job {job_id} was undone or replaced in table {table}; what it rejected is not replayed")]
    ReplayOfUndone { job_id: JobId, table: String },
    #[error(
        "table {table} has job {job_id} as it was read from another work area; what was rejected here is not replayed"
    )]
    ReplayOfOtherCut { job_id: JobId, table: String },
    #[error("job {job_id} belongs to table {table}, not to {told}; nothing was replayed")]
    BoundForOther { job_id: JobId, table: String, told: String },
    #[error("what job {job_id} rejected was replayed in another way, by {}; nothing was changed", names(.replays))]
    Replayed { job_id: JobId, replays: Vec<JobId> },
    #[error("records that job {job_id} rejected are in the table by {}; nothing was changed", names(.replays))]
    HasReplays { job_id: JobId, replays: Vec<JobId> },
    #[error("job {job_id} is not complete: {missing} of its chunks are not in the table")]
    Incomplete { job_id: String, missing: usize },
    #[error("{quarantined} of {read} records were rejected, more than MAX_BAD_RECORDS allows; all others are there")]
    TooManyBad { quarantined: u64, read: u64 },
    /// By the splitter, or by the table: then the result is printed.
    #[error("{said}")]
    AllRejected { said: String, show: String, is_printed: bool },
    #[error("stopped on request; {committed} of the chunks are in the table")]
    Stopped { committed: u64 },
    #[error("sluice stopped on a bug of its own: {0}")]
    Panic(String),
    #[error("a task of this process failed")]
    Bug(#[source] tokio::task::JoinError),
    #[error("there is no job in {prefix}")]
    NoJobs { prefix: String },
    #[error("no job is known of '{asked}' in {prefix}")]
    NoJob { asked: String, prefix: String },
    #[error(transparent)]
    Context(ContextError),
    #[error(transparent)]
    Queue(QueueError),
    #[error("{}", no_single_source(.queue, .sources))]
    NoSingleSource { queue: String, sources: Vec<String> },
    #[error("{queue} is the queue of dead letters itself")]
    SameQueue { queue: String },
    #[error("SQS gave up moving messages, {moved} of which are moved: {reason}")]
    MoveFailed { moved: u64, reason: String },
    #[error("stopped on request; {replayed} of the messages are sent back")]
    ReplayStopped { replayed: u64 },
    #[error("stopped on request")]
    ListStopped,
    #[error("cannot look into the functions {splitter} and {worker}: {reason}")]
    NoDeployment { splitter: String, worker: String, reason: String, is_missing: bool },
    #[error("{unproven} of {jobs} jobs cannot be shown to be in the table as they were committed")]
    Unproven { unproven: usize, jobs: usize },
    #[error("cannot take samples")]
    TuneDir(#[source] std::io::Error),
    #[error("chunks of {chunk_mib} MiB: {said}")]
    Stage { chunk_mib: u64, said: String, code: u8 },
    #[error("{0}")]
    Sample(String),
    #[error("samples of {sample_mb} MiB are too small for two of the sizes {sizes:?}")]
    SmallSample { sample_mb: u16, sizes: Vec<u64> },
    #[error("{source_uri} has no rows: there is nothing to tune")]
    NoRows { source_uri: String },
    #[error("cannot use the prices in {}: {reason}", file.display())]
    Prices { file: PathBuf, reason: String },
    #[error("cannot write {}", file.display())]
    Page {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("stopped on request; nothing is left of the samples")]
    TuneStopped,
    #[error("{} found", counted(*problems, "problem"))]
    Unhealthy { problems: u64 },
}

fn names(jobs: &[JobId]) -> String {
    jobs.iter().map(JobId::as_str).collect::<Vec<_>>().join(", ")
}

/// The first of many names.
fn some_names(jobs: &[JobId]) -> String {
    const SHOWN: usize = 10;
    let named = names(jobs.get(..SHOWN).unwrap_or(jobs));
    match jobs.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{named} and {more} more"),
        None => named,
    }
}

fn no_single_source(queue: &str, sources: &[String]) -> String {
    match sources {
        [] => format!("no queue has {queue} as its queue of dead letters"),
        _ => format!("dead letters of several queues come to {queue}: {}", sources.join(", ")),
    }
}

impl CliError {
    /// Whether the command's result was printed all the same.
    pub(crate) fn has_result(&self) -> bool {
        matches!(
            self,
            Self::Held { .. }
                | Self::SomeFailed { .. }
                | Self::TooManyBad { .. }
                | Self::AllRejected { is_printed: true, .. }
                | Self::Unhealthy { .. }
                | Self::Unproven { .. }
                | Self::NoRoute(_)
                | Self::ExamplesFail { .. }
        )
    }

    /// Exit status: 1 failure, 2 usage, 3 bad input, 4 too many rejected records, 130 stopped.
    #[expect(clippy::too_many_lines, reason = "a list: each error is in the arm of its status")]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::Config(_)
            | Self::Location(_)
            | Self::NoTable
            | Self::NoTableOrArea
            | Self::NoSpool { .. }
            | Self::PipeReplaces
            | Self::Terminal
            | Self::NoContract
            | Self::PipeHasNoRoute
            | Self::NoRoutes
            | Self::NoChains { .. }
            | Self::ContradictsRoute(_)
            | Self::ContractExists { .. }
            | Self::Split(
                SplitError::Contract(_)
                | SplitError::ContractStore(StorageError::NotFound { .. })
                | SplitError::Routes(_)
                | SplitError::RoutesStore(StorageError::NotFound { .. })
                | SplitError::RoutesTable(RoutesTableError::NotFound { .. }),
            )
            | Self::SqlFile { .. }
            | Self::Sql(_)
            | Self::Expectations(_)
            | Self::Context(_)
            | Self::SameQueue { .. }
            | Self::SeveralJobs { .. }
            | Self::AmbiguousJob { .. }
            | Self::ShortName { .. }
            | Self::LatestTie { .. }
            | Self::SmallSample { .. }
            | Self::Prices { .. }
            | Self::NoSingleSource { .. } => 2,
            Self::Split(SplitError::Lookup(lookup)) if lookup.source.is_none() => 2,
            Self::Split(SplitError::Stopped { .. })
            | Self::Stopped { .. }
            | Self::ReplayStopped { .. }
            | Self::ListStopped
            | Self::SpoolStopped
            | Self::TuneStopped => 130,
            Self::Stage { code, .. } | Self::Held { status: code, .. } | Self::SomeFailed { status: code, .. } => *code,
            Self::Sources(error) => error.exit_code(),
            Self::TooManyBad { .. }
            | Self::AllRejected { .. }
            | Self::Split(SplitError::TooManyBad(_) | SplitError::AllRejected(_)) => 4,
            Self::Split(error) if error.is_bad_input() => 3,
            Self::NoRoute(_)
            | Self::Chunks { bad_input: true, .. }
            | Self::Chain { bad_input: true, .. }
            | Self::Pipe { .. }
            | Self::NoJob { .. }
            | Self::NoJobs { .. }
            | Self::NoRows { .. }
            | Self::BoundForNoTable { .. }
            | Self::ReplayOfUndone { .. }
            | Self::Replayed { .. }
            | Self::ReplayOfOtherCut { .. }
            | Self::BoundForOther { .. }
            | Self::HasReplays { .. }
            | Self::Undone { .. }
            | Self::NothingAdded { .. }
            | Self::Contradicts { .. }
            | Self::TakenOut { .. }
            | Self::Restored { .. }
            | Self::PartLeft { .. }
            | Self::Undo(
                LoadError::Unknown { .. }
                | LoadError::Unsupported { .. }
                | LoadError::UnknownAction { .. }
                | LoadError::NoDirectory { .. },
            )
            | Self::Table(
                LoadError::Unsupported { .. }
                | LoadError::UnknownAction { .. }
                | LoadError::NoDirectory { .. }
                | LoadError::NoSuchTable { .. },
            )
            | Self::Maintain(
                LoadError::Unsupported { .. }
                | LoadError::UnknownAction { .. }
                | LoadError::NoDirectory { .. }
                | LoadError::NoSuchTable { .. },
            ) => 3,
            // No catch-all: a new error has to choose.
            Self::Output { .. }
            | Self::NoRegion
            | Self::NoCredentials { .. }
            | Self::ExamplesFail { .. }
            | Self::Spool { .. }
            | Self::Split(_)
            | Self::Table(_)
            | Self::Completion(_)
            | Self::WorkArea(_)
            | Self::ContractWrite(_)
            | Self::NotSaved { .. }
            | Self::Chunks { bad_input: false, .. }
            | Self::Chain { bad_input: false, .. }
            | Self::TableLost { .. }
            | Self::AreaLost { .. }
            | Self::Undo(_)
            | Self::Maintain(_)
            | Self::NotSplit { .. }
            | Self::Incomplete { .. }
            | Self::Bug(_)
            | Self::Panic(_)
            | Self::Queue(_)
            | Self::MoveFailed { .. }
            | Self::NoDeployment { .. }
            | Self::Unproven { .. }
            | Self::TuneDir(_)
            | Self::Sample(_)
            | Self::Page { .. }
            | Self::Unhealthy { .. } => 1,
        }
    }
}
