//! How far a job has come, for displays.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters that the stages raise and that a progress line reads. Never used to decide anything.
        #[derive(Debug, Default)]
        pub struct Progress { $($(#[$doc])* pub $name: Counter),* }

        /// All counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct ProgressSnapshot { $($(#[$doc])* pub $name: u64),* }

        impl Progress {
            /// All counters now.
            pub fn snapshot(&self) -> ProgressSnapshot {
                ProgressSnapshot { $($name: self.$name.get()),* }
            }
        }
    };
}

counters! {
    /// Size of the source in bytes.
    bytes_total,
    /// Bytes of the source that were read.
    bytes_read,
    /// Records that were read.
    rows_read,
    /// Records and rows that were quarantined.
    rows_quarantined,
    /// Rows that expectations dropped.
    rows_dropped,
    /// How often rows were against an expectation.
    expectation_violations,
    /// Chunks that were stored and announced.
    chunks_split,
    /// Chunks that one machine is to load, once it has split their source.
    chunks_to_load,
    /// Chunks whose data files are made, and not committed perhaps.
    chunks_prepared,
    /// Chunks that are in the table.
    chunks_committed,
    /// Rows that are in the table.
    rows_committed,
    /// Commits that were tried.
    commit_attempts,
    /// Commits that lost against another writer.
    commit_conflicts,
    /// Time that was waited between attempts to commit, in milliseconds.
    commit_wait_ms,
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Raises it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
