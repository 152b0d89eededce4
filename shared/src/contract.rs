//! A contract: how the files of one feed are read, and what becomes of files that deviate from it. A file of TOML.

mod expect;
pub(crate) mod notes;
mod parse;
mod quoted;
pub(crate) mod terms;
