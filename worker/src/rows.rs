//! Rows on their way from a chunk to the columns of a table.

pub(crate) mod conform;
pub(crate) mod judge;
pub(crate) mod of_table;
pub(crate) mod partition;
pub(crate) mod quarantine;
pub(crate) mod record_numbers;
pub(crate) mod rejected;
pub(crate) mod row_counts;
pub(crate) mod row_hash;
pub(crate) mod shaping;
pub(crate) mod transform;
