//! `sluice ingest`: a source goes down the pipeline.

use std::time::{Duration, Instant};

use serde::Serialize;
use shared::{
    BadRecordLimit, ExpectationResults, Job, PinnedRoute, Reading, Receipt, Rows, Seal, Settings, Warning, get_json,
};
use splitter::{SplitError, SplitOutcome};
use worker::Holding;

use crate::args::{self, IngestArgs, work_prefix};
use crate::contract::settled;
use crate::error::{CliError, Done};
use crate::expected::{expected, filtered};
use crate::holding::held;
use crate::known::{self, Pinned};
use crate::numbers::{counted, grouped, mebibytes};
use crate::output::Output;
use crate::pinned::{Contradiction, contradiction, giver, other_expectations};
use crate::pipeline::{Load, Pipeline};
use crate::reading;
use crate::routed::routed;
use crate::spool::{Spooled, spool};
use crate::stop;
use crate::undo::refuse_replayed;
use crate::usage::peak_rss_bytes;

/// What came of a job that went down the pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) job_id: String,
    source: String,
    /// Whether an earlier run did it all.
    already_done: bool,
    pub(crate) rows: Rows,
    chunks: Vec<ChunkReport>,
    table: TableReport,
    commits: CommitReport,
    /// Where rejected records are, if there are any.
    quarantine: Option<String>,
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

#[derive(Debug, Serialize)]
struct TableReport {
    uri: String,
    /// None when there was nothing to load and so no table was made.
    version: Option<u64>,
}

#[derive(Debug, Serialize)]
struct CommitReport {
    attempts: u64,
    conflicts: u64,
    /// Time that was waited between attempts, in milliseconds.
    wait_ms: u64,
}

/// Runs the command.
pub(crate) async fn run(args: &IngestArgs, output: Output) -> Done {
    // One job for each table that the source goes to.
    for settings in routed(args.settings()?, &args.source, |variable| args.gives(variable)).await? {
        Box::pin(ingest(args, settings, output)).await?;
    }
    Ok(())
}

async fn ingest(args: &IngestArgs, settings: Settings, output: Output) -> Done {
    let started = Instant::now();
    let settings = settled(settings).await?;
    let table = settings.table.clone().ok_or(CliError::NoTable)?;
    let work_prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let stop = stop::on_signal();
    let spooled = spool(&args.source, &settings, &work_prefix, &stop).await?;
    let pipeline = Pipeline::set_up(settings, table.clone(), work_prefix, args.workers(), stop);
    let done = Box::pin(run_through(args, pipeline, spooled.as_ref(), started, output)).await;
    if let Some(spooled) = spooled {
        spooled.leave(&done, &table);
    }
    done
}

/// Takes the source that is given, or what came through a pipe, down the pipeline.
async fn run_through(
    args: &IngestArgs,
    mut pipeline: Pipeline,
    spooled: Option<&Spooled>,
    started: Instant,
    output: Output,
) -> Done {
    let limit = pipeline.split.settings.read.max_bad_records;
    let source = spooled.map_or_else(|| args::location(&args.source), |spooled| Ok(spooled.at.clone()))?;
    let named = spooled.map_or_else(|| args.source.clone(), |spooled| spooled.at.to_string());
    let (known, pinned) =
        known::look(&pipeline.split, &mut pipeline.load, &pipeline.table, &source, args.again).await?;
    pipeline.split.known = known;
    if let Some(pinned) = &pinned {
        heed(args, &mut pipeline, pinned).await?;
    }
    pipeline.split.known.dropped_as = if spooled.is_none() { args::link(&args.source) } else { None };
    pipeline.set_gate();
    let show = show_command(args, &named, &pipeline);
    let ran = pipeline.run(&Load::Source(source)).await;
    let (outcome, receipt) = ran.map_err(|error| match error {
        CliError::Split(SplitError::AllRejected(all)) => {
            CliError::AllRejected { said: all.to_string(), show: show.clone(), is_printed: false }
        }
        error => error,
    })?;
    // A file that was touched, or moved, may turn out to be the job of another one.
    if outcome.was_loaded_before()
        && let Some(found) = contradicts(args, &pipeline.split.settings, &outcome.job)
    {
        return Err(CliError::Contradicts { job_id: outcome.job.job_id, found: Box::new(found) });
    }
    if outcome.job.load.sql != pipeline.split.settings.load.sql {
        tracing::warn!(
            job = %outcome.job.job_id,
            "it keeps the SQL that it was first seen with; for other SQL, undo it and ingest with --again"
        );
    }
    if other_expectations(&pipeline.split.settings, &outcome.job).is_some() {
        tracing::warn!(
            job = %outcome.job.job_id,
            "it keeps the expectations that it was first seen with; for other ones, undo it and ingest with --again"
        );
    }
    let holding = pipeline.holding(&outcome, &receipt).await?;
    let report = Report::of(&pipeline, &outcome, &receipt, holding, started.elapsed());
    output.result(&report, &report.text())?;
    report.judge(limit)?;
    match report.rows {
        Rows { read, quarantined, .. } if limit.is_none() && read > 0 && quarantined == read => {
            let said = format!("all {read} records were rejected: the table takes none of these rows");
            Err(CliError::AllRejected { said, show, is_printed: true })
        }
        _ => Ok(()),
    }
}

/// The command that shows what was rejected.
fn show_command(args: &IngestArgs, source: &str, pipeline: &Pipeline) -> String {
    let area = args.work_dir.as_ref().map(|dir| format!(" --work-dir {dir}")).unwrap_or_default();
    format!("sluice quarantine show {source} --table {}{area}", pipeline.table)
}

/// Heeds an option that contradicts the job as it was pinned: with rows of the job in the table it is refused; without any, the next
/// generation is begun in its place.
///
/// A process may still work on the old generation. Its first commit would find the seal that the new one's left, and the other way
/// round, so only one of them comes into the table.
async fn heed(args: &IngestArgs, pipeline: &mut Pipeline, pinned: &Pinned) -> Done {
    let storage = pipeline.split.storage.as_ref();
    let job: Job = get_json(storage, &pinned.area.job(), "job").await.map_err(CliError::WorkArea)?;
    let settings = &pipeline.split.settings;
    // What is loaded was judged by what was expected then.
    let judged = if pinned.seal.is_none() { other_expectations(settings, &job) } else { None };
    let Some(found) = contradicts(args, settings, &job).or(judged) else {
        return Ok(());
    };
    match pinned.seal {
        // Of that, there is something else to tell.
        Some(Seal::UNDONE) => Ok(()),
        Some(_) => Err(CliError::Contradicts { job_id: job.job_id, found: Box::new(found) }),
        None => {
            tracing::warn!(job = %job.job_id, change = %found, "nothing of the job is in the table: it starts again with the options given now");
            refuse_replayed(&pipeline.load, &pipeline.split.work_prefix, &pipeline.table, &job.job_id).await?;
            let known = &mut pipeline.split.known;
            (known.generation, known.is_again) = (job.generation + 1, true);
            known.instead_of = [job.instead_of, vec![job.job_id]].concat();
            Ok(())
        }
    }
}

/// The option, or the key of the contract, that contradicts a job.
fn contradicts(args: &IngestArgs, settings: &Settings, job: &Job) -> Option<Contradiction> {
    contradiction(|variable| giver(args.gives(variable), settings, variable), settings, job)
}

impl Report {
    pub(crate) fn of(
        pipeline: &Pipeline,
        outcome: &SplitOutcome,
        receipt: &Receipt,
        holding: Option<Holding>,
        elapsed: Duration,
    ) -> Self {
        let progress = pipeline.split.progress.snapshot();
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
            commits: CommitReport {
                attempts: progress.commit_attempts,
                conflicts: progress.commit_conflicts,
                wait_ms: progress.commit_wait_ms,
            },
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
        // What became of the table is told by the run that did it.
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
        lines.push(format!(
            "  {} with {}, {:.1} s{memory}",
            counted(commits.attempts, "commit attempt"),
            counted(commits.conflicts, "conflict"),
            self.seconds
        ));
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
