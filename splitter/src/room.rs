//! What a split holds of the process's memory, and how its blocks part it.

use std::sync::Arc;

use shared::{Compression, Format, Job, Location, Memory, MemoryShare, MemoryTooSmall, Settings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::SplitError;

/// What a split holds beside its blocks: parts of two uploads, text that is read ahead, rejects that wait to be stored.
const BESIDE_BYTES: u64 = 48 << 20;

/// What a thread works on: a block, and what becomes of it.
pub(crate) const THREAD_BYTES: u64 = 32 << 20;

/// How many times its text a block takes that one record makes longer than others.
const TIMES: u64 = 6;

/// How many times its bytes a small source takes, whatever is in it.
const SMALL_TIMES: u64 = 64;

/// Unit of what blocks take: a permit counts 32 bits.
const UNIT: u64 = 1 << 10;

/// The memory of one split. It has room for the longest record from the start, so that a holder of a part of it never waits, and for more
/// threads as far as there is memory that nobody else uses.
#[derive(Debug)]
pub(crate) struct Room {
    _share: Option<MemoryShare>,
    threads: usize,
    blocks: Arc<Semaphore>,
    units: u32,
}

impl Room {
    /// Takes what a job needs of the process's memory, or all of it where that is less, and waits for it.
    pub(crate) async fn reserve(settings: &Settings, job: &Job, threads: usize) -> Self {
        Self::of(&settings.memory, least(settings, job), threads).await
    }

    async fn of(memory: &Memory, least: u64, threads: usize) -> Self {
        let least = least.min(memory.bytes());
        let mut share = memory.reserve(least).await.ok();
        let (mut bytes, mut blocks) = (least, least.saturating_sub(BESIDE_BYTES).max(least / 4));
        let threads = u64::try_from(threads).unwrap_or(u64::MAX).max(1);
        while blocks < threads * THREAD_BYTES
            && let Some(share) = &mut share
            && memory.try_grow(share, bytes + THREAD_BYTES)
        {
            (bytes, blocks) = (bytes + THREAD_BYTES, blocks + THREAD_BYTES);
        }
        let threads = usize::try_from((blocks / THREAD_BYTES).clamp(1, threads)).unwrap_or(1);
        let units = u32::try_from(blocks / UNIT).unwrap_or(u32::MAX);
        let units = units.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX)).max(1);
        let permits = usize::try_from(units).unwrap_or(1);
        Self { _share: share, threads, blocks: Arc::new(Semaphore::new(permits)), units }
    }

    /// Blocks that are decoded and encoded at once.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Waits for room for so many bytes of text and what becomes of them. What is larger than all of the room has it alone.
    pub(crate) async fn block(&self, text: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u64::try_from(text).unwrap_or(u64::MAX).saturating_mul(TIMES).max(THREAD_BYTES);
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).min(self.units);
        // Nobody closes it.
        Arc::clone(&self.blocks).acquire_many_owned(units).await.ok()
    }
}

/// What a job needs, at least.
fn least(settings: &Settings, job: &Job) -> u64 {
    let size = job.source.size;
    let (blocks, is_bounded) = match &job.policy.format {
        Format::Parquet { .. } => (settings.read.max_footer_bytes, true),
        Format::Csv(_) | Format::Ndjson(_) => {
            let longest = job.policy.max_record_bytes.saturating_mul(TIMES);
            (longest, job.policy.text.compression == Compression::None && job.replay_of.is_empty())
        }
    };
    let most = if is_bounded { size.saturating_mul(SMALL_TIMES).max(1 << 20) } else { u64::MAX };
    BESIDE_BYTES.saturating_add(THREAD_BYTES).saturating_add(blocks).min(most)
}

/// Refuses a record of which so many bytes were read, if there is no memory for what becomes of it.
pub(crate) fn check_record(memory: &Memory, at: &Location, (start, held): (u64, usize)) -> Result<(), SplitError> {
    let bytes = u64::try_from(held).unwrap_or(u64::MAX).saturating_mul(TIMES);
    if bytes <= THREAD_BYTES {
        return Ok(());
    }
    let refused = |source: MemoryTooSmall| {
        let (at, what) = (Box::new(at.clone()), format!("the record near byte {start}"));
        SplitError::Memory { at, what, source }
    };
    memory.check(|_| bytes).map(drop).map_err(refused)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const LEAST: u64 = BESIDE_BYTES + THREAD_BYTES + (16 << 20) * TIMES;

    #[tokio::test]
    async fn threads_are_as_many_as_there_is_memory_for() {
        for (mb, cores, expected) in [(128, 8, 1), (256, 8, 4), (512, 2, 2), (512, 64, 12), (1769, 64, 51)] {
            let room = Room::of(&Memory::of_mb(mb), LEAST, cores).await;
            assert_eq!(room.threads(), expected, "{mb} MB, {cores} cores");
        }
    }

    #[tokio::test]
    async fn a_split_waits_until_others_have_returned_memory() {
        let memory = Memory::of_mb(512);
        let first = Room::of(&memory, LEAST, 64).await;
        assert!(Room::of(&memory, LEAST, 64).now_or_never().is_none());
        drop(first);
        let [first, second] = [Room::of(&memory, LEAST, 2).await, Room::of(&memory, LEAST, 64).await];
        assert_eq!([first.threads(), second.threads()], [2, 7]);
    }

    #[tokio::test]
    async fn a_block_that_is_longer_than_others_takes_the_place_of_some() {
        let room = Room::of(&Memory::of_mb(512), LEAST, 4).await;
        let four = [room.block(1).await, room.block(4 << 20).await, room.block(1).await, room.block(1).await];
        assert!(room.block(1).now_or_never().is_none());
        drop(four);
        let long = room.block(1 << 30).await;
        assert!(room.block(1).now_or_never().is_none(), "one that is too long for all of it has it alone");
        drop(long);
        drop((room.block(8 << 20).await, room.block(8 << 20).await));
    }

    #[test]
    fn a_record_that_is_too_long_for_the_memory_is_refused() {
        let at = "s3://b/k".parse().unwrap();
        let refused = check_record(&Memory::of_mb(128), &at, (7, 12 << 20)).unwrap_err();
        insta::assert_snapshot!(refused, @"the record near byte 7 of s3://b/k cannot be read: it needs 72 MiB of memory, and MEMORY_MB=128 leaves 64 MiB for it");
        insta::assert_snapshot!(refused.hint().unwrap(), @"set MEMORY_MB=136 where there is as much, or give the function 136 MB of memory");
        assert!(check_record(&Memory::of_mb(136), &at, (7, 12 << 20)).is_ok());
        assert!(check_record(&Memory::of_mb(128), &at, (7, 5 << 20)).is_ok());
    }
}
