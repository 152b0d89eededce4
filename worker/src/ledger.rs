//! What a table has of jobs: by the transactions of its log, and by the data files of its latest version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake::kernel::LogicalFileView;
use serde::Serialize;
use shared::{JobId, Location, Seal};

use crate::commit::tables::TableHandle;
use crate::context::{LoadContext, is_absent};
use crate::delta::app_ids::{NAME, job_app_id};
use crate::delta::snapshot::TableSnapshot;
use crate::delta::table::Table;
use crate::delta::table_store::TableStore;
use crate::delta::tags::{chunk_of, is_of, job_of};
use crate::error::LoadError;
use crate::undo::files::has_files;
use crate::undo::history::{FileState, History, Removal};

/// A table that is asked what it has of jobs: what its log says, as it was when it was asked for; its files, as they are then.
#[derive(Debug)]
pub struct Ledger {
    snapshot: TableSnapshot,
    handle: Arc<TableHandle>,
    store: TableStore,
}

/// Rows that the files of a table's latest version have of each job, by its application id; none where a file does not say. What a
/// deletion vector takes out does not count.
#[derive(Debug, Default)]
pub struct Rows(HashMap<String, Option<u64>>);

impl Rows {
    /// Rows of a job; none where that is not known.
    pub fn of(&self, job: &JobId) -> Option<u64> {
        self.0.get(&job_app_id(job)).copied().unwrap_or(Some(0))
    }
}

/// What a table has of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Version of the table that was looked at.
    pub table_version: u64,
    /// Data files of the job that are in the table as they were added, or as Sluice merged them.
    pub files: u64,
    /// Their rows, with those that others rewrote; none where the log does not tell.
    pub rows: Option<u64>,
    /// What others took out of it; none when all is there, or when nothing tells.
    pub taken_out: Option<TakenOut>,
}

/// What others took out of what a job added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenOut {
    /// Data files that are gone; zero where the log does not reach back to when they were added.
    pub files: u64,
    /// All that the job added; zero likewise.
    pub of: u64,
    /// The last version that removed some.
    pub version: u64,
    /// What its writer calls it.
    pub operation: String,
    /// When it was made, in milliseconds since 1970, where its writer says.
    pub time: Option<i64>,
    /// By whom or what, where its writer says.
    pub by: Option<String>,
    /// Whether rows of these files may have been written back to others.
    pub may_be_rewritten: bool,
    /// Whether one of these versions put something else in the place of the whole table, as RESTORE or an overwrite does: then it was
    /// not about these rows, as a DELETE is.
    pub is_replaced: bool,
}

impl Ledger {
    /// Opens a table, without making its directory; none when there is no table.
    pub async fn open(context: &LoadContext, table: &Location) -> Result<Option<Self>, LoadError> {
        let snapshot = context.head(table).await?.filter(|snapshot| snapshot.state().is_some());
        let (handle, store) = (context.tables.handle(table), context.table_store.clone());
        Ok(snapshot.map(|snapshot| Self { snapshot, handle, store }))
    }

    /// The table with its files, which what this process keeps of it lacks.
    async fn with_files(&self) -> Result<TableSnapshot, LoadError> {
        TableSnapshot::open(self.snapshot.table().uri(), &self.store).await
    }

    async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LoadError> {
        // It may lean on a checkpoint that is cleaned up by now.
        self.snapshot.transaction(app_id).await.inspect_err(|_| self.handle.forget())
    }

    /// Columns of the table, as its log writes them.
    pub fn schema(&self) -> Option<String> {
        serde_json::to_string(&self.snapshot.state()?.schema()).ok()
    }

    /// Rows that the table has of each job.
    pub async fn rows(&self) -> Result<Rows, LoadError> {
        let snapshot = self.with_files().await?;
        let mut rows = Rows::default();
        let Some(state) = snapshot.state() else { return Ok(rows) };
        for view in state.log_data().iter() {
            #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
            let add = view.add_action();
            let Some(job) = chunk_of(&add).and_then(job_of) else { continue };
            let known = rows.0.entry(job.to_owned()).or_insert(Some(0));
            *known = known.zip(rows_of(&view)).map(|(all, one)| all + one);
        }
        Ok(rows)
    }

    /// The seal of a job, [`Seal::UNDONE`] when it was undone; none when no chunk of it is in the table.
    pub async fn seal(&self, job: &JobId) -> Result<Option<Seal>, LoadError> {
        Ok(self.transaction(&job_app_id(job)).await?.map(Seal))
    }

    /// Which of a job's chunks no transaction is there of.
    pub async fn missing(&self, job: &JobId, chunks: impl IntoIterator<Item = u32>) -> Result<Vec<u32>, LoadError> {
        let mut missing = Vec::new();
        for chunk in chunks {
            if self.transaction(&format!("{}/{chunk}", job_app_id(job))).await?.is_none() {
                missing.push(chunk);
            }
        }
        Ok(missing)
    }

    /// Whether files in the table say that they are a job's.
    pub async fn has_files(&self, job: &JobId) -> Result<bool, LoadError> {
        Ok(has_files(&self.with_files().await?, job))
    }

    /// The URIs under which Sluice has loaded the table, as they were written then, the first one first.
    pub async fn names(&self) -> Result<Vec<String>, LoadError> {
        let mut names: Vec<(i64, String)> =
            self.snapshot.transactions_named(NAME).await?.into_iter().map(|(name, number)| (number, name)).collect();
        names.sort();
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    /// What is there of a job that brought in so many rows, none if that is not known.
    pub async fn holding(&self, job: &JobId, committed: Option<u64>) -> Result<Holding, LoadError> {
        let snapshot = self.with_files().await?;
        let table_version = snapshot.version().unwrap_or_default();
        let files = Files::of(&snapshot, job);
        let rows = files.rows;
        let mut holding = Holding {
            table_version,
            files: u64::try_from(files.tagged.len()).unwrap_or_default(),
            rows,
            taken_out: None,
        };
        if rows.is_none() || rows != committed {
            let history = History::read(&snapshot.table().log_store(), table_version, job).await;
            let history =
                history.map_err(|error| LoadError::table(snapshot.table().uri(), "read the log of", error))?;
            holding.complete(&files, &history);
        }
        Ok(holding)
    }
}

/// Data files of a table's latest version.
#[derive(Debug)]
struct Files {
    /// Paths of all.
    active: HashSet<String>,
    /// Paths of those that say that they are of the job.
    tagged: HashSet<String>,
    /// Rows of these; none where one does not tell.
    rows: Option<u64>,
    /// Whether a deletion vector takes rows out of one of these.
    is_thinned: bool,
}

impl Files {
    fn of(snapshot: &TableSnapshot, job: &JobId) -> Self {
        let mut files = Self { active: HashSet::new(), tagged: HashSet::new(), rows: Some(0), is_thinned: false };
        let Some(state) = snapshot.state() else { return files };
        for view in state.log_data().iter() {
            #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
            let add = view.add_action();
            if chunk_of(&add).is_some_and(|chunk| is_of(chunk, job)) {
                let deleted = view.deletion_vector_descriptor().map_or(0, |deleted| deleted.cardinality);
                files.is_thinned |= deleted > 0;
                files.rows = files.rows.zip(rows_of(&view)).map(|(all, one)| all + one);
                files.tagged.insert(add.path.clone());
            }
            files.active.insert(add.path);
        }
        files
    }
}

/// Rows of a data file that readers see; none where the log does not tell.
fn rows_of(view: &LogicalFileView) -> Option<u64> {
    let deleted = view.deletion_vector_descriptor().map_or(0, |deleted| deleted.cardinality);
    let rows = view.num_records().and_then(|rows| u64::try_from(rows).ok())?;
    Some(rows.saturating_sub(u64::try_from(deleted).unwrap_or_default()))
}

impl Holding {
    /// Whether the table has all rows that the job brought in, as far as the log tells.
    pub fn is_all(&self, committed: u64) -> bool {
        self.rows == Some(committed) && self.taken_out.is_none()
    }

    /// Whether some of the job's rows are there, or may be: in its own files, or in files that others rewrote.
    pub fn is_left(&self) -> bool {
        self.files > 0 || self.rows != Some(0)
    }

    /// Adds what only the log tells: files that do not say whose they are, and what became of those that are gone.
    fn complete(&mut self, files: &Files, history: &History) {
        let added = || history.added.iter().filter(|(path, _)| !history.merged.contains(*path));
        let file_states = history.file_states(|path| files.active.contains(path));
        let mut removals: Vec<&Removal> = Vec::new();
        for (path, add) in added() {
            match file_states.of(path) {
                FileState::There if files.tagged.contains(path) => {}
                FileState::There | FileState::Moved => {
                    let rows = add.get_stats().ok().flatten().and_then(|stats| u64::try_from(stats.num_records).ok());
                    self.rows = self.rows.zip(rows).map(|(all, one)| all + one);
                    self.files += u64::from(files.active.contains(path));
                }
                FileState::TakenOut(removal) => removals.push(removal),
                FileState::Untold => self.rows = None,
            }
        }
        let gone = u64::try_from(removals.len()).unwrap_or_default();
        let is_gone = !files.active.iter().any(|path| files.tagged.contains(path) || history.may_hold_rows(path));
        if is_gone {
            (self.rows, self.files) = (Some(0), 0);
            removals.extend(&history.overwrite);
        } else if !history.is_whole {
            self.rows = None;
        }
        if files.is_thinned {
            removals.extend(files.tagged.iter().filter_map(|path| history.removed.get(path)));
        }
        self.taken_out = removals.iter().max().map(|last| TakenOut {
            files: gone,
            of: u64::try_from(added().count()).unwrap_or_default(),
            version: last.version,
            operation: last.operation.clone(),
            time: last.time,
            by: last.by.clone(),
            may_be_rewritten: !is_gone && (files.is_thinned || removals.iter().any(|removal| removal.rewrote)),
            is_replaced: removals.iter().any(|removal| removal.replaced),
        });
    }
}

/// Latest version of a table; `None` when there is none.
pub async fn table_version(context: &LoadContext, table: &Location) -> Result<Option<u64>, LoadError> {
    if is_absent(table) { Ok(None) } else { Ok(Table::open(table, &context.table_store).await?.version()) }
}

/// The seal that a table holds of a job, [`Seal::UNDONE`] when it was undone; `None` when no chunk of the job is in the
/// table, or when there is no table.
pub async fn has_job(context: &LoadContext, table: &Location, job: &JobId) -> Result<Option<Seal>, LoadError> {
    match Ledger::open(context, table).await? {
        Some(ledger) => ledger.seal(job).await,
        None => Ok(None),
    }
}
