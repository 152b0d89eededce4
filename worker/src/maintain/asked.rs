//! What looking after a table is asked to do.

use std::time::Duration;

use serde::Deserialize;

/// Least age of a file that vacuum may take: a load, from its first file to its commit, is over long before.
pub const LEAST_RETENTION: Duration = Duration::from_hours(1);

/// Days for which the chunks of a finished job are kept when nobody says how long.
const KEEP_JOBS: Duration = Duration::from_hours(30 * 24);

/// Age from which files are merged when nobody says from which.
const COMPACT_AFTER: Duration = Duration::from_hours(7 * 24);

/// What is to be done for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// When a checkpoint is written.
    pub checkpoint: Checkpoints,
    /// Whether log entries are removed once they are older than the table keeps them.
    pub log: bool,
    /// Which data files are removed of those that no version names.
    pub vacuum: Vacuum,
    /// Which small data files are merged.
    pub compact: Compaction,
    /// Age from which files are merged.
    pub compact_after: Duration,
    /// Whether statistics in the log are compared with the files, and wrong ones replaced.
    pub fix_statistics: bool,
    /// How long after a job's end its chunks are kept; none for ever.
    pub keep_jobs: Option<Duration>,
    /// Whether it is only to be said what would be done.
    pub dry_run: bool,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            checkpoint: Checkpoints::WhenDue,
            log: true,
            vacuum: Vacuum::AsTheTableSays,
            compact: Compaction::Off,
            compact_after: COMPACT_AFTER,
            fix_statistics: false,
            keep_jobs: Some(KEEP_JOBS),
            dry_run: false,
        }
    }
}

/// When a checkpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoints {
    /// Never.
    Off,
    /// When as many versions came since the last as the table wants between two, or when the last is missing.
    WhenDue,
    /// When a version came since the last, or when the last is missing.
    Always,
}

/// Which data files are removed of those that no version names, and that no unfinished job has staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacuum {
    /// None.
    Off,
    /// Those that are older, and were removed longer ago, than the table says: 7 days unless it is set.
    AsTheTableSays,
    /// Those that are older, and were removed longer ago, than this; see [`LEAST_RETENTION`].
    After(Duration),
}

/// Which small data files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compaction {
    /// None.
    Off,
    /// Those of one job: it can be undone all the same.
    WithinJobs,
    /// Those of different jobs, and of other writers, too. Jobs whose files are merged with those of others cannot be undone, nor
    /// can a later drop take their place.
    AcrossJobs,
}
