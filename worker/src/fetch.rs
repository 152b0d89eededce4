//! Files of Parquet, read and verified a row group at a time: chunks, and data files of a table.

pub(crate) mod chunk_file;
mod costs;
pub(crate) mod data_file;
mod footer;
mod keyed_pages;
mod object;
mod pages;
mod row_group_bytes;
