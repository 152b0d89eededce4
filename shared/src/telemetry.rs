//! Logs, and how an error is told.

use std::error::Error;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

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
pub fn init_logs(format: LogFormat, level: &str) {
    let ours = ["sluice", "splitter", "worker", "shared"].map(|name| format!("{name}={level}")).join(",");
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("off,lambda_runtime=info,{ours}")));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match format {
        LogFormat::Text => logs.with_target(false).with_ansi(is_colored).init(),
        // The list of spans ends with the current one, which would be written twice.
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(false).init(),
    }
}

/// An error and its causes on one line, each said once.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
