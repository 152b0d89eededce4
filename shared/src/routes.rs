//! Routes: which table an object goes to, and how it is read. A file of TOML.

mod load;
mod parse;
mod pattern;
pub(crate) mod pinned;
mod rank;
mod sequence;
mod template;
pub(crate) mod terms;
