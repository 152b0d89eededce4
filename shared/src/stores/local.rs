//! Objects as files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::checksum::Checksum;
use crate::durable::{StagedFile, create_folders, folder_of, sync_folder};
use crate::location::Location;
use crate::storage::{
    Copied, ObjectStat, ObjectVersion, PutMode, ROOM_BYTES, Storage, StorageError, StoredObject, Upload,
};

/// Files on a POSIX file system with hard links.
///
/// An object is written beside its place under a name that ends in `PARTIAL`, made durable, and then given its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStorage;

/// Ending of files that are being written; listings leave them out.
const PARTIAL: &str = ".partial";

/// Age up to which a file is copied by a second name, which has the age of the first. The copy of an older one is written, so
/// that whoever cleans up old files that nobody names yet, an hour old at least, leaves it alone.
const LINKED_WITHIN: Duration = Duration::from_mins(15);

/// Bytes that are copied at once.
const COPY_BYTES: usize = 1 << 20;

#[async_trait]
impl Storage for LocalStorage {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        blocking(at, "look up", |path| stat(&fs::metadata(path)?)).await
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        blocking(at, "read", |path| fs::read(path).map(Bytes::from)).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let expected = version.clone();
        // Made here, since the allocator keeps what it got for each thread, and any of many may do the reading.
        let room = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default() + ROOM_BYTES);
        let read = blocking(at, "read", move |path| read_range(path, &expected, range, room)).await?;
        read.ok_or_else(|| StorageError::Changed { at: at.clone(), version: version.0.clone() })
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        let written = blocking(at, "write", move |path| {
            let partial = stage(path)?;
            partial.file().write_all(&body)?;
            match mode {
                PutMode::Overwrite => partial.publish(),
                PutMode::IfAbsent => partial.publish_if_absent(),
            }
        });
        written.await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        let partial = blocking(at, "create", stage).await?;
        Ok(Box::new(LocalUpload { at: at.clone(), partial, writing: None }))
    }

    async fn copy(
        &self,
        from: &Location,
        version: &ObjectVersion,
        to: &Location,
    ) -> Result<Option<Copied>, StorageError> {
        let Location::Local { path } = to else { return Ok(None) };
        let (expected, target) = (version.clone(), PathBuf::from(path));
        let checksum = blocking(from, "copy", move |path| copy(path, &expected, &target)).await?;
        let changed = || StorageError::Changed { at: from.clone(), version: version.0.clone() };
        checksum.map(|checksum| Some(Copied { checksum: Some(checksum) })).ok_or_else(changed)
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        let mut listed = blocking(prefix, "list", |path| {
            let mut found = Vec::new();
            walk(path, &mut found)?;
            Ok(found)
        })
        .await?;
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(listed)
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        blocking(at, "delete", |path| match fs::remove_file(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
            result => result,
        })
        .await
    }
}

/// Runs file work off the async threads and gives its error the name of the object.
async fn blocking<T: Send + 'static>(
    at: &Location,
    action: &'static str,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let path = PathBuf::from(at.key());
    let done =
        tokio::task::spawn_blocking(move || work(&path)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|source| {
        let at = at.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StorageError::NotFound { at },
            io::ErrorKind::AlreadyExists => StorageError::AlreadyExists { at },
            io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => {
                StorageError::Malformed { at, what: "file", source: source.into() }
            }
            io::ErrorKind::PermissionDenied => StorageError::Denied { at, source: source.into() },
            _ => StorageError::Unavailable { at, action, source: source.into() },
        }
    })
}

fn stat(metadata: &fs::Metadata) -> io::Result<ObjectStat> {
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !metadata.is_file() {
        // It says that it has no bytes, and what is read of it is gone.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device"));
    }
    let nanoseconds = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Ok(ObjectStat { size: metadata.len(), version: ObjectVersion(format!("{nanoseconds}-{}", metadata.len())) })
}

/// `None` when the file is not, or is no longer, the version asked for.
fn read_range(
    path: &Path,
    version: &ObjectVersion,
    range: Range<u64>,
    mut bytes: Vec<u8>,
) -> io::Result<Option<Bytes>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let length = (&file).take(range.end - range.start).read_to_end(&mut bytes)?;
    if u64::try_from(length).ok() != Some(range.end - range.start) {
        return Ok(None);
    }
    // Looked at after the read: a write that came in between has moved the time on.
    let unchanged = stat(&file.metadata()?)?.version == *version;
    Ok(unchanged.then(|| bytes.into()))
}

/// Gives the checksum of the copy, or `None` when the file is not, or is no longer, the version asked for.
fn copy(path: &Path, version: &ObjectVersion, target: &Path) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    // From here on it is the copy that may be gone, with the folder that it lies in, and not the file.
    copy_open(file, path, version, target).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!("{} is gone: {error}", target.display())),
        _ => error,
    })
}

fn copy_open(mut file: File, path: &Path, version: &ObjectVersion, target: &Path) -> io::Result<Option<String>> {
    let metadata = file.metadata()?;
    if stat(&metadata)?.version != *version {
        return Ok(None);
    }
    let is_young = metadata.modified()?.elapsed().is_ok_and(|age| age < LINKED_WITHIN);
    if is_young {
        create_folders(folder_of(target)?)?;
        // Another file system, or one without links: then the bytes are copied.
        if fs::hard_link(path, target).is_ok() {
            return checksum_of_link(version, target);
        }
    }
    let partial = stage(target)?;
    let checksum = pass(&mut file, |bytes| partial.file().write_all(bytes))?;
    if stat(&file.metadata()?)?.version != *version {
        return Ok(None);
    }
    partial.publish()?;
    Ok(Some(checksum))
}

/// The checksum of a new link, which is removed again when it is not to the version that was meant.
fn checksum_of_link(version: &ObjectVersion, link: &Path) -> io::Result<Option<String>> {
    let read = || -> io::Result<Option<String>> {
        let mut file = File::open(link)?;
        let checksum = pass(&mut file, |_| Ok(()))?;
        sync_folder(folder_of(link)?)?;
        Ok((stat(&file.metadata()?)?.version == *version).then_some(checksum))
    };
    let checksum = read();
    if !matches!(checksum, Ok(Some(_))) {
        fs::remove_file(link)?;
    }
    checksum
}

/// Passes on the bytes of a file piece by piece; gives their checksum.
fn pass(file: &mut File, mut on: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut checksum = Checksum::default();
    let mut piece = vec![0; COPY_BYTES];
    loop {
        let length = file.read(&mut piece)?;
        let bytes = piece.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(checksum.text());
        }
        checksum.update(bytes);
        on(bytes)?;
    }
}

fn walk(folder: &Path, found: &mut Vec<StoredObject>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else if let Some(text) = path.to_str().filter(|text| !text.ends_with(PARTIAL)) {
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let location = Location::Local { path: text.to_owned() };
            found.push(StoredObject { location, size: metadata.len(), modified: metadata.modified()? });
        }
    }
    Ok(())
}

/// A file under its temporary name.
fn stage(target: &Path) -> io::Result<StagedFile> {
    StagedFile::create(target, |name| format!("{name}.{}{PARTIAL}", uuid::Uuid::new_v4().simple()))
}

#[derive(Debug)]
struct LocalUpload {
    at: Location,
    partial: StagedFile,
    /// The last write, which goes on while the next bytes are made.
    writing: Option<JoinHandle<Result<(), StorageError>>>,
}

impl LocalUpload {
    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StorageError {
        StorageError::Unavailable { at: self.at.clone(), action: "write", source: source.into() }
    }

    async fn written(&mut self) -> Result<(), StorageError> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(|error| self.failed(error))?,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.written().await?;
        let file = self.partial.file().try_clone().map_err(|error| self.failed(error))?;
        let at = self.at.clone();
        let writing = async move { blocking(&at, "write", move |_| (&file).write_all(&bytes)).await };
        self.writing = Some(tokio::spawn(writing));
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        self.written().await?;
        let Self { at, partial, .. } = *self;
        blocking(&at, "finish", move |_| partial.publish()).await
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        let Self { at, partial, .. } = *self;
        blocking(&at, "give up", move |_| {
            drop(partial);
            Ok(())
        })
        .await
    }
}
