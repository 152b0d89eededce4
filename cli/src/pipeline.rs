//! The line on one machine: splitter and workers in one process, with a queue in memory between them.

use std::sync::Arc;
use std::time::Duration;

use shared::{
    Completion, Job, JobId, LoadFailure, Location, MemoryQueue, Progress, Queue, Receipt, Seal, Settings, StorageError,
    Stores, WorkArea,
};
use splitter::{SplitContext, SplitOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Holding, Ledger, LoadContext, TableStore};

use crate::args;
use crate::error::CliError;
use crate::gate::{TableGate, not_split};
use crate::poll::{Pollers, Rejected, job_of};
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
    /// What is loaded from.
    queue: Arc<MemoryQueue>,
    /// Chunks of one source among others, until it is split to its end; see [`Pipeline::beside`].
    kept_back: Option<Arc<MemoryQueue>>,
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
        let mut pipeline = Self { split, load, queue, kept_back: None, table, workers };
        pipeline.set_gate();
        pipeline
    }

    /// Another line for one source more, with the same queue, counters and tables. Its chunks are kept back until they are handed over:
    /// of a source that cannot be split to its end none is loaded.
    pub(crate) fn beside(&self) -> Self {
        let own = Arc::new(MemoryQueue::new(VISIBILITY, MAX_RECEIVES));
        let to: Arc<dyn Queue> = own.clone();
        let split =
            SplitContext { queue: Some(to), known: splitter::Known::default(), gate: None, ..self.split.clone() };
        let (load, queue, table) = (self.load.clone(), Arc::clone(&self.queue), self.table.clone());
        Self { split, load, queue, kept_back: Some(own), table, workers: self.workers }
    }

    /// Has the chunks loaded that were kept back, now that their source is split to its end.
    pub(crate) async fn hand_over(&self) -> Result<(), CliError> {
        match &self.kept_back {
            Some(own) => self.queue.send(&own.take_all()).await.map_err(CliError::Queue),
            None => Ok(()),
        }
    }

    /// Has new sources looked at by what is known by now.
    pub(crate) fn set_gate(&mut self) {
        self.split.gate = Some(Arc::new(self.gate()));
    }

    /// What looks at new sources, by what is known by now.
    pub(crate) fn gate(&self) -> TableGate {
        TableGate::new(&self.split, self.load.tables.clone(), self.table.clone())
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
        let failed = self.load(1).await?;
        self.judge(&outcome, &failed).await?;
        Ok(outcome)
    }

    /// The end of a source whose chunks were loaded as far as could be: its receipt.
    pub(crate) async fn conclude(&self, outcome: &SplitOutcome, failed: &[Rejected]) -> Result<Receipt, CliError> {
        self.judge(outcome, failed).await?;
        self.proof(outcome).await
    }

    /// An error if chunks of a job were not loaded, or were left by a stop.
    async fn judge(&self, outcome: &SplitOutcome, failed: &[Rejected]) -> Result<(), CliError> {
        let is_own = |job: Option<&JobId>| job.is_none_or(|job| *job == outcome.job.job_id);
        let failed: Vec<&Rejected> = failed.iter().filter(|failed| is_own(failed.job.as_ref())).collect();
        let dead = self.queue.dead_letters().iter().filter(|dead| is_own(job_of(dead).as_ref())).count();
        match failed.first() {
            Some(first) => {
                let committed = self.count_loaded(outcome).await?;
                let bad_input = failed.iter().all(|failed| failed.bad_input);
                self.note_failure(outcome, failed.len() + dead, &first.reason).await;
                // A reason ends with its advice, where there is some.
                let (reason, hint) = match first.reason.split_once("; hint: ") {
                    Some((reason, hint)) => (reason.to_owned(), Some(hint.to_owned())),
                    None => (first.reason.clone(), None),
                };
                Err(CliError::Chunks { count: failed.len() + dead, first: reason, hint, committed, bad_input })
            }
            None if self.split.stop.is_cancelled() && !self.queue.is_empty() && outcome.receipt.is_none() => {
                let loaded = self.count_loaded(outcome).await?;
                let all = u64::try_from(outcome.manifest.chunks.len()).unwrap_or(u64::MAX);
                if loaded < all { Err(CliError::Stopped { committed: loaded }) } else { Ok(()) }
            }
            None => Ok(()),
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

    /// Loads what is in the queue, up to so many chunks in one commit of a worker; gives the reasons for which chunks were rejected.
    pub(crate) async fn load(&self, batch: usize) -> Result<Vec<Rejected>, CliError> {
        let finished = CancellationToken::new();
        let (queue, load) = (self.queue.clone(), self.load.clone());
        let pollers = Arc::new(Pollers::embedded(queue, load, batch, VISIBILITY, MAX_RECEIVES));
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

    /// Splits, and asks the table what it has of the job. The failure of an earlier run is forgotten: that is not the last one any more.
    pub(crate) async fn split(&self, what: &Load) -> Result<SplitOutcome, CliError> {
        let outcome = self.split_known(what).await?;
        if outcome.receipt.is_none() {
            self.split.storage.delete(&outcome.area.load_failure()).await.map_err(CliError::WorkArea)?;
        }
        Ok(outcome)
    }

    /// Receipts are believed only as far as the table's log has the transactions of their chunks, and what was undone is not loaded again,
    /// but by the next generation.
    async fn split_known(&self, what: &Load) -> Result<SplitOutcome, CliError> {
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
            let to_load = outcome.manifest.chunks.len().saturating_sub(loaded.len());
            let ledger = Ledger::open(&self.load, &self.table).await.map_err(CliError::Table)?;
            let lost = match &ledger {
                Some(ledger) => {
                    self.refuse_undone(ledger, &outcome).await?;
                    ledger.missing(job_id, loaded).await.map_err(CliError::Table)?
                }
                None => loaded,
            };
            if lost.is_empty() {
                self.split.progress.chunks_to_load.add(u64::try_from(to_load).unwrap_or_default());
                return Ok(outcome);
            }
            self.forget(&outcome, &lost).await?;
        }
        Err(CliError::TableLost { table: self.table.to_string() })
    }

    async fn refuse_undone(&self, ledger: &Ledger, outcome: &SplitOutcome) -> Result<(), CliError> {
        let (job_id, table) = (outcome.job.job_id.clone(), self.table.to_string());
        match ledger.seal(&job_id).await.map_err(CliError::Table)? {
            Some(Seal::UNDONE) if ledger.has_files(&job_id).await.map_err(CliError::Table)? => {
                Err(CliError::Restored { job_id, table })
            }
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

    /// Whether the table is there.
    pub(crate) async fn has_table(&self) -> Result<bool, CliError> {
        Ok(Ledger::open(&self.load, &self.table).await.map_err(CliError::Table)?.is_some())
    }

    /// Writes a checkpoint of the table if one is due, so that the next run has little of its log to read. That it cannot be written
    /// is not what a run fails by.
    pub(crate) async fn write_due_checkpoint(&self) {
        if let Err(error) = worker::write_due_checkpoint(&self.load, &self.table).await {
            tracing::warn!(table = %self.table, reason = shared::error_chain(&error), "no checkpoint was written, though one is due");
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
        let loaded = self.loaded(outcome).await?;
        let missing = outcome.manifest.chunks.len().saturating_sub(loaded.len());
        Err(CliError::Incomplete { job_id: job.job_id.to_string(), missing })
    }
}
