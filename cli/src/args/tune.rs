//! What the user typed about which chunk sizes are tried, and for which deployment.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use shared::Settings;

use super::given::{Given, Tune};
use crate::config;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = TUNE_HELP)]
pub(crate) struct TuneArgs {
    /// The file: a path, or s3://bucket/key; CSV, NDJSON or Parquet, detected from its content
    pub(crate) source: String,
    /// Chunk sizes to compare, in MiB; that of CHUNK_SIZE_MB is added
    #[arg(long, value_name = "A,B", value_delimiter = ',', default_values_t = [16, 32, 64, 100, 200, 400],
          value_parser = clap::value_parser!(u16).range(1..=5120))]
    sizes: Vec<u16>,
    /// MiB of chunks that are made and loaded at each size; larger sizes are predicted
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sample_mb: u16,
    /// Workers that commit to the table at once, Terraform's worker_max_concurrency
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) concurrency: u16,
    /// Memory of the splitter's function in MB
    #[arg(long, value_name = "N", default_value_t = 1769, value_parser = clap::value_parser!(u16).range(128..=10_240))]
    pub(crate) splitter_memory_mb: u16,
    /// Memory of the worker's function in MB
    #[arg(long, value_name = "N", default_value_t = 1769, value_parser = clap::value_parser!(u16).range(128..=10_240))]
    pub(crate) worker_memory_mb: u16,
    /// Seconds that a call of the worker may take, Terraform's worker_timeout_seconds
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=900))]
    pub(crate) timeout_seconds: u16,
    /// Architecture of the functions
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(crate) architecture: Architecture,
    /// A JSON file with prices of your own; those that it does not name stay as they are
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Write a page with plots, too: one file that needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// A file with the SQL
    #[arg(long, value_name = "FILE", conflicts_with = "sql")]
    sql_file: Option<PathBuf>,
    #[command(flatten)]
    given: Given<Tune>,
}

const TUNE_HELP: &str = "\
It splits the start of the file at each size, and loads the chunks into a table of its own, in processes of their own, to \
see what each takes. All of it is written below the directory for temporary files (TMPDIR), two to three times the sample, \
and removed again; nothing else is written but --html. A file on S3 is read once for each size, as far as the sample goes.

Sizes beyond that at which the whole file is one chunk are left out. docs/tuning.md says how the other numbers follow from \
the measured ones.";

/// Architecture of the functions; Lambda's price depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Architecture {
    /// Graviton.
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    #[serde(rename = "x86_64")]
    X86,
}

/// One stage of the line on a sample, by itself in a process.
#[derive(Debug, Subcommand)]
pub(crate) enum StageArgs {
    /// Split a source until there are enough chunks
    Split {
        /// The file
        source: String,
        /// Where chunks are made
        #[arg(long)]
        dir: PathBuf,
        /// Chunks that are enough
        #[arg(long)]
        chunks: usize,
    },
    /// Load these chunks, one after the other
    Load {
        /// Where they were made
        #[arg(long)]
        dir: PathBuf,
    },
}

impl TuneArgs {
    /// What a sample is made by: settings from the options, and from the environment where an option is not given; with
    /// what would send, spoil a sample, or read all of the source, left out.
    pub(crate) fn variables(&self) -> Result<Vec<(&'static str, String)>, CliError> {
        let sql = self.given.sql(self.sql_file.as_ref())?;
        let value = |name: &'static str| {
            let option = if name == "TRANSFORM_SQL" { sql.as_deref() } else { self.given.get(name) };
            option.map(str::to_owned).or_else(|| config::value(name))
        };
        let here = |name: &'static str| match (name, value(name)) {
            (name, _) if LEFT_OUT.contains(&name) => None,
            ("BAD_RECORDS", Some(what)) if what == "fail" || what == "widen" => None,
            ("INFER", Some(how)) if how == "full" => None,
            (name, value) => Some((name, value?)),
        };
        Ok(shared::VARIABLES.iter().filter_map(|variable| here(variable.name)).collect())
    }

    /// Settings of these variables alone.
    pub(crate) fn settings(variables: &[(&'static str, String)]) -> Result<Settings, CliError> {
        let lookup = |asked: &str| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.clone());
        super::values::without_routes(Settings::from_lookup(lookup).map_err(CliError::Settings)?, "tune")
    }

    /// Sizes to compare in MiB, the smallest first, with that of the settings.
    pub(crate) fn sizes(&self, settings: &Settings) -> Vec<u64> {
        let mut sizes: Vec<u64> = self.sizes.iter().copied().map(u64::from).collect();
        sizes.push(settings.read.chunk_bytes >> 20);
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

/// A sample is sent nowhere, is not given up for its rejects, and shows chunk by chunk.
const LEFT_OUT: [&str; 9] = [
    "TABLE_URI",
    "CHUNK_BUCKET",
    "CHUNK_PREFIX",
    "CHUNK_QUEUE_URL",
    "SOURCE_QUEUE_URL",
    "COMPLETION_TOPIC_ARN",
    "MAX_BAD_RECORDS",
    "COMMIT_MODE",
    "ON_REPLACE",
];
