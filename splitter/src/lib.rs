//! Streams one large CSV or Parquet object into Parquet chunks of bounded size, and announces each.
//!
//! The line, top to bottom: `open` (which job is this, how is it written) → `read` (bytes) → `text`
//! (decompressed, in UTF-8: `decompress`, `transcode`) → `records` (blocks of whole
//! records) → `record`, `fields` (of each record) → `decode` (rejects, and typed columns: `column`) → `encode` (row groups) → `assemble`
//! (chunks of exact size) → `publish` (chunk, task, checkpoint, and the manifest last). A Parquet source enters at `row_groups`.
//!
//! Before the line stand `event` (which objects does a message tell of) and `handler` (what is the message answered).
//! For benchmarks `stages` has the line in pieces.
#![doc = include_str!("design.md")]

mod assemble;
mod batch;
mod blocks;
mod column;
mod column_chunk;
mod content;
mod context;
mod decode;
mod decompress;
mod dialect;
mod dictionary;
mod encode;
mod encoding;
mod error;
mod event;
mod examination;
mod examine;
mod field;
mod fields;
mod footer;
mod foreign;
mod handler;
mod header;
mod infer;
mod json;
mod marks;
mod names;
mod open;
mod plan;
mod publish;
mod quarantine;
mod ranged_file;
mod read;
mod record;
mod record_ends;
mod record_format;
mod records;
mod rejected;
mod rejects;
mod replay;
mod room;
mod row_group;
mod row_groups;
mod rows;
mod sample;
mod schema;
mod split;
#[cfg(feature = "stages")]
pub mod stages;
mod table_schema;
mod text;
mod transcode;
mod value;

pub use context::{Known, SplitContext};
pub use error::{BadInput, SplitError, TooManyBad};
pub use event::{DroppedObject, EventError, Notification, Payload, Skip};
pub use examination::{Examination, Gate};
pub use examine::examine;
pub use handler::{
    ContextError, HandlerContext, HandlerError, handle, handle_message, handle_within, splitting, threads,
};
pub use header::Layout;
pub use infer::Evidence;
pub use plan::{Expected, ParquetColumn, Plan, plan};
pub use rejected::rejected;
pub use replay::changes::Changes;
pub use replay::{LeftOut, Replay, Tried};
pub use split::{SplitOutcome, split, split_opened};
