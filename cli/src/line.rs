//! The line on one machine: splitter and workers in one process, with a queue in memory between them.

use std::sync::Arc;
use std::time::Duration;

use shared::{
    Completion, Job, Location, MemoryQueue, Progress, PutMode, Receipt, Seal, Settings, StorageError, Stores, Undone,
    WorkArea, put_json,
};
use splitter::{SplitContext, SplitOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{DeltaOptions, LoadContext};

use crate::args;
use crate::error::CliError;
use crate::poll::Pollers;
use crate::progress::ProgressLine;

/// How long a received chunk task stays hidden; extended while it is worked on.
const VISIBILITY: Duration = Duration::from_mins(1);

/// Receives after which a chunk task is a dead letter.
const MAX_RECEIVES: u32 = 5;

/// What goes down the line.
#[derive(Debug)]
pub(crate) enum Load {
    /// A source, whichever job it is.
    Source(Location),
    /// A job that is pinned.
    Job(Box<Job>, WorkArea),
}

/// The parts of the line, set up.
pub(crate) struct Line {
    pub(crate) split: SplitContext,
    pub(crate) load: LoadContext,
    queue: Arc<MemoryQueue>,
    pub(crate) table: Location,
    workers: usize,
}

impl Line {
    /// A line to a table, with work areas below a prefix and so many loads at once.
    pub(crate) fn set_up(
        settings: Settings,
        table: Location,
        work_prefix: Location,
        workers: usize,
        stop: CancellationToken,
    ) -> Self {
        let storage = Stores::from_env();
        let progress = Arc::new(Progress::default());
        let queue = Arc::new(MemoryQueue::new(VISIBILITY, MAX_RECEIVES));
        let split = SplitContext {
            storage: storage.clone(),
            queue: Some(queue.clone()),
            work_prefix,
            table: Some(table.clone()),
            topic: settings.topic(),
            settings: settings.clone(),
            threads: args::cores(),
            again: false,
            announce_again: true,
            progress: progress.clone(),
            stop,
        };
        let topic = settings.topic();
        let load = LoadContext { storage, settings, progress, delta: DeltaOptions::from_env(), topic };
        Self { split, load, queue, table, workers }
    }

    /// Splits, then loads. A file that cannot be read to its end so leaves the table as it was. Gives what was split, and the receipt.
    pub(crate) async fn run(&self, what: &Load) -> Result<(SplitOutcome, Receipt), CliError> {
        let shown = ProgressLine::show(Arc::clone(&self.split.progress));
        let outcome = self.split_and_load(what).await;
        drop(shown);
        let outcome = outcome?;
        let receipt = self.proof(&outcome).await?;
        Ok((outcome, receipt))
    }

    async fn split_and_load(&self, what: &Load) -> Result<SplitOutcome, CliError> {
        let outcome = self.split(what).await?;
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
    async fn split(&self, what: &Load) -> Result<SplitOutcome, CliError> {
        loop {
            let outcome = match what {
                Load::Source(source) => splitter::split(&self.split, source).await,
                Load::Job(job, area) => splitter::split_opened(&self.split, job.as_ref().clone(), area.clone()).await,
            };
            let outcome = outcome.map_err(CliError::Split)?;
            let (job_id, table) = (outcome.job.job_id.clone(), self.table.to_string());
            // Before the table is asked, or what another run commits in between looks like lost rows.
            let loaded = self.loaded(&outcome).await?;
            match worker::has_job(&self.load, &self.table, &job_id).await.map_err(CliError::Table)? {
                Some(Seal::UNDONE) if self.split.again => self.note_undone(&outcome).await?,
                Some(Seal::UNDONE) => return Err(CliError::Undone { job_id, table }),
                None if loaded > 0 => {
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

    /// The receipt of the job.
    async fn proof(&self, outcome: &SplitOutcome) -> Result<Receipt, CliError> {
        let job = &outcome.job;
        if let Some(receipt) = &outcome.receipt {
            return Ok(receipt.clone());
        }
        let storage = self.split.storage.as_ref();
        let completion = Completion { storage, topic: self.split.topic.as_deref() };
        if let Some(receipt) = completion.complete(&outcome.area).await.map_err(CliError::Completion)? {
            return Ok(receipt);
        }
        let loaded = storage.list(&outcome.area.loaded()).await.map_err(CliError::WorkArea)?;
        let missing = outcome.manifest.chunks.len().saturating_sub(loaded.len());
        Err(CliError::Incomplete { job_id: job.job_id.to_string(), missing })
    }
}
