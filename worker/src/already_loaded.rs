//! Chunks that need not be loaded, or must not be: by what the table has of them and of their jobs.

use crate::batch::Answers;
use crate::chunk::AssignedChunk;
use crate::commit::tables::TableHandle;
use crate::commit::whole_file;
use crate::conclude::{found, verdict};
use crate::context::LoadContext;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::prepare::{prepare, write_schema_of};
use crate::receipts;
use crate::schema::write_schema::WriteSchema;
use shared::Location;

/// Answers for the chunks that are in the table, or may not come into it; gives the table, and the others.
pub(crate) async fn skip_what_is_there(
    context: &LoadContext,
    uri: &Location,
    handle: &TableHandle,
    chunks: Vec<AssignedChunk>,
    answers: &mut Answers,
) -> Result<(Table, Vec<AssignedChunk>), LoadError> {
    let snapshot = handle.look(uri, &context.table_store).await?;
    let table = snapshot.table().clone();
    // A snapshot may lean on a checkpoint that is cleaned up by now.
    let (there, absent) = part(&snapshot, chunks).await.inspect_err(|_| handle.forget())?;
    if !there.is_empty() {
        table.settle_log().await?;
    }
    for (error, chunk) in there {
        let concluded = match error {
            Some(error) => Err(error),
            None => count_again(context, &table, &chunk).await,
        };
        let concluded = match concluded {
            Ok(()) if chunk.waits() => whole_file::found(context, &chunk).await,
            Ok(()) => found(context, &chunk).await,
            Err(error) => Err(error),
        };
        answers.give(&chunk.messages, &verdict(concluded));
    }
    Ok((table, absent))
}

/// Finds out once more what became of the rows of a chunk that is in the table, and of those of its file if they go together, where
/// the work area does not say any more: it was lost. The same policy makes the same data files, which are given up.
async fn count_again(context: &LoadContext, table: &Table, chunk: &AssignedChunk) -> Result<(), LoadError> {
    let storage = context.storage.as_ref();
    let chunks = if chunk.waits() { whole_file::of_file(storage, chunk).await? } else { vec![chunk.clone()] };
    for chunk in chunks {
        if !receipts::has_counts(storage, &chunk).await? {
            tracing::info!(chunk = %chunk.at, "in the table; what became of its rows is found out once more");
            let write_schema = write_schema_of(table)?.unwrap_or_else(|| WriteSchema::new(&chunk.partition_by));
            let ((_, files, _), _) = Box::pin(prepare(context, table, &write_schema, &chunk)).await?;
            table.delete_files(&files).await;
        }
    }
    Ok(())
}

/// Parts the chunks that are in the table, or may not come into it for a reason, from the others.
async fn part(
    snapshot: &TableSnapshot,
    chunks: Vec<AssignedChunk>,
) -> Result<(Vec<Settled>, Vec<AssignedChunk>), LoadError> {
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let refusal = sealed_otherwise(snapshot, &chunk).await?;
        if refusal.is_some() || snapshot.transaction(&chunk.app_id).await?.is_some() {
            there.push((refusal, chunk));
        } else {
            absent.push(chunk);
        }
    }
    Ok((there, absent))
}

/// A chunk that is not to be loaded; the reason, unless it is in the table.
type Settled = (Option<LoadError>, AssignedChunk);

/// The error for a chunk whose job the table holds in another cut, when its place in the job says nothing about its rows, or
/// whose job was undone.
async fn sealed_otherwise(snapshot: &TableSnapshot, chunk: &AssignedChunk) -> Result<Option<LoadError>, LoadError> {
    let Some(origin) = &chunk.origin else { return Ok(None) };
    let seal = snapshot.transaction(&origin.seal_id()).await?;
    let other = seal.filter(|seal| !origin.is_sealed_by(*seal));
    Ok(other.map(|seal| LoadError::sealed(seal, &origin.identity.job_id, snapshot.table().uri())))
}
