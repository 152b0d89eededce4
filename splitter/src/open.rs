//! Which job is this, and how is its source written: read from `job.json`, or found out and pinned there.

mod same_content;

use std::iter;

use shared::{
    CommitMode, CsvPolicy, Drops, Examined, Format, Job, JobId, LoadPolicy, Location, NdjsonPolicy, OnReplace,
    PinnedLookup, PutMode, Seal, Settings, SourceObject, Storage, StorageError, TypeOrigin, WorkArea, get_json,
    now_millis, put_json, try_get_json,
};

use crate::context::SplitContext;
use crate::error::SplitError;
use crate::examine::examine_source;
use crate::open::same_content::same_as_before;

/// The latest generation of the job for a source that a work area has, and the number of the next one, from 1.
pub(crate) async fn latest(
    context: &SplitContext,
    source: &SourceObject,
    destination: &Location,
) -> Result<(Option<(Job, WorkArea)>, u32), StorageError> {
    let mut latest = None;
    let mut generation = 1;
    loop {
        let area = WorkArea::new(&context.work_prefix, &JobId::derive(source, destination, generation));
        match try_get_json::<Job>(context.storage.as_ref(), &area.job(), "job").await? {
            Some(job) => latest = Some((job, area)),
            None => return Ok((latest, generation)),
        }
        generation += 1;
    }
}

/// The job for a source, as it was pinned when the job was first seen, or as it is pinned now.
pub(crate) async fn open(
    context: &SplitContext,
    source: &SourceObject,
    destination: &Location,
) -> Result<(Job, WorkArea), SplitError> {
    let storage = context.storage.as_ref();
    let (latest, generation) = latest(context, source, destination).await.map_err(SplitError::WorkArea)?;
    let dropped_as = context.known.dropped_as.as_ref();
    let drops = Drops::new(&context.work_prefix, dropped_as.unwrap_or(&source.uri), destination);
    if let Some((job, area)) = latest
        && !starts_new_generation(context, &drops, &job).await.map_err(SplitError::WorkArea)?
    {
        if dropped_as.is_some() && context.table.is_some() {
            // The next drop by this link takes its place.
            drops.number(storage, &job.job_id).await.map_err(SplitError::WorkArea)?;
        }
        return Ok((job, area));
    }
    let generation = generation.max(context.known.generation);
    let found = examine_source(context, source).await?;
    let is_known = context.known.is_again || context.known.seal.is_some();
    if generation == 1 && !is_known && context.table.is_some() {
        // As a local file that was only touched, or an object that was uploaded in other parts.
        if let Some(same) = same_as_before(context, source, &drops, &found.policy).await? {
            return Ok(same);
        }
    }
    // What the table has already, it takes.
    let fit = match (&context.gate, context.known.seal) {
        (Some(gate), None) => gate.admit(&found).await?,
        _ => None,
    };
    let (drop, drop_of_target) =
        number(context, source, destination, generation).await.map_err(SplitError::WorkArea)?;
    let lookups = pinned_lookups(storage, &context.settings).await?;
    let load = load_policy(&context.settings, lookups);
    let ingested_at = ingested_at(context, &load);
    let examined = Some(Examined { table: found.examined.table.clone().or(fit), ..found.examined });
    let job = Job::new(source.clone(), destination, generation, context.table.clone(), found.policy, load);
    let job = Job { drop, drop_of_target, examined, ingested_at, ..with_origin(context, job) };
    let job = match context.known.seal {
        Some(seal) if generation == context.known.generation => sealed_as(job, seal),
        _ => job,
    };
    let area = WorkArea::new(&context.work_prefix, &job.job_id);
    let job = pin(storage, &area, job).await.map_err(SplitError::WorkArea)?;
    Ok((job, area))
}

/// A job with what is known of where it comes from.
fn with_origin(context: &SplitContext, job: Job) -> Job {
    let (known, settings) = (&context.known, &context.settings);
    Job {
        route: settings.route.clone(),
        sql_place: settings.load.place.clone(),
        dropped_as: known.dropped_as.as_ref().map(Location::to_string),
        dropped_at: known.dropped_at,
        is_noticed: context.topic.is_some(),
        instead_of: known.instead_of.clone(),
        ..job
    }
}

/// Pins a job in its work area. Where another attempt was quicker, its policy is the job's.
async fn pin(storage: &dyn Storage, area: &WorkArea, job: Job) -> Result<Job, StorageError> {
    match put_json(storage, &area.job(), &job, PutMode::IfAbsent).await {
        Ok(()) => Ok(job),
        Err(StorageError::AlreadyExists { .. }) => get_json(storage, &area.job(), "job").await,
        Err(error) => Err(error),
    }
}

/// The number of a job that is bound for a table among the drops of its source, and, where it came by a link, first that among those
/// of the link.
async fn number(
    context: &SplitContext,
    source: &SourceObject,
    destination: &Location,
    generation: u32,
) -> Result<(Option<u32>, Option<u32>), StorageError> {
    if context.table.is_none() {
        return Ok((None, None));
    }
    let (storage, job) = (context.storage.as_ref(), JobId::derive(source, destination, generation));
    let among = |name: &Location| Drops::new(&context.work_prefix, name, destination);
    let of_source = among(&source.uri).number(storage, &job).await?;
    Ok(match &context.known.dropped_as {
        Some(link) => (Some(among(link).number(storage, &job).await?), Some(of_source)),
        None => (Some(of_source), None),
    })
}

/// The look-ups that SQL names, in the versions that all chunks of a job are to see.
async fn pinned_lookups(storage: &dyn Storage, settings: &Settings) -> Result<Vec<PinnedLookup>, SplitError> {
    let mut pinned = Vec::new();
    for lookup in settings.load.named_lookups() {
        let found = lookup.pin(storage).await;
        pinned.push(found.map_err(|error| error.at(settings.load.place.as_deref()))?);
    }
    Ok(pinned)
}

fn load_policy(settings: &Settings, lookups: Vec<PinnedLookup>) -> LoadPolicy {
    let (sql, partition_by) = (settings.load.sql.clone(), settings.load.partition_by.clone());
    // To take the place of other rows takes all of the file at once.
    let commit = match settings.load.on_replace {
        OnReplace::Append => settings.load.commit_mode,
        OnReplace::Replace => CommitMode::File,
    };
    let expectations = settings.expectations();
    let (on_replace, provenance) = (settings.load.on_replace, settings.load.provenance.clone());
    // No others: the seal of a job whose SQL names none is that which earlier versions gave.
    let is_named = |name: &str| sql.as_ref().is_some_and(|sql| sql.contains(&format!("${name}")));
    let parameters = settings.captures.iter().filter(|(name, _)| is_named(name)).cloned().collect();
    LoadPolicy { sql, partition_by, commit, on_replace, expectations, parameters, provenance, lookups }
}

/// When the source of a new job was dropped, where its rows are to say it.
fn ingested_at(context: &SplitContext, load: &LoadPolicy) -> Option<i64> {
    load.asks_ingested_at().then(|| context.known.dropped_at.unwrap_or_else(now_millis))
}

/// The job as it was pinned before its work area was lost, if there is a way to have that seal. Since then the table gives the types
/// of columns that it did not have before: those of all columns, or of the last ones. Earlier versions took no `INT96` timestamps
/// for instants.
fn sealed_as(job: Job, seal: Seal) -> Job {
    let columns = match &job.policy.format {
        Format::Csv(csv) => csv.columns.len(),
        Format::Ndjson(json) => json.columns.len(),
        Format::Parquet { .. } => 1,
    };
    let with_fewer_types = (0..columns).map(|first| {
        let mut policy = job.policy.clone();
        match &mut policy.format {
            Format::Csv(CsvPolicy { columns, .. }) | Format::Ndjson(NdjsonPolicy { columns, .. }) => {
                for column in columns.iter_mut().skip(first).filter(|column| column.origin == TypeOrigin::Table) {
                    column.origin = TypeOrigin::Inferred;
                }
            }
            Format::Parquet { int96_instants, .. } => *int96_instants = false,
        }
        job.clone().with_policy(policy)
    });
    let candidates = iter::once(job.clone()).chain(with_fewer_types);
    // Earlier versions knew no footers.
    let without_footer = |job: Job| {
        let mut policy = job.policy.clone();
        let Format::Csv(csv) = &mut policy.format else { return None };
        csv.footer_start.take()?;
        Some(job.with_policy(policy))
    };
    let mut found = candidates
        .flat_map(|job| iter::once(job.clone()).chain(without_footer(job)))
        .filter_map(|job| job.sealed_as(seal));
    found.next().unwrap_or(job)
}

/// Whether a drop that was seen before is another job this time: because that is wanted, or because a later drop of other content
/// has taken its place, and now lies there no more.
async fn starts_new_generation(context: &SplitContext, drops: &Drops, job: &Job) -> Result<bool, StorageError> {
    if job.generation < context.known.generation {
        return Ok(true);
    }
    match context.settings.load.on_replace {
        OnReplace::Replace if !context.known.is_again => {
            Ok(drops.all(context.storage.as_ref()).await?.last().is_some_and(|last| *last != job.job_id))
        }
        _ => Ok(false),
    }
}
