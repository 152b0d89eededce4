//! Logs, and errors as text.

use std::error::Error;
use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written; always to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Turns logs on: Sluice's own at `level`, and nothing of the libraries', whose errors are told by whoever called them;
/// or whatever `RUST_LOG` says. In a Lambda each line has the call's `requestId`, by a span of the runtime. To be called
/// once, by a binary.
pub fn init_logs(format: LogFormat, level: Level) {
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let asked = std::env::var("RUST_LOG").ok().and_then(|targets| targets.parse().ok());
    let targets = tracing_subscriber::registry().with(asked.unwrap_or_else(|| own(level)));
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match format {
        LogFormat::Text => targets.with(logs.with_target(false).with_ansi(is_colored)).init(),
        // The list of spans ends with the current one, which would be written twice.
        LogFormat::Json => targets.with(logs.json().flatten_event(true).with_current_span(false)).init(),
    }
    hush_panics();
}

/// A panic is told of by whoever waits for the work, who knows of what; so what Rust prints of it is for those who look for details.
fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::debug!(%panic, "work panicked")));
}

fn own(level: Level) -> Targets {
    let ours = ["sluice", "splitter", "worker", "shared"].map(|name| (name, level));
    // A table's store that does not answer is asked again for minutes, and nobody else could tell.
    let others = [("lambda_runtime", Level::INFO), ("object_store::client::retry", Level::INFO)];
    Targets::new().with_targets(others).with_targets(ours)
}

/// An error and its causes on one line, each said once, without the backtraces that some libraries put into their texts.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = message(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = message(error);
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

fn message(error: &dyn Error) -> String {
    let text = error.to_string();
    if !text.lines().any(is_frame) {
        return text;
    }
    text.lines()
        .filter(|line| !is_frame(line))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a line is one of a backtrace: `12: function`, or `at file:line:column`.
fn is_frame(line: &str) -> bool {
    let line = line.trim_start();
    let is_numbered = line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    let is_place = line.strip_prefix("at ").is_some_and(|at| at.rsplit(':').take(2).all(|n| n.parse::<u32>().is_ok()));
    is_numbered || is_place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backtraces_are_no_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("too deep\n   0: a::b\n  41: c::d\n             at /lib/box.rs:2240:9\n")]
        struct Inner;
        #[derive(Debug, thiserror::Error)]
        #[error("Kernel error: {0}")]
        struct Outer(#[source] Inner);
        assert_eq!(error_chain(&Outer(Inner)), "Kernel error: too deep");
    }
}
