//! The Delta table: opened, looked into, created, widened.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use buoyant_kernel::table_features::TableFeature;
use deltalake::checkpoints::create_checkpoint;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Snapshot, StructField};
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::{CommitOrBytes, LogStoreRef, ObjectStoreRef};
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError, Path};
use serde_json::json;
use shared::Location;
use url::Url;

use crate::delta::commit_info::commit_data;
use crate::delta::data_file::DataFile;
use crate::delta::durable_files::DurableFiles;
use crate::delta::entries::{Opening, ReadOnce};
use crate::delta::hint::{self, BrokenHint, WithoutHint};
use crate::delta::log::clustered_by;
use crate::delta::table_store::TableStore;
use crate::error::LoadError;
use crate::schema::definition;
use crate::schema::features;
use crate::schema::refusal::Refusal;
use crate::schema::write_schema::WriteSchema;

/// A table as it was at one time, or the place where one is to be.
#[derive(Clone)]
pub(crate) struct Table {
    uri: Location,
    handle: DeltaTable,
    /// The hint at the last checkpoint, if it is broken and the log is therefore read without it.
    broken_hint: Option<BrokenHint>,
    /// Columns by which others cluster the rows, as data files have them.
    clustered_by: Vec<Vec<String>>,
    /// The version that was read of a table without its files: its state is one of memory.
    head: Option<u64>,
}

/// What is read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Whole,
    /// What does not grow with the table: protocol and metadata. Of a partitioned table the files, too, for they show how instants are
    /// written in partitions.
    Head,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("uri", &self.uri).field("version", &self.handle.version()).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens a table at its latest version. That there is none is not an error; that it cannot be read is one.
    pub(crate) async fn open(uri: &Location, store: &TableStore) -> Result<Self, LoadError> {
        Ok(Self::open_to(uri, store, Extent::Whole).await?.0)
    }

    /// The same, and what keeps the entries of its log until they are read once more.
    pub(crate) async fn opening(uri: &Location, store: &TableStore) -> Result<(Self, Opening), LoadError> {
        Self::open_to(uri, store, Extent::Whole).await
    }

    /// As [`Self::opening`], without the table's files, of which there may be many.
    pub(crate) async fn opening_head(uri: &Location, store: &TableStore) -> Result<(Self, Opening), LoadError> {
        Self::open_to(uri, store, Extent::Head).await
    }

    async fn open_to(uri: &Location, store: &TableStore, extent: Extent) -> Result<(Self, Opening), LoadError> {
        let failed = |error| LoadError::table(uri, "open", error);
        let mut objects = store.object_store.clone();
        if let Location::Local { path } = uri {
            let folder = std::path::PathBuf::from(path);
            if folder.is_file() {
                return Err(LoadError::NoDirectory { table: uri.clone() });
            }
            let made = blocking(move || shared::durable::create_folders(&folder)).await;
            made.map_err(|source| LoadError::table(uri, "make a directory for", DeltaTableError::Io { source }))?;
            objects = objects.or_else(|| Some(Arc::new(DurableFiles::new(path))));
        }
        let url = url(uri)?;
        let builder =
            || DeltaTableBuilder::from_url(url.clone()).map(|new| new.with_storage_options(store.options.clone()));
        let objects = match objects {
            Some(objects) => objects,
            None => builder().and_then(|builder| builder.build_storage()).map_err(failed)?.root_object_store(None),
        };
        let (objects, opening) = ReadOnce::new(objects);
        let builder = builder().map_err(failed)?.with_storage_backend(objects, url.clone());
        let handle = builder.build().map_err(failed)?;
        let mut table = Self { uri: uri.clone(), handle, broken_hint: None, clustered_by: Vec::new(), head: None };
        match table.refresh_to(extent).await {
            Err(error @ LoadError::Table { .. }) => Ok((table.open_without_hint(error, store, extent).await?, opening)),
            Err(error) => Err(error),
            Ok(()) => Ok((table, opening)),
        }
    }

    /// Opens the table by its log alone if the hint at its last checkpoint is broken; else gives the error back.
    async fn open_without_hint(self, error: LoadError, store: &TableStore, extent: Extent) -> Result<Self, LoadError> {
        let failed = |error| LoadError::table(&self.uri, "open", error);
        let Ok(Some(broken)) = hint::check(self.object_store().as_ref()).await else { return Err(error) };
        let objects = Arc::new(WithoutHint(self.log_store().root_object_store(None)));
        let url = url(&self.uri)?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed)?.with_storage_backend(objects, url);
        let handle = builder.with_storage_options(store.options.clone()).build().map_err(failed)?;
        let (uri, clustered_by) = (self.uri.clone(), Vec::new());
        let mut table = Self { uri, handle, broken_hint: Some(broken.clone()), clustered_by, head: None };
        match table.refresh_to(extent).await {
            Err(LoadError::Table { source, .. }) => {
                let reason = match hint::missing_versions(self.object_store().as_ref()).await {
                    Ok(Some(versions)) => format!("{broken}, and so are the entries of {versions}"),
                    _ => format!("{broken}, and without it: {source}"),
                };
                Err(LoadError::Log { table: self.uri, reason })
            }
            Err(error) => Err(error),
            Ok(()) => {
                tracing::warn!(
                    "{broken}: other programs cannot open table {uri}; `sluice maintain --checkpoint --table {uri}` fixes it",
                    uri = self.uri
                );
                Ok(table)
            }
        }
    }

    /// The hint at the last checkpoint, if it is broken and the log was therefore read without it.
    pub(crate) fn broken_hint(&self) -> Option<&BrokenHint> {
        self.broken_hint.as_ref()
    }

    pub(crate) fn uri(&self) -> &Location {
        &self.uri
    }

    /// Number of the latest version that was seen; `None` while there is no table.
    pub(crate) fn version(&self) -> Option<u64> {
        self.head.or_else(|| self.state().map(DeltaTableState::version))
    }

    /// What tells the table from another one that takes its place; `None` while there is no table.
    pub(crate) fn id(&self) -> Option<String> {
        self.state().map(|state| state.metadata().id().to_owned())
    }

    /// The latest version that was seen; `None` while there is no table.
    pub(crate) fn state(&self) -> Option<&DeltaTableState> {
        self.handle.state.as_ref()
    }

    pub(crate) fn log_store(&self) -> LogStoreRef {
        self.handle.log_store()
    }

    pub(crate) fn object_store(&self) -> ObjectStoreRef {
        self.handle.object_store()
    }

    /// Makes the names of the log's entries durable: whoever put the last ones may have died before it could.
    pub(crate) async fn settle_log(&self) -> Result<(), LoadError> {
        let Location::Local { path } = &self.uri else { return Ok(()) };
        let log = std::path::Path::new(path).join("_delta_log");
        let synced = blocking(move || shared::durable::sync_folder(&log)).await;
        synced.map_err(|source| LoadError::table(&self.uri, "make durable", DeltaTableError::Io { source }))
    }

    /// Writes a checkpoint of the version that was opened, unless there is one.
    pub(crate) async fn checkpoint(&self) -> Result<(), LoadError> {
        let written = create_checkpoint(&self.handle, None).await;
        written.map_err(|error| LoadError::table(&self.uri, "write a checkpoint of", error))
    }

    /// Reads protocol and metadata, or all of the table, at its latest version.
    async fn read(&mut self, extent: Extent) -> DeltaResult<()> {
        if extent == Extent::Whole {
            self.head = None;
            return self.handle.update_incremental(None).await;
        }
        let log = self.log_store();
        log.refresh().await?;
        let latest = Snapshot::try_new(log.as_ref(), None).await?;
        if !latest.metadata().partition_columns().is_empty() {
            return self.handle.update_incremental(None).await;
        }
        self.handle.state = Some(definition::state(latest.protocol(), latest.metadata()).await?);
        self.head = Some(latest.version());
        Ok(())
    }

    /// Goes to the latest version.
    async fn refresh_to(&mut self, extent: Extent) -> Result<(), LoadError> {
        let uri = self.uri.clone();
        let failed = |error| LoadError::table(&uri, "open", error);
        let mut updated = self.read(extent).await;
        if matches!(updated, Err(DeltaTableError::NotATable(_))) {
            // There is no log, or it came to be just now, or it cannot be read: the last is no reason to begin a table.
            if !self.handle.verify_deltatable_existence().await.map_err(failed)? {
                return Ok(());
            }
            updated = self.read(extent).await;
        }
        updated.map_err(failed)?;
        let Some(state) = self.state() else { return Ok(()) };
        if let Some(reason) = features::obstacle(state) {
            return Err(LoadError::Unsupported { table: self.uri.clone(), reason });
        }
        if features::lists(state.protocol(), &TableFeature::ClusteredTable) {
            let version = self.version().unwrap_or_default();
            self.clustered_by = clustered_by(&self.log_store(), version).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Columns of which the table wants statistics whatever else it wants, by their paths in data files.
    pub(crate) fn clustered_by(&self) -> &[Vec<String>] {
        &self.clustered_by
    }

    /// Creates the table by a schema, unless another writer has done so by now, and opens what is there.
    ///
    /// The first version of the log is made in memory and put only if there is none: of many creators one wins, and the
    /// others find its table.
    pub(crate) async fn create(&mut self, write_schema: &WriteSchema) -> Result<(), LoadError> {
        let failed = |error: DeltaTableError| LoadError::table(&self.uri, "create", error);
        let first = definition::first_entry(write_schema).await.map_err(|refusal| self.refused(refusal))?;
        let id = uuid::Uuid::new_v4();
        match self.log_store().write_commit_entry(0, CommitOrBytes::LogBytes(first), id).await {
            Ok(()) | Err(TransactionError::VersionAlreadyExists(_)) => self.refresh_to(Extent::Whole).await,
            Err(error) => Err(failed(error.into())),
        }
    }

    /// A commit that adds nullable columns to the version that was opened.
    pub(crate) async fn new_columns(&self, fields: Vec<StructField>) -> Result<CommitData, LoadError> {
        let no_table = || LoadError::table(&self.uri, "add columns to", DeltaTableError::NotInitialized);
        let state = self.state().ok_or_else(no_table)?;
        let actions = definition::additions(state, &fields).await.map_err(|refusal| self.refused(refusal))?;
        let operation = DeltaOperation::AddColumn { fields };
        let about = json!({ "text": "columns added", "version": env!("CARGO_PKG_VERSION") });
        Ok(commit_data(actions, operation, about, HashMap::new(), Vec::new()))
    }

    fn refused(&self, refusal: Refusal) -> LoadError {
        LoadError::Columns { table: self.uri.clone(), refusal }
    }

    /// Deletes data files that no version of the table names. One that cannot be deleted is left for vacuum.
    pub(crate) async fn delete_files(&self, files: &[DataFile]) {
        let store = self.object_store();
        for file in files {
            let deleted = match Path::parse(&file.path) {
                Ok(path) => store.delete(&path).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = deleted {
                tracing::debug!(table = %self.uri, file = file.path, %error, "data file left for vacuum");
            }
        }
    }
}

/// Runs file work off the async threads.
async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> std::io::Result<()> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn url(uri: &Location) -> Result<Url, LoadError> {
    let invalid = || {
        let source = DeltaTableError::InvalidTableLocation(uri.to_string());
        LoadError::table(uri, "open", source)
    };
    match uri {
        Location::Local { path } => Url::from_directory_path(path).map_err(|()| invalid()),
        Location::S3 { bucket, key } => {
            let mut url = Url::parse(&format!("s3://{bucket}")).map_err(|_| invalid())?;
            // Segment by segment, so that characters such as `#` and `%` in a key are escaped.
            url.path_segments_mut().map_err(|()| invalid())?.extend(key.split('/').filter(|part| !part.is_empty()));
            Ok(url)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (uri, expected) in [
            ("s3://b/lake/t", "s3://b/lake/t"),
            ("s3://b/a b#c%20/t", "s3://b/a%20b%23c%2520/t"),
            ("/no-such/a b", "file:///no-such/a%20b/"),
        ] {
            assert_eq!(url(&uri.parse().unwrap()).unwrap().as_str(), expected);
        }
    }
}
