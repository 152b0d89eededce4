//! The bytes of a source as they are stored, in order, a few ranges ahead.

use std::io::{self, BufRead, Read};
use std::iter;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt, stream};
use shared::{Progress, SourceObject, Storage};
use tokio::runtime::Handle;

use crate::error::SplitError;

/// Ranges end at multiples of so many bytes. So do blocks, but for what is left of the record there; see `records`.
const RANGE_BYTES: u64 = 4 << 20;

/// Ranges that are read at once.
const RANGES_AHEAD: usize = 3;

/// All bytes of a range.
pub(crate) fn bytes(
    storage: Arc<dyn Storage>,
    source: SourceObject,
    range: Range<u64>,
    progress: Arc<Progress>,
) -> impl Stream<Item = Result<Bytes, SplitError>> + Send {
    bytes_of(storage, source, iter::once(range), progress)
}

/// All bytes of ranges, one after the other. Every read requires the version of the source, so two versions are never
/// mixed.
pub(crate) fn bytes_of(
    storage: Arc<dyn Storage>,
    source: SourceObject,
    ranges: impl IntoIterator<Item = Range<u64>, IntoIter: Send>,
    progress: Arc<Progress>,
) -> impl Stream<Item = Result<Bytes, SplitError>> + Send {
    let source = Arc::new(source);
    stream::iter(ranges.into_iter().flat_map(cut))
        .map(move |range| {
            let (storage, source) = (Arc::clone(&storage), Arc::clone(&source));
            let at = source.uri.clone();
            // A task of its own, so that it continues while its result is not awaited.
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

/// A range in pieces that are read at once.
fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let Range { mut start, end } = range;
    iter::from_fn(move || {
        let piece = start..end.min(start - start % RANGE_BYTES + RANGE_BYTES);
        start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Stored bytes as a reader for a thread that may block, which those of the runtime may not.
pub(crate) struct Stored {
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, SplitError>> + Send>>,
    runtime: Handle,
    piece: Bytes,
    /// Offset in the file of what is read next.
    offset: u64,
    /// Whether more was asked for than there is.
    ran_out: bool,
}

impl Stored {
    /// Reads pieces that begin at an offset in the file.
    pub(crate) fn new(
        pieces: impl Stream<Item = Result<Bytes, SplitError>> + Send + 'static,
        offset: u64,
        runtime: Handle,
    ) -> Self {
        Self { pieces: Box::pin(pieces), runtime, piece: Bytes::new(), offset, ran_out: false }
    }

    /// Offset in the file of what is read next.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether more was asked for than there is.
    pub(crate) fn ran_out(&self) -> bool {
        self.ran_out
    }
}

impl BufRead for Stored {
    /// Fails with a [`SplitError`] within, where the source cannot be read.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            let Some(piece) = self.runtime.block_on(self.pieces.next()) else {
                self.ran_out = true;
                break;
            };
            self.piece = piece.map_err(io::Error::other)?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.piece.len());
        self.piece.advance(amount);
        self.offset += u64::try_from(amount).unwrap_or_default();
    }
}

impl Read for Stored {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
