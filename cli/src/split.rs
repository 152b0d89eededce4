//! `sluice split`: the splitter alone.

use std::sync::Arc;

use shared::{Progress, Reading, Stores};
use splitter::SplitContext;

use crate::args::{self, SplitArgs};
use crate::error::{CliError, Done};
use crate::known;
use crate::numbers::{counted, grouped, mebibytes};
use crate::output::Output;
use crate::progress::ProgressLine;
use crate::reading;
use crate::stop;

/// Runs the command.
pub(crate) async fn run(args: &SplitArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let limit = settings.read.max_bad_records;
    let threads = splitter::threads(&settings, args::cores());
    let mut context = SplitContext {
        storage: Stores::from_env(),
        queue: None,
        work_prefix: args::location(&args.out)?,
        table: None,
        settings,
        threads,
        topic: None,
        known: splitter::Known::default(),
        gate: None,
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: stop::on_signal(),
    };
    let source = args::location(&args.source)?;
    if args.again {
        context.known = known::next(&context, &source).await?;
    }
    let shown = ProgressLine::show(Arc::clone(&context.progress));
    let split = splitter::split(&context, &source).await;
    drop(shown);
    let outcome = split.map_err(CliError::Split)?;
    let manifest = &outcome.manifest;
    if output.json {
        for chunk in &manifest.chunks {
            Output::json_line(&chunk.task(&outcome.area, &outcome.job.job_id).to_load(&outcome.job.load))?;
        }
    } else {
        let head = if outcome.was_split_before { "was split already" } else { "is split" };
        let chunks = counted(u64::try_from(manifest.chunks.len()).unwrap_or_default(), "chunk");
        let mut lines = vec![format!("{} {head}: {chunks} in {}", outcome.job.job_id, outcome.area.root())];
        lines.extend(Reading::of(&outcome.job, manifest.lines.clone()).iter().flat_map(reading::of_source));
        lines.extend(manifest.chunks.iter().map(|chunk| {
            format!("  {:05}  {:>12} rows  {:>11}", chunk.index, grouped(chunk.rows), mebibytes(chunk.bytes))
        }));
        let quarantined = grouped(manifest.quarantined);
        lines.push(format!("  {} read, {quarantined} quarantined", counted(manifest.records, "record")));
        output.result(manifest, &lines.join("\n"))?;
    }
    match limit {
        Some(limit) if limit.is_exceeded(manifest.quarantined, manifest.records) => {
            Err(CliError::TooManyBad { quarantined: manifest.quarantined, read: manifest.records })
        }
        _ => Ok(()),
    }
}
