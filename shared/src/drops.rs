//! The drops of one source for one table, in the order in which they were made: which job took the place of which.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::job::{Job, JobId};
use crate::location::Location;
use crate::policy::OnReplace;
use crate::storage::{PutMode, Storage, StorageError, get_json, put_json};
use crate::undone::{Removed, Undone};
use crate::work_area::WorkArea;

/// Name of the prefix of work areas that lies in the table itself.
const IN_TABLE: &str = "_sluice";

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// Where the drops of a source are noted: beside the prefix of work areas, one document a drop, named by its number. Not below it, for
/// work areas may expire, and the order of drops must not.
///
/// Numbers are given by put-if-absent, so they are never given twice. A drop has a higher number than all that lay there before it, unless
/// one of those took its number late: that one cannot be read any more, so it comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops {
    root: Location,
    work_prefix: Location,
    destination: Location,
}

/// The job of one drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DropEntry {
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
        let root = work_prefix.beside("_drops").join(&hex(&digest.finalize(), 16));
        Self { root, work_prefix: work_prefix.clone(), destination: destination.clone() }
    }

    /// The drops that a job is one of, each with its number among them, as far as it has one: those of its source, and those of the
    /// link by which it was dropped.
    pub fn of(work_prefix: &Location, job: &Job) -> Vec<(Self, Option<u32>)> {
        let Some(destination) = job.destination() else { return Vec::new() };
        let of_source = match job.replay_of.last() {
            Some(of) => Self::replays(work_prefix, &of.job_id, &destination),
            None => Self::new(work_prefix, &job.source.uri, &destination),
        };
        match &job.dropped_as {
            None => vec![(of_source, job.drop)],
            Some(link) => {
                let of_link = Self::new(work_prefix, &Location::as_written(link), &destination);
                vec![(of_link, job.drop), (of_source, job.drop_of_target)]
            }
        }
    }

    /// Those of them that have others before a job that is to take their place.
    pub fn replaced_by(work_prefix: &Location, job: &Job) -> Vec<(Self, u32)> {
        if job.load.on_replace == OnReplace::Append {
            return Vec::new();
        }
        let numbered = Self::of(work_prefix, job).into_iter();
        numbered.filter_map(|(drops, number)| Some((drops, number.filter(|number| *number > 1)?))).collect()
    }

    /// The replays of what a job rejected: drops of its quarantine.
    pub fn replays(work_prefix: &Location, job: &JobId, destination: &Location) -> Self {
        // A work area that lies in its table was moved or copied with it; what is noted below it keeps its name.
        let is_in_table = work_prefix.name() == IN_TABLE;
        let named = if is_in_table { destination.join(IN_TABLE) } else { work_prefix.clone() };
        Self::new(work_prefix, &WorkArea::new(&named, job).quarantine(), destination)
    }

    /// Their jobs, the earliest first.
    pub async fn all(&self, storage: &dyn Storage) -> Result<Vec<JobId>, StorageError> {
        Ok(self.numbered(storage).await?.into_iter().map(|(_, job)| job).collect())
    }

    /// The jobs before that with this number; their replays go with them, see [`Self::replays_of`].
    pub async fn before(&self, storage: &dyn Storage, number: u32) -> Result<Vec<JobId>, StorageError> {
        let numbered = self.numbered(storage).await?.into_iter();
        Ok(numbered.take_while(|(other, _)| *other < number).map(|(_, job)| job).collect())
    }

    /// The replays of what a job for the same table rejected.
    pub async fn replays_of(&self, storage: &dyn Storage, job: &JobId) -> Result<Vec<JobId>, StorageError> {
        Self::replays(&self.work_prefix, job, &self.destination).all(storage).await
    }

    /// Jobs, and all replays of what they, or their replays, rejected.
    pub async fn with_replays(&self, storage: &dyn Storage, mut jobs: Vec<JobId>) -> Result<Vec<JobId>, StorageError> {
        let mut next = 0;
        while let Some(job) = jobs.get(next) {
            jobs.extend(self.replays_of(storage, job).await?);
            next += 1;
        }
        Ok(jobs)
    }

    /// The number of a job, from 1; gives it the next one when it has none.
    pub async fn number(&self, storage: &dyn Storage, job: &JobId) -> Result<u32, StorageError> {
        loop {
            let known = self.numbered(storage).await?;
            if let Some((number, _)) = known.iter().rfind(|(_, known)| known == job) {
                return Ok(*number);
            }
            let next = known.last().map_or(1, |(number, _)| number.saturating_add(1));
            let drop = DropEntry { version: 1, job_id: job.clone() };
            match put_json(storage, &self.root.join(&format!("{next:08}.json")), &drop, PutMode::IfAbsent).await {
                Ok(()) => return Ok(next),
                // Another drop, or another attempt at this one, was quicker.
                Err(StorageError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// All drops with their numbers, in order.
    async fn numbered(&self, storage: &dyn Storage) -> Result<Vec<(u32, JobId)>, StorageError> {
        let listed = storage.list(&self.root).await?.into_iter().map(|listed| listed.location);
        let number = |at: &Location| at.name().strip_suffix(".json").and_then(|name| name.parse().ok());
        let mut numbered: Vec<(u32, Location)> = listed.filter_map(|at| Some((number(&at)?, at))).collect();
        numbered.sort();
        let reads = numbered.into_iter().map(|(number, at)| async move {
            get_json::<DropEntry>(storage, &at, "drop").await.map(|drop| (number, drop.job_id))
        });
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }
}

/// Notes in the work areas of the drops before a job, whose place it has taken, that their rows are no longer in the table, and in those of
/// earlier generations that it was begun in place of, that none ever will be. Where no work area is left, nothing is made.
pub(crate) async fn note_replaced(storage: &dyn Storage, area: &WorkArea, job: &Job) -> Result<(), StorageError> {
    let (Some(table), Some(prefix)) = (&job.table, area.root().parent()) else { return Ok(()) };
    let mut unnoted = Vec::new();
    for (drops, number) in Drops::replaced_by(&prefix, job) {
        take_unnoted(storage, &prefix, &drops, number, job, &mut unnoted).await?;
    }
    for former in &job.instead_of {
        let area = WorkArea::new(&prefix, former);
        if storage.exists(&area.job()).await? {
            unnoted.push((area, former.clone()));
        }
    }
    // Replays before what they replay: where that is noted, so are they.
    for (area, job_id) in unnoted.into_iter().rev() {
        let (table, replaced_by) = (table.clone(), Some(job.job_id.clone()));
        let removed = job.instead_of.contains(&job_id).then_some(Removed { rows: Some(0), ..Removed::default() });
        let undone = Undone { version: 1, job_id, table, table_version: None, removed, replaced_by };
        match put_json(storage, &area.undone(), &undone, PutMode::IfAbsent).await {
            Ok(()) | Err(StorageError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes the jobs before a number, and their replays, of which it is not noted that their rows are gone.
async fn take_unnoted(
    storage: &dyn Storage,
    prefix: &Location,
    drops: &Drops,
    number: u32,
    job: &Job,
    unnoted: &mut Vec<(WorkArea, JobId)>,
) -> Result<(), StorageError> {
    let mut earlier = drops.before(storage, number).await?;
    // By way of a link the same job may be among the drops of two names.
    earlier.retain(|earlier| *earlier != job.job_id);
    while let Some(job_id) = earlier.pop() {
        let area = WorkArea::new(prefix, &job_id);
        if storage.exists(&area.job()).await? && !storage.exists(&area.undone()).await? {
            earlier.extend(drops.replays_of(storage, &job_id).await?);
            unnoted.push((area, job_id));
        }
    }
    Ok(())
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
        // Whoever cleans up by age takes the first ones first.
        for gone in 1..=8 {
            storage.delete(&drops.root.join(&format!("{gone:08}.json"))).await.unwrap();
        }
        assert_eq!(drops.number(&storage, &jobs[10]).await.unwrap(), 11);
        assert_eq!(drops.number(&storage, &job("l")).await.unwrap(), 12);
        assert_eq!(drops.before(&storage, 11).await.unwrap(), jobs[8..10]);
        let other = Drops::new(&at("s3://b/p"), &at("s3://in/x.csv"), &at("s3://lake/u"));
        assert_eq!(other.all(&storage).await.unwrap(), []);
    }

    #[tokio::test]
    async fn replays_go_with_what_they_replay() {
        let storage = MemoryStorage::default();
        let at = |uri: &str| uri.parse::<Location>().unwrap();
        let (prefix, table) = (at("s3://b/p"), at("s3://lake/t"));
        let drops = Drops::new(&prefix, &at("s3://in/x.csv"), &table);
        let [first, second] = ["a", "b"].map(|name| JobId::from(name.to_owned()));
        let replay = first.of_replay(1);
        let of_replay = replay.of_replay(1);
        for job in [&first, &second] {
            drops.number(&storage, job).await.unwrap();
        }
        for (of, job) in [(&first, &replay), (&replay, &of_replay), (&second, &second.of_replay(1))] {
            Drops::replays(&prefix, of, &table).number(&storage, job).await.unwrap();
        }
        assert_eq!(drops.all(&storage).await.unwrap(), [first.clone(), second.clone()]);
        assert_eq!(drops.replays_of(&storage, &replay).await.unwrap(), std::slice::from_ref(&of_replay));
        assert_eq!(drops.with_replays(&storage, vec![first.clone()]).await.unwrap(), [first, replay, of_replay]);
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
