//! `sluice`: the whole line on one machine, and the operator's tool.

mod account;
mod areas;
mod args;
mod chain;
mod command_line;
mod config;
mod contract;
mod dlq;
mod doctor;
mod done_before;
mod enqueue;
mod error;
mod expected;
mod failure;
mod gate;
mod hints;
mod history;
mod holding;
mod html;
mod ingest;
mod jobs;
mod known;
mod maintain;
mod numbers;
mod output;
mod pinned;
mod pipeline;
mod plan;
mod poll;
mod progress;
mod quarantine;
mod reading;
mod route;
mod routed;
mod settings;
mod shell;
mod sources;
mod split;
mod spool;
mod status;
mod stop;
mod tune;
mod undo;
mod usage;
mod work;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use futures::FutureExt;
use shared::{LogFormat, init_logs};
use tracing::Level;

use crate::args::{
    Args, Command, ContractArgs, ContractCommand, DlqArgs, DlqCommand, QuarantineArgs, QuarantineCommand, RouteArgs,
    RouteCommand,
};
use crate::command_line::command;
use crate::error::{CliError, Done};
use crate::output::Output;

/// Set up in `.cargo/config.toml`: few arenas, which return what they do not use.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let (args, matches) = match parse() {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    // What runs for long and prints nothing of its own is followed by its log.
    let is_service = matches!(args.command, Command::Work(_));
    let level = match args.verbose.saturating_add(u8::from(is_service)) {
        0 if args.quiet && !is_service => Level::ERROR,
        0 => Level::WARN,
        _ if args.quiet => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    let format = if is_service && args.json { LogFormat::Json } else { LogFormat::Text };
    init_logs(format, level);
    if args.quiet {
        progress::hide();
    }
    let output = Output { json: args.json };
    let done = AssertUnwindSafe(run(&args, &matches, output)).catch_unwind().await;
    let done = done.unwrap_or_else(|panic| Err(CliError::Panic(said(panic.as_ref()))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: &Args, matches: &ArgMatches, output: Output) -> Done {
    // The others use no settings, or print those that there are.
    let is_configured =
        !matches!(args.command, Command::Settings | Command::Completions(_) | Command::Man(_) | Command::TuneStage(_));
    if is_configured {
        config::load(args.config.as_deref()).map_err(CliError::Config)?;
    }
    account::ensure(&args.command, matches).await?;
    match &args.command {
        Command::Ingest(args) => Box::pin(ingest::run(args, output)).await,
        Command::Plan(asked) => Box::pin(plan::run(asked, args.verbose > 0, output)).await,
        Command::Contract(ContractArgs { command: ContractCommand::Check(args) }) => {
            contract::check(args, output).await
        }
        Command::Route(RouteArgs { command: RouteCommand::Check(args) }) => route::check(args, output).await,
        Command::Route(RouteArgs { command: RouteCommand::List(args) }) => route::list(args, output).await,
        Command::Route(RouteArgs { command: RouteCommand::Test(args) }) => route::test(args, output).await,
        Command::Chain(args) => Box::pin(chain::run(args, output)).await,
        Command::Tune(args) => tune::run(args, output).await,
        Command::TuneStage(stage) => tune::run_stage(stage).await,
        Command::Split(args) => split::run(args, output).await,
        Command::Jobs(args) => history::run(args, output).await,
        Command::Status(args) => status::run(args, output).await,
        Command::Maintain(args) => maintain::run(args, output).await,
        Command::Undo(args) => undo::run(args, output).await,
        Command::Work(args) => work::run(args, output).await,
        Command::Enqueue(args) => Box::pin(enqueue::run(args, output)).await,
        Command::Dlq(DlqArgs { command: DlqCommand::List(list) }) => dlq::list(list, args.verbose > 0, output).await,
        Command::Dlq(DlqArgs { command: DlqCommand::Replay(args) }) => dlq::replay(args, output).await,
        Command::Quarantine(QuarantineArgs { command: QuarantineCommand::Show(args) }) => {
            quarantine::show(args, output).await
        }
        Command::Quarantine(QuarantineArgs { command: QuarantineCommand::Replay(args) }) => {
            Box::pin(quarantine::replay(args, output)).await
        }
        Command::Doctor(asked) => doctor::run(asked, args.verbose > 0, output).await,
        Command::Settings => settings::run(output),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args, output),
    }
}

/// What the user typed; the exit status where that is not understood, or asks for help.
fn parse() -> Result<(Args, ArgMatches), ExitCode> {
    let mut command = command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|matches| Ok((Args::from_arg_matches(&matches)?, matches)));
    parsed.map_err(|error| {
        let error = error.format(&mut command);
        // Nobody is left to tell when the streams are gone.
        drop(error.print());
        // What comes after `--` is no option.
        let wants_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
        if error.use_stderr() && wants_json {
            Output::usage(&error.render().to_string());
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// What a panic says.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    said.unwrap_or("it does not say why").to_owned()
}
