//! Data files with statistics, written into the table's location; nobody sees them before a commit names them.
//!
//! Rows are gathered until there are enough for a row group, then written to the files of their partitions while the next ones
//! are gathered. So memory is that of two row groups, whatever the number of columns and partitions.

mod files;
mod instants;
mod merged;
mod order;
mod partitions;
mod row_group;
mod rows;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::kernel::StructField;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use shared::{EncodePool, Memory, Settings};
use tokio::task::JoinHandle;

use self::files::{Files, Target};
use self::partitions::Partitions;
use self::row_group::Encoder;
use self::rows::Rows;
use crate::delta::data_file::DataFile;
use crate::delta::statistics::indexed::Indexed;
use crate::delta::statistics::numbers::NotNumbers;
use crate::delta::table::Table;
use crate::delta::tags::CHUNK_TAG;
use crate::error::LoadError;
use crate::schema::features::maps_columns;
use crate::schema::write_schema::WriteSchema;

/// Most rows of a row group of a table without partitions.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Most bytes of rows that become one row group, as they are in memory; and of files that are not closed, as encoded.
const MOST_BYTES: u64 = 24 << 20;
const LEAST_BYTES: u64 = 4 << 20;

/// Memory is parted so that four loads find room in the default. Half of what a part is reserved for is rows, up to [`MOST_BYTES`]; the
/// other half is what the allocator adds.
const PART_OF_MEMORY: u64 = 14;
const ROWS_PART_OF_MEMORY: u64 = 2 * PART_OF_MEMORY;

/// What the place of a row takes while rows are parted by partitions.
const PLACE_BYTES: usize = size_of::<(u32, u32)>() + size_of::<u32>();

/// Part of the rows gathered that is written at least once they are too many: that of the largest partitions.
const WRITTEN_PART: usize = 4;

/// Times that files are closed since a further column has a value that is not a number. Then all columns of floats lose their bounds: a
/// file for each of thousands of columns would cost more than bounds are worth.
const MOST_CHANGES: usize = 3;

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

/// What the data files of one chunk may take while they are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of rows that are gathered.
    rows: usize,
    /// Bytes that open files hold.
    files: usize,
    /// Partitions that the rows may belong to.
    partitions: usize,
}

impl Room {
    pub(crate) fn of(settings: &Settings) -> Self {
        let part = settings.memory.part(ROWS_PART_OF_MEMORY, LEAST_BYTES, MOST_BYTES);
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        Self { rows: part, files: part, partitions: settings.load.max_partitions }
    }

    /// Bytes for a share of the account: rows that are gathered, rows that are written, and what they become.
    pub(crate) fn needed(memory: &Memory) -> u64 {
        3 * memory.part(PART_OF_MEMORY, LEAST_BYTES, MOST_BYTES)
    }
}

/// Data files of one chunk in the making.
pub(crate) struct DataFiles<'a> {
    table: &'a Table,
    write_schema: &'a WriteSchema,
    room: Room,
    /// Columns of its files that get no dictionary.
    plain: Vec<String>,
    is_partitioned: bool,
    /// Those with values that are not numbers, in the files that are open.
    not_numbers: NotNumbers,
    /// Times that a further one came.
    changes: usize,
    partitions: Partitions,
    /// Rows that are in no file yet, and their bytes.
    gathered: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    files: Stage,
}

/// The files, or the task that has them and writes to them; neither after a task that failed.
enum Stage {
    Idle(Box<Files>),
    Writing(JoinHandle<(Box<Files>, Result<(), LoadError>)>),
    Lost,
}

impl fmt::Debug for DataFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFiles").field("table", self.table).field("room", &self.room).finish_non_exhaustive()
    }
}

impl<'a> DataFiles<'a> {
    /// `plain` are columns, by their places in the schema, whose values are known not to recur: a dictionary of them would cost time
    /// and room.
    pub(crate) fn new(
        table: &'a Table,
        write_schema: &'a WriteSchema,
        room: Room,
        plain: &[usize],
    ) -> Result<Self, LoadError> {
        let plain = plain.iter().filter_map(|place| write_schema.file_fields().get(*place));
        let plain: Vec<String> = plain.map(|field| field.name().clone()).collect();
        let partitions = Partitions::new(write_schema, table.state(), room.partitions);
        let is_partition = |field: &&StructField| write_schema.file_partition_by().contains(field.name());
        let settings = table.state().map(DeltaTableState::table_config);
        let target = Target {
            table: table.uri().clone(),
            store: table.object_store(),
            pool: EncodePool::new(1).map_err(|source| LoadError::Bug {
                what: format!("data files of {}", table.uri()),
                reason: source.to_string(),
            })?,
            columns: write_schema.file_fields().iter().filter(|field| !is_partition(field)).cloned().collect(),
            indexed: indexed(table),
            file_bytes: settings.map_or(u64::MAX, |settings| settings.target_file_size().get()),
            held_bytes: room.files,
        };
        // A file gets whole row groups, and is not to become much larger than the table wants it.
        let wanted = usize::try_from(target.file_bytes).unwrap_or(usize::MAX);
        let room = Room { rows: room.rows.min(wanted), ..room };
        let not_numbers = NotNumbers::default();
        let encoder = encoder(table, &partitions, &not_numbers, &plain)?;
        let files = Stage::Idle(Box::new(Files::new(target, encoder)));
        let (gathered, is_partitioned) = (Vec::new(), !write_schema.partition_by().is_empty());
        Ok(Self {
            table,
            write_schema,
            room,
            plain,
            is_partitioned,
            not_numbers,
            changes: 0,
            partitions,
            gathered,
            rows: 0,
            bytes: 0,
            files,
        })
    }

    /// Writes rows with exactly the columns of the schema.
    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<(), LoadError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = &self.write_schema.to_file(rows).map_err(|error| self.bug(&error))?;
        if self.not_numbers.note(rows) {
            self.leave_out_bounds().await?;
        }
        let mut rest = rows.clone();
        while !self.is_partitioned && self.rows + rest.num_rows() >= ROW_GROUP_ROWS {
            let fitting = ROW_GROUP_ROWS - self.rows;
            self.gather(rest.slice(0, fitting))?;
            self.store(false).await?;
            rest = rest.slice(fitting, rest.num_rows() - fitting);
        }
        if rest.num_rows() > 0 {
            self.gather(rest)?;
        }
        if self.bytes >= self.room.rows { self.store(false).await } else { Ok(()) }
    }

    /// Files with values that are not numbers have no bounds of their column, neither in the log nor of their own; those before have.
    async fn leave_out_bounds(&mut self) -> Result<(), LoadError> {
        self.changes += 1;
        if self.changes == MOST_CHANGES {
            self.not_numbers.suppose_all(self.write_schema.file_schema().fields());
        }
        self.store(true).await?;
        let encoder = encoder(self.table, &self.partitions, &self.not_numbers, &self.plain)?;
        let mut files = self.take_files().await?;
        files.use_encoder(encoder);
        self.files = Stage::Idle(files);
        Ok(())
    }

    fn gather(&mut self, rows: RecordBatch) -> Result<(), LoadError> {
        self.partitions.note(&rows).map_err(|refusal| refusal.of(self.table.uri()))?;
        self.rows += rows.num_rows();
        self.bytes += self.bytes_of(&rows);
        self.gathered.push(rows);
        Ok(())
    }

    /// What rows take until they are in a file.
    fn bytes_of(&self, rows: &RecordBatch) -> usize {
        let places = if self.is_partitioned { rows.num_rows() * PLACE_BYTES } else { 0 };
        rows.get_array_memory_size() + places
    }

    /// Has what was gathered written, once what was gathered before is. `all` says that nothing is kept back, and that files are
    /// closed; otherwise the smallest partitions stay, to become larger.
    async fn store(&mut self, all: bool) -> Result<(), LoadError> {
        let gathered = std::mem::take(&mut self.gathered);
        let (rows, mut parts) = self.partitions.part(gathered).map_err(|error| self.bug(&error))?;
        let mut kept = None;
        if !all {
            let (written, rest) = split_off_small(&rows, parts);
            parts = written;
            kept = partitions::collect(&rows, &rest).map_err(|error| self.bug(&error))?;
            if kept.as_ref().is_some_and(|kept| kept.get_array_memory_size() > self.room.rows / 2) {
                parts.extend(rest);
                kept = None;
            } else if let Some(kept) = &kept {
                self.partitions.keep(kept, &rest);
            }
        }
        (self.rows, self.bytes) = kept.as_ref().map_or((0, 0), |kept| (kept.num_rows(), self.bytes_of(kept)));
        self.gathered = kept.into_iter().collect();
        let mut files = self.take_files().await?;
        self.files = Stage::Writing(tokio::spawn(async move {
            let stored = files.store(Arc::new(rows), parts, all).await;
            (files, stored)
        }));
        Ok(())
    }

    /// Writes what was gathered, and closes the files, so that nothing is held. More rows go to other files.
    pub(crate) async fn flush(&mut self) -> Result<(), LoadError> {
        self.store(true).await?;
        self.files = Stage::Idle(self.take_files().await?);
        Ok(())
    }

    /// The files, once nothing is written to them any more.
    async fn take_files(&mut self) -> Result<Box<Files>, LoadError> {
        match std::mem::replace(&mut self.files, Stage::Lost) {
            Stage::Idle(files) => Ok(files),
            Stage::Writing(task) => {
                let (files, stored) = task.await.map_err(|error| self.bug(&error))?;
                if let Err(error) = stored {
                    self.files = Stage::Idle(files);
                    return Err(error);
                }
                Ok(files)
            }
            Stage::Lost => Err(self.bug(&"the files are gone")),
        }
    }

    /// Makes the files durable, and marks them with what they are made of: the chunk, or the job of merged ones.
    pub(crate) async fn finish(mut self, made_of: Option<&str>) -> Result<Vec<DataFile>, LoadError> {
        let finished = match self.store(true).await {
            Ok(()) => self.take_files().await,
            Err(error) => Err(error),
        };
        let mut written = match finished {
            Ok(files) => files.into_written(),
            Err(error) => {
                self.abort().await;
                return Err(error);
            }
        };
        if let Some(made_of) = made_of {
            for file in &mut written {
                file.tags.insert(CHUNK_TAG.to_owned(), made_of.to_owned());
            }
        }
        Ok(written)
    }

    /// Gives the files up.
    pub(crate) async fn abort(mut self) {
        let files = match std::mem::replace(&mut self.files, Stage::Lost) {
            Stage::Idle(files) => Some(files),
            Stage::Writing(task) => task.await.ok().map(|(files, _)| files),
            Stage::Lost => None,
        };
        if let Some(files) = files {
            self.table.delete_files(&files.abort().await).await;
        }
    }

    fn bug(&self, error: &dyn fmt::Display) -> LoadError {
        LoadError::Bug { what: format!("data files of {}", self.table.uri()), reason: error.to_string() }
    }
}

/// Parts the largest partitions, which are written, from the others.
fn split_off_small(rows: &Rows, mut parts: Vec<partitions::Part>) -> (Vec<partitions::Part>, Vec<partitions::Part>) {
    parts.sort_by_key(|part| std::cmp::Reverse(part.rows.len()));
    let (mut written, enough) = (0, rows.count() - rows.count() / WRITTEN_PART);
    let large = parts.iter().take_while(|part| {
        let is_needed = written < enough;
        written += part.rows.len();
        is_needed
    });
    let large = large.count();
    let small = parts.split_off(large);
    (parts, small)
}

/// Encodes rows of a table. Of columns with values that are not numbers their row groups have no bounds; plain ones have no dictionary.
fn encoder(
    table: &Table,
    partitions: &Partitions,
    not_numbers: &NotNumbers,
    plain: &[String],
) -> Result<Encoder, LoadError> {
    let base = || WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut own: HashMap<String, WriterPropertiesBuilder> = HashMap::new();
    for name in plain {
        own.insert(name.clone(), base().set_dictionary_enabled(false));
    }
    for path in not_numbers.paths() {
        let Some(name) = path.first().cloned() else { continue };
        let properties = own.remove(&name).unwrap_or_else(base);
        let path = ColumnPath::from(path);
        own.insert(name, properties.set_column_statistics_enabled(path, EnabledStatistics::None));
    }
    let own = own.into_iter().map(|(name, properties)| (name, properties.build())).collect();
    Encoder::new(partitions.file_columns(), base().build(), &own, plain)
        .map_err(|error| LoadError::table(table.uri(), "write data files of", error))
}
