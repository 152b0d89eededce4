//! The commit: all chunks of a batch for a table at once, each at most once. Nothing else in Sluice adds files to a table.
//!
//! Every chunk has a transaction (`txn`) that goes into the very commit that adds its files. The library refuses neither a
//! transaction that is there already nor waits between its own attempts, so both are done here: each attempt looks every
//! transaction up on the snapshot that it then builds on, and the log refuses it when another version came between. An
//! attempt that ended otherwise than with success is followed by a new look, never by a guess. See `design.md`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, TransactionError};
use deltalake::kernel::{Action, Add, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use shared::{Backoff, BackoffSettings, Rows};

use crate::LoadContext;
use crate::error::LoadError;
use crate::plan::{Comparison, Plan};
use crate::route::RoutedChunk;
use crate::table::{Table, quiet};

/// Version of a chunk's transaction: there is only one.
const CHUNK_VERSION: i64 = 1;

/// A chunk whose data files are written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) chunk: RoutedChunk,
    /// What the files were written by.
    pub(crate) plan: Plan,
    pub(crate) files: Vec<Add>,
    pub(crate) rows: Rows,
}

/// What became of the chunks of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// In the table by this commit, with its version.
    pub(crate) committed: Vec<(Prepared, u64)>,
    /// In the table by another worker.
    pub(crate) found: Vec<Prepared>,
    /// To be written again, since the table changed.
    pub(crate) outdated: Vec<Prepared>,
    /// Not to be committed.
    pub(crate) refused: Vec<(Prepared, LoadError)>,
    /// Not committed, for this reason.
    pub(crate) given_up: Option<(Vec<Prepared>, LoadError)>,
}

/// Commits chunks.
pub(crate) async fn commit(context: &LoadContext, table: &mut Table, chunks: Vec<Prepared>) -> Outcome {
    let commit = Commit {
        context,
        table,
        open: chunks,
        outcome: Outcome::default(),
        base: None,
        in_doubt: false,
        seals: HashMap::new(),
    };
    commit.run().await
}

struct Commit<'a> {
    context: &'a LoadContext,
    table: &'a mut Table,
    /// Chunks of which nothing is decided.
    open: Vec<Prepared>,
    outcome: Outcome,
    /// Version that the first attempt was built on.
    base: Option<u64>,
    /// Whether an attempt may have succeeded unseen; then no data file is ever deleted.
    in_doubt: bool,
    /// Seals that the table holds, by application id.
    seals: HashMap<String, i64>,
}

impl Commit<'_> {
    async fn run(mut self) -> Outcome {
        let mut backoff = Backoff::new(&limits(self.context));
        let mut attempts = 1;
        while !self.open.is_empty() {
            let ended = self.attempt().await;
            if self.open.is_empty() {
                break;
            }
            match ended {
                Err(error) if !error.may_pass() => return self.give_up(error),
                ended => match (backoff.next_wait(), ended) {
                    (Some(_), Ok(())) => {}
                    (Some(wait), Err(_)) => tokio::time::sleep(wait).await,
                    (None, ended) => {
                        let (table, source) = (self.table.uri().clone(), ended.err().map(Box::new));
                        return self.give_up(LoadError::Contention { table, attempts, source });
                    }
                },
            }
            attempts += 1;
        }
        self.outcome
    }

    fn give_up(mut self, error: LoadError) -> Outcome {
        self.outcome.given_up = Some((self.open, error));
        self.outcome
    }

    /// One attempt. Chunks that are decided by it leave `open`; when all goes well and some stay, the next attempt follows
    /// at once.
    async fn attempt(&mut self) -> Result<(), LoadError> {
        self.table.refresh().await?;
        if let (None, Some(last)) = (self.table.state(), self.open.last()) {
            // The last plan has the columns of all before it.
            self.table.create(&last.plan).await?;
        }
        self.refuse_other_seals().await?;
        self.settle_what_is_there().await?;
        let missing = self.set_outdated_aside().await?;
        if self.open.is_empty() {
            return Ok(());
        }
        if let Some(fields) = missing {
            let added = self.table.add_columns(fields).await;
            return added.map_err(|error| self.lost(error));
        }
        self.put().await
    }

    /// Takes out the chunks that are in the table.
    async fn settle_what_is_there(&mut self) -> Result<(), LoadError> {
        let mut there = Vec::with_capacity(self.open.len());
        for chunk in &self.open {
            there.push(self.table.transaction(&chunk.chunk.app_id).await?.is_some());
        }
        for (chunk, there) in std::mem::take(&mut self.open).into_iter().zip(there) {
            if there {
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
        let ours = match self.base {
            None => Ok(None),
            Some(base) => self.table.find_commit(base, &chunk.files, &chunk.chunk.app_id).await,
        };
        match ours {
            Ok(Some(version)) => self.outcome.committed.push((chunk, version)),
            Ok(None) => {
                self.discard(&chunk).await;
                self.outcome.found.push(chunk);
            }
            Err(error) => {
                tracing::warn!(table = %self.table.uri(), %error, "data files left for vacuum: the log does not tell whose they are");
                self.outcome.found.push(chunk);
            }
        }
    }

    /// Takes out the chunks of jobs that the table holds in another cut.
    async fn refuse_other_seals(&mut self) -> Result<(), LoadError> {
        for position in (0..self.open.len()).rev() {
            let Some(origin) = self.open.get(position).and_then(|chunk| chunk.chunk.origin.clone()) else { continue };
            let id = origin.seal_id();
            if !self.seals.contains_key(&id)
                && let Some(seal) = self.table.transaction(&id).await?
            {
                self.seals.insert(id.clone(), seal);
            }
            if self.seals.get(&id).is_some_and(|seal| *seal != origin.seal.0) {
                let chunk = self.open.remove(position);
                self.discard(&chunk).await;
                let error = LoadError::Sealed { job: origin.identity.job_id, table: self.table.uri().clone() };
                self.outcome.refused.push((chunk, error));
            }
        }
        Ok(())
    }

    /// Takes out the chunks whose files do not fit the table as it is now; gives the columns that it lacks for the rest.
    async fn set_outdated_aside(&mut self) -> Result<Option<Vec<StructField>>, LoadError> {
        let table = self.table.uri().clone();
        let failed = |error| LoadError::table(&table, "read the schema of", error);
        let state = self.table.state().cloned().ok_or_else(|| failed(DeltaTableError::NotInitialized))?;
        let compared = self.open.iter().map(|chunk| chunk.plan.compare(&state)).collect::<Result<Vec<_>, _>>();
        let compared = compared.map_err(failed)?;
        let mut missing: Vec<StructField> = Vec::new();
        let mut outdated = Vec::new();
        for (chunk, comparison) in std::mem::take(&mut self.open).into_iter().zip(compared) {
            match comparison {
                Comparison::Outdated => {
                    outdated.push(chunk);
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
        for chunk in outdated {
            self.discard(&chunk).await;
            self.outcome.outdated.push(chunk);
        }
        Ok(Some(missing).filter(|missing| !missing.is_empty()))
    }

    /// Puts the next version, built on the very state in which the transactions were looked up.
    async fn put(&mut self) -> Result<(), LoadError> {
        let table = self.table.uri().clone();
        let state =
            self.table.state().ok_or_else(|| LoadError::table(&table, "commit to", DeltaTableError::NotInitialized))?;
        self.base.get_or_insert(state.version());
        self.context.progress.commit_attempts.add(1);
        let files = self.open.iter().flat_map(|chunk| chunk.files.iter().cloned().map(Action::Add)).collect();
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let commit = CommitBuilder::from(quiet().with_application_transactions(self.transactions()))
            .with_actions(files)
            .build(Some(state), self.table.log_store(), operation)
            .await;
        match commit {
            Ok(commit) => {
                let version = commit.version();
                self.outcome.committed.extend(self.open.drain(..).map(|chunk| (chunk, version)));
                Ok(())
            }
            Err(error) => Err(self.lost(error)),
        }
    }

    /// One transaction a chunk, and the seal of each job that the table does not know yet.
    fn transactions(&self) -> Vec<Transaction> {
        let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp_millis();
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

    /// Takes note of how an attempt was lost.
    fn lost(&mut self, error: DeltaTableError) -> LoadError {
        match loss(&error) {
            Loss::Conflict => self.context.progress.commit_conflicts.add(1),
            Loss::Refused => {}
            Loss::Unknown => self.in_doubt = true,
        }
        LoadError::table(self.table.uri(), "commit to", error)
    }

    /// Deletes the files of a chunk that no commit can name any more.
    async fn discard(&self, chunk: &Prepared) {
        if !self.in_doubt {
            self.table.delete_files(&chunk.files).await;
        }
    }
}

/// How an attempt was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Another writer was there first.
    Conflict,
    /// It was refused before anything was put.
    Refused,
    /// It may have succeeded.
    Unknown,
}

fn loss(error: &DeltaTableError) -> Loss {
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
fn limits(context: &LoadContext) -> BackoffSettings {
    let left: Option<Duration> =
        context.delta.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let max_elapsed = match (context.settings.commit.max_elapsed, left) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    BackoffSettings { max_elapsed, ..context.settings.commit }
}
