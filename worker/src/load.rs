//! The straight line: messages, chunks, rows, data files, one commit, receipts.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use shared::{ChunkTask, JobId, Location, Message, Verdict};
use tracing::Span;

use crate::already_loaded::skip_what_is_there;
use crate::assign::{assign, by_table};
use crate::batch::{Answers, read_tasks};
use crate::chunk::AssignedChunk;
use crate::commit::tables::TableHandle;
use crate::commit::{commit, whole_file};
use crate::conclude::{conclude, conclude_whole};
use crate::context::LoadContext;
use crate::delta::exclusive::require_exclusive;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::prepare::prepare_all;

/// How often the chunks of a batch are written again because their table changed under them.
const MAX_PLANS: usize = 5;

/// Loads the chunks that messages tell of; gives one verdict a message, in their order.
///
/// A chunk is in its table at most once, however often and wherever it is loaded. What fails, or panics, in one chunk fails
/// that chunk alone. Nothing is acknowledged here. Chunks are taken one after the other: memory is that of one.
pub async fn load(context: &LoadContext, messages: &[Message]) -> Vec<Verdict> {
    let mut answers = Answers::new(messages.len());
    let tasks = read_tasks(messages, &mut answers);
    let assigned = AssertUnwindSafe(assign(context, tasks, &mut answers)).catch_unwind().await;
    let chunks = assigned.unwrap_or_else(|panic| {
        let (all, what) = ((0..messages.len()).collect::<Vec<_>>(), format!("{} messages", messages.len()));
        answers.give(&all, &LoadError::panic(&what, panic.as_ref()).verdict());
        Vec::new()
    });
    for (table, chunks) in by_table(chunks, &mut answers) {
        load_table(context, &table, chunks, &mut answers).await;
    }
    let verdicts = answers.into_verdicts().into_iter().zip(messages);
    verdicts.map(|(verdict, message)| verdict.at_receive(message.receive_count)).collect()
}

/// The span of a batch of messages, for the log: the chunks that its lines are of, as `job/chunk`. Of the gravest level, so that it is
/// there whatever level is logged.
pub fn batch_span(messages: &[Message]) -> Span {
    let chunks = messages.iter().filter_map(|message| ChunkTask::parse(&message.body).ok()?.chunk);
    let chunks: Vec<String> = chunks.map(|chunk| format!("{}/{}", chunk.job_id, chunk.index)).collect();
    tracing::error_span!("load", chunks = chunks.join(" "))
}

/// What is begun with each of so many messages, in words.
pub fn loading(messages: usize) -> impl Fn(&Message) -> String {
    move |message| {
        let what = ChunkTask::parse(&message.body).map_or_else(|_| "a message".to_owned(), |task| task.to_string());
        let others = if messages > 1 { format!(", or another of the {messages} in its batch") } else { String::new() };
        format!("loading {what}{others}")
    }
}

/// Loads the chunks of one table. When the table changes so that data files no longer fit it, they are written again.
async fn load_table(context: &LoadContext, uri: &Location, chunks: Vec<AssignedChunk>, answers: &mut Answers) {
    let all: Vec<usize> = chunks.iter().flat_map(|chunk| chunk.messages.clone()).collect();
    let mut outstanding = chunks;
    for _ in 0..MAX_PLANS {
        let attempt = AssertUnwindSafe(attempt(context, uri, outstanding, answers)).catch_unwind().await;
        match attempt {
            Ok(Ok(outdated)) if outdated.is_empty() => return,
            Ok(Ok(outdated)) => outstanding = outdated,
            Ok(Err(error)) => return answers.give(&all, &error.verdict()),
            Err(panic) => return answers.give(&all, &LoadError::panic(uri, panic.as_ref()).verdict()),
        }
    }
    let attempts = u32::try_from(MAX_PLANS).unwrap_or(u32::MAX);
    let error = LoadError::Contention { table: uri.clone(), attempts, source: None };
    answers.give(&all, &error.verdict());
}

/// Loads the chunks that are not in the table yet; gives those that the table changed under.
async fn attempt(
    context: &LoadContext,
    uri: &Location,
    chunks: Vec<AssignedChunk>,
    answers: &mut Answers,
) -> Result<Vec<AssignedChunk>, LoadError> {
    let handle = context.tables.handle(uri);
    let (table, chunks) = skip_what_is_there(context, uri, &handle, chunks, answers).await?;
    if !chunks.is_empty() {
        require_exclusive(&context.table_store, &table).await?;
    }
    let (waiting, chunks) = chunks.into_iter().partition(AssignedChunk::waits);
    let mut outdated = load_whole_files(context, &table, &handle, waiting, answers).await?;
    let prepared = prepare_all(context, &table, chunks, answers).await?;
    let decided = commit(context, uri, &handle, prepared, false).await?;
    outdated.extend(conclude(context, &table, decided, answers).await);
    Ok(outdated)
}

/// Prepares chunks of files that go into one commit, and commits the files of which no chunk is missing any more; gives the
/// chunks that have to be written again.
async fn load_whole_files(
    context: &LoadContext,
    table: &Table,
    handle: &TableHandle,
    chunks: Vec<AssignedChunk>,
    answers: &mut Answers,
) -> Result<Vec<AssignedChunk>, LoadError> {
    let storage = context.storage.as_ref();
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for chunk in chunks {
        match whole_file::is_kept(storage, table, &chunk).await {
            Ok(true) => {
                context.progress.chunks_prepared.add(1);
                kept.push(chunk);
            }
            Ok(false) => missing.push(chunk),
            Err(error) => answers.give(&chunk.messages, &error.verdict()),
        }
    }
    for prepared in prepare_all(context, table, missing, answers).await? {
        match whole_file::keep(storage, &prepared).await {
            Ok(()) => kept.push(prepared.chunk),
            Err(error) => answers.give(&prepared.chunk.messages, &error.verdict()),
        }
    }
    let mut outdated = Vec::new();
    for (_, chunks) in by_job(kept) {
        let Some(one) = chunks.first() else { continue };
        if let Some(all) = whole_file::all_kept(storage, one).await? {
            if let Some(error) = whole_file::unexpected(&all) {
                for chunk in &chunks {
                    answers.give(&chunk.messages, &error.verdict());
                }
                continue;
            }
            let decided = commit(context, table.uri(), handle, all, true).await?;
            outdated.extend(conclude_whole(context, decided, &chunks, answers).await);
        } else {
            // What waits is durable; whoever sees the last chunk commits it.
            for chunk in &chunks {
                answers.give(&chunk.messages, &Verdict::Done);
            }
        }
    }
    Ok(outdated)
}

/// The chunks of each job.
fn by_job(chunks: Vec<AssignedChunk>) -> BTreeMap<Option<JobId>, Vec<AssignedChunk>> {
    let mut jobs: BTreeMap<Option<JobId>, Vec<AssignedChunk>> = BTreeMap::new();
    for chunk in chunks {
        let job = chunk.origin.as_ref().map(|origin| origin.identity.job_id.clone());
        jobs.entry(job).or_default().push(chunk);
    }
    jobs
}
