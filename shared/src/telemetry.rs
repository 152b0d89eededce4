//! Logs, and errors as text.

use std::error::Error;
use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::progress::ProgressSnapshot;

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

/// What one call of a worker did, as a line of the embedded metric format of `CloudWatch`, which becomes metrics of namespace
/// `Sluice` when it is logged. The function is their one dimension: each further one is charged, and a call may commit to
/// several tables.
pub fn metrics(function: &str, at: SystemTime, done: &ProgressSnapshot) -> Value {
    let mut values = vec![
        ("CommitAttempts", "Count", done.commit_attempts),
        ("CommitConflicts", "Count", done.commit_conflicts),
        ("CommitWait", "Milliseconds", done.commit_wait_ms),
        ("ChunksCommitted", "Count", done.chunks_committed),
        ("RowsCommitted", "Count", done.rows_committed),
        ("RowsQuarantined", "Count", done.rows_quarantined),
    ];
    if done.expectation_violations > 0 {
        // Only where there is something to count: each is charged.
        values.push(("RowsDropped", "Count", done.rows_dropped));
        values.push(("ExpectationViolations", "Count", done.expectation_violations));
    }
    let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let definitions: Vec<Value> = values.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let directive = json!({ "Namespace": "Sluice", "Dimensions": [["FunctionName"]], "Metrics": definitions });
    let mut line = json!({
        "_aws": { "Timestamp": u64::try_from(timestamp).unwrap_or_default(), "CloudWatchMetrics": [directive] },
        "FunctionName": function,
    });
    if let Some(line) = line.as_object_mut() {
        line.extend(values.into_iter().map(|(name, _, value)| (name.to_owned(), json!(value))));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn a_line_of_metrics() {
        let done =
            ProgressSnapshot { commit_attempts: 3, commit_conflicts: 2, commit_wait_ms: 150, ..Default::default() };
        let line = metrics("sluice-worker", UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), &done);
        insta::assert_snapshot!(line, @r#"{"ChunksCommitted":0,"CommitAttempts":3,"CommitConflicts":2,"CommitWait":150,"FunctionName":"sluice-worker","RowsCommitted":0,"RowsQuarantined":0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["FunctionName"]],"Metrics":[{"Name":"CommitAttempts","Unit":"Count"},{"Name":"CommitConflicts","Unit":"Count"},{"Name":"CommitWait","Unit":"Milliseconds"},{"Name":"ChunksCommitted","Unit":"Count"},{"Name":"RowsCommitted","Unit":"Count"},{"Name":"RowsQuarantined","Unit":"Count"}],"Namespace":"Sluice"}],"Timestamp":1700000000123}}"#);
        let done = ProgressSnapshot { expectation_violations: 7, rows_dropped: 5, ..Default::default() };
        let line = metrics("sluice-worker", UNIX_EPOCH, &done);
        assert_eq!((&line["ExpectationViolations"], &line["RowsDropped"]), (&json!(7), &json!(5)));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][7]["Name"], "ExpectationViolations");
    }
}
