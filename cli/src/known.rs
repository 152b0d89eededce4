//! What a table knows of the jobs of a source: by which of its names, in which generation, and how far.
//!
//! The table's log decides. A work area may be lost, or lie in a table that was moved or copied since.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use shared::{
    Job, JobId, Location, OnReplace, Seal, SourceObject, Storage, StorageError, WorkArea, error_chain, try_get_json,
};
use splitter::{Known, SplitContext, SplitError};
use worker::{Ledger, LoadContext};

use crate::error::CliError;

/// Generations that may be missing between two that are there: one that was begun and came to nothing.
const GAP: u32 = 2;

/// Documents of jobs that are read at once.
const AT_ONCE: usize = 16;

/// The URIs that jobs of a table may be named for, the one for new ones first.
#[derive(Debug)]
pub(crate) struct Names {
    uris: Vec<Location>,
    present: Location,
    /// Whether there can be no others.
    is_all: bool,
}

fn is_in_table(prefix: &Location, table: &Location) -> bool {
    *prefix == table.join("_sluice")
}

impl Names {
    /// Those that the log says.
    async fn in_log(prefix: &Location, table: &Location, ledger: Option<&Ledger>) -> Result<Self, CliError> {
        let names = match ledger {
            Some(ledger) => ledger.names().await.map_err(CliError::Table)?,
            None => Vec::new(),
        };
        let names: Vec<Location> = names.iter().map(|name| Location::as_written(name)).collect();
        let is_all = !is_in_table(prefix, table) || names.contains(table);
        let mut names = Self { uris: names, present: table.clone(), is_all };
        names.put_present(prefix);
        Ok(names)
    }

    /// Asks the log, and for a table from before the log said so, the jobs in the work areas that lie in the table.
    pub(crate) async fn of(
        storage: &dyn Storage,
        prefix: &Location,
        table: &Location,
        ledger: Option<&Ledger>,
    ) -> Result<Self, CliError> {
        let mut names = Self::in_log(prefix, table, ledger).await?;
        names.ask_jobs(storage, prefix).await?;
        Ok(names)
    }

    /// Adds the names in the work areas of a table whose log does not have the present one yet.
    async fn ask_jobs(&mut self, storage: &dyn Storage, prefix: &Location) -> Result<(), CliError> {
        if !self.is_all {
            let named = named_in_jobs(storage, prefix).await.map_err(CliError::WorkArea)?;
            let new = named.into_iter().filter(|name| !self.uris.contains(name)).collect::<Vec<_>>();
            self.uris.extend(new);
            self.is_all = true;
            self.put_present(prefix);
        }
        Ok(())
    }

    /// Beside a table, the work areas of copies would be one and the same, so new jobs keep the first name.
    fn put_present(&mut self, prefix: &Location) {
        self.uris.retain(|name| *name != self.present);
        let at = if is_in_table(prefix, &self.present) { self.uris.len() } else { 0 };
        self.uris.insert(at, self.present.clone());
    }

    /// Where jobs that are bound for a former URI go.
    pub(crate) fn moved(&self) -> HashMap<Location, Location> {
        let former = self.uris.iter().filter(|name| **name != self.present);
        former.map(|name| (name.clone(), self.present.clone())).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Location> {
        self.uris.iter()
    }
}

/// The tables that jobs below a prefix are bound for, as they were written then.
async fn named_in_jobs(storage: &dyn Storage, prefix: &Location) -> Result<Vec<Location>, StorageError> {
    let listed = storage.list(prefix).await?.into_iter().map(|listed| listed.location);
    let reads = listed.filter(|at| at.name() == "job.json").map(|at| async move {
        match try_get_json::<Value>(storage, &at, "job").await {
            Err(error @ StorageError::Malformed { .. }) => {
                tracing::warn!(error = error_chain(&error), "a document of another job is passed over");
                Ok(None)
            }
            read => read,
        }
    });
    let mut reads = stream::iter(reads).buffered(AT_ONCE);
    let mut names = Vec::new();
    while let Some(job) = reads.try_next().await? {
        let Some(job) = job else { continue };
        let name = job.get("named_for").and_then(Value::as_str).or_else(|| job.get("table")?.as_str());
        if let Some(name) = name.map(Location::as_written).filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A generation of a job that the table or a work area knows.
#[derive(Debug)]
struct Generation {
    number: u32,
    job: JobId,
    area: WorkArea,
    seal: Option<Seal>,
    /// Whether its work area is there.
    is_pinned: bool,
}

/// A job that is pinned, and is continued unless it is started again.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) area: WorkArea,
    /// What the table has of it; none while none of its chunks is there.
    pub(crate) seal: Option<Seal>,
}

/// What is known of the jobs of a source, for a splitter that is to load it, `again` or not; and the job that is gone on with.
pub(crate) async fn look(
    split: &SplitContext,
    load: &mut LoadContext,
    table: &Location,
    source: &Location,
    again: bool,
) -> Result<(Known, Option<Pinned>), CliError> {
    let storage = split.storage.as_ref();
    let source = look_up(storage, source).await?;
    let ledger = Ledger::open(load, table).await.map_err(CliError::Table)?;
    let mut names = Names::in_log(&split.work_prefix, table, ledger.as_ref()).await?;
    let mut of_table = Some(generations_of(split, ledger.as_ref(), &source, table).await?);
    // To ask all jobs is dear. A commit has to know all names, for the log has the present one from then on.
    if again || !is_loaded(storage, of_table.iter().flatten().last()).await? {
        names.ask_jobs(storage, &split.work_prefix).await?;
    }
    load.former_uris.moved.extend(names.moved());
    load.former_uris.are_all_known = names.is_all;
    let (mut named_for, mut generations) = (names.iter().next().unwrap_or(table), Vec::new());
    for name in names.iter() {
        let of_name = match of_table.take_if(|_| name == table) {
            Some(of_table) => of_table,
            None => generations_of(split, ledger.as_ref(), &source, name).await?,
        };
        // A work area beside the table may be that of another table, which was here before.
        if of_name.iter().any(|one| one.seal.is_some() || one.is_pinned && name == table) {
            (named_for, generations) = (name, of_name);
            break;
        }
    }
    let table_schema = ledger.as_ref().and_then(Ledger::schema);
    let mut known = Known { named_for: Some(named_for.clone()), is_again: again, table_schema, ..Known::default() };
    let Some(last) = generations.last() else { return Ok((known, None)) };
    known.generation = last.number;
    if !again {
        known.seal = last.seal.filter(|seal| !last.is_pinned && *seal != Seal::UNDONE);
        let pinned = last.is_pinned.then(|| Pinned { area: last.area.clone(), seal: last.seal });
        return Ok((known, pinned));
    }
    if split.settings.load.on_replace == OnReplace::Append {
        for one in &generations {
            refuse_what_is_left(storage, ledger.as_ref(), one, table).await?;
        }
    }
    if is_under_way(storage, ledger.as_ref(), last, table).await? {
        let pinned = Pinned { area: last.area.clone(), seal: last.seal };
        return Ok((known, Some(pinned)));
    }
    known.generation += 1;
    Ok((known, None))
}

/// Whether the last job of a source is all in the table, by its seal and its receipt.
async fn is_loaded(storage: &dyn Storage, last: Option<&Generation>) -> Result<bool, CliError> {
    let Some(last) = last.filter(|last| last.seal.is_some()) else { return Ok(false) };
    storage.exists(&last.area.receipt()).await.map_err(CliError::WorkArea)
}

async fn look_up(storage: &dyn Storage, source: &Location) -> Result<SourceObject, CliError> {
    SourceObject::look_up(storage, source).await.map_err(|error| CliError::Split(SplitError::Source(error)))
}

async fn generations_of(
    split: &SplitContext,
    ledger: Option<&Ledger>,
    source: &SourceObject,
    name: &Location,
) -> Result<Vec<Generation>, CliError> {
    let (mut generations, mut number, mut missing) = (Vec::new(), 1, 0);
    while missing < GAP {
        let job = JobId::derive(source, name, number);
        let area = WorkArea::new(&split.work_prefix, &job);
        let seal = match ledger {
            Some(ledger) => ledger.seal(&job).await.map_err(CliError::Table)?,
            None => None,
        };
        let is_pinned = split.storage.exists(&area.job()).await.map_err(CliError::WorkArea)?;
        if seal.is_some() || is_pinned {
            generations.push(Generation { number, job, area, seal, is_pinned });
            missing = 0;
        } else {
            missing += 1;
        }
        number += 1;
    }
    Ok(generations)
}

/// Whether some of a job may be in its table, and it did not come to its end: then it is continued, and no other is begun beside it.
async fn is_under_way(
    storage: &dyn Storage,
    ledger: Option<&Ledger>,
    one: &Generation,
    table: &Location,
) -> Result<bool, CliError> {
    let (Some(ledger), Some(seal)) = (ledger, one.seal) else { return Ok(false) };
    if seal == Seal::UNDONE {
        return Ok(false);
    }
    if !one.is_pinned {
        return Err(CliError::AreaLost { job_id: one.job.clone(), table: table.to_string() });
    }
    let manifest: Option<shared::Manifest> =
        try_get_json(storage, &one.area.manifest(), "manifest").await.map_err(CliError::WorkArea)?;
    let Some(manifest) = manifest else { return Ok(true) };
    let chunks = manifest.chunks.iter().map(|chunk| chunk.index);
    // Without a receipt nobody was told that it is done.
    Ok(!ledger.missing(&one.job, chunks).await.map_err(CliError::Table)?.is_empty()
        || committed(storage, &one.area).await?.is_none())
}

/// Rows that are left of a job, of which others took out the rest, would come twice.
async fn refuse_what_is_left(
    storage: &dyn Storage,
    ledger: Option<&Ledger>,
    one: &Generation,
    table: &Location,
) -> Result<(), CliError> {
    let (Some(ledger), Some(seal)) = (ledger, one.seal) else { return Ok(()) };
    let committed = if seal == Seal::UNDONE { Some(0) } else { committed(storage, &one.area).await? };
    if committed.is_none() {
        return Ok(());
    }
    if seal == Seal::UNDONE && !ledger.has_files(&one.job).await.map_err(CliError::Table)? {
        return Ok(());
    }
    let holding = ledger.holding(&one.job, committed).await.map_err(CliError::Table)?;
    let is_part = holding.taken_out.as_ref().is_some_and(|taken| !taken.may_be_rewritten && holding.is_left());
    if seal == Seal::UNDONE || is_part {
        let (job_id, table, holding) = (one.job.clone(), table.to_string(), Box::new(holding));
        return Err(CliError::PartLeft { job_id, table, holding });
    }
    Ok(())
}

/// Rows that a job brought in, by its receipt; none while it has none.
pub(crate) async fn committed(storage: &dyn Storage, area: &WorkArea) -> Result<Option<u64>, CliError> {
    let receipt: Option<shared::Receipt> =
        try_get_json(storage, &area.receipt(), "receipt").await.map_err(CliError::WorkArea)?;
    Ok(receipt.map(|receipt| receipt.rows.committed))
}

/// The table that a job is in: the one in which its work area lies, or which is named, where that was moved or copied since the job
/// was pinned.
pub(crate) async fn table_of(
    context: &LoadContext,
    prefix: &Location,
    told: Option<&Location>,
    job: &Job,
) -> Result<Option<Location>, CliError> {
    let Some(bound) = &job.table else { return Ok(None) };
    let lies_in = prefix.parent().filter(|table| *prefix == table.join("_sluice"));
    if let Some(table) = lies_in.filter(|table| table != bound)
        && Ledger::open(context, &table).await.map_err(CliError::Table)?.is_some()
    {
        return Ok(Some(table));
    }
    if let Some(told) = told.filter(|told| *told != bound)
        && let Some(ledger) = Ledger::open(context, told).await.map_err(CliError::Table)?
        && ledger.seal(&job.job_id).await.map_err(CliError::Table)?.is_some()
    {
        return Ok(Some(told.clone()));
    }
    Ok(Some(bound.clone()))
}

/// The generation of a job that is bound for no table, which comes after all that are there.
pub(crate) async fn next(split: &SplitContext, source: &Location) -> Result<Known, CliError> {
    let source = look_up(split.storage.as_ref(), source).await?;
    let generations = generations_of(split, None, &source, &split.work_prefix).await?;
    let generation = generations.last().map_or(1, |last| last.number + 1);
    Ok(Known { generation, is_again: true, ..Known::default() })
}
