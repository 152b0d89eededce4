//! What comes through a pipe is kept in the work area first: a source is read more than once, and a job that was interrupted
//! reads it again.
//!
//! It is named by a digest of its bytes, so the same bytes are the same source, and the same job, whenever they come. That their
//! producer failed cannot be told from their end.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use shared::durable::{create_folders, folder_of, sync_folder};
use shared::{Location, OnReplace, Settings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{CliError, Done};

/// Where such sources are, below the prefix of work areas. What begins with an underscore is no job's.
const FOLDER: &str = "_spool";

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Pieces that wait to be written.
const AHEAD: usize = 4;

/// A source that came through a pipe, as a file.
#[derive(Debug)]
pub(crate) struct Spooled {
    /// Where it is kept.
    pub(crate) at: Location,
    path: PathBuf,
}

/// What it comes from.
#[derive(Debug)]
enum Pipe {
    Stdin,
    Fifo(PathBuf),
}

impl Pipe {
    /// The pipe that is meant, if it is one. Standard input that is redirected from a file is read as that.
    fn of(source: &str) -> Option<Self> {
        if source == "-" {
            let is_file = fs::metadata("/dev/stdin").is_ok_and(|found| found.is_file() || found.is_dir());
            return (!is_file).then_some(Self::Stdin);
        }
        let path = Path::new(source.strip_prefix("file://").unwrap_or(source));
        let is_fifo = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        is_fifo.then(|| Self::Fifo(path.to_owned()))
    }

    fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Stdin => Box::new(io::stdin().lock()),
            Self::Fifo(path) => Box::new(File::open(path)?),
        })
    }

    /// Its bytes, piece by piece. A thread of its own reads them: nothing ends the read of a pipe whose producer is silent, and the
    /// end of the process would wait for a thread of the runtime.
    fn pieces(self) -> mpsc::Receiver<io::Result<Vec<u8>>> {
        let (sender, pieces) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut pipe = match self.open() {
                Ok(pipe) => pipe,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            loop {
                let mut piece = Vec::new();
                let read = pipe.by_ref().take(PIECE).read_to_end(&mut piece).map(|_| piece);
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                // Who does not take it any more was asked to stop.
                if sender.blocking_send(read).is_err() || is_last {
                    return;
                }
            }
        });
        pieces
    }
}

/// Whether a source comes through a pipe.
pub(crate) fn is_pipe(source: &str) -> bool {
    Pipe::of(source).is_some()
}

/// Keeps a source that comes through a pipe in a file; none where it is no pipe. As much is kept as the disk has room for.
pub(crate) async fn spool(
    source: &str,
    settings: &Settings,
    work_prefix: &Location,
    stop: &CancellationToken,
) -> Result<Option<Spooled>, CliError> {
    let Some(pipe) = Pipe::of(source) else { return Ok(None) };
    if matches!(pipe, Pipe::Stdin) && io::stdin().is_terminal() {
        return Err(CliError::Terminal);
    }
    if settings.load.on_replace == OnReplace::Replace {
        return Err(CliError::PipeReplaces);
    }
    let at = work_prefix.join(FOLDER);
    let Location::Local { path: folder } = &at else {
        return Err(CliError::NoSpool { prefix: work_prefix.to_string() });
    };
    let failed = |source| CliError::Spool { at: at.to_string(), source };
    let mut file = Staged::create(Path::new(folder)).map_err(failed)?;
    let mut pieces = pipe.pieces();
    loop {
        let piece = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(CliError::SpoolStopped),
            piece = pieces.recv() => piece,
        };
        // The end is an empty piece.
        let piece = piece.unwrap_or_else(|| Err(io::Error::other("its reader ended before the pipe did")));
        let piece = piece.map_err(|error| CliError::Pipe { pipe: source.to_owned(), source: error })?;
        if piece.is_empty() {
            break;
        }
        let writing = tokio::task::spawn_blocking(move || file.with(&piece));
        file = writing.await.map_err(CliError::Bug)?.map_err(failed)?;
    }
    let path = file.publish().map_err(failed)?;
    let at = at.join(&path.file_name().unwrap_or_default().to_string_lossy());
    Ok(Some(Spooled { at, path }))
}

impl Spooled {
    /// Removes the file once its job is done; until then, says how the job is continued.
    pub(crate) fn leave(self, done: &Done, table: &Location) {
        let is_done = done.as_ref().map_or_else(CliError::has_result, |()| true);
        if !is_done {
            let at = &self.at;
            tracing::warn!(
                "what came through the pipe is kept: `sluice ingest {at} --table {table}` goes on with it; delete it if it is not wanted"
            );
        } else if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(at = %self.at, %error, "what came through the pipe is in the table, and cannot be deleted here");
        }
    }
}

/// The file while it is written, and the digest of what is in it. Dropping it removes the file, unless it was published.
#[derive(Debug)]
struct Staged {
    file: File,
    at: PathBuf,
    digest: Sha256,
}

impl Staged {
    fn create(folder: &Path) -> io::Result<Self> {
        create_folders(folder)?;
        let at = folder.join(format!("piped.{}.partial", uuid::Uuid::new_v4().simple()));
        let file = File::options().write(true).create_new(true).open(&at)?;
        Ok(Self { file, at, digest: Sha256::new() })
    }

    fn with(mut self, piece: &[u8]) -> io::Result<Self> {
        self.digest.update(piece);
        self.file.write_all(piece).map(|()| self)
    }

    /// Makes it durable under its name. A file of that name has the same bytes.
    fn publish(self) -> io::Result<PathBuf> {
        /// Bytes of the digest in the name.
        const NAMED: usize = 16;
        let digest = self.digest.clone().finalize();
        let name = digest.iter().take(NAMED).fold("piped-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
        let target = self.at.with_file_name(name);
        // The time of a source is a part of its job's identity, and here the name says all of it.
        self.file.set_modified(SystemTime::UNIX_EPOCH)?;
        self.file.sync_all()?;
        match fs::hard_link(&self.at, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let (there, here) = (fs::metadata(&target)?, self.file.metadata()?);
                let is_same = there.len() == here.len() && there.modified()? == SystemTime::UNIX_EPOCH;
                let changed = || io::Error::other(format!("{} was changed; delete it", target.display()));
                if is_same { Ok(()) } else { Err(changed()) }
            }
            linked => linked,
        }?;
        sync_folder(folder_of(&target)?)?;
        Ok(target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The name for the time of writing goes in any case; nothing could be done about an error.
        drop(fs::remove_file(&self.at));
    }
}
