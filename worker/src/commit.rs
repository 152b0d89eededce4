//! Loads of one process that wait for the same table: whoever has the turn commits for all of them.

pub(crate) mod attempts;
mod lost;
mod names;
pub(crate) mod offers;
pub(crate) mod prepared;
pub(crate) mod replace;
mod seals;
pub(crate) mod tables;
pub(crate) mod whole_file;

use std::collections::HashMap;

use shared::Location;
use tokio::sync::oneshot::error::TryRecvError;

use crate::commit::attempts::Commit;
use crate::commit::prepared::{Decided, Prepared, Terms, failed};
use crate::commit::tables::{TableHandle, Waiting};
use crate::context::LoadContext;
use crate::error::LoadError;

/// Commits chunks, together with all others of this process that wait for the same table. `whole` says that they are a
/// file: they go into one commit or none, and their data files are not this worker's alone.
pub(crate) async fn commit(
    context: &LoadContext,
    uri: &Location,
    handle: &TableHandle,
    chunks: Vec<Prepared>,
    whole: bool,
) -> Result<Vec<Decided>, LoadError> {
    if chunks.is_empty() {
        return Ok(Vec::new());
    }
    let mut answer = handle.enqueue(chunks, whole);
    let _turn = handle.turn.lock().await;
    loop {
        // Who had the turn before may have taken these chunks along.
        match answer.try_recv() {
            Ok(decided) => return Ok(decided),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Closed) => {
                return Err(LoadError::Abandoned { table: uri.clone() });
            }
        }
        commit_group(context, uri, handle, handle.take_group()).await;
    }
}

/// Commits what a group of loads wants to be committed, and answers each.
async fn commit_group(context: &LoadContext, uri: &Location, handle: &TableHandle, group: Vec<Waiting>) {
    let (mut open, mut owners, mut answers) = (Vec::new(), HashMap::new(), Vec::new());
    let (whole, is_shared) = (group.iter().any(|one| one.whole), group.len() > 1);
    for (owner, Waiting { chunks, answer, .. }) in group.into_iter().enumerate() {
        owners.extend(chunks.iter().map(|chunk| (chunk.chunk.app_id.clone(), owner)));
        open.extend(chunks);
        answers.push((answer, Vec::new()));
    }
    let owner_of = |chunk: &Prepared| owners.get(&chunk.chunk.app_id).copied().unwrap_or_default();
    let (mut decided, mut left) = commit_to(context, uri, handle, open, Terms { whole, is_shared }).await;
    // What cannot be done for one load is not to fail the others.
    while let Some(owner) = left.first().map(owner_of) {
        let (own, rest) = left.into_iter().partition(|chunk| owner_of(chunk) == owner);
        let alone = Terms { whole, is_shared: false };
        decided.extend(commit_to(context, uri, handle, own, alone).await.0);
        left = rest;
    }
    for one in decided {
        if let Some((_, decided)) = answers.get_mut(owner_of(&one.chunk)) {
            decided.push(one);
        }
    }
    for (answer, decided) in answers {
        // Whoever does not wait any more finds its chunks in the table at their next delivery.
        drop(answer.send(decided));
    }
}

/// Commits chunks; gives what became of them, and those that are to be tried apart from each other.
async fn commit_to(
    context: &LoadContext,
    uri: &Location,
    handle: &TableHandle,
    open: Vec<Prepared>,
    terms: Terms,
) -> (Vec<Decided>, Vec<Prepared>) {
    match handle.look(uri, &context.table_store).await {
        Ok(snapshot) => {
            let commit = Commit::new(context, snapshot, open, terms).run().await;
            handle.keep(&commit.snapshot);
            (commit.decided, commit.open)
        }
        Err(error) => (failed(open, &error.verdict()), Vec::new()),
    }
}
