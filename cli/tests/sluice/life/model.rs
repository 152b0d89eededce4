//! What must be in the table: numbers of rows, each with the job that brought it, and what may still be done to a job.

use std::collections::BTreeMap;

/// Numbers of rows, each with the job that brought it; none for a row that others brought.
pub(super) type Rows = Vec<(i64, Option<String>)>;

/// A file that is dropped, by its name: later content takes its place there.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) path: String,
    pub(super) kind: String,
    /// What `sluice ingest` was told beside the file and the table.
    pub(super) options: Vec<String>,
    /// Rows that the content brings, and those that are rejected.
    pub(super) brings: Vec<i64>,
    pub(super) bad: Vec<i64>,
    /// Jobs of this very content; the last counts.
    pub(super) jobs: Vec<String>,
    /// Jobs of earlier content.
    pub(super) earlier: Vec<String>,
    /// Whether its content could not take the place of earlier content, and so may do so at any later attempt.
    pub(super) is_blocked: bool,
    /// Whether the file was touched since it was loaded.
    pub(super) is_touched: bool,
}

impl Slot {
    /// Whether its rows take the place of those that came before under its name.
    pub(super) fn replaces(&self) -> bool {
        self.options.iter().any(|option| option == "--on-replace")
    }

    /// Whether it may be loaded in several chunks, each in a commit of its own.
    pub(super) fn is_large(&self) -> bool {
        self.options.iter().any(|option| option == "--chunk-size-mb")
    }
}

/// The name of a job until it is told.
const NEW: &str = "new";

/// Rows, and those of a job that has no name yet.
pub(super) fn with(rows: &Rows, brings: &[i64]) -> Rows {
    let new = brings.iter().map(|number| (*number, Some(NEW.to_owned())));
    rows.iter().cloned().chain(new).collect()
}

/// Where a job has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Loaded,
    /// By `sluice undo`, or since a later drop took its place.
    Undone,
}

/// What others did to files of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touched {
    /// Nothing: all that is asked of the job is done.
    No,
    /// They deleted rows. Sluice may refuse what is asked or do it, but never half of it.
    Deleted,
    /// They went back to another version, or replaced all rows; as `Deleted`, but nobody wanted these rows to go.
    TakenOut,
    /// They wrote the rows to other files, where they cannot be told from others.
    Rewritten,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) state: State,
    pub(super) touched: Touched,
    pub(super) bad: Vec<i64>,
    /// The job whose rejected records it brought.
    pub(super) replay_of: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: Rows,
    pub(super) jobs: BTreeMap<String, Job>,
    /// Names of jobs as they came: their names alone are others in each folder.
    pub(super) names: Vec<String>,
    pub(super) slots: Vec<Slot>,
    /// Rows of versions that others can go back to.
    pub(super) versions: BTreeMap<u64, Rows>,
    /// Whether others wrote data files, in whose bounds decimals are doubles and NaN is left out.
    pub(super) has_wrong_bounds: bool,
}

impl Model {
    /// Gives the job that had no name yet its name.
    pub(super) fn name_new(&mut self, job: &str) {
        let states = self.versions.values_mut().chain([&mut self.rows]);
        for (_, of) in states.flatten().filter(|(_, of)| of.as_deref() == Some(NEW)) {
            *of = Some(job.to_owned());
        }
    }

    /// The rows without those of some jobs.
    pub(super) fn without(&self, jobs: &[String]) -> Rows {
        let stays = |of: &Option<String>| of.as_ref().is_none_or(|of| !jobs.contains(of));
        self.rows.iter().filter(|(_, of)| stays(of)).cloned().collect()
    }

    /// Notes a job that has its rows in the table.
    pub(super) fn loaded(&mut self, job: &str, bad: &[i64], replay_of: Option<&str>) {
        let known = Job {
            state: State::Loaded,
            touched: Touched::No,
            bad: bad.to_vec(),
            replay_of: replay_of.map(ToOwned::to_owned),
        };
        self.jobs.insert(job.to_owned(), known);
        self.names.push(job.to_owned());
    }

    /// Replays of what a job rejected.
    pub(super) fn replays(&self, job: &str) -> Vec<String> {
        self.jobs_that(|known| known.replay_of.as_deref() == Some(job))
    }

    /// Jobs of a kind, as they came.
    pub(super) fn jobs_that(&self, is_one: impl Fn(&Job) -> bool) -> Vec<String> {
        self.names.iter().filter(|name| is_one(&self.jobs[*name])).cloned().collect()
    }

    /// Notes what others did to files of a job.
    pub(super) fn set_touched(&mut self, job: &str, touched: Touched) {
        if let Some(job) = self.jobs.get_mut(job) {
            job.touched = touched;
        }
    }

    /// Notes that rows which others had written to other files were taken out, perhaps.
    pub(super) fn none_is_rewritten(&mut self) {
        for job in self.jobs.values_mut().filter(|job| job.touched == Touched::Rewritten) {
            job.touched = Touched::TakenOut;
        }
    }

    /// Whether rows of a job are in the table.
    pub(super) fn has_rows_of(&self, job: &str) -> bool {
        self.rows.iter().any(|(_, of)| of.as_deref() == Some(job))
    }

    pub(super) fn undone(&mut self, jobs: &[String]) {
        for job in jobs {
            if let Some(job) = self.jobs.get_mut(job) {
                job.state = State::Undone;
            }
        }
    }

    /// The most that others did to any of some jobs.
    pub(super) fn most_touched<'a>(&self, jobs: impl IntoIterator<Item = &'a String>) -> Touched {
        let touched = jobs.into_iter().filter_map(|job| self.jobs.get(job)).map(|job| job.touched);
        touched.max().unwrap_or(Touched::No)
    }
}

/// Numbers of rows, in order.
pub(super) fn numbers(rows: &Rows) -> Vec<i64> {
    rows.iter().map(|(number, _)| *number).collect()
}
