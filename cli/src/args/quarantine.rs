//! What the user typed about rejected records.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use std::path::PathBuf;

use clap::Subcommand;
use shared::{Settings, Variable};
use splitter::Changes;

use super::given::{Given, QuarantineShow, TABLE, Takes, settings};
use super::values::default_workers;
use crate::config;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    pub(crate) command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Tell why records were rejected, with counts and examples
    Show(QuarantineShowArgs),
    /// Load rejected records after all, read in another way
    Replay(Box<QuarantineReplayArgs>),
}

#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_HELP)]
pub(crate) struct QuarantineShowArgs {
    /// Name of a job or its beginning, latest, or the file that it is about
    pub(crate) job_or_source: String,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    #[command(flatten)]
    given: Given<QuarantineShow>,
}

const SHOW_HELP: &str = "\
The most frequent reason comes first, each with three examples at most. Records that the splitter rejected are named by record and \
byte in the source; rows that the worker rejected, since a value does not fit the table's column, by their number in their chunk, \
and shown as JSON. It reads the whole quarantine and changes nothing.";

#[derive(Debug, clap::Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct QuarantineReplayArgs {
    /// Name of a job or its beginning, latest, or the file that it is about
    pub(crate) job_or_source: String,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Loads that run at once [default: one a core, 4 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Say what would become of the records until SQL and table come in, and load nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A file with the SQL
    #[arg(long, value_name = "FILE", conflicts_with = "sql", help_heading = TABLE)]
    sql_file: Option<PathBuf>,
    #[command(flatten)]
    given: Given<Replay>,
}

const REPLAY_HELP: &str = "\
The records that the splitter rejected are read again as they stood in the file, in the way that the job read them but for \
what is told here (--sql \"\" for no SQL), and go into the table in one commit, as a job of their own: JOB-replay. Variables \
of the environment that say how files are read do not count. Each record comes in once: the same command again goes on, or \
adds nothing. What is rejected again is in the replay's own quarantine, which can be shown and replayed in turn. To read all \
of it in another way, `sluice undo` the replay first.

Left out, and counted: records of which only a part is kept since their end was not found, records with bytes that the encoding of \
the file does not have, and rows that the worker rejected. Exit status 3: no such job, it was undone, or replayed in another way.";

/// `sluice quarantine replay`.
#[derive(Debug)]
pub(crate) struct Replay;

impl Takes for Replay {
    const COMMAND: &'static str = "quarantine replay";

    fn is_of_job(variable: &Variable) -> bool {
        is_of_job(variable.name)
    }
}

/// Whether a setting is the job's unless an option changes it: all that say how records are read.
fn is_of_job(name: &str) -> bool {
    !matches!(name, "TABLE_URI" | "MAX_BAD_RECORDS")
}

impl QuarantineShowArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}

impl QuarantineReplayArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        settings(|name| {
            let given = self.given.get(name).filter(|_| !is_of_job(name));
            given.map(str::to_owned).or_else(|| config::value(name))
        })
    }

    /// What is to be read in another way: from the options alone.
    pub(crate) fn changes(&self) -> Result<Changes, CliError> {
        let given = |name: &str| self.given.get(name).filter(|_| is_of_job(name));
        let asked = settings(|name| given(name).map(str::to_owned))?.read;
        Ok(Changes {
            schema: asked.schema,
            null_words: asked.null_words,
            bad_records: given("BAD_RECORDS").map(|_| asked.bad_records),
            max_record_bytes: given("MAX_RECORD_MB").map(|_| asked.max_record_bytes),
            csv: asked.csv,
            sql: self.given.sql(self.sql_file.as_ref())?,
        })
    }

    /// Loads that run at once.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(default_workers, usize::from)
    }
}
