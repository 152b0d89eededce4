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

            /// All counters now, which begin again from zero.
            pub fn take(&self) -> ProgressSnapshot {
                ProgressSnapshot { $($name: self.$name.0.swap(0, Relaxed)),* }
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
    /// Longest time from a drop to the commit of a chunk of it, in milliseconds.
    load_lag_ms,
    /// Age of the oldest job of which neither all rows are in the table nor the end is noted, in milliseconds.
    oldest_unfinished_ms,
    /// Attempts to split a dropped file.
    split_attempts,
    /// Attempts that found that a file cannot be split as it is.
    files_rejected,
    /// Files that were split to their end; the next ones are counted at that end, once a file.
    files_split,
    /// Size of these as they are stored, in bytes.
    split_bytes,
    /// Records of these.
    split_records,
    /// Those of them that the splitter rejected.
    split_rejected,
    /// Lines of these that are not part of a record.
    split_skipped_lines,
    /// Chunks of these.
    split_chunks,
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Raises it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Raises it to a value, unless it is there already.
    pub fn raise_to(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
