//! What loading takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use shared::{BackoffSettings, Location, Progress, Settings, Storage, Topic};

use crate::commit::tables::Tables;
use crate::delta::former_uris::FormerUris;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::table_store::TableStore;
use crate::error::LoadError;
use crate::lookups::kept::KeptLookups;

/// What loading, and looking after tables, takes.
#[derive(Clone, Debug)]
pub struct LoadContext {
    /// Where chunks and work areas are.
    pub storage: Arc<dyn Storage>,
    /// What jobs do not say themselves.
    pub settings: Settings,
    /// Counters that loading raises.
    pub progress: Arc<Progress>,
    /// How tables are reached.
    pub table_store: TableStore,
    /// URIs that tables had.
    pub former_uris: FormerUris,
    /// What this process keeps of tables between loads.
    pub tables: Tables,
    /// Look-ups that this process keeps between chunks.
    pub lookups: KeptLookups,
    /// When to stop trying to commit; `None` for as long as the attempts last.
    pub deadline: Option<Instant>,
    /// Where notices of jobs that are done go; none when nobody is to be told.
    pub topic: Option<Arc<dyn Topic>>,
}

impl LoadContext {
    /// A process that has loaded nothing yet, sends no notices, and has all the time that attempts take.
    pub fn new(storage: Arc<dyn Storage>, settings: Settings, table_store: TableStore) -> Self {
        Self {
            storage,
            settings,
            progress: Arc::default(),
            table_store,
            former_uris: FormerUris::default(),
            tables: Tables::default(),
            lookups: KeptLookups::default(),
            deadline: None,
            topic: None,
        }
    }

    /// Opens a table to look into it, without making its directory.
    pub(crate) async fn open(&self, table: &Location) -> Result<Option<TableSnapshot>, LoadError> {
        if is_absent(table) { Ok(None) } else { TableSnapshot::open(table, &self.table_store).await.map(Some) }
    }

    /// A table as this process knows it, at its latest version: opened once, and then followed entry by entry. It is without
    /// the files of later versions. None when there is no directory, which is not made.
    pub(crate) async fn head(&self, table: &Location) -> Result<Option<TableSnapshot>, LoadError> {
        if is_absent(table) {
            return Ok(None);
        }
        self.tables.handle(table).look(table, &self.table_store).await.map(Some)
    }

    /// The attempts and waits of the settings, within the time that is left.
    pub(crate) fn limits(&self) -> BackoffSettings {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let max_elapsed = match (self.settings.commit.max_elapsed, left) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        BackoffSettings { max_elapsed, ..self.settings.commit }
    }
}

/// Whether a table's directory is not there, which opening it would make.
pub(crate) fn is_absent(table: &Location) -> bool {
    matches!(table, Location::Local { path } if !Path::new(path).exists())
}
