//! Looking after a table, apart from workers: small files, checkpoint, expired log, files that nothing names, work areas of finished
//! jobs.
//!
//! Only merging small files and fixing statistics add versions to the table. Each action first finds what there is to do and then does it, so a dry run tells
//! the same; each can be repeated, be cut off, and run twice at once.

mod areas;
pub(crate) mod asked;
pub(crate) mod cleared;
mod compact;
mod expired;
mod fix_statistics;
mod paths;
mod unfinished;
mod vacuum;

use deltalake::DeltaTableError;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use serde::Serialize;
use shared::{Backoff, Location, Storage, error_chain};

use crate::context::LoadContext;
use crate::delta::hint;
use crate::delta::log::last_checkpoint;
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;
use crate::verdict::Patience;
pub use areas::UnfinishedJobs;
use areas::WorkAreas;
use asked::{Checkpoints, LEAST_RETENTION, Maintenance, Vacuum};
use cleared::{Cleared, before, clear};
pub use compact::Compacted;
pub use fix_statistics::{FixedFile, FixedStatistics};

/// What was done for a table, or would be. What was switched off is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Maintained {
    /// The table.
    pub table: Location,
    /// Its version, after what this run added.
    pub version: u64,
    /// Whether nothing was done, since that was asked for.
    pub dry_run: bool,
    /// Small data files that were merged.
    pub compaction: Option<Compacted>,
    /// Statistics that were wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<FixedStatistics>,
    /// The checkpoint.
    pub checkpoint: Option<WrittenCheckpoint>,
    /// Log entries that were removed; none too when the table keeps all.
    pub log: Option<Cleared>,
    /// Data files that were removed.
    pub vacuum: Option<Cleared>,
    /// Files that killed processes had been writing, in the table and in work areas; none too when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Cleared>,
    /// What was removed from work areas.
    pub work_areas: Option<Cleared>,
    /// Jobs that were done and had no receipt, or no notice: theirs were made good. None in a dry run, which makes none.
    pub completed: Option<u64>,
    /// Jobs whose fate is open; none when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_jobs: Option<UnfinishedJobs>,
}

/// What became of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenCheckpoint {
    /// Version of the last one before.
    pub last: Option<u64>,
    /// What is wrong with the hint at the last one; nothing once another one is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_hint: Option<String>,
    /// Whether one was due, and is written unless this is a dry run.
    pub written: bool,
}

/// Does what is due for a table. `prefix` is where work areas are, of this table's jobs and perhaps of others'.
///
/// What fails may do so because another one cleaned up what was being read, so it is tried again.
pub async fn maintain(
    context: &LoadContext,
    table: &Location,
    prefix: &Location,
    asked: &Maintenance,
) -> Result<Maintained, LoadError> {
    if matches!(asked.vacuum, Vacuum::After(age) if age < LEAST_RETENTION) {
        return Err(LoadError::Retention { table: table.clone() });
    }
    let (mut backoff, mut patience) = (Backoff::new(&context.limits()), Patience::default());
    loop {
        let error = match attempt(context, table, prefix, asked).await {
            Err(error) if patience.bears(&error) => error,
            ended => return ended,
        };
        let Some(wait) = backoff.next_wait() else { return Err(error) };
        tracing::debug!(%table, error = error_chain(&error), "tried again");
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(
    context: &LoadContext,
    table: &Location,
    prefix: &Location,
    asked: &Maintenance,
) -> Result<Maintained, LoadError> {
    let storage = context.storage.as_ref();
    let mut areas = WorkAreas::look(storage, prefix).await?;
    // Before the table is opened: what is listed and committed in between is then known to be the table's.
    let files = if asked.vacuum == Vacuum::Off { None } else { Some(vacuum::look(context, table, &areas).await?) };
    let snapshot = context.open(table).await?;
    let Some((snapshot, state, version)) =
        snapshot.as_ref().and_then(|snapshot| Some((snapshot, snapshot.state()?, snapshot.version()?)))
    else {
        return Err(LoadError::NoSuchTable { table: table.clone() });
    };
    let mut checkpoint = checkpoint(snapshot, state, version, asked).await?;
    let (store, failed) = (snapshot.table().object_store(), |error| LoadError::table(table, "clean up", error));
    let vacuum = match files {
        Some(files) => Some(files.unnamed(snapshot, state, asked.vacuum).await.map_err(failed)?),
        None => None,
    };
    let vacuum = clear(vacuum, &store, asked.dry_run).await.map_err(failed)?;
    let unfinished = unfinished(table, prefix, state, asked).await?;
    let log = if asked.log { expired::find(&store, state).await.map_err(failed)? } else { None };
    let log = clear(log, &store, asked.dry_run).await.map_err(failed)?;
    let work_areas = match asked.keep_jobs {
        Some(age) => Some(areas.clear(storage, table, before(age), asked.dry_run).await?),
        None => None,
    };
    // Last what may fail for the sake of one job, or one file: the rest is done by then.
    let completed = if asked.dry_run { None } else { Some(areas.complete(context, table).await?) };
    let unfinished_jobs = unfinished_jobs(&areas, storage, table).await;
    let compaction = compact::compact(context, table, asked).await?;
    let statistics = fix_statistics::fix(context, table, asked).await?;
    let is_merged = compaction.is_some_and(|compacted| compacted.made > 0);
    let is_changed = is_merged || statistics.as_ref().is_some_and(|fixed| !fixed.files.is_empty());
    let version = if is_changed && !asked.dry_run {
        checkpoint_of_changes(context, table, asked, &mut checkpoint).await?.unwrap_or(version)
    } else {
        version
    };
    Ok(Maintained {
        table: table.clone(),
        version,
        dry_run: asked.dry_run,
        compaction,
        statistics,
        checkpoint,
        log,
        vacuum,
        unfinished,
        work_areas,
        completed,
        unfinished_jobs,
    })
}

/// Jobs whose fate is open: a number for an alarm, for whose sake the rest is not left undone.
async fn unfinished_jobs(areas: &WorkAreas, storage: &dyn Storage, table: &Location) -> Option<UnfinishedJobs> {
    areas.unfinished(storage, table).await.unwrap_or_else(|error| {
        tracing::warn!(%table, error = error_chain(&error), "unfinished jobs not counted");
        None
    })
}

/// Removes what killed processes had been writing, once it is as old as data files are that vacuum takes.
async fn unfinished(
    table: &Location,
    prefix: &Location,
    state: &DeltaTableState,
    asked: &Maintenance,
) -> Result<Option<Cleared>, LoadError> {
    if asked.vacuum == Vacuum::Off {
        return Ok(None);
    }
    let named = state.log_data().iter().map(|file| file.object_store_path().to_string()).collect();
    let before = before(vacuum::retention(state, asked.vacuum));
    let cleared = unfinished::clear(table, prefix, named, before, asked.dry_run).await;
    cleared.map_err(|source| LoadError::table(table, "clean up", DeltaTableError::Io { source }))
}

/// Writes a checkpoint of a table if one is due, by the table's setting; gives whether it did. Costs one small read where none is.
pub async fn write_due_checkpoint(context: &LoadContext, table: &Location) -> Result<bool, LoadError> {
    let head = context.head(table).await?;
    let Some((head, state, version)) = head.as_ref().and_then(|head| Some((head, head.state()?, head.version()?)))
    else {
        return Ok(false);
    };
    let failed = |error| LoadError::table(table, "read the log of", error);
    let last = last_checkpoint(&head.table().log_store()).await.map_err(failed)?;
    if version.saturating_sub(last.unwrap_or_default()) < state.table_config().checkpoint_interval().get() {
        return Ok(false);
    }
    // With its files, and at its latest version.
    let snapshot = context.open(table).await?;
    let Some((snapshot, state, version)) =
        snapshot.as_ref().and_then(|snapshot| Some((snapshot, snapshot.state()?, snapshot.version()?)))
    else {
        return Ok(false);
    };
    let written = checkpoint(snapshot, state, version, &Maintenance::default()).await?;
    Ok(written.is_some_and(|checkpoint| checkpoint.written))
}

/// Writes the checkpoint of the versions that this run added to the table, if one is due; gives the table's version.
async fn checkpoint_of_changes(
    context: &LoadContext,
    table: &Location,
    asked: &Maintenance,
    before: &mut Option<WrittenCheckpoint>,
) -> Result<Option<u64>, LoadError> {
    let snapshot = context.open(table).await?;
    let Some((snapshot, state, version)) =
        snapshot.as_ref().and_then(|snapshot| Some((snapshot, snapshot.state()?, snapshot.version()?)))
    else {
        return Ok(None);
    };
    let after = checkpoint(snapshot, state, version, asked).await?;
    if let (Some(before), Some(after)) = (before, after) {
        before.written |= after.written;
    }
    Ok(Some(version))
}

async fn checkpoint(
    snapshot: &TableSnapshot,
    state: &DeltaTableState,
    version: u64,
    asked: &Maintenance,
) -> Result<Option<WrittenCheckpoint>, LoadError> {
    let failed = |error| LoadError::table(snapshot.table().uri(), "read the log of", error);
    if asked.checkpoint == Checkpoints::Off {
        return Ok(None);
    }
    let store = snapshot.table().object_store();
    let last = last_checkpoint(&snapshot.table().log_store()).await.map_err(failed)?;
    let broken_hint = match snapshot.table().broken_hint() {
        Some(broken) => Some(broken.clone()),
        None => hint::check(store.as_ref()).await.map_err(failed)?,
    };
    let since = version.saturating_sub(last.unwrap_or_default());
    let is_due = match asked.checkpoint {
        Checkpoints::Off => false,
        Checkpoints::WhenDue => since >= state.table_config().checkpoint_interval().get(),
        Checkpoints::Always => since > 0 || last.is_none(),
    };
    let written = is_due || broken_hint.is_some();
    if written && !asked.dry_run {
        if broken_hint.is_some() {
            // First, and for itself: none is written where the version that the table is at has one that nobody is led to.
            hint::remove(store.as_ref()).await.map_err(failed)?;
        }
        snapshot.table().checkpoint().await?;
        // Who is killed after the checkpoint leaves the hint at an earlier one, and the library leaves it there for good if the version
        // has its checkpoint. In time the earlier one goes, and nobody can open a table whose hint names what is gone.
        if hint::read(store.as_ref()).await.map_err(failed)?.is_some_and(|hint| hint.version < version) {
            hint::remove(store.as_ref()).await.map_err(failed)?;
        }
    }
    let broken_hint = broken_hint.map(|broken| broken.to_string());
    Ok(Some(WrittenCheckpoint { last, broken_hint, written }))
}
