//! A load that is suspended at some file operation, and goes on later.

use std::process::{Child, Command, Output, Stdio};

use super::drops::{Habits, LOADS, OPERATIONS, ingest};
use super::model::{Slot, with};
use super::world::{By, Expected, Finding, World, expect_status};
use crate::shim::Fault;

/// A load that is suspended, and has nothing in the table yet.
#[derive(Debug)]
pub(super) struct Suspended {
    child: Option<Child>,
    place: usize,
}

impl World {
    /// Begins to load a new file, and suspends that; none when it came to its end before, or has its rows in the table already.
    pub(super) fn suspend_load(&mut self, habits: &mut Habits) -> Result<Option<Suspended>, Finding> {
        let place = self.model.slots.len();
        let mut slot = self.new_content(habits, place)?;
        slot.options.retain(|option| option != "--chunk-size-mb" && option != "1");
        // Its file stays as it is meanwhile.
        slot.is_blocked = true;
        self.model.slots.push(slot.clone());
        let number = self.dice.between(1, OPERATIONS);
        let mut command = self.command(&ingest(&slot), Some((number, Fault::Stop)));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let load = Suspended { child: Some(child), place };
        let has_ended = !load.is_stopped();
        let states = vec![self.model.rows.clone(), with(&self.model.rows, &slot.brings)];
        let found = self.look(&Expected { by: By::Sluice, states, versions: 0..=20, operations: LOADS })?;
        if !has_ended && found == 0 {
            return Ok(Some(load));
        }
        self.resume_loaded(load, found == 1)?;
        Ok(None)
    }

    /// Lets a load go on to its end: its rows are in the table then, whatever happened.
    pub(super) fn resume_load(&mut self, load: Suspended) -> Result<(), Finding> {
        self.resume_loaded(load, false)
    }

    fn resume_loaded(&mut self, load: Suspended, is_there: bool) -> Result<(), Finding> {
        let place = load.place;
        let slot: Slot = self.model.slots[place].clone();
        self.script.push("kill -CONT %%; wait".to_owned());
        let output = load.go_on();
        let mut ran = self.ended(output);
        let before = self.model.rows.clone();
        let after = if is_there { before.clone() } else { with(&before, &slot.brings) };
        if ran.status != 0 {
            // What vacuum took in the meantime is written again the next time.
            let states = vec![before, after.clone()];
            self.look(&Expected { by: By::Sluice, states, versions: 0..=20, operations: LOADS })?;
            ran = self.sluice(&ingest(&slot), None);
        }
        expect_status(&ran, &[0])?;
        self.look(&Expected { by: By::Sluice, states: vec![after], versions: 0..=20, operations: LOADS })?;
        self.model.slots[place].is_blocked = false;
        self.note_load(place, &[], &ran)
    }
}

impl Suspended {
    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits until all of its threads stop, or it ends: one that is in a call to the system ends that first.
    fn is_stopped(&self) -> bool {
        loop {
            let states = self.states();
            if states.is_empty() || states.iter().any(|state| state.contains("(zombie)")) {
                return false;
            }
            if states.iter().all(|state| state.contains("(stopped)")) {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// What its threads do.
    fn states(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let statuses = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
        let state = |status: String| status.lines().find(|line| line.starts_with("State:")).map(ToOwned::to_owned);
        statuses.filter_map(state).collect()
    }

    fn go_on(mut self) -> Output {
        Command::new("kill").args(["-CONT", &self.id().to_string()]).status().unwrap();
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
