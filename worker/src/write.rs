//! Data files with statistics, written into the table's location; nobody sees them before a commit names them.

use std::collections::HashMap;
use std::fmt;

use arrow::record_batch::RecordBatch;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::LoadError;
use crate::plan::Plan;
use crate::statistics::Indexed;
use crate::table::Table;

/// Most rows of a row group, and most bytes of it as encoded: what a writer holds of each open file.
const ROW_GROUP_ROWS: usize = 128 * 1024;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Most bytes of rows that the open files of a partitioned table hold together; then all are closed.
const OPEN_PARTITIONS_BYTES: usize = 256 << 20;

/// Tag of a data file in the log: the application id of the chunk that it is made of. One commit may hold several chunks.
pub(crate) const CHUNK_TAG: &str = "sluice.chunk";

/// Which columns a table wants statistics of; a new one those that Delta's defaults say.
pub(crate) fn indexed(table: &Table) -> Indexed {
    let settings = table.state().map(DeltaTableState::table_config);
    let (first, named) = get_num_idx_cols_and_stats_columns(settings, HashMap::new());
    Indexed { first, named }
}

/// Data files of one chunk in the making.
pub(crate) struct DataFiles<'a> {
    table: &'a Table,
    config: WriterConfig,
    writer: DeltaWriter,
    partitioned: bool,
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
    pub(crate) fn new(table: &'a Table, plan: &Plan) -> Self {
        let settings = table.state().map(DeltaTableState::table_config);
        let Indexed { first, named } = indexed(table);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        let config = WriterConfig::new(
            plan.schema().clone(),
            plan.partition_by().to_vec(),
            Some(properties),
            settings.map(TablePropertiesExt::target_file_size),
            None,
            first,
            named,
        );
        let writer = DeltaWriter::new(table.object_store(), config.clone());
        let partitioned = !plan.partition_by().is_empty();
        Self { table, config, writer, partitioned, held: 0, written: Vec::new() }
    }

    /// Writes rows with exactly the columns of the plan.
    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<(), LoadError> {
        self.writer.write(rows).await.map_err(|error| self.failed(error))?;
        self.held += rows.get_array_memory_size();
        if self.partitioned && self.held > OPEN_PARTITIONS_BYTES {
            let next = DeltaWriter::new(self.table.object_store(), self.config.clone());
            let full = std::mem::replace(&mut self.writer, next);
            self.held = 0;
            self.written.extend(full.close().await.map_err(|error| self.failed(error))?);
        }
        Ok(())
    }

    /// Makes the files durable, and marks them with what they are made of: the chunk, or the job of merged ones.
    pub(crate) async fn finish(mut self, made_of: Option<&str>) -> Result<Vec<Add>, LoadError> {
        let table = self.table.uri();
        let rest = self.writer.close().await.map_err(|error| LoadError::table(table, "write data files of", error))?;
        self.written.extend(rest);
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
