//! What the user typed.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

mod chain;
mod contract;
mod enqueue;
mod given;
mod quarantine;
mod route;
mod shell;
mod tune;
mod upkeep;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};
use shared::{Location, Settings};

use crate::error::CliError;
pub(crate) use chain::ChainArgs;
pub(crate) use contract::{ContractArgs, ContractCheckArgs, ContractCommand};
pub(crate) use enqueue::EnqueueArgs;
use given::{Given, Ingest, Plan, Split};
pub(crate) use quarantine::{QuarantineArgs, QuarantineCommand, QuarantineReplayArgs, QuarantineShowArgs};
pub(crate) use route::{RouteArgs, RouteCheckArgs, RouteCommand, RouteListArgs, RouteTestArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use tune::{Architecture, StageArgs, TuneArgs};
pub(crate) use upkeep::{JobsArgs, MaintainArgs, StatusArgs, UndoArgs};
pub(crate) use values::{cores, link, location, routes_at, work_prefix};
use values::{default_workers, queue_url, s3_uri, time_span, without_routes};

/// How help looks on a terminal.
pub(crate) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Takes large file drops to Delta Lake: split into bounded chunks, loaded exactly once.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, styles = STYLES, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Take settings that are given neither by an option nor by a variable from this file [env: SLUICE_CONFIG] [default: sluice.toml, if
    /// it is there]
    #[arg(long, global = true, help_heading = GENERAL, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = GENERAL)]
    pub(crate) json: bool,
    /// Print results and errors only: no warnings, no progress
    #[arg(short, long, global = true, help_heading = GENERAL, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log more to stderr; twice for still more
    #[arg(short, long, global = true, help_heading = GENERAL, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The options that every command has.
const GENERAL: &str = "General options";

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 failure of Sluice or its surroundings, 2 usage, 3 bad input, 4 more rejected records than \
MAX_BAD_RECORDS allows or nothing but rejected ones, 130 stopped on request.

Options that are not given are taken from environment variables, then from sluice.toml: `sluice settings` lists them. NO_COLOR=1 turns colours off.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take a file to a Delta table: the whole line on this machine
    Ingest(IngestArgs),
    /// Say how a file would be read, and what would become of it; write nothing
    Plan(PlanArgs),
    /// Hold a file against the contract of its feed
    Contract(ContractArgs),
    /// Look into routes: which table a file goes to, and why
    Route(RouteArgs),
    /// Bring tables up to date with the tables that routes make them of
    Chain(ChainArgs),
    /// Split and load samples of a file in chunks of several sizes, and recommend one
    Tune(TuneArgs),
    /// One stage of that, in a process of its own
    #[command(hide = true, subcommand)]
    TuneStage(StageArgs),
    /// Split a file into Parquet chunks, and do no more
    Split(SplitArgs),
    /// List the loads of a table, with time, rows, rejected records and state
    Jobs(JobsArgs),
    /// Say how far a job has come
    Status(StatusArgs),
    /// Take out of a table exactly what a job added
    Undo(UndoArgs),
    /// Look after a table: checkpoint, log, files that nothing names, chunks of finished jobs
    Maintain(MaintainArgs),
    /// Work on a queue until asked to stop: the worker, or the splitter, in a container
    Work(WorkArgs),
    /// Announce objects that are there already to the splitter of a deployment
    Enqueue(EnqueueArgs),
    /// Look into rejected records, or load them after all
    Quarantine(QuarantineArgs),
    /// Look into dead letters, or send them back
    Dlq(DlqArgs),
    /// Say what is wrong with a deployment on AWS, and how to fix it
    Doctor(DoctorArgs),
    /// List all settings: variable, default, meaning, option, and the functions that read it
    Settings,
    /// Print a script that completes commands and options in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands to a folder
    Man(ManArgs),
}

const AFTER_INGEST_HELP: &str = "\
A table that does not exist is created.

Several sources are loaded in the order of their names, each once, by one process that shares commits among them. A source that fails \
does not stop the others. A table at the end has what became of each; with --json there is a document a source, in one line, and a last one with a \
summary. The exit status is that of the worst. The same command again skips what is done. Of folders, prefixes and \
patterns, names that begin with . or _, or end in ~, .tmp, .part and the like, Delta tables and work areas are left out; where nothing is \
left, that is status 3.

With --routes the file's key decides which table it goes to and how it is read. An option that contradicts the route is an error with \
status 2; the route comes before variables. No route for the file is status 3.

What comes through a pipe is written to the work area first, which takes as much disk, and is deleted once its job is done. The same \
bytes are the same job. A producer that fails looks like one that ends: say set -o pipefail.

A file that was loaded before adds nothing, and the status is 0, also when others deleted rows of it since. It is 3 when the job \
was undone, when an option contradicts how it was loaded, or when others restored the table to an earlier version or overwrote it. \
Then, --again loads the file as another job.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_INGEST_HELP)]
pub(crate) struct IngestArgs {
    /// Files, folders, patterns such as 'daily/*.csv', S3 objects, prefixes that end in /, or - for standard input alone; CSV,
    /// NDJSON or Parquet, detected from the content
    #[arg(value_name = "SOURCE", required_unless_present = "files_from")]
    pub(crate) sources: Vec<String>,
    /// Load what a file lists, too, or standard input for -: a source a line, or NUL bytes between them
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<String>,
    /// Of several sources, begin none after the first that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Loads that run at once [default: one a core, 4 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Where chunks and receipts are kept: a path, or s3://bucket/prefix [default: _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Load this very file once more, though it was loaded before
    #[arg(long)]
    pub(crate) again: bool,
    /// A file with the SQL
    #[arg(long, value_name = "FILE", conflicts_with = "sql", help_heading = given::TABLE)]
    sql_file: Option<PathBuf>,
    #[command(flatten)]
    given: Given<Ingest>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_PLAN_HELP)]
pub(crate) struct PlanArgs {
    /// Files, folders, patterns such as 'daily/*.csv', S3 objects, or prefixes that end in /; CSV, NDJSON or Parquet, detected from
    /// the content
    #[arg(value_name = "SOURCE", required_unless_present = "files_from")]
    pub(crate) sources: Vec<String>,
    /// Also plan the sources that a file lists, one a line or with NUL bytes between them; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<String>,
    /// Write how the file, or the first, is read to a file of TOML, a path or s3://bucket/key: the contract of its feed, for --contract
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<String>,
    /// Let --save overwrite a file that exists
    #[arg(long, requires = "save")]
    pub(crate) force: bool,
    #[command(flatten)]
    given: Given<Plan>,
}

const AFTER_PLAN_HELP: &str = "\
The types of the columns of --table, if it exists, win over those that are detected.

With -v, each column has what its values say: how many there are, and the first one that each other type does not take. \
With --sql, what SQL makes of the first rows is shown, too.

Of several sources the first is shown in full, and of the others how they differ from it: encoding, dialect, columns and types.

With --save orders.toml the reading becomes a contract: `sluice ingest SOURCE --contract orders.toml` reads the next files by it, \
detects nothing, and refuses or sets aside what deviates.";

#[derive(Debug, clap::Args)]
pub(crate) struct SplitArgs {
    /// The file: a path, or s3://bucket/key; CSV, NDJSON or Parquet, detected from its content
    pub(crate) source: String,
    /// Where the job's folder with its chunks is made: a path, or s3://bucket/prefix
    #[arg(long, value_name = "DIR_OR_S3_PREFIX")]
    pub(crate) out: String,
    /// Split this very file once more, into a folder of its own
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    given: Given<Split>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = WORK_HELP)]
pub(crate) struct WorkArgs {
    /// The SQS queue: of chunk tasks, or with --splitter of news of dropped files
    #[arg(long, value_name = "URL", value_parser = queue_url)]
    pub(crate) queue_url: String,
    /// Split what is dropped, rather than load chunks
    #[arg(long)]
    pub(crate) splitter: bool,
    /// Batches that are worked on at once [default: one a core, 4 at most; with --splitter 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Most messages of a batch; the chunks of a batch go into one commit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub(crate) batch: u8,
    /// Write what is done to stderr once a minute, in CloudWatch's embedded metric format, under this FunctionName
    #[arg(long, value_name = "NAME")]
    pub(crate) metrics: Option<String>,
}

const WORK_HELP: &str = "\
All else comes from environment variables, which `sluice settings` lists: the worker needs TABLE_URI only for \
messages that name no job; the splitter needs CHUNK_BUCKET, CHUNK_QUEUE_URL, and TABLE_URI or ROUTES_URI.

The first SIGTERM or Ctrl-C lets it finish what is in hand, hand back what it has not begun, and end with status 0. The \
log is on stderr, with --json as JSON lines; with --json a last document on stdout counts the messages.";

#[derive(Debug, clap::Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    pub(crate) command: DlqCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Show what is among the dead letters, and leave it there; with -v or --json its bodies too
    List(DlqListArgs),
    /// Send dead letters back to where they came from
    Replay(DlqReplayArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DlqListArgs {
    /// The SQS queue of dead letters
    #[arg(long, value_name = "DLQ_URL", value_parser = queue_url)]
    pub(crate) queue_url: String,
    /// Most messages to show
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) most: u32,
    /// Where work areas are, and beside them the reasons of failures [default: CHUNK_PREFIX in CHUNK_BUCKET]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct DlqReplayArgs {
    /// The SQS queue of dead letters
    #[arg(long, value_name = "DLQ_URL", value_parser = queue_url)]
    pub(crate) queue_url: String,
    /// The queue to send them to [default: the one that they came from]
    #[arg(long, value_name = "QUEUE_URL", value_parser = queue_url)]
    pub(crate) to: Option<String>,
    /// Only chunk tasks of this job; latest and the beginning of a name do where the work area is known
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Only messages with this text in their first or last error, in letters of either case
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: Option<String>,
    /// Where work areas are, and beside them the reasons of failures [default: CHUNK_PREFIX in CHUNK_BUCKET]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Only messages that were first sent this long ago or longer, as 90s, 15m, 1h or 2d
    #[arg(long, value_name = "TIME", value_parser = time_span)]
    pub(crate) older_than: Option<Duration>,
    /// Say what would be sent back, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Most messages a second [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) rate: Option<u16>,
}

const REPLAY_HELP: &str = "\
Mend the cause first. Without --job, --reason and --older-than all is moved by SQS itself; with them, each message is deleted only \
once it is sent. Ctrl-C stops either way, what is not sent back by then stays, and the same command goes on from there. \
A message may come twice, which loads nothing twice.";

#[derive(Debug, clap::Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// Name of the deployment, Terraform's "name"
    #[arg(long, default_value = "sluice")]
    pub(crate) name: String,
    /// The splitter's function, by name or ARN [default: NAME-splitter]
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) splitter: Option<String>,
    /// The worker's function, by name or ARN [default: NAME-worker]
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) worker: Option<String>,
    /// Where files are dropped [default: what the events queue takes news from]
    #[arg(long, value_name = "S3_URI", value_parser = s3_uri)]
    pub(crate) source: Option<Location>,
    /// Write nothing: leave out whether the table's bucket refuses a second writer
    #[arg(long)]
    pub(crate) read_only: bool,
}

const DOCTOR_HELP: &str = "\
It looks at functions, event source mappings, queues, notifications, roles and buckets, with the credentials and the \
region of whoever runs it, and changes no message and no table. Unless --read-only is given, it writes two empty objects below \
TABLE/_sluice/_first-wins, tries to write them again, and deletes them.

Problems come first, then warnings, then what could not be looked into; with -v also what is as it should be. Exit \
status: 1 when there is a problem, or when neither function can be looked into; 0 otherwise, warnings or not.";

impl IngestArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings_with(self.sql_file.as_ref())
    }

    /// Whether a setting is given by an option, rather than by the environment.
    pub(crate) fn gives(&self, variable: &str) -> bool {
        self.given.get(variable).is_some() || variable == "TRANSFORM_SQL" && self.sql_file.is_some()
    }

    /// Loads that run at once.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(default_workers, usize::from)
    }
}

impl PlanArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }

    /// Whether a setting is given by an option, rather than by the environment.
    pub(crate) fn gives(&self, variable: &str) -> bool {
        self.given.get(variable).is_some()
    }
}

impl SplitArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        without_routes(self.given.settings()?, "split")
    }
}

impl WorkArgs {
    /// Batches that are worked on at once. One splitter uses all cores there are.
    pub(crate) fn workers(&self) -> usize {
        let default = if self.splitter { 1 } else { default_workers() };
        self.workers.map_or(default, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans() {
        let seconds = |text| time_span(text).ok().map(|span| span.as_secs());
        assert_eq!(["90s", "15m", "1h", "2d", "0s"].map(seconds), [90, 900, 3600, 172_800, 0].map(Some));
        assert_eq!(["", "1", "h", "1.5h", "-1h", "1w", "99999999999999999999d"].map(seconds), [None; 7]);
    }
}
