//! What a table has of jobs: by the transactions of its log, and by the data files of its latest version.

use std::collections::HashSet;

use serde::Serialize;
use shared::{JobId, Location, Seal};

use crate::LoadContext;
use crate::error::LoadError;
use crate::head::Head;
use crate::load::open;
use crate::route::{NAME, job_app_id};
use crate::undo::has_files;
use crate::undo::history::{Fate, History, Removal, chunk_of, is_of};

/// A table that is asked what it has of jobs, as it was when it was opened.
#[derive(Debug)]
pub struct Ledger {
    head: Head,
}

/// What a table has of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Version of the table that was looked at.
    pub table_version: u64,
    /// Data files of the job that are in the table as they were added, or as Sluice merged them.
    pub files: u64,
    /// Their rows, with those that others arranged anew; none where the log does not tell.
    pub rows: Option<u64>,
    /// What others took out of it; none when all is there, or when nothing tells.
    pub taken_out: Option<TakenOut>,
}

/// What others took out of what a job added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenOut {
    /// Data files that are gone.
    pub files: u64,
    /// All that the job added.
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
}

impl Ledger {
    /// Opens a table, without making its directory; none when there is no table.
    pub async fn open(context: &LoadContext, table: &Location) -> Result<Option<Self>, LoadError> {
        let head = open(context, table).await?;
        Ok(head.filter(|head| head.state().is_some()).map(|head| Self { head }))
    }

    /// The seal of a job, [`Seal::UNDONE`] when it was undone; none when no chunk of it is in the table.
    pub async fn seal(&self, job: &JobId) -> Result<Option<Seal>, LoadError> {
        Ok(self.head.transaction(&job_app_id(job)).await?.map(Seal))
    }

    /// Which of a job's chunks no transaction is there of.
    pub async fn missing(&self, job: &JobId, chunks: impl IntoIterator<Item = u32>) -> Result<Vec<u32>, LoadError> {
        let mut missing = Vec::new();
        for chunk in chunks {
            if self.head.transaction(&format!("{}/{chunk}", job_app_id(job))).await?.is_none() {
                missing.push(chunk);
            }
        }
        Ok(missing)
    }

    /// Whether files in the table say that they are a job's.
    pub fn has_files(&self, job: &JobId) -> bool {
        has_files(&self.head, job)
    }

    /// The URIs under which Sluice has loaded the table, as they were written then, the first one first.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.head.transactions_named(NAME);
        names.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// What is there of a job that brought in so many rows, none if that is not known.
    pub async fn holding(&self, job: &JobId, committed: Option<u64>) -> Result<Holding, LoadError> {
        let failed = |error| LoadError::table(self.head.table().uri(), "read the log of", error);
        let version = self.head.version().unwrap_or_default();
        let (mut active, mut tagged) = (HashSet::new(), HashSet::new());
        let (mut rows, mut deleted) = (Some(0_u64), false);
        for view in self.head.state().iter().flat_map(|state| state.log_data().iter().collect::<Vec<_>>()) {
            #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
            let add = view.add_action();
            if chunk_of(&add).is_some_and(|chunk| is_of(chunk, job)) {
                let gone = view.deletion_vector_descriptor().map_or(0, |deleted| deleted.cardinality);
                deleted |= gone > 0;
                let of_file = view.num_records().and_then(|rows| u64::try_from(rows).ok());
                let of_file = of_file.map(|rows| rows.saturating_sub(u64::try_from(gone).unwrap_or_default()));
                rows = rows.zip(of_file).map(|(all, one)| all + one);
                tagged.insert(add.path.clone());
            }
            active.insert(add.path);
        }
        let mut holding = Holding {
            table_version: version,
            files: u64::try_from(tagged.len()).unwrap_or_default(),
            rows,
            taken_out: None,
        };
        if rows.is_some() && rows == committed {
            return Ok(holding);
        }
        let history = History::read(&self.head.table().log_store(), version, job).await.map_err(failed)?;
        let (mut taken, mut removals): (u64, Vec<&Removal>) = (0, Vec::new());
        for (path, add) in history.added.iter().filter(|(path, _)| !history.merged.contains(*path)) {
            match history.fate(path, &|path| active.contains(path)) {
                Fate::There if tagged.contains(path) => {}
                Fate::There | Fate::Moved => {
                    let rows = add.get_stats().ok().flatten().and_then(|stats| u64::try_from(stats.num_records).ok());
                    holding.rows = holding.rows.zip(rows).map(|(all, one)| all + one);
                    holding.files += u64::from(active.contains(path));
                }
                Fate::TakenOut(removal) => {
                    taken += 1;
                    removals.push(removal);
                }
                Fate::Untold => holding.rows = None,
            }
        }
        if deleted {
            // Rows that a deletion vector takes out are gone from files that stay.
            removals.extend(tagged.iter().filter_map(|path| history.removed.get(path)));
        }
        if !history.is_whole {
            holding.rows = None;
        }
        let added = history.added.keys().filter(|path| !history.merged.contains(*path)).count();
        holding.taken_out = removals.iter().max().map(|last| TakenOut {
            files: taken,
            of: u64::try_from(added).unwrap_or_default(),
            version: last.version,
            operation: last.operation.clone(),
            time: last.time,
            by: last.by.clone(),
            may_be_rewritten: removals.iter().any(|removal| removal.rewrote),
        });
        Ok(holding)
    }
}
