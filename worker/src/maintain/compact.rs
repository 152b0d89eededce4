//! Small data files become fewer larger ones. This adds versions to the table, and neither adds nor takes a row.

mod bins;
mod rewrite;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use deltalake::kernel::{Action, Add};
use deltalake::protocol::DeltaOperation;
use deltalake::table::config::TablePropertiesExt;
use serde::Serialize;
use serde_json::json;
use shared::{Backoff, Location};

use self::bins::{Bin, bins};
use self::rewrite::{Source, rewrite};
use super::asked::{Compaction, Maintenance};
use crate::context::LoadContext;
use crate::delta::commit_error::{Loss, loss};
use crate::delta::commit_info::commit_data;
use crate::delta::data_file::DataFile;
use crate::delta::exclusive::require_exclusive;
use crate::delta::presence::missing;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::staging::StagingNote;
use crate::delta::tracking::keeps_row_ids;
use crate::delta::write::{DataFiles, Room};
use crate::error::LoadError;
use crate::fetch::data_file::StoredFile;
use crate::schema::write_schema::WriteSchema;
use crate::verdict::Patience;

/// What became of small data files, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Files that were merged.
    pub merged: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that they became; none in a dry run, which does not make them.
    pub made: u64,
    /// Small files that were left alone, since the log has their paths in a form that is not written here.
    pub skipped: u64,
    /// Small files that were left alone, since they have columns that the table does not have, or has in another type. A dry run does not
    /// look into them.
    pub unlike: u64,
}

/// What became of files that were to be merged.
#[derive(Clone, Copy, Debug)]
enum Merged {
    /// So many others.
    Into(u64),
    /// Nothing, since they have other columns than the table.
    Unlike,
    /// Nothing, since they are no longer what they were.
    Changed,
}

/// Merges small files, as long as there is time.
pub(super) async fn compact(
    context: &LoadContext,
    table: &Location,
    asked: &Maintenance,
) -> Result<Option<Compacted>, LoadError> {
    if asked.compact == Compaction::Off {
        return Ok(None);
    }
    let head = context.open(table).await?.ok_or_else(|| LoadError::NoSuchTable { table: table.clone() })?;
    let Some(state) = head.state() else { return Err(LoadError::NoSuchTable { table: table.clone() }) };
    if keeps_row_ids(state) {
        let reason = "its files cannot be merged: its rows keep their numbers (delta.enableRowTracking), and here they would get others";
        return Err(LoadError::Unsupported { table: table.clone(), reason: reason.to_owned() });
    }
    if !asked.dry_run {
        require_exclusive(&context.table_store, head.table()).await?;
    }
    let (bins, skipped) =
        bins(&head, state, asked).await.map_err(|error| LoadError::table(table, "read the log of", error))?;
    let (mut compacted, mut longest, mut failed) =
        (Compacted { skipped, ..Compacted::default() }, Duration::ZERO, None);
    for bin in bins {
        let began = Instant::now();
        if context.deadline.is_some_and(|deadline| began + 2 * longest > deadline) {
            break;
        }
        let made = if asked.dry_run { Ok(Merged::Into(0)) } else { merge(context, head.clone(), &bin).await };
        // Files that cannot be read do not keep the others from being merged.
        let made = made.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            Merged::Changed
        });
        let files = u64::try_from(bin.files.len()).unwrap_or_default();
        match made {
            Merged::Into(made) => {
                tracing::info!(%table, files, bytes = bin.bytes, made, asked.dry_run, "to be merged");
                compacted.merged += files;
                compacted.bytes += bin.bytes;
                compacted.made += made;
            }
            Merged::Unlike => compacted.unlike += files,
            Merged::Changed => {}
        }
        longest = longest.max(began.elapsed());
    }
    failed.map_or(Ok(Some(compacted)), Err)
}

/// Merges files.
async fn merge(context: &LoadContext, head: TableSnapshot, bin: &Bin) -> Result<Merged, LoadError> {
    let Some(state) = head.state() else { return Ok(Merged::Changed) };
    let failed = |error| LoadError::table(head.table().uri(), "merge data files of", error);
    let write_schema = WriteSchema::of(state).map_err(failed)?;
    if let Err(refusal) = write_schema.check_partitions() {
        tracing::warn!(table = %head.table().uri(), "its small files are left alone: {}", refusal.reason);
        return Ok(Merged::Changed);
    }
    let (memory, room) = (&context.settings.memory, Room::of(&context.settings));
    let mut files = DataFiles::new(head.table(), &write_schema, room, &[])?;
    let mut share = None;
    for small in &bin.files {
        let rewritten = async {
            let stored = StoredFile::open(head.table(), small.at.clone(), memory).await.map_err(failed)?;
            // Rows of one file wait for those of the next, so the share is kept. Where it cannot grow, nothing waits while others are waited for.
            let is_enough = share.as_mut().is_some_and(|share| stored.try_grow(share, Room::needed));
            if !is_enough {
                if share.is_some() {
                    files.flush().await?;
                }
                drop(share.take());
                share = Some(stored.take_memory(Room::needed).await?);
            }
            rewrite(&head, &write_schema, &Source { small, stored }, &mut files).await
        };
        match rewritten.await {
            Ok(true) => {}
            Ok(false) => {
                files.abort().await;
                return Ok(Merged::Unlike);
            }
            Err(error) => {
                files.abort().await;
                return Err(error);
            }
        }
    }
    let added = files.finish(bin.tag.as_deref()).await?;
    let note = StagingNote::put(head.table(), &added).await?;
    let committed = commit(context, head.clone(), bin, added).await;
    note.withdraw(head.table()).await;
    Ok(committed?.map_or(Merged::Changed, Merged::Into))
}

/// Puts a version that has the new files in place of the old ones, unless those are no longer there. What lost against others
/// is left for vacuum: a put that reports failure may have landed.
async fn commit(
    context: &LoadContext,
    mut head: TableSnapshot,
    bin: &Bin,
    added: Vec<DataFile>,
) -> Result<Option<u64>, LoadError> {
    let mut backoff = Backoff::new(&context.limits());
    let made = u64::try_from(added.len()).unwrap_or_default();
    let first = added.first().map(|file| file.path.clone());
    let written_for = head.table().id();
    let removed = bin.files.iter().map(|file| Action::Remove(file.remove.clone()));
    let actions =
        removed.chain(added.iter().map(|file| Action::Add(Add { data_change: false, ..file.add() }))).collect();
    let target_size = head.state().map_or(0, |state| state.table_config().target_file_size().get());
    let target_size = i64::try_from(target_size).unwrap_or(i64::MAX);
    let operation = DeltaOperation::Optimize { predicate: None, target_size };
    let about = json!({ "text": "compacted" });
    let data = commit_data(actions, operation, about, HashMap::new(), Vec::new());
    let (mut attempts, mut patience) = (1, Patience::default());
    loop {
        let then = head.state().cloned();
        if let Some(file) = missing(head.table(), &added, written_for.as_deref()).await? {
            tracing::warn!(table = %head.table().uri(), file, "a merged file is gone before its commit; nothing is merged");
            return Ok(None);
        }
        let Err(error) = head.put(&data).await else { return Ok(Some(made)) };
        if loss(&error) == Loss::Refused {
            return Err(LoadError::table(head.table().uri(), "commit to", error));
        }
        head.reopen(&context.table_store).await?;
        let (Some(then), Some(now)) = (&then, head.state()) else { return Ok(None) };
        if now.log_data().iter().any(|view| Some(view.path().as_ref()) == first.as_deref()) {
            return Ok(Some(made));
        }
        if !bin.still_holds(then, now) {
            return Ok(None);
        }
        let is_conflict = loss(&error) == Loss::Conflict;
        let error = LoadError::table(head.table().uri(), "commit to", error);
        if !is_conflict && !patience.bears(&error) {
            return Err(error);
        }
        let Some(wait) = backoff.next_wait() else {
            let (table, source) = (head.table().uri().clone(), error);
            return Err(LoadError::Contention { table, attempts, source: Some(Box::new(source)) });
        };
        tokio::time::sleep(wait).await;
        attempts += 1;
    }
}
