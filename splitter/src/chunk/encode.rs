//! Rows become encoded row groups, none of which is too large for a chunk.

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::ColumnPath;

use crate::chunk::assemble::file_bytes;
use crate::chunk::row_group::ChunkSchema;
use crate::chunk::row_group::MAGIC;
use crate::chunk::row_group::Payload;
use crate::chunk::row_group::RowGroup;
use crate::column::batch::Batch;
use shared::column_chunk::{ColumnChunk, Compressor};

/// Version of what decides a chunk's bytes besides the policy. To be raised with every change that makes other bytes of the same
/// rows: an attempt that cuts a job otherwise than the one before it would double rows, or lose them.
pub(crate) const ENCODER: u32 = 7;

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

/// How chunks are compressed, by the name that the policy has for it.
pub(crate) fn compression(codec: &str) -> Compression {
    match codec {
        "zstd" => Compression::ZSTD(ZstdLevel::default()),
        "lz4" => Compression::LZ4_RAW,
        "none" => Compression::UNCOMPRESSED,
        _ => Compression::SNAPPY,
    }
}

/// How chunks are encoded by the `parquet` crate. Everything that is set here is part of what a chunk's bytes are.
pub(crate) fn properties(codec: &str) -> WriterProperties {
    WriterProperties::builder()
        .set_created_by("sluice".to_owned())
        .set_compression(compression(codec))
        // A chunk is read whole, so statistics of single pages and their index would only be carried along.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // One batch, one row group.
        .set_max_row_group_row_count(None)
        .build()
}

/// Encodes rows of any types as one row group, or, while that would be larger than `limit` bytes, each half by itself.
pub(crate) fn encode(
    rows: &RecordBatch,
    properties: &WriterProperties,
    limit: u64,
) -> Result<Vec<RowGroup>, EncodeError> {
    let mut encoded = Vec::new();
    let mut encode_one = |part: Range<usize>| {
        let rows = &rows.slice(part.start, part.len());
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(of_rows(rows, properties)?))?;
        writer.write(rows)?;
        let metadata = writer.finish()?;
        row_group(&metadata, std::mem::take(writer.inner_mut()).into())
    };
    encode_to_fit(0..rows.num_rows(), limit, &mut encode_one, &mut encoded)?;
    Ok(encoded)
}

/// Encodes the rows of a text, as one row group or in halves.
pub(crate) fn encode_text(
    rows: &Batch,
    schema: &Arc<ChunkSchema>,
    compression: Compression,
    limit: u64,
) -> Result<Vec<RowGroup>, EncodeError> {
    let mut encoded = Vec::new();
    let mut compressor = Compressor::new(compression);
    let mut encode_one = |part: Range<usize>| {
        let rows = rows.slice(part.start, part.len());
        let columns = rows.columns.iter().zip(schema.columns.columns());
        let columns = columns.map(|(column, described)| ColumnChunk::of(column, described, &mut compressor));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let most_bytes = columns.iter().map(ColumnChunk::most_bytes).sum::<usize>();
        // Some readers, and some of our own code, take a dictionary at byte 0 for none.
        let mut file = TrackedWrite::new(Vec::with_capacity(MAGIC.len() + most_bytes));
        file.write_all(MAGIC)?;
        let columns = columns.into_iter().map(|column| column.write(&mut file)).collect::<Result<Vec<_>, _>>()?;
        let metadata = RowGroupMetaData::builder(Arc::clone(&schema.columns))
            .set_num_rows(i64::try_from(rows.rows)?)
            .set_total_byte_size(columns.iter().map(ColumnChunkMetaData::uncompressed_size).sum())
            .set_column_metadata(columns)
            .build()?;
        let payload = Payload::Memory(file.into_inner()?.into());
        Ok(RowGroup { metadata, payload, schema: Arc::clone(schema) })
    };
    encode_to_fit(0..rows.rows, limit, &mut encode_one, &mut encoded)?;
    Ok(encoded)
}

fn encode_to_fit(
    rows: Range<usize>,
    limit: u64,
    encode_one: &mut impl FnMut(Range<usize>) -> Result<RowGroup, ParquetError>,
    encoded: &mut Vec<RowGroup>,
) -> Result<(), EncodeError> {
    if rows.is_empty() {
        return Ok(());
    }
    let row_group = encode_one(rows.clone())?;
    if file_bytes(&row_group.metadata, &row_group.schema)? <= limit {
        encoded.push(row_group);
        return Ok(());
    }
    if rows.len() == 1 {
        return Err(EncodeError::RowTooLarge);
    }
    let half = rows.start + rows.len() / 2;
    encode_to_fit(rows.start..half, limit, encode_one, encoded)?;
    encode_to_fit(half..rows.end, limit, encode_one, encoded)
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

/// Runs of neighbouring values, evenly over the column, that decide whether it earns a dictionary.
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
    let places = (0..SAMPLE_RUNS).flat_map(|run| (0..SAMPLE_RUN).map(move |place| run * (rows / SAMPLE_RUNS) + place));
    let places: UInt64Array = places.filter_map(|place| u64::try_from(place).ok()).collect();
    let sample = take(column, &places, None)?;
    let values = sample.len() - sample.null_count();
    Ok(different(&sample) + values / REPEATED_SHARE <= values)
}

/// How many different values there are in a column of text, or of values that all have one width.
fn different(column: &ArrayRef) -> usize {
    let data = column.to_data();
    let values: HashSet<&[u8]> = match (column.data_type().primitive_width(), column.as_string_opt::<i32>()) {
        (Some(width), _) => {
            let from = data.offset() * width;
            let values = data.buffers().first().and_then(|values| values.get(from..)).unwrap_or_default();
            let rows = values.chunks_exact(width).take(column.len()).enumerate();
            rows.filter(|(row, _)| column.is_valid(*row)).map(|(_, value)| value).collect()
        }
        (None, Some(texts)) => texts.iter().flatten().map(str::as_bytes).collect(),
        (None, None) => HashSet::new(),
    };
    values.len()
}

fn row_group(metadata: &ParquetMetaData, file: Bytes) -> Result<RowGroup, ParquetError> {
    let described = metadata.file_metadata();
    let schema =
        ChunkSchema { columns: described.schema_descr_ptr(), key_values: described.key_value_metadata().cloned() };
    let [metadata] = metadata.row_groups() else {
        return Err(ParquetError::General("one batch was not written as one row group".to_owned()));
    };
    Ok(RowGroup { metadata: metadata.clone(), payload: Payload::Memory(file), schema: Arc::new(schema) })
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        new_null_array,
    };
    use arrow::compute::{cast, concat};
    use arrow::datatypes::{Float64Type, Int32Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::assemble::footer;
    use shared::values::{Keyed, Values};

    /// Columns of every type that text is decoded to, made of the same few numbers.
    fn columns(numbers: &[Option<i64>]) -> Vec<ArrayRef> {
        let each = || numbers.iter().copied();
        let text = |number: i64| match number {
            0 => String::new(),
            1 => "\u{10ffff}".repeat(20),
            2 => format!("{}é{}", "a".repeat(63), "b".repeat(9)),
            3 => "z".repeat(65),
            _ => number.to_string(),
        };
        let float = |number: i64| match number {
            0 => -0.0,
            1 => f64::NAN,
            2 => 0.0,
            _ => f64::from(i32::try_from(number).unwrap()) / 4.0,
        };
        let decimals = |precision, factor: i128| -> ArrayRef {
            let decimals = each().map(|number| number.map(|number| i128::from(number) * factor));
            Arc::new(decimals.collect::<Decimal128Array>().with_precision_and_scale(precision, 2).unwrap())
        };
        let timestamps = each().collect::<TimestampMicrosecondArray>();
        vec![
            Arc::new(each().map(|number| number.map(|number| number % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(each().collect::<Int64Array>()),
            Arc::new(each().map(|number| number.map(float)).collect::<Float64Array>()),
            Arc::new(each().map(|number| number.map(|number| i32::try_from(number).unwrap())).collect::<Date32Array>()),
            Arc::new(timestamps.clone()),
            Arc::new(timestamps.with_timezone("UTC")),
            decimals(9, 1),
            decimals(18, 1 << 20),
            decimals(38, -(1 << 70)),
            Arc::new(each().map(|number| number.map(text)).collect::<StringArray>()),
        ]
    }

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let names = (0..).map(|column| format!("c{column}"));
        RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true))).unwrap()
    }

    /// A column by keys, with a value for all rows that are null.
    fn keyed(column: &ArrayRef) -> Values {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(column.data_type().clone()));
        let dictionary = cast(column, &dictionary).unwrap();
        let dictionary = dictionary.as_dictionary::<Int32Type>();
        let null = i32::try_from(dictionary.values().len()).unwrap();
        let values = concat(&[dictionary.values(), &new_null_array(column.data_type(), 1)]).unwrap();
        let keys = dictionary.keys();
        if keys.null_count() == 0 {
            return Values::Keyed(Keyed::of_all(keys.values().to_vec(), Arc::clone(dictionary.values())));
        }
        let keys = keys.iter().map(|key| key.unwrap_or(null)).collect();
        Values::Keyed(Keyed { keys, values, are_all_used: false })
    }

    #[test]
    fn different_values_are_those_of_a_dictionary() {
        let numbers: Vec<_> = (0..200).map(|row| (row % 7 > 0).then_some(row * row % 23)).collect();
        for column in columns(&numbers).into_iter().skip(1) {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(column.data_type().clone()));
            for column in [column.slice(0, 0), column.slice(3, 100), column] {
                let values = cast(&column, &dictionary).unwrap().as_any_dictionary().values().len();
                assert_eq!(different(&column), values, "{}", column.data_type());
            }
        }
    }

    fn file_of(row_group: &RowGroup) -> Bytes {
        let Payload::Memory(payload) = &row_group.payload else { panic!("a text has no row groups to copy") };
        [payload.as_ref(), &footer(&row_group.schema, vec![row_group.metadata.clone()]).unwrap()].concat().into()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_text_is_encoded_as_the_parquet_crate_would(
            numbers in prop_oneof![
                proptest::collection::vec(proptest::option::weighted(0.8, -3_i64..9), 1..200),
                proptest::collection::vec(proptest::option::weighted(0.99, -9_999_i64..9_999), 1..600),
                proptest::collection::vec((proptest::option::of(0_i64..3), 1_usize..90), 1..9)
                    .prop_map(|runs| runs.into_iter().flat_map(|(number, run)| vec![number; run]).collect()),
            ],
            codec in proptest::sample::select(vec!["snappy", "lz4", "zstd", "none"]),
            is_cut in any::<bool>(),
        ) {
            let plain = batch(columns(&numbers));
            let columns = || plain.columns().iter().cloned();
            let with_keys = columns().map(|column| if column.data_type() == &DataType::Boolean { Values::Plain(column) } else { keyed(&column) });
            let schema = Arc::new(ChunkSchema::of(&plain.schema()).unwrap());
            // Of these rows a part, as of a row group that was too large.
            let from = if is_cut { numbers.len() / 2 } else { 0 };
            let expected = plain.slice(from, numbers.len() - from);
            let theirs = encode(&expected, &properties(codec), u64::MAX).unwrap();
            let Payload::Memory(theirs) = &theirs[0].payload else { panic!("encoded in memory") };
            let theirs = ParquetRecordBatchReaderBuilder::try_new(theirs.clone()).unwrap();
            for columns in [columns().map(Values::Plain).collect(), with_keys.collect::<Vec<_>>()] {
                let rows = Batch { columns, rows: numbers.len() };
                let ours = encode_text(&rows.slice(from, numbers.len() - from), &schema, compression(codec), u64::MAX).unwrap();
                let [ours] = ours.as_slice() else { panic!("one row group") };
                let file = file_of(ours);
                prop_assert!(file_bytes(&ours.metadata, &ours.schema).unwrap() >= u64::try_from(file.len()).unwrap());
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                prop_assert_eq!(reader.schema(), &plain.schema());
                let columns = reader.metadata().row_group(0).columns().to_vec();
                let read: Result<Vec<_>, _> = reader.with_batch_size(numbers.len()).build().unwrap().collect();
                // Debugging text, since one NaN is not the other.
                prop_assert_eq!(format!("{:?}", read.unwrap()), format!("{:?}", [&expected]));
                let theirs = theirs.metadata().row_group(0).columns();
                for ((ours, theirs), values) in columns.iter().zip(theirs).zip(expected.columns()) {
                    let floats = values.as_primitive_opt::<Float64Type>();
                    if floats.is_some_and(|floats| floats.iter().flatten().any(f64::is_nan)) {
                        let ours = ours.statistics().unwrap();
                        prop_assert!(ours.min_bytes_opt().is_none() && ours.max_bytes_opt().is_none());
                        prop_assert_eq!(ours.null_count_opt(), theirs.statistics().unwrap().null_count_opt());
                        continue;
                    }
                    let statistics = |column: &ColumnChunkMetaData| format!("{:?}", column.statistics());
                    prop_assert_eq!(statistics(ours), statistics(theirs));
                }
            }
        }
    }

    #[test]
    fn rows_that_are_too_many_are_halved() {
        let rows = batch(columns(&(0..500).map(|number| Some(number * 7919 % 500)).collect::<Vec<_>>()));
        let schema = Arc::new(ChunkSchema::of(&rows.schema()).unwrap());
        let rows = Batch { columns: rows.columns().iter().cloned().map(Values::Plain).collect(), rows: 500 };
        let encode = |limit| encode_text(&rows, &schema, Compression::SNAPPY, limit);
        let sizes = |groups: Vec<RowGroup>| groups.iter().map(|group| group.metadata.num_rows()).collect::<Vec<_>>();
        let group = encode(u64::MAX).unwrap().remove(0);
        let whole = file_bytes(&group.metadata, &group.schema).unwrap();
        assert_eq!(sizes(encode(whole).unwrap()), [500]);
        assert_eq!(sizes(encode(whole - 1).unwrap()), [250, 250]);
        assert!(matches!(encode(99), Err(EncodeError::RowTooLarge)));
    }

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
