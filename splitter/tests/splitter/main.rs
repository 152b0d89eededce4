//! Integration tests of the splitter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compressed;
mod dialects;
mod events;
mod limit;
mod pollock;
mod properties;
mod types;
