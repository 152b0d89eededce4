//! What is found out from the values of a source: in samples, or in all of it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use shared::{Policy, SourceObject};

use crate::blocks::blocks;
use crate::context::SplitContext;
use crate::error::SplitError;
use crate::examine::sample::Sample;
use crate::records::format::RecordFormat;
use crate::text::Start;

/// What is observed in each piece of a sample, given whether it may end, and may begin, within a record, put together.
pub(super) async fn from_sample<T: Default + Send + 'static>(
    context: &SplitContext,
    source: &SourceObject,
    sample: &Sample,
    data_start: u64,
    observe: impl Fn(&[u8], bool, bool) -> T + Send + Sync + 'static,
    merge: impl Fn(&mut T, &T),
) -> Result<T, SplitError> {
    let observe = Arc::new(observe);
    let data_start = usize::try_from(data_start).unwrap_or(usize::MAX).min(sample.head.len());
    let mut pieces = vec![(sample.head.slice(data_start..), !sample.is_whole, false)];
    pieces.extend(sample.spread.iter().map(|piece| (piece.text.clone(), piece.ends_open, true)));
    let observed = stream::iter(pieces).map(|(text, ends_open, is_cut)| {
        let observe = Arc::clone(&observe);
        tokio::task::spawn_blocking(move || observe(&text, ends_open, is_cut))
    });
    let mut observed = observed.buffered(context.threads.max(1));
    let mut all = T::default();
    while let Some(more) = observed.next().await {
        merge(&mut all, &more.map_err(|error| SplitError::internal(&source.uri, error))?);
    }
    Ok(all)
}

/// What is observed in every block of a source, put together.
pub(super) async fn from_all<T: Default + Send + 'static>(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
    format: RecordFormat,
    observe: impl Fn(&[u8]) -> T + Send + Sync + 'static,
    merge: impl Fn(&mut T, &T),
) -> Result<T, SplitError> {
    let observe = Arc::new(observe);
    let start = Start { from: format.data_start(), resume_point: None };
    let blocks = blocks(context, source, policy, &format, start, &Arc::default());
    let observed = blocks.map(|block| {
        let (observe, format) = (Arc::clone(&observe), format.clone());
        async move {
            let (block, _) = block?;
            let observed = tokio::task::spawn_blocking(move || observe(&format.records_of(&block)));
            observed.await.map_err(|error| SplitError::internal(&source.uri, error))
        }
    });
    let mut observed = std::pin::pin!(observed.buffered(context.threads.max(1)));
    let mut all = T::default();
    while let Some(more) = observed.try_next().await? {
        if context.stop.is_cancelled() {
            // Nothing is kept of it: a source that takes longer than a call to read needs SCHEMA, or INFER=sample.
            return Err(SplitError::Stopped { chunks: 0, advanced: 0 });
        }
        merge(&mut all, &more);
    }
    Ok(all)
}
