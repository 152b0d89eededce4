//! Data files with statistics, written into the table's location; nobody sees them before a commit names them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::{Add, StructField};
use deltalake::logstore::ObjectStoreRef;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTableError, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::error::LoadError;
use crate::features::maps_columns;
use crate::plan::Plan;
use crate::statistics::{Footer, Indexed, NotNumbers, read_footer, statistics};
use crate::table::Table;

/// Most rows of a row group, and most bytes of it as encoded: what a writer holds of each open file.
const ROW_GROUP_ROWS: usize = 128 * 1024;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Most bytes of rows that the open files of a partitioned table hold together; then all are closed.
const OPEN_PARTITIONS_BYTES: usize = 256 << 20;

/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// Tag of a data file in the log: the application id of the chunk that it is made of. One commit may hold several chunks.
pub(crate) const CHUNK_TAG: &str = "sluice.chunk";

/// Which columns a table wants statistics of; a new one those that Delta's defaults say.
pub(crate) fn indexed(table: &Table) -> Indexed {
    let settings = table.state().map(DeltaTableState::table_config);
    let (mut first, mut named) = get_num_idx_cols_and_stats_columns(settings, HashMap::new());
    if named.is_some() && table.state().is_some_and(maps_columns) {
        // Named are columns of the table, and not of its files: all have these, and no less.
        (first, named) = (DataSkippingNumIndexedCols::AllColumns, None);
    }
    Indexed { first, named, also: table.clustered_by().to_vec() }
}

/// Data files of one chunk in the making.
pub(crate) struct DataFiles<'a> {
    table: &'a Table,
    plan: &'a Plan,
    /// Columns that the files have.
    columns: Vec<StructField>,
    /// Those with values that are no number, in the files that are open.
    not_numbers: NotNumbers,
    writer: DeltaWriter,
    /// Bytes of rows that went to `writer`.
    held: usize,
    written: Vec<Add>,
}

impl fmt::Debug for DataFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFiles").field("table", self.table).field("written", &self.written).finish_non_exhaustive()
    }
}

impl<'a> DataFiles<'a> {
    pub(crate) fn new(table: &'a Table, plan: &'a Plan) -> Self {
        let is_partition = |field: &&StructField| plan.file_partition_by().contains(field.name());
        let columns = plan.file_fields().iter().filter(|field| !is_partition(field)).cloned().collect();
        let not_numbers = NotNumbers::default();
        let writer = writer(table, plan, &not_numbers);
        Self { table, plan, columns, not_numbers, writer, held: 0, written: Vec::new() }
    }

    /// Writes rows with exactly the columns of the plan.
    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<(), LoadError> {
        let rows = &self.plan.to_file(rows).map_err(|error| self.failed(error.into()))?;
        if self.not_numbers.note(rows) {
            // Files with such values have no bounds of their column, neither in the log nor of their own; those before have.
            self.next_files().await?;
        }
        self.writer.write(rows).await.map_err(|error| self.failed(error))?;
        self.held += rows.get_array_memory_size();
        if !self.plan.partition_by().is_empty() && self.held > OPEN_PARTITIONS_BYTES {
            self.next_files().await?;
        }
        Ok(())
    }

    /// Closes the files that are open.
    async fn next_files(&mut self) -> Result<(), LoadError> {
        let next = writer(self.table, self.plan, &self.not_numbers);
        let full = std::mem::replace(&mut self.writer, next);
        self.held = 0;
        self.written.extend(full.close().await.map_err(|error| self.failed(error))?);
        Ok(())
    }

    /// Makes the files durable, and marks them with what they are made of: the chunk, or the job of merged ones.
    pub(crate) async fn finish(mut self, made_of: Option<&str>) -> Result<Vec<Add>, LoadError> {
        let table = self.table.uri();
        let rest = self.writer.close().await.map_err(|error| LoadError::table(table, "write data files of", error))?;
        self.written.extend(rest);
        if let Err(error) = describe(self.table, &self.columns, &mut self.written).await {
            self.table.delete_files(&self.written).await;
            return Err(error);
        }
        if let Some(made_of) = made_of {
            for file in &mut self.written {
                file.tags.get_or_insert_default().insert(CHUNK_TAG.to_owned(), Some(made_of.to_owned()));
            }
        }
        Ok(self.written)
    }

    /// Gives the files up.
    pub(crate) async fn abort(self) {
        if let Err(error) = self.writer.abort().await {
            tracing::debug!(table = %self.table.uri(), %error, "parts of a data file left for the store's own cleaning");
        }
        self.table.delete_files(&self.written).await;
    }

    fn failed(&self, error: deltalake::DeltaTableError) -> LoadError {
        LoadError::table(self.table.uri(), "write data files of", error)
    }
}

/// Writes data files of a table. Of columns with values that are no number they have no bounds.
fn writer(table: &Table, plan: &Plan, not_numbers: &NotNumbers) -> DeltaWriter {
    let settings = table.state().map(DeltaTableState::table_config);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    for path in not_numbers.paths() {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(path), EnabledStatistics::None);
    }
    let config = WriterConfig::new(
        Arc::clone(plan.file_schema()),
        plan.file_partition_by().to_vec(),
        Some(properties.build()),
        settings.map(TablePropertiesExt::target_file_size),
        None,
        // Its bounds of decimals are rounded, and too tight. Ours are of the files' footers.
        DataSkippingNumIndexedCols::NumColumns(0),
        None,
    );
    DeltaWriter::new(table.object_store(), config)
}

/// Gives files that were just written their statistics.
async fn describe(table: &Table, columns: &[StructField], files: &mut [Add]) -> Result<(), LoadError> {
    let failed = |error| LoadError::table(table.uri(), "read the data files just written to", error);
    let (store, indexed, columns) = (table.object_store(), indexed(table), columns.iter().collect::<Vec<_>>());
    let mut places = Vec::new();
    for file in files.iter() {
        let at = Path::parse(&file.path).map_err(|error| failed(ObjectStoreError::from(error).into()))?;
        places.push((at, u64::try_from(file.size).map_err(|error| failed(DeltaTableError::generic(error)))?));
    }
    let reads = places.into_iter().map(|(at, size)| {
        let store = ObjectStoreRef::clone(&store);
        async move { read_footer(store.as_ref(), &at, size).await }
    });
    let mut footers = stream::iter(reads).buffered(FOOTERS_AT_ONCE);
    for file in files {
        let Some(footer) = footers.try_next().await.map_err(failed)? else { break };
        let footer = Footer::new(&footer);
        let rows = footer.rows().unwrap_or_default();
        // What has values that are no number has no bounds in the footer.
        let statistics = statistics(&footer, rows, &columns, &indexed, &NotNumbers::default());
        let statistics = statistics.map_err(|error| failed(error.into()))?;
        file.stats = Some(statistics);
    }
    Ok(())
}
