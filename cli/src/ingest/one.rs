//! One source.

use std::time::Instant;

use shared::Settings;

use super::source::{judge, look, report, show_command, with_command};
use crate::args::{self, IngestArgs, work_prefix};
use crate::contract::settled;
use crate::error::{CliError, Done};
use crate::output::Output;
use crate::pipeline::{Load, Pipeline};
use crate::routed::routed;
use crate::spool::{Spooled, spool};
use crate::stop;

/// Loads one source: one job for each table that it goes to.
pub(super) async fn run(args: &IngestArgs, source: &str, output: Output) -> Done {
    for settings in routed(args.settings()?, source, |variable| args.gives(variable)).await? {
        Box::pin(ingest(args, source, settings, output)).await?;
    }
    Ok(())
}

async fn ingest(args: &IngestArgs, source: &str, settings: Settings, output: Output) -> Done {
    let started = Instant::now();
    let settings = settled(settings).await?;
    let table = settings.table.clone().ok_or(CliError::NoTable)?;
    let work_prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let stop = stop::on_signal();
    let spooled = spool(source, &settings, &work_prefix, &stop).await?;
    let pipeline = Pipeline::set_up(settings, table.clone(), work_prefix, args.workers(), stop);
    let done = Box::pin(run_through(args, source, pipeline, spooled.as_ref(), started, output)).await;
    if let Some(spooled) = spooled {
        spooled.leave(&done, &table);
    }
    done
}

/// Takes the source that is given, or what came through a pipe, down the pipeline.
async fn run_through(
    args: &IngestArgs,
    source: &str,
    mut pipeline: Pipeline,
    spooled: Option<&Spooled>,
    started: Instant,
    output: Output,
) -> Done {
    let limit = pipeline.split.settings.read.max_bad_records;
    let at = spooled.map_or_else(|| args::location(source), |spooled| Ok(spooled.at.clone()))?;
    let named = spooled.map_or_else(|| source.to_owned(), |spooled| spooled.at.to_string());
    look(args, &mut pipeline, &at, spooled.is_none().then_some(source)).await?;
    pipeline.set_gate();
    let show = show_command(args, &named, &pipeline);
    let ran = pipeline.run(&Load::Source(at)).await;
    let (outcome, receipt) = ran.map_err(|error| with_command(error, &show))?;
    let report = report(args, &pipeline, &outcome, &receipt, started).await?;
    output.result(&report, &report.text())?;
    pipeline.write_due_checkpoint().await;
    judge(&report, limit, show)
}
