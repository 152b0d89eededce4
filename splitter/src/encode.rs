//! Rows become encoded row groups, none of which is too large for a chunk.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::SchemaDescPtr;

/// One encoded row group, and where its bytes are.
#[derive(Clone, Debug)]
pub(crate) struct RowGroup {
    /// Its metadata, with the offsets at which its columns stand in `payload`.
    pub(crate) metadata: RowGroupMetaData,
    /// Its bytes.
    pub(crate) payload: Payload,
    /// What a file of this row group says of its schema.
    pub(crate) schema: Arc<ChunkSchema>,
}

/// Where the bytes of a row group are.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// A Parquet file in memory that has only this row group.
    Memory(Bytes),
    /// The source, a Parquet file itself.
    Source,
}

/// What the footer of a chunk says of its columns.
#[derive(Clone, Debug)]
pub(crate) struct ChunkSchema {
    /// Columns as Parquet knows them.
    pub(crate) columns: SchemaDescPtr,
    /// The Arrow schema, and what else is kept by key.
    pub(crate) key_values: Option<Vec<KeyValue>>,
}

/// Why rows could not be encoded.
#[derive(Debug)]
pub(crate) enum EncodeError {
    /// One row alone is larger than a chunk.
    RowTooLarge,
    /// The encoder failed.
    Parquet(ParquetError),
}

impl From<ParquetError> for EncodeError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// How chunks are encoded. Everything that is set here is part of what a chunk's bytes are.
pub(crate) fn properties(codec: &str) -> WriterProperties {
    let compression = match codec {
        "zstd" => Compression::ZSTD(ZstdLevel::default()),
        "lz4" => Compression::LZ4_RAW,
        "none" => Compression::UNCOMPRESSED,
        _ => Compression::SNAPPY,
    };
    WriterProperties::builder()
        .set_created_by("sluice".to_owned())
        .set_compression(compression)
        // A chunk is read whole, so statistics of single pages and their index would only be carried along.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // One batch, one row group.
        .set_max_row_group_row_count(None)
        .build()
}

/// Encodes rows as one row group, or, while that would be larger than `limit` bytes, each half by itself.
pub(crate) fn encode(
    rows: &RecordBatch,
    properties: &WriterProperties,
    limit: u64,
) -> Result<Vec<RowGroup>, EncodeError> {
    let mut encoded = Vec::new();
    encode_from(rows, properties, limit, &mut encoded)?;
    Ok(encoded)
}

fn encode_from(
    rows: &RecordBatch,
    properties: &WriterProperties,
    limit: u64,
    encoded: &mut Vec<RowGroup>,
) -> Result<(), EncodeError> {
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.clone()))?;
    writer.write(rows)?;
    let metadata = writer.finish()?;
    let file = std::mem::take(writer.inner_mut());
    if u64::try_from(file.len()).unwrap_or(u64::MAX) <= limit {
        encoded.extend(row_group(&metadata, file.into()));
        return Ok(());
    }
    let half = rows.num_rows() / 2;
    if half == 0 {
        return Err(EncodeError::RowTooLarge);
    }
    encode_from(&rows.slice(0, half), properties, limit, encoded)?;
    encode_from(&rows.slice(half, rows.num_rows() - half), properties, limit, encoded)
}

fn row_group(metadata: &ParquetMetaData, file: Bytes) -> Option<RowGroup> {
    let described = metadata.file_metadata();
    let schema =
        ChunkSchema { columns: described.schema_descr_ptr(), key_values: described.key_value_metadata().cloned() };
    let metadata = metadata.row_groups().first()?.clone();
    Some(RowGroup { metadata, payload: Payload::Memory(file), schema: Arc::new(schema) })
}
