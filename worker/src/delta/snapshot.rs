//! A table at its latest version: what it is like, and what its log says.

use std::collections::HashMap;

use deltalake::DeltaTableError;
use deltalake::kernel::StructField;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::table::state::DeltaTableState;
use futures::{StreamExt, TryStreamExt, stream};
use shared::Location;

use crate::delta::data_file::DataFile;
use crate::delta::log::TxnLog;
use crate::delta::table::Table;
use crate::delta::table_store::TableStore;
use crate::delta::tracking;
use crate::error::LoadError;
use crate::schema::features;
use crate::schema::write_schema::WriteSchema;

/// Transactions that are looked up at once.
const AT_ONCE: usize = 16;

/// Attempts, beyond the first, to add columns between the appends of others.
const WIDEN_RETRIES: usize = 20;

/// A table, and the end of its log; no log while there is no table. Clones are cheap, and go on by themselves.
#[derive(Clone, Debug)]
pub(crate) struct TableSnapshot {
    table: Table,
    log: Option<TxnLog>,
}

impl TableSnapshot {
    /// Opens a table at its latest version. That there is none is not an error.
    pub(crate) async fn open(uri: &Location, store: &TableStore) -> Result<Self, LoadError> {
        let (table, _opening) = Table::opening(uri, store).await?;
        let mut snapshot = Self { table, log: None };
        snapshot.read_log().await?;
        Ok(snapshot)
    }

    /// As [`Self::open`], without the table's files.
    pub(crate) async fn open_head(uri: &Location, store: &TableStore) -> Result<Self, LoadError> {
        let (table, _opening) = Table::opening_head(uri, store).await?;
        let mut snapshot = Self { table, log: None };
        snapshot.read_log().await?;
        Ok(snapshot)
    }

    async fn read_log(&mut self) -> Result<(), LoadError> {
        self.log = match self.table.version() {
            Some(version) => {
                let log = TxnLog::read(self.table.log_store(), version).await;
                Some(log.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))?)
            }
            None => None,
        };
        Ok(())
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Its columns and settings; none while there is no table.
    pub(crate) fn state(&self) -> Option<&DeltaTableState> {
        self.table.state()
    }

    /// Latest version that was read; none while there is no table.
    pub(crate) fn version(&self) -> Option<u64> {
        self.log.as_ref().map(TxnLog::version)
    }

    /// Version of a transaction; none when it is not in the table.
    pub(crate) async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LoadError> {
        let Some(log) = &self.log else { return Ok(None) };
        let found = log.transaction(app_id).await;
        found.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))
    }

    /// The same of many transactions, in their order.
    pub(crate) async fn transactions(&self, app_ids: Vec<String>) -> Result<Vec<Option<i64>>, LoadError> {
        let look_ups = app_ids.into_iter().map(|id| async move { self.transaction(&id).await });
        stream::iter(look_ups).buffered(AT_ONCE).try_collect().await
    }

    /// Transactions whose application ids begin so, by the rest of these.
    pub(crate) async fn transactions_named(&self, beginning: &str) -> Result<HashMap<String, i64>, LoadError> {
        let Some(log) = &self.log else { return Ok(HashMap::new()) };
        let named = log.transactions_named(beginning).await;
        named.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))
    }

    /// Goes to the latest version, and gives how many came; a table that changed, or that is another one by now, is opened
    /// again.
    pub(crate) async fn catch_up(&mut self, store: &TableStore) -> Result<u64, LoadError> {
        let uri = self.table.uri().clone();
        let Some(log) = &mut self.log else {
            *self = Self::open_head(&uri, store).await?;
            return Ok(0);
        };
        let landed = log.catch_up().await;
        let landed = landed.map_err(|error| LoadError::table(&uri, "read the log of", error))?;
        if landed.table_changed {
            *self = Self::open_head(&uri, store).await?;
        }
        Ok(landed.versions)
    }

    /// Opens the table again, and gives how many versions came.
    pub(crate) async fn reopen(&mut self, store: &TableStore) -> Result<u64, LoadError> {
        let before = self.version();
        *self = Self::open(self.table.uri(), store).await?;
        Ok(self.version().zip(before).map_or(0, |(now, before)| now.saturating_sub(before)))
    }

    /// Creates the table by a schema, unless another writer has done so by now.
    pub(crate) async fn create(&mut self, write_schema: &WriteSchema) -> Result<(), LoadError> {
        self.table.create(write_schema).await?;
        self.read_log().await
    }

    /// Adds nullable columns, unless the table has changed by now: then they may be there.
    pub(crate) async fn add_columns(&mut self, fields: Vec<StructField>, store: &TableStore) -> Result<(), LoadError> {
        let known = self.state().map(|state| state.metadata().clone());
        let mut retries = WIDEN_RETRIES;
        loop {
            // The state that this is built on has to be the latest.
            *self = Self::open(self.table.uri(), store).await?;
            if self.state().map(DeltaTableState::metadata) != known.as_ref() {
                return Ok(());
            }
            let data = self.table.new_columns(fields.clone()).await?;
            match self.put(&data).await {
                Ok(_) => break,
                Err(DeltaTableError::VersionAlreadyExists(_)) if retries > 0 => retries -= 1,
                Err(error) => return Err(LoadError::table(self.table.uri(), "add columns to", error)),
            }
        }
        *self = Self::open(self.table.uri(), store).await?;
        Ok(())
    }

    /// Puts the version after the latest that was read, unless another writer has; gives its number.
    pub(crate) async fn put(&mut self, data: &CommitData) -> Result<u64, DeltaTableError> {
        let (Some(state), Some(log)) = (self.table.state(), &mut self.log) else {
            return Err(DeltaTableError::NotInitialized);
        };
        features::check_commit(state, &data.actions, &data.operation)?;
        let completed = tracking::complete(data, state, log).await?;
        log.put(completed.as_ref().unwrap_or(data)).await.map_err(|error: TransactionError| error.into())
    }

    /// The version that holds a transaction, if its entry names one of these files, or if there are none to name.
    pub(crate) async fn version_with(&self, app_id: &str, files: &[DataFile]) -> Result<Option<u64>, LoadError> {
        let Some(log) = &self.log else { return Ok(None) };
        let found = log.version_with(app_id, files).await;
        found.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))
    }
}
