//! Chunks that are data files already: copied beside the table's others as they are, and not decoded.
//!
//! A chunk is taken over when readers of the table cannot tell it from what the worker would have written, but for codec and row
//! groups. Its bytes are those of its task, or nothing is committed; its file has a new name at each attempt, as other data
//! files have, and the chunk stays for whoever gets its message again.

use std::collections::BTreeMap;

use buoyant_kernel::table_properties::TableProperties;
use deltalake::kernel::StructField;
use deltalake::logstore::object_store::buffered::BufWriter;
use deltalake::logstore::object_store::{Error as ObjectStoreError, ObjectStoreExt};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTableError, Path};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use shared::checksum::Checksum;
use shared::{DataFileMode, Rows, Settings, StorageError};
use tokio::io::AsyncWriteExt;

use crate::chunk::AssignedChunk;
use crate::context::LoadContext;
use crate::delta::data_file::DataFile;
use crate::delta::statistics::footer::Footer;
use crate::delta::statistics::numbers::NotNumbers;
use crate::delta::statistics::statistics;
use crate::delta::table::Table;
use crate::delta::tags::{CHECKSUM_TAG, CHUNK_TAG};
use crate::delta::write::indexed;
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::rows::row_counts::RowCounts;
use crate::schema::columns::accommodate;
use crate::schema::write_schema::{Sources, WriteSchema};

/// Bytes that are passed on at once, and the size of the parts of an upload.
const PIECE_BYTES: u64 = 8 << 20;

/// Parts that are on their way at once, and with them the one that is read.
const PARTS_AT_ONCE: usize = 2;
const PIECES: u64 = 3;

/// Encodings of values that all readers of Delta tables know.
const ENCODINGS: [Encoding; 8] = [
    Encoding::PLAIN,
    Encoding::PLAIN_DICTIONARY,
    Encoding::RLE_DICTIONARY,
    Encoding::RLE,
    #[expect(deprecated, reason = "levels of old files have it")]
    Encoding::BIT_PACKED,
    Encoding::DELTA_BINARY_PACKED,
    Encoding::DELTA_LENGTH_BYTE_ARRAY,
    Encoding::DELTA_BYTE_ARRAY,
];

/// A chunk as a data file that nobody sees yet, with what the table becomes by it; none when its rows are to be rewritten.
pub(crate) async fn copy_chunk(
    context: &LoadContext,
    table: &Table,
    write_schema: &WriteSchema,
    chunk: &AssignedChunk,
    file: &ChunkFile,
) -> Result<Option<(WriteSchema, Vec<DataFile>, RowCounts)>, LoadError> {
    // What does not fit at all is told of where rows are written.
    let Ok((write_schema, sources)) = accommodate(table, write_schema, file.schema()).await else { return Ok(None) };
    let properties = table.state().map(DeltaTableState::table_config);
    let obstacle = obstacle(&context.settings, properties, chunk, file, &write_schema, &sources);
    let (None, Some(checksum)) = (obstacle, file.checksum()) else {
        tracing::debug!(chunk = %chunk.at, obstacle, "rows are written again");
        return Ok(None);
    };
    let internal =
        |error: &dyn std::error::Error| LoadError::Bug { what: chunk.at.to_string(), reason: error.to_string() };
    let footer = Footer::new(file.footer());
    let columns: Vec<&StructField> = write_schema.fields().iter().collect();
    // The splitter gives no bounds to parts of a chunk that have a value which is not a number.
    let stats = statistics(&footer, file.rows(), &columns, &indexed(table), &NotNumbers::default());
    let stats = stats.map_err(|error| internal(&error))?;
    let held = file.size().min(PIECE_BYTES * PIECES);
    let share = context.settings.memory.reserve(held).await;
    let _share = share.map_err(|source| LoadError::Memory {
        at: Box::new(chunk.at.clone()),
        what: "a piece".to_owned(),
        source,
    })?;
    let path = copy(context, table, file).await?;
    let tags = [(CHUNK_TAG, chunk.app_id.as_str()), (CHECKSUM_TAG, checksum)];
    let data_file = DataFile {
        path: path.to_string(),
        bytes: file.size(),
        written: crate::delta::log::now(),
        partition: BTreeMap::new(),
        statistics: Some(stats),
        tags: tags.map(|(tag, value)| (tag.to_owned(), value.to_owned())).into(),
    };
    let rows = Rows { read: file.rows(), committed: file.rows(), ..Rows::default() };
    let counts = RowCounts { rows, row_hash: None, checksum: Some(checksum.to_owned()), expectations: None };
    Ok(Some((write_schema, vec![data_file], counts)))
}

/// Why a chunk cannot be a data file of the table as it is; none when it can.
fn obstacle(
    settings: &Settings,
    properties: Option<&TableProperties>,
    chunk: &AssignedChunk,
    file: &ChunkFile,
    write_schema: &WriteSchema,
    sources: &Sources,
) -> Option<&'static str> {
    let target = properties.and_then(|properties| properties.target_file_size);
    if settings.load.data_files == DataFileMode::Rewritten {
        Some("DATA_FILES is rewritten")
    } else if !chunk.shaping.is_none() {
        Some("it goes through SQL, or columns of provenance are added")
    } else if chunk.expectations.is_some() {
        Some("its rows are judged by expectations")
    } else if file.checksum().is_none() || chunk.parquet_source.is_some() {
        // What its pages hold, nobody knows before they are decoded.
        Some("its row groups were encoded by others")
    } else if !write_schema.partition_by().is_empty() {
        Some("the table is partitioned")
    } else if write_schema.is_mapped() {
        Some("the table maps names of columns")
    } else if !write_schema.constraints().is_empty() {
        Some("the table has constraints that its rows are to be checked by")
    } else if file.rows() == 0 {
        Some("it has no rows")
    } else if target.is_some_and(|target| target.get() < file.size()) {
        Some("it is larger than delta.targetFileSize")
    } else {
        obstacle_in_columns(file, write_schema, sources).or_else(|| obstacle_in_pages(file))
    }
}

fn obstacle_in_columns(file: &ChunkFile, write_schema: &WriteSchema, sources: &Sources) -> Option<&'static str> {
    let described = file.footer().file_metadata().schema_descr();
    // Readers that are not of Arrow heed none of the hints that it leaves in a file.
    let Ok(bare) = parquet_to_arrow_schema(described, None) else { return Some("its types are not known") };
    let footer = Footer::new(file.footer());
    for (field, source) in write_schema.schema().fields().iter().zip(sources) {
        let Some(source) = source else {
            if field.is_nullable() {
                continue;
            }
            return Some("it lacks a column that must not be null");
        };
        let (Some(hinted), Some(bare)) = (file.schema().fields().get(*source), bare.fields().get(*source)) else {
            return Some("its types are not known");
        };
        if hinted.name() != field.name() || bare.name() != field.name() {
            return Some("a column has another name");
        }
        if hinted.data_type() != field.data_type() || bare.data_type() != field.data_type() {
            return Some("a column has another type");
        }
        if !field.is_nullable() && footer.null_count(std::slice::from_ref(field.name())) != Some(0) {
            return Some("a column that must not be null may be");
        }
    }
    None
}

fn obstacle_in_pages(file: &ChunkFile) -> Option<&'static str> {
    for column in file.footer().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let codec = column.compression();
        if !matches!(
            codec,
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_)
        ) {
            return Some("not all readers know its codec");
        }
        if !column.encodings().all(|encoding| ENCODINGS.contains(&encoding)) {
            return Some("not all readers know its encodings");
        }
    }
    None
}

/// Copies the chunk to a new name in the table's location: within the store where that can be, else through this process.
async fn copy(context: &LoadContext, table: &Table, file: &ChunkFile) -> Result<Path, LoadError> {
    let codec = file
        .footer()
        .row_groups()
        .first()
        .and_then(|group| group.columns().first())
        .map(ColumnChunkMetaData::compression);
    let codec = match codec {
        Some(Compression::SNAPPY) => ".snappy",
        Some(Compression::ZSTD(_)) => ".zstd",
        Some(Compression::GZIP(_)) => ".gz",
        _ => "",
    };
    let name = || Path::from(format!("part-00000-{}-c000{codec}.parquet", uuid::Uuid::new_v4()));
    let path = name();
    // A store of its own is not at the table's URI.
    if context.table_store.object_store.is_none() && copy_within(context, table, file, &path).await? {
        return Ok(path);
    }
    // Another name: a copy that is given up may be deleted late.
    let path = name();
    pass_on(table, file, &path).await?;
    Ok(path)
}

/// Has the store copy the chunk; gives whether it did.
async fn copy_within(context: &LoadContext, table: &Table, file: &ChunkFile, path: &Path) -> Result<bool, LoadError> {
    let storage = context.storage.as_ref();
    let to = table.uri().join(path.as_ref());
    let checksum = match file.copy_to(&to).await {
        Ok(Some(copied)) => copied.checksum,
        Ok(None) => return Ok(false),
        Err(source @ (StorageError::NotFound { .. } | StorageError::Changed { .. })) => {
            return Err(LoadError::reading(file.at(), source));
        }
        Err(error) => {
            // Who may not, or cannot, copy from the one to the other may yet read the one and write the other.
            tracing::debug!(chunk = %file.at(), %to, reason = shared::error_chain(&error), "not copied within the store");
            return Ok(false);
        }
    };
    // A copy that is not right, or of which that is not known, says nothing of the chunk.
    let is_right = checksum.is_some_and(|checksum| file.compare(&checksum).is_ok());
    // Keys with unusual characters may lie elsewhere for the table's own store.
    let is_there = is_right && has_footer(table, file, path).await?;
    if !is_there {
        storage.delete(&to).await?;
    }
    Ok(is_there)
}

/// Whether the file in the table's store is as long as the chunk, and ends as it does.
async fn has_footer(table: &Table, file: &ChunkFile, path: &Path) -> Result<bool, LoadError> {
    let (start, tail) = file.tail();
    let store = table.object_store();
    let seen = async {
        let is_as_long = store.head(path).await?.size == file.size();
        Ok::<_, ObjectStoreError>(is_as_long && store.get_range(path, start..file.size()).await? == *tail)
    };
    match seen.await {
        Ok(seen) => Ok(seen),
        Err(ObjectStoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(LoadError::table(table.uri(), "look for a data file of", error)),
    }
}

/// Reads the chunk and writes it to the table's own store. It is there only if it is what its task says.
async fn pass_on(table: &Table, file: &ChunkFile, path: &Path) -> Result<(), LoadError> {
    let piece = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
    let mut upload = BufWriter::with_capacity(table.object_store(), path.clone(), piece);
    upload = upload.with_max_concurrency(PARTS_AT_ONCE);
    let failed = |error: ObjectStoreError| LoadError::table(table.uri(), "write data files of", error);
    let passed = async {
        let (mut checksum, mut start) = (Checksum::default(), 0);
        while start < file.size() {
            let end = file.size().min(start + PIECE_BYTES);
            let bytes = file.read(start, end).await?;
            checksum.update(&bytes);
            upload.put(bytes).await.map_err(failed)?;
            start = end;
        }
        file.compare(&checksum.text())
    };
    if let Err(error) = passed.await {
        if let Err(error) = upload.abort().await {
            tracing::debug!(table = %table.uri(), %error, "parts of a data file left for the store's own cleaning");
        }
        return Err(error);
    }
    upload.shutdown().await.map_err(|error| match error.downcast() {
        Ok(error) => failed(error),
        Err(source) => LoadError::table(table.uri(), "write data files of", DeltaTableError::Io { source }),
    })
}
