//! Jobs, by what a person calls them.

use shared::{Job, JobId, Location, Seal, Storage, StorageError, WorkArea, get_json, try_get_json};
use worker::LoadContext;

use crate::error::CliError;

/// The job of that name, or all jobs of that source, the oldest generation first.
pub(crate) async fn find(storage: &dyn Storage, prefix: &Location, asked: &str) -> Result<Vec<Job>, StorageError> {
    if !asked.contains('/') {
        let area = WorkArea::new(prefix, &JobId::from(asked.to_owned()));
        if let Some(job) = try_get_json(storage, &area.job(), "job").await? {
            return Ok(vec![job]);
        }
    }
    let Ok(source) = asked.parse::<Location>() else { return Ok(Vec::new()) };
    let mut jobs = Vec::new();
    for listed in storage.list(prefix).await? {
        if listed.location.name() == "job.json" {
            let job: Job = get_json(storage, &listed.location, "job").await?;
            if job.source.uri == source {
                jobs.push(job);
            }
        }
    }
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
pub(crate) async fn single(storage: &dyn Storage, prefix: &Location, asked: &str) -> Result<Job, CliError> {
    let mut jobs = find(storage, prefix, asked).await.map_err(CliError::WorkArea)?;
    let asked = asked.to_owned();
    if jobs.len() > 1 {
        return Err(CliError::SeveralJobs { asked, jobs: jobs.into_iter().map(|job| job.job_id).collect() });
    }
    jobs.pop().ok_or_else(|| CliError::NoJob { asked, prefix: prefix.to_string() })
}
