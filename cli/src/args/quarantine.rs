//! What the user typed about rejected records.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use clap::Subcommand;
use shared::Settings;

use super::settings;
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
}

#[derive(Debug, clap::Args)]
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

impl QuarantineShowArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        settings([("TABLE_URI", self.table.as_deref())])
    }
}
