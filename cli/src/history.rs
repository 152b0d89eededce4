//! `sluice jobs`: every load that the work areas know of.

mod entry;
mod text;

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use shared::{Failure, JobId, Location, Moment, Settings, Storage, Stores, error_chain};
use worker::LoadError;

use crate::areas::{AT_ONCE, Area, areas, belongs};
use crate::args::{JobsArgs, work_prefix};
use crate::dlq::{Dead, dead};
use crate::error::{CliError, Done};
use crate::output::Output;
use crate::stop;
use crate::undo::context;

use entry::{Entry, Failed, entry};
use text::text;

/// How often the list is made again for who watches it.
const EVERY: Duration = Duration::from_secs(2);

/// The loads of a table, or of a prefix of work areas.
#[derive(Debug, Serialize)]
struct History {
    table: Option<Location>,
    /// Where the work areas are that were looked through.
    work_areas: Location,
    /// The one that was begun last first.
    jobs: Vec<Entry>,
}

/// Runs the command.
pub(crate) async fn run(args: &JobsArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let table = settings.table.clone();
    if !args.watch {
        let history = look(args, &prefix, table.as_ref()).await?;
        if history.jobs.is_empty() {
            ensure_there(&prefix, settings).await?;
        }
        return output.result(&history, &text(&history.jobs, &prefix));
    }
    let stop = stop::on_signal();
    let mut shown = String::new();
    while !stop.is_cancelled() {
        let history = look(args, &prefix, table.as_ref()).await?;
        let text = text(&history.jobs, &prefix);
        if text != shown {
            output.again(&history, &text)?;
            shown = text;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}

/// An error where there is neither the table that is asked for nor a job of it: its name is mistyped, perhaps.
async fn ensure_there(prefix: &Location, settings: Settings) -> Done {
    let context = context(settings);
    let (storage, table) = (context.storage.as_ref(), context.settings.table.as_ref());
    for area in areas(storage, prefix).await.map_err(CliError::WorkArea)? {
        let job = area.job(storage).await.map_err(CliError::WorkArea)?;
        if job.is_some_and(|job| belongs(&job, prefix, table)) {
            return Ok(());
        }
    }
    match table {
        Some(table) => match worker::table_version(&context, table).await.map_err(CliError::Table)? {
            Some(_) => Ok(()),
            None => Err(CliError::Table(LoadError::NoSuchTable { table: table.clone() })),
        },
        None => Err(CliError::NoJobs { prefix: prefix.to_string() }),
    }
}

async fn look(args: &JobsArgs, prefix: &Location, table: Option<&Location>) -> Result<History, CliError> {
    let storage = Stores::from_env();
    let storage: &dyn Storage = storage.as_ref();
    let since = args.since.map(|span| Moment::now().before(span));
    let is_recent = |begun: Moment| since.is_none_or(|since| begun >= since);
    let areas = areas(storage, prefix).await.map_err(CliError::WorkArea)?;
    // It was begun before its first document was written, so that one is recent too.
    let areas: Vec<Area> = areas.into_iter().filter(|area| is_recent(area.begun.into())).collect();
    let failures = failures(storage, prefix, &areas).await;
    let dead = match &args.dead_letters {
        Some(url) => dead(url).await?,
        None => Dead::default(),
    };
    let read = |area: Area| {
        let (failures, dead) = (&failures, &dead);
        async move {
            let Some(job) = area.job(storage).await? else { return Ok(None) };
            if !belongs(&job, prefix, table) {
                return Ok(None);
            }
            let failed = Failed {
                noted: failures.get(&area.job_id).map(Vec::as_slice).unwrap_or_default(),
                is_dead: dead.jobs.contains(area.job_id.as_str()) || dead.objects.contains(&job.source.uri.to_string()),
            };
            entry(storage, &area, job, failed).await.map(Some)
        }
    };
    let wanted = |entry: &Option<Entry>| {
        entry.as_ref().is_some_and(|entry| is_recent(entry.started) && (!args.failed || entry.state.is_failure()))
    };
    let entries = stream::iter(areas).map(read).buffered(AT_ONCE).try_filter(|entry| std::future::ready(wanted(entry)));
    let entries: Vec<Option<Entry>> = entries.try_collect().await.map_err(CliError::WorkArea)?;
    let mut jobs: Vec<Entry> = entries.into_iter().flatten().collect();
    // By what the jobs' own documents say: a copy of a work area has other times of its own.
    jobs.sort_by(|one, other| (other.started, &other.job_id).cmp(&(one.started, &one.job_id)));
    jobs.truncate(args.most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)));
    Ok(History { table: table.cloned(), work_areas: prefix.clone(), jobs })
}

/// What workers noted of chunks that they could not load, by job; looked for only where a job is not done.
async fn failures(storage: &dyn Storage, prefix: &Location, areas: &[Area]) -> HashMap<JobId, Vec<Failure>> {
    let mut by_job: HashMap<JobId, Vec<Failure>> = HashMap::new();
    let is_open = |area: &Area| area.written(&area.at.receipt()).is_none();
    if !areas.iter().any(is_open) {
        return by_job;
    }
    match Failure::all(storage, prefix).await {
        Ok(all) => {
            for failure in all {
                if let Some(job_id) = failure.job_id.clone() {
                    by_job.entry(job_id).or_default().push(failure);
                }
            }
        }
        Err(error) => tracing::warn!(reason = error_chain(&error), "what is kept of the reasons cannot be read"),
    }
    by_job
}
