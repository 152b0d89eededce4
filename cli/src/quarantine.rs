//! `sluice quarantine`: rejected records, looked into or read once more.

mod replay;
mod show;

use shared::{Job, Location, Storage};

use crate::error::CliError;
use crate::jobs::find;
pub(crate) use replay::run as replay;
pub(crate) use show::run as show;

/// The one job that is meant.
async fn single(storage: &dyn Storage, prefix: &Location, asked: &str) -> Result<Job, CliError> {
    let mut jobs = find(storage, prefix, asked).await.map_err(CliError::WorkArea)?;
    let asked = asked.to_owned();
    if jobs.len() > 1 {
        return Err(CliError::SeveralJobs { asked, jobs: jobs.into_iter().map(|job| job.job_id).collect() });
    }
    jobs.pop().ok_or_else(|| CliError::NoJob { asked, prefix: prefix.to_string() })
}
