//! A table at its latest version: what it is like, and what its log says.

use std::time::{Duration, Instant};

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake::kernel::{Add, StructField};
use deltalake::table::state::DeltaTableState;
use shared::Location;

use crate::error::LoadError;
use crate::log::{Landed, Log};
use crate::plan::Plan;
use crate::table::{DeltaOptions, Table};

/// How old a look at the table may be for work that a commit will look at anew.
const FRESH: Duration = Duration::from_secs(5);

/// A table, and the end of its log; no log while there is no table.
#[derive(Debug)]
pub(crate) struct Head {
    table: Table,
    log: Option<Log>,
    looked: Instant,
}

impl Head {
    /// Opens a table at its latest version. That there is none is no error.
    pub(crate) async fn open(uri: &Location, options: &DeltaOptions) -> Result<Self, LoadError> {
        let mut head = Self { table: Table::open(uri, options).await?, log: None, looked: Instant::now() };
        head.read_log().await?;
        Ok(head)
    }

    /// The same at the latest version, with as few calls as that takes.
    pub(crate) async fn renewed(self, options: &DeltaOptions) -> Result<Self, LoadError> {
        if self.looked.elapsed() < FRESH {
            return Ok(self);
        }
        let uri = self.table.uri().clone();
        let Self { table, log: Some(mut log), .. } = self else { return Self::open(&uri, options).await };
        let failed = |error| LoadError::table(&uri, "read the log of", error);
        if !log.is_current().await.map_err(failed)? || log.catch_up().await.map_err(failed)?.table_changed {
            return Self::open(&uri, options).await;
        }
        Ok(Self { table, log: Some(log), looked: Instant::now() })
    }

    async fn read_log(&mut self) -> Result<(), LoadError> {
        self.log = match self.table.state() {
            Some(state) => {
                let log = Log::read(self.table.log_store(), state.version()).await;
                Some(log.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))?)
            }
            None => None,
        };
        self.looked = Instant::now();
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
        self.log.as_ref().map(Log::version)
    }

    /// Version of a transaction; none when it is not in the table.
    pub(crate) async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LoadError> {
        let Some(log) = &self.log else { return Ok(None) };
        let found = log.transaction(app_id).await;
        found.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))
    }

    /// Goes to the latest version; where there was no table, looks whether there is one now.
    pub(crate) async fn catch_up(&mut self) -> Result<Landed, LoadError> {
        let failed = |error| LoadError::table(self.table.uri(), "read the log of", error);
        let landed = match &mut self.log {
            Some(log) => log.catch_up().await.map_err(failed)?,
            None => Landed { versions: 0, table_changed: true },
        };
        if landed.table_changed {
            self.reload().await?;
        }
        self.looked = Instant::now();
        Ok(landed)
    }

    async fn reload(&mut self) -> Result<(), LoadError> {
        self.table.refresh().await?;
        self.read_log().await
    }

    /// Creates the table by a plan, unless another writer has done so by now.
    pub(crate) async fn create(&mut self, plan: &Plan) -> Result<(), LoadError> {
        self.table.create(plan).await?;
        self.read_log().await
    }

    /// Adds nullable columns, unless the table has changed by now: then they may be there.
    pub(crate) async fn add_columns(&mut self, fields: Vec<StructField>) -> Result<(), LoadError> {
        if self.catch_up().await?.table_changed {
            return Ok(());
        }
        self.table.refresh().await?;
        let added = self.table.add_columns(fields).await;
        added.map_err(|error| LoadError::table(self.table.uri(), "add columns to", error))?;
        self.read_log().await
    }

    /// Puts the version after the latest that was read, unless another writer has; gives its number.
    pub(crate) async fn put(&mut self, data: &CommitData) -> Result<u64, DeltaTableError> {
        let (Some(state), Some(log)) = (self.table.state(), &mut self.log) else {
            return Err(DeltaTableError::NotInitialized);
        };
        PROTOCOL.can_commit(state, &data.actions, &data.operation)?;
        log.put(data).await.map_err(|error: TransactionError| error.into())
    }

    /// The version that holds a transaction, if its entry names one of these files, or if there are none to name.
    pub(crate) async fn version_with(&self, app_id: &str, files: &[Add]) -> Result<Option<u64>, LoadError> {
        let Some(log) = &self.log else { return Ok(None) };
        let found = log.version_with(app_id, files).await;
        found.map_err(|error| LoadError::table(self.table.uri(), "read the log of", error))
    }
}
