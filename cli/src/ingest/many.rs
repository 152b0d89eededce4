//! Many sources in one process: each table is looked at once, sources that are done are left out by that look, and the others go down
//! the pipeline in groups, of which the chunks share commits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::{StreamExt, stream};
use shared::{Job, Location, Settings, Stores};
use splitter::{SplitError, SplitOutcome};
use tokio_util::sync::CancellationToken;

use super::report::{CommitReport, Report};
use super::source::{is_as_asked, judge, look, report, show_command, with_command};
use super::summary::Ends;
use crate::args::{IngestArgs, work_prefix};
use crate::contract::settled;
use crate::done_before::{self, Looked, Way};
use crate::error::{CliError, Done};
use crate::gate::is_put_off;
use crate::output::Output;
use crate::pipeline::{Load, Pipeline};
use crate::poll::Rejected;
use crate::progress::ProgressLine;
use crate::quarantine::show::reasons;
use crate::routed::{by_routes, read_routes};
use crate::sources::error::SourcesError;
use crate::sources::{self, NamedSource, Sources};
use crate::stop;

/// Most sources of a group, and most bytes of them unless it is one: what is split waits on the disk for the end of its group.
const GROUP: usize = 200;
const GROUP_BYTES: u64 = 256 << 20;

/// Sources that are split at once.
const AT_ONCE: usize = 8;

/// Chunks that one worker takes at once; they go into one commit, with those of the other workers that wait.
const BATCH: usize = 10;

/// Loads many sources.
pub(super) async fn run(args: &IngestArgs, named: &[String], output: Output) -> Done {
    let started = Instant::now();
    if args.again {
        // Whoever repeats a command that was cut off would load what it had finished once more.
        return Err(SourcesError::AgainOfSeveral.into());
    }
    let settings = args.settings()?;
    if settings.table.is_none() && settings.routes.is_none() {
        return Err(CliError::NoTable);
    }
    let (storage, stop) = (Stores::from_env(), stop::on_signal());
    let own = work_prefix(args.work_dir.as_deref(), &settings).map(|prefix| [prefix.beside("_drops"), prefix]);
    let own = own.as_ref().map_or(&[][..], |own| own);
    let Sources { files, mut failed } = sources::find(storage.as_ref(), named, own).await;
    if let ([_], true) = (named, files.is_empty())
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    let mut ends = Ends::new(output);
    for (named, error) in &failed {
        ends.failed(named, error)?;
    }
    for lane in lanes(args, &settings, files, &stop, &mut ends).await? {
        lane.run(args, &mut ends).await?;
    }
    ends.say(started.elapsed(), stop.is_cancelled())
}

/// Sources that go the same way: to one table, by one route or by none.
struct Lane {
    table: Option<Location>,
    route: Option<String>,
    pipeline: Pipeline,
    sources: Vec<NamedSource>,
}

/// Parts sources by the ways that they go.
async fn lanes(
    args: &IngestArgs,
    settings: &Settings,
    files: Vec<NamedSource>,
    stop: &CancellationToken,
    ends: &mut Ends,
) -> Result<Vec<Lane>, CliError> {
    let routes = read_routes(settings).await?;
    let mut lanes: Vec<Lane> = Vec::new();
    for file in files {
        let ways = match by_routes(routes.as_ref(), settings, &file.named, |variable| args.gives(variable)) {
            Err(error @ CliError::Split(SplitError::Route(_))) => {
                ends.failed(&file.named, &error)?;
                continue;
            }
            ways => ways?,
        };
        for way in ways {
            let route = way.route.as_ref().map(|route| route.name.clone());
            if let Some(lane) = lanes.iter_mut().find(|lane| lane.table == way.table && lane.route == route) {
                lane.sources.push(file.clone());
                continue;
            }
            let (table, sources) = (way.table.clone(), vec![file.clone()]);
            let pipeline = pipeline(args, way, stop).await?;
            lanes.push(Lane { table, route, pipeline, sources });
        }
    }
    Ok(lanes)
}

async fn pipeline(args: &IngestArgs, settings: Settings, stop: &CancellationToken) -> Result<Pipeline, CliError> {
    let settings = settled(settings).await?;
    let table = settings.table.clone().ok_or(CliError::NoTable)?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    Ok(Pipeline::set_up(settings, table, prefix, args.workers(), stop.clone()))
}

/// What became of a source of a group before it is loaded.
enum Came {
    Split(Box<(Pipeline, SplitOutcome, Instant)>),
    /// It changes the columns of the table, and comes alone.
    PutOff,
    NotBegun,
    Failed(Box<CliError>),
}

/// Whether sources of a group that are not begun stay so.
#[derive(Debug, Default)]
struct Halt {
    /// Since one is to come before them, alone.
    is_put_off: AtomicBool,
    /// Since one failed, and none is to be begun after that.
    has_failed: AtomicBool,
}

impl Lane {
    async fn run(mut self, args: &IngestArgs, ends: &mut Ends) -> Done {
        let shown = ProgressLine::show(Arc::clone(&self.pipeline.split.progress));
        let mut open = self.leave_out_done(args, ends).await?;
        // Of a new table the first source makes the columns.
        let mut is_alone = !self.pipeline.has_table().await?;
        while !open.is_empty() {
            if self.is_over(args, ends) {
                for (source, _) in &open {
                    ends.not_begun(&source.named);
                }
                break;
            }
            let group = next_group(&mut open, is_alone);
            let put_off = self.load_group(args, group, ends).await?;
            is_alone = !put_off.is_empty();
            put_off.into_iter().rev().for_each(|source| open.push_front(source));
            self.pipeline.write_due_checkpoint().await;
        }
        drop(shown);
        ends.committed(CommitReport::of(self.pipeline.split.progress.snapshot()));
        Ok(())
    }

    fn is_over(&self, args: &IngestArgs, ends: &Ends) -> bool {
        self.pipeline.split.stop.is_cancelled() || args.fail_fast && ends.has_failed()
    }

    /// Says what is done before; gives the others with their sizes in bytes.
    async fn leave_out_done(
        &mut self,
        args: &IngestArgs,
        ends: &mut Ends,
    ) -> Result<VecDeque<(NamedSource, u64)>, CliError> {
        let mut open = VecDeque::new();
        let began = Instant::now();
        let Pipeline { load, table, split, .. } = &self.pipeline;
        let is_as_asked = |job: &Job| is_as_asked(args, &split.settings, job);
        let way = Way { load, table, work_prefix: &split.work_prefix, is_as_asked: &is_as_asked };
        for (source, looked) in done_before::look(&way, std::mem::take(&mut self.sources)).await? {
            match looked {
                Looked::Open(object) => open.push_back((source, object.size)),
                Looked::Failed(error) => ends.failed(&source.named, &error)?,
                Looked::Done(outcome, receipt) => {
                    let report = Report::of(&self.pipeline, &outcome, &receipt, None, began.elapsed());
                    self.end(args, &source, report, ends).await?;
                }
            }
        }
        Ok(open)
    }

    /// Splits a group, then loads its chunks together; gives the sources that are put off.
    async fn load_group(
        &mut self,
        args: &IngestArgs,
        group: Vec<(NamedSource, u64)>,
        ends: &mut Ends,
    ) -> Result<Vec<(NamedSource, u64)>, CliError> {
        let (is_alone, halt) = (group.len() == 1, Halt::default());
        let splits = group.into_iter().map(|(source, size)| {
            let split = self.split(args, source.clone(), is_alone, &halt);
            async move { (source, size, Box::pin(split).await) }
        });
        let came: Vec<_> = stream::iter(splits).buffered(AT_ONCE).collect().await;
        let (mut split, mut put_off) = (Vec::new(), Vec::new());
        for (source, size, came) in came {
            match came {
                Came::PutOff => put_off.push((source, size)),
                Came::NotBegun => ends.not_begun(&source.named),
                Came::Failed(error) => {
                    let show = show_command(args, &source.named, &self.pipeline);
                    ends.failed(&source.named, &with_command(*error, &show))?;
                }
                Came::Split(one) => {
                    one.0.hand_over().await?;
                    let (former, all) = (&one.0.load.former_uris, &mut self.pipeline.load.former_uris);
                    all.moved.extend(former.moved.clone());
                    all.are_all_known |= former.are_all_known;
                    split.push((source, one));
                }
            }
        }
        let rejected =
            if split.is_empty() { Vec::new() } else { self.pipeline.load(if is_alone { 1 } else { BATCH }).await? };
        for (source, one) in split {
            let (pipeline, outcome, began) = *one;
            match concluded(args, &pipeline, &outcome, &rejected, began).await {
                Ok(report) => self.end(args, &source, report, ends).await?,
                Err(error) => ends.failed(&source.named, &error)?,
            }
        }
        Ok(put_off)
    }

    async fn split(&self, args: &IngestArgs, source: NamedSource, is_alone: bool, halt: &Halt) -> Came {
        if halt.is_put_off.load(Ordering::Relaxed) {
            return Came::PutOff;
        }
        if halt.has_failed.load(Ordering::Relaxed) || self.pipeline.split.stop.is_cancelled() {
            return Came::NotBegun;
        }
        let (mut pipeline, began) = (self.pipeline.beside(), Instant::now());
        let split = async {
            look(args, &mut pipeline, &source.at, Some(&source.named)).await?;
            let gate = if is_alone { pipeline.gate() } else { pipeline.gate().among_others() };
            pipeline.split.gate = Some(Arc::new(gate));
            pipeline.split(&Load::Source(source.at)).await
        };
        match split.await {
            Ok(outcome) => Came::Split(Box::new((pipeline, outcome, began))),
            Err(error) if is_put_off(&error) => {
                halt.is_put_off.store(true, Ordering::Relaxed);
                Came::PutOff
            }
            Err(error) => {
                halt.has_failed.store(args.fail_fast, Ordering::Relaxed);
                Came::Failed(Box::new(error))
            }
        }
    }

    /// Says that a source is in the table, and why records of it were rejected.
    async fn end(&self, args: &IngestArgs, source: &NamedSource, report: Report, ends: &mut Ends) -> Done {
        let split = &self.pipeline.split;
        if report.quarantine.is_some() && !report.already_done {
            let area = shared::WorkArea::new(&split.work_prefix, &shared::JobId::from(report.job_id.clone()));
            let storage: Arc<dyn shared::Storage> = Arc::clone(&split.storage);
            ends.rejected(reasons(&storage, &area).await?);
        }
        let limit = split.settings.read.max_bad_records;
        let judged = judge(&report, limit, show_command(args, &source.named, &self.pipeline));
        ends.loaded(&report.among_others(), judged)
    }
}

/// What came of a source whose chunks were loaded as far as could be.
async fn concluded(
    args: &IngestArgs,
    pipeline: &Pipeline,
    outcome: &SplitOutcome,
    rejected: &[Rejected],
    began: Instant,
) -> Result<Report, CliError> {
    let receipt = pipeline.conclude(outcome, rejected).await?;
    report(args, pipeline, outcome, &receipt, began).await
}

/// Takes the sources that go down the pipeline together.
fn next_group(open: &mut VecDeque<(NamedSource, u64)>, is_alone: bool) -> Vec<(NamedSource, u64)> {
    let (mut group, mut bytes): (Vec<(NamedSource, u64)>, u64) = (Vec::new(), 0);
    let most = if is_alone { 1 } else { GROUP };
    while let Some((_, size)) = open.front() {
        bytes = bytes.saturating_add(*size);
        if group.len() == most || !group.is_empty() && bytes > GROUP_BYTES {
            break;
        }
        group.extend(open.pop_front());
    }
    group
}
