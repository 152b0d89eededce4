//! `sluice enqueue`: objects that are there already are announced to the splitter of a deployment.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{Location, Queue, Settings, SourceObject, SqsQueue, Stores};
use splitter::SplitError;
use worker::{LoadContext, TableStore};

use crate::args::{EnqueueArgs, work_prefix};
use crate::done_before::{self, Looked, Way};
use crate::error::{CliError, Done};
use crate::numbers::{counted, grouped};
use crate::output::Output;
use crate::routed::{by_routes, read_routes};
use crate::sources::error::SourcesError;
use crate::sources::{self, NamedSource, Sources};
use crate::stop;

/// Messages that are sent before a stop is heeded.
const BATCH: usize = 100;

/// What was sent.
#[derive(Debug, Serialize)]
struct Report {
    queue: String,
    /// Objects that were found.
    objects: u64,
    /// Those of them that are in their table.
    already_done: u64,
    /// Messages that were sent, or would be.
    sent: u64,
    /// Objects that cannot be loaded, and what was not found.
    failed: u64,
    dry_run: bool,
    /// What would be sent; none unless it is only asked for that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would_send: Vec<Location>,
}

/// Runs the command.
pub(crate) async fn run(args: &EnqueueArgs, output: Output) -> Done {
    let (settings, stop) = (args.settings()?, stop::on_signal());
    if settings.table.is_none() && settings.routes.is_none() {
        return Err(CliError::NoTable);
    }
    let (storage, mut worst) = (Stores::from_env(), 0);
    let own = work_prefix(args.work_dir.as_deref(), &settings).map(|prefix| [prefix.beside("_drops"), prefix]);
    let own = own.as_ref().map_or(&[][..], |own| own);
    let Sources { files, failed } = sources::find(storage.as_ref(), &args.sources, own).await;
    let mut failures: Vec<(String, CliError)> = failed;
    let objects = files.len();
    let found = looked(args, &settings, files, &mut failures).await?;
    for (named, error) in &failures {
        Output::failure(named, error);
        worst = worst.max(error.exit_code());
    }
    let open: Vec<&SourceObject> = found.values().flatten().collect();
    let queue = SqsQueue::from_env(&args.queue_url).await;
    let mut sent = 0;
    for batch in open.chunks(BATCH).take_while(|_| !stop.is_cancelled()) {
        if !args.dry_run {
            let bodies: Vec<String> = batch.iter().map(|object| splitter::notification(object)).collect();
            queue.send(&bodies).await.map_err(CliError::Queue)?;
        }
        sent += batch.len();
    }
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let report = Report {
        queue: args.queue_url.clone(),
        objects: number(objects),
        already_done: number(found.values().filter(|open| open.is_none()).count()),
        sent: number(sent),
        failed: number(failures.len()),
        dry_run: args.dry_run,
        would_send: open.iter().filter(|_| args.dry_run).map(|object| object.uri.clone()).collect(),
    };
    output.result(&report, &text(&report))?;
    match (stop.is_cancelled() && sent < open.len(), report.failed) {
        (true, _) => Err(CliError::SomeFailed { said: "stopped on request".to_owned(), status: 130 }),
        (false, 0) => Ok(()),
        (false, failed) => {
            let said = format!("{} could not be announced", counted(failed, "source"));
            Err(CliError::SomeFailed { said, status: worst })
        }
    }
}

/// The objects that can be loaded, by location; none for those that are in all tables that they go to.
async fn looked(
    args: &EnqueueArgs,
    settings: &Settings,
    files: Vec<NamedSource>,
    failures: &mut Vec<(String, CliError)>,
) -> Result<BTreeMap<Location, Option<SourceObject>>, CliError> {
    let routes = read_routes(settings).await?;
    let mut by_table: BTreeMap<Location, (Settings, Vec<NamedSource>)> = BTreeMap::new();
    for file in files {
        if matches!(file.at, Location::Local { .. }) {
            failures.push((file.named, SourcesError::Local.into()));
            continue;
        }
        match by_routes(routes.as_ref(), settings, &file.named, |variable| args.gives(variable)) {
            Err(error @ CliError::Split(SplitError::Route(_))) => failures.push((file.named, error)),
            ways => {
                for way in ways? {
                    let table = way.table.clone().ok_or(CliError::NoTable)?;
                    by_table.entry(table).or_insert_with(|| (way, Vec::new())).1.push(file.clone());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    for (table, (settings, files)) in by_table {
        let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
        let load = LoadContext::new(Stores::from_env(), settings, TableStore::from_env());
        // What it was loaded with is not asked: the deployment has its own settings.
        let way = Way { load: &load, table: &table, work_prefix: &prefix, is_as_asked: &|_| true };
        for (file, looked) in done_before::look(&way, files).await? {
            match looked {
                Looked::Open(object) => drop(found.insert(file.at, Some(object))),
                Looked::Done(..) => drop(found.entry(file.at).or_insert(None)),
                Looked::Failed(error) => failures.push((file.named, *error)),
            }
        }
    }
    Ok(found)
}

fn text(report: &Report) -> String {
    let Report { queue, objects, already_done, sent, failed, dry_run, would_send } = report;
    let verb = if *dry_run { "would be sent" } else { "sent" };
    let mut lines = vec![format!("{} {verb} to {queue}", counted(*sent, "message"))];
    lines.extend(would_send.iter().map(|object| format!("  {object}")));
    lines.push(format!("  objects      {}", grouped(*objects)));
    lines.push(format!("  already done {}", grouped(*already_done)));
    lines.push(format!("  failed       {}", grouped(*failed)));
    lines.join("\n")
}
