//! Chunks that need not be loaded, or must not be: by what the table has of them and of their jobs.

use crate::batch::Answers;
use crate::chunk::RoutedChunk;
use crate::commit::tables::Slot;
use crate::commit::whole_file;
use crate::conclude::{found, verdict};
use crate::context::LoadContext;
use crate::delta::snapshot::Head;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::prepare::{plan_of, prepare};
use crate::receipts;
use crate::schema::write_schema::Plan;
use shared::Location;

/// Answers for the chunks that are in the table, or may not come into it; gives the table, and the others.
pub(crate) async fn skip_what_is_there(
    context: &LoadContext,
    uri: &Location,
    slot: &Slot,
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<(Table, Vec<RoutedChunk>), LoadError> {
    let head = slot.look(uri, &context.table_store).await?;
    let table = head.table().clone();
    // A head may lean on a checkpoint that is cleaned up by now.
    let (there, absent) = part(&head, chunks).await.inspect_err(|_| slot.forget())?;
    if !there.is_empty() {
        table.settle_log().await?;
    }
    for (error, chunk) in there {
        let concluded = match error {
            Some(error) => Err(error),
            None => account_again(context, &table, &chunk).await,
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
async fn account_again(context: &LoadContext, table: &Table, chunk: &RoutedChunk) -> Result<(), LoadError> {
    let storage = context.storage.as_ref();
    let chunks = if chunk.waits() { whole_file::of_file(storage, chunk).await? } else { vec![chunk.clone()] };
    for chunk in chunks {
        if !receipts::is_accounted(storage, &chunk).await? {
            tracing::info!(chunk = %chunk.at, "in the table; what became of its rows is found out once more");
            let plan = plan_of(table)?.unwrap_or_else(|| Plan::new(&chunk.partition_by));
            let ((_, files, _), _) = Box::pin(prepare(context, table, &plan, &chunk)).await?;
            table.delete_files(&files).await;
        }
    }
    Ok(())
}

/// Parts the chunks that are in the table, or may not come into it for a reason, from the others.
async fn part(head: &Head, chunks: Vec<RoutedChunk>) -> Result<(Vec<Settled>, Vec<RoutedChunk>), LoadError> {
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let refusal = sealed_otherwise(head, &chunk).await?;
        if refusal.is_some() || head.transaction(&chunk.app_id).await?.is_some() {
            there.push((refusal, chunk));
        } else {
            absent.push(chunk);
        }
    }
    Ok((there, absent))
}

/// A chunk that is not to be loaded; the reason, unless it is in the table.
type Settled = (Option<LoadError>, RoutedChunk);

/// The error for a chunk whose job the table holds in another cut, when its place in the job says nothing about its rows, or
/// whose job was undone.
async fn sealed_otherwise(head: &Head, chunk: &RoutedChunk) -> Result<Option<LoadError>, LoadError> {
    let Some(origin) = &chunk.origin else { return Ok(None) };
    let seal = head.transaction(&origin.seal_id()).await?;
    let other = seal.filter(|seal| !origin.is_sealed_by(*seal));
    Ok(other.map(|seal| LoadError::sealed(seal, &origin.identity.job_id, head.table().uri())))
}
