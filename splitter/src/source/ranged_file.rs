//! A Parquet file, as the Parquet reader wants it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use futures::Stream;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use shared::{Location, Progress, SourceObject, Storage, StorageError};
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::error::{BadInput, SplitError};
use crate::source::read;

/// What may help where a file of Parquet is damaged.
pub(crate) const HINT: &str = "the file is damaged or was not written to its end; have it written again";

/// Bytes that are fetched at once where the decoder does not say how many it wants: it is after the header of a page.
const READ_BYTES: u64 = 16 << 10;

/// A file as the Parquet reader wants it: blocking reads of ranges. To be used off the async threads only.
#[derive(Clone, Debug)]
pub(crate) struct RangedFile {
    storage: Arc<dyn Storage>,
    pub(crate) source: SourceObject,
    progress: Arc<Progress>,
    runtime: Handle,
    /// Why a range could not be read. The Parquet reader passes errors on in more than one wrapping, or as text alone.
    failure: Arc<Mutex<Option<StorageError>>>,
}

/// The error that the Parquet reader gets for a range that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReadFailed(String);

impl RangedFile {
    /// A file that is read from within the async runtime that this is called in.
    pub(crate) fn new(storage: Arc<dyn Storage>, source: SourceObject, progress: Arc<Progress>) -> Self {
        Self { storage, source, progress, runtime: Handle::current(), failure: Arc::default() }
    }

    /// The bytes of ranges, one after the other, read some way ahead.
    pub(crate) fn bytes_of(
        &self,
        ranges: impl IntoIterator<Item = Range<u64>, IntoIter: Send>,
    ) -> impl Stream<Item = Result<Bytes, SplitError>> + Send {
        read::bytes_of(Arc::clone(&self.storage), self.source.clone(), ranges, Arc::clone(&self.progress))
    }

    fn range(&self, start: u64, end: u64) -> Result<Bytes, ReadFailed> {
        self.progress.bytes_read.add(end - start);
        let read = self.runtime.block_on(self.storage.get_range(&self.source.uri, &self.source.version, start..end));
        read.map_err(|error| {
            let failed = ReadFailed(error.to_string());
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            failed
        })
    }

    /// What the store answered, where that is what the Parquet reader failed of.
    pub(crate) fn store_failure(&self) -> Option<StorageError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the Parquet reader complains of is the source's fault, unless it could not be read.
    pub(crate) fn blame(&self, error: &ParquetError) -> SplitError {
        if let Some(failure) = self.store_failure() {
            return SplitError::Source(failure);
        }
        let reason = match error {
            ParquetError::External(source) => source.to_string(),
            error => error.to_string(),
        };
        // Arrow says once more that it is about Parquet.
        let reason = reason.strip_prefix("Parquet argument error: ").unwrap_or(&reason);
        BadInput::whole(&self.source.uri, reason, HINT).into()
    }
}

impl Length for RangedFile {
    fn len(&self) -> u64 {
        self.source.size
    }
}

impl ChunkReader for RangedFile {
    type T = RangedRead;

    fn get_read(&self, start: u64) -> Result<RangedRead, ParquetError> {
        Ok(RangedRead { file: self.clone(), position: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if end > self.source.size {
            return Err(ParquetError::EOF(format!("bytes {start} to {end} of {} are asked for", self.source.size)));
        }
        self.range(start, end).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from a place, some way ahead.
#[derive(Debug)]
pub(crate) struct RangedRead {
    file: RangedFile,
    position: u64,
    ahead: Bytes,
}

impl Read for RangedRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let end = self.file.source.size.min(self.position.saturating_add(READ_BYTES)).max(self.position);
            self.ahead = self.file.range(self.position, end).map_err(io::Error::other)?;
            self.position = end;
        }
        let count = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The error of a Parquet reader that panicked: on unexpected bytes, so what is wrong is the source.
pub(crate) fn reader_error(at: &Location, error: JoinError) -> SplitError {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let reason = format!("the Parquet reader cannot read on: {}", text.unwrap_or("it does not say why"));
            BadInput::whole(at, reason, HINT).into()
        }
        Err(error) => SplitError::internal(at, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_names_the_file() {
        let at = "s3://b/k".parse().unwrap();
        let number = 7;
        for (panic, expected) in [
            (tokio::spawn(async { panic!("no such page") }), "no such page"),
            (tokio::spawn(async move { panic!("no page {number}") }), "no page 7"),
            (tokio::spawn(async { std::panic::panic_any(()) }), "it does not say why"),
        ] {
            let error = reader_error(&at, panic.await.unwrap_err());
            assert_eq!(error.to_string(), format!("s3://b/k: the Parquet reader cannot read on: {expected}"));
            assert!(error.is_bad_input());
        }
    }
}
