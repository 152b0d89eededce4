//! Look-ups in memory, as SQL joins them.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use shared::Location;

/// All rows of a look-up, in one version.
#[derive(Debug)]
pub(crate) struct Reference {
    /// Its name in SQL.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) from: Location,
    pub(crate) rows: RecordBatch,
}

impl Reference {
    /// Bytes of its rows in memory, and of an index by a short key.
    pub(crate) fn bytes(&self) -> u64 {
        bytes(&self.rows)
    }
}

/// Bytes of an index for each row: the key, where it ends, and its place in the map.
const INDEX_BYTES: u64 = 32;

/// Bytes of rows in memory, and of an index by a short key.
pub(crate) fn bytes(rows: &RecordBatch) -> u64 {
    let columns = u64::try_from(rows.get_array_memory_size()).unwrap_or(u64::MAX);
    let index = u64::try_from(rows.num_rows()).unwrap_or(u64::MAX).saturating_mul(INDEX_BYTES);
    columns.saturating_add(index)
}

/// The look-ups that a query may join.
pub(crate) type References<'a> = &'a [Arc<Reference>];
