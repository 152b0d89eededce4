//! Earlier drops whose rows leave the table in the commit of the drop that takes their place (`ON_REPLACE=replace`).

use std::collections::{BTreeSet, HashMap, HashSet};

use deltalake::kernel::{Remove, Transaction};
use serde_json::Value;
use shared::{Drops, JobId, Removed, Seal, Storage, WorkArea};

use crate::chunk::Replaced;
use crate::delta::app_ids::job_app_id;
use crate::delta::commit_info::metrics;
use crate::delta::log::now;
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;
use crate::undo::files::{find, jobs_with_files};

/// What goes when a drop comes.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Files of earlier drops.
    pub(crate) removes: Vec<Remove>,
    /// Broken seals of their jobs: a chunk that is still on its way to the table is not let in behind this.
    pub(crate) seals: Vec<Transaction>,
    removed: Removed,
    /// Jobs of which files are in the table, once that was asked for: it takes a look at each file.
    with_files: Option<HashSet<String>>,
}

impl Outgoing {
    /// Finds what earlier drops, and replays of what they rejected, have in the table at the version that `snapshot` is at. A drop that
    /// others have rewritten since fails with [`LoadError::Mingled`].
    pub(crate) async fn find(
        storage: &dyn Storage,
        snapshot: &TableSnapshot,
        replaced: &Replaced,
        by: &JobId,
    ) -> Result<Self, LoadError> {
        let mut outgoing = Self { removed: Removed { rows: Some(0), ..Removed::default() }, ..Self::default() };
        let mut seen = BTreeSet::from([by.clone()]);
        for (drops, before) in &replaced.drops {
            let mut jobs = drops.before(storage, *before).await?;
            while let Some(job) = jobs.pop() {
                // By way of a link the same job may be among the drops of two names.
                if seen.insert(job.clone()) {
                    jobs.extend(outgoing.take(storage, snapshot, replaced, drops, &job).await?);
                }
            }
        }
        Ok(outgoing)
    }

    /// Takes what one job has in the table; gives the replays of what it rejected.
    async fn take(
        &mut self,
        storage: &dyn Storage,
        snapshot: &TableSnapshot,
        replaced: &Replaced,
        drops: &Drops,
        job: &JobId,
    ) -> Result<Vec<JobId>, LoadError> {
        let id = job_app_id(job);
        match snapshot.transaction(&id).await?.map(Seal) {
            // Of what it rejected nothing comes in any more, and what was there went with it.
            Some(Seal::UNDONE) if !self.has_files(snapshot, &id) => return Ok(Vec::new()),
            Some(_) => {
                let area = WorkArea::new(&replaced.work_prefix, job);
                let files = find(storage, snapshot, job, &area).await?;
                self.removes.extend(files.removes);
                self.removed += files.removed;
            }
            None => {}
        }
        self.seals.push(Transaction::new_with_last_update(id, Seal::UNDONE.0, Some(now())));
        Ok(drops.replays_of(storage, job).await?)
    }

    /// Whether files in the table say that they are a job's, by its application id.
    fn has_files(&mut self, snapshot: &TableSnapshot, id: &str) -> bool {
        self.with_files.get_or_insert_with(|| jobs_with_files(snapshot)).contains(id)
    }

    /// What the commit says of itself beside its files.
    pub(crate) fn metadata(&self) -> HashMap<String, Value> {
        if self.removes.is_empty() { HashMap::new() } else { HashMap::from([metrics(self.removed)]) }
    }
}
