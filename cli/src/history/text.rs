//! The history of loads, for people.

use std::collections::BTreeMap;

use shared::Location;

use super::entry::{Entry, State};
use crate::numbers::{counted, grouped, size, span};

/// Columns, and whether each is one of numbers, which stand on the right.
const COLUMNS: [(&str, bool); 9] = [
    ("begun", false),
    ("state", false),
    ("rows", true),
    ("rejected", true),
    ("size", true),
    ("took", true),
    ("version", true),
    ("job", false),
    ("source", false),
];

/// The list as a table, the reasons of failures, and how many there are in each state.
pub(super) fn text(jobs: &[Entry], work_areas: &Location) -> String {
    if jobs.is_empty() {
        return format!("no such job in {work_areas}");
    }
    let mut rows = vec![COLUMNS.map(|(name, _)| name.to_owned())];
    rows.extend(jobs.iter().map(row));
    let widths: Vec<usize> =
        (0..COLUMNS.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default()).collect();
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(COLUMNS).zip(&widths).map(|((cell, (_, is_number)), width)| {
            if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
        let entry = index.checked_sub(1).and_then(|index| jobs.get(index));
        if let Some(reason) = entry.and_then(|entry| entry.reason.as_ref()) {
            lines.push(format!("  because of: {reason}"));
        }
        if let Some(by) = entry.and_then(|entry| entry.replaced_by.as_ref()) {
            lines.push(format!("  by {by}"));
        }
    }
    lines.push(summary(jobs));
    lines.join("\n")
}

fn row(entry: &Entry) -> [String; COLUMNS.len()] {
    let none = || "-".to_owned();
    let is_known = entry.state == State::Done || entry.rows.read > 0;
    let rows = match entry.state {
        // What was there before.
        State::Done | State::Undone | State::Replaced => entry.rows.committed,
        _ => entry.rows.read,
    };
    [
        entry.started.to_second(),
        entry.state.word().to_owned(),
        if is_known { grouped(rows) } else { none() },
        if is_known { grouped(entry.rows.quarantined) } else { none() },
        size(entry.bytes),
        entry.duration_ms.map_or_else(none, span),
        entry.table_version.map_or_else(none, |version| version.to_string()),
        entry.job_id.to_string(),
        entry.source.to_string(),
    ]
}

fn summary(jobs: &[Entry]) -> String {
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for entry in jobs {
        *states.entry(entry.state).or_default() += 1;
    }
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
    format!("{}: {}", counted(u64::try_from(jobs.len()).unwrap_or(u64::MAX), "job"), states.join(", "))
}
