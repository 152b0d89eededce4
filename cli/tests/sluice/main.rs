//! `sluice`, end to end: the real binary over real files.

mod bad_input;
mod commands;
mod fixtures;
mod readme;
mod resume;
mod support;
mod s3;
mod types;
