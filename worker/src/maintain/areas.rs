//! Work areas: what finished jobs leave behind, and what unfinished ones have staged.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use shared::{Job, JobId, Location, Storage, StorageError, StoredObject, WorkArea, get_json, try_get_json};

use super::cleared::{Cleared, before};
use crate::context::LoadContext;
use crate::delta::staging::STALE;
use crate::error::LoadError;
use crate::receipts::completion;

/// Objects that are read or removed at once.
const AT_ONCE: usize = 16;

/// Age of a receipt from which its notice is given up to have been sent by whoever wrote it.
const SETTLED: Duration = Duration::from_mins(5);

/// What lay in the work areas below a prefix at one time.
#[derive(Debug)]
pub(super) struct WorkAreas(BTreeMap<Location, Area>);

/// A work area.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether a document is there")]
struct Area {
    at: WorkArea,
    /// When the job was pinned.
    begun: Option<SystemTime>,
    /// Whether there is a note of why it was given up.
    has_failed: bool,
    /// When the job came to its end: all is loaded, or it is undone.
    ended: Option<SystemTime>,
    /// Whether all of the source is split, and what tells of its end is there.
    is_split: bool,
    has_receipt: bool,
    has_notice: bool,
    is_undone: bool,
    /// Chunks, and what was noted on the way of each into the table.
    transient: Vec<StoredObject>,
    /// Documents that may name data files.
    documents: Vec<StoredObject>,
}

/// Jobs that are neither in their table as a whole, nor noted as failed, nor undone: they are in progress, or stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnfinishedJobs {
    /// How many.
    pub jobs: u64,
    /// Seconds since the oldest was begun.
    pub oldest_seconds: u64,
}

impl WorkAreas {
    /// Lists all below a prefix.
    pub(super) async fn look(storage: &dyn Storage, prefix: &Location) -> Result<Self, LoadError> {
        let mut areas = BTreeMap::new();
        for listed in storage.list(prefix).await? {
            let Some((job, name)) = place(prefix, &listed.location) else { continue };
            let at = WorkArea::new(prefix, &JobId::from(job));
            let area = areas.entry(at.root().clone()).or_insert_with(|| Area::new(at));
            area.take(&name, listed);
        }
        Ok(Self(areas))
    }

    /// Names of data files that jobs have written down and not committed, whatever document they are in. Old documents do not count:
    /// should their job be resumed after all, it takes its files to be gone and writes them again.
    pub(super) async fn staged_files(&self, storage: &dyn Storage) -> Result<HashSet<String>, LoadError> {
        let oldest = before(STALE);
        let unfinished = self.0.values().filter(|area| area.ended.is_none());
        let young = unfinished.flat_map(|area| &area.documents).filter(|document| document.modified >= oldest);
        let documents: Vec<Location> = young.map(|document| document.location.clone()).collect();
        let reads = documents.into_iter().map(|at| async move { try_get_json::<Value>(storage, &at, "note").await });
        let mut read = stream::iter(reads).buffer_unordered(AT_ONCE);
        let mut names = HashSet::new();
        while let Some(document) = read.try_next().await? {
            take_names(&document.unwrap_or_default(), &mut names);
        }
        Ok(names)
    }

    /// Writes receipts of jobs for this table that are done and have none, and sends notices that nobody sent: who was to do it
    /// may have died, and its message may be let go, as that of a file which was overwritten since. Gives how many.
    pub(super) async fn complete(&mut self, context: &LoadContext, table: &Location) -> Result<u64, LoadError> {
        let (storage, completion) = (context.storage.as_ref(), completion(context));
        let (mut completed, mut failed) = (0, None);
        for area in self.0.values_mut() {
            // Whoever wrote the receipt may be about to send the notice.
            let is_settled = area.ended.is_some_and(|ended| ended < before(SETTLED));
            let lacks_notice =
                area.has_receipt && !area.is_undone && is_settled && !area.has_notice && context.topic.is_some();
            let lacks_receipt = area.is_split && area.ended.is_none();
            if !lacks_receipt && !lacks_notice {
                continue;
            }
            let made_good = async {
                if !is_for(storage, &area.at, table).await? {
                    return Ok::<_, LoadError>(None);
                }
                Ok(completion.ensure_complete(&area.at).await?)
            };
            match made_good.await {
                Ok(receipt) => {
                    area.ended = area.ended.or(receipt.as_ref().map(|_| SystemTime::now()));
                    completed += u64::from(receipt.is_some_and(|receipt| lacks_receipt || receipt.is_noticed));
                }
                // One job does not keep the others from their ends.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(completed), Err)
    }

    /// Jobs for this table whose fate is open; none when there are none.
    pub(super) async fn unfinished(
        &self,
        storage: &dyn Storage,
        table: &Location,
    ) -> Result<Option<UnfinishedJobs>, LoadError> {
        let (mut jobs, mut oldest) = (0, None);
        // A file that was refused and then split to its end after all is no failure any more.
        let is_open = |area: &&Area| area.ended.is_none() && (!area.has_failed || area.is_split);
        for area in self.0.values().filter(is_open) {
            let Some(begun) = area.begun else { continue };
            if is_for(storage, &area.at, table).await? {
                jobs += 1;
                oldest = Some(oldest.map_or(begun, |oldest: SystemTime| oldest.min(begun)));
            }
        }
        let age = |begun: SystemTime| SystemTime::now().duration_since(begun).unwrap_or_default().as_secs();
        Ok(oldest.map(|oldest| UnfinishedJobs { jobs, oldest_seconds: age(oldest) }))
    }

    /// Removes chunks of jobs for this table that ended before a time.
    pub(super) async fn clear(
        &mut self,
        storage: &dyn Storage,
        table: &Location,
        ended_before: SystemTime,
        dry_run: bool,
    ) -> Result<Cleared, LoadError> {
        let mut cleared = Cleared::default();
        for area in self.0.values_mut() {
            let is_old = area.ended.is_some_and(|ended| ended < ended_before);
            if !is_old || area.transient.is_empty() || !is_for(storage, &area.at, table).await? {
                continue;
            }
            tracing::info!(area = %area.at.root(), objects = area.transient.len(), dry_run, "chunks to be removed");
            area.transient.iter().for_each(|object| cleared.add(object.size));
            if !dry_run {
                let removes =
                    area.transient.drain(..).map(|object| async move { storage.delete(&object.location).await });
                stream::iter(removes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            }
        }
        Ok(cleared)
    }
}

impl Area {
    fn new(at: WorkArea) -> Self {
        Self {
            at,
            begun: None,
            has_failed: false,
            ended: None,
            is_split: false,
            has_receipt: false,
            has_notice: false,
            is_undone: false,
            transient: Vec::new(),
            documents: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, listed: StoredObject) {
        if name == self.at.job().name() {
            self.begun = Some(listed.modified);
        }
        self.has_failed |= name == self.at.load_failure().name();
        self.is_split |= name == self.at.manifest().name();
        self.has_receipt |= name == self.at.receipt().name();
        self.has_notice |= name == self.at.noticed().name();
        self.is_undone |= name == self.at.undone().name();
        match name.split_once('/') {
            None if name == self.at.receipt().name() || name == self.at.undone().name() => {
                self.ended = self.ended.max(Some(listed.modified));
            }
            Some(("chunks" | "staged" | "prepared", _)) => {
                if is_document(&listed.location) {
                    self.documents.push(listed.clone());
                }
                self.transient.push(listed);
            }
            Some((folder, _)) if folder != "loaded" && is_document(&listed.location) => {
                self.documents.push(listed);
            }
            _ => {}
        }
    }
}

/// Whether an object is a JSON document, by its name.
fn is_document(at: &Location) -> bool {
    at.name().rsplit_once('.').is_some_and(|(_, ending)| ending == "json")
}

/// The job and the name within its work area.
fn place(prefix: &Location, at: &Location) -> Option<(String, String)> {
    let (prefix, at) = (prefix.to_string(), at.to_string());
    let (job, name) = at.strip_prefix(&prefix)?.trim_start_matches('/').split_once('/')?;
    // What begins with an underscore is not a job's.
    (!job.starts_with('_')).then(|| (job.to_owned(), name.to_owned()))
}

/// Whether a work area is of a job for this table.
async fn is_for(storage: &dyn Storage, area: &WorkArea, table: &Location) -> Result<bool, LoadError> {
    // Those that lie in the table were moved or copied with it.
    if area.root().parent() == Some(table.join("_sluice")) {
        return Ok(true);
    }
    match get_json::<Job>(storage, &area.job(), "job").await {
        Ok(job) => Ok(job.table.as_ref() == Some(table)),
        Err(StorageError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the last part of every text that could be the path of a data file. They have names that never come twice.
fn take_names(value: &Value, names: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            if let Some((_, "parquet")) = text.rsplit_once('.') {
                names.insert(text.rsplit('/').next().unwrap_or_default().to_owned());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| take_names(value, names)),
        Value::Object(fields) => fields.values().for_each(|value| take_names(value, names)),
        _ => {}
    }
}
