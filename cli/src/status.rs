//! `sluice status`: how far a job has come.

use serde::Serialize;
use shared::{
    Checkpoint, ChunkReceipt, Completion, Drops, ExpectationResults, Expectations, Job, JobId, LoadFailure, Location,
    Manifest, PinnedRoute, Receipt, Rows, Storage, StorageError, StoredObject, Undone, WorkArea, get_json,
    try_get_json,
};
use worker::{DifferingChunk, Finding, Holding, Ledger, LoadContext, LoadError, Tally, Verification, verify};

use crate::args::{StatusArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::expected::{expected, filtered};
use crate::holding::held;
use crate::jobs::{Purpose, find};
use crate::known::table_of;
use crate::numbers::{counted, grouped};
use crate::output::Output;
use crate::undo::context;

/// How far a job has come.
#[derive(Debug, Serialize)]
struct Status {
    job_id: JobId,
    source: Location,
    /// The route that the job came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<PinnedRoute>,
    table: Option<Location>,
    work_area: Location,
    state: State,
    chunks: ChunkCounts,
    /// Records read and rejected so far; the whole balance once there is a receipt.
    rows: Rows,
    receipt: Option<Receipt>,
    /// What came of the rows so far by what their contract expects, if it expects something.
    #[serde(skip_serializing_if = "Option::is_none")]
    expectations: Option<ExpectationResults>,
    /// Why the last run on one machine did not load all of it; none once all of it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<LoadFailure>,
    /// Replays of what it rejected, in the order in which they were begun.
    replays: Vec<JobId>,
    /// What was removed again; rows and receipt say what had come into the table before.
    undone: Option<Undone>,
    /// What others did to it since it was done, if they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    /// What the table has of it, if that was asked for and there is anything to compare.
    verification: Option<Verification>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Not all of the source is split.
    Splitting,
    /// All of it is split, not all of it is in the table.
    Loading,
    /// All of it is in the table.
    Done,
    /// None of it is in the table any more.
    Undone,
}

/// What is reported of a job that is done, and of which the table does not have all.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Since {
    /// The table's log has no transaction of so many of its chunks.
    Lost { chunks: u32 },
    /// Others took out, or rewrote, some of it.
    Changed(Holding),
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ChunkCounts {
    split: usize,
    committed: usize,
}

/// Runs the command.
pub(crate) async fn run(args: &StatusArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let told = settings.table.clone();
    let context = context(settings);
    let storage = context.storage.as_ref();
    let jobs = find(storage, &prefix, told.as_ref(), &args.job_or_source, Purpose::Show).await?;
    if jobs.is_empty() {
        let (asked, prefix) = (args.job_or_source.clone(), prefix.to_string());
        return Err(CliError::NoJob { asked, prefix });
    }
    let mut all = Vec::new();
    for job in jobs {
        ensure_complete(&context, &prefix, &job).await?;
        let table = table_of(&context, &prefix, told.as_ref(), &job).await?;
        let mut status = status(storage, &prefix, job, table).await.map_err(CliError::WorkArea)?;
        status.since = since(&context, &status).await;
        if let (true, Some(table)) = (args.verify, &status.table) {
            let area = WorkArea::new(&prefix, &status.job_id);
            let verification = verify(&context, table, &status.job_id, &area).await.map_err(CliError::Table)?;
            status.verification = Some(verification);
        }
        all.push(status);
    }
    let text: Vec<String> = all.iter().map(text).collect();
    output.result(&all, &text.join("\n"))?;
    let unproven = all.iter().filter(|status| status.is_unproven()).count();
    if unproven > 0 { Err(CliError::Unproven { unproven, jobs: all.len() }) } else { Ok(()) }
}

impl Status {
    /// Whether the job has come to its end.
    fn is_whole(&self) -> bool {
        matches!(self.state, State::Done | State::Undone)
    }

    /// Whether the table was compared with the job, and is not shown to have all of it.
    fn is_unproven(&self) -> bool {
        let is_unproven = |compared: &Verification| !self.is_whole() || compared.finding != Finding::Equal;
        self.verification.as_ref().is_some_and(is_unproven)
    }
}

/// Writes the receipt of a job that is done and has none: who was to do it may have died. That it cannot be done keeps nobody from
/// being told how the job stands.
async fn ensure_complete(context: &LoadContext, prefix: &Location, job: &Job) -> Result<(), CliError> {
    let storage = context.storage.as_ref();
    let area = WorkArea::new(prefix, &job.job_id);
    let undone: Option<Undone> =
        try_get_json(storage, &area.undone(), "note of undoing").await.map_err(CliError::WorkArea)?;
    if job.table.is_none() || undone.is_some() {
        return Ok(());
    }
    let completed = Completion { storage, topic: context.topic.as_deref() }.complete(&area).await;
    if let Err(error) = completed {
        tracing::warn!(job = %job.job_id, reason = shared::error_chain(&error), "the job's end is left to sluice maintain");
    }
    Ok(())
}

/// What others did to a job that is done. That the table cannot be looked into keeps nobody from being told how the job stands.
async fn since(context: &LoadContext, status: &Status) -> Option<Since> {
    let (table, receipt) = status.table.as_ref().zip(status.receipt.as_ref())?;
    if status.undone.is_some() {
        return None;
    }
    let look = async {
        let all = || (receipt.chunks > 0).then_some(Since::Lost { chunks: receipt.chunks });
        let Some(ledger) = Ledger::open(context, table).await? else { return Ok(all()) };
        let missing = ledger.missing(&status.job_id, 0..receipt.chunks).await?;
        if !missing.is_empty() {
            return Ok(Some(Since::Lost { chunks: u32::try_from(missing.len()).unwrap_or(u32::MAX) }));
        }
        let holding = ledger.holding(&status.job_id, Some(receipt.rows.committed)).await?;
        Ok::<_, LoadError>((!holding.is_all(receipt.rows.committed)).then_some(Since::Changed(holding)))
    };
    look.await.unwrap_or_else(|error| {
        tracing::warn!(job = %status.job_id, reason = shared::error_chain(&error), "the table cannot be looked into");
        None
    })
}

async fn status(
    storage: &dyn Storage,
    prefix: &Location,
    job: Job,
    table: Option<Location>,
) -> Result<Status, StorageError> {
    let area = WorkArea::new(prefix, &job.job_id);
    let replays = match &job.destination() {
        Some(table) => Drops::replays(prefix, &job.job_id, table).all(storage).await?,
        None => Vec::new(),
    };
    let receipt: Option<Receipt> = try_get_json(storage, &area.receipt(), "receipt").await?;
    let undone: Option<Undone> = try_get_json(storage, &area.undone(), "note of undoing").await?;
    let manifest: Option<Manifest> = try_get_json(storage, &area.manifest(), "manifest").await?;
    let checkpoint: Checkpoint = try_get_json(storage, &area.checkpoint(), "checkpoint").await?.unwrap_or_default();
    let mut loaded = storage.list(&area.loaded()).await?;
    loaded.retain(|listed| WorkArea::index_of(&listed.location).is_some());
    let rejected = checkpoint.quarantine.iter().map(|entry| entry.records).sum();
    let Checkpoint { records_before, shortened_before, .. } = checkpoint;
    let so_far = Rows { read: records_before, quarantined: rejected, shortened: shortened_before, ..Rows::default() };
    let mut expectations = job.load.expectations.as_ref().map(Expectations::no_results);
    let (state, split, rows) = match (&receipt, &manifest) {
        (Some(receipt), Some(manifest)) => (State::Done, manifest.chunks.len(), receipt.rows),
        (_, Some(manifest)) => {
            let Manifest { records, quarantined, shortened, .. } = *manifest;
            let split = Rows { read: records, quarantined, shortened, ..Rows::default() };
            (State::Loading, manifest.chunks.len(), with_loaded(storage, &loaded, split, &mut expectations).await?)
        }
        (_, None) => {
            (State::Splitting, checkpoint.chunks.len(), with_loaded(storage, &loaded, so_far, &mut expectations).await?)
        }
    };
    if let Some(receipt) = &receipt {
        expectations.clone_from(&receipt.expectations);
    }
    let failure = if receipt.is_none() { LoadFailure::of(storage, &area).await? } else { None };
    // A source that was given up may have been split to its end since, with a higher limit.
    let failure = failure.filter(|failure| failure.chunks > 0 || manifest.is_none());
    Ok(Status {
        job_id: job.job_id,
        source: job.source.uri,
        route: job.route,
        table,
        work_area: area.root().clone(),
        state: if undone.is_some() { State::Undone } else { state },
        chunks: ChunkCounts { split, committed: loaded.len() },
        rows,
        receipt,
        expectations,
        failure,
        replays,
        undone,
        since: None,
        verification: None,
    })
}

/// What the receipts of chunks add to what the splitter knows.
async fn with_loaded(
    storage: &dyn Storage,
    loaded: &[StoredObject],
    split: Rows,
    expectations: &mut Option<ExpectationResults>,
) -> Result<Rows, StorageError> {
    let mut rows = split;
    for listed in loaded {
        let receipt: ChunkReceipt = get_json(storage, &listed.location, "chunk receipt").await?;
        rows += Rows { read: 0, ..receipt.rows };
        if let (Some(all), Some(of_chunk)) = (expectations.as_mut(), &receipt.expectations) {
            *all += of_chunk;
        }
    }
    Ok(rows)
}

fn state(status: &Status) -> &'static str {
    let is_replaced = status.undone.as_ref().is_some_and(|undone| undone.replaced_by.is_some());
    match status.state {
        State::Splitting if status.failure.is_some() => "given up by the last run",
        State::Splitting => "being split",
        State::Loading if status.failure.is_some() => "split, not loaded: the last run failed",
        State::Loading => "split, being loaded",
        State::Done => "done",
        State::Undone if is_replaced => "replaced by a later job",
        State::Undone => "undone",
    }
}

fn text(status: &Status) -> String {
    let Status { chunks, rows, .. } = status;
    let table = status.table.as_ref().map_or_else(|| "none".to_owned(), Location::to_string);
    let mut lines = vec![
        format!("{}: {}", status.job_id, state(status)),
        format!("  source       {}", status.source),
        format!("  table        {table}"),
        format!("  work area    {}", status.work_area),
        format!("  chunks       {} split, {} committed", chunks.split, chunks.committed),
        format!("  read         {}", grouped(rows.read)),
        format!("  committed    {}", grouped(rows.committed)),
        format!("  filtered     {}", filtered(rows)),
        format!("  quarantined  {}", grouped(rows.quarantined)),
    ];
    lines.extend(status.expectations.iter().flat_map(expected));
    if let Some(route) = &status.route {
        lines.insert(2, format!("  route        {route}"));
    }
    if let Some(LoadFailure { chunks, reason, .. }) = &status.failure {
        lines.push(match chunks {
            0 => format!("  failed       {reason}"),
            chunks => format!("  failed       {}; the first because of: {reason}", counted(*chunks, "chunk")),
        });
    }
    lines.extend(status.replays.iter().map(|replay| format!("  replays      {replay}")));
    if let Some(undone) = &status.undone {
        lines.push(format!("  removed      {}", removed(undone)));
        if let Some(by) = &undone.replaced_by {
            lines.push(format!("  replaced by  {by}"));
        }
    }
    match &status.since {
        Some(Since::Lost { chunks }) => lines.push(format!(
            "  since then   the table's log has lost {} of it; sluice ingest loads them again",
            counted(u64::from(*chunks), "chunk")
        )),
        Some(Since::Changed(holding)) => lines.push(format!("  since then   {}", held(holding, rows.committed))),
        None => {}
    }
    if let Some(verification) = &status.verification {
        lines.extend(verified(verification, status.is_whole()));
    }
    lines.join("\n")
}

fn verified(verification: &Verification, is_whole: bool) -> Vec<String> {
    /// Chunks that differ and are named.
    const SHOWN: usize = 5;
    let Verification { finding, table_version, expected, found, differing, reason } = verification;
    let finding = match finding {
        Finding::Equal if !is_whole => {
            "the table has the rows that were committed so far, WHICH ARE NOT ALL of the job's"
        }
        Finding::Equal => "the table has the very rows that were committed",
        Finding::Differs => "THE TABLE HAS OTHER ROWS than were committed",
        Finding::Untold => "no longer known",
    };
    let hash = |tally: &Tally| tally.row_hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
    let mut lines = vec![
        format!("  verified     {finding} (version {table_version})"),
        format!("  rows         {} in the table, {} by the receipts", grouped(found.rows), grouped(expected.rows)),
    ];
    if found.row_hash.is_some() || expected.row_hash.is_some() {
        lines.push(format!("  hash         {} in the table, {} by the receipts", hash(found), hash(expected)));
    }
    lines.extend(reason.iter().map(|reason| format!("  because      {reason}")));
    for DifferingChunk { chunk, expected, found } in differing.iter().take(SHOWN) {
        let (found, expected) = (grouped(found.rows), grouped(expected.rows));
        lines.push(format!("  differs      {chunk}: {found} rows in the table, {expected} by its receipt"));
    }
    if let Some(more) = differing.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("  differs      {more} more"));
    }
    lines
}

fn removed(undone: &Undone) -> String {
    let rows = undone.removed.and_then(|removed| removed.rows).map_or_else(|| "all".to_owned(), grouped);
    undone.table_version.map_or_else(|| rows.clone(), |version| format!("{rows}, by version {version} of the table"))
}
