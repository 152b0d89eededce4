//! `sluice ingest`: splitter and workers in one process, with a queue in memory between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::{
    Completion, Location, MemoryQueue, Progress, PutMode, Receipt, Rows, Seal, Settings, StorageError, Stores, Undone,
    put_json,
};
use splitter::{SplitContext, SplitOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{DeltaOptions, LoadContext};

use crate::Done;
use crate::args::{self, IngestArgs, work_prefix};
use crate::error::CliError;
use crate::output::{Output, counted, grouped, mebibytes};
use crate::poll::Pollers;
use crate::progress::ProgressLine;
use crate::stop;
use crate::usage::peak_rss_bytes;

/// How long a received chunk task stays hidden; extended while it is worked on.
const VISIBILITY: Duration = Duration::from_mins(1);

/// Receives after which a chunk task is a dead letter.
const MAX_RECEIVES: u32 = 5;

/// What came of an ingest.
#[derive(Debug, Serialize)]
struct Report {
    job_id: String,
    source: String,
    /// Whether an earlier run did it all.
    already_done: bool,
    rows: Rows,
    chunks: Vec<ChunkReport>,
    table: TableReport,
    commits: CommitReport,
    /// Where rejected records are, if there are any.
    quarantine: Option<String>,
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

/// The parts of the line, set up.
struct Line {
    split: SplitContext,
    load: LoadContext,
    queue: Arc<MemoryQueue>,
    source: Location,
    table: Location,
    workers: usize,
}

impl Line {
    fn set_up(args: &IngestArgs, settings: Settings, stop: CancellationToken) -> Result<Self, CliError> {
        let table = settings.table.clone().ok_or(CliError::NoTable)?;
        let storage = Stores::from_env();
        let progress = Arc::new(Progress::default());
        let queue = Arc::new(MemoryQueue::new(VISIBILITY, MAX_RECEIVES));
        let split = SplitContext {
            storage: storage.clone(),
            queue: Some(queue.clone()),
            work_prefix: work_prefix(args.work_dir.as_deref(), &settings)?,
            table: Some(table.clone()),
            topic: settings.topic(),
            settings: settings.clone(),
            threads: args::cores(),
            again: args.again,
            announce_again: true,
            progress: progress.clone(),
            stop,
        };
        let topic = settings.topic();
        let load = LoadContext { storage, settings, progress, delta: DeltaOptions::from_env(), topic };
        Ok(Self { split, load, queue, source: args::location(&args.source)?, table, workers: args.workers() })
    }

    /// Splits, then loads. A file that cannot be read to its end so leaves the table as it was.
    async fn run(&self) -> Result<SplitOutcome, CliError> {
        let outcome = self.split().await?;
        let failed = self.load().await?;
        let dead = self.queue.dead_letters().len();
        match failed.first() {
            Some(first) => {
                let committed = self.loaded(&outcome).await?;
                Err(CliError::Chunks { count: failed.len() + dead, first: first.clone(), committed })
            }
            None if self.split.stop.is_cancelled() && !self.queue.is_empty() => {
                Err(CliError::Stopped { committed: self.loaded(&outcome).await? })
            }
            None => Ok(outcome),
        }
    }

    /// Loads what is in the queue; gives the reasons for which chunks were rejected.
    async fn load(&self) -> Result<Vec<String>, CliError> {
        let finished = CancellationToken::new();
        let pollers = Arc::new(Pollers::embedded(self.queue.clone(), self.load.clone(), VISIBILITY, MAX_RECEIVES));
        let mut workers = JoinSet::new();
        for _ in 0..self.workers {
            let (pollers, finished) = (Arc::clone(&pollers), finished.clone());
            workers.spawn(async move { pollers.poll(&finished).await });
        }
        tokio::select! {
            () = self.split.stop.cancelled() => {}
            () = self.queue.emptied() => {}
        }
        finished.cancel();
        while let Some(worker) = workers.join_next().await {
            // A queue in memory does not fail.
            drop(worker.map_err(CliError::Bug)?);
        }
        Ok(pollers.take_reasons())
    }

    /// Chunks that have a receipt.
    async fn loaded(&self, outcome: &SplitOutcome) -> Result<u64, CliError> {
        let loaded = self.split.storage.list(&outcome.area.loaded()).await.map_err(CliError::WorkArea)?;
        Ok(u64::try_from(loaded.len()).unwrap_or(u64::MAX))
    }

    /// Splits, and asks the table what it knows of the job: receipts are believed only if it knows it too, and what was undone
    /// is not loaded again, but by the next generation, if that is asked for.
    async fn split(&self) -> Result<SplitOutcome, CliError> {
        loop {
            let outcome = splitter::split(&self.split, &self.source).await.map_err(CliError::Split)?;
            let (job_id, table) = (outcome.job.job_id.clone(), self.table.to_string());
            match worker::has_job(&self.load, &self.table, &job_id).await.map_err(CliError::Table)? {
                Some(Seal::UNDONE) if self.split.again => self.note_undone(&outcome).await?,
                Some(Seal::UNDONE) => return Err(CliError::Undone { job_id, table }),
                None if self.loaded(&outcome).await? > 0 => {
                    return Err(CliError::TableLost { job_id: job_id.to_string(), table });
                }
                _ => return Ok(outcome),
            }
        }
    }

    /// Notes in a work area that came after the job was undone that it was, or it would be gone on with.
    async fn note_undone(&self, outcome: &SplitOutcome) -> Result<(), CliError> {
        let (job_id, table) = (outcome.job.job_id.clone(), self.table.clone());
        let undone = Undone { version: 1, job_id, table, table_version: None, removed: None, replaced_by: None };
        match put_json(self.split.storage.as_ref(), &outcome.area.undone(), &undone, PutMode::IfAbsent).await {
            Ok(()) | Err(StorageError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(CliError::WorkArea(error)),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: &IngestArgs, output: Output) -> Done {
    let started = Instant::now();
    let settings = args.settings()?;
    let limit = settings.max_bad_records;
    let line = Line::set_up(args, settings, stop::on_signal())?;
    let shown = ProgressLine::show(line.split.progress.clone());
    let outcome = line.run().await;
    drop(shown);
    let outcome = outcome?;
    let receipt = proof(&line, &outcome).await?;
    let report = report(&line, &outcome, &receipt, started.elapsed());
    output.result(&report, &text(&report));
    let rows = report.rows;
    match limit {
        Some(limit) if limit.is_exceeded(rows.quarantined, rows.read) => {
            Err(CliError::TooManyBad { quarantined: rows.quarantined, read: rows.read })
        }
        _ => Ok(()),
    }
}

/// The receipt of the job.
async fn proof(line: &Line, outcome: &SplitOutcome) -> Result<Receipt, CliError> {
    let job = &outcome.job;
    if let Some(receipt) = &outcome.receipt {
        return Ok(receipt.clone());
    }
    let storage = line.split.storage.as_ref();
    let completion = Completion { storage, topic: line.split.topic.as_deref() };
    if let Some(receipt) = completion.complete(&outcome.area).await.map_err(CliError::Completion)? {
        return Ok(receipt);
    }
    let loaded = storage.list(&outcome.area.loaded()).await.map_err(CliError::WorkArea)?;
    let missing = outcome.manifest.chunks.len().saturating_sub(loaded.len());
    Err(CliError::Incomplete { job_id: job.job_id.to_string(), missing })
}

fn report(line: &Line, outcome: &SplitOutcome, receipt: &Receipt, elapsed: Duration) -> Report {
    let progress = line.split.progress.snapshot();
    let chunk = |chunk: &shared::ChunkEntry| ChunkReport { index: chunk.index, rows: chunk.rows, bytes: chunk.bytes };
    let quarantine = (receipt.rows.quarantined > 0).then(|| outcome.area.quarantine().to_string());
    Report {
        job_id: outcome.job.job_id.to_string(),
        source: outcome.job.source.uri.to_string(),
        already_done: outcome.was_split_before && outcome.receipt.is_some(),
        rows: receipt.rows,
        chunks: outcome.manifest.chunks.iter().map(chunk).collect(),
        table: TableReport { uri: line.table.to_string(), version: receipt.table_version },
        commits: CommitReport {
            attempts: progress.commit_attempts,
            conflicts: progress.commit_conflicts,
            wait_ms: progress.commit_wait_ms,
        },
        quarantine,
        seconds: elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    }
}

fn text(report: &Report) -> String {
    let Report { rows, chunks, commits, .. } = report;
    let version = report.table.version.map_or_else(String::new, |version| format!(" (version {version})"));
    let head = match (report.already_done, rows.read) {
        (true, _) => format!("{}: already done, nothing was added", report.job_id),
        (false, 0) => format!("{}: the source has no records, nothing was added", report.job_id),
        (false, _) => format!("{}: done", report.job_id),
    };
    let bytes = chunks.iter().map(|chunk| chunk.bytes).sum();
    let mut lines = vec![
        head,
        format!("  source       {}", report.source),
        format!("  table        {}{version}", report.table.uri),
        format!("  read         {}", grouped(rows.read)),
        format!("  committed    {}", grouped(rows.committed)),
        format!("  filtered     {}", grouped(rows.filtered)),
        format!("  quarantined  {}", grouped(rows.quarantined)),
        format!("  chunks       {} ({})", grouped(u64::try_from(chunks.len()).unwrap_or_default()), mebibytes(bytes)),
    ];
    if rows.added > 0 {
        lines.insert(6, format!("  added        {} (by SQL)", grouped(rows.added)));
    }
    if let Some(quarantine) = &report.quarantine {
        lines.push(format!("  rejected records are in {quarantine}"));
    }
    let memory = report.peak_rss_bytes.map_or_else(String::new, |bytes| format!(", {} peak memory", mebibytes(bytes)));
    lines.push(format!(
        "  {} with {}, {:.1} s{memory}",
        counted(commits.attempts, "commit attempt"),
        counted(commits.conflicts, "conflict"),
        report.seconds
    ));
    lines.join("\n")
}
