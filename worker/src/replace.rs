//! Earlier drops whose rows leave the table in the commit of the drop that takes their place (`ON_REPLACE=replace`).

use std::collections::HashMap;

use deltalake::kernel::{Remove, Transaction};
use serde_json::Value;
use shared::{Removed, Seal, Storage, WorkArea};

use crate::error::LoadError;
use crate::head::Head;
use crate::log::now;
use crate::route::{Replaced, job_app_id};
use crate::undo::{find, metrics};

/// What goes when a drop comes.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Files of earlier drops.
    pub(crate) removes: Vec<Remove>,
    /// Broken seals of their jobs: a chunk that is still on its way to the table is not let in behind this.
    pub(crate) seals: Vec<Transaction>,
    removed: Removed,
}

impl Outgoing {
    /// Finds what earlier drops, and replays of what they rejected, have in the table at the version that `head` is at. A drop that
    /// others have rewritten since fails with [`LoadError::Mingled`].
    pub(crate) async fn find(storage: &dyn Storage, head: &Head, replaced: &Replaced) -> Result<Self, LoadError> {
        let mut outgoing = Self { removed: Removed { rows: Some(0), ..Removed::default() }, ..Self::default() };
        let mut jobs = replaced.drops.before(storage, replaced.before).await?;
        while let Some(job) = jobs.pop() {
            let id = job_app_id(&job);
            match head.transaction(&id).await?.map(Seal) {
                // Of what it rejected nothing comes in any more, and what was there went with it.
                Some(Seal::UNDONE) => continue,
                Some(_) => {
                    let area = WorkArea::new(&replaced.work_prefix, &job);
                    let files = find(storage, head, &job, &area).await?;
                    outgoing.removes.extend(files.removes);
                    outgoing.removed += files.removed;
                }
                None => {}
            }
            outgoing.seals.push(Transaction::new_with_last_update(id, Seal::UNDONE.0, Some(now())));
            jobs.extend(replaced.drops.replays_of(storage, &job).await?);
        }
        Ok(outgoing)
    }

    /// What the commit says of itself beside its files.
    pub(crate) fn metadata(&self) -> HashMap<String, Value> {
        if self.removes.is_empty() { HashMap::new() } else { HashMap::from([metrics(self.removed)]) }
    }
}
