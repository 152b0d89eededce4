//! What a message may ask for. Who can send a message is not thereby allowed to read files of this machine, to load rows of the
//! table into it once more, or to write to other tables: what counts is what lies in the work areas, where only Sluice writes.

use std::collections::HashMap;

use futures::future::try_join_all;
use serde_json::Value;
use shared::{
    Checkpoint, ChunkEntry, ChunkIdentity, Location, Manifest, Settings, Storage, StorageError, WorkArea, try_get_json,
};

use crate::context::LoadContext;
use crate::error::LoadError;

pub(super) fn refused(chunk: &Location, reason: impl Into<String>) -> LoadError {
    LoadError::Refused { chunk: chunk.clone(), reason: reason.into() }
}

fn other_settings(chunk: &Location, reason: String, setting: String) -> LoadError {
    LoadError::OtherSettings { chunk: chunk.clone(), reason, setting }
}

/// The settings that make this the prefix of work areas.
fn other_prefix(prefix: &Location) -> String {
    match prefix {
        Location::S3 { bucket, key } => format!("CHUNK_BUCKET={bucket} CHUNK_PREFIX={}", key.trim_matches('/')),
        Location::Local { path } => format!("--work-dir {path}"),
    }
}

/// Files of this machine are read where chunks, or else the table, are files of it too.
fn check_machine(settings: &Settings, at: &Location) -> Result<(), LoadError> {
    let own = settings.work_prefix.as_ref().or(settings.table.as_ref());
    match (at, own) {
        (Location::S3 { .. }, _) | (_, Some(Location::Local { .. })) => Ok(()),
        (Location::Local { .. }, _) => {
            Err(refused(at, "it is a file of this machine, and chunks of this deployment are not"))
        }
    }
}

/// The work area of a chunk: its place follows from job and index, and lies where work areas of this deployment are.
pub(crate) fn area_of(settings: &Settings, at: &Location, identity: &ChunkIdentity) -> Result<WorkArea, LoadError> {
    check_machine(settings, at)?;
    let area = WorkArea::of_chunk(at).ok_or_else(|| LoadError::Stray { chunk: at.clone() })?;
    let ChunkIdentity { job_id, index, .. } = identity;
    if let Some(prefix) = settings.work_prefix.as_ref().filter(|prefix| WorkArea::new(prefix, job_id) != area) {
        let reason = format!("work areas of this deployment lie in {prefix}, by the names of their jobs");
        // The place of a work area of other settings.
        let other = area.root().parent().filter(|other| WorkArea::new(other, job_id) == area);
        return Err(match other {
            Some(other) => other_settings(at, reason, other_prefix(&other)),
            None => refused(at, reason),
        });
    }
    if area.chunk(*index) != *at {
        return Err(refused(at, format!("it is not chunk {index} of its job")));
    }
    Ok(area)
}

/// The table of a job without a route is the worker's own, where it has one. With routes, there is no other.
pub(crate) fn check_table(settings: &Settings, at: &Location, table: Option<&Location>) -> Result<(), LoadError> {
    match (&settings.table, table) {
        (Some(own), Some(other)) if own != other => {
            let reason = format!("its job is bound for table {other}, and this worker loads into {own}");
            Err(other_settings(at, reason, format!("TABLE_URI={other}")))
        }
        (None, Some(other)) if settings.routes.is_some() => {
            let reason = format!("its job is bound for table {other} by no route, and this worker loads by routes");
            Err(other_settings(at, reason, format!("TABLE_URI={other}")))
        }
        _ => Ok(()),
    }
}

/// What is known of the chunks of jobs, each looked up once.
#[derive(Debug, Default)]
pub(crate) struct KnownChunks(HashMap<Location, Known>);

#[derive(Debug)]
struct Known {
    chunks: Vec<ChunkEntry>,
    /// Whether these are all that there are.
    is_all: bool,
}

impl KnownChunks {
    /// A chunk is what manifest or checkpoint say that it is. One that comes before them is announced and not yet noted; then its
    /// place says which it is, and its bytes are held against the task.
    pub(crate) async fn check(
        &mut self,
        storage: &dyn Storage,
        at: &Location,
        area: &WorkArea,
        identity: &ChunkIdentity,
    ) -> Result<(), LoadError> {
        let root = area.root();
        if !self.0.contains_key(root) {
            self.0.insert(root.clone(), Known::of(storage, area).await?);
        }
        let Some(known) = self.0.get(root) else { return Ok(()) };
        let ChunkIdentity { index, rows, bytes, checksum, .. } = identity;
        match known.chunks.iter().find(|entry| entry.index == *index) {
            Some(entry) if (entry.rows, entry.bytes, &entry.checksum) == (*rows, *bytes, checksum) => Ok(()),
            Some(entry) => {
                let (told, noted) = (format!("{rows} rows, {bytes} bytes, {checksum}"), entry);
                let noted = format!("{} rows, {} bytes, {}", noted.rows, noted.bytes, noted.checksum);
                Err(refused(at, format!("its task says {told}, and its job {noted}")))
            }
            None if known.is_all => Err(refused(at, format!("its job has no chunk {index}"))),
            None => Ok(()),
        }
    }
}

impl Known {
    async fn of(storage: &dyn Storage, area: &WorkArea) -> Result<Self, StorageError> {
        if let Some(manifest) = try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? {
            return Ok(Self { chunks: manifest.chunks, is_all: true });
        }
        let checkpoint = try_get_json::<Checkpoint>(storage, &area.checkpoint(), "checkpoint").await?;
        Ok(Self { chunks: checkpoint.unwrap_or_default().chunks, is_all: false })
    }
}

/// A file that no task describes may lie anywhere but where its rows are, or will be, in a table by another way.
pub(crate) async fn check_bare(
    context: &LoadContext,
    folders: &mut Folders,
    at: &Location,
    table: &Location,
) -> Result<(), LoadError> {
    let settings = &context.settings;
    check_machine(settings, at)?;
    if table.contains(at) {
        return Err(refused(at, format!("it lies in table {table} itself")));
    }
    let above: Vec<Location> = std::iter::successors(at.parent(), Location::parent).collect();
    folders.look(context.storage.as_ref(), &above).await?;
    for folder in above {
        match folders.0.get(&folder) {
            Some(Some(Holds::Job)) => {
                let reason =
                    format!("it lies in the work area {folder}, from where chunks are loaded by their own tasks");
                return Err(refused(at, reason));
            }
            Some(Some(Holds::Log)) => return Err(refused(at, format!("it lies in the table {folder}"))),
            Some(None) | None => {}
        }
    }
    if settings.work_prefix.as_ref().is_some_and(|prefix| is_left_over(prefix, at)) {
        return Err(refused(at, "it lies where a work area was, from where chunks are loaded by their own tasks"));
    }
    Ok(())
}

/// Whether an object lies where a chunk or rejected rows of a job do, whose documents may have expired.
fn is_left_over(prefix: &Location, at: &Location) -> bool {
    let Some(folder) = at.parent() else { return false };
    let Some(name) = at.name().strip_suffix(".parquet") else { return false };
    let is_ours = match folder.name() {
        "chunks" => name.len() >= 5 && name.bytes().all(|byte| byte.is_ascii_digit()),
        "quarantine" => name.starts_with("split-") || name.starts_with("load-"),
        _ => false,
    };
    is_ours && folder.parent().and_then(|area| area.parent()).is_some_and(|above| above == *prefix)
}

/// What folders hold that says whose their files are, each looked up once; none for what is nobody's.
#[derive(Debug, Default)]
pub(crate) struct Folders(HashMap<Location, Option<Holds>>);

#[derive(Clone, Copy, Debug)]
enum Holds {
    Job,
    /// Of a Delta table: its first entry is there until there is a checkpoint, and then a hint at that.
    Log,
}

impl Folders {
    async fn look(&mut self, storage: &dyn Storage, folders: &[Location]) -> Result<(), StorageError> {
        let new = folders.iter().filter(|folder| !self.0.contains_key(*folder));
        let looks = new.map(|folder| async move { Ok((folder.clone(), Holds::of(storage, folder).await?)) });
        let found: Vec<_> = try_join_all(looks).await?;
        self.0.extend(found);
        Ok(())
    }
}

impl Holds {
    async fn of(storage: &dyn Storage, folder: &Location) -> Result<Option<Self>, StorageError> {
        if is_work_area(storage, folder).await? {
            return Ok(Some(Self::Job));
        }
        for name in ["_delta_log/00000000000000000000.json", "_delta_log/_last_checkpoint"] {
            if exists(storage, &folder.join(name)).await? {
                return Ok(Some(Self::Log));
            }
        }
        Ok(None)
    }
}

/// Whether the document of a job lies in a folder, and has the folder's name. Other programs have files called so as well.
async fn is_work_area(storage: &dyn Storage, folder: &Location) -> Result<bool, StorageError> {
    match try_get_json::<Value>(storage, &folder.join("job.json"), "job").await {
        Ok(job) => {
            let job = job.unwrap_or_default();
            Ok(job.get("job_id").and_then(Value::as_str) == Some(folder.name()))
        }
        Err(StorageError::Malformed { .. } | StorageError::Denied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is an object; where nothing may be looked up, there is none that this worker could have written.
async fn exists(storage: &dyn Storage, at: &Location) -> Result<bool, StorageError> {
    match storage.stat(at).await {
        Ok(_) => Ok(true),
        Err(StorageError::NotFound { .. } | StorageError::Denied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
