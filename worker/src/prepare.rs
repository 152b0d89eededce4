//! From a chunk to data files that nobody sees yet.

pub(crate) mod copy;
pub(crate) mod rewrite;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use shared::Verdict;
use tracing::Instrument;

use crate::batch::Answers;
use crate::chunk::AssignedChunk;
use crate::commit::prepared::Prepared;
use crate::context::LoadContext;
use crate::delta::data_file::DataFile;
use crate::delta::staging::StagingNote;
use crate::delta::table::Table;
use crate::delta::write::Room;
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::lookups;
use crate::prepare::copy::copy_chunk;
use crate::prepare::rewrite::rewrite;
use crate::receipts;
use crate::rows::row_counts::RowCounts;
use crate::schema::write_schema::WriteSchema;

/// Writes the data files of each chunk, as long as there is time for one more. What one chunk adds to the table's columns,
/// the next ones find.
pub(crate) async fn prepare_all(
    context: &LoadContext,
    table: &Table,
    chunks: Vec<AssignedChunk>,
    answers: &mut Answers,
) -> Result<Vec<Prepared>, LoadError> {
    let mut write_schema = write_schema_of(table)?;
    let (mut prepared, mut longest) = (Vec::new(), Duration::ZERO);
    for chunk in chunks {
        let began = Instant::now();
        if context.deadline.is_some_and(|deadline| began + longest > deadline) {
            let reason = "the time of this call is too short for as many chunks".to_owned();
            answers.give(&chunk.messages, &Verdict::Retry { reason, after: Duration::ZERO, most_receives: None });
            continue;
        }
        let before = write_schema.clone().unwrap_or_else(|| WriteSchema::new(&chunk.partition_by));
        let of = chunk.origin.as_ref().map(|origin| &origin.identity);
        let (job, index) = (of.map(|of| of.job_id.as_str()), of.map(|of| of.index));
        let span = tracing::info_span!("chunk", job, chunk = index);
        let preparing = Box::pin(prepare(context, table, &before, &chunk)).instrument(span);
        let result = AssertUnwindSafe(preparing).catch_unwind().await;
        match result.unwrap_or_else(|panic| Err(LoadError::panic(&chunk.at, panic.as_ref()))) {
            Ok(((schema_after, files, counts), note)) => {
                context.progress.chunks_prepared.add(1);
                write_schema = Some(schema_after.clone());
                prepared.push(Prepared {
                    chunk,
                    write_schema: schema_after,
                    files,
                    counts,
                    table_id: table.id(),
                    note,
                });
            }
            Err(error) => answers.give(&chunk.messages, &error.verdict()),
        }
        longest = longest.max(began.elapsed());
    }
    Ok(prepared)
}

/// One chunk, from its bytes to data files that nobody sees yet.
pub(crate) async fn prepare(
    context: &LoadContext,
    table: &Table,
    write_schema: &WriteSchema,
    chunk: &AssignedChunk,
) -> Result<((WriteSchema, Vec<DataFile>, RowCounts), Option<StagingNote>), LoadError> {
    let beside = if chunk.shaping.lookups.is_empty() { Room::needed } else { lookups::needed };
    let file = ChunkFile::open(&context.storage, chunk, &context.settings.memory, beside).await?;
    let prepared = match copy_chunk(context, table, write_schema, chunk, &file).await? {
        Some(prepared) => prepared,
        None => rewrite(context, table, write_schema, chunk, &file).await?,
    };
    receipts::stage(context.storage.as_ref(), chunk, &prepared.2, &prepared.1).await?;
    let note = match chunk.origin {
        Some(_) => None,
        None => Some(StagingNote::put(table, &prepared.1).await?),
    };
    Ok((prepared, note))
}

/// What rows have to be like for a table; none while there is no table.
pub(crate) fn write_schema_of(table: &Table) -> Result<Option<WriteSchema>, LoadError> {
    let write_schema = table.state().map(WriteSchema::of).transpose();
    write_schema.map_err(|error| LoadError::table(table.uri(), "read the schema of", error))
}
