//! Data files that no version of a table names any more, and that no load is about to name.

use std::collections::HashSet;
use std::time::Duration;

use deltalake::kernel::Action;
use deltalake::logstore::{ObjectStoreRef, get_actions};
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, ObjectMeta, Path};
use futures::{StreamExt, TryStreamExt, stream};
use shared::Location;

use super::areas::WorkAreas;
use super::asked::{LEAST_RETENTION, Vacuum};
use super::cleared::{Found, before};
use crate::context::LoadContext;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::staging::{Noted, noted};
use crate::error::LoadError;

/// Entries that are read at once.
const AT_ONCE: usize = 16;

/// What lay in a table's location at one time.
#[derive(Debug)]
pub(super) struct Files {
    listed: Vec<ObjectMeta>,
    /// Names of data files that unfinished jobs, and others, have written down, to be committed later.
    staged: HashSet<String>,
    /// Notes of such files that do not count any more.
    stale_notes: Vec<ObjectMeta>,
}

/// Lists data files, and what unfinished jobs have staged.
pub(super) async fn look(context: &LoadContext, table: &Location, areas: &WorkAreas) -> Result<Files, LoadError> {
    let Some(snapshot) = context.open(table).await? else {
        return Err(LoadError::NoSuchTable { table: table.clone() });
    };
    let partitioned = snapshot.state().map(|state| state.metadata().partition_columns().to_vec()).unwrap_or_default();
    let failed = |error| LoadError::table(table, "list the files of", error);
    let store = snapshot.table().object_store();
    let listed = list(&store, &partitioned).await.map_err(failed)?;
    let Noted { names: mut staged, stale: stale_notes } = noted(&store).await.map_err(failed)?;
    staged.extend(areas.staged_files(context.storage.as_ref()).await?);
    Ok(Files { listed, staged, stale_notes })
}

/// Lists data files. Folders that begin with `_` or `.` are not the table's data, unless they are partitions.
async fn list(store: &ObjectStoreRef, partition_columns: &[String]) -> DeltaResult<Vec<ObjectMeta>> {
    let is_partition = |name: &str| {
        name.split_once('=').is_some_and(|(column, _)| partition_columns.iter().any(|partition| partition == column))
    };
    let is_hidden = |name: &str| name.starts_with(['_', '.']) && !is_partition(name);
    let top = store.list_with_delimiter(None).await?;
    let mut files = top.objects;
    for folder in top.common_prefixes {
        if !folder.filename().is_some_and(is_hidden) {
            files.extend(store.list(Some(&folder)).try_collect::<Vec<_>>().await?);
        }
    }
    files.retain(|file| {
        let mut names = file.location.parts();
        // The second is what a local copy leaves that was never finished.
        matches!(file.location.extension(), Some("parquet" | "partial")) && !names.any(|name| is_hidden(name.as_ref()))
    });
    Ok(files)
}

impl Files {
    /// Those that no version within the retention names, and that are older than it.
    pub(super) async fn unnamed(
        self,
        snapshot: &TableSnapshot,
        state: &DeltaTableState,
        asked: Vacuum,
    ) -> DeltaResult<Found> {
        let kept_for = state.table_config().deleted_file_retention_duration();
        let retention = retention(state, asked);
        let cutoff = chrono::DateTime::<chrono::Utc>::from(before(retention));
        let mut named: HashSet<Path> = state.log_data().iter().map(|file| file.object_store_path()).collect();
        let log_store = snapshot.table().log_store();
        let mut removed = state.all_tombstones(&log_store);
        while let Some(file) = removed.try_next().await? {
            if file.deletion_timestamp().is_some_and(|time| time >= cutoff.timestamp_millis()) {
                named.insert(path(&file.path()));
            }
        }
        drop(removed);
        if retention > kept_for {
            // Checkpoints do not remember for so long what was removed.
            named.extend(removed_since(snapshot, cutoff).await?);
        }
        let is_old = |file: &ObjectMeta| file.last_modified < cutoff;
        let is_staged = |file: &ObjectMeta| file.location.filename().is_some_and(|name| self.staged.contains(name));
        let unnamed =
            self.listed.iter().filter(|file| is_old(file) && !is_staged(file) && !named.contains(&file.location));
        let unnamed = unnamed.chain(&self.stale_notes);
        Ok(Found(unnamed.map(|file| (file.location.clone(), file.size)).collect()))
    }
}

/// How old files are that may be taken.
pub(super) fn retention(state: &DeltaTableState, asked: Vacuum) -> Duration {
    let retention = match asked {
        Vacuum::After(retention) => retention,
        Vacuum::Off | Vacuum::AsTheTableSays => state.table_config().deleted_file_retention_duration(),
    };
    retention.max(LEAST_RETENTION)
}

/// Files that the entries since a time removed.
async fn removed_since(snapshot: &TableSnapshot, since: chrono::DateTime<chrono::Utc>) -> DeltaResult<Vec<Path>> {
    let (table, log_store) = (snapshot.table().object_store(), snapshot.table().log_store());
    let entries: Vec<ObjectMeta> = table.list(Some(&Path::from("_delta_log"))).try_collect().await?;
    let young = entries.iter().filter(|entry| entry.last_modified >= since);
    let versions: Vec<u64> =
        young.filter_map(|entry| entry.location.filename()?.strip_suffix(".json")?.parse().ok()).collect();
    let reads = versions.into_iter().map(|version| {
        let log_store = &log_store;
        async move { log_store.read_commit_entry(version).await.map(|entry| (version, entry)) }
    });
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let mut removed = Vec::new();
    for (version, entry) in read {
        for action in get_actions(version, &entry.unwrap_or_default())? {
            if let Action::Remove(file) = action {
                removed.push(path(&file.path));
            }
        }
    }
    Ok(removed)
}

/// A path of the log as the store has it, where percent signs may stand for themselves.
fn path(text: &str) -> Path {
    Path::parse(text).unwrap_or_else(|_| Path::from(text))
}
