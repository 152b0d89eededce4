//! Steps of Sluice that bring no new files: undo, replay, verify, maintain.

use std::path::{Path, PathBuf};

use super::model::{Job, Rows, State, Touched, with};
use super::world::{By, Expected, Finding, World, expect_status};
use crate::support::{Ran, data_files};

/// What loads of replays, undoing and merging are called.
const OPERATIONS: &[&str] = &["WRITE", "DELETE", "OPTIMIZE", "COMPUTE STATISTICS"];

/// Brings in records whose number was written `x17`.
const WITHOUT_X: &str = "select cast(replace(id, 'x', '') as bigint) as id, ratio, amount, big, name, body, flag, day, \
                         at_utc, at_local, region from chunk";

impl World {
    /// A job is taken out; or that is refused, and changes nothing.
    pub(super) fn undo(&mut self, job: &str) -> Result<(), Finding> {
        let known = self.model.jobs[job].clone();
        let before = self.model.rows.clone();
        let after = self.model.without(&[job.to_owned()]);
        let replays = self.model.replays(job);
        let has_replays = replays.iter().any(|replay| self.model.jobs[replay].state == State::Loaded);
        let is_plain = known.touched == Touched::No && !has_replays;
        let ran = self.run_to_its_end(&["undo", job, "--table", "t", "--json"], 12, std::slice::from_ref(&after))?;
        expect_status(&ran, if is_plain { &[0] } else { &[0, 1, 3] })?;
        let states = vec![if ran.status == 0 { after } else { before }];
        self.look(&Expected { by: By::Sluice, states, versions: 0..=1, operations: OPERATIONS })?;
        if ran.status == 0 {
            self.model.undone(&[job.to_owned()]);
        }
        Ok(())
    }

    /// What a job rejected is loaded after all.
    pub(super) fn replay(&mut self, job: &str) -> Result<(), Finding> {
        let bad = self.model.jobs[job].bad.clone();
        let state = self.model.jobs[job].state;
        let is_replayed = self.model.replays(job).iter().any(|replay| self.model.jobs[replay].state == State::Loaded);
        let args = ["quarantine", "replay", job, "--table", "t", "--json", "--schema", "id:text", "--sql", WITHOUT_X];
        let before = self.model.rows.clone();
        if state == State::Undone || is_replayed {
            // Nothing comes in a second time, nor of a job that was undone.
            let ran = self.sluice(&args.map(ToOwned::to_owned), None);
            expect_status(&ran, &[0, 1, 3])?;
            self.look(&Expected { by: By::Sluice, states: vec![before], versions: 0..=0, operations: OPERATIONS })?;
            return Ok(());
        }
        let states = vec![with(&before, &bad)];
        let ran = self.run_to_its_end(&args, 100, &states)?;
        expect_status(&ran, &[0])?;
        self.look(&Expected { by: By::Sluice, states, versions: 0..=2, operations: OPERATIONS })?;
        let replay = ran.json()["job_id"].as_str().unwrap().to_owned();
        self.model.name_new(&replay);
        self.model.loaded(&replay, &[], Some(job));
        Ok(())
    }

    /// The table is compared with a job's receipts.
    pub(super) fn verify(&mut self, job: &str) -> Result<(), Finding> {
        let ran = self.sluice(&["status", job, "--table", "t", "--verify"].map(ToOwned::to_owned), None);
        let Job { touched, state, .. } = self.model.jobs[job].clone();
        let statuses: &[i32] = match (touched, state) {
            (Touched::No, _) => &[0],
            (Touched::Rewritten, State::Loaded) => &[1],
            _ => &[0, 1],
        };
        expect_status(&ran, statuses)?;
        self.unchanged(By::Sluice)
    }

    /// The table is looked after in one way or another.
    pub(super) fn maintain(&mut self) -> Result<(), Finding> {
        let ways: [&[&str]; 10] = [
            &["--checkpoint"],
            &["--checkpoint", "--retention", "1h"],
            &["--checkpoint", "--retention", "1h", "--keep-jobs", "0"],
            &["--compact", "within-jobs", "--compact-after", "0s", "--no-vacuum"],
            &["--compact", "within-jobs", "--compact-after", "0s", "--checkpoint", "--retention", "1h"],
            &["--compact", "across-jobs", "--compact-after", "1h"],
            &["--no-checkpoint", "--no-log", "--no-work-areas"],
            &["--fix-statistics"],
            &["--dry-run", "--checkpoint", "--retention", "1h", "--compact", "across-jobs", "--compact-after", "0s"],
            &[],
        ];
        let way = self.dice.one_of(&ways);
        self.maintain_by(way)
    }

    /// `sluice maintain` with some options: it changes no row.
    pub(super) fn maintain_by(&mut self, way: &[&str]) -> Result<(), Finding> {
        let states = vec![self.model.rows.clone()];
        let ran = self.run_to_its_end(&[&["maintain", "--table", "t", "--json"], way].concat(), 15, &states)?;
        expect_status(&ran, &[0])?;
        let writes = way.contains(&"--compact") || way.contains(&"--fix-statistics");
        let versions = if writes && !way.contains(&"--dry-run") { 0..=200 } else { 0..=0 };
        self.model.versions.clear();
        if way.contains(&"--fix-statistics") {
            self.model.has_wrong_bounds = false;
        }
        self.look(&Expected { by: By::Sluice, states, versions, operations: OPERATIONS })?;
        Ok(())
    }

    /// The same, undisturbed.
    pub(super) fn look_after_all(&mut self) -> Result<(), Finding> {
        let args = ["maintain", "--table", "t", "--json", "--checkpoint", "--retention", "1h", "--keep-jobs", "1"];
        let ran = self.sluice(&args.map(ToOwned::to_owned), None);
        expect_status(&ran, &[0])?;
        self.unchanged(By::Sluice)
    }

    /// Runs a command until it is not killed any more. Killed, it leaves the table as it was or in one of some states.
    fn run_to_its_end(&mut self, args: &[&str], operations: u64, states: &[Rows]) -> Result<Ran, Finding> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let states = [std::slice::from_ref(&self.model.rows), states].concat();
        while self.dice.percent(15) {
            let number = self.dice.between(1, operations);
            let ran = self.sluice(&args, Some(number));
            if ran.status != -1 {
                return Ok(ran);
            }
            self.look(&Expected { by: By::Sluice, states: states.clone(), versions: 0..=200, operations: OPERATIONS })?;
        }
        Ok(self.sluice(&args, None))
    }

    /// Nothing was changed.
    pub(super) fn unchanged(&mut self, by: By) -> Result<(), Finding> {
        let states = vec![self.model.rows.clone()];
        self.look(&Expected { by, states, versions: 0..=0, operations: OPERATIONS })?;
        Ok(())
    }
    /// After all was looked after, there are no files that nobody needs: parts of writes that were killed, data files that
    /// the table does not name.
    pub(super) fn nothing_is_left_over(&self) -> Result<(), Finding> {
        let named: Vec<_> = data_files(&self.place.path("t"));
        let mut left = Vec::new();
        for file in files_below(&self.place.path("t")) {
            let path = file.to_str().unwrap();
            let is_data = path.ends_with(".parquet") && !path.contains("/_");
            if path.contains('#')
                || path.ends_with(".partial")
                || (is_data && !named.iter().any(|known| is_same(known, &file)))
            {
                left.push(path.to_owned());
            }
        }
        if left.is_empty() { Ok(()) } else { Err(format!("left over: {}", left.join("\n  "))) }
    }
}

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Whether two paths have the same name, however their folders are written.
fn is_same(one: &Path, other: &Path) -> bool {
    one.file_name() == other.file_name()
}
