//! The end of a table's log, as this process has read it: which transactions there are, and which version comes next.

mod checkpoint;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use buoyant_kernel::{Snapshot, SnapshotRef};
use bytes::Bytes;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, Add};
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::{CommitOrBytes, LogStoreRef, get_actions};
use deltalake::{DeltaResult, DeltaTableError, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

/// Entries that are read at once.
const AT_ONCE: usize = 16;

/// Most transactions that are kept; a process that lives on reads the log anew then.
const MOST_TRANSACTIONS: usize = 200_000;

/// What was read of a table's log.
pub(crate) struct Log {
    store: LogStoreRef,
    /// Latest version that was read.
    version: u64,
    /// Its entry, which tells the table from another one that took its place.
    entry: Bytes,
    /// Transactions of the last checkpoint, and of the entries that were read.
    transactions: HashMap<String, Noted>,
    /// What came before those, where the checkpoint could not be read at once.
    older: Option<SnapshotRef>,
    /// What was looked up there, which never changes.
    looked_up: Mutex<HashMap<String, Option<i64>>>,
}

/// A transaction in the log.
#[derive(Clone, Copy, Debug)]
struct Noted {
    value: i64,
    /// Version whose entry has it; none for what a checkpoint tells.
    at: Option<u64>,
}

/// What came between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Landed {
    /// Number of versions.
    pub(crate) versions: u64,
    /// Whether one of them changed columns, partitioning, settings or protocol.
    pub(crate) table_changed: bool,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Log {
    /// Reads the log of a table that is at `version`, back to its last checkpoint.
    pub(crate) async fn read(store: LogStoreRef, version: u64) -> DeltaResult<Self> {
        let checkpoint = last_checkpoint(&store).await?.filter(|checkpoint| *checkpoint <= version);
        if let Some(log) = Self::read_after(&store, checkpoint, version).await? {
            return Ok(log);
        }
        // Entries are missing that were cleaned up, or the hint at the last checkpoint is: the kernel finds its way.
        let entry = store.read_commit_entry(version).await?.unwrap_or_default();
        let older = Some(snapshot(&store, version).await?);
        Ok(Self { store, version, entry, transactions: HashMap::new(), older, looked_up: Mutex::default() })
    }

    /// The log from after a checkpoint; none when an entry is missing.
    async fn read_after(store: &LogStoreRef, checkpoint: Option<u64>, version: u64) -> DeltaResult<Option<Self>> {
        // The checkpoint's own entry too: it may be the latest, which is kept.
        let versions = checkpoint.unwrap_or_default()..=version;
        let reads = versions.map(|version| async move { store.read_commit_entry(version).await.map(|e| (version, e)) });
        let entries: Vec<(u64, Option<Bytes>)> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let (mut transactions, mut older) = (HashMap::new(), None);
        if let Some(at) = checkpoint {
            match checkpoint::transactions(store, at, MOST_TRANSACTIONS / 2).await? {
                Some(found) => {
                    transactions = found.into_iter().map(|(id, value)| (id, Noted { value, at: None })).collect();
                }
                None => older = Some(snapshot(store, at).await?),
            }
        }
        let (store, entry) = (Arc::clone(store), Bytes::new());
        let mut log = Self { store, version, entry, transactions, older, looked_up: Mutex::default() };
        for (version, entry) in entries {
            let Some(entry) = entry else { return Ok(None) };
            log.take(version, entry)?;
        }
        Ok(Some(log))
    }

    /// Takes note of an entry; gives whether it changes the table itself.
    fn take(&mut self, version: u64, entry: Bytes) -> DeltaResult<bool> {
        let mut table_changed = false;
        for action in get_actions(version, &entry)? {
            match action {
                Action::Txn(txn) => {
                    self.transactions.insert(txn.app_id, Noted { value: txn.version, at: Some(version) });
                }
                Action::Metadata(_) | Action::Protocol(_) => table_changed = true,
                _ => {}
            }
        }
        (self.version, self.entry) = (version, entry);
        Ok(table_changed)
    }

    /// Latest version that was read.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Version of a transaction in what was read; none when it is not in the table.
    pub(crate) async fn transaction(&self, app_id: &str) -> DeltaResult<Option<i64>> {
        if let Some(noted) = self.transactions.get(app_id) {
            return Ok(Some(noted.value));
        }
        let Some(older) = &self.older else { return Ok(None) };
        let known = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner).get(app_id).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let (older, id, engine) = (Arc::clone(older), app_id.to_owned(), self.store.engine(None));
        // The kernel blocks on reads of its own.
        let found = tokio::task::spawn_blocking(move || older.get_app_id_version(&id, engine.as_ref()));
        let found = found.await.map_err(DeltaTableError::generic)??;
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner).insert(app_id.to_owned(), found);
        Ok(found)
    }

    /// Whether the table is still the one that was read, and its log short enough to go on with.
    pub(crate) async fn is_current(&self) -> DeltaResult<bool> {
        let entry = self.store.read_commit_entry(self.version).await?;
        let kept = self.transactions.len() + self.looked_up.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(entry.is_some_and(|entry| entry == self.entry) && kept < MOST_TRANSACTIONS)
    }

    /// Reads what came since the last look.
    pub(crate) async fn catch_up(&mut self) -> DeltaResult<Landed> {
        let mut landed = Landed::default();
        while let Some(entry) = self.store.read_commit_entry(self.version + 1).await? {
            landed.table_changed |= self.take(self.version + 1, entry)?;
            landed.versions += 1;
        }
        Ok(landed)
    }

    /// Puts the version after the latest that was read, unless another writer has; gives its number.
    pub(crate) async fn put(&mut self, data: &CommitData) -> Result<u64, TransactionError> {
        let entry = data.get_bytes()?;
        let version = self.version + 1;
        let put = CommitOrBytes::LogBytes(entry.clone());
        self.store.write_commit_entry(version, put, uuid::Uuid::new_v4()).await?;
        for txn in &data.app_transactions {
            self.transactions.insert(txn.app_id.clone(), Noted { value: txn.version, at: Some(version) });
        }
        (self.version, self.entry) = (version, entry);
        Ok(version)
    }

    /// The version that has this transaction, if its entry names one of these files, or if there are none to name; what was
    /// read back to the last checkpoint tells.
    pub(crate) async fn version_with(&self, app_id: &str, files: &[Add]) -> DeltaResult<Option<u64>> {
        let Some(at) = self.transactions.get(app_id).and_then(|noted| noted.at) else { return Ok(None) };
        let entry = self.store.read_commit_entry(at).await?.ok_or(DeltaTableError::InvalidVersion(at))?;
        let names_ours = get_actions(at, &entry)?.iter().any(|action| match action {
            Action::Add(add) => files.iter().any(|file| file.path == add.path),
            _ => false,
        });
        Ok((files.is_empty() || names_ours).then_some(at))
    }
}

/// The time in milliseconds since 1970, as the log has it.
pub(crate) fn now() -> i64 {
    chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp_millis()
}

/// Version of the last checkpoint by the hint that its writer left; none when there is no hint, which only costs time.
pub(crate) async fn last_checkpoint(store: &LogStoreRef) -> DeltaResult<Option<u64>> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    let hint = match store.object_store(None).get(&Path::from("_delta_log/_last_checkpoint")).await {
        Ok(hint) => hint.bytes().await?,
        Err(ObjectStoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(serde_json::from_slice::<Hint>(&hint).ok().map(|hint| hint.version))
}

async fn snapshot(store: &LogStoreRef, version: u64) -> DeltaResult<SnapshotRef> {
    let engine = store.engine(None);
    let mut url = store.root_url().clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let built = move || Snapshot::builder_for(url).at_version(version).build(engine.as_ref());
    Ok(tokio::task::spawn_blocking(built).await.map_err(DeltaTableError::generic)??)
}
