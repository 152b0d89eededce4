//! Steps of other programs that write to the table.

use serde_json::{Value, json};

use super::drops::Habits;
use super::model::{Rows, numbers};
use super::world::{By, Expected, Finding, World};

/// What versions of others are called.
const OPERATIONS: &[&str] =
    &["CREATE TABLE", "WRITE", "OPTIMIZE", "DELETE", "UPDATE", "RESTORE", "VACUUM START", "VACUUM END"];

/// A condition that some rows meet.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) sql: String,
    pub(super) numbers: Vec<i64>,
}

impl World {
    /// Chooses a condition that some of these rows meet.
    pub(super) fn choose(&mut self, rows: &[i64], by: By) -> Result<Chosen, Finding> {
        let (near, seed) = (self.model.has_wrong_bounds, self.dice.next() >> 12);
        let by = (by == By::Others).then_some("deltalake");
        let request = json!({"do": "choose", "numbers": rows, "seed": seed, "near": near, "by": by});
        let chosen = self.ask(&request)?;
        let sql = chosen["sql"].as_str().expect("each row has a number, at least").to_owned();
        Ok(Chosen { sql, numbers: serde_json::from_value(chosen["numbers"].clone()).unwrap() })
    }

    /// Others append rows; they make the table if there is none.
    pub(super) fn others_append(&mut self, habits: &mut Habits) -> Result<(), Finding> {
        let (count, is_odd) = (self.dice.between(1, 20), self.dice.percent(50));
        let new = habits.new_rows(count, is_odd);
        let by = self.dice.one_of(&["deltalake", "polars"]);
        let request =
            json!({"do": "append", "table": "t", "numbers": new, "by": by, "partition_by": habits.partition_by});
        let rows = self.model.rows.iter().cloned().chain(of_others(&new)).collect();
        self.others_write(&request, rows)
    }

    /// Others append rows, each in a version of its own.
    pub(super) fn others_append_often(&mut self, habits: &mut Habits, times: u64) -> Result<(), Finding> {
        let new = habits.new_rows(times, false);
        self.model.has_wrong_bounds = true;
        self.ask(&json!({"do": "appends", "table": "t", "number": new[0], "times": times}))?;
        let rows = self.model.rows.iter().cloned().chain(of_others(&new)).collect();
        let often = usize::try_from(times).unwrap();
        self.look(&Expected { by: By::Others, states: vec![rows], versions: often..=often, operations: OPERATIONS })?;
        Ok(())
    }

    /// Others replace all rows by some of their own.
    pub(super) fn others_overwrite(&mut self, habits: &mut Habits) -> Result<(), Finding> {
        let new = habits.new_rows(5, false);
        self.others_write(&json!({"do": "overwrite", "table": "t", "numbers": new}), of_others(&new).collect())
    }

    /// Others write files again, and change no row.
    pub(super) fn others_rewrite(&mut self) -> Result<(), Finding> {
        let rows = self.model.rows.clone();
        let request = match self.dice.below(3) {
            0 => json!({"do": "compact", "table": "t"}),
            1 => json!({"do": "z_order", "table": "t", "by": ["id", "day"]}),
            _ if rows.is_empty() => json!({"do": "compact", "table": "t"}),
            _ => json!({"do": "update", "table": "t", "where": self.choose(&numbers(&rows), By::Others)?.sql}),
        };
        self.others_write(&request, rows)
    }

    /// Others delete rows.
    pub(super) fn others_delete(&mut self) -> Result<(), Finding> {
        if self.model.rows.is_empty() {
            return Ok(());
        }
        let chosen = self.choose(&numbers(&self.model.rows), By::Others)?;
        let stays = |(number, _): &&(i64, _)| !chosen.numbers.contains(number);
        let rows = self.model.rows.iter().filter(stays).cloned().collect();
        self.others_write(&json!({"do": "delete", "table": "t", "where": chosen.sql}), rows)
    }

    /// Others go back to an earlier version.
    pub(super) fn others_restore(&mut self) -> Result<(), Finding> {
        let mut known: Vec<u64> = self.model.versions.keys().copied().collect();
        if known.pop().is_none() || known.is_empty() {
            return Ok(());
        }
        let version = self.dice.one_of(&known);
        let rows = self.model.versions[&version].clone();
        self.ask_and_look(&json!({"do": "restore", "table": "t", "version": version}), rows)
    }

    /// Others look after the table.
    pub(super) fn others_look_after(&mut self) -> Result<(), Finding> {
        let name = self.dice.one_of(&["checkpoint", "checkpoint", "clean_log", "vacuum"]);
        if name != "checkpoint" {
            self.model.versions.clear();
        }
        self.ask_and_look(&json!({"do": name, "table": "t"}), self.model.rows.clone())
    }

    fn others_write(&mut self, request: &Value, rows: Rows) -> Result<(), Finding> {
        self.model.has_wrong_bounds = true;
        self.ask_and_look(request, rows)
    }

    fn ask_and_look(&mut self, request: &Value, rows: Rows) -> Result<(), Finding> {
        self.ask(request)?;
        self.look(&Expected { by: By::Others, states: vec![rows], versions: 0..=2, operations: OPERATIONS })?;
        Ok(())
    }
}

fn of_others(rows: &[i64]) -> impl Iterator<Item = (i64, Option<String>)> {
    rows.iter().map(|number| (*number, None))
}
