//! How many bytes the look-ups of a query may have.

use std::sync::atomic::{AtomicU64, Ordering};

use shared::{LookupProblem, Memory};

/// Part of the account that the look-ups of a query may have.
const PART: u64 = 8;
const LEAST_BYTES: u64 = 4 << 20;
const MOST_BYTES: u64 = 512 << 20;

/// Bytes that the look-ups of a query may have together: as they are stored, and as they are decoded.
pub(super) fn most(memory: &Memory) -> u64 {
    memory.part(PART, LEAST_BYTES, MOST_BYTES)
}

/// Room for the look-ups of one query.
#[derive(Debug)]
pub(super) struct Room {
    used: AtomicU64,
    most: u64,
    mb: u64,
}

impl Room {
    pub(super) fn of(memory: &Memory) -> Self {
        Self { used: AtomicU64::new(0), most: most(memory), mb: memory.mb() }
    }

    /// Takes so many bytes of it.
    pub(super) fn take(&self, bytes: u64) -> Result<(), LookupProblem> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.check(used)
    }

    /// Whether there is room for so many bytes more, which are not taken.
    pub(super) fn has(&self, bytes: u64) -> Result<(), LookupProblem> {
        self.check(self.used.load(Ordering::Relaxed).saturating_add(bytes))
    }

    fn check(&self, used: u64) -> Result<(), LookupProblem> {
        if used <= self.most {
            return Ok(());
        }
        let (used, most) = (used.div_ceil(1 << 20), self.most >> 20);
        Err(LookupProblem::TooLarge(format!(
            "with it, the look-ups of the query have {used} MiB or more, and with MEMORY_MB={} they may have {most} MiB",
            self.mb
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_share_an_eighth_of_the_account() {
        let room = Room::of(&Memory::of_mb(512));
        assert_eq!(most(&Memory::of_mb(512)), 56 << 20);
        assert!(room.take(50 << 20).is_ok() && room.has(6 << 20).is_ok());
        let refused = room.take((6 << 20) + 1).unwrap_err();
        insta::assert_snapshot!(refused, @"with it, the look-ups of the query have 57 MiB or more, and with MEMORY_MB=512 they may have 56 MiB");
    }
}
