//! Integration tests of the splitter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::format_push_string, reason = "texts of tests are short")]

mod compressed;
mod contract;
mod dialects;
mod doubts;
mod events;
mod fuzz;
mod golden;
mod limit;
mod limits;
mod lines;
mod memory;
mod one_file;
mod pollock;
mod properties;
mod reading;
mod replay;
mod routes;
mod suites;
mod types;
