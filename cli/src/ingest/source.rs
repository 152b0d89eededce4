//! What is done for each source, whether it is alone or not.

use std::time::Instant;

use shared::{BadRecordLimit, Job, Location, Receipt, Rows, Seal, Settings, get_json};
use splitter::{SplitError, SplitOutcome};

use super::report::Report;
use crate::args::{self, IngestArgs};
use crate::error::{CliError, Done};
use crate::known::{self, Pinned};
use crate::pinned::{Contradiction, contradiction, giver, other_expectations};
use crate::pipeline::Pipeline;
use crate::undo::refuse_replayed;

/// Finds out what is known of the jobs of a source, before it is split. `named` is how the user named it; none for what came through a
/// pipe.
pub(super) async fn look(
    args: &IngestArgs,
    pipeline: &mut Pipeline,
    source: &Location,
    named: Option<&str>,
) -> Result<(), CliError> {
    let (known, pinned) = known::look(&pipeline.split, &mut pipeline.load, &pipeline.table, source, args.again).await?;
    pipeline.split.known = known;
    if let Some(pinned) = &pinned {
        heed(args, pipeline, pinned).await?;
    }
    pipeline.split.known.dropped_as = named.and_then(args::link);
    Ok(())
}

/// What came of a source that was split, and loaded as far as could be.
pub(super) async fn report(
    args: &IngestArgs,
    pipeline: &Pipeline,
    outcome: &SplitOutcome,
    receipt: &Receipt,
    started: Instant,
) -> Result<Report, CliError> {
    // A file that was touched, or moved, may turn out to be the job of another one.
    if outcome.was_loaded_before()
        && let Some(found) = contradicts(args, &pipeline.split.settings, &outcome.job)
    {
        return Err(CliError::Contradicts { job_id: outcome.job.job_id.clone(), found: Box::new(found) });
    }
    if outcome.job.load.sql != pipeline.split.settings.load.sql {
        tracing::warn!(
            job = %outcome.job.job_id,
            "it keeps the SQL that it was first seen with; for other SQL, undo it and ingest with --again"
        );
    }
    if other_expectations(&pipeline.split.settings, &outcome.job).is_some() {
        tracing::warn!(
            job = %outcome.job.job_id,
            "it keeps the expectations that it was first seen with; for other ones, undo it and ingest with --again"
        );
    }
    let holding = pipeline.holding(outcome, receipt).await?;
    Ok(Report::of(pipeline, outcome, receipt, holding, started.elapsed()))
}

/// An error for a source of which too many records were rejected, once its result was printed.
pub(super) fn judge(report: &Report, limit: Option<BadRecordLimit>, show: String) -> Done {
    report.judge(limit)?;
    match report.rows {
        Rows { read, quarantined, .. } if limit.is_none() && read > 0 && quarantined == read => {
            let said = format!("all {read} records were rejected: the table takes none of these rows");
            Err(CliError::AllRejected { said, show, is_printed: true })
        }
        _ => Ok(()),
    }
}

/// An error with the command that helps.
pub(super) fn with_command(error: CliError, show: &str) -> CliError {
    match error {
        CliError::Split(SplitError::AllRejected(all)) => {
            CliError::AllRejected { said: all.to_string(), show: show.to_owned(), is_printed: false }
        }
        error => error,
    }
}

/// The command that shows what was rejected.
pub(super) fn show_command(args: &IngestArgs, source: &str, pipeline: &Pipeline) -> String {
    let area = args.work_dir.as_ref().map(|dir| format!(" --work-dir {dir}")).unwrap_or_default();
    format!("sluice quarantine show {source} --table {}{area}", pipeline.table)
}

/// Heeds an option that contradicts the job as it was pinned: with rows of the job in the table it is refused; without any, the next
/// generation is begun in its place.
///
/// A process may still work on the old generation. Its first commit would find the seal that the new one's left, and the other way
/// round, so only one of them comes into the table.
async fn heed(args: &IngestArgs, pipeline: &mut Pipeline, pinned: &Pinned) -> Done {
    let storage = pipeline.split.storage.as_ref();
    let job: Job = get_json(storage, &pinned.area.job(), "job").await.map_err(CliError::WorkArea)?;
    let settings = &pipeline.split.settings;
    // What is loaded was judged by what was expected then.
    let judged = if pinned.seal.is_none() { other_expectations(settings, &job) } else { None };
    let Some(found) = contradicts(args, settings, &job).or(judged) else {
        return Ok(());
    };
    match pinned.seal {
        // Of that, there is something else to tell.
        Some(Seal::UNDONE) => Ok(()),
        Some(_) => Err(CliError::Contradicts { job_id: job.job_id, found: Box::new(found) }),
        None => {
            tracing::warn!(job = %job.job_id, change = %found, "nothing of the job is in the table: it starts again with the options given now");
            refuse_replayed(&pipeline.load, &pipeline.split.work_prefix, &pipeline.table, &job.job_id).await?;
            let known = &mut pipeline.split.known;
            (known.generation, known.is_again) = (job.generation + 1, true);
            known.instead_of = [job.instead_of, vec![job.job_id]].concat();
            Ok(())
        }
    }
}

/// Whether a job is what it would be with these settings, as far as they decide rows: nothing is refused, and nothing is warned of.
pub(super) fn is_as_asked(args: &IngestArgs, settings: &Settings, job: &Job) -> bool {
    contradicts(args, settings, job).is_none()
        && other_expectations(settings, job).is_none()
        && job.load.sql == settings.load.sql
}

/// The option, or the key of the contract, that contradicts a job.
fn contradicts(args: &IngestArgs, settings: &Settings, job: &Job) -> Option<Contradiction> {
    contradiction(|variable| giver(args.gives(variable), settings, variable), settings, job)
}
