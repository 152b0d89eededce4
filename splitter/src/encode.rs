//! Rows become encoded row groups, none of which is too large for a chunk.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescPtr};
use tokio::sync::mpsc;

use crate::error::SplitError;

/// One encoded row group, and where its bytes are.
#[derive(Debug)]
pub(crate) struct RowGroup {
    /// Its metadata, with the offsets at which its columns stand in `payload`.
    pub(crate) metadata: RowGroupMetaData,
    /// Its bytes.
    pub(crate) payload: Payload,
    /// What a file of this row group says of its schema.
    pub(crate) schema: Arc<ChunkSchema>,
}

/// Where the bytes of a row group are.
#[derive(Debug)]
pub(crate) enum Payload {
    /// A Parquet file in memory that has only this row group.
    Memory(Bytes),
    /// In the source, a Parquet file itself: they come in pieces, one column after the other.
    Source(mpsc::Receiver<Result<Bytes, SplitError>>),
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
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(of_rows(rows, properties)?))?;
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

/// Properties with dictionaries for those columns that earn them. A function of the rows alone, as a chunk's bytes must be.
fn of_rows(rows: &RecordBatch, properties: &WriterProperties) -> Result<WriterProperties, ParquetError> {
    let mut builder = properties.clone().into_builder();
    for (column, field) in rows.columns().iter().zip(rows.schema_ref().fields()) {
        if !earns_dictionary(column)? {
            builder = builder.set_column_dictionary_enabled(ColumnPath::new(vec![field.name().clone()]), false);
        }
    }
    Ok(builder.build())
}

/// Runs of neighbouring values, evenly over the column, that tell whether it earns a dictionary.
const SAMPLE_RUNS: usize = 256;

/// Values of each.
const SAMPLE_RUN: usize = 4;

/// The share of a sample that must have occurred in it before, as a divisor. Of values in no order, it has so many when a
/// column of 32,768 rows has fewer than 8,192 different ones.
const REPEATED_SHARE: usize = 16;

/// Whether the values of a column occur often enough that writing each once, and its number in its places, pays.
fn earns_dictionary(column: &ArrayRef) -> Result<bool, ParquetError> {
    let has_many_values = matches!(
        column.data_type(),
        DataType::Int64
            | DataType::Float64
            | DataType::Decimal128(_, _)
            | DataType::Date32
            | DataType::Timestamp(_, _)
            | DataType::Utf8
    );
    let rows = column.len();
    if rows < SAMPLE_RUNS * SAMPLE_RUN || !has_many_values {
        return Ok(true);
    }
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(column.data_type().clone()));
    let places = (0..SAMPLE_RUNS).flat_map(|run| (0..SAMPLE_RUN).map(move |place| run * (rows / SAMPLE_RUNS) + place));
    let places: UInt64Array = places.filter_map(|place| u64::try_from(place).ok()).collect();
    let sample = take(column, &places, None)?;
    let values = sample.len() - sample.null_count();
    let different = cast(&sample, &dictionary)?.as_any_dictionary_opt().map_or(0, |sample| sample.values().len());
    Ok(different + values / REPEATED_SHARE <= values)
}

fn row_group(metadata: &ParquetMetaData, file: Bytes) -> Option<RowGroup> {
    let described = metadata.file_metadata();
    let schema =
        ChunkSchema { columns: described.schema_descr_ptr(), key_values: described.key_value_metadata().cloned() };
    let metadata = metadata.row_groups().first()?.clone();
    Some(RowGroup { metadata, payload: Payload::Memory(file), schema: Arc::new(schema) })
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn dictionaries_are_for_values_that_recur() {
        const ROWS: i64 = 32_768;
        let integers =
            |value: fn(i64) -> i64, rows| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(value))) };
        let cases: [(&str, ArrayRef, bool); 10] = [
            ("one value", integers(|_| 7, ROWS), true),
            ("few values", integers(|row| row * 7919 % 1000, ROWS), true),
            ("many values", integers(|row| row * 7919 % 30_011, ROWS), false),
            ("each once", integers(|row| row, ROWS), false),
            ("each four times in a row", integers(|row| row / 4, ROWS), true),
            ("too few to tell", integers(|row| row, 1023), true),
            ("nulls", Arc::new(Int64Array::new_null(32_768)), true),
            ("numbers", Arc::new(Float64Array::from_iter_values((0..32_768).map(f64::from))), false),
            ("texts", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| row.to_string()))), false),
            ("booleans, which have none", Arc::new(BooleanArray::from(vec![true; 32_768])), true),
        ];
        for (what, column, expected) in cases {
            assert_eq!(earns_dictionary(&column).unwrap(), expected, "{what}");
        }
    }
}
