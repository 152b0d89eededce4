//! Jobs, by what a person calls them: a name, the beginning of one, `latest`, or the source.

use std::time::{Duration, SystemTime};

use shared::{Job, JobId, Location, Seal, Storage, WorkArea, try_get_json};
use worker::LoadContext;

use crate::areas::{Area, areas, belongs, jobs};
use crate::error::CliError;

/// What the job that was begun last is called.
const LATEST: &str = "latest";

/// Digits that the name of a job has of its digest.
const DIGITS: usize = 16;

/// Digits that the beginning of a name has to have where something is changed by it.
const LEAST_DIGITS: usize = 4;

/// Most time between two jobs of which it is not known which was begun last: some stores keep whole seconds.
const TIE: Duration = Duration::from_secs(1);

/// What a job is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To show it.
    Show,
    /// To change something: there is to be no doubt which job is meant.
    Change,
}

/// The job of that name, or all jobs of that source, the oldest generation first; else the one whose name begins so. What may be a whole
/// name is the beginning of no other. `latest` is the job that was begun last, of a table if one is given, in a work area that several
/// have.
pub(crate) async fn find(
    storage: &dyn Storage,
    prefix: &Location,
    table: Option<&Location>,
    asked: &str,
    purpose: Purpose,
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
        return Ok(latest(storage, prefix, table, &areas, purpose).await?.into_iter().collect());
    }
    let found = of_source(storage, &areas, asked).await?;
    if !is_name || !found.is_empty() || digits_at(asked).is_some() {
        return Ok(found);
    }
    let named = areas.iter().filter(|area| area.job_id.as_str().starts_with(asked));
    let mut found = jobs(storage, named).await.map_err(CliError::WorkArea)?;
    found.retain(|job| belongs(job, prefix, table));
    if found.len() > 1 {
        let (asked, jobs) = (asked.to_owned(), found.into_iter().map(|job| job.job_id).collect());
        return Err(CliError::AmbiguousJob { asked, jobs });
    }
    if let (Some(job), Purpose::Change) = (found.first(), purpose)
        && !is_long_enough(asked, &job.job_id)
    {
        return Err(CliError::ShortName { asked: asked.to_owned(), job_id: job.job_id.clone() });
    }
    Ok(found)
}

/// Where the digits begin in the whole name of a job; none of what is no such name.
fn digits_at(name: &str) -> Option<usize> {
    let mut first = name;
    while let Some(before) = without_ending(first) {
        first = before;
    }
    let (stem, digits) = first.rsplit_once('-')?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_whole = digits.len() == DIGITS && digits.bytes().all(is_digit);
    is_whole.then_some(stem.len() + 1)
}

/// The name of the job that one with `-gN` or `-replay` at its end is named for.
fn without_ending(name: &str) -> Option<&str> {
    let (before, ending) = name.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ending = ending == "replay" || ending.strip_prefix('g').is_some_and(is_number);
    is_ending.then_some(before)
}

/// Whether the beginning of a job's name has enough of its digits.
fn is_long_enough(asked: &str, job: &JobId) -> bool {
    digits_at(job.as_str()).is_some_and(|at| asked.len() >= at + LEAST_DIGITS)
}

/// The job of a table, if one is given, that was begun last, by the store's time of its document. To change something by it, no other
/// is to have been begun within [`TIE`] of it.
async fn latest(
    storage: &dyn Storage,
    prefix: &Location,
    table: Option<&Location>,
    areas: &[Area],
    purpose: Purpose,
) -> Result<Option<Job>, CliError> {
    let mut last: Option<(&Area, Job)> = None;
    for area in areas {
        if last.as_ref().is_some_and(|(newest, _)| !is_tie(newest.begun, area.begun)) {
            break;
        }
        let job = area.job(storage).await.map_err(CliError::WorkArea)?;
        let Some(job) = job.filter(|job| belongs(job, prefix, table)) else { continue };
        if let Some((_, newest)) = &last {
            return Err(CliError::LatestTie { jobs: vec![newest.job_id.clone(), job.job_id] });
        }
        if purpose == Purpose::Show {
            return Ok(Some(job));
        }
        last = Some((area, job));
    }
    Ok(last.map(|(_, job)| job))
}

/// Whether the store's times do not tell which of two jobs was begun last.
fn is_tie(later: SystemTime, earlier: SystemTime) -> bool {
    later.duration_since(earlier).map_or(true, |apart| apart <= TIE)
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
    purpose: Purpose,
) -> Result<Job, CliError> {
    let mut jobs = find(storage, prefix, table, asked, purpose).await?;
    let asked = asked.to_owned();
    if jobs.len() > 1 {
        return Err(CliError::SeveralJobs { asked, jobs: jobs.into_iter().map(|job| job.job_id).collect() });
    }
    jobs.pop().ok_or_else(|| CliError::NoJob { asked, prefix: prefix.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_of_jobs() {
        for (name, expected) in [
            ("orders-02-6cf1a5be02d47788", Some(10)),
            ("orders-02-6cf1a5be02d47788-g2", Some(10)),
            ("orders-02-6cf1a5be02d47788-g12", Some(10)),
            ("orders-02-6cf1a5be02d47788-replay", Some(10)),
            ("orders-02-6cf1a5be02d47788-g2-replay-g3-replay", Some(10)),
            ("-6cf1a5be02d47788", Some(1)),
            ("orders-02-6cf1a5be02d4778", None),
            ("orders-02-6cf1a5be02d477889", None),
            ("orders-02-6cf1a5be02d4778x", None),
            ("orders-02-6CF1A5BE02D47788", None),
            ("orders-02-6cf1a5be02d47788-", None),
            ("orders-02-6cf1a5be02d47788-g", None),
            ("orders-02-6cf1a5be02d47788-rep", None),
            ("6cf1a5be02d47788", None),
            ("replay", None),
            ("orders-02", None),
            ("", None),
        ] {
            assert_eq!(digits_at(name), expected, "{name}");
        }
    }

    #[test]
    fn times_that_tell_which_job_is_the_last() {
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        for (later, earlier, expected) in [(5000, 5000, true), (5000, 4000, true), (5000, 3999, false)] {
            assert_eq!(is_tie(at(later), at(earlier)), expected, "{later} {earlier}");
        }
    }

    #[test]
    fn beginnings_that_are_long_enough_to_change_something() {
        let job = JobId::from("orders-cafe-6cf1a5be02d47788-replay".to_owned());
        for (asked, expected) in [
            ("orders-cafe-6cf1", true),
            ("orders-cafe-6cf1a5be02d47788-rep", true),
            ("orders-cafe-6cf", false),
            ("orders-cafe-", false),
            // Not the job's own digits.
            ("orders-cafe", false),
            ("o", false),
        ] {
            assert_eq!(is_long_enough(asked, &job), expected, "{asked}");
        }
    }
}
