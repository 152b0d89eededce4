//! The bytes of a source, in order, a few ranges ahead.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use shared::{Progress, SourceObject, Storage};

use crate::error::SplitError;

/// Bytes of one range.
const RANGE_BYTES: u64 = 4 << 20;

/// Ranges that are read at once.
const RANGES_AHEAD: usize = 3;

/// All bytes from `from` on. Every range insists on the version of the source, so two versions are never mixed.
pub(crate) fn bytes(
    storage: Arc<dyn Storage>,
    source: SourceObject,
    from: u64,
    progress: Arc<Progress>,
) -> impl Stream<Item = Result<Bytes, SplitError>> + Send {
    let starts = stream::iter((from..source.size).step_by(usize::try_from(RANGE_BYTES).unwrap_or(usize::MAX)));
    let size = source.size;
    let source = Arc::new(source);
    starts
        .map(move |start| {
            let (storage, source) = (Arc::clone(&storage), Arc::clone(&source));
            let at = source.uri.clone();
            let range = start..size.min(start + RANGE_BYTES);
            // A task of its own, so that it goes on while nobody asks for its result.
            let read = tokio::spawn(async move { storage.get_range(&source.uri, &source.version, range).await });
            let progress = Arc::clone(&progress);
            async move {
                let bytes =
                    read.await.map_err(|error| SplitError::internal(&at, error))?.map_err(SplitError::Source)?;
                progress.bytes_read.add(u64::try_from(bytes.len()).unwrap_or_default());
                Ok(bytes)
            }
        })
        .buffered(RANGES_AHEAD)
}
