//! The straight line: messages, chunks, rows, data files, one commit, receipts.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deltalake::kernel::Add;
use futures::FutureExt;
use shared::{ChunkTask, JobId, Location, Message, Progress, Rows, Seal, Settings, Storage, Topic, Verdict};

use crate::batch::{Answers, by_table, read_tasks};
use crate::commit::{Decided, Fate, Prepared};
use crate::complete::{self, Account};
use crate::error::LoadError;
use crate::exclusive::require_exclusive;
use crate::fetch::ChunkFile;
use crate::group::commit;
use crate::head::Head;
use crate::plan::Plan;
use crate::rewrite::rewrite;
use crate::route::{RoutedChunk, job_app_id, route};
use crate::staging::StagingNote;
use crate::table::{DeltaOptions, Table};
use crate::tables::Slot;
use crate::takeover::take_over;
use crate::whole_file;

/// How often the chunks of a batch are written anew because their table changed under them.
const MAX_PLANS: usize = 5;

/// What loading needs.
#[derive(Clone, Debug)]
pub struct LoadContext {
    /// Where chunks and work areas are.
    pub storage: Arc<dyn Storage>,
    /// What jobs do not say themselves.
    pub settings: Settings,
    /// Counters that loading raises.
    pub progress: Arc<Progress>,
    /// How tables are reached.
    pub delta: DeltaOptions,
    /// Where notices of jobs that are done go; none when nobody is to be told.
    pub topic: Option<Arc<dyn Topic>>,
}

/// Loads the chunks that messages tell of; gives one verdict a message, in their order.
///
/// A chunk is in its table at most once, however often and wherever it is loaded. What fails, or panics, in one chunk fails
/// that chunk alone. Nothing is acknowledged here. Chunks are taken one after the other: memory is that of one.
pub async fn load(context: &LoadContext, messages: &[Message]) -> Vec<Verdict> {
    let mut answers = Answers::new(messages.len());
    let tasks = read_tasks(messages, &mut answers);
    let routed = AssertUnwindSafe(route(context, tasks, &mut answers)).catch_unwind().await;
    let chunks = routed.unwrap_or_else(|panic| {
        let (all, what) = ((0..messages.len()).collect::<Vec<_>>(), format!("{} messages", messages.len()));
        answers.give(&all, &LoadError::Bug { what, reason: said(panic.as_ref()) }.verdict());
        Vec::new()
    });
    for (table, chunks) in by_table(chunks, &mut answers) {
        load_table(context, &table, chunks, &mut answers).await;
    }
    let verdicts = answers.into_verdicts().into_iter().zip(messages);
    verdicts.map(|(verdict, message)| verdict.at_receive(message.receive_count)).collect()
}

/// What is begun with each of so many messages, in words.
pub fn loading(messages: usize) -> impl Fn(&Message) -> String {
    move |message| {
        let what = ChunkTask::parse(&message.body).map_or_else(|_| "a message".to_owned(), |task| task.to_string());
        let others = if messages > 1 { format!(", or another of the {messages} in its batch") } else { String::new() };
        format!("loading {what}{others}")
    }
}

/// Latest version of a table; `None` when there is none.
pub async fn table_version(context: &LoadContext, table: &Location) -> Result<Option<u64>, LoadError> {
    match table {
        Location::Local { path } if !std::path::Path::new(path).exists() => Ok(None),
        _ => Ok(Table::open(table, &context.delta).await?.version()),
    }
}

/// The seal that a table holds of a job, [`Seal::UNDONE`] when it was undone; `None` when no chunk of the job is in the
/// table, or when there is no table.
pub async fn has_job(context: &LoadContext, table: &Location, job: &JobId) -> Result<Option<Seal>, LoadError> {
    match open(context, table).await? {
        Some(head) => Ok(head.transaction(&job_app_id(job)).await?.map(Seal)),
        None => Ok(None),
    }
}

/// Opens a table to look into it, without making its directory.
pub(crate) async fn open(context: &LoadContext, table: &Location) -> Result<Option<Head>, LoadError> {
    match table {
        Location::Local { path } if !std::path::Path::new(path).exists() => Ok(None),
        _ => Head::open(table, &context.delta).await.map(Some),
    }
}

/// Loads the chunks of one table. When the table changes so that data files no longer fit it, they are written anew.
async fn load_table(context: &LoadContext, uri: &Location, chunks: Vec<RoutedChunk>, answers: &mut Answers) {
    let all: Vec<usize> = chunks.iter().flat_map(|chunk| chunk.messages.clone()).collect();
    let mut outstanding = chunks;
    for _ in 0..MAX_PLANS {
        let attempt = AssertUnwindSafe(attempt(context, uri, outstanding, answers)).catch_unwind().await;
        match attempt {
            Ok(Ok(outdated)) if outdated.is_empty() => return,
            Ok(Ok(outdated)) => outstanding = outdated,
            Ok(Err(error)) => return answers.give(&all, &error.verdict()),
            Err(panic) => return answers.give(&all, &bug(uri, panic.as_ref()).verdict()),
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
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<Vec<RoutedChunk>, LoadError> {
    let slot = context.delta.tables.slot(uri);
    let (table, chunks) = skip_what_is_there(context, uri, &slot, chunks, answers).await?;
    if !chunks.is_empty() {
        require_exclusive(&context.delta, &table).await?;
    }
    let (waiting, chunks) = chunks.into_iter().partition(RoutedChunk::waits);
    let mut outdated = load_whole_files(context, &table, &slot, waiting, answers).await?;
    let prepared = prepare_all(context, &table, chunks, answers).await?;
    let decided = commit(context, uri, &slot, prepared, false).await?;
    outdated.extend(conclude(context, &table, decided, answers).await);
    Ok(outdated)
}

/// Prepares chunks of files that go into one commit, and commits the files of which no chunk is missing any more; gives the
/// chunks that have to be written anew.
async fn load_whole_files(
    context: &LoadContext,
    table: &Table,
    slot: &Slot,
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<Vec<RoutedChunk>, LoadError> {
    let storage = context.storage.as_ref();
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for chunk in chunks {
        match whole_file::is_kept(storage, table, &chunk).await {
            Ok(true) => kept.push(chunk),
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
            let decided = commit(context, table.uri(), slot, all, true).await?;
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

/// Answers for the chunks that are in the table, or may not come into it; gives the table, and the others.
async fn skip_what_is_there(
    context: &LoadContext,
    uri: &Location,
    slot: &Slot,
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<(Table, Vec<RoutedChunk>), LoadError> {
    let head = slot.look(uri, &context.delta).await?;
    let table = head.table().clone();
    // A head may lean on a checkpoint that is cleaned up by now.
    let (there, absent) = part(&head, chunks).await.inspect_err(|_| slot.forget())?;
    if !there.is_empty() {
        table.settle_log().await?;
    }
    for (error, chunk) in there {
        let concluded = match error {
            Some(error) => Err(error),
            None => account_again(context, &table, &chunk).await,
        };
        let concluded = match concluded {
            Ok(()) if chunk.waits() => whole_file::found(context, &chunk).await,
            Ok(()) => found(context, &chunk).await,
            Err(error) => Err(error),
        };
        answers.give(&chunk.messages, &verdict(concluded));
    }
    Ok((table, absent))
}

/// Finds out once more what became of the rows of a chunk that is in the table, and of those of its file if they go together, where
/// the work area does not say any more: it was lost. The same policy makes the same data files, which are given up.
async fn account_again(context: &LoadContext, table: &Table, chunk: &RoutedChunk) -> Result<(), LoadError> {
    let storage = context.storage.as_ref();
    let chunks = if chunk.waits() { whole_file::of_file(storage, chunk).await? } else { vec![chunk.clone()] };
    for chunk in chunks {
        if !complete::is_accounted(storage, &chunk).await? {
            tracing::info!(chunk = %chunk.at, "in the table; what became of its rows is found out once more");
            let plan = plan_of(table)?.unwrap_or_else(|| Plan::new(&chunk.partition_by));
            let ((_, files, _), _) = Box::pin(prepare(context, table, &plan, &chunk)).await?;
            table.delete_files(&files).await;
        }
    }
    Ok(())
}

/// What rows have to be like for a table; none while there is no table.
fn plan_of(table: &Table) -> Result<Option<Plan>, LoadError> {
    let plan = table.state().map(Plan::of).transpose();
    plan.map_err(|error| LoadError::table(table.uri(), "read the schema of", error))
}

/// Parts the chunks that are in the table, or may not come into it for a reason, from the others.
async fn part(head: &Head, chunks: Vec<RoutedChunk>) -> Result<(Vec<Settled>, Vec<RoutedChunk>), LoadError> {
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let refusal = sealed_otherwise(head, &chunk).await?;
        if refusal.is_some() || head.transaction(&chunk.app_id).await?.is_some() {
            there.push((refusal, chunk));
        } else {
            absent.push(chunk);
        }
    }
    Ok((there, absent))
}

/// A chunk that is not to be loaded; the reason, unless it is in the table.
type Settled = (Option<LoadError>, RoutedChunk);

/// The error for a chunk whose job the table holds in another cut, when its place in the job says nothing about its rows, or
/// whose job was undone.
async fn sealed_otherwise(head: &Head, chunk: &RoutedChunk) -> Result<Option<LoadError>, LoadError> {
    let Some(origin) = &chunk.origin else { return Ok(None) };
    let seal = head.transaction(&origin.seal_id()).await?;
    let other = seal.filter(|seal| *seal != origin.seal.0);
    Ok(other.map(|seal| LoadError::sealed(seal, &origin.identity.job_id, head.table().uri())))
}

/// Writes the data files of each chunk, as long as there is time for one more. What one chunk adds to the table's columns,
/// the next ones find.
async fn prepare_all(
    context: &LoadContext,
    table: &Table,
    chunks: Vec<RoutedChunk>,
    answers: &mut Answers,
) -> Result<Vec<Prepared>, LoadError> {
    let mut plan = plan_of(table)?;
    let (mut prepared, mut longest) = (Vec::new(), Duration::ZERO);
    for chunk in chunks {
        let began = Instant::now();
        if context.delta.deadline.is_some_and(|deadline| began + longest > deadline) {
            let reason = "the time of this call is too short for as many chunks".to_owned();
            answers.give(&chunk.messages, &Verdict::Retry { reason, after: Duration::ZERO, most_receives: None });
            continue;
        }
        let before = plan.clone().unwrap_or_else(|| Plan::new(&chunk.partition_by));
        let result = AssertUnwindSafe(Box::pin(prepare(context, table, &before, &chunk))).catch_unwind().await;
        match result.unwrap_or_else(|panic| Err(bug(&chunk.at, panic.as_ref()))) {
            Ok(((plan_after, files, account), note)) => {
                plan = Some(plan_after.clone());
                prepared.push(Prepared { chunk, plan: plan_after, files, account, table_id: table.id(), note });
            }
            Err(error) => answers.give(&chunk.messages, &error.verdict()),
        }
        longest = longest.max(began.elapsed());
    }
    Ok(prepared)
}

/// One chunk, from its bytes to data files that nobody sees yet.
async fn prepare(
    context: &LoadContext,
    table: &Table,
    plan: &Plan,
    chunk: &RoutedChunk,
) -> Result<((Plan, Vec<Add>, Account), Option<StagingNote>), LoadError> {
    let file = ChunkFile::open(&context.storage, chunk, &context.settings.memory).await?;
    let prepared = match take_over(context, table, plan, chunk, &file).await? {
        Some(prepared) => prepared,
        None => rewrite(context, table, plan, chunk, &file).await?,
    };
    complete::stage(context.storage.as_ref(), chunk, &prepared.2, &prepared.1).await?;
    let note = match chunk.origin {
        Some(_) => None,
        None => Some(StagingNote::put(table, &prepared.1).await?),
    };
    Ok((prepared, note))
}

/// Receipts and verdicts by what became of the chunks; gives those that have to be written anew.
async fn conclude(
    context: &LoadContext,
    table: &Table,
    decided: Vec<Decided>,
    answers: &mut Answers,
) -> Vec<RoutedChunk> {
    let mut outdated = Vec::new();
    for Decided { chunk: Prepared { chunk, account, note, .. }, fate } in decided {
        if let Some(note) = note {
            note.withdraw(table).await;
        }
        let verdict = match fate {
            Fate::Committed(version) => {
                count(context, account.rows);
                verdict(committed(context, &chunk, account, version).await)
            }
            Fate::Found => verdict(found(context, &chunk).await),
            Fate::Failed(verdict) => verdict,
            Fate::Outdated => {
                outdated.push(chunk);
                continue;
            }
        };
        answers.give(&chunk.messages, &verdict);
    }
    outdated
}

/// As [`conclude`], for a whole file, of which `chunks` have messages: those are answered when all is done for all.
async fn conclude_whole(
    context: &LoadContext,
    decided: Vec<Decided>,
    chunks: &[RoutedChunk],
    answers: &mut Answers,
) -> Vec<RoutedChunk> {
    let storage = context.storage.as_ref();
    let (mut outdated, mut last, mut outcome) = (Vec::new(), None, Verdict::Done);
    for Decided { chunk: Prepared { chunk, account, .. }, fate } in decided {
        let noted = match fate {
            Fate::Committed(version) => {
                count(context, account.rows);
                verdict(complete::note_committed(storage, &chunk, account, version).await)
            }
            Fate::Found => verdict(complete::note_found(storage, &chunk).await),
            Fate::Failed(verdict) => verdict,
            Fate::Outdated => {
                // What keeps one of them from being written again is the answer to all.
                let messages = chunks.iter().flat_map(|told| told.messages.clone()).collect();
                outdated.push(RoutedChunk { messages, ..chunk });
                continue;
            }
        };
        if outcome == Verdict::Done {
            outcome = noted;
        }
        last = Some(chunk);
    }
    if let (Some(last), Verdict::Done) = (&last, &outcome) {
        outcome = verdict(complete::conclude(context, last).await);
    }
    if outdated.is_empty() {
        for chunk in chunks {
            answers.give(&chunk.messages, &outcome);
        }
    }
    outdated
}

/// The chunks of each job.
fn by_job(chunks: Vec<RoutedChunk>) -> BTreeMap<Option<JobId>, Vec<RoutedChunk>> {
    let mut jobs: BTreeMap<Option<JobId>, Vec<RoutedChunk>> = BTreeMap::new();
    for chunk in chunks {
        let job = chunk.origin.as_ref().map(|origin| origin.identity.job_id.clone());
        jobs.entry(job).or_default().push(chunk);
    }
    jobs
}

fn count(context: &LoadContext, rows: Rows) {
    context.progress.chunks_committed.add(1);
    context.progress.rows_committed.add(rows.committed);
}

async fn committed(
    context: &LoadContext,
    chunk: &RoutedChunk,
    account: Account,
    version: u64,
) -> Result<(), LoadError> {
    complete::note_committed(context.storage.as_ref(), chunk, account, version).await?;
    complete::conclude(context, chunk).await
}

async fn found(context: &LoadContext, chunk: &RoutedChunk) -> Result<(), LoadError> {
    complete::note_found(context.storage.as_ref(), chunk).await?;
    complete::make_good(context, chunk).await
}

fn verdict(result: Result<(), LoadError>) -> Verdict {
    result.map_or_else(|error| error.verdict(), |()| Verdict::Done)
}

fn bug(what: &Location, panic: &(dyn std::any::Any + Send)) -> LoadError {
    LoadError::Bug { what: what.to_string(), reason: said(panic) }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    said.unwrap_or("a panic").to_owned()
}
