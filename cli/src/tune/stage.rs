//! One stage of the line on a sample, alone in a process, so that its memory and its CPU time are its own.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use shared::{ChunkTask, Location, MemoryQueue, Message, Progress, Queue, ReceiptHandle, Settings, Stores, Verdict};
use splitter::{SplitContext, SplitError};
use worker::{LoadContext, TableStore};

use crate::args::{self, StageArgs};
use crate::error::{CliError, Done};
use crate::output::Output;
use crate::stop;
use crate::usage::{cpu_time, peak_rss_bytes};

/// Blocks that are encoded at once: a function of up to 3,008 MB sees two cores.
pub(super) const THREADS: usize = 2;

/// What splitting left, in the directory of the sample; the loading stage reads it there.
pub(super) const SPLIT: &str = "split.json";

/// How often it is looked whether there are enough chunks.
const LOOK: Duration = Duration::from_millis(5);

/// What a stage took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// CPU time of the process, user and system; where the system does not tell, the time that went by.
    pub(super) cpu_seconds: f64,
    /// Time that went by while it worked.
    pub(super) seconds: f64,
    /// Most resident memory of the process; none where the system does not tell.
    pub(super) peak_bytes: Option<u64>,
}

impl Usage {
    fn since(started: Instant) -> Self {
        let (cpu_seconds, seconds) = (cpu_seconds(started), started.elapsed().as_secs_f64());
        Self { cpu_seconds, seconds, peak_bytes: peak_rss_bytes() }
    }
}

/// What splitting a sample gave.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitSample {
    /// Whether that was the whole source.
    pub(super) is_whole: bool,
    /// How far it was when chunks were done, and at the end; then with the records of a chunk that was given up.
    pub(super) marks: Vec<Mark>,
    /// The chunks, in their order.
    pub(super) tasks: Vec<ChunkTask>,
    pub(super) usage: Usage,
}

/// How far splitting was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Records that were read.
    pub(super) records: u64,
    /// CPU time that the process had taken.
    pub(super) cpu_seconds: f64,
}

impl Mark {
    fn now(progress: &Progress, started: Instant) -> Self {
        Self { records: progress.rows_read.get(), cpu_seconds: cpu_seconds(started) }
    }
}

/// CPU time of this process; the time that went by where the system does not tell.
fn cpu_seconds(started: Instant) -> f64 {
    cpu_time().unwrap_or_else(|| started.elapsed()).as_secs_f64()
}

/// What loading a sample gave.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LoadSample {
    pub(super) chunks: Vec<LoadedChunk>,
    /// Bytes of the table's data files.
    pub(super) data_bytes: u64,
    pub(super) usage: Usage,
}

/// What loading one chunk took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LoadedChunk {
    /// Length of the chunk.
    pub(super) bytes: u64,
    pub(super) cpu_seconds: f64,
    pub(super) seconds: f64,
}

/// Runs one stage, and prints what it took as JSON.
pub(crate) async fn run_stage(stage: &StageArgs) -> Done {
    let settings = Settings::from_env().map_err(CliError::Settings)?;
    match stage {
        StageArgs::Split { source, dir, chunks } => {
            Output::json_line(&split(settings, &args::location(source)?, dir, *chunks).await?)?;
        }
        StageArgs::Load { dir } => Output::json_line(&load(settings, dir).await?)?,
    }
    Ok(())
}

async fn split(settings: Settings, source: &Location, dir: &Path, enough: usize) -> Result<SplitSample, CliError> {
    let started = Instant::now();
    let queue = Arc::new(MemoryQueue::new(Duration::from_hours(1), 1));
    let context = SplitContext {
        storage: Stores::from_env(),
        queue: Some(queue.clone()),
        work_prefix: below(dir, "work")?,
        table: Some(below(dir, "table")?),
        topic: None,
        gate: None,
        settings,
        threads: THREADS,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: stop::on_signal().child_token(),
    };
    let mut marks = Vec::new();
    let watched = watch(&queue, &context, enough, started, &mut marks);
    let split = tokio::select! {
        split = splitter::split(&context, source) => split,
        never = watched => match never {},
    };
    let is_whole = match split {
        Ok(_) => true,
        Err(SplitError::Stopped { .. }) if queue.len() >= enough => false,
        Err(error) => return Err(CliError::Split(error)),
    };
    marks.push(Mark::now(&context.progress, started));
    let usage = Usage::since(started);
    Ok(SplitSample { is_whole, marks, tasks: announced(&queue).await?, usage })
}

/// Notes how far splitting is whenever a chunk is done, and stops it when there are enough.
async fn watch(
    queue: &MemoryQueue,
    context: &SplitContext,
    enough: usize,
    started: Instant,
    marks: &mut Vec<Mark>,
) -> Infallible {
    loop {
        if queue.len() > marks.len() {
            marks.resize(queue.len(), Mark::now(&context.progress, started));
        }
        if queue.len() >= enough {
            context.stop.cancel();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The tasks that are in a queue, in the order of their chunks.
async fn announced(queue: &MemoryQueue) -> Result<Vec<ChunkTask>, CliError> {
    let mut tasks = Vec::new();
    loop {
        let received = queue.receive(10, Duration::ZERO).await.map_err(CliError::Queue)?;
        if received.is_empty() {
            tasks.sort_by_key(|task: &ChunkTask| task.chunk.as_ref().map(|chunk| chunk.index));
            return Ok(tasks);
        }
        for message in received {
            tasks.push(ChunkTask::parse(&message.body).map_err(|error| CliError::Sample(error.to_string()))?);
        }
    }
}

async fn load(mut settings: Settings, dir: &Path) -> Result<LoadSample, CliError> {
    let started = Instant::now();
    let split: SplitSample = read(&dir.join(SPLIT))?;
    (settings.work_prefix, settings.table) = (Some(below(dir, "work")?), Some(below(dir, "table")?));
    let context = LoadContext::new(Stores::from_env(), settings, TableStore::from_env());
    let mut chunks = Vec::new();
    for task in &split.tasks {
        let (began, cpu_before) = (Instant::now(), cpu_time());
        load_one(&context, task).await?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu = cpu_before.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before));
        let cpu_seconds = cpu.map_or(seconds, |cpu| cpu.as_secs_f64());
        let bytes = task.chunk.as_ref().map(|chunk| chunk.bytes).unwrap_or_default();
        chunks.push(LoadedChunk { bytes, cpu_seconds, seconds });
    }
    let usage = Usage::since(started);
    let data_bytes = data_bytes(&dir.join("table")).map_err(|error| CliError::Sample(error.to_string()))?;
    Ok(LoadSample { chunks, data_bytes, usage })
}

async fn load_one(context: &LoadContext, task: &ChunkTask) -> Result<(), CliError> {
    let body = task.body().map_err(|error| CliError::Sample(error.to_string()))?;
    let receipt = ReceiptHandle(task.s3_object_key.clone());
    let message = Message { id: task.s3_object_key.clone(), receipt, body, receive_count: 1 };
    let verdicts = worker::load(context, std::slice::from_ref(&message)).await;
    match verdicts.into_iter().next() {
        Some(Verdict::Done) => Ok(()),
        Some(Verdict::Retry { reason, .. } | Verdict::Reject { reason, .. }) => Err(CliError::Sample(reason)),
        None => Err(CliError::Sample("the worker gave no verdict".to_owned())),
    }
}

/// Bytes of the data files of a table on disk.
fn data_bytes(table: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    if !table.exists() {
        return Ok(bytes);
    }
    for entry in std::fs::read_dir(table)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('_') {
            continue;
        }
        bytes += if entry.file_type()?.is_dir() { data_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

fn below(dir: &Path, name: &str) -> Result<Location, CliError> {
    args::location(&dir.join(name).to_string_lossy())
}

/// Reads what a stage printed.
pub(super) fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T, CliError> {
    let opened = File::open(file).map_err(|error| CliError::Sample(error.to_string()))?;
    let parsed = serde_json::from_reader(std::io::BufReader::new(opened));
    parsed.map_err(|error| CliError::Sample(format!("{} is not what a stage prints: {error}", file.display())))
}
