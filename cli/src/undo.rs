//! `sluice undo`: takes out of a table exactly what a job added.

use shared::{
    Drops, JobId, LoadFailure, Location, Manifest, Seal, Settings, SourceObject, Storage, StorageError, Stores,
    WorkArea, try_get_json,
};
use splitter::SplitError;
use worker::{Ledger, LoadContext, LoadError, TableStore, Undoing, has_job};

use crate::args::{UndoArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::jobs::{Purpose, find, in_table};
use crate::known::{Names, table_of};
use crate::numbers::{counted, mebibytes};
use crate::output::Output;

/// Runs the command.
pub(crate) async fn run(args: &UndoArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let table = settings.table.clone().ok_or(CliError::NoTable)?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let context = context(settings);
    let job = which(&context, &prefix, &table, &args.job_or_source).await?;
    refuse_replayed(&context, &prefix, &table, &job).await?;
    let area = WorkArea::new(&prefix, &job);
    let undoing = worker::undo(&context, &table, &job, &area, args.dry_run).await.map_err(CliError::Undo)?;
    output.result(&undoing, &text(&undoing))?;
    Ok(())
}

/// A job is neither taken out from under its replays nor begun again beside them: to load its file again would then double what they brought in.
pub(crate) async fn refuse_replayed(
    context: &LoadContext,
    prefix: &Location,
    table: &Location,
    job: &JobId,
) -> Result<(), CliError> {
    let storage = context.storage.as_ref();
    let mut replays = Vec::new();
    for name in names(context, prefix, table).await?.iter() {
        let drops = Drops::replays(prefix, job, name);
        let of_name = drops.all(storage).await.map_err(CliError::WorkArea)?;
        replays.extend(drops.with_replays(storage, of_name).await.map_err(CliError::WorkArea)?);
    }
    let replays = in_table(context, table, replays).await?;
    if replays.is_empty() { Ok(()) } else { Err(CliError::HasReplays { job_id: job.clone(), replays }) }
}

async fn names(context: &LoadContext, prefix: &Location, table: &Location) -> Result<Names, CliError> {
    let ledger = Ledger::open(context, table).await.map_err(CliError::Table)?;
    Names::of(context.storage.as_ref(), prefix, table, ledger.as_ref()).await
}

/// What looking into tables and changing them takes.
pub(crate) fn context(settings: Settings) -> LoadContext {
    let topic = settings.topic();
    LoadContext { topic, ..LoadContext::new(Stores::from_env(), settings, TableStore::from_env()) }
}

/// The job that is meant. Of several loads of one source it has to be the only one that is not undone: to guess would be to
/// undo another one each time that the command is repeated.
async fn which(context: &LoadContext, prefix: &Location, table: &Location, asked: &str) -> Result<JobId, CliError> {
    let jobs = find(context.storage.as_ref(), prefix, Some(table), asked, Purpose::Change).await?;
    let mut ids = Vec::new();
    for job in jobs {
        if table_of(context, prefix, Some(table), &job).await?.as_ref() == Some(table) {
            ids.push(job.job_id);
        }
    }
    let begun = ids.last().cloned();
    if ids.is_empty() {
        ids = by_table(context, prefix, table, asked).await?;
    }
    let (mut there, mut undone) = (Vec::new(), Vec::new());
    for id in ids {
        match has_job(context, table, &id).await.map_err(CliError::Table)? {
            Some(Seal::UNDONE) => undone.push(id),
            Some(_) => there.push(id),
            None => {}
        }
    }
    if there.len() > 1 {
        return Err(CliError::SeveralJobs { asked: asked.to_owned(), jobs: there });
    }
    match (there.pop().or_else(|| undone.pop()), begun) {
        (Some(job), _) => Ok(job),
        (None, Some(job_id)) => {
            let why = why_nothing(context.storage.as_ref(), &WorkArea::new(prefix, &job_id)).await?;
            Err(CliError::NothingAdded { job_id, table: table.to_string(), why })
        }
        (None, None) => {
            let unknown = LoadError::Unknown { job: JobId::from(asked.to_owned()), table: table.clone() };
            Err(CliError::Undo(unknown))
        }
    }
}

/// Why a job that was begun has nothing in its table, as far as its work area tells.
async fn why_nothing(storage: &dyn Storage, area: &WorkArea) -> Result<String, CliError> {
    if let Some(failure) = LoadFailure::of(storage, area).await.map_err(CliError::WorkArea)? {
        // A reason ends with its advice, where there is some.
        let reason = failure.reason.split("; hint: ").next().unwrap_or_default();
        return Ok(format!("its last run failed, because of: {reason}"));
    }
    let manifest: Option<Manifest> =
        try_get_json(storage, &area.manifest(), "manifest").await.map_err(CliError::WorkArea)?;
    Ok(match manifest {
        None => "it is not split to its end, and none of its chunks is loaded".to_owned(),
        Some(manifest) if manifest.chunks.is_empty() => "no row of it was to be loaded".to_owned(),
        Some(_) => "it is split, and none of its chunks is loaded yet".to_owned(),
    })
}

/// Names that the job may have where no work area tells: that which was given, or those of the source as it is now.
async fn by_table(
    context: &LoadContext,
    prefix: &Location,
    table: &Location,
    asked: &str,
) -> Result<Vec<JobId>, CliError> {
    let by_name = JobId::from(asked.to_owned());
    if !asked.contains('/') && has_job(context, table, &by_name).await.map_err(CliError::Table)?.is_some() {
        return Ok(vec![by_name]);
    }
    let storage: &dyn Storage = context.storage.as_ref();
    let Ok(uri) = asked.parse::<Location>() else { return Ok(Vec::new()) };
    let source = match SourceObject::look_up(storage, &uri).await {
        Ok(source) => source,
        // It may be the name of a job.
        Err(StorageError::NotFound { .. } | StorageError::Malformed { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(CliError::Split(SplitError::Source(error))),
    };
    let mut ids = Vec::new();
    for name in names(context, prefix, table).await?.iter() {
        for generation in 1.. {
            let id = JobId::derive(&source, name, generation);
            if has_job(context, table, &id).await.map_err(CliError::Table)?.is_none() {
                break;
            }
            ids.push(id);
        }
    }
    Ok(ids)
}

fn text(undoing: &Undoing) -> String {
    let head = match (undoing.already_undone, undoing.dry_run) {
        (true, _) => "was undone before, nothing was changed",
        (false, true) => "would be undone",
        (false, false) => "undone",
    };
    let version = undoing.table_version.map_or_else(String::new, |version| format!(" (version {version})"));
    let mut lines = vec![format!("{}: {head}", undoing.job_id), format!("  table        {}{version}", undoing.table)];
    if let Some(removed) = undoing.removed {
        let rows = removed.rows.map_or_else(|| "an unknown number of rows".to_owned(), |rows| counted(rows, "row"));
        let (files, bytes) = (counted(removed.files, "file"), mebibytes(removed.bytes));
        lines.push(format!("  removed      {rows} in {files} ({bytes})"));
    }
    if undoing.taken_out_before > 0 {
        lines.push(format!("  before       others had taken out {}", counted(undoing.taken_out_before, "file")));
    }
    lines.join("\n")
}
