//! Steps that bring rows by `sluice ingest`.

use serde_json::json;

use super::model::{Job, Rows, Slot, State, Touched, with};
use super::world::{By, Expected, Finding, World, expect_status};
use crate::support::Ran;

const TEXT: [&str; 3] = ["csv", "csv.gz", "ndjson"];
const PARQUET: [&str; 3] = ["parquet-pyarrow", "parquet-polars", "parquet-duckdb"];

/// File operations of a load, about.
pub(super) const OPERATIONS: u64 = 100;

/// What commits of a load are called.
pub(super) const LOADS: &[&str] = &["CREATE TABLE", "WRITE"];

/// How a life drops files.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    /// Columns that the table is partitioned by.
    pub(super) partition_by: Vec<&'static str>,
    /// Number of the next row, without its last digit.
    pub(super) next_row: i64,
    pub(super) schema: String,
}

impl Habits {
    /// Numbers of new rows, of the kind that only Parquet can have or of the other.
    pub(super) fn new_rows(&mut self, count: u64, from_parquet_alone: bool) -> Vec<i64> {
        let first = self.next_row;
        self.next_row += i64::try_from(count).unwrap();
        (first..self.next_row).map(|row| row * 10 + i64::from(from_parquet_alone)).collect()
    }
}

impl World {
    /// A file comes under a new name, or new content under one that is known.
    pub(super) fn drop_file(&mut self, habits: &mut Habits) -> Result<(), Finding> {
        let known = self.model.slots.len();
        let known_one = self.dice.position(known.max(1));
        let is_known = self.dice.percent(40) && self.model.slots.get(known_one).is_some_and(|slot| !slot.is_blocked);
        let place = if is_known { known_one } else { known };
        let slot = self.new_content(habits, place)?;
        if place == known {
            self.model.slots.push(slot);
        } else {
            self.model.slots[place] = slot;
        }
        self.load(place, false)
    }

    /// `DuckDB` reads the table and writes a Parquet file of it, which is dropped.
    pub(super) fn drop_what_duckdb_read(&mut self) -> Result<(), Finding> {
        let place = self.model.slots.len();
        let path = format!("d{place}");
        let request = json!({"do": "copy_by_duckdb", "table": "t", "path": path, "most": self.dice.between(1, 50)});
        let rows = self.ask(&request)?;
        let brings: Vec<i64> = serde_json::from_value(rows).unwrap();
        let kind = "parquet-duckdb".to_owned();
        let slot = Slot { path, kind, brings, ..Slot::default() };
        self.model.slots.push(slot);
        if self.model.slots[place].brings.is_empty() { Ok(()) } else { self.load(place, false) }
    }

    /// Writes a file, and says how it is to be loaded.
    pub(super) fn new_content(&mut self, habits: &mut Habits, place: usize) -> Result<Slot, Finding> {
        let from_parquet = self.dice.percent(40);
        let kind = self.dice.one_of(if from_parquet { &PARQUET } else { &TEXT });
        let is_large = self.dice.percent(2);
        let count = if is_large { 6000 } else { self.dice.between(1, 60) };
        let rows = habits.new_rows(count, from_parquet);
        let bad = if !from_parquet && self.dice.percent(25) { habits.new_rows(3, false) } else { Vec::new() };
        let path = format!("d{place}");
        self.ask(&json!({"do": "drop", "path": path, "numbers": rows, "kind": kind, "bad": bad}))?;
        let (mut options, mut brings) = (Vec::new(), rows);
        if !habits.partition_by.is_empty() {
            options.extend(["--partition-by".to_owned(), habits.partition_by.join(",")]);
        }
        if is_large {
            options.extend(["--chunk-size-mb", "1"].map(ToOwned::to_owned));
        }
        let has_sql = self.dice.percent(20);
        if has_sql {
            let chosen = self.choose(&brings, By::Sluice)?;
            options.extend(["--sql".to_owned(), format!("select * from chunk where {}", chosen.sql)]);
            brings = chosen.numbers;
        }
        if !from_parquet && (has_sql || !self.has_table() || self.dice.percent(40)) {
            options.extend(["--schema".to_owned(), habits.schema.clone()]);
        }
        for (often, option, value) in
            [(25, "--commit-mode", "file"), (25, "--on-replace", "replace"), (15, "--data-files", "rewritten")]
        {
            if self.dice.percent(often) {
                options.extend([option.to_owned(), value.to_owned()]);
            }
        }
        let earlier = self.model.slots.get(place).map(|slot| [slot.earlier.clone(), slot.jobs.clone()].concat());
        let earlier = earlier.unwrap_or_default();
        Ok(Slot { path, kind: kind.to_owned(), options, brings, bad, earlier, ..Slot::default() })
    }

    /// Loads a file that is not in the table, or is to be once more.
    pub(super) fn load(&mut self, place: usize, again: bool) -> Result<(), Finding> {
        let slot = self.model.slots[place].clone();
        let replaced = if slot.replaces() { self.loaded_jobs(&slot) } else { Vec::new() };
        // Once more beside what is left of the last time would be too much.
        let counts = slot.jobs.last().filter(|_| again).into_iter().chain(&replaced);
        let touched = self.model.most_touched(counts);
        // The rows get the job's name when it is known.
        let after = with(&self.model.without(&replaced), &slot.brings);
        let mut states = vec![self.model.rows.clone()];
        if touched != Touched::Rewritten || !slot.replaces() {
            states.push(after);
        }
        let ran = self.load_to_its_end(&slot, again, &states)?;
        match touched {
            // Of a file that was touched, the content is perhaps known.
            Touched::No => expect_status(&ran, if slot.is_touched && !again { &[0, 3] } else { &[0] })?,
            Touched::Rewritten if slot.replaces() => expect_status(&ran, &[1, 3])?,
            _ => expect_status(&ran, &[0, 1, 3])?,
        }
        if ran.status == 0 {
            states.remove(0);
        } else {
            states.truncate(1);
            self.model.slots[place].is_blocked = ran.status == 1;
        }
        self.look(&Expected { by: By::Sluice, states, versions: 0..=20, operations: LOADS })?;
        if ran.status == 0 { self.note_load(place, &replaced, &ran) } else { Ok(()) }
    }

    /// Runs the command until it is not killed any more.
    fn load_to_its_end(&mut self, slot: &Slot, again: bool, states: &[Rows]) -> Result<Ran, Finding> {
        let mut args = ingest(slot);
        let receipts = self.receipts();
        if again {
            args.push("--again".to_owned());
        }
        while self.dice.percent(15) {
            let number = self.dice.between(1, OPERATIONS);
            let ran = self.sluice(&args, Some(number));
            if ran.status != -1 {
                return Ok(ran);
            }
            // Chunks come one by one: any of them may be there.
            let states = if slot.is_large() { Vec::new() } else { states.to_vec() };
            self.look(&Expected { by: By::Sluice, states, versions: 0..=20, operations: LOADS })?;
            if again && self.receipts() > receipts {
                // It was done, so once more would be another time.
                args.pop();
            }
        }
        Ok(self.sluice(&args, None))
    }

    /// Receipts of jobs.
    fn receipts(&self) -> usize {
        let areas = std::fs::read_dir(self.place.path("t/_sluice")).into_iter().flatten();
        areas.filter(|area| area.as_ref().unwrap().path().join("receipt.json").exists()).count()
    }

    /// Jobs under a name, and replays of what they rejected, that are in the table.
    fn loaded_jobs(&self, slot: &Slot) -> Vec<String> {
        let mut jobs = [slot.earlier.clone(), slot.jobs.clone()].concat();
        let replays: Vec<String> = jobs.iter().flat_map(|job| self.model.replays(job)).collect();
        jobs.extend(replays);
        jobs.retain(|job| self.model.jobs[job].state == State::Loaded || self.model.has_rows_of(job));
        jobs
    }

    /// Notes what a load did, and holds its report against the model.
    pub(super) fn note_load(&mut self, place: usize, replaced: &[String], ran: &Ran) -> Result<(), Finding> {
        let report = ran.json();
        let job = report["job_id"].as_str().unwrap().to_owned();
        let Slot { brings, bad, .. } = self.model.slots[place].clone();
        let counts = (&report["rows"]["committed"], &report["rows"]["quarantined"]);
        let expected = (&json!(brings.len()), &json!(bad.len()));
        if counts != expected {
            return Err(format!("{counts:?} rows committed and quarantined, expected {expected:?}"));
        }
        if self.model.jobs.contains_key(&job) {
            return Err(format!("{job} was in the table before"));
        }
        self.model.name_new(&job);
        self.model.undone(replaced);
        self.model.loaded(&job, &bad, None);
        self.model.slots[place].jobs.push(job);
        Ok(())
    }

    /// Whether a run says that it is not known how many rows of its job there are, as the log does not reach back.
    fn leaves_rows_open(&self, ran: &Ran) -> bool {
        let begins_later = !self.place.path("t/_delta_log/00000000000000000000.json").exists();
        begins_later && ran.json()["holding"].get("rows").is_some_and(serde_json::Value::is_null)
    }

    /// The same command once more, for a file that was perhaps touched.
    pub(super) fn same_again(&mut self, place: usize) -> Result<(), Finding> {
        let slot = self.model.slots[place].clone();
        let Some(job) = slot.jobs.last().cloned() else { return Ok(()) };
        let Job { touched, state, .. } = self.model.jobs[&job].clone();
        if self.model.slots[place].is_touched && state == State::Undone {
            // Another file than the one that was loaded, of content that is in the table no more.
            return self.load(place, false);
        }
        if state == State::Loaded && !slot.kind.starts_with("parquet") && self.dice.percent(30) {
            self.touch(&slot.path);
            self.model.slots[place].is_touched = true;
        }
        let ran = self.sluice(&ingest(&slot), None);
        let states = vec![self.model.rows.clone()];
        self.look(&Expected { by: By::Sluice, states, versions: 0..=0, operations: LOADS })?;
        let is_gone = !slot.brings.is_empty() && !self.model.has_rows_of(&job);
        match (touched, state) {
            (Touched::No, State::Loaded) => expect_status(&ran, &[0]),
            (Touched::No, State::Undone) => expect_status(&ran, &[3]),
            // Without the versions that show it, it cannot be known; then this is said.
            (Touched::TakenOut, _) if is_gone && ran.status == 0 && !self.leaves_rows_open(&ran) => {
                Err(format!("its rows are gone, but: {}", ran.stdout))
            }
            _ => Ok(()),
        }
    }

    /// Makes a file look as if it were written a minute later.
    fn touch(&mut self, path: &str) {
        let file = std::fs::File::open(self.place.path(path)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified + std::time::Duration::from_mins(1)).unwrap();
        self.script.push(format!("touch -d \"$(stat -c %y {path}) + 1 minute\" {path}"));
    }
}

/// The command that loads a file.
pub(super) fn ingest(slot: &Slot) -> Vec<String> {
    let args = ["ingest", &slot.path, "--table", "t", "--json"].map(ToOwned::to_owned);
    args.into_iter().chain(slot.options.iter().cloned()).collect()
}
