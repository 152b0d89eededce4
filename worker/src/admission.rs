//! What a message may ask for. Who can send a message is not thereby allowed to read files of this machine, to load rows of the
//! table into it once more, or to write to other tables: what counts is what lies in the work areas, where only Sluice writes.

use std::collections::HashMap;

use futures::future::join_all;
use shared::{
    Checkpoint, ChunkEntry, ChunkIdentity, Location, Manifest, Settings, Storage, StorageError, WorkArea, try_get_json,
};

use crate::LoadContext;
use crate::error::LoadError;

fn refused(chunk: &Location, reason: impl Into<String>) -> LoadError {
    LoadError::Refused { chunk: chunk.clone(), reason: reason.into() }
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
        return Err(refused(at, format!("work areas of this deployment lie in {prefix}, by the names of their jobs")));
    }
    if area.chunk(*index) != *at {
        return Err(refused(at, format!("it is not chunk {index} of its job")));
    }
    Ok(area)
}

/// The table of a job is the worker's own, where it has one.
pub(crate) fn check_table(settings: &Settings, at: &Location, table: Option<&Location>) -> Result<(), LoadError> {
    match (&settings.table, table) {
        (Some(own), Some(other)) if own != other => {
            Err(refused(at, format!("its job is bound for table {other}, and this worker loads into {own}")))
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
pub(crate) async fn check_bare(context: &LoadContext, at: &Location, table: &Location) -> Result<(), LoadError> {
    let settings = &context.settings;
    check_machine(settings, at)?;
    if table.contains(at) {
        return Err(refused(at, format!("it lies in table {table} itself")));
    }
    let storage = context.storage.as_ref();
    let above: Vec<Location> = std::iter::successors(at.parent(), Location::parent).collect();
    let looks = above.iter().map(|folder| async move { Holds::of(storage, folder).await.map(|holds| (holds, folder)) });
    for look in join_all(looks).await {
        match look? {
            (Some(Holds::Job), area) => {
                let reason =
                    format!("it lies in the work area {area}, from where chunks are loaded by their own tasks");
                return Err(refused(at, reason));
            }
            (Some(Holds::Log), table) => return Err(refused(at, format!("it lies in the table {table}"))),
            (None, _) => {}
        }
    }
    // What is left of a work area whose documents have expired.
    let is_left = at.parent().is_some_and(|folder| matches!(folder.name(), "chunks" | "quarantine"));
    if is_left && settings.work_prefix.as_ref().is_some_and(|prefix| prefix.contains(at)) {
        return Err(refused(at, "it lies where a work area was, from where chunks are loaded by their own tasks"));
    }
    Ok(())
}

/// What a folder holds that says whose its files are.
#[derive(Clone, Copy, Debug)]
enum Holds {
    Job,
    /// Of a Delta table: its first entry is there until there is a checkpoint, and then a hint at that.
    Log,
}

impl Holds {
    async fn of(storage: &dyn Storage, folder: &Location) -> Result<Option<Self>, StorageError> {
        for (name, holds) in [
            ("job.json", Self::Job),
            ("_delta_log/00000000000000000000.json", Self::Log),
            ("_delta_log/_last_checkpoint", Self::Log),
        ] {
            if exists(storage, &folder.join(name)).await? {
                return Ok(Some(holds));
            }
        }
        Ok(None)
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
