//! The real binary, stopped or failed at a file operation by a library that is loaded before it (`shim.c`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Place, Ran};

/// Time for a process to come to where it is to be stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// The library, built by the compiler that Rust links with.
pub(crate) struct Shim {
    folder: TempDir,
}

impl Shim {
    pub(crate) fn build() -> Self {
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sluice/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([folder.path().join("shim.so"), source])
            .output()
            .expect("cc, by which Rust links");
        assert!(built.status.success(), "{built:?}");
        Self { folder }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("shim.so")
    }

    fn command(&self, place: &Place, args: &[&str], at: &str, action: &str) -> Command {
        let mut command = place.command(args);
        command.env("LD_PRELOAD", self.library()).env("SHIM_MATCH", at).env("SHIM_DO", action);
        command
    }

    /// Runs the binary, in which operations like this fail with an error.
    pub(crate) fn run_failing(&self, place: &Place, args: &[&str], at: &str, errno: i32) -> Ran {
        place.ended(self.command(place, args, at, &errno.to_string()).output().unwrap())
    }

    /// Starts the binary, and waits until it stops before an operation like this.
    pub(crate) fn start_stopped(&self, place: &Place, args: &[&str], at: &str) -> Stopped {
        let mut command = self.command(place, args, at, "stop");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stopped = Stopped { child: Some(child) };
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

    fn is_stopped(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains("(stopped)"))
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
