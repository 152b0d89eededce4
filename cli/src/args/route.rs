//! `sluice route`.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use clap::Subcommand;
use shared::Settings;

use super::given::{Given, RouteCheck, RouteList};
use crate::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct RouteArgs {
    #[command(subcommand)]
    pub(crate) command: RouteCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Show which route takes an object, and why the others do not; the object is not read
    Check(RouteCheckArgs),
    /// List the routes, the most specific first
    List(RouteListArgs),
    /// Try the examples that a routes file has
    Test(RouteTestArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct RouteCheckArgs {
    /// The object: s3://bucket/key, or a path; it need not exist
    pub(crate) key: String,
    #[command(flatten)]
    given: Given<RouteCheck>,
}

const CHECK_HELP: &str = "\
The exit status is that of `sluice ingest`: 0 if a route takes the object, 2 if the routes cannot be used, 3 if no route takes it.";

#[derive(Debug, clap::Args)]
pub(crate) struct RouteListArgs {
    #[command(flatten)]
    given: Given<RouteList>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = TEST_HELP)]
pub(crate) struct RouteTestArgs {
    /// The routes: a path, s3://bucket/key, or dynamodb://TABLE [env: ROUTES_URI]
    pub(crate) file: Option<String>,
}

const TEST_HELP: &str = "\
The exit status is 0 if all examples come out as they should, 1 if one does not, 2 if the routes cannot be used.";

impl RouteCheckArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}

impl RouteListArgs {
    /// Settings from the options, and from the environment where an option is not given.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.given.settings()
    }
}
