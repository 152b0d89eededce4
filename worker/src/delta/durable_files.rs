//! The object store of a local table: what it has put is on the disk, file and name, before anybody sees it.
//!
//! The library's own store for local files never syncs them. After a power loss the log would name versions that are empty,
//! while receipts, which are synced, say that all is loaded.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::Path;
use deltalake::logstore::object_store::local::LocalFileSystem;
use deltalake::logstore::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use futures::stream::BoxStream;
use shared::durable::{StagedFile, create_folders, folder_of, sync_folder};

use crate::delta::names_after;

/// Name of the store in its errors.
const NAME: &str = "DurableFiles";

/// Local files, as [`LocalFileSystem`] has them, of one table. Paths are absolute, without the first slash.
///
/// A file is written beside its place under a name that ends in `#` and digits, which listings leave out, synced, and then
/// given its name; then its folder is synced. Of a folder that this store was not in before, so are all above it, up to the
/// one that holds the table: whoever made them may have died before it could.
#[derive(Clone, Debug)]
pub(crate) struct DurableFiles {
    files: LocalFileSystem,
    folders: Arc<Folders>,
}

/// Folders of a table.
#[derive(Debug)]
struct Folders {
    root: PathBuf,
    /// Those that are on the disk.
    durable: Mutex<HashSet<PathBuf>>,
}

impl DurableFiles {
    /// The files of the table in this folder.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        let folders = Folders { root: root.into(), durable: Mutex::default() };
        Self { files: LocalFileSystem::new(), folders: Arc::new(folders) }
    }

    /// Runs work on a file that is not there yet, off the async threads.
    async fn staged<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(StagedFile) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (target, folders) = (self.files.path_to_filesystem(location)?, Arc::clone(&self.folders));
        blocking(location.as_ref(), move || {
            folders.settle(folder_of(&target)?)?;
            work(StagedFile::create(&target, staged_name)?)
        })
        .await
    }

    /// Makes durable what another operation left at a place.
    async fn settle(&self, location: &Path) -> Result<()> {
        let (target, folders) = (self.files.path_to_filesystem(location)?, Arc::clone(&self.folders));
        blocking(location.as_ref(), move || {
            File::open(&target)?.sync_all()?;
            let folder = folder_of(&target)?;
            folders.settle(folder)?;
            sync_folder(folder)
        })
        .await
    }
}

impl Folders {
    /// Makes a folder of the table durable, with all between it and the table.
    fn settle(&self, folder: &FilePath) -> io::Result<()> {
        if folder.is_dir() && self.locked().contains(folder) {
            return Ok(());
        }
        create_folders(folder)?;
        let holds_table = self.root.parent().unwrap_or(&self.root);
        let above = folder.ancestors().skip(1);
        for above in above.take_while(|above| above.starts_with(holds_table)) {
            match sync_folder(above) {
                // Who may not read the folder that holds the table has not made the table's there.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && above == holds_table => {}
                synced => synced?,
            }
        }
        self.locked().insert(folder.to_owned());
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that no other attempt has, and that [`LocalFileSystem`] takes for that of an unfinished file.
fn staged_name(name: &str) -> String {
    format!("{name}#{}", uuid::Uuid::new_v4().as_u64_pair().0)
}

/// Runs file work off the async threads, and gives its error the name of the object.
async fn blocking<T: Send + 'static>(at: &str, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        let (path, kind) = (at.to_owned(), error.kind());
        let source = io::Error::new(kind, format!("{path}: {error}")).into();
        match kind {
            io::ErrorKind::NotFound => Error::NotFound { path, source },
            io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
            io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
            _ => Error::Generic { store: NAME, source },
        }
    })
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.folders.root.display())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for DurableFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) || !options.attributes.is_empty() {
            return self.files.put_opts(location, payload, options).await;
        }
        let is_new = matches!(options.mode, PutMode::Create);
        let put = move |staged: StagedFile| {
            payload.iter().try_for_each(|piece| staged.file().write_all(piece))?;
            if is_new { staged.publish_if_absent() } else { staged.publish() }
        };
        self.staged(location, put).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return self.files.put_multipart_opts(location, options).await;
        }
        let staged = self.staged(location, Ok).await?;
        Ok(Box::new(DurableUpload { staged: Some(Arc::new(staged)), at: location.clone(), offset: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix {
            Some(prefix) => names_after::list(&self.files, prefix, offset),
            None => self.files.list_with_offset(prefix, offset),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        self.settle(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await?;
        self.settle(to).await
    }
}

/// A file that is written in parts.
#[derive(Debug)]
struct DurableUpload {
    /// None once it is complete, or given up.
    staged: Option<Arc<StagedFile>>,
    at: Path,
    /// Where the next part begins.
    offset: u64,
}

impl DurableUpload {
    fn taken(&mut self) -> Result<Arc<StagedFile>> {
        self.staged.take().ok_or_else(|| ended(&self.at))
    }
}

fn ended(at: &Path) -> Error {
    Error::Generic { store: NAME, source: format!("the upload of {at} has ended").into() }
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (staged, at, mut offset) = (self.staged.clone(), self.at.clone(), self.offset);
        self.offset += u64::try_from(data.content_length()).unwrap_or_default();
        Box::pin(async move {
            let staged = staged.ok_or_else(|| ended(&at))?;
            let write = move || {
                for piece in &data {
                    staged.file().write_all_at(piece, offset)?;
                    offset += u64::try_from(piece.len()).unwrap_or_default();
                }
                Ok(())
            };
            blocking(at.as_ref(), write).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.taken()?;
        blocking(self.at.as_ref(), move || staged.publish()).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.taken()?;
        blocking(self.at.as_ref(), move || {
            drop(staged);
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use deltalake::logstore::object_store::ObjectStoreExt;
    use futures::TryStreamExt;

    use super::*;

    fn store() -> (tempfile::TempDir, DurableFiles, Path) {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = Path::from_absolute_path(&root).unwrap();
        (folder, DurableFiles::new(root), at)
    }

    #[tokio::test]
    async fn of_two_that_create_a_file_one_does() {
        let (_folder, store, root) = store();
        let at = root.clone().join("log").join("0.json");
        store.put_opts(&at, "one".into(), PutMode::Create.into()).await.unwrap();
        let error = store.put_opts(&at, "two".into(), PutMode::Create.into()).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&at, "three".into()).await.unwrap();
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "three");
        let listed: Vec<_> = store.list(Some(&root)).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1, "nothing unfinished is left: {listed:?}");
    }

    #[tokio::test]
    async fn parts_are_a_file_only_when_it_is_complete() {
        let (folder, store, root) = store();
        let at = root.clone().join("p=1").join("a.parquet");
        let mut upload = store.put_multipart(&at).await.unwrap();
        let parts = [upload.put_part("ab".into()), upload.put_part("c".into())];
        for part in parts.into_iter().rev() {
            part.await.unwrap();
        }
        assert!(store.list(Some(&root)).try_collect::<Vec<_>>().await.unwrap().is_empty());
        upload.complete().await.unwrap();
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "abc");
        assert!(upload.complete().await.is_err());
        for is_aborted in [true, false] {
            let mut upload = store.put_multipart(&at).await.unwrap();
            upload.put_part("d".into()).await.unwrap();
            if is_aborted {
                upload.abort().await.unwrap();
            }
        }
        assert_eq!(std::fs::read_dir(folder.path().join("p=1")).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[tokio::test]
    async fn a_folder_that_was_removed_is_made_again() {
        let (folder, store, root) = store();
        let at = root.join("log").join("0.json");
        store.put(&at, "one".into()).await.unwrap();
        std::fs::remove_dir_all(folder.path().join("log")).unwrap();
        store.put(&at, "two".into()).await.unwrap();
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "two");
    }
}
