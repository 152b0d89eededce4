//! A run of the real binary that is suspended at a file operation.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Fault, Shim};
use crate::support::{Place, Ran};

/// Time for a process to come to where it is to be stopped.
const PATIENCE: Duration = Duration::from_mins(1);

impl Shim {
    /// Runs the binary in a place, with an operation like this failing, and all later ones.
    pub(crate) fn run_failing(place: &Place, args: &[&str], at: &str, errno: i32) -> Ran {
        let shim = Self::below(&place.path("")).matching(at).at(1, Fault::FailFromThere(errno));
        place.ended(shim.on(&mut place.command(args)).output().unwrap())
    }

    /// Starts the binary in a place, and waits until it stops before an operation like this.
    pub(crate) fn start_stopped(place: &Place, args: &[&str], at: &str) -> Stopped {
        let shim = Self::below(&place.path("")).matching(at).at(1, Fault::Stop);
        let mut command = place.command(args);
        let command = shim.on(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
        let stopped = Stopped { child: Some(command.spawn().unwrap()) };
        let begun = Instant::now();
        while !stopped.is_stopped() {
            assert!(begun.elapsed() < PATIENCE, "it did not come to {at}");
            std::thread::sleep(Duration::from_millis(10));
        }
        stopped
    }
}

/// A process that is suspended; it is ended when this is dropped.
pub(crate) struct Stopped {
    child: Option<Child>,
}

impl Stopped {
    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Whether all of its threads are stopped: one that is in a call to the system ends that first.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let mut statuses = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
        statuses.all(|status| status.lines().any(|line| line.starts_with("State:") && line.contains("(stopped)")))
    }

    /// Lets it go on to its end.
    pub(crate) fn go_on(mut self, place: &Place) -> Ran {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-CONT", &id]).status().unwrap().success());
        place.ended(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
