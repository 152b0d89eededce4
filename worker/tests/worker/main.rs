//! Loading as its callers see it: real chunks, real tables, messages in and verdicts out.

#![expect(clippy::unwrap_used, clippy::as_conversions, reason = "a test fails by panicking, and its numbers are small")]

mod bounds;
mod compact;
mod contention;
mod dictionaries;
mod exactly_once;
mod expectations;
mod faults;
mod fix_statistics;
mod lost_files;
mod lying_messages;
mod maintain;
mod older;
mod refusals;
mod rows;
mod support;
mod takeover;
mod undo;
mod verify;
mod watched;
mod whole_file;
