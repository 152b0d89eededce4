//! Where a chunk goes: its table, its SQL, and the name it is known by in the table.

mod admission;
mod by_route;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::{ChunkIdentity, ChunkTask, Drops, Format, Job, JobId, Location, Storage, Verdict, WorkArea, get_json};

use crate::assign::admission::{Folders, KnownChunks, area_of, check_bare, check_table};
use crate::assign::by_route::KnownRoutes;
use crate::batch::{Answers, ReceivedTask};
use crate::chunk::{AssignedChunk, Origin, Replaced};
use crate::context::LoadContext;
use crate::delta::app_ids::chunk_app_id;
use crate::delta::commit_info::LoadedFrom;
use crate::error::LoadError;
use crate::rows::shaping::Shaping;

/// Finds where the chunks of tasks go; a task of which that is not known is answered and left out.
pub(crate) async fn assign(
    context: &LoadContext,
    tasks: Vec<ReceivedTask>,
    answers: &mut Answers,
) -> Vec<AssignedChunk> {
    let mut jobs = Jobs::default();
    let mut assigned = Vec::new();
    for ReceivedTask { task, messages, receives } in tasks {
        match assign_task(context, &mut jobs, task, &messages).await {
            Ok(chunk) => assigned.push(AssignedChunk { receives: Some(receives), ..chunk }),
            Err(error) => answers.give(&messages, &error.verdict()),
        }
    }
    assigned
}

async fn assign_task(
    context: &LoadContext,
    jobs: &mut Jobs,
    task: ChunkTask,
    messages: &[usize],
) -> Result<AssignedChunk, LoadError> {
    let no_task = |source| LoadError::Message { message: task.s3_object_key.clone(), source };
    let at = task.location().map_err(no_task)?;
    match task.chunk {
        Some(identity) => assign_chunk(context, jobs, at, identity, messages).await,
        None => assign_bare(context, &mut jobs.folders, at, messages).await,
    }
}

async fn assign_chunk(
    context: &LoadContext,
    jobs: &mut Jobs,
    at: Location,
    identity: ChunkIdentity,
    messages: &[usize],
) -> Result<AssignedChunk, LoadError> {
    let area = area_of(&context.settings, &at, &identity)?;
    let storage = context.storage.as_ref();
    jobs.chunks.check(storage, &at, &area, &identity).await?;
    let job = jobs.get(storage, &area).await?.clone();
    if job.job_id != identity.job_id {
        let reason = format!("its task names job {}, its work area is that of job {}", identity.job_id, job.job_id);
        return Err(LoadError::Damaged { chunk: at, reason });
    }
    let table = job.table.clone().map(|table| context.former_uris.present(table));
    match (&job.route, &context.settings.routes, area.root().parent()) {
        (Some(route), Some(_), Some(prefix)) => jobs.routes.check(storage, &at, &prefix, (&job, route)).await?,
        _ => check_table(&context.settings, &at, table.as_ref())?,
    }
    let table = table.or_else(|| context.settings.table.clone());
    Ok(AssignedChunk {
        table: table.ok_or_else(|| LoadError::NoTable { chunk: at.clone() })?,
        from: LoadedFrom { job_id: Some(job.job_id.to_string()), source: job.source.uri.to_string() },
        stat: None,
        app_id: chunk_app_id(&identity),
        shaping: Shaping::of_job(&job, identity.index),
        partition_by: job.load.partition_by.clone(),
        bad_records: job.policy.bad_records,
        expectations: job.load.expectations.clone().map(Arc::new),
        parquet_source: matches!(job.policy.format, Format::Parquet { .. }).then(|| job.source.uri.clone()),
        quarantine: Some(area.load_quarantine(identity.index)),
        messages: messages.to_vec(),
        receives: None,
        step: None,
        origin: Some(Origin {
            identity,
            replaced: replaced(&job, &area),
            replay_of: job.replay_of.clone(),
            instead_of: job.instead_of.clone(),
            area,
            seal: job.seal,
            former_seal: job.former_seal(),
            commit: job.load.commit,
            dropped_at: job.dropped_at,
        }),
        at,
    })
}

fn replaced(job: &Job, area: &WorkArea) -> Option<Replaced> {
    let work_prefix = area.root().parent()?;
    let drops = Drops::replaced_by(&work_prefix, job);
    (!drops.is_empty()).then_some(Replaced { drops, work_prefix })
}

/// A file that the worker's own settings say what to do with. Its name in the table is made of all that tells this object
/// from another, so that a second message about it is known as such, and a file written again is another one.
async fn assign_bare(
    context: &LoadContext,
    folders: &mut Folders,
    at: Location,
    messages: &[usize],
) -> Result<AssignedChunk, LoadError> {
    let settings = &context.settings;
    let table = settings.table.clone().ok_or_else(|| LoadError::NoTable { chunk: at.clone() })?;
    check_bare(context, folders, &at, &table).await?;
    let stat = context.storage.stat(&at).await.map_err(|source| LoadError::reading(&at, source))?;
    let name = digest(&[at.bucket(), at.key(), &stat.version.0, &stat.size.to_string()]);
    let quarantine = |prefix: &Location| WorkArea::new(prefix, &JobId::from(format!("bare-{name}"))).load_quarantine(0);
    Ok(AssignedChunk {
        table,
        origin: None,
        from: LoadedFrom { job_id: None, source: at.to_string() },
        stat: Some(stat),
        shaping: Shaping::of_bare(settings, at.to_string()),
        partition_by: settings.load.partition_by.clone(),
        bad_records: settings.read.bad_records,
        expectations: None,
        parquet_source: Some(at.clone()),
        quarantine: settings.work_prefix.as_ref().map(quarantine),
        app_id: format!("sluice/{name}"),
        messages: messages.to_vec(),
        receives: None,
        step: None,
        at,
    })
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // The length first, so that no two lists of parts read the same.
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

/// The jobs of one call, each read once.
#[derive(Debug, Default)]
struct Jobs {
    read: HashMap<Location, Job>,
    chunks: KnownChunks,
    routes: KnownRoutes,
    folders: Folders,
}

impl Jobs {
    async fn get(&mut self, storage: &dyn Storage, area: &WorkArea) -> Result<&Job, LoadError> {
        let at = area.job();
        if !self.read.contains_key(&at) {
            let job = get_json(storage, &at, "job").await.map_err(|source| LoadError::reading(&at, source))?;
            self.read.insert(at.clone(), job);
        }
        self.read.get(&at).ok_or_else(|| LoadError::Bug { what: at.to_string(), reason: "a job was lost".to_owned() })
    }
}

/// The chunks of each table, in the order in which the tables first came up. Of two work areas with the same job, one has to
/// wait until the table says whose cut it has.
pub(crate) fn by_table(chunks: Vec<AssignedChunk>, answers: &mut Answers) -> Vec<(Location, Vec<AssignedChunk>)> {
    let mut tables: Vec<(Location, Vec<AssignedChunk>)> = Vec::new();
    for chunk in chunks {
        let Some((_, known)) = tables.iter_mut().find(|(table, _)| *table == chunk.table) else {
            tables.push((chunk.table.clone(), vec![chunk]));
            continue;
        };
        match known.iter_mut().find(|known| known.app_id == chunk.app_id) {
            Some(same) if same.at == chunk.at => same.messages.extend(chunk.messages),
            Some(same) => {
                let reason = format!("{} is the same chunk of the same job, and is loaded first", same.at);
                let again = Verdict::Retry { reason, after: Duration::from_secs(1), most_receives: None };
                answers.give(&chunk.messages, &again);
            }
            None => known.push(chunk),
        }
    }
    tables
}
