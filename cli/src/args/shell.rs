//! What the user typed about the shell that they type in.

use std::path::PathBuf;

use clap_complete::Shell;

#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

const COMPLETIONS_HELP: &str = "\
For zsh, write it to a file _sluice in a folder of $fpath; for PowerShell, to a file that $PROFILE reads.";

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Where a page for each command is written to; without it, the first page goes to stdout
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}
