//! What the user typed to have a table changed.

use shared::Settings;

use super::settings;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = UNDO_HELP)]
pub(crate) struct UndoArgs {
    /// Name of a job, or the file that it loaded
    pub(crate) job_or_source: String,
    /// The Delta table [env: TABLE_URI]
    #[arg(long, value_name = "TABLE_URI")]
    pub(crate) table: Option<String>,
    /// Where chunks and receipts are kept [default: _sluice below the table]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<String>,
    /// Say what would be removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const UNDO_HELP: &str = "\
One commit removes the files that the job's chunks added, and nothing else; earlier versions of the table keep them until \
vacuum. Files that were rewritten or removed since, by compaction, DELETE or UPDATE, cannot be told apart any more: then \
nothing is changed, and the error names the version that did it (exit status 1). Exit status 3: the table knows no such job.

A job that is undone stays so: chunks that are delivered later are left out, and the file is loaded anew only by sluice \
ingest --again. A file that was loaded more than once has a job for each load, which has to be named.";

impl UndoArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        settings([("TABLE_URI", self.table.as_deref())])
    }
}
