//! Sluice's worker: takes the chunks that messages tell of, and appends each to its Delta table exactly once.
//!
//! The straight line of a batch of messages is [`load`]; everything else is one of its stages. It only gives verdicts: who
//! called it acknowledges.
#![doc = include_str!("design.md")]

mod already_loaded;
mod assign;
mod batch;
mod chain;
mod chunk;
mod commit;
mod conclude;
mod context;
mod delta;
mod error;
mod fetch;
mod handler;
mod keyed;
mod ledger;
mod load;
mod lookups;
mod maintain;
mod outlook;
mod prepare;
mod receipts;
mod rows;
mod schema;
mod sql;
mod sql_trial;
mod undo;
mod verdict;
mod verify;

pub use chain::{Followed, Following, follow};
pub use commit::tables::Tables;
pub use context::LoadContext;
pub use delta::former_uris::FormerUris;
pub use delta::statistics::correct::FixedValue;
pub use delta::table_store::{TableStore, TestedBuckets};
pub use error::LoadError;
pub use handler::{Handler, HandlerError};
pub use ledger::{Holding, Ledger, Rows as RowsOfJobs, TakenOut, has_job, table_version};
pub use load::{batch_span, load, loading};
pub use lookups::kept::KeptLookups;
pub use lookups::with_lookups;
pub use maintain::asked::{Checkpoints, Compaction, LEAST_RETENTION, Maintenance, Vacuum};
pub use maintain::cleared::Cleared;
pub use maintain::{
    Compacted, FixedFile, FixedStatistics, Maintained, UnfinishedJobs, WrittenCheckpoint, maintain,
    write_due_checkpoint,
};
pub use rows::shaping::Shaping;
pub use schema::columns::{check_columns, check_new_columns, check_replacement, check_sql, check_sql_for_table};
pub use schema::refusal::Refusal;
pub use sql_trial::{SqlTrial, try_expectations, try_sql};
pub use undo::{Undoing, undo};
pub use verify::{DifferingChunk, Finding, Tally, Verification, verify};
