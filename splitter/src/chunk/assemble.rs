//! Row groups become chunks: encoded bytes are appended as they are, and a new footer is written.

mod footer;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::schema::types::ColumnDescPtr;
use shared::checksum::Checksum;
use shared::{ChunkEntry, Location, Storage, Upload};

use self::footer::GrowingFooter;
pub(crate) use self::footer::{Entry, footer};
use crate::chunk::row_group::MAGIC;
use crate::chunk::row_group::{ChunkSchema, Payload, RowGroup};
use crate::error::SplitError;

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
    footer: GrowingFooter,
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
        let footer = GrowingFooter::new(&schema).map_err(|error| SplitError::internal(&at, error))?;
        let mut chunk = Self { index, at, upload, position: 0, checksum: Checksum::default(), schema, footer };
        chunk.write(Bytes::from_static(MAGIC)).await?;
        Ok(chunk)
    }

    /// The place of a row group in the footer, if the chunk, as a file with this row group as its last, would have at most so many bytes.
    pub(crate) fn entry_with(&self, row_group: &RowGroup, chunk_bytes: u64) -> Result<Option<Entry>, SplitError> {
        let metadata = &row_group.metadata;
        let placed = place(metadata, &self.schema, self.position, self.footer.row_groups());
        let entry = placed.and_then(|placed| self.footer.entry(&self.schema, placed));
        let entry = entry.map_err(|error| SplitError::internal(&self.at, error))?;
        let footer = u64::try_from(self.footer.bytes_with(&entry)).unwrap_or(u64::MAX);
        Ok((self.position + payload_bytes(metadata) + footer <= chunk_bytes).then_some(entry))
    }

    /// Appends a row group, for which there is a place.
    pub(crate) async fn append(&mut self, row_group: RowGroup, entry: Entry) -> Result<(), SplitError> {
        let RowGroup { metadata, payload, .. } = row_group;
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
        self.footer.push(&entry);
        Ok(())
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.footer.rows()).unwrap_or_default()
    }

    /// Writes the footer. What is left is to finish the upload, which makes the chunk durable.
    pub(crate) async fn close(self) -> Result<(ChunkEntry, Box<dyn Upload>), SplitError> {
        let rows = self.rows();
        let Self { index, at, mut upload, mut position, mut checksum, footer, .. } = self;
        for piece in footer.finish().map_err(|error| SplitError::internal(&at, error))? {
            checksum.update(&piece);
            position += length(&piece);
            upload.write(piece).await.map_err(SplitError::WorkArea)?;
        }
        Ok((ChunkEntry { index, rows, bytes: position, checksum: checksum.text() }, upload))
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

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
