//! Data files of a table, read back a row group at a time.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::{DeltaResult, DeltaTableError, Path};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use shared::{Location, Memory, MemoryShare, error_chain, page_sizes as size};

use super::pages;
use super::row_group_bytes::{Beside, RowGroupBytes, batch_bytes, extent};
use crate::delta::statistics::footer::read_footer;
use crate::delta::table::Table;
use crate::error::LoadError;

/// A data file that is open for reading.
#[derive(Debug)]
pub(crate) struct StoredFile {
    table: Location,
    store: ObjectStoreRef,
    at: Path,
    length: u64,
    metadata: ArrowReaderMetadata,
    memory: Memory,
}

impl StoredFile {
    /// Reads the footer of a file, as it is now, whatever the log says of its length.
    pub(crate) async fn open(table: &Table, at: Path, memory: &Memory) -> DeltaResult<Self> {
        let as_arrow_does = |footer| Ok(ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new())?);
        Self::open_as(table, at, memory, as_arrow_does).await
    }

    /// The same of a file that any writer may have made, as chunks are read: `INT96` is an instant in a Delta table.
    pub(crate) async fn open_of_others(table: &Table, at: Path, memory: &Memory) -> DeltaResult<Self> {
        let as_chunks_are = |footer| {
            shared::arrow_metadata(&footer, true).map_err(|error| DeltaTableError::generic(error_chain(&error)))
        };
        Self::open_as(table, at, memory, as_chunks_are).await
    }

    async fn open_as(
        table: &Table,
        at: Path,
        memory: &Memory,
        read: impl FnOnce(Arc<ParquetMetaData>) -> DeltaResult<ArrowReaderMetadata>,
    ) -> DeltaResult<Self> {
        let store = table.object_store();
        let length = store.head(&at).await?.size;
        let footer = read_footer(store.as_ref(), &at, length).await?;
        let metadata = read(footer.into())?;
        Ok(Self { table: table.uri().clone(), store, at, length, metadata, memory: memory.clone() })
    }

    pub(crate) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Takes of the account what reading it takes, and what is taken beside.
    pub(crate) async fn take_memory(&self, beside: Beside) -> Result<MemoryShare, LoadError> {
        let taken = self.memory.reserve_for(|memory| self.cost(memory, beside)).await;
        taken.map_err(|source| {
            let at = Box::new(self.table.join(self.at.as_ref()));
            LoadError::Memory { at, what: "a row group".to_owned(), source }
        })
    }

    /// Makes a share that was taken for another file large enough for this one, if there is as much memory now; whether it is.
    pub(crate) fn try_grow(&self, share: &mut MemoryShare, beside: Beside) -> bool {
        self.memory.try_grow(share, self.cost(&self.memory, beside))
    }

    fn cost(&self, memory: &Memory, beside: Beside) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter();
        let costs = groups.map(|group| size::cost(group, batch_bytes(memory)));
        costs.max().unwrap_or_default().saturating_add(beside(memory))
    }

    /// The rows of a row group.
    pub(crate) async fn batches(
        &self,
        group: usize,
    ) -> DeltaResult<impl Iterator<Item = DeltaResult<RecordBatch>> + Send + use<>> {
        let metadata = self.metadata.metadata().row_group(group);
        let outside = || ParquetError::General("its footer points outside of it".to_owned());
        let (start, end) = extent(metadata, self.length).ok_or_else(outside)?;
        let bytes = self.store.get_range(&self.at, start..end).await?;
        let bytes = RowGroupBytes { start, bytes, length: self.length };
        let rows = u64::try_from(metadata.num_rows()).unwrap_or_default();
        let survey = size::survey(&bytes, metadata.columns(), rows);
        let at_once = size::rows_within(batch_bytes(&self.memory), survey.row_bytes);
        let batches = pages::reader(bytes, &self.metadata, group, ProjectionMask::all(), at_once)?;
        Ok(batches.map(|batch| batch.map_err(DeltaTableError::from)))
    }
}
