//! Sluice's worker: takes the chunks that messages tell of, and appends each to its Delta table exactly once.
//!
//! The straight line of a batch of messages is [`load`]; everything else is one of its stages. It only gives verdicts: who
//! called it acknowledges.
#![doc = include_str!("design.md")]

mod admission;
mod batch;
mod checks;
mod columns;
mod commit;
mod commit_info;
mod complete;
mod conform;
mod constraints;
mod definition;
mod durable_files;
mod error;
mod exclusive;
mod features;
mod fetch;
mod group;
mod head;
mod hint;
mod ledger;
mod load;
mod log;
mod maintain;
mod offers;
mod outlook;
mod partition;
mod plan;
mod presence;
mod quarantine;
mod refusal;
mod replace;
mod rewrite;
mod route;
mod row_hash;
mod sql;
mod staging;
mod statistics;
mod table;
mod tables;
mod takeover;
mod tracking;
mod transform;
mod undo;
mod verify;
mod whole_file;
mod write;

pub use columns::{check_columns, check_sql_for_table};
pub use error::LoadError;
pub use ledger::{Holding, Ledger, TakenOut};
pub use load::{LoadContext, has_job, load, loading, table_version};
pub use maintain::{
    Checkpoints, Cleared, Compacted, Compaction, FixedFile, FixedStatistics, LEAST_RETENTION, Maintained, Maintenance,
    Vacuum, WrittenCheckpoint, maintain,
};
pub use refusal::Refusal;
pub use sql::check_sql;
pub use statistics::FixedValue;
pub use table::DeltaOptions;
pub use tables::Tables;
pub use undo::{Undoing, undo};
pub use verify::{DifferingChunk, Finding, Tally, Verification, verify};
