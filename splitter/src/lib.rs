//! Streams one large CSV or Parquet object into Parquet chunks of bounded size, and announces each.
//!
//! The line, top to bottom: `open` (which job is this, how is it written) → `read` (bytes) → `records` (blocks of whole
//! records) → `decode` (typed columns, rejects) → `encode` (row groups) → `assemble` (chunks of exact size) → `publish`
//! (chunk, task, checkpoint, and the manifest last). A Parquet source enters at `row_groups`.
//!
//! Before the line stand `event` (which objects does a message tell of) and `handler` (what is the message answered).

mod assemble;
mod decode;
mod encode;
mod error;
mod event;
mod handler;
mod header;
mod infer;
mod names;
mod open;
mod publish;
mod quarantine;
mod read;
mod records;
mod row_groups;
mod split;
mod value;

pub use error::SplitError;
pub use event::{DroppedObject, EventError, Notification, Payload, Skip};
pub use handler::{ContextError, HandlerContext, HandlerError, handle, handle_message, handle_within};
pub use split::{SplitContext, SplitOutcome, split};
