//! What the user typed about what was loaded: to have it looked at, taken out, or looked after.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use std::time::Duration;

use shared::Settings;
use worker::{Compaction, LEAST_RETENTION};

use super::given::{Given, Jobs, Maintain, Status, Undo};
use super::values::{queue_url, time_span};
use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = JOBS_HELP)]
pub(crate) struct JobsArgs {
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Only jobs that were begun this long ago or later, as 90s, 15m, 1h or 2d
    #[arg(long, value_name = "TIME", value_parser = time_span)]
    pub(crate) since: Option<Duration>,
    /// Only jobs that are failed or dead
    #[arg(long)]
    pub(crate) failed: bool,
    /// Most jobs to show
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) most: Option<u32>,
    /// An SQS queue of dead letters, to be looked through for messages of these jobs
    #[arg(long, value_name = "DLQ_URL", value_parser = queue_url)]
    pub(crate) dead_letters: Option<String>,
    /// Show the list again whenever it changes, until stopped
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    given: Given<Jobs>,
}

const JOBS_HELP: &str = "\
The job that was begun last comes first. Rows are those in the table; before a job is done, those that were read so far. Without \
--table, all jobs in the work area are shown.

done: all of it is in the table. splitting: not all of the source is read yet. waiting: it is split, and no chunk is loaded. loading: \
some chunks are. failed: the last attempt at some part failed. dead: a message of it is in the queue of --dead-letters. undone, \
replaced: it was taken out, by sluice undo or by a later load.

The list is made of documents in the work area. What others did to the table since, sluice status says.";

#[derive(Debug, clap::Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct StatusArgs {
    /// Name of a job or its beginning, latest, or the file that it is about
    pub(crate) job_or_source: String,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Read the job's rows back from the table, and compare them with its receipts
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    given: Given<Status>,
}

const STATUS_HELP: &str = "\
--verify reads the data files that the job's chunks added, counts and hashes their rows, and compares both with what was \
noted as they were committed. Exit status 1: the table has other rows, or they cannot be told apart from those of others any \
more since the files were compacted. Order of rows and columns, and columns added since, make no difference.";

#[derive(Debug, clap::Args)]
#[command(after_help = UNDO_HELP)]
pub(crate) struct UndoArgs {
    /// Name of a job or its beginning, latest, or the file that it loaded
    pub(crate) job_or_source: String,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Say what would be removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    given: Given<Undo>,
}

const UNDO_HELP: &str = "\
One commit removes the files that the job's chunks added, and nothing else; earlier versions of the table keep them until \
vacuum. Files that were rewritten since, by compaction, DELETE or UPDATE, cannot be told apart any more: then \
nothing is changed, and the error names the version that did it (exit status 1). Files that a RESTORE or an overwrite took out \
do not matter: what is left is removed. Exit status 3: the table knows no such job.

A job that is undone stays so: chunks that are delivered later are left out, and the file is loaded anew only by sluice \
ingest --again. A file that was loaded more than once has a job for each load, which has to be named.";

#[derive(Debug, clap::Args)]
#[command(after_help = MAINTAIN_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct MaintainArgs {
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Write a checkpoint though none is due
    #[arg(long, conflicts_with = "no_checkpoint")]
    pub(crate) checkpoint: bool,
    /// Write no checkpoint
    #[arg(long)]
    pub(crate) no_checkpoint: bool,
    /// Leave expired log entries
    #[arg(long)]
    pub(crate) no_log: bool,
    /// Leave data files that nothing names
    #[arg(long)]
    pub(crate) no_vacuum: bool,
    /// Leave chunks of finished jobs
    #[arg(long)]
    pub(crate) no_work_areas: bool,
    /// Merge small data files: off, within-jobs, or across-jobs, after which the jobs can neither be undone nor replaced
    #[arg(long, value_name = "WHICH", default_value = "off", value_parser = compaction)]
    pub(crate) compact: Compaction,
    /// Age from which small data files are merged, as 36h or 14d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time_span)]
    pub(crate) compact_after: Duration,
    /// Compare the statistics in the log with the data files, and replace those that exclude values of a file
    #[arg(long)]
    pub(crate) fix_statistics: bool,
    /// How long data files are kept that the table no longer names, as 36h or 14d, from 1h [default: the table's
    /// delta.deletedFileRetentionDuration, 7d unless set]
    #[arg(long, value_name = "TIME", value_parser = retention)]
    pub(crate) retention: Option<Duration>,
    /// Days that chunks are kept once their job is done or undone
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) keep_jobs: u16,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    given: Given<Maintain>,
}

const MAINTAIN_HELP: &str = "\
A checkpoint is due when delta.checkpointInterval versions came since the last. Log entries go once they are older than \
delta.logRetentionDuration and a checkpoint stands for them; a table with delta.enableExpiredLogCleanup=false keeps all. \
Vacuum takes data files that are older than the retention, that no version within it names, and that no unfinished job \
has staged in its work area; so --work-dir has to be where the workers' is. On a local disk, files that killed processes left \
unfinished go once they are as old. Of finished jobs, chunks and staged notes go; \
job, manifest, receipts and quarantine stay.

With --compact, data files of less than half of delta.targetFileSize (100 MiB unless set) that are older than --compact-after are merged, those of one partition and, with within-jobs, of one job: such a job can be undone, and replaced by a later drop, all the same. Readers see the same rows before and after; the files that were merged go with the vacuum, once nobody can need them.

With --fix-statistics, the footer of every data file is read, and its float columns, since only the values tell whether one is \
not a number. Readers skip files by these statistics, so a bound that is too tight hides rows. A wrong bound, null count or row \
count is replaced by that of the footer, or removed if the log has no form for it; the output names file, column, value before \
and after. Bounds that a footer neither proves nor refutes are left alone and listed. Files with deleted rows are skipped.

Nothing else adds a version to the table. All of it may run beside workers, twice at once, and again after it was cut off.";

fn compaction(text: &str) -> Result<Compaction, String> {
    match text {
        "off" => Ok(Compaction::Off),
        "within-jobs" => Ok(Compaction::WithinJobs),
        "across-jobs" => Ok(Compaction::AcrossJobs),
        _ => Err("one of off, within-jobs, across-jobs".to_owned()),
    }
}

/// How long vacuum keeps files.
fn retention(text: &str) -> Result<Duration, String> {
    let span = time_span(text)?;
    if span < LEAST_RETENTION {
        return Err("loads that are under way have files that nothing names yet: from 1h".to_owned());
    }
    Ok(span)
}

impl UndoArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}

impl MaintainArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }

    /// How long chunks of finished jobs are kept.
    pub(crate) fn keep_jobs(&self) -> Duration {
        const DAY: Duration = Duration::from_hours(24);
        DAY * u32::from(self.keep_jobs)
    }
}

impl JobsArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}

impl StatusArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}
