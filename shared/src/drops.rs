//! The drops of one source for one table, in the order in which they were made: which job took the place of which.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::job::{JobId, hex};
use crate::storage::{Location, PutMode, Storage, StorageError, get_json, put_json};

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// Where the drops of a source are noted: below the prefix of work areas, one document a drop, named by its number.
///
/// Numbers are given by put-if-absent, so they are never given twice. A drop that takes its number while its version of the source
/// is the one that lies there comes behind all drops of earlier versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops {
    root: Location,
}

/// The job of one drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Drop {
    /// Version of this document, 1.
    version: u32,
    job_id: JobId,
}

impl Drops {
    /// The drops of a source for a table, or for what else it is bound for.
    pub fn new(work_prefix: &Location, source: &Location, destination: &Location) -> Self {
        let mut digest = Sha256::new();
        for part in [source.to_string(), destination.to_string()] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        // No job's name begins with an underscore.
        Self { root: work_prefix.join(&format!("_drops/{}", hex(&digest.finalize(), 16))) }
    }

    /// Their jobs, the earliest first; the first one has number 1.
    pub async fn all(&self, storage: &dyn Storage) -> Result<Vec<JobId>, StorageError> {
        let mut listed: Vec<Location> =
            storage.list(&self.root).await?.into_iter().map(|listed| listed.location).collect();
        listed.sort();
        let reads = listed.into_iter().map(|at| async move { get_json::<Drop>(storage, &at, "drop").await });
        stream::iter(reads).buffered(AT_ONCE).map_ok(|drop| drop.job_id).try_collect().await
    }

    /// The jobs before that with this number.
    pub async fn before(&self, storage: &dyn Storage, number: u32) -> Result<Vec<JobId>, StorageError> {
        let mut jobs = self.all(storage).await?;
        jobs.truncate(usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX));
        Ok(jobs)
    }

    /// The number of a job; gives it the next one when it has none.
    pub async fn number(&self, storage: &dyn Storage, job: &JobId) -> Result<u32, StorageError> {
        loop {
            let known = self.all(storage).await?;
            if let Some(place) = known.iter().rposition(|known| known == job) {
                return Ok(number(place));
            }
            let next = number(known.len());
            let drop = Drop { version: 1, job_id: job.clone() };
            match put_json(storage, &self.root.join(&format!("{next:08}.json")), &drop, PutMode::IfAbsent).await {
                Ok(()) => return Ok(next),
                // Another drop, or another attempt at this one, was quicker.
                Err(StorageError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The number of the drop at a place from 0.
fn number(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}
