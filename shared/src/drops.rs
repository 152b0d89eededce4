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
/// Numbers are given by put-if-absent, so they are never given twice. A drop has a higher number than all that lay there before it, unless
/// one of those took its number late: that one cannot be read any more, so it comes to nothing.
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::MemoryStorage;

    #[tokio::test]
    async fn numbers_are_given_once_and_kept() {
        let storage = MemoryStorage::default();
        let at = |uri: &str| uri.parse::<Location>().unwrap();
        let drops = Drops::new(&at("s3://b/p"), &at("s3://in/x.csv"), &at("s3://lake/t"));
        let job = |name: &str| JobId::from(name.to_owned());
        let jobs = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].map(job);
        for (number, name) in (1..).zip(&jobs) {
            assert_eq!(drops.number(&storage, name).await.unwrap(), number);
        }
        assert_eq!(drops.number(&storage, &jobs[1]).await.unwrap(), 2);
        assert_eq!(drops.before(&storage, 3).await.unwrap(), jobs[..2]);
        assert_eq!(drops.all(&storage).await.unwrap(), jobs);
        let other = Drops::new(&at("s3://b/p"), &at("s3://in/x.csv"), &at("s3://lake/u"));
        assert_eq!(other.all(&storage).await.unwrap(), []);
    }

    #[tokio::test]
    async fn racing_drops_have_different_numbers() {
        let storage = MemoryStorage::default();
        let drops = Drops::new(
            &"s3://b/p".parse().unwrap(),
            &"s3://in/x.csv".parse().unwrap(),
            &"s3://lake/t".parse().unwrap(),
        );
        let jobs: Vec<JobId> = (0..8).map(|number| JobId::from(format!("j{number}"))).collect();
        let racing = jobs.iter().map(|job| drops.number(&storage, job));
        let mut numbers = futures::future::try_join_all(racing).await.unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    }
}
