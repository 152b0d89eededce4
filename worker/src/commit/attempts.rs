//! The commit: chunks that go into a table at once, each at most once. Nothing else in Sluice adds files to a table.
//!
//! Every chunk has a transaction (`txn`) that goes into the very version that adds its files. Each attempt looks every
//! transaction up in the log as far as it was read, and then puts the version after that: the store takes it only if there
//! is none. An attempt that ended otherwise than with success is followed by a new look, never by a guess. See `design.md`.

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::time::{Duration, Instant};

use deltalake::DeltaTableError;
use deltalake::kernel::{Action, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use shared::{Backoff, JobId, Seal};

use crate::chunk::{CHUNK_VERSION, Origin, Replaced, Standing};
use crate::commit::lost::are_lost;
use crate::commit::names::new_names;
use crate::commit::offers::{self, Offered, Offers, Seen};
use crate::commit::prepared::{CommitOutcome, Decided, Prepared, Terms, failed};
use crate::commit::replace::Outgoing;
use crate::commit::seals;
use crate::context::LoadContext;
use crate::delta::commit_error::{Loss, loss};
use crate::delta::commit_info::{commit_data, loaded, with_hops};
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;
use crate::schema::write_schema::{Comparison, evolve};
use crate::verdict::Patience;

/// A commit under way.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    context: &'a LoadContext,
    pub(crate) snapshot: TableSnapshot,
    /// Chunks of which nothing is decided.
    pub(crate) open: Vec<Prepared>,
    pub(crate) decided: Vec<Decided>,
    terms: Terms,
    /// Whether nothing was put yet, so that what is in the table is not ours.
    is_first: bool,
    /// Whether the last attempt ended because another version was there.
    was_refused: bool,
    /// Whether an attempt may have succeeded unseen; then no data file is ever deleted.
    in_doubt: bool,
    /// Seals that the table holds, by application id.
    seals: HashMap<String, i64>,
    offers: Offers,
}

impl<'a> Commit<'a> {
    pub(crate) fn new(context: &'a LoadContext, snapshot: TableSnapshot, open: Vec<Prepared>, terms: Terms) -> Self {
        let (decided, seals, offers) = (Vec::new(), HashMap::new(), Offers::new());
        Self {
            context,
            snapshot,
            open,
            decided,
            terms,
            is_first: true,
            was_refused: false,
            in_doubt: false,
            seals,
            offers,
        }
    }

    /// Attempts until all is decided. What stays open is to be tried by each load alone.
    pub(crate) async fn run(self) -> Self {
        let ended = self.attempts().await;
        ended.offers.withdraw(&ended.snapshot.table().object_store()).await;
        ended
    }

    async fn attempts(mut self) -> Self {
        let mut backoff = Backoff::new(&self.context.limits());
        let (mut attempts, mut patience) = (1, Patience::default());
        while !self.open.is_empty() {
            let began = Instant::now();
            let mut ended = self.attempt().await;
            let attempt = began.elapsed();
            let was_refused = self.was_refused;
            if let (Ok(_), Err(error)) = (&ended, self.look_for_taken().await) {
                ended = Err(error);
            }
            if self.open.is_empty() {
                break;
            }
            let is_hopeless = ended.as_ref().is_err_and(|error| !patience.bears(error));
            match ended {
                // Once something was put, only this attempt knows which data files may be in the table.
                Err(_) if is_hopeless && self.terms.is_shared && self.is_first => return self,
                Err(error) if is_hopeless => return self.give_up(&error).await,
                ended => {
                    let wait = match ended {
                        Ok(_) if was_refused && self.offer().await => backoff.next_wait_about(2 * attempt),
                        Ok(landed) if was_refused => backoff.next_wait_among(landed.max(1)),
                        Ok(landed) => backoff.next_wait_among(landed),
                        Err(_) => backoff.next_wait(),
                    };
                    let Some(wait) = wait else {
                        let (table, source) = (self.snapshot.table().uri().clone(), ended.err().map(Box::new));
                        return self.give_up(&LoadError::Contention { table, attempts, source }).await;
                    };
                    self.rest(wait).await;
                }
            }
            attempts += 1;
        }
        self
    }

    /// Offers what is open to whoever comes first; gives whether it is. Then to wait for about two attempts is enough, whatever
    /// the crowd: of those who come, one decides the chunks of all.
    async fn offer(&mut self) -> bool {
        if self.terms.whole {
            return false;
        }
        self.in_doubt = true;
        self.offers.make(&self.snapshot.table().object_store(), &self.open).await
    }

    /// Whoever was faster may have taken along what was offered.
    async fn look_for_taken(&mut self) -> Result<(), LoadError> {
        if self.was_refused && self.offers.are_made() {
            self.look().await?;
            self.settle_what_is_there().await?;
        }
        Ok(())
    }

    async fn rest(&self, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.context.progress.commit_wait_ms.add(millis);
        tokio::time::sleep(wait).await;
    }

    /// Gives up what is open, after a last look: files that no version names, and that no put under way can, are deleted.
    async fn give_up(mut self, error: &LoadError) -> Self {
        let is_known = self.look().await.is_ok() && self.settle_what_is_there().await.is_ok();
        for chunk in &self.open {
            if is_known {
                self.discard(chunk).await;
            }
        }
        self.decided.extend(failed(std::mem::take(&mut self.open), &error.verdict()));
        self
    }

    /// Goes to the latest version; gives how many came.
    async fn look(&mut self) -> Result<u64, LoadError> {
        let landed = match self.replaced() {
            // What is removed is looked up in the files of the table, which a snapshot does not keep up with.
            Some(_) => self.snapshot.reopen(&self.context.table_store).await?,
            None => self.snapshot.catch_up(&self.context.table_store).await?,
        };
        // Refused, and by nobody: a put of ours may be under way, which the store repeated too early.
        self.in_doubt |= self.was_refused && landed == 0;
        self.was_refused = false;
        Ok(landed)
    }

    /// One attempt. Chunks that are decided by it leave `open`. When all goes well and some stay, it gives how many versions
    /// of others came since the last attempt.
    async fn attempt(&mut self) -> Result<u64, LoadError> {
        let store = self.snapshot.table().object_store();
        // At once, so that offers, of which there are few most of the time, cost no time.
        let whole = self.terms.whole;
        let seen = async { if whole { Seen::default() } else { offers::look(&store).await } };
        let (looked, seen) = futures::join!(self.look(), seen);
        let landed = looked?;
        if let (None, Some(last)) = (self.snapshot.state(), self.open.last()) {
            // Columns that only others have are added by the next attempt.
            self.snapshot.create(&last.write_schema).await?;
        }
        self.settle_what_is_there().await?;
        self.refuse_other_seals().await?;
        let missing = self.set_outdated_aside().await?;
        if self.open.is_empty() {
            return Ok(landed);
        }
        if let Some(fields) = missing {
            self.snapshot.add_columns(fields, &self.context.table_store).await?;
            // They are there now, and nothing else stands in the way.
            return Ok(0);
        }
        self.set_lost_aside().await?;
        if self.open.is_empty() {
            return Ok(landed);
        }
        let outgoing = match self.replaced() {
            Some((replaced, by)) => Outgoing::find(self.context.storage.as_ref(), &self.snapshot, replaced, by).await?,
            None => Outgoing::default(),
        };
        let offered = self.offered(seen).await;
        self.put(outgoing, offered).await.map(|()| landed)
    }

    /// Earlier drops in the place of which these chunks come: those of one file, then.
    fn replaced(&self) -> Option<(&Replaced, &JobId)> {
        let origin = self.open.first()?.chunk.origin.as_ref().filter(|_| self.terms.whole)?;
        Some((origin.replaced.as_ref()?, &origin.identity.job_id))
    }

    /// Takes out the chunks that are in the table.
    async fn settle_what_is_there(&mut self) -> Result<(), LoadError> {
        let ids = self.open.iter().map(|chunk| chunk.chunk.app_id.clone()).collect();
        let there = self.snapshot.transactions(ids).await?;
        if there.iter().any(Option::is_some) {
            self.snapshot.table().settle_log().await?;
        }
        for (chunk, there) in std::mem::take(&mut self.open).into_iter().zip(there) {
            match chunk.chunk.standing(there) {
                Standing::There => self.settle(chunk).await,
                Standing::Open => self.open.push(chunk),
                Standing::Early => self.decided.push(Decided { chunk, outcome: CommitOutcome::Outdated }),
            }
        }
        Ok(())
    }

    /// A chunk that is in the table came there by another worker, or by an attempt of ours that was taken for lost: the
    /// store may repeat a put that had succeeded, and then says that the version exists. Only the log tells.
    async fn settle(&mut self, chunk: Prepared) {
        let ours =
            if self.is_first { Ok(None) } else { self.snapshot.version_with(&chunk.chunk.app_id, &chunk.files).await };
        let outcome = match ours {
            Ok(Some(version)) => CommitOutcome::Committed(version),
            Ok(None) => {
                self.discard(&chunk).await;
                CommitOutcome::Found
            }
            Err(error) => {
                let table = self.snapshot.table().uri();
                tracing::warn!(%table, %error, "data files left for vacuum: the log does not tell whose they are");
                CommitOutcome::Found
            }
        };
        self.decided.push(Decided { chunk, outcome });
    }

    /// Takes out the chunks of jobs that the table holds in another cut, or will by an earlier one of these chunks, and those
    /// of jobs that were undone, or that replay what a job rejected of which either is true.
    async fn refuse_other_seals(&mut self) -> Result<(), LoadError> {
        let ids = seals::ids(&self.open);
        // Anew each time: a job may have been undone since the last attempt.
        let known = self.snapshot.transactions(ids.clone()).await?;
        self.seals = ids.into_iter().zip(known).filter_map(|(id, seal)| Some((id, seal?))).collect();
        let (open, refused) = seals::part(std::mem::take(&mut self.open), &self.seals, self.snapshot.table().uri());
        self.open = open;
        for (chunk, error) in refused {
            self.discard(&chunk).await;
            let outcome = CommitOutcome::Failed(error.verdict());
            self.decided.push(Decided { chunk, outcome });
        }
        Ok(())
    }

    /// Takes out the chunks whose files do not fit the table as it is now; gives the columns that it lacks for the rest.
    async fn set_outdated_aside(&mut self) -> Result<Option<Vec<StructField>>, LoadError> {
        let failed = |error| LoadError::table(self.snapshot.table().uri(), "read the schema of", error);
        let state = self.snapshot.state().ok_or_else(|| failed(DeltaTableError::NotInitialized))?;
        let compared = self.open.iter().map(|chunk| chunk.write_schema.compare(state)).collect::<Result<Vec<_>, _>>();
        let compared = compared.map_err(failed)?;
        let all_outdated = self.terms.whole && compared.iter().any(|one| matches!(one, Comparison::Outdated));
        let mut missing: Vec<StructField> = Vec::new();
        for (chunk, comparison) in std::mem::take(&mut self.open).into_iter().zip(compared) {
            match comparison {
                _ if all_outdated => {
                    self.decided.push(Decided { chunk, outcome: CommitOutcome::Outdated });
                    continue;
                }
                Comparison::Outdated => {
                    self.discard(&chunk).await;
                    self.decided.push(Decided { chunk, outcome: CommitOutcome::Outdated });
                    continue;
                }
                // Of columns that get numbers, those of two chunks would have the same.
                Comparison::Lacks(_) if chunk.write_schema.is_mapped() && !missing.is_empty() => {}
                Comparison::Lacks(fields) => {
                    for field in fields {
                        let is_named =
                            |known: &&mut StructField| known.name().to_lowercase() == field.name().to_lowercase();
                        match missing.iter_mut().find(is_named) {
                            // Files that do not fit what is added are found outdated by the next attempt.
                            Some(known) => {
                                let both = evolve::both(&known.data_type, &field.data_type);
                                known.data_type = both.unwrap_or_else(|| known.data_type.clone());
                            }
                            None => missing.push(field),
                        }
                    }
                }
                Comparison::Fits => {}
            }
            self.open.push(chunk);
        }
        Ok(Some(missing).filter(|missing| !missing.is_empty()))
    }

    /// Takes out the chunks of which a data file is gone. They are written again.
    async fn set_lost_aside(&mut self) -> Result<(), LoadError> {
        let table = self.snapshot.table().clone();
        let lost = are_lost(&table, &self.open).await?;
        let all = self.terms.whole && lost.contains(&true);
        for (mut chunk, is_lost) in std::mem::take(&mut self.open).into_iter().zip(lost) {
            if is_lost || all {
                self.discard(&chunk).await;
                self.decided.push(Decided { chunk, outcome: CommitOutcome::Outdated });
            } else {
                chunk.table_id = table.id();
                self.open.push(chunk);
            }
        }
        Ok(())
    }

    /// Puts the next version. An attempt that another writer was faster than is not an error.
    async fn put(&mut self, outgoing: Outgoing, offered: Vec<Offered>) -> Result<(), LoadError> {
        self.is_first = false;
        self.context.progress.commit_attempts.add(1);
        let files =
            self.open.iter().flat_map(|chunk| &chunk.files).chain(offered.iter().flat_map(|chunk| &chunk.files));
        let added = files.map(|file| Action::Add(file.add()));
        let mode = if outgoing.removes.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
        let metadata = outgoing.metadata();
        let files = added.chain(outgoing.removes.into_iter().map(Action::Remove)).collect();
        let names = new_names(&self.snapshot, &self.context.former_uris).await?;
        let transactions = self.new_transactions(&offered).into_iter().chain(outgoing.seals).chain(names).collect();
        let own = self.open.iter().map(|chunk| &chunk.chunk.from);
        let about = loaded(own.chain(offered.iter().filter_map(|chunk| chunk.from.as_ref())));
        let about =
            with_hops(about, self.open.iter().find_map(|chunk| chunk.chunk.step.as_ref()).map(|step| &*step.hops));
        let data = commit_data(files, operation, about, metadata, transactions);
        let error = match self.snapshot.put(&data).await {
            Ok(version) => {
                let committed = |chunk| Decided { chunk, outcome: CommitOutcome::Committed(version) };
                self.decided.extend(self.open.drain(..).map(committed));
                return Ok(());
            }
            Err(error) => error,
        };
        match loss(&error) {
            Loss::Conflict => {
                self.context.progress.commit_conflicts.add(1);
                self.was_refused = true;
                return Ok(());
            }
            Loss::Refused => {}
            Loss::Unknown => self.in_doubt = true,
        }
        Err(LoadError::table(self.snapshot.table().uri(), "commit to", error))
    }

    /// What others offer, and what goes into the same version so.
    async fn offered(&self, seen: Seen) -> Vec<Offered> {
        let own = self.open.iter().filter_map(|chunk| chunk.chunk.origin.as_ref());
        let own = own.flat_map(new_seals);
        let seals = self.seals.clone().into_iter().chain(own);
        self.offers.of_others(seen, &self.snapshot, &self.open, seals.collect()).await
    }

    /// One transaction a chunk, and the seal of each job that the table does not know yet: a broken one of jobs that others were
    /// begun in place of.
    fn new_transactions(&self, offered: &[Offered]) -> Vec<Transaction> {
        let now = crate::delta::log::now();
        let new = |id: &String, version| Transaction::new_with_last_update(id, version, Some(now));
        let own = self.open.iter().map(|chunk| (&chunk.chunk.app_id, chunk.chunk.txn_version()));
        let ids = own.chain(offered.iter().map(|chunk| (&chunk.app_id, CHUNK_VERSION)));
        let own = self.open.iter().filter_map(|chunk| chunk.chunk.origin.as_ref());
        let seals: BTreeMap<String, i64> = own
            .flat_map(new_seals)
            .filter(|(id, _)| !self.seals.contains_key(id))
            .chain(offered.iter().filter_map(|chunk| chunk.seal.clone()))
            .collect();
        ids.map(|(id, version)| new(id, version)).chain(seals.iter().map(|(id, seal)| new(id, *seal))).collect()
    }

    /// Deletes the files of a chunk that no commit can name any more.
    async fn discard(&self, chunk: &Prepared) {
        if !self.in_doubt && !self.terms.whole {
            self.snapshot.table().delete_files(&chunk.files).await;
        }
    }
}

/// The seals that the table has once chunks of a job are in it.
fn new_seals(origin: &Origin) -> impl Iterator<Item = (String, i64)> {
    let superseded = origin.superseded_seal_ids().map(|id| (id, Seal::UNDONE.0));
    iter::once((origin.seal_id(), origin.seal.0)).chain(superseded)
}
