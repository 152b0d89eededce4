//! The place of a life: the real binary, the other programs, and looks at the table.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::log::{Entry, Log};
use super::model::{Model, Rows, Touched, numbers};
use super::others::Others;
use crate::shim::{Clock, Fault, Shim};
use crate::simulator::dice::Dice;
use crate::support::{Place, Ran};

/// What is wrong, in words.
pub(super) type Finding = String;

/// Columns that each look filters by.
const FILTERS: u64 = 4;

/// Who did what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Sluice,
    Others,
}

/// What may have become of the table.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) by: By,
    /// States that it may be in; none where only that it can be read is known.
    pub(super) states: Vec<Rows>,
    /// Versions that may have come.
    pub(super) versions: RangeInclusive<usize>,
    /// What these may be called.
    pub(super) operations: &'static [&'static str],
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) place: Place,
    pub(super) model: Model,
    pub(super) dice: Dice,
    pub(super) clock: Clock,
    /// All that was done, as commands for a shell.
    pub(super) script: Vec<String>,
    pub(super) kills: u64,
    /// Looks at the table, those that were left out among them.
    looks: u64,
    log: Log,
    others: Others,
}

impl World {
    pub(super) fn new(dice: Dice) -> Self {
        let place = Place::new();
        let clock = Clock::new(place.path("clock"));
        let others = Others::start(&place.path(""), &clock);
        let log = Log::of(&place.path("t"));
        Self { place, model: Model::default(), dice, clock, script: Vec::new(), kills: 0, looks: 0, log, others }
    }

    /// Whether there is a table.
    pub(super) fn has_table(&self) -> bool {
        self.log.version().is_some()
    }

    /// Runs `sluice`, to be killed before the file operation with a number.
    pub(super) fn sluice(&mut self, args: &[String], kill: Option<u64>) -> Ran {
        let mut command = self.command(args, kill.map(|number| (number, Fault::Kill)));
        let output = command.output().unwrap();
        let ran = self.ended(output);
        self.kills += u64::from(ran.status == -1);
        ran
    }

    /// The command that runs `sluice`, with a fault at the file operation with a number.
    pub(super) fn command(&mut self, args: &[String], fault: Option<(u64, Fault)>) -> Command {
        let mut shim = Shim::below(&self.place.path("")).clock(&self.clock);
        let mut told = String::new();
        if let Some((number, fault)) = fault {
            shim = shim.at(number, fault);
            told = format!("SHIM_AT={number} SHIM_DO={} ", format!("{fault:?}").to_lowercase());
        }
        let quoted: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
        self.script.push(format!("{told}sluice {}", quoted.join(" ")));
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.place.path("")).env_clear();
        shim.on(&mut command);
        command
    }

    /// What a run left.
    pub(super) fn ended(&mut self, output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let status = output.status.code().unwrap_or(-1);
        let ran = Ran { status, stdout: text(output.stdout), stderr: text(output.stderr) };
        let told: String = ran.stdout.chars().take(80).collect();
        self.script.push(format!("# exit status {status}: {}", told.replace('\n', " ")));
        self.date();
        ran
    }

    /// Has the other programs do something.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Value, Finding> {
        self.script.push(format!("echo {} | $SERVER", quote(&request.to_string())));
        let answer = self.others.ask(request).map_err(|error| format!("{}: {error}", request["do"]));
        self.date();
        answer
    }

    /// Sets the clock ahead.
    pub(super) fn wait(&mut self, hours: u64) {
        let ahead = self.clock.ahead() + hours * 3600;
        self.clock.set(ahead);
        self.script.push(format!("clock {ahead}"));
    }

    /// Gives files the times of this life's clock.
    fn date(&mut self) {
        let ahead = self.clock.ahead();
        self.clock.date(&self.place.path(""));
        if ahead > 0 {
            self.script.push("clock # dates the files".to_owned());
        }
    }

    /// Holds the table, as all readers find it, against what it must be; gives the state that it is in.
    pub(super) fn look(&mut self, expected: &Expected) -> Result<usize, Finding> {
        self.look_with(expected, FILTERS)
    }

    /// The same, with so many filters.
    pub(super) fn look_with(&mut self, expected: &Expected, filters: u64) -> Result<usize, Finding> {
        let entries = self.log.read_on();
        self.note_touched(&entries, expected.by);
        let operations: Vec<&str> = entries.iter().map(|entry| entry.operation.as_str()).collect();
        let named = operations.iter().all(|operation| expected.operations.contains(operation));
        if !expected.versions.contains(&entries.len()) || !named {
            let Expected { versions, operations: expected, .. } = expected;
            return Err(format!("versions {operations:?}, expected {versions:?} of {expected:?}"));
        }
        let Some(version) = self.log.version() else {
            let may_be_none = expected.states.is_empty() || expected.states.iter().any(Vec::is_empty);
            return if may_be_none { Ok(0) } else { Err("there is no table".to_owned()) };
        };
        if expected.states.is_empty() {
            return Ok(0);
        }
        let states: Vec<Vec<i64>> = expected.states.iter().map(numbers).collect();
        let seed = self.dice.next() >> 12;
        self.looks += 1;
        if states.len() == 1 && !self.looks.is_multiple_of(looks_apart()) {
            self.model.rows.clone_from(&expected.states[0]);
            self.model.versions.insert(version, self.model.rows.clone());
            return Ok(0);
        }
        let request = json!({"do": "check", "table": "t", "states": states, "filters": filters, "seed": seed,
            "near": self.model.has_wrong_bounds, "version": version});
        let found = self.others.ask(&request)?;
        let wrong = found["wrong"].as_array().unwrap();
        if !wrong.is_empty() {
            let lines: Vec<&str> = wrong.iter().filter_map(Value::as_str).collect();
            return Err(lines.join("\n  "));
        }
        let state = usize::try_from(found["state"].as_u64().unwrap()).unwrap();
        self.model.rows.clone_from(&expected.states[state]);
        self.model.versions.insert(version, self.model.rows.clone());
        Ok(state)
    }

    /// Has the readers look the next time.
    pub(super) fn look_next_time(&mut self) {
        self.looks = looks_apart() - 1;
    }

    /// Notes what was done to files of jobs, but by Sluice for a good reason.
    fn note_touched(&mut self, entries: &[Entry], by: By) {
        for Entry { operation, added, removed } in entries {
            let touched = match (by, operation.as_str()) {
                (By::Others, "WRITE") if removed.is_empty() => continue,
                // Files that they had merged rows into may be gone, too.
                (By::Others, "RESTORE" | "WRITE") => {
                    self.model.none_is_rewritten();
                    Touched::TakenOut
                }
                (By::Others, "DELETE") => Touched::Deleted,
                (By::Others, _) | (By::Sluice, "OPTIMIZE") => Touched::Rewritten,
                (By::Sluice, _) => continue,
            };
            let came_back = added.iter().filter(|_| operation == "RESTORE");
            for job in removed.iter().chain(came_back).flatten() {
                let is_merged = by == By::Sluice && added.contains(&Some(job.clone()));
                if !is_merged {
                    self.model.set_touched(job, touched);
                }
            }
        }
    }
}

/// Readers look at the table each time, or only every N-th time with `SLUICE_LIFE_LOOKS=N`; always where the state of the table
/// is not certain.
fn looks_apart() -> u64 {
    std::env::var("SLUICE_LIFE_LOOKS").map_or(1, |text| text.parse().unwrap())
}

/// Fails unless a run ended in one of some ways.
pub(super) fn expect_status(ran: &Ran, statuses: &[i32]) -> Result<(), Finding> {
    if statuses.contains(&ran.status) { Ok(()) } else { Err(format!("ended with {}: {}", ran.status, ran.stderr)) }
}

/// The binary that lives are led with: that of this build, unless `SLUICE_LIFE_BINARY` names another.
fn binary() -> PathBuf {
    std::env::var_os("SLUICE_LIFE_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_sluice").into(), PathBuf::from)
}

/// An argument as a shell takes it.
pub(super) fn quote(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:,=".contains(character);
    if text.chars().all(plain) && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
