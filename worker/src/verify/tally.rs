//! Rows, counted and hashed, and where two counts differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared::{JobId, RowHash};

use crate::delta::app_ids::job_app_id;

/// Rows, counted and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub rows: u64,
    /// Their hash; none where nobody took it.
    pub row_hash: Option<RowHash>,
    /// Checksum of the bytes of the one data file that they are in, where that is what is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A chunk of which the table has other rows than its receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferingChunk {
    /// Its application id.
    pub chunk: String,
    /// What its receipt says.
    pub expected: Tally,
    /// What its data files hold.
    pub found: Tally,
}

impl Default for Tally {
    fn default() -> Self {
        Self { rows: 0, row_hash: Some(RowHash::default()), checksum: None }
    }
}

impl Tally {
    /// Adds other rows; bytes have no sum.
    pub(super) fn add(&mut self, other: Self) {
        let is_first = *self == Self::default();
        self.rows += other.rows;
        self.row_hash = RowHash::sum(self.row_hash, other.row_hash);
        self.checksum = other.checksum.filter(|_| is_first);
    }
}

/// Rows by the application id of their chunk.
pub(super) type ByChunk = BTreeMap<String, Tally>;

/// All chunks of a job as if they were one.
pub(super) fn as_one(chunks: ByChunk, job: &JobId) -> ByChunk {
    let all = chunks.into_values().fold(Tally::default(), |mut all, one| {
        all.add(one);
        all
    });
    ByChunk::from([(job_app_id(job), all)])
}

/// The chunks of which one has other rows than the other says.
pub(super) fn compare(expected: &ByChunk, found: &ByChunk) -> Vec<DifferingChunk> {
    let chunks: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let tally = |of: &ByChunk, chunk: &String| of.get(chunk).cloned().unwrap_or_default();
    let pair = |chunk: &String| DifferingChunk {
        chunk: chunk.clone(),
        expected: tally(expected, chunk),
        found: tally(found, chunk),
    };
    chunks.into_iter().map(pair).filter(|pair| pair.expected != pair.found).collect()
}
