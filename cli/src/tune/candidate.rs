//! One chunk size: what it comes to for the whole source, in a deployment.

use serde::Serialize;

use super::cost::{Consumption, Cost, Prices};
use super::measure::Run;
use super::model::{Model, ceiled, contention, float, lambda_seconds, mib, millions};
use crate::args::Architecture;

/// Most seconds that a call of a Lambda function may take; a splitter that takes longer hands over to the next call.
const LONGEST_CALL_SECONDS: f64 = 900.0;

/// What S3 adds to the time of a worker for a chunk: 21 requests, counted as those of `cost` are, one after the other at about 30 ms.
const STORE_SECONDS: f64 = 21.0 * 0.03;

/// How much more memory a function should have than its process had at most.
const MEMORY_MARGIN: f64 = 1.25;

/// Memory sizes of functions in MB that are looked at: Lambda's least, and those that have twice as much, one vCPU, or the most.
const MEMORY_MB: [u16; 9] = [128, 256, 512, 1024, 1769, 3008, 4096, 8192, 10_240];

/// What the functions have, and how many workers there are.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Deployment {
    /// Workers that commit to the table at once.
    pub(super) concurrency: u16,
    pub(super) splitter_memory_mb: u16,
    pub(super) worker_memory_mb: u16,
    /// Seconds that a call of the worker may take.
    pub(super) timeout_seconds: u16,
    pub(super) architecture: Architecture,
}

/// What all of the source is expected to become at a chunk size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) source_bytes: u64,
    pub(super) rows: u64,
    pub(super) chunks: u64,
    /// Bytes of all chunks.
    pub(super) chunk_bytes: u64,
}

/// Whether memory and times were seen, or follow from those that were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    Measured,
    Predicted,
}

/// A stage of the line, as a Lambda function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Stage {
    /// CPU seconds on this machine: of the splitter for the source, of the worker for a chunk.
    pub(super) cpu_seconds: f64,
    /// Seconds of a function with the deployment's memory, waiting included.
    pub(super) seconds: f64,
    /// Most resident memory; none where the system does not tell.
    pub(super) peak_bytes: Option<u64>,
    /// Least memory of a function that holds that with a quarter to spare; none when none does, or when it is not known.
    pub(super) least_memory_mb: Option<u16>,
}

/// One chunk size: what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Candidate {
    pub(super) chunk_size_mb: u64,
    pub(super) basis: Basis,
    /// Chunks of the whole source.
    pub(super) chunks: u64,
    /// Seconds from the drop until all of it is in the table.
    pub(super) seconds: f64,
    pub(super) splitter: Stage,
    /// Calls of the splitter that the source takes.
    pub(super) splitter_calls: u64,
    pub(super) worker: Stage,
    /// Seconds that a worker has left when it is done with a chunk; negative when it is cut off.
    pub(super) seconds_left: f64,
    /// Most commits; workers that meet share them.
    pub(super) commits: u64,
    /// Expected attempts to commit that another worker was faster than.
    pub(super) conflicts: f64,
    /// Bytes of the data files that come of a full chunk. All but the last one are full.
    pub(super) data_file_bytes: u64,
    /// Dollars for 10^9 bytes of the source.
    pub(super) cost_per_gb: Cost,
}

impl Candidate {
    /// What a chunk size comes to, by its run, or without one by the model.
    pub(super) fn new(
        chunk_size_mb: u64,
        run: Option<&Run>,
        model: &Model,
        whole: Whole,
        deployment: &Deployment,
        prices: &Prices,
    ) -> Self {
        let chunk_mib = mib(whole.chunk_bytes) / float(whole.chunks.max(1));
        // No chunk is larger than all of them together.
        let largest_mib = float(chunk_size_mb).min(mib(whole.chunk_bytes));
        let splitter = splitter(run, model, whole, largest_mib, deployment);
        let worker = worker(run, model, chunk_mib, largest_mib, deployment);
        let lost = contention(deployment.concurrency, worker.seconds);
        let worker = Stage { seconds: worker.seconds + lost.seconds, ..worker };
        let splitter_calls = ceiled(splitter.seconds / LONGEST_CALL_SECONDS).max(1);
        let gib = |memory_mb: u16| f64::from(memory_mb) / 1024.0;
        let gb_seconds = splitter.seconds * gib(deployment.splitter_memory_mb)
            + float(whole.chunks) * worker.seconds * gib(deployment.worker_memory_mb);
        let consumption = Consumption {
            source_bytes: whole.source_bytes,
            chunks: whole.chunks,
            chunk_bytes: whole.chunk_bytes,
            calls: splitter_calls + whole.chunks,
            gb_seconds,
        };
        let rounds = whole.chunks.div_ceil(u64::from(deployment.concurrency));
        Self {
            chunk_size_mb,
            basis: if run.is_some() { Basis::Measured } else { Basis::Predicted },
            chunks: whole.chunks,
            // Workers begin when the first chunk is there, and the last one has to wait for its chunk.
            seconds: (splitter.seconds + worker.seconds).max(float(rounds) * worker.seconds),
            splitter,
            splitter_calls,
            worker,
            seconds_left: f64::from(deployment.timeout_seconds) - worker.seconds,
            commits: whole.chunks,
            conflicts: lost.conflicts * float(whole.chunks),
            data_file_bytes: ceiled(largest_mib * model.data_share * f64::from(1 << 20)),
            cost_per_gb: consumption.cost(prices, deployment.architecture),
        }
    }

    /// Whether the deployment's functions hold it, with a quarter to spare; taken for granted where memory is not known.
    pub(super) fn is_held(&self, deployment: &Deployment) -> bool {
        let holds =
            |stage: &Stage, memory_mb| stage.peak_bytes.is_none_or(|peak| wanted_mb(peak) <= f64::from(memory_mb));
        holds(&self.splitter, deployment.splitter_memory_mb) && holds(&self.worker, deployment.worker_memory_mb)
    }
}

fn splitter(run: Option<&Run>, model: &Model, whole: Whole, largest_mib: f64, deployment: &Deployment) -> Stage {
    let line = model.splitter_cpu_seconds;
    let cpu_seconds = match run.and_then(|run| run.marks.last().map(|end| (run.is_whole, end))) {
        Some((true, end)) => end.cpu_seconds,
        Some((false, end)) => line.each.mul_add(millions(whole.rows.saturating_sub(end.records)), end.cpu_seconds),
        None => line.at(millions(whole.rows)),
    };
    let predicted = model.splitter_peak_mib.map(|line| bytes(line.at(largest_mib)));
    let peak_bytes = run.map_or(predicted, |run| run.splitter.peak_bytes);
    let seconds = lambda_seconds(cpu_seconds, model.splitter_cores, deployment.splitter_memory_mb);
    Stage { cpu_seconds, seconds, peak_bytes, least_memory_mb: peak_bytes.and_then(least_memory_mb) }
}

fn worker(run: Option<&Run>, model: &Model, chunk_mib: f64, largest_mib: f64, deployment: &Deployment) -> Stage {
    let cpu_seconds = match run.map(|run| (run, run.chunks.iter().map(|chunk| mib(chunk.bytes)).sum::<f64>())) {
        Some((run, loaded)) if loaded > 0.0 => {
            run.chunks.iter().map(|chunk| chunk.cpu_seconds).sum::<f64>() * chunk_mib / loaded
        }
        _ => model.worker_cpu_seconds.at(chunk_mib),
    };
    let predicted = model.worker_peak_mib.map(|line| bytes(line.at(largest_mib)));
    let peak_bytes = run.map_or(predicted, |run| run.worker.peak_bytes);
    let seconds = STORE_SECONDS + lambda_seconds(cpu_seconds, model.worker_cores, deployment.worker_memory_mb);
    Stage { cpu_seconds, seconds, peak_bytes, least_memory_mb: peak_bytes.and_then(least_memory_mb) }
}

fn bytes(mib: f64) -> u64 {
    ceiled(mib * f64::from(1 << 20))
}

/// Memory that a function should have, in MB.
fn wanted_mb(peak_bytes: u64) -> f64 {
    mib(peak_bytes) * MEMORY_MARGIN
}

fn least_memory_mb(peak_bytes: u64) -> Option<u16> {
    MEMORY_MB.into_iter().find(|memory_mb| wanted_mb(peak_bytes) <= f64::from(*memory_mb))
}
