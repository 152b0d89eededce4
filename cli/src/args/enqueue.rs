//! `sluice enqueue`.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use shared::Settings;

use super::given::{Enqueue, Given};
use super::values::queue_url;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = ENQUEUE_HELP)]
pub(crate) struct EnqueueArgs {
    /// Objects, prefixes that end in /, or patterns: s3://bucket/key, s3://bucket/2026/, 's3://bucket/2026/*.csv'
    #[arg(value_name = "S3_URI", required = true)]
    pub(crate) sources: Vec<String>,
    /// The SQS queue from which the splitter takes notifications
    #[arg(long, value_name = "URL", value_parser = queue_url)]
    pub(crate) queue_url: String,
    /// Where work areas are [default: CHUNK_PREFIX in CHUNK_BUCKET, or else _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Count and list what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    given: Given<Enqueue>,
}

const ENQUEUE_HELP: &str = "\
For objects that were there before the deployment, or whose notifications were lost. Each object gets the message that S3 would have \
sent. An object that is in its table is skipped, by the table's log and the work areas: set CHUNK_BUCKET and CHUNK_PREFIX, or --work-dir, \
to those of the deployment. A message that comes twice loads nothing twice, so the command can be cut off and run again. Of prefixes and \
patterns the same names are left out as by sluice ingest. Exit status 3: nothing was found, or no route takes an object.";

impl EnqueueArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }

    /// Whether a setting is given by an option, rather than by the environment.
    pub(crate) fn gives(&self, variable: &str) -> bool {
        self.given.get(variable).is_some()
    }
}
