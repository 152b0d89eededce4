//! Why a command did not do what it was asked for, and how it says so.

use std::borrow::Cow;
use std::path::PathBuf;

use shared::{CompletionError, JobId, LocationError, QueueError, SettingsError, StorageError, error_chain};
use splitter::{ContextError, SplitError};
use worker::{Holding, LoadError};

use crate::holding::held;
use crate::numbers::{counted, grouped};

/// The outcome of a command.
pub(crate) type Done = Result<(), CliError>;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Settings(SettingsError),
    #[error(transparent)]
    Location(LocationError),
    #[error("cannot write the result to stdout")]
    Output {
        #[source]
        source: std::io::Error,
    },
    #[error("no table is given")]
    NoTable,
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
    #[error("job {job_id} is bound for table {table}, not for {told}; nothing was replayed")]
    BoundForOther { job_id: JobId, table: String, told: String },
    #[error("what job {job_id} rejected was replayed in another way, by {}; nothing was changed", names(.replays))]
    Replayed { job_id: JobId, replays: Vec<JobId> },
    #[error("records that job {job_id} rejected are in the table by {}; nothing was changed", names(.replays))]
    HasReplays { job_id: JobId, replays: Vec<JobId> },
    #[error("job {job_id} is not complete: {missing} of its chunks are not in the table")]
    Incomplete { job_id: String, missing: usize },
    #[error("{quarantined} of {read} records were rejected, more than MAX_BAD_RECORDS allows; all others are there")]
    TooManyBad { quarantined: u64, read: u64 },
    #[error("stopped on request; {committed} of the chunks are in the table")]
    Stopped { committed: u64 },
    #[error("sluice stopped on a bug of its own: {0}")]
    Panic(String),
    #[error("a task of this process failed")]
    Bug(#[source] tokio::task::JoinError),
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

fn no_single_source(queue: &str, sources: &[String]) -> String {
    match sources {
        [] => format!("no queue has {queue} as its queue of dead letters"),
        _ => format!("dead letters of several queues come to {queue}: {}", sources.join(", ")),
    }
}

/// What may help where the libraries that reach stores say no more than this.
fn hint_on_access(said: &str) -> Option<&'static str> {
    let hints = [
        ("has the scheme", ONLY_S3),
        ("it must be s3://", ONLY_S3),
        (
            "A region must be set",
            "set AWS_REGION to the region of the bucket, or AWS_PROFILE to a profile that has one",
        ),
        ("redirect without LOCATION", "the bucket is in another region: set AWS_REGION to that"),
        (
            "error occurred while loading credentials",
            "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; and AWS_REGION",
        ),
    ];
    hints.into_iter().find_map(|(part, hint)| said.contains(part).then_some(hint))
}

const ONLY_S3: &str = "Sluice works on S3, on servers that speak its protocol (AWS_ENDPOINT_URL), and on local paths: copy the file, or keep the table, there";

impl CliError {
    /// Whether the command's result was printed all the same.
    pub(crate) fn has_result(&self) -> bool {
        matches!(self, Self::TooManyBad { .. } | Self::Unhealthy { .. } | Self::Unproven { .. })
    }

    /// Exit status: 1 failure, 2 usage, 3 bad input, 4 too many rejected records, 130 stopped.
    #[expect(clippy::too_many_lines, reason = "a list: each error is in the arm of its status")]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::Location(_)
            | Self::NoTable
            | Self::NoTableOrArea
            | Self::SqlFile { .. }
            | Self::Sql(_)
            | Self::Context(_)
            | Self::SameQueue { .. }
            | Self::SeveralJobs { .. }
            | Self::SmallSample { .. }
            | Self::Prices { .. }
            | Self::NoSingleSource { .. } => 2,
            Self::Split(SplitError::Stopped { .. })
            | Self::Stopped { .. }
            | Self::ReplayStopped { .. }
            | Self::ListStopped
            | Self::TuneStopped => 130,
            Self::Stage { code, .. } => *code,
            Self::TooManyBad { .. } | Self::Split(SplitError::TooManyBad(_)) => 4,
            Self::Split(error) if error.is_bad_input() => 3,
            Self::Chunks { bad_input: true, .. }
            | Self::NoJob { .. }
            | Self::NoRows { .. }
            | Self::BoundForNoTable { .. }
            | Self::ReplayOfUndone { .. }
            | Self::Replayed { .. }
            | Self::ReplayOfOtherCut { .. }
            | Self::BoundForOther { .. }
            | Self::HasReplays { .. }
            | Self::Undone { .. }
            | Self::NothingAdded { .. }
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
                LoadError::Unsupported { .. } | LoadError::UnknownAction { .. } | LoadError::NoDirectory { .. },
            )
            | Self::Maintain(
                LoadError::Unsupported { .. }
                | LoadError::UnknownAction { .. }
                | LoadError::NoDirectory { .. }
                | LoadError::NoSuchTable { .. },
            ) => 3,
            // No catch-all: a new error has to choose.
            Self::Output { .. }
            | Self::Split(_)
            | Self::Table(_)
            | Self::Completion(_)
            | Self::WorkArea(_)
            | Self::Chunks { bad_input: false, .. }
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

    /// What may help.
    pub(crate) fn hint(&self) -> Option<Cow<'_, str>> {
        let of_cause = match self {
            Self::Chunks { hint, .. } => hint.as_deref().map(Cow::Borrowed),
            Self::Table(error) | Self::Maintain(error) | Self::Undo(error) => error.hint().map(Cow::Owned),
            Self::Split(error) => error.hint(),
            _ => None,
        };
        let hint = of_cause.or_else(|| self.hint_on_jobs().map(Cow::Borrowed));
        hint.or_else(|| hint_on_access(&error_chain(self)).map(Cow::Borrowed))
    }

    /// What may help with jobs.
    fn hint_on_jobs(&self) -> Option<&'static str> {
        match self {
            Self::NoTable => Some("say --table TABLE_URI, or set TABLE_URI"),
            Self::NoTableOrArea => {
                Some("say --table TABLE_URI or set TABLE_URI, for the work area below it; or say --work-dir DIR")
            }
            Self::Split(SplitError::Stopped { .. }) | Self::Stopped { .. } | Self::ReplayStopped { .. } => {
                Some("run the same command again; it goes on where this one stopped")
            }
            Self::Sql(_) => Some("`sluice plan SOURCE` shows the columns, and docs/sql.md what SQL there is"),
            Self::Chunks { committed: 0, .. } => Some(
                "the job keeps the SQL and the settings that it was first seen with; to change them, ingest with --again, or replay in another way",
            ),
            Self::Chunks { .. } | Self::Incomplete { .. } => Some(
                "mend the cause and run the same command again; chunks that are in the table stay as they are; the job keeps its SQL and its settings: to change them, `sluice undo` it, then ingest with --again",
            ),
            Self::TableLost { .. } => {
                Some("another process loads the same file: run the same command again once it is done")
            }
            Self::Undone { .. } => Some("it stays undone; say --again to load the file anew, as another job"),
            Self::NothingAdded { .. } => Some(
                "there is nothing to undo; `sluice status` tells how far it came, and sluice ingest of its source goes on with it",
            ),
            Self::Undo(LoadError::Unknown { .. }) => {
                Some("sluice status SOURCE --table TABLE_URI names the job of a file")
            }
            Self::Undo(LoadError::Mingled { .. }) => {
                Some("nothing was changed; what the job added has to be deleted by its values, or the table restored")
            }
            Self::SeveralJobs { .. } => Some("say which of these jobs"),
            Self::TuneDir(_) => {
                Some("samples are written to the directory for temporary files: TMPDIR says another one")
            }
            Self::SmallSample { .. } => Some(
                "sizes that are larger than the sample are predicted from two that are not: say a larger --sample-mb or smaller --sizes",
            ),
            Self::Panic(_) => {
                Some("nothing of it is half in the table; please report it, with what the same command says with -vv")
            }
            Self::TooManyBad { .. } => Some("`sluice quarantine show` tells why, of each reason with examples"),
            Self::NoJob { .. } => Some(
                "jobs of a deployment are in its chunk bucket: set CHUNK_BUCKET and CHUNK_PREFIX, or say --work-dir; those \
                 of sluice ingest are below their table: say --table",
            ),
            other => other.hint_on_lost_rows().or_else(|| other.hint_on_replay()),
        }
    }

    /// What may help when a table, or a work area, does not have any more what a job brought in.
    fn hint_on_lost_rows(&self) -> Option<&'static str> {
        match self {
            Self::TakenOut { holding, .. } if !holding.is_left() => {
                Some("say --again to load the file again, as another job")
            }
            Self::TakenOut { holding, .. } | Self::PartLeft { holding, .. } if holding.files == 0 => Some(
                "rows of this job may be in files that others merged, where `sluice undo` cannot tell them apart: delete them by their \
                 values, then ingest the file with --again",
            ),
            Self::TakenOut { .. } | Self::PartLeft { .. } | Self::Restored { .. } => Some(
                "`sluice undo` this job first, which takes out what is left of it; then ingest the file with --again",
            ),
            Self::AreaLost { .. } => {
                Some("run the same command without --again first: it finishes the job, or says why it cannot")
            }
            _ => None,
        }
    }

    /// What may help with replays of rejected records.
    fn hint_on_replay(&self) -> Option<&'static str> {
        match self {
            Self::NotSplit { .. } => {
                Some("let it be split first: run sluice ingest again, if need be with a higher MAX_BAD_RECORDS")
            }
            Self::BoundForNoTable { .. } => {
                Some("sluice ingest loads the file into a table; what is rejected then can be replayed")
            }
            Self::ReplayOfUndone { .. } => {
                Some("say --again to sluice ingest to load the file anew, with other settings if need be")
            }
            Self::ReplayOfOtherCut { .. } => {
                Some("give the work area of the first run with --work-dir; its quarantine has what the table lacks")
            }
            Self::BoundForOther { .. } => {
                Some("the work area was copied or moved with its table; ingest the file itself into the new one")
            }
            Self::Replayed { .. } => Some(
                "replay what that replay rejected, by its name; or sluice undo it, and then read all records in another way",
            ),
            Self::HasReplays { .. } => Some("sluice undo these replays first, the last one before the others"),
            other => other.hint_on_aws(),
        }
    }

    /// What may help with queues and deployments.
    fn hint_on_aws(&self) -> Option<&'static str> {
        match self {
            Self::Queue(QueueError::Denied { .. }) => Some(
                "credentials and region have to be those of the queue's account; docs/operations.md has the permissions",
            ),
            Self::SameQueue { .. } => Some("--to names the queue that they are sent to"),
            Self::Context(_) => Some("`sluice settings` lists all variables"),
            Self::NoSingleSource { .. } => Some("say --to QUEUE_URL"),
            Self::MoveFailed { .. } => {
                Some("SQS knows only of messages that it moved there itself where they came from; say --to QUEUE_URL")
            }
            Self::NoDeployment { is_missing: true, .. } => {
                Some("say --name as Terraform's name, or --splitter and --worker; AWS_REGION has to be theirs")
            }
            Self::NoDeployment { is_missing: false, .. } => Some(
                "set AWS_REGION and credentials of the deployment's account that allow lambda:GetFunctionConfiguration",
            ),
            Self::Queue(QueueError::Missing { .. }) => {
                Some("check the URL; AWS_REGION has to be the region of the queue")
            }
            _ => None,
        }
    }
}
