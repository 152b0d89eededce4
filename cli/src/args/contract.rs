//! `sluice contract`.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use clap::Subcommand;
use shared::Settings;

use super::given::{ContractCheck, Given};
use crate::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct ContractArgs {
    #[command(subcommand)]
    pub(crate) command: ContractCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Say what would become of a file under a contract; write nothing
    Check(ContractCheckArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct ContractCheckArgs {
    /// The file: a path, or s3://bucket/key
    pub(crate) source: String,
    #[command(flatten)]
    given: Given<ContractCheck>,
}

const CHECK_HELP: &str = "\
It shows how the file is read, which columns are matched, new or missing, which values of its first records do not fit, and the \
outcome. The exit status is that of `sluice ingest`: 0 if the file would be loaded, 3 if the contract refuses it, 4 if all of its \
first records would be rejected. A contract that cannot be used itself is status 2.";

impl ContractCheckArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        super::values::without_routes(self.given.settings()?, "contract check")
    }
}
