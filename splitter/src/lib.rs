//! Streams one large CSV or Parquet object into Parquet chunks of bounded size, and announces each.
//!
//! The pipeline is [`split`]: `open` (which job is this, and how is its source written: `examine`) → `source` (bytes) → `text`
//! (decompressed, in UTF-8) → `blocks` (of whole records: `records`) → `decode` (fields of `csv` and `json` become the typed columns
//! of `column`, or are rejected) → `chunk` (row groups, and Parquet files of exact size) → `publish` (chunk, task, checkpoint, and
//! the manifest last). A Parquet source enters at `parquet_source`.
//!
//! Before it stands `handler`: which objects a message names, and how the message is answered. For benchmarks, `stages` has
//! the pipeline in pieces.
#![doc = include_str!("design.md")]

mod blocks;
mod chunk;
mod column;
mod context;
mod contract;
mod csv;
mod decode;
#[cfg(test)]
mod dice;
mod error;
mod examination;
mod examine;
mod handler;
mod json;
mod open;
mod parquet_source;
mod plan;
mod publish;
mod records;
mod replay;
mod room;
mod routes;
mod schema;
mod source;
mod split;
#[cfg(feature = "stages")]
pub mod stages;
mod text;
mod value;

pub use crate::csv::header::Layout;
pub use context::{Known, SplitContext};
pub use contract::difference::{Deviation, Difference, DifferenceKind, DifferenceOutcome};
pub use contract::under_contract;
pub use error::{AllRejected, BadInput, SplitError, TooManyBad};
pub use examination::{Examination, Gate};
pub use examine::examine;
pub use handler::event::{DroppedObject, EventError, Notification, Payload, Skip, notification};
pub use handler::{
    ContextError, HandlerContext, HandlerError, handle, handle_message, handle_within, splitting, threads,
};
pub use plan::{Expected, Misfit, ParquetColumn, Plan, plan};
pub use replay::changes::Changes;
pub use replay::rejected::rejected;
pub use replay::{DryRun, LeftOut, Replay};
pub use routes::kept::KeptRoutes;
pub use routes::read::read_routes;
pub use schema::column_names::column_names;
pub use schema::infer::Evidence;
pub use split::{SplitOutcome, split, split_opened};
