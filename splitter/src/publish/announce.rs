//! Chunk tasks are sent.

use std::collections::HashSet;

use shared::{ChunkEntry, CommitMode, Job, Manifest, WorkArea};

use crate::context::SplitContext;
use crate::error::SplitError;

/// Sends the tasks of chunks.
pub(super) async fn announce(
    context: &SplitContext,
    job: &Job,
    area: &WorkArea,
    chunks: impl IntoIterator<Item = &ChunkEntry>,
) -> Result<(), SplitError> {
    let Some(queue) = &context.queue else { return Ok(()) };
    let body = |chunk: &ChunkEntry| chunk.task(area, &job.job_id).to_load(&job.load).body();
    let bodies: Result<Vec<String>, _> = chunks.into_iter().map(body).collect();
    let bodies = bodies.map_err(|error| SplitError::internal(&job.source.uri, error))?;
    queue.send(&bodies).await.map_err(SplitError::Queue)
}

/// Tells the workers of a file that goes into one commit that its manifest is there: those that prepared its chunks before
/// that could not know which is the last. The task of any chunk does, for its worker looks whether all are prepared.
pub(crate) async fn announce_end(
    context: &SplitContext,
    job: &Job,
    area: &WorkArea,
    manifest: &Manifest,
) -> Result<(), SplitError> {
    match job.load.commit {
        CommitMode::Chunk => Ok(()),
        CommitMode::File => announce(context, job, area, manifest.chunks.last()).await,
    }
}

/// Sends the tasks of those chunks of earlier attempts once more that are not in the table yet, if that is wanted.
pub(crate) async fn announce_again(
    context: &SplitContext,
    job: &Job,
    area: &WorkArea,
    chunks: &[ChunkEntry],
) -> Result<(), SplitError> {
    if !context.announce_again || chunks.is_empty() {
        return Ok(());
    }
    let loaded = context.storage.list(&area.loaded()).await.map_err(SplitError::WorkArea)?;
    let loaded: HashSet<_> = loaded.into_iter().map(|listed| listed.location).collect();
    let missing = chunks.iter().filter(|chunk| !loaded.contains(&area.chunk_receipt(chunk.index)));
    announce(context, job, area, missing).await
}
