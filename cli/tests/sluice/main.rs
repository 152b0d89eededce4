//! `sluice`, end to end: the real binary over real files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a test that cannot go on is to panic, and what it prints says where it was"
)]

mod bad_input;
mod begun_again;
mod bounds;
mod chains;
mod checkpoints;
mod columns;
mod commands;
mod config;
mod contract;
mod deployed;
mod dlq;
mod doctor;
mod durable;
mod enqueue;
mod examples;
mod exclusive;
mod expectations;
mod fixtures;
mod gate;
mod headers;
mod history;
mod killed;
mod lasting;
mod life;
mod lookups;
mod lost_files;
mod lying_messages;
mod maintain;
mod many;
mod moved;
mod notices;
mod others;
mod parquet;
mod pipe;
mod plan;
mod provenance;
mod quarantine;
mod queues;
mod readme;
mod redrop;
mod replay;
mod resume;
mod routes;
mod s3;
mod settings;
mod shell;
mod shim;
mod simulator;
mod statistics;
mod structure;
mod support;
mod tables;
mod told;
mod tune;
mod types;
mod undo;
mod verify;
mod watching;
mod work;
mod written;
