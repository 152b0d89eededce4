//! What the user typed about rejected records.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use std::path::PathBuf;

use clap::Subcommand;
use shared::Settings;
use splitter::Changes;

use super::{default_workers, settings, sql, told};
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
    /// Name of a job, or the file that it is about
    pub(crate) job_or_source: String,
    /// The Delta table of the job [env: TABLE_URI]
    #[arg(long, value_name = "TABLE_URI")]
    table: Option<String>,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
}

const SHOW_HELP: &str = "\
The most frequent reason comes first, each with three examples at most. Records that the splitter rejected are named by record and \
byte in the source; rows that the worker rejected, since a value does not fit the table's column, by their number in their chunk, \
and shown as JSON. It reads the whole quarantine and changes nothing.";

#[derive(Debug, clap::Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct QuarantineReplayArgs {
    /// Name of a job, or the file that it is about
    pub(crate) job_or_source: String,
    /// The Delta table of the job [env: TABLE_URI]
    #[arg(long, value_name = "TABLE_URI")]
    table: Option<String>,
    /// Where chunks and receipts are kept [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Loads that run at once [default: one a core, 4 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Say what would become of the records until SQL and table come in, and load nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// SQL that each chunk goes through; "" for none [default: the job's]
    #[arg(long, value_name = "SQL")]
    sql: Option<String>,
    /// A file with that SQL
    #[arg(long, value_name = "FILE", conflicts_with = "sql")]
    sql_file: Option<PathBuf>,
    /// Types of columns, as id:int64,price:decimal(12,2),day:date(DD.MM.YYYY) [default: the job's]
    #[arg(long, value_name = "NAME:TYPE,...")]
    schema: Option<String>,
    /// Words that mean null in every column [default: the job's]
    #[arg(long, value_name = "A,B")]
    null_words: Option<String>,
    /// What becomes of a record that is bad again: quarantine, fail or null [default: the job's]
    #[arg(long, value_name = "HOW", value_parser = ["quarantine", "fail", "null"])]
    bad_records: Option<String>,
    /// Most MiB of one record [default: the job's]
    #[arg(long, value_name = "N")]
    max_record_mb: Option<String>,
    /// Field separator of a CSV [default: the job's]
    #[arg(long, value_name = "CHAR")]
    csv_delimiter: Option<String>,
    /// Quote character of a CSV: one character or none [default: the job's]
    #[arg(long, value_name = "CHAR")]
    csv_quote: Option<String>,
    /// Character that makes the one behind it text within quotes: one character or none [default: the job's]
    #[arg(long, value_name = "CHAR")]
    csv_escape: Option<String>,
    /// What stands before the fraction of a number: "." or "," [default: the job's]
    #[arg(long, value_name = "CHAR")]
    csv_decimal: Option<String>,
    /// Rejected records, as a number or a percentage, beyond which the replay is given up [env: MAX_BAD_RECORDS]
    #[arg(long, value_name = "N_OR_%")]
    max_bad_records: Option<String>,
}

const REPLAY_HELP: &str = "\
The records that the splitter rejected are read again as they stood in the file, in the way that the job read them but for what \
is told here, and go into the table in one commit, as a job of their own: JOB-replay. Variables of the environment that say how \
files are read do not count. Each record comes in once: the same command again goes on, or adds nothing. What is rejected again is in \
the replay's own quarantine, which can be shown and replayed in turn. To read all of it in another way, `sluice undo` the replay first.

Left out, and counted: records of which only a part is kept since their end was not found, records with bytes that the encoding of \
the file does not have, and rows that the worker rejected. Exit status 3: no such job, it was undone, or replayed in another way.";

impl QuarantineShowArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        settings([("TABLE_URI", self.table.as_deref())])
    }
}

impl QuarantineReplayArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        settings([("TABLE_URI", self.table.as_deref()), ("MAX_BAD_RECORDS", self.max_bad_records.as_deref())])
    }

    /// What is to be read in another way: from the options alone.
    pub(crate) fn changes(&self) -> Result<Changes, CliError> {
        let told = told([
            ("SCHEMA", self.schema.as_deref()),
            ("NULL_WORDS", self.null_words.as_deref()),
            ("BAD_RECORDS", self.bad_records.as_deref()),
            ("MAX_RECORD_MB", self.max_record_mb.as_deref()),
            ("CSV_DELIMITER", self.csv_delimiter.as_deref()),
            ("CSV_QUOTE", self.csv_quote.as_deref()),
            ("CSV_ESCAPE", self.csv_escape.as_deref()),
            ("CSV_DECIMAL", self.csv_decimal.as_deref()),
        ])?;
        Ok(Changes {
            schema: told.schema,
            null_words: told.null_words,
            bad_records: self.bad_records.as_ref().map(|_| told.bad_records),
            max_record_bytes: self.max_record_mb.as_ref().map(|_| told.max_record_bytes),
            csv: told.csv,
            sql: sql(self.sql.as_ref(), self.sql_file.as_ref())?,
        })
    }

    /// Loads that run at once.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(default_workers, usize::from)
    }
}
