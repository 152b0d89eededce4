//! What follows from an error: advice, a verdict, and whether the same is tried again.

use std::time::{Duration, Instant};

use shared::{FooterError, NOT_EXCLUSIVE_HINT, StorageError, Verdict, error_chain};

use crate::error::LoadError;
use crate::outlook::Outlook;

/// How long a chunk that could not be loaded for the time being is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The same where permissions are to be fixed, or room is to be made.
const RETRY_DENIED_AFTER: Duration = Duration::from_mins(1);

/// The same where the program failed.
const RETRY_BUG_AFTER: Duration = Duration::from_secs(1);

/// Receives after which a chunk that the program fails on is rejected. Earlier ones may have ended for other reasons.
const BUG_RECEIVES: u32 = 4;

/// What may help with a table that asks for what is not done here.
pub(crate) const UNSUPPORTED_HINT: &str = "docs/tables.md lists what is supported; a writer that supports this, such as Spark, can take the rows from a \
                                           table that Sluice loads, or the table can be loaded into once it no longer asks for it";

/// What may help with a log that has actions of a later writer.
pub(crate) const UNKNOWN_ACTION_HINT: &str = "a later version of Sluice may know it; else let the writer of that version write a checkpoint of a later one: entries from \
                                   before a table's last checkpoint are not read";

/// What may help with a file that cannot be decoded.
const BAD_PAGES_HINT: &str = "the file is damaged, or written in a way that no reader knows; have it written again";

impl LoadError {
    /// What whoever reads the error can do, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Undecodable { source: FooterError::Column { hint, .. }, .. } => hint,
            Self::BadPages { .. } => BAD_PAGES_HINT,
            Self::Unfit { refusal, .. } | Self::Columns { refusal, .. } => refusal.hint?,
            Self::NoTable { .. } => "set TABLE_URI, or ingest with --table",
            Self::Stray { .. } => {
                "chunks of a job lie in <work area>/chunks; a message with nothing but bucket and key may name any Parquet file"
            }
            Self::Refused { .. } => {
                "who sent this message? CHUNK_BUCKET, CHUNK_PREFIX and TABLE_URI say what a worker takes, and only the splitter writes there"
            }
            Self::OtherSettings { setting, .. } => {
                return Some(format!(
                    "after a change of settings, run `sluice work` with {setting} for the jobs of before, then `sluice dlq replay`; \
                     otherwise see who sent this message"
                ));
            }
            Self::Missing { .. } => {
                "it was deleted, by a lifecycle rule perhaps; splitting the source again makes it again"
            }
            Self::Damaged { .. } => "delete it and split the source again: the same bytes will be made",
            Self::Lookup(error) => error.hint()?,
            Self::Sql { columns, .. } => return Some(format!("the columns of chunk are {}", columns.join(", "))),
            Self::Sealed { .. } => {
                "give the work area of the first run with --work-dir; if that is lost, give the settings of the first run, or take \
                 out what is there with `sluice undo` and then ingest with --again"
            }
            Self::Overtaken { .. } => {
                "another process still loaded it: keep its rows, or take them out with `sluice undo` and then ingest with --again"
            }
            Self::Undone { .. } => "it stays undone; to load the file again, ingest it with --again",
            Self::NotExclusive { .. } | Self::Storage(StorageError::NotExclusive { .. }) => NOT_EXCLUSIVE_HINT,
            Self::Table { .. } | Self::Storage(_) => match self.outlook() {
                Outlook::Full => {
                    "make room there, or raise the quota; what is loaded stays, and the rest is loaded then"
                }
                Outlook::Denied => {
                    "whoever runs this has to be allowed to list, read, write and delete there: check credentials and permissions"
                }
                Outlook::ReadOnly => "it lies on a file system that is mounted read-only",
                Outlook::Passes | Outlook::Soon | Outlook::Never => return None,
            },
            _ => {
                let hint = self.hint_on_rows().or_else(|| self.hint_on_table());
                return hint.map(str::to_owned).or_else(|| self.hint_on_bounds());
            }
        };
        Some(hint.to_owned())
    }

    /// The same where rows stand in the way.
    fn hint_on_rows(&self) -> Option<&'static str> {
        Some(match self {
            Self::Expectations { .. } => {
                "change the expectation in the contract; `sluice contract check SOURCE --contract FILE` tries it on the first records"
            }
            Self::SqlValue { .. } => {
                "fix the file; or write the SQL for such values, with try_cast, nullif or case: then `sluice undo` and ingest with --again"
            }
            Self::Unexpected { .. } => {
                "fix the file, or change on or max_violations in the contract; `sluice plan SOURCE --contract FILE` counts violations in the \
                 first records"
            }
            Self::BadRow { .. } => {
                "BAD_RECORDS=quarantine keeps such rows beside the job, BAD_RECORDS=null makes the value null"
            }
            _ => return None,
        })
    }

    /// The same where the table itself stands in the way.
    fn hint_on_table(&self) -> Option<&'static str> {
        Some(match self {
            Self::Upstream { hint, .. } => *hint,
            Self::UpstreamGone { .. } => {
                "restore them from a backup; or load their rows in another way, and run `sluice chain` once with --accept-loss, which goes on \
                 without them. A table that is read has to keep log and files for longer than a chain may stand still \
                 (delta.logRetentionDuration, delta.deletedFileRetentionDuration)"
            }
            Self::Unsupported { .. } => UNSUPPORTED_HINT,
            Self::UnknownAction { .. } => UNKNOWN_ACTION_HINT,
            Self::Log { .. } => {
                "restore the checkpoint or these entries from a backup or an earlier version of the object; then \
                 `sluice maintain --checkpoint` writes a new checkpoint"
            }
            Self::NoDirectory { .. } => {
                "give the directory that has the table's _delta_log, or one that is not there yet"
            }
            Self::NoSuchTable { .. } => {
                "a table's directory has a _delta_log; `sluice ingest` makes a table that is not there"
            }
            _ => return None,
        })
    }

    /// The same where a bound was met.
    fn hint_on_bounds(&self) -> Option<String> {
        match self {
            Self::Memory { source, .. } => Some(source.hint()),
            Self::TooManyPartitions { .. } => Some(
                "partition by a column of fewer values, such as a month in place of a moment; or set MAX_PARTITIONS for the workers: \
                 each partition is a file of its own, and an entry of the table's log"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The whole error as text: what, why, and what to do about it.
    pub fn reason(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{}; hint: {hint}", error_chain(self)),
            None => error_chain(self),
        }
    }

    /// What a driver is to do.
    pub fn verdict(&self) -> Verdict {
        let reason = self.reason();
        if matches!(self, Self::Undone { .. }) {
            // Somebody decided that this chunk is not to be there, so there is nothing left to do for it.
            tracing::warn!(reason, "chunk left out");
            Verdict::Done
        } else if matches!(self, Self::Bug { .. }) {
            // Some more times, for it may have been something else; not for as long as a store would get.
            Verdict::Retry { reason, after: RETRY_BUG_AFTER, most_receives: Some(BUG_RECEIVES) }
        } else {
            match self.outlook() {
                Outlook::Passes | Outlook::Soon => Verdict::Retry { reason, after: RETRY_AFTER, most_receives: None },
                Outlook::Full | Outlook::Denied => {
                    Verdict::Retry { reason, after: RETRY_DENIED_AFTER, most_receives: None }
                }
                Outlook::ReadOnly | Outlook::Never => Verdict::Reject { reason, bad_input: self.is_bad_input() },
            }
        }
    }

    /// Whether the source, rather than Sluice or its surroundings, is to blame.
    fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::BadPages { .. }
                | Self::Unfit { .. }
                | Self::Columns { .. }
                | Self::Unsupported { .. }
                | Self::UnknownAction { .. }
                | Self::BadRow { .. }
                | Self::SqlValue { .. }
                | Self::Unexpected { .. }
                | Self::TooManyPartitions { .. }
                | Self::Upstream { .. }
                | Self::UpstreamGone { .. }
        )
    }

    /// Whether it may succeed when it is tried again.
    pub(crate) fn outlook(&self) -> Outlook {
        match self {
            Self::Storage(error) => Outlook::of_storage(error),
            Self::Lookup(error) => error.source.as_ref().map_or(Outlook::Never, Outlook::of_storage),
            Self::Missing { source, .. } if matches!(**source, StorageError::Denied { .. }) => Outlook::Denied,
            Self::Table { source, .. } => Outlook::of_table(source),
            Self::Contention { .. } | Self::Abandoned { .. } | Self::Notice(_) => Outlook::Passes,
            Self::Bug { .. } => Outlook::Soon,
            Self::Message { .. }
            | Self::Stray { .. }
            | Self::Refused { .. }
            | Self::OtherSettings { .. }
            | Self::NoTable { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Undecodable { .. }
            | Self::BadPages { .. }
            | Self::Sql { .. }
            | Self::SqlValue { .. }
            | Self::Expectations { .. }
            | Self::Unexpected { .. }
            | Self::Unfit { .. }
            | Self::Columns { .. }
            | Self::BadRow { .. }
            | Self::Unsupported { .. }
            | Self::UnknownAction { .. }
            | Self::NotExclusive { .. }
            | Self::Sealed { .. }
            | Self::Overtaken { .. }
            | Self::Undone { .. }
            | Self::Unknown { .. }
            | Self::NoSuchTable { .. }
            | Self::NoDirectory { .. }
            | Self::Retention { .. }
            | Self::Log { .. }
            | Self::Memory { .. }
            | Self::TooManyPartitions { .. }
            | Self::Upstream { .. }
            | Self::UpstreamGone { .. }
            | Self::Mingled { .. } => Outlook::Never,
        }
    }
}

/// How often what may pass soon is tried again, and how long what may pass at all, before it is left to the next delivery.
const SOON: u32 = 4;
const FAILING_FOR: Duration = Duration::from_mins(2);

/// How much of an attempt's failures is borne.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Whether the same may be tried once more after this failure. The first one is told of.
    pub(crate) fn bears(&mut self, error: &LoadError) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.failures += 1;
        let bears = match error.outlook() {
            Outlook::Passes => since.elapsed() < FAILING_FOR,
            Outlook::Soon => self.failures < SOON,
            Outlook::Full | Outlook::Denied | Outlook::ReadOnly | Outlook::Never => false,
        };
        if bears && self.failures == 1 {
            let (reason, minutes) = (error.reason(), FAILING_FOR.as_secs() / 60);
            tracing::warn!(reason, "failed, and is tried again for {minutes} minutes at most");
        }
        bears
    }
}
