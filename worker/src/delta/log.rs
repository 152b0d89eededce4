//! The end of a table's log, as this process has read it: which transactions there are, and which version comes next.

mod checkpoint;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoyant_kernel::{Snapshot, SnapshotRef};
use bytes::Bytes;
use deltalake::kernel::Action;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::{CommitOrBytes, LogStoreRef, get_actions};
use deltalake::{DeltaResult, DeltaTableError, Path};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use crate::delta::data_file::DataFile;
use crate::delta::hint;

/// Entries that are read at once.
const AT_ONCE: usize = 16;

/// Transactions that a process may have seen come before it reads the log again, back to a later checkpoint.
const MOST_NEW: usize = 100_000;

/// What was read of a table's log. Clones go on by themselves, and share what is known of transactions.
#[derive(Clone)]
pub(crate) struct TxnLog {
    store: LogStoreRef,
    /// Latest version that was read.
    version: u64,
    /// Its entry, which tells the table from another one that took its place.
    entry: Bytes,
    /// Whether a version came that changed columns, partitioning, settings or protocol.
    table_changed: bool,
    /// Transactions of the last checkpoint, and of the entries that were read.
    transactions: Shared<Noted>,
    /// What came before those, where the checkpoint could not be read at once.
    older: Option<SnapshotRef>,
    /// What was looked up there, which never changes.
    looked_up: Shared<Option<i64>>,
    /// Number of transactions when the log was read.
    at_first: usize,
}

/// Where a table keeps the columns by which its rows are clustered.
const CLUSTERING: &str = "delta.clustering";

type Shared<T> = Arc<Mutex<HashMap<String, T>>>;

fn locked<T>(shared: &Shared<T>) -> MutexGuard<'_, HashMap<String, T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Whether columns, partitioning, settings or protocol were changed, or another table is there: what is known of the
    /// table holds no more.
    pub(crate) table_changed: bool,
}

impl fmt::Debug for TxnLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnLog").field("version", &self.version).finish_non_exhaustive()
    }
}

impl TxnLog {
    /// Reads the log of a table that is at `version`, back to its last checkpoint.
    pub(crate) async fn read(store: LogStoreRef, version: u64) -> DeltaResult<Self> {
        let checkpoint = last_checkpoint(&store).await?.filter(|checkpoint| *checkpoint <= version);
        match Self::read_after(&store, checkpoint, version).await {
            Ok(Some(log)) => return Ok(log),
            // The hint names a checkpoint that was cleaned up, beside a later one that it was never set to.
            Err(error) if hint::check(store.object_store(None).as_ref()).await?.is_none() => return Err(error),
            Ok(None) | Err(_) => {}
        }
        // Entries are missing that were cleaned up, or the hint at the last checkpoint is: the kernel finds its way.
        let entry = store.read_commit_entry(version).await?.unwrap_or_default();
        let older = Some(snapshot(&store, version).await?);
        Ok(Self::new(store, version, entry, older))
    }

    fn new(store: LogStoreRef, version: u64, entry: Bytes, older: Option<SnapshotRef>) -> Self {
        let (transactions, looked_up) = (Shared::default(), Shared::default());
        Self { store, version, entry, table_changed: false, transactions, older, looked_up, at_first: 0 }
    }

    /// The log from after a checkpoint; none when an entry is missing.
    async fn read_after(store: &LogStoreRef, checkpoint: Option<u64>, version: u64) -> DeltaResult<Option<Self>> {
        // The checkpoint's own entry too: it may be the latest, which is kept.
        let versions = checkpoint.unwrap_or_default()..=version;
        let reads = versions.map(|version| async move { store.read_commit_entry(version).await.map(|e| (version, e)) });
        let entries: Vec<(u64, Option<Bytes>)> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let (mut transactions, mut older) = (HashMap::new(), None);
        if let Some(at) = checkpoint {
            match checkpoint::transactions(store, at, MOST_NEW).await? {
                Some(found) => {
                    transactions = found.into_iter().map(|(id, value)| (id, Noted { value, at: None })).collect();
                }
                None => older = Some(snapshot(store, at).await?),
            }
        }
        let mut log = Self::new(Arc::clone(store), version, Bytes::new(), older);
        log.transactions = Arc::new(Mutex::new(transactions));
        for (version, entry) in entries {
            let Some(entry) = entry else { return Ok(None) };
            log.take(version, entry)?;
        }
        (log.table_changed, log.at_first) = (false, locked(&log.transactions).len());
        Ok(Some(log))
    }

    /// Takes note of an entry.
    fn take(&mut self, version: u64, entry: Bytes) -> DeltaResult<()> {
        for action in get_actions(version, &entry)? {
            match action {
                Action::Txn(txn) => {
                    let noted = Noted { value: txn.version, at: Some(version) };
                    let mut known = locked(&self.transactions);
                    // Another clone may have read further.
                    if known.get(&txn.app_id).is_none_or(|known| known.at <= noted.at) {
                        known.insert(txn.app_id, noted);
                    }
                }
                Action::Metadata(_) | Action::Protocol(_) => self.table_changed = true,
                Action::DomainMetadata(domain) if domain.domain == CLUSTERING => self.table_changed = true,
                _ => {}
            }
        }
        (self.version, self.entry) = (version, entry);
        Ok(())
    }

    /// Latest version that was read.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// When the latest version that was read was committed, by its own words; none where it does not say.
    pub(crate) fn commit_time(&self) -> DeltaResult<Option<i64>> {
        let times = get_actions(self.version, &self.entry)?.into_iter().filter_map(|action| match action {
            Action::CommitInfo(info) => info.in_commit_timestamp,
            _ => None,
        });
        Ok(times.max())
    }

    /// What the table keeps under a name of its own, at the latest version that was read.
    pub(crate) async fn domain(&self, name: &str) -> DeltaResult<Option<String>> {
        let snapshot = snapshot(&self.store, self.version).await?;
        let (name, engine) = (name.to_owned(), self.store.engine(None));
        let found = move || snapshot.get_domain_metadata_internal(&name, engine.as_ref());
        Ok(tokio::task::spawn_blocking(found).await.map_err(DeltaTableError::generic)??)
    }

    /// Version of a transaction in what was read; none when it is not in the table.
    pub(crate) async fn transaction(&self, app_id: &str) -> DeltaResult<Option<i64>> {
        if let Some(noted) = locked(&self.transactions).get(app_id) {
            return Ok(Some(noted.value));
        }
        let Some(older) = &self.older else { return Ok(None) };
        let known = locked(&self.looked_up).get(app_id).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let (older, id, engine) = (Arc::clone(older), app_id.to_owned(), self.store.engine(None));
        // The kernel blocks on reads of its own.
        let found = tokio::task::spawn_blocking(move || older.get_app_id_version(&id, engine.as_ref()));
        let found = found.await.map_err(DeltaTableError::generic)??;
        locked(&self.looked_up).insert(app_id.to_owned(), found);
        Ok(found)
    }

    /// Transactions whose application ids begin so, by the rest of these. Where the checkpoint could not be read at once, this reads
    /// it to its end.
    pub(crate) async fn transactions_named(&self, beginning: &str) -> DeltaResult<HashMap<String, i64>> {
        let mut named = match &self.older {
            Some(older) => {
                let (older, beginning) = (Arc::clone(older), beginning.to_owned());
                let engine = self.store.engine(None);
                let read = move || checkpoint::transactions_named(&older, engine.as_ref(), &beginning);
                tokio::task::spawn_blocking(read).await.map_err(DeltaTableError::generic)??
            }
            None => HashMap::new(),
        };
        let known = locked(&self.transactions);
        let later = known.iter().filter_map(|(id, noted)| Some((id.strip_prefix(beginning)?.to_owned(), noted.value)));
        named.extend(later);
        Ok(named)
    }

    /// Reads what came since the last look; the more came, the more at once, or in a crowd this would never catch up. The
    /// latest entry that is known is read again, for a table may be deleted, or made again, at any time.
    pub(crate) async fn catch_up(&mut self) -> DeltaResult<Landed> {
        let mut versions = 0;
        let (mut from, mut at_once) = (self.version, 2);
        loop {
            let store = Arc::clone(&self.store);
            let reads = (from..).take(at_once).map(|version| store.read_commit_entry(version));
            for (version, entry) in (from..).zip(try_join_all(reads).await?) {
                match entry {
                    Some(entry) if version == self.version && entry == self.entry => {}
                    Some(entry) if version > self.version => {
                        self.take(version, entry)?;
                        versions += 1;
                    }
                    None if version > self.version => {
                        let has_grown = locked(&self.transactions).len() > 2 * self.at_first + MOST_NEW;
                        return Ok(Landed { versions, table_changed: self.table_changed || has_grown });
                    }
                    _ => return Ok(Landed { versions, table_changed: true }),
                }
            }
            (from, at_once) = (self.version + 1, (2 * at_once).min(AT_ONCE));
        }
    }

    /// Puts the version after the latest that was read, unless another writer has; gives its number.
    pub(crate) async fn put(&mut self, data: &CommitData) -> Result<u64, TransactionError> {
        let entry = data.get_bytes()?;
        let version = self.version + 1;
        let put = CommitOrBytes::LogBytes(entry.clone());
        self.store.write_commit_entry(version, put, uuid::Uuid::new_v4()).await?;
        self.take_back_if_orphaned(version).await?;
        for txn in &data.app_transactions {
            let noted = Noted { value: txn.version, at: Some(version) };
            locked(&self.transactions).insert(txn.app_id.clone(), noted);
        }
        (self.version, self.entry) = (version, entry);
        Ok(version)
    }

    /// On a local disk a folder can be deleted, or another one be put in its place, while a put is under way, which then makes an
    /// entry that follows on nothing. That is taken back, for nobody could read a table that has it.
    async fn take_back_if_orphaned(&self, version: u64) -> Result<(), TransactionError> {
        if self.store.root_url().scheme() != "file" {
            return Ok(());
        }
        let before = self.store.read_commit_entry(self.version).await;
        let after = self.store.read_commit_entry(version + 1).await;
        // An entry that a checkpoint stands for may have been missing when it was read.
        let is_orphaned = before.is_ok_and(|before| before.unwrap_or_default() != self.entry);
        if !is_orphaned || !matches!(after, Ok(None)) {
            return Ok(());
        }
        self.store.object_store(None).delete(&Path::from(format!("_delta_log/{version:020}.json"))).await?;
        let msg = "the table was deleted, or another one took its place, during the commit".to_owned();
        Err(TransactionError::LogStoreError { source: msg.clone().into(), msg })
    }

    /// The version that has this transaction, if its entry names one of these files, or if there are none to name. When that entry
    /// is no longer in the log, this is an error where files are named, for nothing tells any more whose the transaction is.
    pub(crate) async fn version_with(&self, app_id: &str, files: &[DataFile]) -> DeltaResult<Option<u64>> {
        let Some((at, actions)) = self.entry_with(app_id).await? else {
            let is_unclear = || DeltaTableError::generic("the entry with the transaction is no longer in the log");
            return if files.is_empty() { Ok(None) } else { Err(is_unclear()) };
        };
        let names_ours = actions.iter().any(|action| match action {
            Action::Add(add) => files.iter().any(|file| file.path == add.path),
            _ => false,
        });
        Ok((files.is_empty() || names_ours).then_some(at))
    }

    /// The last entry with a transaction, and its version; none when the log does not reach back to it.
    async fn entry_with(&self, app_id: &str) -> DeltaResult<Option<(u64, Vec<Action>)>> {
        // Where the transaction was read from a checkpoint, or by the kernel, entries may still have it.
        let noted = locked(&self.transactions).get(app_id).and_then(|noted| noted.at);
        for version in (0..=noted.unwrap_or(self.version)).rev() {
            let Some(entry) = self.store.read_commit_entry(version).await? else { break };
            let actions = get_actions(version, &entry)?;
            if actions.iter().any(|action| matches!(action, Action::Txn(txn) if txn.app_id == app_id)) {
                return Ok(Some((version, actions)));
            }
        }
        Ok(None)
    }
}

/// The time in milliseconds since 1970, as the log has it.
pub(crate) fn now() -> i64 {
    chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp_millis()
}

/// Version of the last checkpoint by the hint that its writer left; none when there is no hint, which only costs time.
pub(crate) async fn last_checkpoint(store: &LogStoreRef) -> DeltaResult<Option<u64>> {
    Ok(hint::read(store.object_store(None).as_ref()).await?.map(|hint| hint.version))
}

/// Columns by which the rows of a table are clustered, by their paths in data files.
pub(crate) async fn clustered_by(store: &LogStoreRef, version: u64) -> DeltaResult<Vec<Vec<String>>> {
    let (snapshot, engine) = (snapshot(store, version).await?, store.engine(None));
    let found = move || snapshot.get_physical_clustering_columns(engine.as_ref());
    let found = tokio::task::spawn_blocking(found).await.map_err(DeltaTableError::generic)??;
    Ok(found.into_iter().flatten().map(|column| column.into_iter().collect()).collect())
}

/// A version of a table, as the kernel has it.
pub(crate) async fn snapshot(store: &LogStoreRef, version: u64) -> DeltaResult<SnapshotRef> {
    let engine = store.engine(None);
    let mut url = store.root_url().clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let built = move || Snapshot::builder_for(url).at_version(version).build(engine.as_ref());
    Ok(tokio::task::spawn_blocking(built).await.map_err(DeltaTableError::generic)??)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake::kernel::{DataType, PrimitiveType, StructField};
    use deltalake::logstore::object_store::memory::InMemory;
    use deltalake::{DeltaTable, DeltaTableBuilder};
    use url::Url;

    use super::*;

    async fn table() -> (DeltaTable, Arc<InMemory>) {
        let (store, url) = (Arc::new(InMemory::new()), Url::parse("memory:///t").unwrap());
        let builder = DeltaTableBuilder::from_url(url.clone()).unwrap().with_storage_backend(store.clone(), url);
        let id = StructField::new("id", DataType::Primitive(PrimitiveType::Long), true);
        (builder.build().unwrap().create().with_columns([id]).await.unwrap(), store)
    }

    #[tokio::test]
    async fn a_change_of_the_table_is_not_forgotten_over_a_failure() {
        let (table, store) = table().await;
        let mut log = TxnLog::read(table.log_store(), 0).await.unwrap();
        let put = async |version: u64, entry: Bytes| {
            let path = Path::from(format!("t/_delta_log/{version:020}.json"));
            store.put(&path, entry.into()).await.unwrap();
        };
        let change = table.log_store().read_commit_entry(0).await.unwrap().unwrap();
        put(1, change).await;
        put(2, Bytes::from_static(b"not yet written to its end")).await;
        log.catch_up().await.unwrap_err();
        put(2, Bytes::from_static(b"{\"txn\":{\"appId\":\"a\",\"version\":7}}")).await;
        assert!(log.catch_up().await.unwrap().table_changed);
        assert_eq!(log.transaction("a").await.unwrap(), Some(7));
        assert_eq!(log.transaction("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_reads_behind_others_does_not_bring_back_what_was() {
        let (table, store) = table().await;
        let mut behind = TxnLog::read(table.log_store(), 0).await.unwrap();
        let mut ahead = behind.clone();
        for (version, value) in [(1, 7), (2, -1)] {
            let entry = format!("{{\"txn\":{{\"appId\":\"a\",\"version\":{value}}}}}");
            let path = Path::from(format!("t/_delta_log/{version:020}.json"));
            store.put(&path, entry.into()).await.unwrap();
        }
        ahead.catch_up().await.unwrap();
        let entry = behind.store.read_commit_entry(1).await.unwrap().unwrap();
        behind.take(1, entry).unwrap();
        assert_eq!(ahead.transaction("a").await.unwrap(), Some(-1));
    }

    #[tokio::test]
    async fn files_are_nobodys_when_the_log_does_not_tell() {
        let (table, _) = table().await;
        let log = TxnLog::read(table.log_store(), 0).await.unwrap();
        let error = log.version_with("a", &[DataFile::default()]).await.unwrap_err();
        assert!(error.to_string().contains("no longer in the log"), "{error}");
        assert_eq!(log.version_with("a", &[]).await.unwrap(), None);
    }
}
