//! `sluice chain`.

use std::time::Duration;

use shared::Settings;

use super::given::{Chain, Given};
use super::values::time_span;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ChainArgs {
    /// Do it again this long after it was done, as 30s or 5m, until stopped
    #[arg(long, value_name = "TIME", value_parser = time_span, conflicts_with = "dry_run")]
    pub(crate) every: Option<Duration>,
    /// Show what there is to do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on where versions of a source table, or files of them, are gone, or another table took its place; what is gone is not loaded
    #[arg(long)]
    pub(crate) accept_loss: bool,
    #[command(flatten)]
    given: Given<Chain>,
}

const HELP: &str = "\
A route with from_table reads a Delta table: what each version of it adds goes through the SQL of the route to the route's table, one \
commit a version, in order, each version once. Versions that only rearrange files add nothing. Routes run one after the other, each \
after those that write the table that it reads. A route that fails does not stop the others.

Run it as often as you like, also twice at once, and again after it was cut off. The exit status is that of the worst route: 3 where \
the source table stands in the way, as a version that takes rows out, or one that is gone from the log before it was read.";

impl ChainArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}
