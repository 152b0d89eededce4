//! Work areas below a prefix, as one listing shows them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt, stream};
use shared::{Job, JobId, Location, Storage, StorageError, StoredObject, WorkArea, error_chain, try_get_json};

/// Documents of jobs that are read at once.
pub(crate) const AT_ONCE: usize = 16;

/// The work area of a job that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    pub(crate) job_id: JobId,
    pub(crate) at: WorkArea,
    /// When its `job.json` was written, by the clock of the store.
    pub(crate) begun: SystemTime,
    /// Chunks that have a receipt.
    pub(crate) loaded: Vec<u32>,
    /// Its documents by name, with the time at which each was written.
    documents: BTreeMap<String, SystemTime>,
}

impl Area {
    /// When a document of it was written; none where it is not there.
    pub(crate) fn written(&self, document: &Location) -> Option<SystemTime> {
        self.documents.get(document.name()).copied()
    }

    /// The document of what the job is; none, with a warning, where it cannot be read.
    pub(crate) async fn job(&self, storage: &dyn Storage) -> Result<Option<Job>, StorageError> {
        match try_get_json(storage, &self.at.job(), "job").await {
            Err(error @ StorageError::Malformed { .. }) => {
                tracing::warn!(error = error_chain(&error), "a document of another job is passed over");
                Ok(None)
            }
            read => read,
        }
    }
}

/// The work areas below a prefix, the one that was begun last first.
pub(crate) async fn areas(storage: &dyn Storage, prefix: &Location) -> Result<Vec<Area>, StorageError> {
    Ok(listed(prefix, storage.list(prefix).await?))
}

/// The jobs of some areas, in their order.
pub(crate) async fn jobs<'a>(
    storage: &dyn Storage,
    areas: impl Iterator<Item = &'a Area>,
) -> Result<Vec<Job>, StorageError> {
    let reads = areas.map(|area| area.job(storage)).collect::<Vec<_>>();
    let jobs: Vec<Option<Job>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(jobs.into_iter().flatten().collect())
}

/// Whether a job is among those of a table, where one is asked for: all jobs are whose work areas lie in it, and those that are bound for
/// no table, which go to their worker's.
pub(crate) fn belongs(job: &Job, prefix: &Location, table: Option<&Location>) -> bool {
    table.is_none_or(|table| *prefix == table.join("_sluice") || job.table.as_ref().is_none_or(|bound| bound == table))
}

fn listed(prefix: &Location, listed: Vec<StoredObject>) -> Vec<Area> {
    let mut areas: BTreeMap<String, (BTreeMap<String, SystemTime>, Vec<u32>)> = BTreeMap::new();
    for object in listed {
        let below = object.location.key().strip_prefix(prefix.key().trim_end_matches('/'));
        let Some((job, name)) = below.and_then(|below| below.trim_start_matches('/').split_once('/')) else { continue };
        let (documents, loaded) = areas.entry(job.to_owned()).or_default();
        match name.split_once('/') {
            None => drop(documents.insert(name.to_owned(), object.modified)),
            Some(("loaded", _)) => loaded.extend(WorkArea::index_of(&object.location)),
            Some(_) => {}
        }
    }
    let area = |(job, (documents, loaded)): (String, (BTreeMap<String, SystemTime>, Vec<u32>))| {
        let job_id = JobId::from(job);
        let at = WorkArea::new(prefix, &job_id);
        let begun = *documents.get(at.job().name())?;
        Some(Area { job_id, at, begun, loaded, documents })
    };
    let mut areas: Vec<Area> = areas.into_iter().filter_map(area).collect();
    areas.sort_by(|one, other| (other.begun, &other.job_id).cmp(&(one.begun, &one.job_id)));
    areas
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_listing_shows() {
        for root in ["s3://b", "s3://b/p/q", "/p/t/_sluice"] {
            let prefix: Location = root.parse().unwrap();
            let names =
                ["a-1/job.json", "a-1/loaded/00000.json", "a-1/loaded/x.json", "a-1/receipt.json", "b-2/job.json"];
            let others = ["_failures/m.json", "_store.json", "c-3/manifest.json"];
            let objects = (0..).zip(names.iter().chain(&others)).map(|(seconds, name)| StoredObject {
                location: prefix.join(name),
                size: 1,
                modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            });
            let areas = listed(&prefix, objects.collect());
            let names: Vec<&str> = areas.iter().map(|area| area.job_id.as_str()).collect();
            assert_eq!(names, ["b-2", "a-1"], "{root}");
            assert_eq!((&areas[1].loaded[..], areas[0].loaded.len()), (&[0][..], 0));
            let receipt = SystemTime::UNIX_EPOCH + Duration::from_secs(3);
            assert_eq!(areas[1].written(&areas[1].at.receipt()), Some(receipt));
            assert_eq!(areas[1].written(&areas[1].at.undone()), None);
        }
    }
}
