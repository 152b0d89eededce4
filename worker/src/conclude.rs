//! What follows a commit: receipts, and verdicts on messages.

use shared::{Rows, Verdict, now_millis};

use crate::batch::Answers;
use crate::chunk::AssignedChunk;
use crate::commit::prepared::{CommitOutcome, Decided, Prepared};
use crate::context::LoadContext;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::receipts;
use crate::rows::row_counts::RowCounts;

/// Receipts and verdicts by what became of the chunks; gives those that have to be written again.
pub(crate) async fn conclude(
    context: &LoadContext,
    table: &Table,
    decided: Vec<Decided>,
    answers: &mut Answers,
) -> Vec<AssignedChunk> {
    let mut outdated = Vec::new();
    for Decided { chunk: Prepared { chunk, counts, note, .. }, outcome } in decided {
        if let Some(note) = note {
            note.withdraw(table).await;
        }
        let verdict = match outcome {
            CommitOutcome::Committed(version) => {
                count(context, &chunk, counts.rows);
                verdict(committed(context, &chunk, counts, version).await)
            }
            CommitOutcome::Found => verdict(found(context, &chunk).await),
            CommitOutcome::Failed(verdict) => verdict,
            CommitOutcome::Outdated => {
                outdated.push(chunk);
                continue;
            }
        };
        answers.give(&chunk.messages, &verdict);
    }
    outdated
}

/// As [`conclude`], for a whole file, of which `chunks` have messages: those are answered when all is done for all.
pub(crate) async fn conclude_whole(
    context: &LoadContext,
    decided: Vec<Decided>,
    chunks: &[AssignedChunk],
    answers: &mut Answers,
) -> Vec<AssignedChunk> {
    let storage = context.storage.as_ref();
    let (mut outdated, mut last, mut answer) = (Vec::new(), None, Verdict::Done);
    for Decided { chunk: Prepared { chunk, counts, .. }, outcome } in decided {
        let noted = match outcome {
            CommitOutcome::Committed(version) => {
                count(context, &chunk, counts.rows);
                verdict(receipts::note_committed(storage, &chunk, counts, version).await)
            }
            CommitOutcome::Found => verdict(receipts::note_found(storage, &chunk).await),
            CommitOutcome::Failed(verdict) => verdict,
            CommitOutcome::Outdated => {
                // What keeps one of them from being written again is the answer to all.
                let messages = chunks.iter().flat_map(|told| told.messages.clone()).collect();
                outdated.push(AssignedChunk { messages, ..chunk });
                continue;
            }
        };
        if answer == Verdict::Done {
            answer = noted;
        }
        last = Some(chunk);
    }
    if let (Some(last), Verdict::Done) = (&last, &answer) {
        answer = verdict(receipts::conclude(context, last).await);
    }
    if outdated.is_empty() {
        for chunk in chunks {
            answers.give(&chunk.messages, &answer);
        }
    }
    outdated
}

fn count(context: &LoadContext, chunk: &AssignedChunk, rows: Rows) {
    if let Some(dropped_at) = chunk.origin.as_ref().and_then(|origin| origin.dropped_at) {
        let lag = now_millis().saturating_sub(dropped_at);
        context.progress.load_lag_ms.raise_to(u64::try_from(lag).unwrap_or_default());
    }
    context.progress.chunks_committed.add(1);
    context.progress.rows_committed.add(rows.committed);
}

async fn committed(
    context: &LoadContext,
    chunk: &AssignedChunk,
    counts: RowCounts,
    version: u64,
) -> Result<(), LoadError> {
    receipts::note_committed(context.storage.as_ref(), chunk, counts, version).await?;
    receipts::conclude(context, chunk).await
}

pub(crate) async fn found(context: &LoadContext, chunk: &AssignedChunk) -> Result<(), LoadError> {
    receipts::note_found(context.storage.as_ref(), chunk).await?;
    receipts::ensure_complete(context, chunk).await
}

pub(crate) fn verdict(result: Result<(), LoadError>) -> Verdict {
    result.map_or_else(|error| error.verdict(), |()| Verdict::Done)
}
