//! The commit: all chunks that wait for a table at once, each at most once. Nothing else in Sluice adds files to a table.
//!
//! Every chunk has a transaction (`txn`) that goes into the very version that adds its files. Each attempt looks every
//! transaction up in the log as far as it was read, and then puts the version after that: the store takes it only if there
//! is none. An attempt that ended otherwise than with success is followed by a new look, never by a guess. See `design.md`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, Add, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::{StreamExt, TryStreamExt, stream};
use shared::{Backoff, BackoffSettings, Location, Rows, Verdict};

use crate::LoadContext;
use crate::error::LoadError;
use crate::head::Head;
use crate::plan::{Comparison, Plan};
use crate::route::RoutedChunk;
use crate::tables::{Slot, Waiting};

/// Version of a chunk's transaction: there is only one.
const CHUNK_VERSION: i64 = 1;

/// Transactions that are looked up at once.
const AT_ONCE: usize = 16;

/// A chunk whose data files are written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) chunk: RoutedChunk,
    /// What the files were written by.
    pub(crate) plan: Plan,
    pub(crate) files: Vec<Add>,
    pub(crate) rows: Rows,
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) chunk: Prepared,
    pub(crate) fate: Fate,
}

/// How it stands with a chunk after a commit.
#[derive(Debug)]
pub(crate) enum Fate {
    /// In the table by this commit, with its version.
    Committed(u64),
    /// In the table by another worker.
    Found,
    /// To be written again, since the table changed.
    Outdated,
    /// Not committed.
    Failed(Verdict),
}

/// Commits chunks, together with all others of this process that wait for the same table.
pub(crate) async fn commit(
    context: &LoadContext,
    uri: &Location,
    slot: &Slot,
    chunks: Vec<Prepared>,
) -> Result<Vec<Decided>, LoadError> {
    if chunks.is_empty() {
        return Ok(Vec::new());
    }
    let mut answer = slot.enqueue(chunks);
    let mut place = slot.head.lock().await;
    loop {
        // Who had the head before may have taken these chunks along.
        match answer.try_recv() {
            Ok(decided) => return Ok(decided),
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {}
            Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {
                let reason = "who was to commit it has died".to_owned();
                return Err(LoadError::Bug { what: uri.to_string(), reason });
            }
        }
        commit_group(context, uri, &mut place, slot.take_group()).await;
    }
}

/// Commits what a group of loads wants to be committed, and answers each.
async fn commit_group(context: &LoadContext, uri: &Location, place: &mut Option<Head>, group: Vec<Waiting>) {
    let (mut open, mut owners, mut answers) = (Vec::new(), HashMap::new(), Vec::new());
    for (owner, Waiting { chunks, answer }) in group.into_iter().enumerate() {
        owners.extend(chunks.iter().map(|chunk| (chunk.chunk.app_id.clone(), owner)));
        open.extend(chunks);
        answers.push((answer, Vec::new()));
    }
    let decided = match Slot::look(place, uri, &context.delta).await {
        Ok(_) => commit_to(context, place, open).await,
        Err(error) => failed(open, &error.verdict()),
    };
    for one in decided {
        let owner = owners.get(&one.chunk.chunk.app_id).and_then(|owner| answers.get_mut(*owner));
        if let Some((_, decided)) = owner {
            decided.push(one);
        }
    }
    for (answer, decided) in answers {
        // Whoever does not wait any more finds its chunks in the table at their next delivery.
        drop(answer.send(decided));
    }
}

async fn commit_to(context: &LoadContext, place: &mut Option<Head>, open: Vec<Prepared>) -> Vec<Decided> {
    // Out of its place while it is worked on: what an error leaves is not used again.
    let Some(head) = place.take() else { return Vec::new() };
    let (mut commit, is_sound) = Commit::new(context, head, open).run().await;
    if is_sound {
        *place = Some(commit.head);
    }
    commit.decided.extend(commit.open.drain(..).map(|chunk| Decided { chunk, fate: Fate::Found }));
    commit.decided
}

fn failed(chunks: Vec<Prepared>, verdict: &Verdict) -> Vec<Decided> {
    chunks.into_iter().map(|chunk| Decided { chunk, fate: Fate::Failed(verdict.clone()) }).collect()
}

struct Commit<'a> {
    context: &'a LoadContext,
    head: Head,
    /// Chunks of which nothing is decided.
    open: Vec<Prepared>,
    decided: Vec<Decided>,
    /// Whether nothing was put yet, so that what is in the table is not ours.
    is_first: bool,
    /// Whether an attempt may have succeeded unseen; then no data file is ever deleted.
    in_doubt: bool,
    /// Seals that the table holds, by application id.
    seals: HashMap<String, i64>,
}

impl<'a> Commit<'a> {
    fn new(context: &'a LoadContext, head: Head, open: Vec<Prepared>) -> Self {
        let (decided, seals) = (Vec::new(), HashMap::new());
        Self { context, head, open, decided, is_first: true, in_doubt: false, seals }
    }

    /// Attempts until all is decided; gives whether the head can be used again.
    async fn run(mut self) -> (Self, bool) {
        let mut backoff = Backoff::new(&limits(self.context));
        let mut attempts = 1;
        while !self.open.is_empty() {
            let ended = self.attempt().await;
            if self.open.is_empty() {
                break;
            }
            let wait = match &ended {
                Err(error) if !error.may_pass() => None,
                ended => backoff.next_wait_among(*ended.as_ref().unwrap_or(&1)),
            };
            match (wait, ended) {
                (Some(wait), _) => self.rest(wait).await,
                (None, Err(error)) if !error.may_pass() => return (self.give_up(&error).await, false),
                (None, ended) => {
                    let (table, source) = (self.head.table().uri().clone(), ended.err().map(Box::new));
                    return (self.give_up(&LoadError::Contention { table, attempts, source }).await, false);
                }
            }
            attempts += 1;
        }
        (self, true)
    }

    async fn rest(&self, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.context.progress.commit_wait_ms.add(millis);
        tokio::time::sleep(wait).await;
    }

    /// Gives up what is open, after a last look: files that no version names, and that no put under way can, are deleted.
    async fn give_up(mut self, error: &LoadError) -> Self {
        let is_known = self.head.catch_up().await.is_ok() && self.settle_what_is_there().await.is_ok();
        for chunk in &self.open {
            if is_known {
                self.discard(chunk).await;
            }
        }
        self.decided.extend(failed(std::mem::take(&mut self.open), &error.verdict()));
        self
    }

    /// One attempt. Chunks that are decided by it leave `open`. When all goes well and some stay, it gives how many versions
    /// of others came since the last attempt.
    async fn attempt(&mut self) -> Result<u64, LoadError> {
        let landed = self.head.catch_up().await?.versions;
        let landed = if self.is_first { 1 } else { landed.max(1) };
        if let (None, Some(last)) = (self.head.state(), self.open.last()) {
            // The last plan has the columns of all before it.
            self.head.create(&last.plan).await?;
        }
        self.refuse_other_seals().await?;
        self.settle_what_is_there().await?;
        let missing = self.set_outdated_aside().await?;
        if self.open.is_empty() {
            return Ok(landed);
        }
        if let Some(fields) = missing {
            self.head.add_columns(fields).await?;
            // They are there now, and nothing else stands in the way.
            return Ok(0);
        }
        self.put().await.map(|()| landed)
    }

    async fn transactions(&self, ids: Vec<String>) -> Result<Vec<Option<i64>>, LoadError> {
        let look_ups = ids.into_iter().map(|id| async move { self.head.transaction(&id).await });
        stream::iter(look_ups).buffered(AT_ONCE).try_collect().await
    }

    /// Takes out the chunks that are in the table.
    async fn settle_what_is_there(&mut self) -> Result<(), LoadError> {
        let ids = self.open.iter().map(|chunk| chunk.chunk.app_id.clone()).collect();
        let there = self.transactions(ids).await?;
        for (chunk, there) in std::mem::take(&mut self.open).into_iter().zip(there) {
            if there.is_some() {
                self.settle(chunk).await;
            } else {
                self.open.push(chunk);
            }
        }
        Ok(())
    }

    /// A chunk that is in the table came there by another worker, or by an attempt of ours that was taken for lost: the
    /// store may repeat a put that had succeeded, and then says that the version exists. Only the log tells.
    async fn settle(&mut self, chunk: Prepared) {
        let ours =
            if self.is_first { Ok(None) } else { self.head.version_with(&chunk.chunk.app_id, &chunk.files).await };
        let fate = match ours {
            Ok(Some(version)) => Fate::Committed(version),
            Ok(None) => {
                self.discard(&chunk).await;
                Fate::Found
            }
            Err(error) => {
                let table = self.head.table().uri();
                tracing::warn!(%table, %error, "data files left for vacuum: the log does not tell whose they are");
                Fate::Found
            }
        };
        self.decided.push(Decided { chunk, fate });
    }

    /// Takes out the chunks of jobs that the table holds in another cut, or that were undone.
    async fn refuse_other_seals(&mut self) -> Result<(), LoadError> {
        // A job may have been undone since the last attempt.
        self.seals.clear();
        for position in (0..self.open.len()).rev() {
            let Some(origin) = self.open.get(position).and_then(|chunk| chunk.chunk.origin.clone()) else { continue };
            let id = origin.seal_id();
            if !self.seals.contains_key(&id)
                && let Some(seal) = self.head.transaction(&id).await?
            {
                self.seals.insert(id.clone(), seal);
            }
            if let Some(seal) = self.seals.get(&id).copied().filter(|seal| *seal != origin.seal.0) {
                let chunk = self.open.remove(position);
                self.discard(&chunk).await;
                let error = LoadError::sealed(seal, &origin.identity.job_id, self.head.table().uri());
                let fate = Fate::Failed(error.verdict());
                self.decided.push(Decided { chunk, fate });
            }
        }
        Ok(())
    }

    /// Takes out the chunks whose files do not fit the table as it is now; gives the columns that it lacks for the rest.
    async fn set_outdated_aside(&mut self) -> Result<Option<Vec<StructField>>, LoadError> {
        let failed = |error| LoadError::table(self.head.table().uri(), "read the schema of", error);
        let state = self.head.state().ok_or_else(|| failed(DeltaTableError::NotInitialized))?;
        let compared = self.open.iter().map(|chunk| chunk.plan.compare(state)).collect::<Result<Vec<_>, _>>();
        let compared = compared.map_err(failed)?;
        let mut missing: Vec<StructField> = Vec::new();
        for (chunk, comparison) in std::mem::take(&mut self.open).into_iter().zip(compared) {
            match comparison {
                Comparison::Outdated => {
                    self.discard(&chunk).await;
                    self.decided.push(Decided { chunk, fate: Fate::Outdated });
                    continue;
                }
                Comparison::Lacks(fields) => {
                    for field in fields {
                        if missing.iter().all(|known| known.name() != field.name()) {
                            missing.push(field);
                        }
                    }
                }
                Comparison::Fits => {}
            }
            self.open.push(chunk);
        }
        Ok(Some(missing).filter(|missing| !missing.is_empty()))
    }

    /// Puts the next version. An attempt that another writer was faster than is no error.
    async fn put(&mut self) -> Result<(), LoadError> {
        self.is_first = false;
        self.context.progress.commit_attempts.add(1);
        let files = self.open.iter().flat_map(|chunk| chunk.files.iter().cloned().map(Action::Add)).collect();
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let data = CommitData::new(files, operation, HashMap::new(), self.new_transactions());
        let error = match self.head.put(&data).await {
            Ok(version) => {
                let committed = |chunk| Decided { chunk, fate: Fate::Committed(version) };
                self.decided.extend(self.open.drain(..).map(committed));
                return Ok(());
            }
            Err(error) => error,
        };
        match loss(&error) {
            Loss::Conflict => {
                self.context.progress.commit_conflicts.add(1);
                return Ok(());
            }
            Loss::Refused => {}
            Loss::Unknown => self.in_doubt = true,
        }
        Err(LoadError::table(self.head.table().uri(), "commit to", error))
    }

    /// One transaction a chunk, and the seal of each job that the table does not know yet.
    fn new_transactions(&self) -> Vec<Transaction> {
        let now = crate::log::now();
        let mut transactions = Vec::new();
        let mut sealed: Vec<String> = Vec::new();
        for chunk in &self.open {
            transactions.push(Transaction::new_with_last_update(&chunk.chunk.app_id, CHUNK_VERSION, Some(now)));
            if let Some(origin) = &chunk.chunk.origin {
                let id = origin.seal_id();
                if !self.seals.contains_key(&id) && !sealed.contains(&id) {
                    transactions.push(Transaction::new_with_last_update(&id, origin.seal.0, Some(now)));
                    sealed.push(id);
                }
            }
        }
        transactions
    }

    /// Deletes the files of a chunk that no commit can name any more.
    async fn discard(&self, chunk: &Prepared) {
        if !self.in_doubt {
            self.head.table().delete_files(&chunk.files).await;
        }
    }
}

/// How an attempt was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another writer was there first.
    Conflict,
    /// It was refused before anything was put.
    Refused,
    /// It may have succeeded.
    Unknown,
}

pub(crate) fn loss(error: &DeltaTableError) -> Loss {
    use DeltaTableError as E;
    match error {
        E::VersionAlreadyExists(_) => Loss::Conflict,
        E::Transaction { source } => match source {
            TransactionError::VersionAlreadyExists(_)
            | TransactionError::CommitConflict(_)
            | TransactionError::MaxCommitAttempts(_) => Loss::Conflict,
            TransactionError::SerializeLogJson { .. }
            | TransactionError::DeltaTableAppendOnly
            | TransactionError::UnsupportedTableFeatures(_)
            | TransactionError::TableFeaturesRequired(_) => Loss::Refused,
            TransactionError::ObjectStore { .. } | TransactionError::LogStoreError { .. } => Loss::Unknown,
        },
        _ => Loss::Unknown,
    }
}

/// The attempts and waits of the settings, within the time that is left.
pub(crate) fn limits(context: &LoadContext) -> BackoffSettings {
    let left: Option<Duration> =
        context.delta.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let max_elapsed = match (context.settings.commit.max_elapsed, left) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    BackoffSettings { max_elapsed, ..context.settings.commit }
}
