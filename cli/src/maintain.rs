//! `sluice maintain`: looks after a table, apart from workers.

use worker::{
    Checkpoints, Cleared, Compacted, FixedFile, FixedStatistics, FixedValue, LoadError, Maintained, Maintenance,
    UnfinishedJobs, Vacuum, WrittenCheckpoint, maintain,
};

use crate::args::{MaintainArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::numbers::{counted, grouped, mebibytes};
use crate::output::Output;
use crate::undo::context;

/// Runs the command.
pub(crate) async fn run(args: &MaintainArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let table = settings.table.clone().ok_or(CliError::NoTable)?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let maintained = maintain(&context(settings), &table, &prefix, &args.maintenance()).await;
    let maintained = maintained.map_err(|error| match error {
        LoadError::Storage(error) => CliError::WorkArea(error),
        error => CliError::Maintain(error),
    })?;
    output.result(&maintained, &text(&maintained))?;
    Ok(())
}

impl MaintainArgs {
    fn maintenance(&self) -> Maintenance {
        let checkpoint = match (self.no_checkpoint, self.checkpoint) {
            (true, _) => Checkpoints::Off,
            (false, true) => Checkpoints::Always,
            (false, false) => Checkpoints::WhenDue,
        };
        let vacuum = match self.retention {
            _ if self.no_vacuum => Vacuum::Off,
            Some(retention) => Vacuum::After(retention),
            None => Vacuum::AsTheTableSays,
        };
        Maintenance {
            checkpoint,
            log: !self.no_log,
            vacuum,
            compact: self.compact,
            compact_after: self.compact_after,
            fix_statistics: self.fix_statistics,
            keep_jobs: (!self.no_work_areas).then(|| self.keep_jobs()),
            dry_run: self.dry_run,
        }
    }
}

fn text(maintained: &Maintained) -> String {
    let Maintained {
        dry_run,
        compaction,
        statistics,
        checkpoint,
        log,
        vacuum,
        unfinished,
        work_areas,
        completed,
        unfinished_jobs,
        ..
    } = maintained;
    let done = if *dry_run { "looked at, nothing was changed" } else { "looked after" };
    let checkpoint = checkpoint.as_ref().map(|checkpoint| of_checkpoint(checkpoint, *dry_run));
    let cleared = |cleared: &Option<Cleared>, noun: &str| {
        let verb = if *dry_run { "to be removed" } else { "removed" };
        cleared.map(|Cleared { objects, bytes }| format!("{} ({}) {verb}", counted(objects, noun), mebibytes(bytes)))
    };
    let compaction = compaction.map(|Compacted { merged, bytes, made, skipped, unlike }| {
        let verb = if *dry_run { "to be merged".to_owned() } else { format!("merged into {}", grouped(made)) };
        let alone = |count, why| match count {
            0 => String::new(),
            count => format!("; {} with {why}, left alone", grouped(count)),
        };
        let (paths, columns) = (alone(skipped, "paths in another form"), alone(unlike, "other columns than the table"));
        format!("{} ({}) {verb}{paths}{columns}", counted(merged, "small file"), mebibytes(bytes))
    });
    let left = || "left alone".to_owned();
    let completed = completed.map(|jobs| counted(jobs, "job"));
    let line = |name: &str, text: String| Some(format!("  {name:<11}  {text}"));
    [
        Some(format!("{} (version {}): {done}", maintained.table, maintained.version)),
        line("small files", compaction.unwrap_or_else(left)),
        statistics.as_ref().and_then(|fixed| line("statistics", fixed_statistics(fixed, *dry_run))),
        line("checkpoint", checkpoint.unwrap_or_else(left)),
        line("log", cleared(log, "expired file").unwrap_or_else(left)),
        line("vacuum", cleared(vacuum, "data file").unwrap_or_else(left)),
        cleared(unfinished, "file").and_then(|text| line("unfinished", text)),
        line("work areas", cleared(work_areas, "object").unwrap_or_else(left)),
        line("made good", completed.unwrap_or_else(left)),
        unfinished_jobs.and_then(|UnfinishedJobs { jobs, oldest_seconds }| {
            let hours = oldest_seconds / 3600;
            line("not done", format!("{}, the oldest begun {} ago", counted(jobs, "job"), counted(hours, "hour")))
        }),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("\n")
}

fn of_checkpoint(checkpoint: &WrittenCheckpoint, dry_run: bool) -> String {
    let WrittenCheckpoint { last, broken_hint, written } = checkpoint;
    let because = broken_hint.as_ref().map(|broken| format!(", since {broken}")).unwrap_or_default();
    match (written, dry_run, last) {
        (true, false, _) => format!("written{because}"),
        (true, true, _) => format!("due{because}"),
        (false, _, Some(last)) => format!("not due, the last is of version {last}"),
        (false, _, None) => "not due".to_owned(),
    }
}

/// Statistics that were wrong, file by file.
fn fixed_statistics(fixed: &FixedStatistics, dry_run: bool) -> String {
    let verb = if dry_run { "to be fixed" } else { "fixed" };
    let (wrong, checked) = (u64::try_from(fixed.files.len()).unwrap_or(u64::MAX), counted(fixed.checked, "data file"));
    let mut lines = vec![match wrong {
        0 => format!("right in {checked}"),
        wrong => format!("wrong in {} of {checked}, {verb}", grouped(wrong)),
    }];
    for FixedFile { path, values } in &fixed.files {
        lines.push(format!("    {path}"));
        lines.extend(values.iter().map(|value| format!("      {}", fixed_value(value))));
    }
    for (column, files) in &fixed.unproven {
        lines.push(format!(
            "    column {column}: the footers of {} do not prove its bounds, left alone",
            counted(*files, "file")
        ));
    }
    if fixed.skipped > 0 {
        lines.push(format!(
            "    {} with deleted rows or paths in another form, left alone",
            counted(fixed.skipped, "file")
        ));
    }
    lines.join("\n")
}

fn fixed_value(value: &FixedValue) -> String {
    let FixedValue { column, statistic, before, after, reason } = value;
    let of = column.as_ref().map_or_else(String::new, |column| format!("column {column}: "));
    let none = || "none".to_owned();
    let reason = reason.map_or_else(String::new, |reason| format!(", since {reason}"));
    let (before, after) = (before.clone().unwrap_or_else(none), after.clone().unwrap_or_else(none));
    format!("{of}{statistic} {before} → {after}{reason}")
}
