//! Undoing a job: one commit that removes exactly the files that its chunks added.
//!
//! The commit is put like those of chunks are: only as the version after the last that was looked at. It breaks the job's
//! seal (see `design.md`), so that no chunk of the job, whenever it is delivered, comes into the table behind it.

pub(crate) mod files;
pub(crate) mod history;

use std::collections::HashMap;

use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::DeltaOperation;
use serde::{Deserialize, Serialize};
use shared::{Backoff, JobId, Location, PutMode, Removed, Seal, Undone, WorkArea, put_json, try_get_json};

use crate::context::LoadContext;
use crate::delta::app_ids::job_app_id;
use crate::delta::commit_error::{Loss, loss};
use crate::delta::commit_info::{Metrics, commit_data, metrics};
use crate::delta::exclusive::require_exclusive;
use crate::delta::log::now;
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;
use crate::verdict::Patience;
use files::{JobFiles, find, has_files};

/// What undoing a job came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undoing {
    /// The job.
    pub job_id: JobId,
    /// The table.
    pub table: Location,
    /// Whether it was undone before.
    pub already_undone: bool,
    /// Whether nothing was changed, since that was asked for.
    pub dry_run: bool,
    /// Version of the table that no longer has the job's rows; none when it was not made, or is no longer in the log.
    pub table_version: Option<u64>,
    /// What was removed, or would be; none when nothing tells any more.
    pub removed: Option<Removed>,
    /// Files of the job that others had taken out of the table before.
    #[serde(skip_serializing_if = "is_zero")]
    pub taken_out_before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Removes what a job added to a table; with `dry_run` says what that would be.
///
/// Safe to repeat, and beside other writers: their appends stay, and a file that one of them has rewritten or removed makes
/// this fail with [`LoadError::Mingled`] and change nothing. `area` is where the job's work area is, if it still is.
pub async fn undo(
    context: &LoadContext,
    table: &Location,
    job: &JobId,
    area: &WorkArea,
    dry_run: bool,
) -> Result<Undoing, LoadError> {
    let mut backoff = Backoff::new(&context.limits());
    let (mut attempts, mut patience) = (0, Patience::default());
    loop {
        let unknown = || LoadError::Unknown { job: job.clone(), table: table.clone() };
        let mut snapshot = context.open(table).await?.ok_or_else(unknown)?;
        let seal = snapshot.transaction(&job_app_id(job)).await?.map(Seal).ok_or_else(unknown)?;
        // Whoever restores an earlier version of the table brings the rows back that were undone, and the seal stays.
        if seal == Seal::UNDONE && !has_files(&snapshot, job) {
            return found_undone(context, &snapshot, job, area, attempts == 0, dry_run).await;
        }
        let files = find(context.storage.as_ref(), &snapshot, job, area).await?;
        if dry_run {
            return Ok(undoing(job, table, None, &files, true));
        }
        require_exclusive(&context.table_store, snapshot.table()).await?;
        attempts += 1;
        let error = match snapshot.put(&commit(&files, job)).await {
            Ok(version) => {
                let undoing = undoing(job, table, Some(version), &files, false);
                note(context, area, &undoing).await?;
                return Ok(undoing);
            }
            Err(error) => {
                let lost = loss(&error);
                let error = LoadError::table(table, "commit to", error);
                if lost == Loss::Refused || lost == Loss::Unknown && !patience.bears(&error) {
                    return Err(error);
                }
                error
            }
        };
        let Some(wait) = backoff.next_wait() else {
            return Err(LoadError::Contention { table: table.clone(), attempts, source: Some(Box::new(error)) });
        };
        tokio::time::sleep(wait).await;
    }
}

fn undoing(job: &JobId, table: &Location, version: Option<u64>, files: &JobFiles, dry_run: bool) -> Undoing {
    let (job_id, table) = (job.clone(), table.clone());
    let (removed, taken_out_before) = (Some(files.removed), files.taken_out);
    Undoing { job_id, table, already_undone: false, dry_run, table_version: version, removed, taken_out_before }
}

/// The version that removes the files. Metrics have the names that other tools know.
fn commit(files: &JobFiles, job: &JobId) -> CommitData {
    let metadata = HashMap::from([metrics(files.removed)]);
    let about = serde_json::json!({ "text": format!("undone: job {job}"), "undone": job });
    let removes = files.removes.iter().cloned().map(Action::Remove).collect();
    let broken = Transaction::new_with_last_update(job_app_id(job), Seal::UNDONE.0, Some(now()));
    commit_data(removes, DeltaOperation::Delete { predicate: None }, about, metadata, vec![broken])
}

/// The job is undone: says so again, and in its work area, where whoever undid it may have come to no more.
async fn found_undone(
    context: &LoadContext,
    snapshot: &TableSnapshot,
    job: &JobId,
    area: &WorkArea,
    already_undone: bool,
    dry_run: bool,
) -> Result<Undoing, LoadError> {
    let table = snapshot.table().uri();
    let noted: Option<Undone> = try_get_json(context.storage.as_ref(), &area.undone(), "note of undoing").await?;
    let (table_version, removed) = match noted {
        Some(noted) => (noted.table_version, noted.removed),
        None => match snapshot.version_with(&job_app_id(job), &[]).await? {
            Some(version) => (Some(version), removed_by(snapshot, version).await?),
            None => (None, None),
        },
    };
    let (job_id, table) = (job.clone(), table.clone());
    let undoing = Undoing { job_id, table, already_undone, dry_run, table_version, removed, taken_out_before: 0 };
    if !dry_run {
        note(context, area, &undoing).await?;
    }
    Ok(undoing)
}

/// What the version says that it removed.
async fn removed_by(snapshot: &TableSnapshot, version: u64) -> Result<Option<Removed>, LoadError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        commit_info: Info,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        operation_metrics: Metrics,
    }
    let entry = snapshot.table().log_store().read_commit_entry(version).await;
    let entry = entry.map_err(|error| LoadError::table(snapshot.table().uri(), "read the log of", error))?;
    let entry = entry.unwrap_or_default();
    let mut lines = entry.split(|byte| *byte == b'\n');
    let metrics = lines.find_map(|line| Some(serde_json::from_slice::<Line>(line).ok()?.commit_info.operation_metrics));
    Ok(metrics.map(|Metrics { files, rows, bytes }| Removed { files, rows, bytes }))
}

/// Notes in the work area that the job is undone; where there is none left, nothing is made.
async fn note(context: &LoadContext, area: &WorkArea, undoing: &Undoing) -> Result<(), LoadError> {
    let storage = context.storage.as_ref();
    if !storage.exists(&area.job()).await? {
        return Ok(());
    }
    let Undoing { job_id, table, table_version, removed, .. } = undoing.clone();
    let undone = Undone { version: 1, job_id, table, table_version, removed, replaced_by: None };
    put_json(storage, &area.undone(), &undone, PutMode::Overwrite).await?;
    Ok(())
}
