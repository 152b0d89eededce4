//! `sluice tune`: which chunk size suits a source, from samples of it.
//!
//! Top to bottom: `measure` (samples, each stage a process: `stage`) → `model` (lines through what they took) → `candidate`
//! (each size, for the whole source and a deployment; `cost`) → `advice` → `text`, `html`.

mod advice;
mod candidate;
mod chart;
mod cost;
mod document;
mod html;
mod measure;
mod model;
mod stage;
mod text;

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget};
use shared::{Format, Location, Progress, Settings, Stores};
use splitter::SplitContext;
use tokio_util::sync::CancellationToken;
use worker::{LoadContext, TableStore};

use crate::args::{self, TuneArgs};
use crate::error::{CliError, Done};
use crate::gate::{not_split, shaping};
use crate::output::Output;
use crate::stop;
use advice::advise;
use candidate::{Candidate, Deployment, Whole};
use cost::Prices;
use document::Document;
use measure::{Bench, Run};
use model::Model;
pub(crate) use stage::run_stage;

/// A source, and what it would become at each size.
struct Outlook {
    source: String,
    bytes: u64,
    format: &'static str,
    /// Sizes in MiB, the smallest first, up to the first at which all is one chunk.
    sizes: Vec<(u64, Whole)>,
}

/// Runs the command.
pub(crate) async fn run(args: &TuneArgs, output: Output) -> Done {
    let prices = Prices::read(args.prices.as_deref())?;
    let variables = args.variables()?;
    let settings = TuneArgs::settings(&variables)?;
    let stop = stop::on_signal();
    let outlook = look_ahead(args, &settings, &stop).await?;
    let sampled = outlook.sampled(args.sample_mb)?;
    if let Some(file) = &args.html {
        // Found out now, and not when all samples are taken.
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|source| CliError::Page { file: file.clone(), source })?;
    }
    let sample_mib = u64::from(args.sample_mb);
    let bench = Bench { source: &args.source, variables: &variables, sample_mib, stop };
    let runs = take_samples(&bench, &sampled).await?;
    let document = document(args, prices, outlook, &runs)?;
    if let Some(file) = &args.html {
        let written = std::fs::write(file, html::page(&document));
        written.map_err(|source| CliError::Page { file: file.clone(), source })?;
    }
    output.result(&document, &text::text(&document))?;
    Ok(())
}

/// What the source would become at each of the sizes.
async fn look_ahead(args: &TuneArgs, settings: &Settings, stop: &CancellationToken) -> Result<Outlook, CliError> {
    let uri = args::location(&args.source)?;
    let mut outlook = Outlook { source: uri.to_string(), bytes: 0, format: "", sizes: Vec::new() };
    for size in args.sizes(settings) {
        let context = context(settings.clone().with_chunk_bytes(size << 20), &uri, stop);
        let plan = splitter::plan(&context, &uri).await.map_err(CliError::Split)?;
        let (found, expected) = (plan.examination, plan.expected);
        (outlook.bytes, outlook.format) = (found.source.size, word(&found.policy.format));
        let (rows, chunks, chunk_bytes) = (expected.rows, expected.chunks, expected.bytes);
        if rows == 0 {
            return Err(CliError::NoRows { source_uri: outlook.source });
        }
        if settings.load.sql.is_some() {
            let load = LoadContext::new(context.storage.clone(), settings.clone(), TableStore::from_env());
            let shaping = shaping(&load, &found.source).await.map_err(not_split)?;
            worker::check_sql(&shaping, &found.schema).map_err(CliError::Sql)?;
        }
        outlook.sizes.push((size, Whole { source_bytes: outlook.bytes, rows, chunks, chunk_bytes }));
        if chunks <= 1 {
            break;
        }
    }
    Ok(outlook)
}

/// What looking ahead works with, which writes nothing.
fn context(settings: Settings, uri: &Location, stop: &CancellationToken) -> SplitContext {
    SplitContext {
        storage: Stores::from_env(),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: uri.clone(),
        table: None,
        settings,
        threads: stage::THREADS,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: stop.clone(),
    }
}

fn word(format: &Format) -> &'static str {
    match format {
        Format::Csv(_) => "csv",
        Format::Ndjson(_) => "ndjson",
        Format::Parquet { .. } => "parquet",
    }
}

impl Outlook {
    /// The sizes of which a sample has a whole chunk, or all of the source. Others are predicted, which takes two of these.
    fn sampled(&self, sample_mb: u16) -> Result<Vec<u64>, CliError> {
        let most = u64::from(sample_mb);
        let is_sampled = |(size, whole): &&(u64, Whole)| *size <= most || whole.chunk_bytes <= most << 20;
        let sampled: Vec<u64> = self.sizes.iter().filter(is_sampled).map(|(size, _)| *size).collect();
        if sampled.len() < self.sizes.len().min(2) {
            let sizes = self.sizes.iter().map(|(size, _)| *size).collect();
            return Err(CliError::SmallSample { sample_mb, sizes });
        }
        Ok(sampled)
    }
}

async fn take_samples(bench: &Bench<'_>, sizes: &[u64]) -> Result<Vec<Run>, CliError> {
    let count = u64::try_from(sizes.len()).unwrap_or_default();
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
    let mut runs = Vec::new();
    for size in sizes {
        bar.println(format!("splitting and loading chunks of {size} MiB"));
        runs.push(bench.run(*size).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(runs)
}

fn document(args: &TuneArgs, prices: Prices, outlook: Outlook, runs: &[Run]) -> Result<Document, CliError> {
    let Outlook { source, bytes, format, sizes } = outlook;
    let model = Model::fit(runs).ok_or_else(|| CliError::NoRows { source_uri: source.clone() })?;
    let deployment = Deployment {
        concurrency: args.concurrency,
        splitter_memory_mb: args.splitter_memory_mb,
        worker_memory_mb: args.worker_memory_mb,
        timeout_seconds: args.timeout_seconds,
        architecture: args.architecture,
    };
    let rows = sizes.first().map(|(_, whole)| whole.rows).unwrap_or_default();
    let candidate = |(size, whole): (u64, Whole)| {
        let run = runs.iter().find(|run| run.chunk_mib == size);
        Candidate::new(size, run, &model, whole.as_seen(run), &deployment, &prices)
    };
    let sizes: Vec<Candidate> = sizes.into_iter().map(candidate).collect();
    let recommended = advise(&sizes, &deployment).ok_or_else(|| CliError::NoRows { source_uri: source.clone() })?;
    let sample_mb = args.sample_mb;
    Ok(Document { source, bytes, format, rows, sample_mb, deployment, prices, sizes, model, recommended })
}

impl Whole {
    /// Without guesses, where all of the source was split.
    fn as_seen(self, run: Option<&Run>) -> Self {
        let Some(run) = run.filter(|run| run.is_whole) else { return self };
        let chunks = u64::try_from(run.chunks.len()).unwrap_or(u64::MAX);
        Self { chunks, chunk_bytes: run.chunks.iter().map(|chunk| chunk.bytes).sum(), ..self }
    }
}

#[cfg(test)]
mod tests;
