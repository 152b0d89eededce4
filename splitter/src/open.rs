//! Which job is this, and how is its source written: read from `job.json`, or found out and pinned there.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use shared::{
    Column, CommitMode, CsvPolicy, Drops, Format, Infer, Job, JobId, LoadPolicy, Location, OnReplace, Policy, PutMode,
    Settings, SourceObject, Storage, StorageError, TextPolicy, WorkArea, put_json, try_get_json,
};

use crate::error::SplitError;
use crate::infer::{Evidence, observe};
use crate::names::column_names;
use crate::records::behind_first_line_end;
use crate::row_groups::ParquetSource;
use crate::sample::{self, HEAD_BYTES, Sample};
use crate::split::{SplitContext, blocks};
use crate::text::Start;
use crate::{header, schema, table_schema, value};

/// Most text bytes of a block. What a core holds is several times as much: text, columns and what is being encoded.
const BLOCK_BYTES: u64 = 4 << 20;

/// Blocks that a chunk has room for, at least, so that little of it is left unused.
const BLOCKS_IN_CHUNK: u64 = 8;

/// The job for a source, as it was pinned when the job was first seen, or as it is pinned now.
pub(crate) async fn open(
    context: &SplitContext,
    source: &SourceObject,
    destination: &Location,
) -> Result<(Job, WorkArea), SplitError> {
    let storage = context.storage.as_ref();
    let mut latest = None;
    let mut generation = 1;
    loop {
        let area = WorkArea::new(&context.work_prefix, &JobId::derive(source, destination, generation));
        match try_get_json::<Job>(storage, &area.job(), "job").await.map_err(SplitError::WorkArea)? {
            Some(job) => latest = Some((job, area)),
            None => break,
        }
        generation += 1;
    }
    let drops = Drops::new(&context.work_prefix, &source.uri, destination);
    if let Some((job, area)) = latest
        && !begins_anew(context, &drops, &job, &area).await.map_err(SplitError::WorkArea)?
    {
        return Ok((job, area));
    }
    let policy = policy(context, source).await?;
    let drop = match &context.table {
        Some(_) => {
            let number = drops.number(storage, &JobId::derive(source, destination, generation)).await;
            Some(number.map_err(SplitError::WorkArea)?)
        }
        None => None,
    };
    let load = load_policy(&context.settings);
    let job = Job::new(source.clone(), destination, generation, context.table.clone(), policy, load);
    let job = Job { drop, ..job };
    let area = WorkArea::new(&context.work_prefix, &job.job_id);
    match put_json(storage, &area.job(), &job, PutMode::IfAbsent).await {
        Ok(()) => Ok((job, area)),
        // Another attempt was quicker: its policy is the job's.
        Err(StorageError::AlreadyExists { .. }) => {
            let job = shared::get_json(storage, &area.job(), "job").await.map_err(SplitError::WorkArea)?;
            Ok((job, area))
        }
        Err(error) => Err(SplitError::WorkArea(error)),
    }
}

fn load_policy(settings: &Settings) -> LoadPolicy {
    let (sql, partition_by) = (settings.sql.clone(), settings.partition_by.clone());
    // To take the place of other rows takes all of the file at once.
    let commit = match settings.on_replace {
        OnReplace::Append => settings.commit_mode,
        OnReplace::Replace => CommitMode::File,
    };
    LoadPolicy { sql, partition_by, commit, on_replace: settings.on_replace }
}

/// Whether a drop that was seen before is another job this time: because that is wanted, or because a later drop of other content
/// has taken its place, and now lies there no more.
async fn begins_anew(context: &SplitContext, drops: &Drops, job: &Job, area: &WorkArea) -> Result<bool, StorageError> {
    let storage = context.storage.as_ref();
    if context.again {
        return Ok(!is_under_way(storage, area).await?);
    }
    match context.settings.on_replace {
        OnReplace::Append => Ok(false),
        OnReplace::Replace => Ok(drops.all(storage).await?.last().is_some_and(|last| *last != job.job_id)),
    }
}

/// Whether some of a job is in its table, and not all of it: then it is gone on with, and not begun anew beside it.
async fn is_under_way(storage: &dyn Storage, area: &WorkArea) -> Result<bool, StorageError> {
    for end in [area.receipt(), area.undone()] {
        match storage.stat(&end).await {
            Ok(_) => return Ok(false),
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(!storage.list(&area.loaded()).await?.is_empty())
}

async fn policy(context: &SplitContext, source: &SourceObject) -> Result<Policy, SplitError> {
    let settings = &context.settings;
    let mut policy = Policy {
        chunk_bytes: settings.chunk_bytes,
        block_bytes: (settings.chunk_bytes / BLOCKS_IN_CHUNK).clamp(1, BLOCK_BYTES),
        max_record_bytes: settings.max_record_bytes,
        codec: settings.chunk_codec.clone(),
        bad_records: settings.bad_records,
        text: TextPolicy::default(),
        format: Format::Parquet { column_names: Vec::new() },
    };
    let head = context.storage.get_range(&source.uri, &source.version, 0..HEAD_BYTES.min(source.size)).await;
    let head = head.map_err(SplitError::Source)?;
    // A header of a CSV may begin with these letters too, but has no NUL byte.
    if head.starts_with(b"PAR1") && memchr::memchr(0, &head).is_some() {
        let parquet = ParquetSource::open(context, source).await?;
        let names = parquet.column_names();
        let names = column_names(names.iter().map(String::as_str), settings.column_names);
        policy.format = Format::Parquet { column_names: names };
        return Ok(policy);
    }
    let (text, sample) = sample::take(context, source, head).await?;
    policy.text = text;
    let header = header::read(&source.uri, &sample.head, sample.is_whole, &settings.csv)?;
    let names = column_names(header.names.iter().map(String::as_str), settings.column_names);
    let default_words = || value::NULL_WORDS.iter().map(|word| (*word).to_owned()).collect();
    let mut csv = CsvPolicy {
        dialect: header.dialect,
        data_start: header.data_start,
        columns: header.names.into_iter().zip(names).map(|(source, name)| Column::of_text(source, name)).collect(),
        null_words: settings.null_words.clone().unwrap_or_else(default_words),
    };
    let evidence = match settings.infer {
        Infer::None => None,
        Infer::Sample => Some(from_samples(&csv, &sample)),
        Infer::Full => Some(from_all(context, source, &policy, &csv).await?),
    };
    let evidence = evidence.unwrap_or_else(|| vec![Evidence::of_text(); csv.columns.len()]);
    // With SQL in between, a column of the table need not be the source's column of that name.
    let table = match &context.table {
        Some(table) if settings.sql.is_none() => table_schema::columns(&context.storage, table).await?,
        _ => Vec::new(),
    };
    schema::settle(&source.uri, &mut csv.columns, &evidence, settings, &table)?;
    policy.format = Format::Csv(csv);
    Ok(policy)
}

/// Evidence from the head of the file and from samples that are spread over the rest.
fn from_samples(csv: &CsvPolicy, sample: &Sample) -> Vec<Evidence> {
    let data_start = usize::try_from(csv.data_start).unwrap_or(usize::MAX);
    let mut evidence = observe(sample.head.get(data_start..).unwrap_or_default(), csv, !sample.is_whole, false);
    for more in &sample.spread {
        let text = behind_first_line_end(&more.text, &csv.dialect);
        merge(&mut evidence, &observe(text, csv, more.ends_open, true));
    }
    evidence
}

/// Evidence from every record.
async fn from_all(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
    csv: &CsvPolicy,
) -> Result<Vec<Evidence>, SplitError> {
    let start = Start { from: csv.data_start, restart: None };
    let blocks = blocks(context, source, policy, csv, start, &Arc::default());
    let observed = blocks.map(|block| async {
        let ((block, _), csv) = (block?, csv.clone());
        let observed = tokio::task::spawn_blocking(move || observe(&block.text, &csv, false, false));
        observed.await.map_err(|error| SplitError::internal(&source.uri, error))
    });
    let evidence = vec![Evidence::default(); csv.columns.len()];
    observed
        .buffered(context.threads)
        .try_fold(evidence, |mut evidence, more| async move {
            merge(&mut evidence, &more);
            Ok(evidence)
        })
        .await
}

fn merge(evidence: &mut [Evidence], more: &[Evidence]) {
    for (evidence, more) in evidence.iter_mut().zip(more) {
        evidence.merge(more);
    }
}
