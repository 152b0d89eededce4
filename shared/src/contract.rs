//! A contract: how the files of one feed are read, and what becomes of files that deviate from it. A file of TOML.

pub(crate) mod notes;
mod parse;
pub(crate) mod terms;
