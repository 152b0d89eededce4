//! A Delta table: its log, its data files, and what its store has to promise.

pub(crate) mod app_ids;
pub(crate) mod commit_error;
pub(crate) mod commit_info;
pub(crate) mod data_file;
pub(crate) mod deletions;
pub(crate) mod durable_files;
pub(crate) mod entries;
pub(crate) mod exclusive;
pub(crate) mod former_uris;
pub(crate) mod hint;
pub(crate) mod log;
pub(crate) mod names_after;
pub(crate) mod presence;
pub(crate) mod snapshot;
pub(crate) mod staging;
pub(crate) mod statistics;
pub(crate) mod table;
pub(crate) mod table_store;
pub(crate) mod tags;
pub(crate) mod tracking;
pub(crate) mod write;
