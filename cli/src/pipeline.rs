//! The line on one machine: splitter and workers in one process, with a queue in memory between them.

use std::sync::Arc;
use std::time::Duration;

use shared::{
    Completion, Job, LoadFailure, Location, MemoryQueue, Progress, Receipt, Seal, Settings, StorageError, Stores,
    WorkArea,
};
use splitter::{SplitContext, SplitOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Holding, Ledger, LoadContext, TableStore};

use crate::args;
use crate::error::CliError;
use crate::gate::{TableGate, not_split};
use crate::poll::{Pollers, Rejected};
use crate::progress::ProgressLine;

/// How long a received chunk task stays hidden; extended while it is worked on.
const VISIBILITY: Duration = Duration::from_mins(1);

/// Receives after which a chunk task is a dead letter.
const MAX_RECEIVES: u32 = 5;

/// How often receipts are compared with the table: whoever takes them back meanwhile may do so once more.
const MOST_LOOKS: usize = 3;

/// What goes down the line.
#[derive(Debug)]
pub(crate) enum Load {
    /// A source, whichever job it is.
    Source(Location),
    /// A job that is pinned.
    Job(Box<Job>, WorkArea),
}

/// The parts of the line, set up.
pub(crate) struct Pipeline {
    pub(crate) split: SplitContext,
    pub(crate) load: LoadContext,
    queue: Arc<MemoryQueue>,
    pub(crate) table: Location,
    workers: usize,
}

impl Pipeline {
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
            gate: None,
            settings: settings.clone(),
            threads: splitter::threads(&settings, args::cores()),
            known: splitter::Known::default(),
            announce_again: true,
            progress: progress.clone(),
            stop,
        };
        let topic = settings.topic();
        // What the queue of this process asks for lies in this work area, and is bound for this table.
        let mut own = settings;
        (own.work_prefix, own.table, own.routes) = (Some(split.work_prefix.clone()), Some(table.clone()), None);
        let load = LoadContext { progress, topic, ..LoadContext::new(storage, own, TableStore::from_env()) };
        let mut pipeline = Self { split, load, queue, table, workers };
        pipeline.set_gate();
        pipeline
    }

    /// Has new sources looked at by what is known by now.
    pub(crate) fn set_gate(&mut self) {
        self.split.gate = Some(Arc::new(TableGate::new(&self.split, self.table.clone())));
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
        if outcome.receipt.is_none() {
            // The run that it is of is not the last one any more.
            self.split.storage.delete(&outcome.area.load_failure()).await.map_err(CliError::WorkArea)?;
        }
        let failed = self.load().await?;
        let dead = self.queue.dead_letters().len();
        match failed.first() {
            Some(first) => {
                let committed = self.count_loaded(&outcome).await?;
                let bad_input = failed.iter().all(|failed| failed.bad_input);
                self.note_failure(&outcome, failed.len() + dead, &first.reason).await;
                // A reason ends with its advice, where there is some.
                let (reason, hint) = match first.reason.split_once("; hint: ") {
                    Some((reason, hint)) => (reason.to_owned(), Some(hint.to_owned())),
                    None => (first.reason.clone(), None),
                };
                Err(CliError::Chunks { count: failed.len() + dead, first: reason, hint, committed, bad_input })
            }
            None if self.split.stop.is_cancelled() && !self.queue.is_empty() => {
                Err(CliError::Stopped { committed: self.count_loaded(&outcome).await? })
            }
            None => Ok(outcome),
        }
    }

    /// Keeps the reason for `sluice status`. That it cannot be kept is not what the run fails by.
    async fn note_failure(&self, outcome: &SplitOutcome, chunks: usize, reason: &str) {
        let chunks = u64::try_from(chunks).unwrap_or(u64::MAX);
        let failure = LoadFailure { version: 1, chunks, reason: reason.to_owned() };
        if let Err(error) = failure.put(self.split.storage.as_ref(), &outcome.area).await {
            tracing::warn!(reason = shared::error_chain(&error), "the work area does not keep why the job failed");
        }
    }

    /// Loads what is in the queue; gives the reasons for which chunks were rejected.
    async fn load(&self) -> Result<Vec<Rejected>, CliError> {
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
    async fn loaded(&self, outcome: &SplitOutcome) -> Result<Vec<u32>, CliError> {
        let listed = self.split.storage.list(&outcome.area.loaded()).await.map_err(CliError::WorkArea)?;
        Ok(listed.iter().filter_map(|listed| WorkArea::index_of(&listed.location)).collect())
    }

    /// How many these are.
    async fn count_loaded(&self, outcome: &SplitOutcome) -> Result<u64, CliError> {
        Ok(u64::try_from(self.loaded(outcome).await?.len()).unwrap_or(u64::MAX))
    }

    /// Splits, and asks the table what it has of the job: receipts are believed only as far as the table's log has the transactions
    /// of their chunks, and what was undone is not loaded again, but by the next generation.
    async fn split(&self, what: &Load) -> Result<SplitOutcome, CliError> {
        for _ in 0..MOST_LOOKS {
            let outcome = match what {
                Load::Source(source) => splitter::split(&self.split, source).await,
                Load::Job(job, area) => splitter::split_opened(&self.split, job.as_ref().clone(), area.clone()).await,
            };
            let outcome = outcome.map_err(not_split)?;
            let job_id = &outcome.job.job_id;
            // Before the table is asked, or what another run commits in between looks like lost rows.
            let mut loaded = self.loaded(&outcome).await?;
            if outcome.receipt.is_some() {
                loaded = outcome.manifest.chunks.iter().map(|chunk| chunk.index).collect();
            }
            let ledger = Ledger::open(&self.load, &self.table).await.map_err(CliError::Table)?;
            let lost = match &ledger {
                Some(ledger) => {
                    self.refuse_undone(ledger, &outcome).await?;
                    ledger.missing(job_id, loaded).await.map_err(CliError::Table)?
                }
                None => loaded,
            };
            if lost.is_empty() {
                return Ok(outcome);
            }
            self.forget(&outcome, &lost).await?;
        }
        Err(CliError::TableLost { table: self.table.to_string() })
    }

    async fn refuse_undone(&self, ledger: &Ledger, outcome: &SplitOutcome) -> Result<(), CliError> {
        let (job_id, table) = (outcome.job.job_id.clone(), self.table.to_string());
        match ledger.seal(&job_id).await.map_err(CliError::Table)? {
            Some(Seal::UNDONE) if ledger.has_files(&job_id) => Err(CliError::Restored { job_id, table }),
            Some(Seal::UNDONE) => Err(CliError::Undone { job_id, table }),
            _ => Ok(()),
        }
    }

    /// Forgets what receipts say of chunks that the table does not have: its log was lost, or it was made again. They are loaded again,
    /// and cut again where they are gone, too.
    async fn forget(&self, outcome: &SplitOutcome, lost: &[u32]) -> Result<(), CliError> {
        let (storage, area, table) = (self.split.storage.as_ref(), &outcome.area, &self.table);
        tracing::warn!(
            job = %outcome.job.job_id,
            %table,
            chunks = lost.len(),
            "receipts say that these chunks are loaded, and the table has none of them: it was recreated, or its log was lost; they are loaded again"
        );
        let mut gone = vec![area.receipt()];
        for chunk in lost {
            gone.extend([area.chunk_receipt(*chunk), area.prepared(*chunk)]);
            match storage.stat(&area.chunk(*chunk)).await {
                Ok(_) => {}
                Err(StorageError::NotFound { .. }) => gone.extend([area.manifest(), area.checkpoint()]),
                Err(error) => return Err(CliError::WorkArea(error)),
            }
        }
        for at in gone {
            storage.delete(&at).await.map_err(CliError::WorkArea)?;
        }
        Ok(())
    }

    /// What the table has of a job that was loaded before; an error if others put something else in the place of the table since. Rows that
    /// were deleted are to stay so.
    pub(crate) async fn holding(&self, outcome: &SplitOutcome, receipt: &Receipt) -> Result<Option<Holding>, CliError> {
        let job_id = &outcome.job.job_id;
        if !outcome.was_loaded_before() {
            return Ok(None);
        }
        let Some(ledger) = Ledger::open(&self.load, &self.table).await.map_err(CliError::Table)? else {
            return Ok(None);
        };
        let committed = receipt.rows.committed;
        let holding = ledger.holding(job_id, Some(committed)).await.map_err(CliError::Table)?;
        if holding.taken_out.as_ref().is_some_and(|taken| taken.is_replaced && !taken.may_be_rewritten) {
            let (job_id, table, holding) = (job_id.clone(), self.table.to_string(), Box::new(holding));
            return Err(CliError::TakenOut { job_id, table, committed, holding });
        }
        Ok(Some(holding))
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
        let loaded = self.loaded(outcome).await?;
        let missing = outcome.manifest.chunks.len().saturating_sub(loaded.len());
        Err(CliError::Incomplete { job_id: job.job_id.to_string(), missing })
    }
}
