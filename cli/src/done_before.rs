//! Sources that need no second look: by one look at the table they are all in it.

use futures::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use shared::{Job, JobId, Location, Manifest, Receipt, Seal, SourceObject, StorageError, WorkArea, try_get_json};
use splitter::{SplitError, SplitOutcome};
use worker::{Ledger, RowsOfJobs};

use super::source::is_as_asked;
use crate::args::{self, IngestArgs};
use crate::error::CliError;
use crate::pipeline::Pipeline;
use crate::sources::NamedSource;

/// Sources that are looked up at once.
const AT_ONCE: usize = 16;

/// Generations after the first that are looked for: one may have been begun and come to nothing.
const LATER: std::ops::RangeInclusive<u32> = 2..=3;

/// What a look tells of a source.
#[derive(Debug)]
pub(super) enum Looked {
    /// All of it is in the table.
    Done(Box<SplitOutcome>, Box<Receipt>),
    /// It has so many bytes, and is to be loaded, or to be looked into.
    Open(u64),
    /// It cannot be read.
    Failed(Box<CliError>),
}

/// Looks at sources that are bound for the table of a pipeline; what is not done without any doubt is left open.
pub(super) async fn look(
    args: &IngestArgs,
    pipeline: &Pipeline,
    sources: Vec<NamedSource>,
) -> Result<Vec<(NamedSource, Looked)>, CliError> {
    let ledger = Ledger::open(&pipeline.load, &pipeline.table).await.map_err(CliError::Table)?;
    let known = match ledger {
        // Whoever waits for a notice gets it by the way that sends it.
        Some(ledger) if pipeline.split.topic.is_none() => {
            let rows = ledger.rows().await.map_err(CliError::Table)?;
            Some(Known { args, pipeline, ledger, rows })
        }
        _ => None,
    };
    let looks = sources.into_iter().map(|source| {
        let known = known.as_ref();
        async move {
            let object = SourceObject::look_up(pipeline.split.storage.as_ref(), &source.at).await;
            let looked = match object {
                Err(error) => Looked::Failed(Box::new(CliError::Split(SplitError::Source(error)))),
                Ok(object) => match known {
                    Some(known) => known.look(&source, &object).await?,
                    None => Looked::Open(object.size),
                },
            };
            Ok::<_, CliError>((source, looked))
        }
    });
    stream::iter(looks).buffered(AT_ONCE).try_collect().await
}

/// A table, and what is in it.
struct Known<'a> {
    args: &'a IngestArgs,
    pipeline: &'a Pipeline,
    ledger: Ledger,
    rows: RowsOfJobs,
}

impl Known<'_> {
    async fn look(&self, source: &NamedSource, object: &SourceObject) -> Result<Looked, CliError> {
        // The drop of a link has a number of its own.
        let done = if args::link(&source.named).is_some() { None } else { self.done(object).await? };
        Ok(done
            .map_or(Looked::Open(object.size), |(outcome, receipt)| Looked::Done(Box::new(outcome), Box::new(receipt))))
    }

    /// The job of a source, and its receipt, if the log has the job's seal and all of its chunks, the table's files have the rows of the
    /// receipt, no later generation was begun, and no option contradicts the job.
    async fn done(&self, source: &SourceObject) -> Result<Option<(SplitOutcome, Receipt)>, CliError> {
        let Self { args, pipeline, ledger, rows } = self;
        let of = |generation| JobId::derive(source, &pipeline.table, generation);
        let job_id = of(1);
        let seal = ledger.seal(&job_id).await.map_err(CliError::Table)?;
        let Some(seal) = seal.filter(|seal| *seal != Seal::UNDONE) else { return Ok(None) };
        let storage = pipeline.split.storage.as_ref();
        for later in LATER.map(of) {
            let area = WorkArea::new(&pipeline.split.work_prefix, &later);
            if ledger.seal(&later).await.map_err(CliError::Table)?.is_some()
                || storage.exists(&area.job()).await.map_err(CliError::WorkArea)?
            {
                return Ok(None);
            }
        }
        let area = WorkArea::new(&pipeline.split.work_prefix, &job_id);
        let (job, manifest, receipt) = (area.job(), area.manifest(), area.receipt());
        let read = futures::try_join!(
            self.read::<Job>(&job, "job"),
            self.read::<Manifest>(&manifest, "manifest"),
            self.read::<Receipt>(&receipt, "receipt")
        )?;
        let (Some(job), Some(manifest), Some(receipt)) = read else { return Ok(None) };
        let chunks = manifest.chunks.iter().map(|chunk| chunk.index);
        let is_done = job.seal == seal
            && rows.of(&job_id) == Some(receipt.rows.committed)
            && is_as_asked(args, &pipeline.split.settings, &job)
            && ledger.missing(&job_id, chunks).await.map_err(CliError::Table)?.is_empty();
        let outcome = SplitOutcome { job, area, manifest, was_split_before: true, receipt: Some(receipt.clone()) };
        Ok(is_done.then_some((outcome, receipt)))
    }

    /// A document; none, too, where it cannot be understood: the whole way says what is wrong with it.
    async fn read<T: DeserializeOwned>(&self, at: &Location, what: &'static str) -> Result<Option<T>, CliError> {
        match try_get_json(self.pipeline.split.storage.as_ref(), at, what).await {
            Err(StorageError::Malformed { .. }) => Ok(None),
            read => read.map_err(CliError::WorkArea),
        }
    }
}
