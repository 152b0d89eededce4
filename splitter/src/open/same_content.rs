//! Whether a drop has the content of an earlier one, whatever its time or eTag.

use futures::TryStreamExt;
use shared::{Drops, Format, Job, Manifest, OnReplace, Policy, SourceObject, StorageError, WorkArea, try_get_json};

use crate::blocks::blocks;
use crate::context::SplitContext;
use crate::error::SplitError;
use crate::records::content::{Content, of_block};
use crate::records::format::RecordFormat;
use crate::text::Start;

/// Earlier drops of the same size that are compared with, the latest first: each takes reading the source once.
const COMPARED: usize = 3;

/// The job of an earlier drop that had the same content, if there is one whose rows are where they were put. With
/// `ON_REPLACE=replace` only the last drop can be that: the rows of others have gone.
pub(crate) async fn same_as_before(
    context: &SplitContext,
    source: &SourceObject,
    drops: &Drops,
    policy: &Policy,
) -> Result<Option<(Job, WorkArea)>, SplitError> {
    let storage = context.storage.as_ref();
    let known = drops.all(storage).await.map_err(SplitError::WorkArea)?;
    let most = if context.settings.load.on_replace == OnReplace::Replace { 1 } else { usize::MAX };
    let mut compared = 0;
    for job_id in known.iter().rev().take(most) {
        let area = WorkArea::new(&context.work_prefix, job_id);
        let Some((job, digest)) = split_before(context, &area).await.map_err(SplitError::WorkArea)? else { continue };
        if job.source.size != source.size || !is_headed_alike(&job.policy.format, &policy.format) {
            continue;
        }
        if content_of(context, source, &job.policy).await? == Some(digest) {
            tracing::info!(job = %job.job_id, source = %source.uri, "dropped again with the same content");
            return Ok(Some((job, area)));
        }
        compared += 1;
        if compared == COMPARED {
            break;
        }
    }
    Ok(None)
}

/// A job that was split to its end and not undone, and the digest of its source.
async fn split_before(context: &SplitContext, area: &WorkArea) -> Result<Option<(Job, Content)>, StorageError> {
    let storage = context.storage.as_ref();
    if storage.exists(&area.undone()).await? {
        return Ok(None);
    }
    let manifest: Option<Manifest> = try_get_json(storage, &area.manifest(), "manifest").await?;
    let Some(digest) = manifest.and_then(|manifest| manifest.content) else { return Ok(None) };
    let job: Option<Job> = try_get_json(storage, &area.job(), "job").await?;
    Ok(job.map(|job| (job, Content::resume(Some(&digest)))))
}

/// Whether the records of two sources begin at the same place, after a header with the same names.
fn is_headed_alike(one: &Format, other: &Format) -> bool {
    match (one, other) {
        (Format::Csv(one), Format::Csv(other)) => {
            let names = one.columns.iter().map(|column| &column.source_name);
            one.data_start == other.data_start && names.eq(other.columns.iter().map(|column| &column.source_name))
        }
        (Format::Ndjson(one), Format::Ndjson(other)) => one.data_start == other.data_start,
        _ => false,
    }
}

/// The digest of a source, read by a policy; none for one that is not text.
async fn content_of(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
) -> Result<Option<Content>, SplitError> {
    let format = match &policy.format {
        Format::Csv(csv) => RecordFormat::from(csv),
        Format::Ndjson(json) => RecordFormat::from(json),
        Format::Parquet { .. } => return Ok(None),
    };
    let start = Start { from: format.data_start(), resume_point: None };
    let blocks = blocks(context, source, policy, &format, start, &std::sync::Arc::default());
    let digest =
        blocks.try_fold(Content::default(), |digest, (block, _)| async move { Ok(digest.with(&of_block(&block))) });
    digest.await.map(Some)
}
