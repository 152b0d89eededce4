//! What came of many sources.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use shared::Rows;

use super::report::{CommitReport, Report, TableReport};
use crate::error::{CliError, Done};
use crate::expected::filtered;
use crate::failure::{Failure, STOPPED, worse};
use crate::numbers::{counted, grouped, mebibytes};
use crate::output::Output;
use crate::usage::peak_rss_bytes;

/// Sources that are all listed by the text; of more, those that were loaded without a rejected record are only counted.
const LISTED: usize = 50;

/// Reasons that are listed.
const REASONS: usize = 20;

/// What became of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Loaded,
    AlreadyDone,
    /// Too many of its records were rejected, or all: exit status 4 of the source alone.
    Rejected,
    Failed,
    /// The command ended before.
    NotBegun,
}

/// The document of one source.
#[derive(Debug, Serialize)]
struct Document<'a> {
    state: State,
    #[serde(flatten)]
    report: Option<&'a Report>,
    #[serde(flatten)]
    failure: Option<Failure>,
}

/// A line of the table at the end.
#[derive(Debug)]
struct Line {
    state: State,
    source: String,
    rows: Rows,
    /// Whether an earlier command loaded these rows.
    already_done: bool,
    error: Option<String>,
}

/// The last document.
#[derive(Debug, Serialize)]
struct Last<'a> {
    summary: &'a Summary,
}

#[derive(Debug, Serialize)]
struct Summary {
    sources: u64,
    loaded: u64,
    already_done: u64,
    rejected: u64,
    failed: u64,
    not_begun: u64,
    /// Of the sources that this command loaded.
    rows: Rows,
    /// Why records of these were rejected, the most frequent reason first.
    rejected_by_reason: Vec<Rejects>,
    tables: Vec<TableReport>,
    commits: CommitReport,
    seconds: f64,
    peak_rss_bytes: Option<u64>,
    exit_status: u8,
}

#[derive(Clone, Debug, Serialize)]
struct Rejects {
    reason: String,
    records: u64,
    sources: u64,
}

/// Takes note of what became of each source, and says so.
#[derive(Debug)]
pub(super) struct Ends {
    output: Output,
    lines: Vec<Line>,
    reasons: BTreeMap<String, (u64, u64)>,
    tables: BTreeMap<String, Option<u64>>,
    commits: CommitReport,
    worst: u8,
}

impl Ends {
    pub(super) fn new(output: Output) -> Self {
        let (lines, reasons, tables) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { output, lines, reasons, tables, commits: CommitReport::default(), worst: 0 }
    }

    /// Whether a source failed, or was rejected.
    pub(super) fn has_failed(&self) -> bool {
        self.worst != 0
    }

    /// A source that is in the table, and the error for the records of it that were rejected.
    pub(super) fn loaded(&mut self, report: &Report, judged: Done) -> Done {
        let state = match (&judged, report.already_done) {
            (Err(_), _) => State::Rejected,
            (Ok(()), true) => State::AlreadyDone,
            (Ok(()), false) => State::Loaded,
        };
        let failure = judged.err().map(|error| self.failure(None, &report.source, &error));
        let version = self.tables.entry(report.table.uri.clone()).or_default();
        *version = (*version).max(report.table.version);
        let error = failure.as_ref().map(|failure| failure.error.clone());
        let (source, rows, already_done) = (report.source.clone(), report.rows, report.already_done);
        self.lines.push(Line { state, source, rows, already_done, error });
        self.document(&Document { state, report: Some(report), failure })
    }

    /// A source that is not in the table, or not all of it.
    pub(super) fn failed(&mut self, source: &str, error: &CliError) -> Done {
        let state = if error.exit_code() == 4 { State::Rejected } else { State::Failed };
        let failure = self.failure(Some(source), source, error);
        let (source, error) = (source.to_owned(), Some(failure.error.clone()));
        self.lines.push(Line { state, source, rows: Rows::default(), already_done: false, error });
        self.document(&Document { state, report: None, failure: Some(failure) })
    }

    /// A source that the command did not come to.
    pub(super) fn not_begun(&mut self, source: &str) {
        let (source, rows, error) = (source.to_owned(), Rows::default(), None);
        self.lines.push(Line { state: State::NotBegun, source, rows, already_done: false, error });
    }

    /// Why records of a source were rejected.
    pub(super) fn rejected(&mut self, reasons: Vec<(String, u64)>) {
        for (reason, records) in reasons {
            let known = self.reasons.entry(reason).or_default();
            *known = (known.0 + records, known.1 + 1);
        }
    }

    /// Commits of one of the pipelines.
    pub(super) fn committed(&mut self, commits: CommitReport) {
        let CommitReport { attempts, conflicts, wait_ms } = commits;
        let all = &mut self.commits;
        *all = CommitReport {
            attempts: all.attempts + attempts,
            conflicts: all.conflicts + conflicts,
            wait_ms: all.wait_ms + wait_ms,
        };
    }

    fn failure(&mut self, told: Option<&str>, source: &str, error: &CliError) -> Failure {
        self.worst = worse(self.worst, error.exit_code());
        Output::failure(source, error);
        Failure::new(told, error)
    }

    fn document(&self, document: &Document<'_>) -> Done {
        if self.output.json { Output::json_line(document) } else { Ok(()) }
    }

    /// Says what became of all, with the status of the worst; `is_stopped` if that was asked for.
    pub(super) fn say(mut self, elapsed: Duration, is_stopped: bool) -> Done {
        self.lines.sort_by(|one, other| one.source.cmp(&other.source));
        let not_begun = self.count(State::NotBegun);
        if is_stopped && not_begun > 0 {
            self.worst = worse(self.worst, STOPPED);
        }
        let summary = self.summary(elapsed);
        self.output.result(&Last { summary: &summary }, &self.text(&summary))?;
        if summary.exit_status == 0 {
            return Ok(());
        }
        let parts = [(summary.failed + summary.rejected, "failed"), (not_begun, "not begun")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        let said = format!("of {}, {}", counted(summary.sources, "source"), parts.join(" and "));
        Err(CliError::SomeFailed { said, status: summary.exit_status })
    }

    fn count(&self, state: State) -> u64 {
        u64::try_from(self.lines.iter().filter(|line| line.state == state).count()).unwrap_or(u64::MAX)
    }

    fn summary(&self, elapsed: Duration) -> Summary {
        let mut rows = Rows::default();
        for line in self.lines.iter().filter(|line| !line.already_done) {
            rows += line.rows;
        }
        let reasons = self.reasons.iter();
        let mut rejected_by_reason: Vec<Rejects> = reasons
            .map(|(reason, (records, sources))| Rejects {
                reason: reason.clone(),
                records: *records,
                sources: *sources,
            })
            .collect();
        rejected_by_reason.sort_by_key(|rejects| std::cmp::Reverse(rejects.records));
        let tables = self.tables.iter().map(|(uri, version)| TableReport { uri: uri.clone(), version: *version });
        Summary {
            sources: u64::try_from(self.lines.len()).unwrap_or(u64::MAX),
            loaded: self.count(State::Loaded),
            already_done: self.count(State::AlreadyDone),
            rejected: self.count(State::Rejected),
            failed: self.count(State::Failed),
            not_begun: self.count(State::NotBegun),
            rows,
            rejected_by_reason,
            tables: tables.collect(),
            commits: self.commits,
            seconds: elapsed.as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
            exit_status: self.worst,
        }
    }

    fn text(&self, summary: &Summary) -> String {
        let mut lines = vec![head(summary)];
        let is_listed = |line: &&Line| {
            let is_quiet = matches!(line.state, State::Loaded | State::AlreadyDone) && line.rows.quarantined == 0;
            self.lines.len() <= LISTED || !is_quiet
        };
        let listed: Vec<&Line> = self.lines.iter().filter(is_listed).collect();
        if !listed.is_empty() {
            lines.push(format!("  {:<13}{:>12}{:>10}  source", "state", "rows", "rejected"));
        }
        for line in listed {
            let rows = |rows: u64| if is_known(line) { grouped(rows) } else { "-".to_owned() };
            let (committed, quarantined) = (rows(line.rows.committed), rows(line.rows.quarantined));
            lines.push(format!("  {:<13}{committed:>12}{quarantined:>10}  {}", word(line.state), line.source));
            lines.extend(line.error.iter().map(|error| format!("{:39}{error}", "")));
        }
        for TableReport { uri, version } in &summary.tables {
            let version = version.map_or_else(String::new, |version| format!(" (version {version})"));
            lines.push(format!("  table        {uri}{version}"));
        }
        let Rows { read, committed, quarantined, .. } = summary.rows;
        lines.push(format!("  read         {}", grouped(read)));
        lines.push(format!("  committed    {}", grouped(committed)));
        lines.push(format!("  filtered     {}", filtered(&summary.rows)));
        lines.push(format!("  quarantined  {}", grouped(quarantined)));
        for Rejects { reason, records, sources } in summary.rejected_by_reason.iter().take(REASONS) {
            lines.push(format!("  {:>11}  {reason} (in {})", grouped(*records), counted(*sources, "source")));
        }
        let memory =
            summary.peak_rss_bytes.map_or_else(String::new, |bytes| format!(", {} peak memory", mebibytes(bytes)));
        let CommitReport { attempts, conflicts, .. } = summary.commits;
        let (attempts, conflicts) = (counted(attempts, "commit attempt"), counted(conflicts, "conflict"));
        lines.push(format!("  {attempts} with {conflicts}, {:.1} s{memory}", summary.seconds));
        lines.join("\n")
    }
}

/// Whether the rows of a source are known.
fn is_known(line: &Line) -> bool {
    matches!(line.state, State::Loaded | State::AlreadyDone) || line.rows.read > 0
}

fn word(state: State) -> &'static str {
    match state {
        State::Loaded => "loaded",
        State::AlreadyDone => "already done",
        State::Rejected => "rejected",
        State::Failed => "failed",
        State::NotBegun => "not begun",
    }
}

fn head(summary: &Summary) -> String {
    let parts = [
        (summary.loaded, State::Loaded),
        (summary.already_done, State::AlreadyDone),
        (summary.rejected, State::Rejected),
        (summary.failed, State::Failed),
        (summary.not_begun, State::NotBegun),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, state)| format!("{} {}", grouped(count), word(state))).collect();
    format!("{}: {}", counted(summary.sources, "source"), parts.join(", "))
}
