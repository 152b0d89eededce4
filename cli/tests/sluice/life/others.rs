//! The other programs of a life: one Python that answers requests until the life ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use shared::testing::readers_python;

use crate::shim::{Clock, Shim};
use crate::support::fixture;

/// `fixtures/readers/server.py`, running.
#[derive(Debug)]
pub(super) struct Others {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Others {
    /// Starts it in a folder, by a clock.
    pub(super) fn start(folder: &Path, clock: &Clock) -> Self {
        let mut command = Command::new(readers_python());
        command.arg(server()).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(folder.join("others.log")).unwrap());
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("POLARS_MAX_THREADS", "2");
        let mut child = Shim::default().clock(clock).on(&mut command).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    /// What comes of a request; or the error that the program ended with.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Value, String> {
        writeln!(self.to, "{request}").map_err(|error| format!("the other programs are gone: {error}"))?;
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| "the other programs are gone".to_owned())?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }
}

impl std::ops::Drop for Others {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The program.
pub(super) fn server() -> PathBuf {
    fixture("readers/server.py").canonicalize().unwrap()
}
