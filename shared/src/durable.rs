//! Local files that are on the disk, content and name, before anybody relies on them.
//!
//! A file gets its name only after its content is synced. A name is on the disk after its folder is synced, and a new folder
//! after the folder above it is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A new file under a temporary name, in the folder of its target. Dropping it removes the temporary name.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    staged: PathBuf,
    target: PathBuf,
}

impl StagedFile {
    /// Creates the file, and the folder if there is none. `name` makes the temporary name from that of the target; no other
    /// attempt may make the same.
    pub fn create(target: &Path, name: impl FnOnce(&str) -> String) -> io::Result<Self> {
        let folder = folder_of(target)?;
        // A file that stands where the folder should is not an object that exists already.
        create_folders(folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                io::Error::other(format!("{} cannot be made a folder: {error}", folder.display()))
            }
            _ => error,
        })?;
        let staged = folder.join(name(&target.file_name().unwrap_or_default().to_string_lossy()));
        let file = File::options().read(true).write(true).create_new(true).open(&staged)?;
        Ok(Self { file, staged, target: target.to_owned() })
    }

    /// The file, to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the file is going to be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes the file durable under its name, in place of what has that name.
    pub fn publish(&self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.staged, &self.target).map_err(vanished)?;
        sync_folder(folder_of(&self.target)?)
    }

    /// Makes the file durable under its name; fails when the name is taken.
    ///
    /// A hard link is the one file operation that both publishes whole content and fails when the name is taken.
    pub fn publish_if_absent(&self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.staged, &self.target).map_err(vanished)?;
        sync_folder(folder_of(&self.target)?)
    }
}

/// A process that was suspended for hours may find its unfinished file gone: `maintain` removes old ones. That passes, and is
/// not to be taken for an object that does not exist.
fn vanished(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!("the file that was being written is gone: {error}")),
        _ => error,
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a rename the temporary name is gone; nothing is left to do, and nothing could be done, on an error.
        drop(fs::remove_file(&self.staged));
    }
}

/// Creates a folder and all that are missing above it; each one that is new is on the disk when this ends.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_folders(folder_of(folder)?)?;
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                created => created?,
            }
        }
        Err(_) if folder.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    sync_folder(folder_of(folder)?)
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file lies in.
pub fn folder_of(target: &Path) -> io::Result<&Path> {
    target.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no folder"))
}
