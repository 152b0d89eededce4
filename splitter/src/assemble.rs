//! Row groups become chunks: encoded bytes are appended as they are, and the footer is written anew.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::types::ColumnDescPtr;
use shared::checksum::Checksum;
use shared::{ChunkEntry, Location, Storage, Upload};

use crate::encode::{ChunkSchema, Payload, RowGroup};
use crate::error::SplitError;

/// The four bytes that a Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// What moving a column to another place can add to its part of a footer: three offsets of ten bytes at most.
const MOVED_COLUMN_BYTES: u64 = 30;

/// A chunk that is being written.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    index: u32,
    at: Location,
    upload: Box<dyn Upload>,
    /// Bytes so far.
    position: u64,
    checksum: Checksum,
    schema: Arc<ChunkSchema>,
    row_groups: Vec<RowGroupMetaData>,
    /// What the footer has at most.
    footer_bound: u64,
}

impl ChunkWriter {
    /// Begins a chunk.
    pub(crate) async fn start(
        storage: &dyn Storage,
        at: Location,
        index: u32,
        schema: Arc<ChunkSchema>,
    ) -> Result<Self, SplitError> {
        let upload = storage.create(&at).await.map_err(SplitError::WorkArea)?;
        let footer_bound = length(&footer(&schema, Vec::new()).map_err(|error| SplitError::internal(&at, error))?);
        let mut chunk = Self {
            index,
            at,
            upload,
            position: 0,
            checksum: Checksum::default(),
            schema,
            row_groups: Vec::new(),
            footer_bound,
        };
        chunk.write(Bytes::from_static(MAGIC)).await?;
        Ok(chunk)
    }

    /// Whether the chunk, as a file with this row group as its last, would have at most so many bytes.
    ///
    /// That is counted on the footer itself, unless a bound that is quick to come by says that there is room for sure:
    /// a file may have thousands of row groups.
    pub(crate) fn has_room_for(&self, row_group: &RowGroup, chunk_bytes: u64) -> Result<bool, SplitError> {
        let internal = |error| SplitError::internal(&self.at, error);
        let end = self.position + payload_bytes(&row_group.metadata);
        let bound = self.footer_bound + footer_part(&row_group.metadata, &row_group.schema).map_err(internal)?;
        if end + bound <= chunk_bytes {
            return Ok(true);
        }
        let mut row_groups = self.row_groups.clone();
        row_groups.push(self.place(&row_group.metadata)?);
        Ok(end + length(&footer(&self.schema, row_groups).map_err(internal)?) <= chunk_bytes)
    }

    /// Appends a row group.
    pub(crate) async fn append(&mut self, row_group: RowGroup) -> Result<(), SplitError> {
        let RowGroup { metadata, payload, schema } = row_group;
        let placed = self.place(&metadata)?;
        self.footer_bound += footer_part(&metadata, &schema).map_err(|error| SplitError::internal(&self.at, error))?;
        let end = self.position + payload_bytes(&metadata);
        match payload {
            Payload::Memory(file) => {
                for range in joined(metadata.columns().iter().map(byte_range)) {
                    self.write(part(&file, range).unwrap_or_default()).await?;
                }
            }
            Payload::Source(mut pieces) => {
                while let Some(piece) = pieces.recv().await {
                    self.write(piece?).await?;
                }
            }
        }
        if self.position != end {
            return Err(SplitError::internal(&self.at, "a row group has other bytes than its metadata says"));
        }
        self.row_groups.push(placed);
        Ok(())
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.row_groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).sum()
    }

    /// Writes the footer. What is left is to finish the upload, which makes the chunk durable.
    pub(crate) async fn close(mut self) -> Result<(ChunkEntry, Box<dyn Upload>), SplitError> {
        let rows = self.rows();
        let row_groups = std::mem::take(&mut self.row_groups);
        let footer = footer(&self.schema, row_groups).map_err(|error| SplitError::internal(&self.at, error))?;
        self.write(footer).await?;
        let entry = ChunkEntry { index: self.index, rows, bytes: self.position, checksum: self.checksum.text() };
        Ok((entry, self.upload))
    }

    /// Gives the chunk up.
    pub(crate) async fn abort(self) -> Result<(), SplitError> {
        self.upload.abort().await.map_err(SplitError::WorkArea)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), SplitError> {
        self.checksum.update(&bytes);
        self.position += length(&bytes);
        self.upload.write(bytes).await.map_err(SplitError::WorkArea)
    }

    /// The metadata of a row group as it will stand in this chunk.
    fn place(&self, metadata: &RowGroupMetaData) -> Result<RowGroupMetaData, SplitError> {
        let placed = place(metadata, &self.schema, self.position, self.row_groups.len());
        placed.map_err(|error| SplitError::internal(&self.at, error))
    }
}

/// Moves a row group to `position`, as the `ordinal`-th of its file.
fn place(
    metadata: &RowGroupMetaData,
    schema: &ChunkSchema,
    position: u64,
    ordinal: usize,
) -> Result<RowGroupMetaData, ParquetError> {
    let mut next = position;
    let columns: Result<Vec<_>, ParquetError> = metadata
        .columns()
        .iter()
        .zip(schema.columns.columns())
        .map(|(column, described)| {
            let placed = place_column(column, described, next);
            let range = byte_range(column);
            next += range.end - range.start;
            placed
        })
        .collect();
    let mut placed = RowGroupMetaData::builder(Arc::clone(&schema.columns))
        .set_num_rows(metadata.num_rows())
        .set_total_byte_size(metadata.total_byte_size())
        .set_sorting_columns(metadata.sorting_columns().cloned())
        .set_file_offset(signed(position))
        .set_column_metadata(columns?);
    // The format has 16 bits for it, and readers do without.
    if let Ok(ordinal) = i16::try_from(ordinal) {
        placed = placed.set_ordinal(ordinal);
    }
    placed.build()
}

/// Size in bytes of a file with this row group alone.
pub(crate) fn file_bytes(metadata: &RowGroupMetaData, schema: &ChunkSchema) -> Result<u64, ParquetError> {
    let start = u64::try_from(MAGIC.len()).unwrap_or_default();
    let placed = place(metadata, schema, start, 0)?;
    Ok(start + payload_bytes(&placed) + length(&footer(schema, vec![placed])?))
}

/// What a row group adds to a footer at most, in bytes.
fn footer_part(metadata: &RowGroupMetaData, schema: &ChunkSchema) -> Result<u64, ParquetError> {
    let columns = u64::try_from(metadata.num_columns()).unwrap_or_default();
    let alone = length(&footer(schema, vec![place(metadata, schema, 0, 0)?])?);
    Ok(alone + MOVED_COLUMN_BYTES * (columns + 1) - length(&footer(schema, Vec::new())?))
}

/// Where a column chunk stands: from its dictionary, or its first data page, for its compressed size.
pub(crate) fn byte_range(column: &ColumnChunkMetaData) -> Range<u64> {
    let data = column.data_page_offset();
    // Some writers say 0 where there is no dictionary.
    let start = column.dictionary_page_offset().filter(|offset| *offset > 0 && *offset < data).unwrap_or(data);
    let start = u64::try_from(start).unwrap_or_default();
    start..start + u64::try_from(column.compressed_size()).unwrap_or_default()
}

/// Ranges, with those that follow each other as one.
pub(crate) fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// A part of an object in memory; `None` when it lies outside.
fn part(object: &Bytes, range: Range<u64>) -> Option<Bytes> {
    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
    (start <= end && end <= object.len()).then(|| object.slice(start..end))
}

/// Size of the column chunks of a row group, in bytes.
pub(crate) fn payload_bytes(row_group: &RowGroupMetaData) -> u64 {
    row_group.columns().iter().map(byte_range).map(|range| range.end - range.start).sum()
}

/// Moves a column chunk to `position`. What lies outside of its pages, bloom filter and page index, is left behind.
fn place_column(
    column: &ColumnChunkMetaData,
    described: &ColumnDescPtr,
    position: u64,
) -> Result<ColumnChunkMetaData, ParquetError> {
    let start = byte_range(column).start;
    let moved = |offset: i64| signed(u64::try_from(offset).unwrap_or_default().saturating_sub(start) + position);
    let has_dictionary = signed(start) != column.data_page_offset();
    let mut builder = ColumnChunkMetaData::builder(Arc::clone(described))
        .set_encodings_mask(*column.encodings_mask())
        .set_num_values(column.num_values())
        .set_compression_codec(column.compression_codec())
        .set_total_compressed_size(column.compressed_size())
        .set_total_uncompressed_size(column.uncompressed_size())
        .set_data_page_offset(moved(column.data_page_offset()))
        .set_dictionary_page_offset(has_dictionary.then(|| signed(position)))
        .set_unencoded_byte_array_data_bytes(column.unencoded_byte_array_data_bytes())
        .set_repetition_level_histogram(column.repetition_level_histogram().cloned())
        .set_definition_level_histogram(column.definition_level_histogram().cloned());
    if let Some(statistics) = column.statistics() {
        builder = builder.set_statistics(statistics.clone());
    }
    if let Some(pages) = column.page_encoding_stats() {
        builder = builder.set_page_encoding_stats(pages.clone());
    }
    builder.build()
}

/// The end of a file.
pub(crate) fn footer(schema: &ChunkSchema, row_groups: Vec<RowGroupMetaData>) -> Result<Bytes, ParquetError> {
    let rows = row_groups.iter().map(RowGroupMetaData::num_rows).sum();
    let described = FileMetaData::new(
        2,
        rows,
        Some("sluice".to_owned()),
        schema.key_values.clone(),
        Arc::clone(&schema.columns),
        None,
    );
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &ParquetMetaData::new(described, row_groups)).finish()?;
    Ok(BytesMut::from(footer.as_slice()).freeze())
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
