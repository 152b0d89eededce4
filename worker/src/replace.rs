//! Earlier drops whose rows leave the table in the commit of the drop that takes their place (`ON_REPLACE=replace`).

use std::collections::HashMap;

use deltalake::kernel::{Remove, Transaction};
use serde_json::Value;
use shared::{JobId, PutMode, Removed, Seal, Storage, StorageError, Undone, WorkArea, put_json};

use crate::error::LoadError;
use crate::head::Head;
use crate::log::now;
use crate::route::{Origin, Replaced, RoutedChunk, job_app_id};
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
    /// Finds what earlier drops have in the table at the version that `head` is at. A drop that others have rewritten since fails
    /// with [`LoadError::Mingled`].
    pub(crate) async fn find(storage: &dyn Storage, head: &Head, replaced: &Replaced) -> Result<Self, LoadError> {
        let mut outgoing = Self { removed: Removed { rows: Some(0), ..Removed::default() }, ..Self::default() };
        for job in replaced.drops.before(storage, replaced.before).await? {
            let id = job_app_id(&job);
            match head.transaction(&id).await?.map(Seal) {
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
        }
        Ok(outgoing)
    }

    /// What the commit says of itself beside its files.
    pub(crate) fn metadata(&self) -> HashMap<String, Value> {
        if self.removes.is_empty() { HashMap::new() } else { HashMap::from([metrics(self.removed)]) }
    }
}

/// Notes in the work areas of earlier drops that their rows are no longer in the table. Where none is left, nothing is made.
pub(crate) async fn note(storage: &dyn Storage, chunk: &RoutedChunk) -> Result<(), LoadError> {
    let Some(Origin { identity, replaced: Some(replaced), .. }) = &chunk.origin else { return Ok(()) };
    for job in replaced.drops.before(storage, replaced.before).await? {
        note_one(storage, &WorkArea::new(&replaced.work_prefix, &job), chunk, job, &identity.job_id).await?;
    }
    Ok(())
}

async fn note_one(
    storage: &dyn Storage,
    area: &WorkArea,
    chunk: &RoutedChunk,
    job: JobId,
    by: &JobId,
) -> Result<(), LoadError> {
    match storage.stat(&area.job()).await {
        Err(StorageError::NotFound { .. }) => return Ok(()),
        found => found?,
    };
    let (table, replaced_by) = (chunk.table.clone(), Some(by.clone()));
    let undone = Undone { version: 1, job_id: job, table, table_version: None, removed: None, replaced_by };
    match put_json(storage, &area.undone(), &undone, PutMode::IfAbsent).await {
        Ok(()) | Err(StorageError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
