//! Sources that their table cannot take, refused before they are split.

use async_trait::async_trait;
use shared::{Drops, Format, Job, JobId, Location, OnReplace, Seal, SourceObject, TableFit, WorkArea, try_get_json};
use splitter::{BadInput, Examination, Gate, Known, SplitContext, SplitError};
use worker::{LoadContext, LoadError, Refusal, Shaping, TableStore, Tables};

use crate::error::CliError;

/// What may help where nothing better is known.
const HINT: &str =
    "`sluice plan SOURCE --table TABLE` shows the columns; SQL gives them other names and types, or leaves them out";

/// Earlier drops of a Parquet source that are looked at, the latest first.
const COMPARED: usize = 16;

/// Whether a table takes the columns of a source.
#[derive(Debug)]
pub(crate) struct TableGate {
    load: LoadContext,
    table: Location,
    work_prefix: Location,
    known: Known,
    /// Whether sources that change the columns of the table are to come later, alone.
    has_others: bool,
}

impl TableGate {
    /// For sources that are split like this, and bound for `table`, one of the tables that the process keeps.
    pub(crate) fn new(split: &SplitContext, tables: Tables, table: Location) -> Self {
        let load = LoadContext::new(split.storage.clone(), split.settings.clone(), TableStore::from_env());
        let load = LoadContext { tables, ..load };
        let (work_prefix, known) = (split.work_prefix.clone(), split.known.clone());
        Self { load, table, work_prefix, known, has_others: false }
    }

    /// The same for a source beside which others are looked at. One that would make the table, or add columns to it, is put off: each of
    /// the others would be read by types of its own for the same columns, and which of them the table gets would be left to chance.
    pub(crate) fn among_others(self) -> Self {
        Self { has_others: true, ..self }
    }

    /// Tells of SQL that cannot be run on the chunks of a source, before a job is pinned that would keep it.
    async fn check_sql(&self, shaping: &Shaping, found: &Examination) -> Result<(), SplitError> {
        let checked = worker::check_sql_for_table(&self.load, &self.table, shaping, &found.schema).await;
        let checked = checked.map_err(unknown)?;
        checked.map_or(Ok(()), |reason| Err(SplitError::Gate(Box::new(BadSql(reason)))))
    }

    /// The drops whose rows are to go when those of this source come, with the replays of what they rejected.
    async fn replaced(&self, source: &Location) -> Result<Vec<JobId>, SplitError> {
        if self.load.settings.load.on_replace == OnReplace::Append {
            return Ok(Vec::new());
        }
        let (storage, mut jobs) = (self.load.storage.as_ref(), Vec::new());
        let destination = self.known.named_for.as_ref().unwrap_or(&self.table);
        for name in self.known.dropped_as.iter().chain([source]) {
            let drops = Drops::new(&self.work_prefix, name, destination);
            let of_name = drops.all(storage).await.map_err(SplitError::WorkArea)?;
            jobs.extend(drops.with_replays(storage, of_name).await.map_err(SplitError::WorkArea)?);
        }
        Ok(jobs)
    }
}

impl TableGate {
    /// Tells of an earlier drop in the table that a Parquet source may be the same as: of these, the content is not compared.
    async fn warn_of_same(&self, found: &Examination) -> Result<(), SplitError> {
        let Self { load, table, known, work_prefix, .. } = self;
        let is_parquet = matches!(found.policy.format, Format::Parquet { .. });
        if !is_parquet || known.is_again || load.settings.load.on_replace == OnReplace::Replace {
            return Ok(());
        }
        let (storage, destination) = (load.storage.as_ref(), known.named_for.as_ref().unwrap_or(table));
        let name = known.dropped_as.as_ref().unwrap_or(&found.source.uri);
        let drops = Drops::new(work_prefix, name, destination).all(storage).await.map_err(SplitError::WorkArea)?;
        for job_id in drops.iter().rev().take(COMPARED) {
            let area = WorkArea::new(work_prefix, job_id);
            let job: Option<Job> = try_get_json(storage, &area.job(), "job").await.map_err(SplitError::WorkArea)?;
            if job.is_none_or(|job| job.source.size != found.source.size) {
                continue;
            }
            let seal = worker::has_job(load, table, job_id).await.map_err(unknown)?;
            if seal.is_some_and(|seal| seal != Seal::UNDONE) {
                tracing::warn!(
                    source = %found.source.uri,
                    job = %job_id,
                    "an earlier drop of this name and size is in the table: if only the time of the file changed, its rows come twice, \
                     and `sluice undo` of this job takes the earlier ones out"
                );
                break;
            }
        }
        Ok(())
    }
}

/// A source that is put off until it is alone.
#[derive(Debug, thiserror::Error)]
#[error("it changes the columns of the table")]
struct PutOff;

/// Whether an error says that a source was put off, and nothing was done with it.
pub(crate) fn is_put_off(error: &CliError) -> bool {
    matches!(error, CliError::Split(SplitError::Gate(by)) if by.is::<PutOff>())
}

/// Why SQL cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("the SQL cannot be run: {0}")]
struct BadSql(String);

/// Why expectations cannot be judged.
#[derive(Debug, thiserror::Error)]
#[error("the expectations of the contract cannot be judged: {0}")]
struct BadExpectations(String);

/// Why a source is not split: for SQL and expectations, that is not the source.
pub(crate) fn not_split(error: SplitError) -> CliError {
    match &error {
        SplitError::Gate(by) => match (by.downcast_ref(), by.downcast_ref()) {
            (Some(BadSql(reason)), _) => CliError::Sql(reason.clone()),
            (_, Some(BadExpectations(reason))) => CliError::Expectations(reason.clone()),
            (None, None) => CliError::Split(error),
        },
        _ => CliError::Split(error),
    }
}

fn unknown(error: LoadError) -> SplitError {
    SplitError::Gate(Box::new(error))
}

/// What rows of a source are to become, with the look-ups that SQL names.
pub(crate) async fn shaping(load: &LoadContext, source: &SourceObject) -> Result<Shaping, SplitError> {
    let shaping = Shaping::of_settings(&load.settings, source);
    worker::with_lookups(load, &shaping).await.map_err(|error| match error {
        LoadError::Lookup(error) => SplitError::Lookup(error),
        error => unknown(error),
    })
}

#[async_trait]
impl Gate for TableGate {
    async fn admit(&self, found: &Examination) -> Result<Option<TableFit>, SplitError> {
        // Of nothing no table is made.
        if found.is_empty {
            return Ok(None);
        }
        let Self { load, table, .. } = self;
        let shaping = &shaping(load, &found.source).await?;
        let partition_by = &load.settings.load.partition_by;
        if !shaping.is_none() {
            self.check_sql(shaping, found).await?;
        }
        if let Some(expectations) = load.settings.expectations() {
            worker::try_expectations(&expectations, shaping, &found.schema, &[])
                .map_err(|reason| SplitError::Gate(Box::new(BadExpectations(reason))))?;
        }
        let checked = worker::check_columns(load, table, &found.schema, shaping, partition_by).await;
        let refused = |refusal: &Refusal| refused(found, &format!("it does not fit table {table}"), refusal);
        let fit = checked.map_err(unknown)?.map_err(|refusal| refused(&refusal))?;
        if self.has_others && (fit.is_new || !fit.added.is_empty()) {
            return Err(SplitError::Gate(Box::new(PutOff)));
        }
        let replaced = self.replaced(&found.source.uri).await?;
        if let Some(refusal) = worker::check_replacement(load, table, &replaced).await.map_err(unknown)? {
            return Err(refused(&refusal));
        }
        self.warn_of_same(found).await?;
        Ok(Some(fit).filter(|fit| fit.after_sql))
    }
}

/// Refuses a source of which no new table can be made.
pub(crate) fn refuse_new(found: &Examination, refusal: Option<Refusal>) -> Result<(), CliError> {
    let refused = refusal.map(|refusal| CliError::Split(refused(found, "no table can be made of it", &refusal)));
    refused.map_or(Ok(()), Err)
}

fn refused(found: &Examination, what: &str, refusal: &Refusal) -> SplitError {
    let reason = format!("{what}: {}", refusal.reason);
    let (at, hint) = (found.source.uri.clone(), refusal.hint.unwrap_or(HINT));
    BadInput { at, byte: None, record: None, column: None, reason, hint }.into()
}
