//! Chunks: columns become encoded row groups, and these become Parquet files of exact size.

pub(crate) mod assemble;
pub(crate) mod encode;
pub(crate) mod row_group;
