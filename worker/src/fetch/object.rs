//! One version of an object, and the checksum of its bytes.

use std::sync::Arc;

use bytes::Bytes;
use shared::checksum::Checksum;
use shared::{Location, ObjectStat, Storage};

use crate::error::LoadError;
use crate::fetch::row_group_bytes::RowGroupBytes;

/// Bytes that are read at once where nothing but the checksum needs them.
const PIECE_BYTES: u64 = 8 << 20;

/// One version of an object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) at: Location,
    pub(super) stat: ObjectStat,
}

impl Object {
    /// Bytes from `start` to before `end`.
    pub(super) async fn read(&self, start: u64, end: u64) -> Result<Bytes, LoadError> {
        let read = self.storage.get_range(&self.at, &self.stat.version, start..end).await;
        read.map_err(|source| LoadError::reading(&self.at, source))
    }
}

/// The checksum of an object in the making. Bytes are added in the order of the object, each once, whatever order they are
/// asked for in: what lies between is read for the checksum alone.
pub(super) struct Check<'a> {
    object: &'a Object,
    /// Whether anybody wants to know it.
    is_wanted: bool,
    checksum: Checksum,
    /// Bytes from the beginning that are in the checksum.
    done: u64,
}

impl<'a> Check<'a> {
    pub(super) fn new(object: &'a Object, is_wanted: bool) -> Self {
        Self { object, is_wanted, checksum: Checksum::default(), done: 0 }
    }

    /// Reads bytes that are wanted for themselves.
    pub(super) async fn read(&mut self, start: u64, end: u64) -> Result<RowGroupBytes, LoadError> {
        let bytes = self.object.read(start, end).await?;
        self.add(start, &bytes).await?;
        Ok(RowGroupBytes { start, bytes, length: self.object.stat.size })
    }

    async fn add(&mut self, start: u64, bytes: &Bytes) -> Result<(), LoadError> {
        if !self.is_wanted {
            return Ok(());
        }
        self.fill(start).await?;
        let known = usize::try_from(self.done - start).unwrap_or(usize::MAX).min(bytes.len());
        self.checksum.update(&bytes[known..]);
        self.done += u64::try_from(bytes.len() - known).unwrap_or(0);
        Ok(())
    }

    /// Adds what lies before `end`.
    async fn fill(&mut self, end: u64) -> Result<(), LoadError> {
        while self.done < end {
            let piece_end = end.min(self.done + PIECE_BYTES);
            let piece = self.object.read(self.done, piece_end).await?;
            self.checksum.update(&piece);
            self.done = piece_end;
        }
        Ok(())
    }

    /// Adds what is missing before the last bytes, which are known, and these; gives the checksum, if it is wanted.
    pub(super) async fn finish(mut self, last_start: u64, last: &Bytes) -> Result<Option<String>, LoadError> {
        self.add(last_start, last).await?;
        Ok(self.is_wanted.then(|| self.checksum.text()))
    }
}
