//! Metrics: one list, from which the functions and `sluice work` print lines of `CloudWatch`'s embedded metric format. The documented
//! table, the dashboard and the alarms are held to it by a test.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::progress::ProgressSnapshot;
use crate::settings::Function;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Sluice";

/// The one dimension of all metrics: the function's name, or the name that `sluice work` is given. Each further one is charged.
pub const DIMENSION: &str = "FunctionName";

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; never changed, since alarms and dashboards of others use it.
    pub name: &'static str,
    /// Its unit, as `CloudWatch` calls it.
    pub unit: Unit,
    /// Whose metric it is.
    pub of: Function,
    /// When it is printed.
    pub printed: Printed,
    /// What it counts.
    pub about: &'static str,
    value: fn(&ProgressSnapshot) -> u64,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// A time.
    Milliseconds,
}

/// When a metric is printed. `CloudWatch` charges for each metric, in the hours in which it has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// With each call that did something, zero included.
    Always,
    /// Where it is not zero.
    AboveZero,
}

impl Unit {
    /// The unit as `CloudWatch` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

impl Metric {
    const fn of(of: Function, name: &'static str, value: fn(&ProgressSnapshot) -> u64, about: &'static str) -> Self {
        Self { name, unit: Unit::Count, of, printed: Printed::Always, about, value }
    }

    const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    const fn above_zero(self) -> Self {
        Self { printed: Printed::AboveZero, ..self }
    }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    Metric::of(Function::Splitter, "SplitAttempts", |done| done.split_attempts, "attempts to split a file"),
    Metric::of(Function::Splitter, "FilesSplit", |done| done.files_split, "files that were split to their end"),
    Metric::of(
        Function::Splitter,
        "FilesRejected",
        |done| done.files_rejected,
        "attempts that rejected a file as a whole; its message comes again until it is a dead letter",
    )
    .above_zero(),
    Metric::of(Function::Splitter, "BytesRead", |done| done.split_bytes, "size of the split files, as they are stored")
        .unit(Unit::Bytes),
    Metric::of(Function::Splitter, "RowsRead", |done| done.split_records, "records of the split files"),
    Metric::of(
        Function::Splitter,
        "RowsQuarantined",
        |done| done.split_rejected,
        "records of the split files that cannot be read, and are kept in quarantine",
    ),
    Metric::of(
        Function::Splitter,
        "LinesSkipped",
        |done| done.split_skipped_lines,
        "lines of the split files that are not part of a record: headers, comments, blank lines",
    )
    .above_zero(),
    Metric::of(Function::Splitter, "ChunksSplit", |done| done.split_chunks, "chunks of the split files"),
    Metric::of(Function::Worker, "ChunksCommitted", |done| done.chunks_committed, "chunks that came into a table"),
    Metric::of(Function::Worker, "RowsCommitted", |done| done.rows_committed, "rows of these chunks in the table"),
    Metric::of(
        Function::Worker,
        "RowsQuarantined",
        |done| done.rows_quarantined,
        "rows that the table does not accept, and that are kept in quarantine",
    ),
    Metric::of(
        Function::Worker,
        "RowsDropped",
        |done| done.rows_dropped,
        "rows that expectations drop; printed with expectations that rows are against",
    )
    .above_zero(),
    Metric::of(
        Function::Worker,
        "ExpectationViolations",
        |done| done.expectation_violations,
        "how often rows are against an expectation",
    )
    .above_zero(),
    Metric::of(Function::Worker, "CommitAttempts", |done| done.commit_attempts, "commits that were tried"),
    Metric::of(
        Function::Worker,
        "CommitConflicts",
        |done| done.commit_conflicts,
        "commits that another writer was faster than",
    ),
    Metric::of(Function::Worker, "CommitWait", |done| done.commit_wait_ms, "time between attempts to commit")
        .unit(Unit::Milliseconds),
    Metric::of(
        Function::Worker,
        "LoadLag",
        |done| done.load_lag_ms,
        "longest time from a drop to the commit of one of its chunks, for drops whose event says when",
    )
    .unit(Unit::Milliseconds)
    .above_zero(),
    Metric::of(
        Function::Worker,
        "OldestUnfinishedJob",
        |done| done.oldest_unfinished_ms,
        "age of the oldest job that is neither in its table as a whole, nor failed, nor undone; printed by housekeeping",
    )
    .unit(Unit::Milliseconds)
    .above_zero(),
];

/// What a function or process did, as a line of the embedded metric format, which becomes metrics when it is logged; none if it did
/// nothing. `name` is the value of [`DIMENSION`].
pub fn metrics(of: Function, name: &str, at: SystemTime, done: &ProgressSnapshot) -> Option<Value> {
    let all = METRICS.iter().filter(|metric| metric.of == of).map(|metric| (metric, (metric.value)(done)));
    let all: Vec<(&Metric, u64)> =
        all.filter(|(metric, value)| metric.printed == Printed::Always || *value > 0).collect();
    if all.iter().all(|(_, value)| *value == 0) {
        return None;
    }
    let definitions: Vec<Value> =
        all.iter().map(|(metric, _)| json!({ "Name": metric.name, "Unit": metric.unit.name() })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions });
    let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let timestamp = u64::try_from(timestamp).unwrap_or_default();
    let mut line: Map<String, Value> =
        all.iter().map(|(metric, value)| (metric.name.to_owned(), json!(value))).collect();
    line.insert("_aws".to_owned(), json!({ "Timestamp": timestamp, "CloudWatchMetrics": [directive] }));
    line.insert(DIMENSION.to_owned(), json!(name));
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_of_metrics() {
        let done =
            ProgressSnapshot { commit_attempts: 3, commit_conflicts: 2, commit_wait_ms: 150, ..Default::default() };
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let line = metrics(Function::Worker, "sluice-worker", at, &done).unwrap();
        insta::assert_snapshot!(line, @r#"{"ChunksCommitted":0,"CommitAttempts":3,"CommitConflicts":2,"CommitWait":150,"FunctionName":"sluice-worker","RowsCommitted":0,"RowsQuarantined":0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["FunctionName"]],"Metrics":[{"Name":"ChunksCommitted","Unit":"Count"},{"Name":"RowsCommitted","Unit":"Count"},{"Name":"RowsQuarantined","Unit":"Count"},{"Name":"CommitAttempts","Unit":"Count"},{"Name":"CommitConflicts","Unit":"Count"},{"Name":"CommitWait","Unit":"Milliseconds"}],"Namespace":"Sluice"}],"Timestamp":1700000000123}}"#);
    }

    #[test]
    fn what_is_zero_may_be_left_out() {
        let nothing = ProgressSnapshot::default();
        assert_eq!(metrics(Function::Splitter, "s", UNIX_EPOCH, &nothing), None);
        let done = ProgressSnapshot { files_split: 1, split_records: 7, split_rejected: 2, ..nothing };
        let line = metrics(Function::Splitter, "s", UNIX_EPOCH, &done).unwrap();
        assert_eq!(
            (&line["RowsRead"], &line["RowsQuarantined"], line.get("FilesRejected")),
            (&json!(7), &json!(2), None)
        );
        let line = metrics(Function::Worker, "w", UNIX_EPOCH, &ProgressSnapshot { load_lag_ms: 5, ..nothing }).unwrap();
        assert_eq!((&line["LoadLag"], line.get("ExpectationViolations")), (&json!(5), None));
    }

    #[test]
    fn names_are_unique_by_function() {
        let names: BTreeSet<(String, &str)> = METRICS.iter().map(|m| (format!("{:?}", m.of), m.name)).collect();
        assert_eq!(names.len(), METRICS.len());
    }
}
