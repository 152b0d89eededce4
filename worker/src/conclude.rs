//! What follows a commit: receipts, and verdicts on messages.

use shared::{Rows, Verdict};

use crate::batch::Answers;
use crate::chunk::RoutedChunk;
use crate::commit::prepared::{Decided, Fate, Prepared};
use crate::context::LoadContext;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::receipts;
use crate::rows::row_counts::Account;

/// Receipts and verdicts by what became of the chunks; gives those that have to be written anew.
pub(crate) async fn conclude(
    context: &LoadContext,
    table: &Table,
    decided: Vec<Decided>,
    answers: &mut Answers,
) -> Vec<RoutedChunk> {
    let mut outdated = Vec::new();
    for Decided { chunk: Prepared { chunk, account, note, .. }, fate } in decided {
        if let Some(note) = note {
            note.withdraw(table).await;
        }
        let verdict = match fate {
            Fate::Committed(version) => {
                count(context, account.rows);
                verdict(committed(context, &chunk, account, version).await)
            }
            Fate::Found => verdict(found(context, &chunk).await),
            Fate::Failed(verdict) => verdict,
            Fate::Outdated => {
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
    chunks: &[RoutedChunk],
    answers: &mut Answers,
) -> Vec<RoutedChunk> {
    let storage = context.storage.as_ref();
    let (mut outdated, mut last, mut outcome) = (Vec::new(), None, Verdict::Done);
    for Decided { chunk: Prepared { chunk, account, .. }, fate } in decided {
        let noted = match fate {
            Fate::Committed(version) => {
                count(context, account.rows);
                verdict(receipts::note_committed(storage, &chunk, account, version).await)
            }
            Fate::Found => verdict(receipts::note_found(storage, &chunk).await),
            Fate::Failed(verdict) => verdict,
            Fate::Outdated => {
                // What keeps one of them from being written again is the answer to all.
                let messages = chunks.iter().flat_map(|told| told.messages.clone()).collect();
                outdated.push(RoutedChunk { messages, ..chunk });
                continue;
            }
        };
        if outcome == Verdict::Done {
            outcome = noted;
        }
        last = Some(chunk);
    }
    if let (Some(last), Verdict::Done) = (&last, &outcome) {
        outcome = verdict(receipts::conclude(context, last).await);
    }
    if outdated.is_empty() {
        for chunk in chunks {
            answers.give(&chunk.messages, &outcome);
        }
    }
    outdated
}

fn count(context: &LoadContext, rows: Rows) {
    context.progress.chunks_committed.add(1);
    context.progress.rows_committed.add(rows.committed);
}

async fn committed(
    context: &LoadContext,
    chunk: &RoutedChunk,
    account: Account,
    version: u64,
) -> Result<(), LoadError> {
    receipts::note_committed(context.storage.as_ref(), chunk, account, version).await?;
    receipts::conclude(context, chunk).await
}

pub(crate) async fn found(context: &LoadContext, chunk: &RoutedChunk) -> Result<(), LoadError> {
    receipts::note_found(context.storage.as_ref(), chunk).await?;
    receipts::make_good(context, chunk).await
}

pub(crate) fn verdict(result: Result<(), LoadError>) -> Verdict {
    result.map_or_else(|error| error.verdict(), |()| Verdict::Done)
}
