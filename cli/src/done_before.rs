//! Sources that need no second look: by one look at the table they are all in it.

use futures::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use shared::{Job, JobId, Location, Manifest, Receipt, Seal, SourceObject, StorageError, WorkArea, try_get_json};
use splitter::{SplitError, SplitOutcome};
use worker::{Ledger, LoadContext, RowsOfJobs};

use crate::args;
use crate::error::CliError;
use crate::sources::NamedSource;

/// Sources that are looked up at once.
const AT_ONCE: usize = 16;

/// Generations after the first that are looked for: one may have been begun and come to nothing.
const LATER: std::ops::RangeInclusive<u32> = 2..=3;

/// What a look tells of a source.
#[derive(Debug)]
pub(crate) enum Looked {
    /// All of it is in the table.
    Done(Box<SplitOutcome>, Box<Receipt>),
    /// It is to be loaded, or to be looked into.
    Open(SourceObject),
    /// It cannot be read.
    Failed(Box<CliError>),
}

/// The way that sources go.
pub(crate) struct Way<'a> {
    pub(crate) load: &'a LoadContext,
    pub(crate) table: &'a Location,
    pub(crate) work_prefix: &'a Location,
    /// Whether a job is what it would be as it is asked for now.
    pub(crate) is_as_asked: &'a (dyn Fn(&Job) -> bool + Sync),
}

/// Looks at sources that are bound for a table; what is not done without any doubt is left open.
pub(crate) async fn look(way: &Way<'_>, sources: Vec<NamedSource>) -> Result<Vec<(NamedSource, Looked)>, CliError> {
    let ledger = Ledger::open(way.load, way.table).await.map_err(CliError::Table)?;
    let known = match ledger {
        // Whoever waits for a notice gets it by the way that sends it.
        Some(ledger) if way.load.topic.is_none() => {
            let rows = ledger.rows().await.map_err(CliError::Table)?;
            Some(Known { way, ledger, rows })
        }
        _ => None,
    };
    let looks = sources.into_iter().map(|source| {
        let known = known.as_ref();
        async move {
            let object = SourceObject::look_up(way.load.storage.as_ref(), &source.at).await;
            let looked = match object {
                Err(error) => Looked::Failed(Box::new(CliError::Split(SplitError::Source(error)))),
                Ok(object) => match known {
                    Some(known) => known.look(&source, object).await?,
                    None => Looked::Open(object),
                },
            };
            Ok::<_, CliError>((source, looked))
        }
    });
    stream::iter(looks).buffered(AT_ONCE).try_collect().await
}

/// A table, and what is in it.
struct Known<'a> {
    way: &'a Way<'a>,
    ledger: Ledger,
    rows: RowsOfJobs,
}

impl Known<'_> {
    async fn look(&self, source: &NamedSource, object: SourceObject) -> Result<Looked, CliError> {
        // The drop of a link has a number of its own.
        let done = if args::link(&source.named).is_some() { None } else { self.done(&object).await? };
        Ok(done.map_or(Looked::Open(object), |(outcome, receipt)| Looked::Done(Box::new(outcome), Box::new(receipt))))
    }

    /// The job of a source, and its receipt, if the log has the job's seal and all of its chunks, the table's files have the rows of the
    /// receipt, no later generation was begun, and no option contradicts the job.
    async fn done(&self, source: &SourceObject) -> Result<Option<(SplitOutcome, Receipt)>, CliError> {
        let Self { way, ledger, rows } = self;
        let of = |generation| JobId::derive(source, way.table, generation);
        let job_id = of(1);
        let seal = ledger.seal(&job_id).await.map_err(CliError::Table)?;
        let Some(seal) = seal.filter(|seal| *seal != Seal::UNDONE) else { return Ok(None) };
        let storage = way.load.storage.as_ref();
        for later in LATER.map(of) {
            let area = WorkArea::new(way.work_prefix, &later);
            if ledger.seal(&later).await.map_err(CliError::Table)?.is_some()
                || storage.exists(&area.job()).await.map_err(CliError::WorkArea)?
            {
                return Ok(None);
            }
        }
        let area = WorkArea::new(way.work_prefix, &job_id);
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
            && (way.is_as_asked)(&job)
            && ledger.missing(&job_id, chunks).await.map_err(CliError::Table)?.is_empty();
        let outcome = SplitOutcome { job, area, manifest, was_split_before: true, receipt: Some(receipt.clone()) };
        Ok(is_done.then_some((outcome, receipt)))
    }

    /// A document; none, too, where it cannot be understood: the whole way says what is wrong with it.
    async fn read<T: DeserializeOwned>(&self, at: &Location, what: &'static str) -> Result<Option<T>, CliError> {
        match try_get_json(self.way.load.storage.as_ref(), at, what).await {
            Err(StorageError::Malformed { .. }) => Ok(None),
            read => read.map_err(CliError::WorkArea),
        }
    }
}
