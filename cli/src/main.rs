//! `sluice`: the whole line on one machine, and the operator's tool.

mod args;
mod error;
mod ingest;
mod output;
mod poll;
mod progress;
mod split;
mod status;
mod stop;

use std::process::ExitCode;

use clap::Parser;
use shared::{LogFormat, init_logs};

use crate::args::{Args, Command};
use crate::error::CliError;
use crate::output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let level = match args.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    init_logs(LogFormat::Text, level);
    let output = Output { json: args.json };
    let done = match &args.command {
        Command::Ingest(args) => ingest::run(args, output).await,
        Command::Split(args) => split::run(args, output).await,
        Command::Status(args) => status::run(args, output).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The outcome of a command.
type Done = Result<(), CliError>;
