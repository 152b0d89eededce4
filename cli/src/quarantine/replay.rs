//! `sluice quarantine replay`: the rejected records of a job go down the pipeline once more, read in another way.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use shared::{Drops, Job, JobId, Location, Manifest, Seal, Storage, Stores, WorkArea, try_get_json};
use splitter::{Changes, LeftOut, Replay};

use crate::args::{QuarantineReplayArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::ingest::report::Report;
use crate::jobs::{Purpose, single};
use crate::known::table_of;
use crate::numbers::{counted, grouped};
use crate::output::Output;
use crate::pipeline::{Load, Pipeline};
use crate::stop;
use crate::undo::context;

/// What came of a replay.
#[derive(Debug, Serialize)]
struct ReplayReport {
    /// The job that rejected the records.
    replay_of: JobId,
    /// Records that are replayed.
    records: u64,
    /// Those that are not, by the reason.
    left_out: LeftOut,
    /// What would become of the records, if it was only asked for that.
    dry_run: Option<DryRun>,
    /// What became of them; none when nothing was done.
    #[serde(flatten)]
    done: Option<Report>,
}

#[derive(Debug, Serialize)]
struct DryRun {
    taken: u64,
    rejected: u64,
    first_rejected: Option<String>,
}

/// Runs `quarantine replay`.
pub(crate) async fn run(args: &QuarantineReplayArgs, output: Output) -> Done {
    let started = Instant::now();
    let (settings, changes) = (args.settings()?, args.changes()?);
    let limit = settings.read.max_bad_records;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let (storage, asked) = (Stores::from_env(), &args.job_or_source);
    let job = single(storage.as_ref(), &prefix, settings.table.as_ref(), asked, Purpose::Change).await?;
    let table = table_of(&context(settings.clone()), &prefix, settings.table.as_ref(), &job).await?;
    let table = table.ok_or_else(|| CliError::BoundForNoTable { job_id: job.job_id.clone() })?;
    if let Some(told) = settings.table.as_ref().filter(|told| **told != table) {
        let (job_id, table, told) = (job.job_id, table.to_string(), told.to_string());
        return Err(CliError::BoundForOther { job_id, table, told });
    }
    let former = job.table.clone().filter(|former| *former != table);
    let mut pipeline = Pipeline::set_up(settings, table, prefix.clone(), args.workers(), stop::on_signal());
    pipeline.load.former_uris.moved.extend(former.map(|former| (former, pipeline.table.clone())));
    let replay = look(&pipeline, &prefix, job, &changes).await?;
    let (replay_of, records, left_out) = (replay.of().job_id.clone(), replay.records, replay.left_out);
    let mut report = ReplayReport { replay_of, records, left_out, dry_run: None, done: None };
    if args.dry_run {
        let splitter::DryRun { taken, rejected, first_rejected } =
            replay.dry_run(&pipeline.split).await.map_err(CliError::Split)?;
        report.dry_run = Some(DryRun { taken, rejected, first_rejected });
    } else if replay.records > 0 {
        let job = begun(&pipeline, &prefix, &replay).await?;
        let area = WorkArea::new(&prefix, &job.job_id);
        let (outcome, receipt) = pipeline.run(&Load::Job(Box::new(job), area)).await?;
        let holding = pipeline.holding(&outcome, &receipt).await?;
        report.done = Some(Report::of(&pipeline, &outcome, &receipt, holding, started.elapsed()));
    }
    output.result(&report, &text(&report))?;
    report.done.map_or(Ok(()), |done| done.judge(limit))
}

/// Looks through the quarantine of a job that is split, and whose rows are wanted.
async fn look(pipeline: &Pipeline, prefix: &Location, job: Job, changes: &Changes) -> Result<Replay, CliError> {
    let area = WorkArea::new(prefix, &job.job_id);
    let manifest = try_get_json(pipeline.split.storage.as_ref(), &area.manifest(), "manifest").await;
    let manifest: Option<Manifest> = manifest.map_err(CliError::WorkArea)?;
    let manifest = manifest.ok_or_else(|| CliError::NotSplit { job_id: job.job_id.clone() })?;
    refuse_other_seals(pipeline, &job).await?;
    let storage: Arc<dyn Storage> = Arc::clone(&pipeline.split.storage);
    Replay::inspect(&storage, job, area, &manifest, changes).await.map_err(CliError::Split)
}

/// What a job rejected that is not in the table in this cut, since it was undone or was loaded from another work area, is not
/// replayed; nor is what a replay of it rejected.
async fn refuse_other_seals(pipeline: &Pipeline, job: &Job) -> Result<(), CliError> {
    let jobs = job.replay_of.iter().map(|of| (&of.job_id, of.seal)).chain([(&job.job_id, job.seal)]);
    for (job_id, seal) in jobs {
        let (job_id, table) = (job_id.clone(), pipeline.table.to_string());
        match worker::has_job(&pipeline.load, &pipeline.table, &job_id).await.map_err(CliError::Table)? {
            Some(Seal::UNDONE) => return Err(CliError::ReplayOfUndone { job_id, table }),
            Some(there) if there != seal => return Err(CliError::ReplayOfOtherCut { job_id, table }),
            _ => {}
        }
    }
    Ok(())
}

/// The replay that reads the records as is asked for: one that was begun before, or the next. No replay is begun while another has
/// rows in the table; one that may yet bring some in loses them, in one commit, to those that are begun after it.
async fn begun(pipeline: &Pipeline, prefix: &Location, replay: &Replay) -> Result<Job, CliError> {
    let storage = pipeline.split.storage.as_ref();
    let mut generation = 1;
    loop {
        let begun = match replay.begun(storage, generation).await.map_err(CliError::WorkArea)? {
            Some(job) => job,
            None => replay.begin(&pipeline.split, generation).await.map_err(CliError::WorkArea)?,
        };
        let seal = worker::has_job(&pipeline.load, &pipeline.table, &begun.job_id).await.map_err(CliError::Table)?;
        if seal != Some(Seal::UNDONE) {
            if replay.is_as(&begun) {
                return Ok(begun);
            }
            let there = in_table(pipeline, prefix, &begun).await?;
            if !there.is_empty() {
                return Err(CliError::Replayed { job_id: replay.of().job_id.clone(), replays: there });
            }
        }
        generation += 1;
    }
}

/// Which of a replay, and of those of what it rejected, have rows in the table.
async fn in_table(pipeline: &Pipeline, prefix: &Location, replay: &Job) -> Result<Vec<JobId>, CliError> {
    let destination = replay.destination().unwrap_or_else(|| pipeline.table.clone());
    let drops = Drops::replays(prefix, &replay.job_id, &destination);
    let replays = drops
        .with_replays(pipeline.split.storage.as_ref(), vec![replay.job_id.clone()])
        .await
        .map_err(CliError::WorkArea)?;
    crate::jobs::in_table(&pipeline.load, &pipeline.table, replays).await
}

fn text(report: &ReplayReport) -> String {
    let ReplayReport { replay_of, records, left_out, dry_run, done } = report;
    let mut lines = match (done, dry_run) {
        (Some(done), _) => vec![done.text(), format!("  replayed     what {replay_of} rejected")],
        (None, Some(DryRun { taken, rejected, first_rejected })) => {
            let mut lines = vec![
                format!("{replay_of}: {} would be replayed, nothing was changed", counted(*records, "record")),
                format!("  taken        {}", grouped(*taken)),
                format!("  rejected     {}", grouped(*rejected)),
            ];
            lines.extend(first_rejected.iter().map(|first| format!("  first        {first}")));
            lines.push(
                "  not tried    SQL, the types of the table, and what becomes of records that are rejected again"
                    .to_owned(),
            );
            lines
        }
        (None, None) => vec![format!("{replay_of}: nothing to replay")],
    };
    let LeftOut { partial, undecodable, load } = left_out;
    for (count, what, way) in [
        (
            partial,
            "of which only a part is kept, or that are not one record in this dialect",
            "--csv-quote none takes each line as a record",
        ),
        (
            undecodable,
            "with bytes that are in no encoding",
            "sluice undo the job, then ingest its file with --again and the right --encoding",
        ),
        (
            load,
            "rejected by the worker: rows that do not fit the table are kept as JSON; they are not records of the source",
            "sluice undo the job, then ingest its file with --again, and with SQL, a schema or a table that such rows fit",
        ),
    ] {
        if *count > 0 {
            lines.push(format!("  left out     {} {what}", grouped(*count)));
            lines.push(format!("               to load them after all: {way}"));
        }
    }
    lines.join("\n")
}
