//! What came of a source that went down the pipeline.

use std::time::Duration;

use serde::Serialize;
use shared::{BadRecordLimit, ExpectationResults, PinnedRoute, ProgressSnapshot, Reading, Receipt, Rows, Warning};
use splitter::SplitOutcome;
use worker::Holding;

use crate::error::{CliError, Done};
use crate::expected::{expected, filtered};
use crate::holding::held;
use crate::numbers::{counted, grouped, mebibytes};
use crate::pipeline::Pipeline;
use crate::reading;
use crate::usage::peak_rss_bytes;

/// What came of a job that went down the pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) job_id: String,
    pub(super) source: String,
    /// Whether an earlier run did it all.
    pub(super) already_done: bool,
    pub(crate) rows: Rows,
    chunks: Vec<ChunkReport>,
    pub(super) table: TableReport,
    /// None where commits are shared with other sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<CommitReport>,
    /// Where rejected records are, if there are any.
    pub(super) quarantine: Option<String>,
    /// What the table has of a job that was done before, where others have rewritten some of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    holding: Option<Holding>,
    /// The route that the job came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<PinnedRoute>,
    /// What came of the rows by what their contract expects, if it expects something.
    #[serde(skip_serializing_if = "Option::is_none")]
    expectations: Option<ExpectationResults>,
    /// How the source was read; none of a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    reading: Option<Reading>,
    /// What was guessed of it, and a person should confirm.
    warnings: Vec<Warning>,
    seconds: f64,
    /// Most resident memory of the process; none where the system does not tell.
    peak_rss_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ChunkReport {
    index: u32,
    rows: u64,
    bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TableReport {
    pub(super) uri: String,
    /// None when there was nothing to load and so no table was made.
    pub(super) version: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct CommitReport {
    pub(super) attempts: u64,
    pub(super) conflicts: u64,
    /// Time that was waited between attempts, in milliseconds.
    pub(super) wait_ms: u64,
}

impl CommitReport {
    /// Commits that a process has tried so far.
    pub(super) fn of(progress: ProgressSnapshot) -> Self {
        let ProgressSnapshot { commit_attempts, commit_conflicts, commit_wait_ms, .. } = progress;
        Self { attempts: commit_attempts, conflicts: commit_conflicts, wait_ms: commit_wait_ms }
    }
}

impl Report {
    pub(crate) fn of(
        pipeline: &Pipeline,
        outcome: &SplitOutcome,
        receipt: &Receipt,
        holding: Option<Holding>,
        elapsed: Duration,
    ) -> Self {
        let chunk =
            |chunk: &shared::ChunkEntry| ChunkReport { index: chunk.index, rows: chunk.rows, bytes: chunk.bytes };
        let mut reading = Reading::of(&outcome.job, outcome.manifest.lines.clone());
        let warnings = reading.as_mut().map(|reading| std::mem::take(&mut reading.warnings)).unwrap_or_default();
        let quarantine = (receipt.rows.quarantined > 0).then(|| outcome.area.quarantine().to_string());
        Self {
            job_id: outcome.job.job_id.to_string(),
            source: outcome.job.source.uri.to_string(),
            already_done: outcome.was_loaded_before(),
            rows: receipt.rows,
            chunks: outcome.manifest.chunks.iter().map(chunk).collect(),
            table: TableReport { uri: pipeline.table.to_string(), version: receipt.table_version },
            commits: Some(CommitReport::of(pipeline.split.progress.snapshot())),
            quarantine,
            holding: holding.filter(|holding| !holding.is_all(receipt.rows.committed)),
            route: outcome.job.route.clone(),
            expectations: receipt.expectations.clone(),
            reading,
            warnings,
            seconds: elapsed.as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
        }
    }

    /// The same without what is not of this source alone.
    pub(super) fn among_others(self) -> Self {
        Self { commits: None, ..self }
    }

    pub(crate) fn text(&self) -> String {
        let Self { rows, chunks, commits, .. } = self;
        let version = self.table.version.map_or_else(String::new, |version| format!(" (version {version})"));
        let head = match (self.already_done, rows.read) {
            (true, _) => format!("{}: already done, nothing was added", self.job_id),
            (false, 0) => format!("{}: the source has no records, nothing was added", self.job_id),
            (false, _) => format!("{}: done", self.job_id),
        };
        let bytes = chunks.iter().map(|chunk| chunk.bytes).sum();
        let mut lines = vec![head, format!("  source       {}", self.source)];
        lines.extend(self.reading.iter().flat_map(reading::of_source));
        lines.extend(self.route.iter().map(|route| format!("  route        {route}")));
        lines.push(format!("  table        {}{version}", self.table.uri));
        // The run that changed the table says what became of it.
        let made = self.reading.iter().filter(|_| !self.already_done && rows.read > 0);
        lines.extend(made.flat_map(reading::of_table));
        lines.push(format!("  read         {}", grouped(rows.read)));
        lines.push(format!("  committed    {}", grouped(rows.committed)));
        lines.push(format!("  filtered     {}", filtered(rows)));
        if rows.added > 0 {
            lines.push(format!("  added        {} (by SQL)", grouped(rows.added)));
        }
        lines.push(format!("  quarantined  {}", grouped(rows.quarantined)));
        lines.extend(self.expectations.iter().flat_map(expected));
        let count = u64::try_from(chunks.len()).unwrap_or_default();
        lines.push(format!("  chunks       {} ({})", grouped(count), mebibytes(bytes)));
        if let Some(holding) = &self.holding {
            lines.push(format!("  since then   {}", held(holding, rows.committed)));
        }
        if rows.shortened > 0 {
            let count = counted(rows.shortened, "value");
            lines.push(format!("  {count} lost digits that the table's types have no place for"));
        }
        if let Some(quarantine) = &self.quarantine {
            lines.push(format!("  rejected records are in {quarantine}"));
        }
        let memory =
            self.peak_rss_bytes.map_or_else(String::new, |bytes| format!(", {} peak memory", mebibytes(bytes)));
        let CommitReport { attempts, conflicts, .. } = commits.unwrap_or_default();
        let (attempts, conflicts) = (counted(attempts, "commit attempt"), counted(conflicts, "conflict"));
        lines.push(format!("  {attempts} with {conflicts}, {:.1} s{memory}", self.seconds));
        lines.join("\n")
    }

    /// The error of a job with more rejected records than the limit allows.
    pub(crate) fn judge(&self, limit: Option<BadRecordLimit>) -> Done {
        let Rows { quarantined, read, .. } = self.rows;
        match limit {
            Some(limit) if limit.is_exceeded(quarantined, read) => Err(CliError::TooManyBad { quarantined, read }),
            _ => Ok(()),
        }
    }
}
