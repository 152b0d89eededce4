//! The stored bytes of a source, read by ranges.

pub(crate) mod ranged_file;
pub(crate) mod read;
