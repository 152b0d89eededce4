//! Receipts: what became of the rows of a chunk, and whether its job is complete.

use serde::{Deserialize, Serialize};
use shared::{ChunkReceipt, Completion, PutMode, Storage, StorageError, put_json, try_get_json};

use crate::chunk::{AssignedChunk, Origin};
use crate::context::LoadContext;
use crate::delta::data_file::DataFile;
use crate::error::LoadError;
use crate::rows::row_counts::RowCounts;

/// What is about to be committed.
#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    #[serde(flatten)]
    receipt: ChunkReceipt,
    /// Paths of data files below the table: vacuum leaves those of unfinished jobs alone. Those of earlier attempts too, which
    /// may yet be committed.
    #[serde(default)]
    files: Vec<String>,
}

/// Notes what is about to be committed, so that a receipt can be made of it by whoever finds the chunk in the table and no
/// receipt: its worker died between the two.
pub(crate) async fn stage(
    storage: &dyn Storage,
    chunk: &AssignedChunk,
    counts: &RowCounts,
    files: &[DataFile],
) -> Result<(), LoadError> {
    let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(()) };
    let (index, at) = (identity.index, area.staged(identity.index));
    let receipt = counts.clone().receipt(index, None, chunk.receives);
    let mut staged = Staged { receipt, files: files.iter().map(|file| file.path.clone()).collect() };
    match put_json(storage, &at, &staged, PutMode::IfAbsent).await {
        Err(StorageError::AlreadyExists { .. }) => {}
        put => return Ok(put?),
    }
    // Of two attempts at once neither is to hide the files of the other: each has a note of its own, and adds to the first.
    let attempt = uuid::Uuid::new_v4().simple().to_string();
    put_json(storage, &area.staged_again(index, &attempt), &staged, PutMode::Overwrite).await?;
    if let Some(earlier) = try_get_json::<Staged>(storage, &at, "chunk receipt").await? {
        staged.files.extend(earlier.files);
    }
    Ok(put_json(storage, &at, &staged, PutMode::Overwrite).await?)
}

/// Writes the receipt of a chunk that this worker committed.
pub(crate) async fn note_committed(
    storage: &dyn Storage,
    chunk: &AssignedChunk,
    counts: RowCounts,
    version: u64,
) -> Result<(), LoadError> {
    let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(()) };
    let receipt = counts.receipt(identity.index, Some(version), chunk.receives);
    Ok(put_json(storage, &area.chunk_receipt(identity.index), &receipt, PutMode::Overwrite).await?)
}

/// Whether the work area says what became of the rows of a chunk.
pub(crate) async fn has_counts(storage: &dyn Storage, chunk: &AssignedChunk) -> Result<bool, LoadError> {
    let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(true) };
    for at in [area.chunk_receipt(identity.index), area.staged(identity.index)] {
        if storage.exists(&at).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes sure of the receipt of a chunk that was found in the table.
pub(crate) async fn note_found(storage: &dyn Storage, chunk: &AssignedChunk) -> Result<(), LoadError> {
    let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(()) };
    let at = area.chunk_receipt(identity.index);
    if try_get_json::<ChunkReceipt>(storage, &at, "chunk receipt").await?.is_some() {
        return Ok(());
    }
    let staged = area.staged(identity.index);
    let receipt: Option<ChunkReceipt> = try_get_json(storage, &staged, "chunk receipt").await?;
    let receipt = receipt.ok_or_else(|| LoadError::Damaged {
        chunk: chunk.at.clone(),
        reason: format!("it is in the table, and {staged}, which says what became of its rows, is gone"),
    })?;
    // If absent: the worker that committed it may be about to write a receipt that knows the version too.
    match put_json(storage, &at, &receipt, PutMode::IfAbsent).await {
        Ok(()) | Err(StorageError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the receipt of a chunk's job when this was its last one, and sends the notice of it.
pub(crate) async fn conclude(context: &LoadContext, chunk: &AssignedChunk) -> Result<(), LoadError> {
    if let Some(Origin { area, .. }) = &chunk.origin {
        completion(context).complete(area).await?;
    }
    Ok(())
}

/// As [`conclude`], for a chunk that was found in the table: whoever was to send the notice may have died.
pub(crate) async fn ensure_complete(context: &LoadContext, chunk: &AssignedChunk) -> Result<(), LoadError> {
    if let Some(Origin { area, .. }) = &chunk.origin {
        completion(context).ensure_complete(area).await?;
    }
    Ok(())
}

pub(crate) fn completion(context: &LoadContext) -> Completion<'_> {
    Completion { storage: context.storage.as_ref(), topic: context.topic.as_deref() }
}
