//! Samples are split and loaded, each stage by a process of its own, and what that took is noted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use shared::VARIABLES;
use tokio_util::sync::CancellationToken;

use super::stage::{LoadSample, LoadedChunk, Mark, SPLIT, SplitSample, Usage, read};
use crate::error::CliError;

/// How often it is looked whether a stage has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a sample at one chunk size took.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The bound of a chunk, in MiB.
    pub(super) chunk_mib: u64,
    /// Whether the sample was the whole source.
    pub(super) is_whole: bool,
    /// How far splitting was at several times, the end the last.
    pub(super) marks: Vec<Mark>,
    /// Taken by the process that split.
    pub(super) splitter: Usage,
    /// Each chunk, as it was loaded.
    pub(super) chunks: Vec<LoadedChunk>,
    /// Taken by the process that loaded.
    pub(super) worker: Usage,
    /// Bytes of the data files that were written of all chunks.
    pub(super) data_bytes: u64,
}

/// Where, of what and with which settings samples are taken.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    /// The source, as the user named it.
    pub(super) source: &'a str,
    /// Settings, by their variables.
    pub(super) variables: &'a [(&'static str, String)],
    /// Chunks of each sample, in MiB.
    pub(super) sample_mib: u64,
    /// Cancelled when measuring is to stop.
    pub(super) stop: CancellationToken,
}

impl Bench<'_> {
    /// Splits and loads a sample in a temporary directory, which is gone afterwards.
    pub(super) async fn run(&self, chunk_mib: u64) -> Result<Run, CliError> {
        let dir = tempfile::Builder::new().prefix("sluice-tune-").tempdir().map_err(CliError::TuneDir)?;
        let chunks = (self.sample_mib / chunk_mib).max(1).to_string();
        let split = ["split", self.source, "--chunks", chunks.as_str()];
        let split: SplitSample = read(&self.stage(chunk_mib, dir.path(), SPLIT, &split).await?)?;
        let load: LoadSample = read(&self.stage(chunk_mib, dir.path(), "load.json", &["load"]).await?)?;
        Ok(Run {
            chunk_mib,
            is_whole: split.is_whole,
            marks: split.marks,
            splitter: split.usage,
            chunks: load.chunks,
            worker: load.usage,
            data_bytes: load.data_bytes,
        })
    }

    /// Runs one stage; gives the file with what it printed.
    async fn stage(&self, chunk_mib: u64, dir: &Path, name: &str, args: &[&str]) -> Result<PathBuf, CliError> {
        let (printed, said) = (dir.join(name), dir.join("stderr"));
        let mut command = Command::new(std::env::current_exe().map_err(CliError::TuneDir)?);
        command.arg("tune-stage").args(args).arg("--dir").arg(dir).stdin(Stdio::null());
        for variable in VARIABLES {
            command.env_remove(variable.name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.env("CHUNK_SIZE_MB", chunk_mib.to_string());
        // As many as a small function has cores, or memory would follow this machine's.
        command.env("TOKIO_WORKER_THREADS", super::stage::THREADS.to_string());
        command.stdout(File::create(&printed).map_err(CliError::TuneDir)?);
        command.stderr(File::create(&said).map_err(CliError::TuneDir)?);
        let status = self.wait(command.spawn().map_err(CliError::TuneDir)?).await?;
        if status.success() {
            return Ok(printed);
        }
        if self.stop.is_cancelled() {
            return Err(CliError::TuneStopped);
        }
        let said = std::fs::read_to_string(&said).unwrap_or_default();
        let said = said.trim().trim_start_matches("error: ").replace("\nhint: ", "; ");
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Err(CliError::Stage { chunk_mib, said, code })
    }

    async fn wait(&self, mut child: Child) -> Result<ExitStatus, CliError> {
        loop {
            if let Some(status) = child.try_wait().map_err(CliError::TuneDir)? {
                return Ok(status);
            }
            tokio::select! {
                () = self.stop.cancelled() => {
                    child.kill().and_then(|()| child.wait()).map_err(CliError::TuneDir)?;
                    return Err(CliError::TuneStopped);
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
