//! What became of the rows of a chunk.

use serde::{Deserialize, Serialize};
use shared::{ChunkReceipt, ExpectationResults, RowHash, Rows};

/// What became of the rows of a chunk, and which of them are to be in the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RowCounts {
    pub(crate) rows: Rows,
    /// None for a chunk that is taken over, and in notes from before there was one.
    #[serde(default)]
    pub(crate) row_hash: Option<RowHash>,
    /// Checksum of a chunk that is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<String>,
    /// What came of the rows by the expectations of the job, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expectations: Option<ExpectationResults>,
}

impl RowCounts {
    pub(crate) fn receipt(self, index: u32, table_version: Option<u64>, attempts: Option<u32>) -> ChunkReceipt {
        let Self { rows, row_hash, checksum, expectations } = self;
        ChunkReceipt { index, rows, row_hash, checksum, expectations, table_version, attempts }
    }
}
