//! What a table is like: its columns, its constraints, and what it asks of its writers.

pub(crate) mod checks;
pub(crate) mod columns;
pub(crate) mod constraints;
pub(crate) mod definition;
pub(crate) mod features;
pub(crate) mod refusal;
pub(crate) mod write_schema;
