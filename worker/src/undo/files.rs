//! The files of a table that are a job's, if they are still what the job made them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deltalake::kernel::{Add, LogicalFileView, Remove};
use shared::{ChunkReceipt, JobId, Removed, Storage, WorkArea, get_json};

use crate::delta::app_ids::job_app_id;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::{chunk_of, is_merged, is_of, job_of};
use crate::error::LoadError;
use crate::undo::history::{FileState, History};

/// The files of a job, all in the table as they were added.
#[derive(Debug, Default)]
pub(crate) struct JobFiles {
    pub(crate) removes: Vec<Remove>,
    pub(crate) removed: Removed,
    /// Files that others took out before, with all of their rows.
    pub(crate) taken_out: u64,
    /// Rows of each chunk, by its application id; none when a file does not say.
    rows: BTreeMap<String, Option<u64>>,
}

/// Finds the files that a job added, in the version that `snapshot` is at.
pub(crate) async fn find(
    storage: &dyn Storage,
    snapshot: &TableSnapshot,
    job: &JobId,
    area: &WorkArea,
) -> Result<JobFiles, LoadError> {
    let table = snapshot.table().uri();
    let mingled = |reason| LoadError::Mingled { job: job.clone(), table: table.clone(), reason };
    let failed = |error| LoadError::table(table, "read the log of", error);
    let (Some(state), Some(version)) = (snapshot.state(), snapshot.version()) else {
        return Err(LoadError::Unknown { job: job.clone(), table: table.clone() });
    };
    let history = History::read(&snapshot.table().log_store(), version, job).await.map_err(failed)?;
    if let Some(version) = history.mixed {
        return Err(mingled(format!(
            "version {version} adds files of other jobs too, from before files said which chunk they are made of"
        )));
    }
    // Files of others count, too: the job's rows may be in them.
    let (mut files, mut active) = (JobFiles { removed: NOTHING, ..JobFiles::default() }, BTreeSet::new());
    for view in state.log_data().iter() {
        active.insert(view.path().into_owned());
        let Some(add) = of_job(&view, &history, job) else { continue };
        if view.deletion_vector_descriptor().is_some() && add.deletion_vector.is_none() {
            return Err(mingled(format!("some rows of its file {} were deleted since", add.path)));
        }
        files.take(&view, &add);
    }
    files.taken_out = taken_out(&history, &active).map_err(mingled)?;
    if !history.is_whole {
        let expected = receipts(storage, job, area).await?;
        files.compare(&expected).map_err(mingled)?;
    }
    Ok(files)
}

/// Whether files are in the table that say that they are a job's.
pub(crate) fn has_files(snapshot: &TableSnapshot, job: &JobId) -> bool {
    let Some(state) = snapshot.state() else { return false };
    state.log_data().iter().any(|view| {
        #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
        let add = view.add_action();
        chunk_of(&add).is_some_and(|chunk| is_of(chunk, job))
    })
}

/// Jobs of which files are in the table that say so, by their application ids.
pub(crate) fn jobs_with_files(snapshot: &TableSnapshot) -> HashSet<String> {
    let Some(state) = snapshot.state() else { return HashSet::new() };
    let files = state.log_data();
    let jobs = files.iter().filter_map(|view| {
        #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
        let add = view.add_action();
        chunk_of(&add).and_then(job_of).map(str::to_owned)
    });
    jobs.collect()
}

const NOTHING: Removed = Removed { files: 0, rows: Some(0), bytes: 0 };

/// The file as the job added it, if it did. Where the log does not reach back to the job's first commit, the file itself tells.
fn of_job(view: &LogicalFileView, history: &History, job: &JobId) -> Option<Add> {
    if let Some(add) = history.added.get(view.path().as_ref()) {
        return Some(add.clone());
    }
    if history.is_whole {
        return None;
    }
    #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
    let add = view.add_action();
    chunk_of(&add).is_some_and(|chunk| is_of(chunk, job)).then_some(add)
}

impl JobFiles {
    fn take(&mut self, view: &LogicalFileView, add: &Add) {
        let rows = view.num_records().and_then(|rows| u64::try_from(rows).ok());
        self.removed.files += 1;
        self.removed.rows = sum(self.removed.rows, rows);
        self.removed.bytes += u64::try_from(add.size).unwrap_or_default();
        let of_chunk = self.rows.entry(chunk_of(add).unwrap_or_default().to_owned()).or_insert(Some(0));
        *of_chunk = sum(*of_chunk, rows);
        let (base_row_id, default_row_commit_version) = (add.base_row_id, add.default_row_commit_version);
        let tags = add.tags.clone();
        self.removes.push(Remove { tags, base_row_id, default_row_commit_version, ..view.remove_action(true) });
    }

    /// Compares with the rows of each chunk that has any.
    fn compare(&self, expected: &BTreeMap<String, u64>) -> Result<(), String> {
        const GONE: &str =
            "its first commit is no longer in the log, so the log alone does not show whether all its files are there";
        if expected.is_empty() {
            return Err(format!("{GONE}, and there are no receipts of its chunks, which would show it"));
        }
        if self.rows.keys().any(|chunk| is_merged(chunk)) {
            let (was, rows) = (expected.values().sum(), self.rows.values().copied().fold(Some(0), sum));
            return if rows == Some(was) {
                Ok(())
            } else {
                Err(format!("{GONE}; by its receipts the job has {was} rows, and there are {rows:?}"))
            };
        }
        for chunk in expected.keys().chain(self.rows.keys()) {
            let was = expected.get(chunk).copied().unwrap_or_default();
            match self.rows.get(chunk).copied().unwrap_or(Some(0)) {
                Some(rows) if rows == was => {}
                rows => {
                    let rows = rows.map_or_else(|| "an unknown number".to_owned(), |rows| rows.to_string());
                    return Err(format!("{GONE}; by its receipt chunk {chunk} has {was} rows, and there are {rows}"));
                }
            }
        }
        Ok(())
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one? + other?)
}

/// How many files of the job were taken out of the table by others; the reason where that leaves open in which files its rows are.
fn taken_out(history: &History, active: &BTreeSet<String>) -> Result<u64, String> {
    let added = history.added.keys().filter(|path| !history.merged.contains(*path));
    let file_states = history.file_states(|path| active.contains(path));
    let (mut taken_out, mut gone, mut last) = (0, 0_u64, None);
    for path in added {
        match file_states.of(path) {
            FileState::There => continue,
            FileState::TakenOut(removal) if !removal.rewrote => taken_out += 1,
            FileState::TakenOut(_) | FileState::Moved | FileState::Untold => {
                last = last.max(Some(history.removed.get(path)));
            }
        }
        gone += 1;
    }
    let Some(last) = last else { return Ok(taken_out) };
    let by = last.map_or_else(
        || "a version that is no longer in the log".to_owned(),
        |last| format!("version {} ({})", last.version, last.operation),
    );
    let all = history.added.len();
    Err(format!("{by} rewrote or removed files since, {gone} of the {all} that the job added are gone"))
}

/// Rows that each chunk of the job brought into the table, by its receipt; chunks without rows left out.
async fn receipts(storage: &dyn Storage, job: &JobId, area: &WorkArea) -> Result<BTreeMap<String, u64>, LoadError> {
    let mut rows = BTreeMap::new();
    let listed = storage.list(&area.loaded()).await?.into_iter();
    for listed in listed.filter(|listed| WorkArea::index_of(&listed.location).is_some()) {
        let receipt: ChunkReceipt = get_json(storage, &listed.location, "chunk receipt").await?;
        rows.insert(format!("{}/{}", job_app_id(job), receipt.index), receipt.rows.committed);
    }
    Ok(rows)
}
