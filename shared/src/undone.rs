//! What is left of a job that was undone.

use serde::{Deserialize, Serialize};

use crate::job::{JobId, Seal};
use crate::location::Location;

impl Seal {
    /// In place of a job's own seal once the job is undone: no policy has it, so none of its chunks is let in again.
    pub const UNDONE: Self = Self(-1);
}

/// What was removed from a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Data files.
    pub files: u64,
    /// Rows in them; none when a file does not say.
    pub rows: Option<u64>,
    /// Bytes of them.
    pub bytes: u64,
}

/// Says that a job is undone: `undone.json`, written after the commit that removes its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Version of this document, 1.
    pub version: u32,
    /// The job.
    pub job_id: JobId,
    /// The table.
    pub table: Location,
    /// Version of the table that no longer has the job's rows; none when its entry is no longer in the log.
    pub table_version: Option<u64>,
    /// What was removed; none when that is not known any more.
    pub removed: Option<Removed>,
    /// The job that took its place, where it was not undone for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<JobId>,
}

impl std::ops::AddAssign for Removed {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.rows = self.rows.zip(other.rows).map(|(one, other)| one + other);
        self.bytes += other.bytes;
    }
}
