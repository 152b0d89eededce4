//! Whole lives of a table: seeds decide in which order files are dropped, jobs undone, rejected records replayed, the table
//! looked after by Sluice and by others, rows written, deleted and brought back by others, commands killed and repeated, and
//! days passed. After each step real readers must find what a model says.
//!
//! `SLUICE_LIVES=0..100` leads other lives than the usual ones, `SLUICE_LIFE_STEPS` says how long they are, and
//! `SLUICE_LIFE_BINARY` which binary is tried. With `SLUICE_LIFE_LOOKS=3` the readers, which take most of the time, look at every
//! third step. A life that finds something prints its steps as commands, and leaves a copy of its
//! folder in the folder `SLUICE_LIFE_KEEP`.

mod drops;
mod foreign;
mod log;
mod model;
mod others;
mod suspended;
mod upkeep;
mod world;

use std::ops::Range;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::simulator::dice::Dice;
use drops::Habits;
use model::State;
use world::{Finding, World};

/// Lives that are led unless `SLUICE_LIVES` says otherwise, and how many steps each has.
const LIVES: Range<u64> = 0..2;
const STEPS: u64 = 60;

/// Lives at once.
const AT_ONCE: usize = 2;

/// Lives, each a seed and its steps, that found something once, and what it was.
const NAMED: &[(&str, u64, u64)] = &[
    ("statistics had decimals as doubles", 106, 1),
    ("no text was loaded after a checkpoint", 100, 7),
    ("what a killed write left stayed for ever", 103, 12),
    ("already done, after an overwrite had taken all of its rows", 105, 12),
    ("loaded three times, by --again that was killed before its receipt and repeated", 28, 2),
    ("a checkpoint that no hint was set to, and a log that nothing could read a month later", 22, 13),
    ("undone, while its rows stayed in a file that others had merged, overwritten and restored", 6, 36),
];

/// A life that is led.
struct Life {
    world: World,
    habits: Habits,
    /// Whether nobody else writes data files.
    is_alone: bool,
    step: u64,
}

/// What came of a life.
struct Led {
    kills: u64,
    finding: Option<Finding>,
}

/// Leads a life to its end, or to the first thing that is wrong.
fn lead(seed: u64, steps: u64) -> Led {
    let mut life = match Life::begin(seed) {
        Ok(life) => life,
        Err(finding) => return Led { kills: 0, finding: Some(finding) },
    };
    let found = (0..steps).try_for_each(|_| life.step()).and_then(|()| life.end());
    if let Err(finding) = &found {
        life.tell(seed, finding);
    }
    Led { kills: life.world.kills, finding: found.err() }
}

impl Life {
    fn begin(seed: u64) -> Result<Self, Finding> {
        let mut dice = Dice::of(seed, &["life"]);
        let partitionings: [&[&str]; 5] = [&[], &[], &["region"], &["flag"], &["region", "flag"]];
        let partition_by = dice.one_of(&partitionings).to_vec();
        let is_alone = dice.percent(35);
        let mut world = World::new(dice);
        let schema = world.ask(&json!({"do": "schema"}))?.as_str().unwrap().to_owned();
        Ok(Self { world, habits: Habits { partition_by, next_row: 1, schema }, is_alone, step: 0 })
    }

    /// Does something, and looks at the table.
    fn step(&mut self) -> Result<(), Finding> {
        self.step += 1;
        self.world.script.push(format!("# step {}", self.step));
        if !self.world.has_table() {
            return if !self.is_alone && self.world.dice.percent(25) {
                self.world.others_append(&mut self.habits)
            } else {
                self.world.drop_file(&mut self.habits)
            };
        }
        match self.world.dice.below(100) {
            0..26 => self.world.drop_file(&mut self.habits),
            26..30 => self.suspended_load(),
            30..38 => self.with_slot(World::same_again),
            38..42 => self.with_slot(|world, slot| world.load(slot, true)),
            42..52 => self.with_job(World::undo),
            52..56 => self.with_job(World::verify),
            56..60 => self.with_rejecting_job(World::replay),
            60..76 => self.world.maintain(),
            76..82 => {
                self.pass_time();
                Ok(())
            }
            _ => self.others(),
        }
    }

    /// A load is suspended while something else is done to the table.
    fn suspended_load(&mut self) -> Result<(), Finding> {
        let Some(load) = self.world.suspend_load(&mut self.habits)? else { return Ok(()) };
        match self.world.dice.below(6) {
            0 => self.world.maintain()?,
            1 => {
                self.world.wait(3);
                self.world.maintain_by(&["--checkpoint", "--retention", "1h"])?;
            }
            2 => self.with_job(World::undo)?,
            3 => self.world.drop_file(&mut self.habits)?,
            _ => self.others()?,
        }
        self.world.resume_load(load)
    }

    fn others(&mut self) -> Result<(), Finding> {
        match self.world.dice.below(if self.is_alone { 35 } else { 100 }) {
            0..10 => self.world.drop_what_duckdb_read(),
            10..25 => self.world.others_look_after(),
            25..35 => self.world.others_restore(),
            35..60 => self.world.others_append(&mut self.habits),
            60..80 => self.world.others_rewrite(),
            80..97 => self.world.others_delete(),
            _ => self.world.others_overwrite(&mut self.habits),
        }
    }

    fn with_slot(&mut self, act: impl Fn(&mut World, usize) -> Result<(), Finding>) -> Result<(), Finding> {
        let is_loaded = |slot: &model::Slot| !slot.is_blocked && !slot.jobs.is_empty();
        let slots = &self.world.model.slots;
        let loaded: Vec<usize> = (0..slots.len()).filter(|place| is_loaded(&slots[*place])).collect();
        if loaded.is_empty() {
            return Ok(());
        }
        let place = self.world.dice.one_of(&loaded);
        act(&mut self.world, place)
    }

    /// With one of all jobs, oftener with one that is in the table.
    fn with_job(&mut self, act: impl Fn(&mut World, &str) -> Result<(), Finding>) -> Result<(), Finding> {
        let all = self.world.dice.percent(30);
        self.with_one_of(&self.world.model.jobs_that(|job| all || job.state == State::Loaded), act)
    }

    fn with_rejecting_job(&mut self, act: impl Fn(&mut World, &str) -> Result<(), Finding>) -> Result<(), Finding> {
        self.with_one_of(&self.world.model.jobs_that(|job| !job.bad.is_empty()), act)
    }

    fn with_one_of(
        &mut self,
        jobs: &[String],
        act: impl Fn(&mut World, &str) -> Result<(), Finding>,
    ) -> Result<(), Finding> {
        if jobs.is_empty() {
            return Ok(());
        }
        let place = self.world.dice.position(jobs.len());
        act(&mut self.world, &jobs[place])
    }

    fn pass_time(&mut self) {
        let hours = self.world.dice.one_of(&[1, 2, 5, 24, 48, 24 * 8, 24 * 31]);
        self.world.wait(hours);
        self.world.model.versions.retain(|_, _| hours < 24);
    }

    /// At last all is looked after, long after it was written: nothing is left that nobody needs.
    fn end(&mut self) -> Result<(), Finding> {
        if !self.world.has_table() {
            return Ok(());
        }
        self.world.script.push("# the end".to_owned());
        self.world.wait(24 * 80);
        self.world.maintain_by(&["--checkpoint", "--retention", "1h", "--keep-jobs", "1"])?;
        // Once more, for what is left if that was killed.
        self.world.wait(2);
        self.world.look_next_time();
        self.world.look_after_all()?;
        self.world.nothing_is_left_over()
    }

    fn tell(&self, seed: u64, finding: &str) {
        if let Some(folder) = std::env::var_os("SLUICE_LIFE_KEEP") {
            let folder = std::path::Path::new(&folder).join(format!("life-{seed}"));
            Command::new("cp").arg("-a").arg(self.world.place.path("")).arg(folder).status().unwrap();
        }
        let steps = self.world.script.join("\n");
        println!("{HOW_TO_REPEAT}\n{steps}\n# seed {seed}, step {}:\n# {}", self.step, finding.replace('\n', "\n# "));
        println!(
            "# Again: SLUICE_LIVES={seed}..{} SLUICE_LIFE_STEPS={} cargo test -p sluice life::lives",
            seed + 1,
            self.step
        );
    }
}

const HOW_TO_REPEAT: &str = r#"
# In an empty folder, with PROJECT set to the project, PYTHON to a Python with fixtures/readers/requirements.txt:
cc -shared -fPIC -O1 -o shim.so $PROJECT/cli/tests/sluice/shim.c -ldl
clock() { $PYTHON $PROJECT/fixtures/readers/clock.py clock "$@"; }; clock 0
export SHIM_CLOCK=$PWD/clock SHIM_ROOT=$PWD; sluice() { LD_PRELOAD=$PWD/shim.so $PROJECT/target/debug/sluice "$@"; }
SERVER="env -u SHIM_ROOT LD_PRELOAD=$PWD/shim.so $PYTHON $PROJECT/fixtures/readers/server.py""#;

/// Leads lives, some at once; gives those that found something.
fn lead_all(lives: &[(u64, u64)]) -> Vec<u64> {
    let next = AtomicU64::new(0);
    let (failed, kills) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let work = || {
        while let Some((seed, steps)) = lives.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
            let led = lead(*seed, *steps);
            kills.fetch_add(led.kills, Ordering::Relaxed);
            let outcome = if led.finding.is_some() { "found something" } else { "found nothing" };
            println!("life {seed} {outcome}, {} kills", led.kills);
            if led.finding.is_some() {
                failed.lock().unwrap().push(*seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    println!("{} lives, {} kills", lives.len(), kills.into_inner());
    failed.into_inner().unwrap()
}

#[test]
fn lives() {
    let seeds = std::env::var("SLUICE_LIVES").map_or(LIVES, |text| {
        let (first, end) = text.split_once("..").expect("SLUICE_LIVES is FROM..TO");
        first.parse().unwrap()..end.parse().unwrap()
    });
    let steps = std::env::var("SLUICE_LIFE_STEPS").map_or(STEPS, |text| text.parse().unwrap());
    let failed = lead_all(&seeds.map(|seed| (seed, steps)).collect::<Vec<_>>());
    assert!(failed.is_empty(), "lives that found something: {failed:?}");
}

#[test]
fn named_lives() {
    let failed = lead_all(&NAMED.iter().map(|(_, seed, steps)| (*seed, *steps)).collect::<Vec<_>>());
    assert!(failed.is_empty(), "lives that found something again: {failed:?} of {NAMED:?}");
}

/// A table of more than a thousand versions, most of them by others.
#[test]
#[ignore = "takes minutes: cargo test -p sluice --test sluice life:: -- --ignored"]
fn a_thousand_versions() {
    let mut life = Life::begin(1000).unwrap();
    let lived = (0..10).try_for_each(|_| life.hundred_versions()).and_then(|()| life.end());
    lived.unwrap_or_else(|finding| life.fail(&finding));
}

/// A table of forty days: each has drops, some have all else; log entries expire, and what nobody needs goes.
#[test]
#[ignore = "takes minutes: cargo test -p sluice --test sluice life:: -- --ignored"]
fn forty_days() {
    let mut life = Life::begin(40).unwrap();
    let lived = (0..40).try_for_each(|day| life.day(day)).and_then(|()| life.end());
    lived.unwrap_or_else(|finding| life.fail(&finding));
    assert!(!life.world.place.path("t/_delta_log/00000000000000000000.json").exists(), "it expired");
}

impl Life {
    fn hundred_versions(&mut self) -> Result<(), Finding> {
        self.step += 1;
        self.world.drop_file(&mut self.habits)?;
        self.world.others_append_often(&mut self.habits, 100)?;
        self.with_job(World::verify)?;
        self.with_job(World::undo)?;
        self.with_slot(World::same_again)?;
        if self.step.is_multiple_of(3) {
            self.world.maintain_by(&["--checkpoint", "--compact", "within-jobs", "--compact-after", "0s"])?;
        }
        self.world.drop_file(&mut self.habits)
    }

    fn day(&mut self, day: u32) -> Result<(), Finding> {
        self.step += 1;
        self.world.wait(24);
        self.world.model.versions.clear();
        self.world.drop_file(&mut self.habits)?;
        match day % 5 {
            0 => self.world.maintain_by(&["--checkpoint"])?,
            1 => self.world.others_append(&mut self.habits)?,
            2 => self.with_job(World::undo)?,
            3 => self.world.maintain_by(&["--checkpoint", "--compact", "within-jobs", "--compact-after", "2d"])?,
            _ => self.with_job(World::verify)?,
        }
        self.with_slot(World::same_again)
    }

    fn fail(&self, finding: &str) {
        self.tell(0, finding);
        panic!("{finding}");
    }
}
