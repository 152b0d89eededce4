//! From a chunk to data files that nobody sees yet.

pub(crate) mod copy;
pub(crate) mod rewrite;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use shared::Verdict;

use crate::batch::Answers;
use crate::chunk::RoutedChunk;
use crate::commit::prepared::Prepared;
use crate::context::LoadContext;
use crate::delta::data_file::DataFile;
use crate::delta::staging::StagingNote;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::prepare::copy::take_over;
use crate::prepare::rewrite::rewrite;
use crate::receipts;
use crate::rows::row_counts::Account;
use crate::schema::write_schema::Plan;

/// Writes the data files of each chunk, as long as there is time for one more. What one chunk adds to the table's columns,
/// the next ones find.
pub(crate) async fn prepare_all(
    context: &LoadContext,
    table: &Table,
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<Vec<Prepared>, LoadError> {
    let mut plan = plan_of(table)?;
    let (mut prepared, mut longest) = (Vec::new(), Duration::ZERO);
    for chunk in chunks {
        let began = Instant::now();
        if context.deadline.is_some_and(|deadline| began + longest > deadline) {
            let reason = "the time of this call is too short for as many chunks".to_owned();
            answers.give(&chunk.messages, &Verdict::Retry { reason, after: Duration::ZERO, most_receives: None });
            continue;
        }
        let before = plan.clone().unwrap_or_else(|| Plan::new(&chunk.partition_by));
        let result = AssertUnwindSafe(Box::pin(prepare(context, table, &before, &chunk))).catch_unwind().await;
        match result.unwrap_or_else(|panic| Err(LoadError::panic(&chunk.at, panic.as_ref()))) {
            Ok(((plan_after, files, account), note)) => {
                plan = Some(plan_after.clone());
                prepared.push(Prepared { chunk, plan: plan_after, files, account, table_id: table.id(), note });
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
    plan: &Plan,
    chunk: &RoutedChunk,
) -> Result<((Plan, Vec<DataFile>, Account), Option<StagingNote>), LoadError> {
    let file = ChunkFile::open(&context.storage, chunk, &context.settings.memory).await?;
    let prepared = match take_over(context, table, plan, chunk, &file).await? {
        Some(prepared) => prepared,
        None => rewrite(context, table, plan, chunk, &file).await?,
    };
    receipts::stage(context.storage.as_ref(), chunk, &prepared.2, &prepared.1).await?;
    let note = match chunk.origin {
        Some(_) => None,
        None => Some(StagingNote::put(table, &prepared.1).await?),
    };
    Ok((prepared, note))
}

/// What rows have to be like for a table; none while there is no table.
pub(crate) fn plan_of(table: &Table) -> Result<Option<Plan>, LoadError> {
    let plan = table.state().map(Plan::of).transpose();
    plan.map_err(|error| LoadError::table(table.uri(), "read the schema of", error))
}
