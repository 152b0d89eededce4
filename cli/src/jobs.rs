//! Jobs, by what a person calls them: a name, the beginning of one, `latest`, or the source.

use shared::{Job, JobId, Location, Seal, Storage, WorkArea, try_get_json};
use worker::LoadContext;

use crate::areas::{Area, areas, belongs, jobs};
use crate::error::CliError;

/// What the job that was begun last is called.
const LATEST: &str = "latest";

/// The job of that name, or all jobs of that source, the oldest generation first; else the one whose name begins so. `latest` is the
/// job that was begun last, of a table if one is given, in a work area that several have.
pub(crate) async fn find(
    storage: &dyn Storage,
    prefix: &Location,
    table: Option<&Location>,
    asked: &str,
) -> Result<Vec<Job>, CliError> {
    let is_name = !asked.contains('/') && !asked.is_empty();
    if is_name {
        let area = WorkArea::new(prefix, &JobId::from(asked.to_owned()));
        if let Some(job) = try_get_json(storage, &area.job(), "job").await.map_err(CliError::WorkArea)? {
            return Ok(vec![job]);
        }
    }
    let areas = areas(storage, prefix).await.map_err(CliError::WorkArea)?;
    if asked == LATEST {
        return Ok(latest(storage, prefix, table, &areas).await?.into_iter().collect());
    }
    let found = of_source(storage, &areas, asked).await?;
    if !is_name || !found.is_empty() {
        return Ok(found);
    }
    let named = areas.iter().filter(|area| area.job_id.as_str().starts_with(asked));
    let mut found = jobs(storage, named).await.map_err(CliError::WorkArea)?;
    found.retain(|job| belongs(job, prefix, table));
    if found.len() > 1 {
        let (asked, jobs) = (asked.to_owned(), found.into_iter().map(|job| job.job_id).collect());
        return Err(CliError::AmbiguousJob { asked, jobs });
    }
    Ok(found)
}

/// The job of a table, if one is given, that was begun last.
async fn latest(
    storage: &dyn Storage,
    prefix: &Location,
    table: Option<&Location>,
    areas: &[Area],
) -> Result<Option<Job>, CliError> {
    for area in areas {
        let job = area.job(storage).await.map_err(CliError::WorkArea)?;
        if let Some(job) = job.filter(|job| belongs(job, prefix, table)) {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// All jobs of a source.
async fn of_source(storage: &dyn Storage, areas: &[Area], asked: &str) -> Result<Vec<Job>, CliError> {
    let Ok(source) = asked.parse::<Location>() else { return Ok(Vec::new()) };
    // A job's name begins with its source's, so there is no need to read the documents of all others.
    let stem = JobId::stem_of(&source);
    let named = areas.iter().filter(|area| area.job_id.as_str().starts_with(&stem));
    let mut jobs = jobs(storage, named).await.map_err(CliError::WorkArea)?;
    jobs.retain(|job| job.source.uri == source);
    jobs.sort_by_key(|job| job.generation);
    Ok(jobs)
}

/// Those of some jobs that have rows in a table.
pub(crate) async fn in_table(
    context: &LoadContext,
    table: &Location,
    jobs: Vec<JobId>,
) -> Result<Vec<JobId>, CliError> {
    let mut there = Vec::new();
    for job in jobs {
        let seal = worker::has_job(context, table, &job).await.map_err(CliError::Table)?;
        if seal.is_some_and(|seal| seal != Seal::UNDONE) {
            there.push(job);
        }
    }
    Ok(there)
}

/// The one job that is meant.
pub(crate) async fn single(
    storage: &dyn Storage,
    prefix: &Location,
    table: Option<&Location>,
    asked: &str,
) -> Result<Job, CliError> {
    let mut jobs = find(storage, prefix, table, asked).await?;
    let asked = asked.to_owned();
    if jobs.len() > 1 {
        return Err(CliError::SeveralJobs { asked, jobs: jobs.into_iter().map(|job| job.job_id).collect() });
    }
    jobs.pop().ok_or_else(|| CliError::NoJob { asked, prefix: prefix.to_string() })
}
