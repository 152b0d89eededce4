//! Routes: which table an object goes to, and how it is read. A file of TOML, or a table of `DynamoDB`.

pub(crate) mod at;
pub(crate) mod chain;
pub(crate) mod dynamodb;
pub(crate) mod given;
pub(crate) mod items;
mod load;
mod parse;
mod pattern;
pub(crate) mod pinned;
#[cfg(feature = "checks")]
mod query;
mod rank;
pub(crate) mod read;
mod sequence;
mod template;
pub(crate) mod terms;
