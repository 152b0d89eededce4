//! A column of a row group, encoded: at most one dictionary page, and one data page.
//!
//! Why not the `parquet` crate's own writer? It takes a value for each row, builds its dictionary by hashing them, and compares
//! each with the least and the greatest so far. All of that is known here: the keys of a column with a dictionary
//! are Parquet's, so each different value is encoded and compared once, however many rows have it. That halves the time of a split.
//! The crate's writer still encodes what may be of any type.
//!
//! The way of a column:
//!
//! 1. `Content::of` brings the three forms of a column (`Plain`, `Keyed`, `Sparse`) to values without nulls, keys, and nulls. Values
//!    that no row has are left out, since a reader may take the dictionary page for the set of values.
//! 2. `Content::pages` encodes: `plain` the values, `hybrid` the keys and the definition levels (runs and bit-packed groups,
//!    Parquet's RLE hybrid). With keys, the values are the dictionary page, and the data page has only keys.
//! 3. `compressor` compresses the pages, unless that saves less than a tenth of the column.
//! 4. `statistics` has the null count and the bounds. Long texts are cut, and rounded up for the greatest. A column with a NaN gets
//!    no bounds.
//! 5. [`ColumnChunk::write`] frames the pages with the crate's page writer, and returns the metadata for the footer.
//!
//! The splitter writes chunks by it, and the worker data files of what chunks have keys of.
//!
//! If you change this: every byte counts (`ENCODER` of the splitter, and its `tests/splitter/golden.rs`); [`ColumnChunk::most_bytes`] must never be
//! less than what `write` takes, since row groups are halved by it; and other readers have to agree, which `cli/tests` checks with
//! pyarrow, `DuckDB` and Polars.

mod compressor;
mod hybrid;
mod nulls;
mod plain;
mod statistics;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

pub use self::compressor::Compressor;
use self::nulls::Nulls;
use crate::values::{Keyed, Sparse, Values};

/// Most bytes of the header of a page.
const PAGE_HEADER_BYTES: usize = 64;

/// A column, encoded.
pub struct ColumnChunk<'a> {
    described: &'a ColumnDescPtr,
    rows: usize,
    statistics: Statistics,
    compression: Compression,
    pages: Vec<CompressedPage>,
}

impl fmt::Debug for ColumnChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnChunk").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Whether columns of values of a type can be encoded here.
pub fn encodes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int32
            | DataType::Int64
            | DataType::Float64
            | DataType::Decimal128(_, _)
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Utf8
    )
}

impl<'a> ColumnChunk<'a> {
    /// Encodes a column whose type [`encodes`] names. Booleans have no keys.
    pub fn of(
        column: &Values,
        described: &'a ColumnDescPtr,
        compressor: &mut Compressor,
    ) -> Result<Self, ParquetError> {
        let content = Content::of(column)?;
        let statistics = statistics::of(&content.values, content.nulls(), described)?;
        let (compression, pages) = compressor.compress(content.pages(described)?)?;
        Ok(Self { described, rows: content.rows, statistics, compression, pages })
    }

    /// Most bytes that it takes in a file.
    pub fn most_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.compressed_size() + PAGE_HEADER_BYTES).sum()
    }

    /// Its bytes alone, as a writer of whole files takes them.
    pub fn close(self) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let rows = u64::try_from(self.rows)?;
        let mut file = TrackedWrite::new(Vec::with_capacity(self.most_bytes()));
        let metadata = self.write(&mut file)?;
        let bytes = Bytes::from(file.into_inner()?);
        // The data page is the last; readers want either all columns of a file in such an index or none.
        let mut index = OffsetIndexBuilder::new();
        let page = metadata.data_page_offset();
        index.append_row_count(i64::try_from(rows)?);
        index.append_offset_and_size(page, i32::try_from(i64::try_from(bytes.len())? - page)?);
        let closed = ColumnCloseResult {
            bytes_written: u64::try_from(bytes.len())?,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok((bytes, closed))
    }

    /// Appends it to a file, and returns what a footer says of it.
    pub fn write(self, file: &mut TrackedWrite<Vec<u8>>) -> Result<ColumnChunkMetaData, ParquetError> {
        let mut written = ColumnChunkMetaData::builder(Arc::clone(self.described))
            .set_num_values(i64::try_from(self.rows)?)
            .set_compression(self.compression)
            .set_statistics(self.statistics);
        let mut pages_of_encodings = Vec::with_capacity(self.pages.len());
        let (mut compressed_size, mut uncompressed_size) = (0, 0);
        let mut writer = SerializedPageWriter::new(file);
        for page in self.pages {
            let (is_dictionary, page_type, encoding) =
                (!page.compressed_page().is_data_page(), page.page_type(), page.encoding());
            let page = writer.write_page(page)?;
            let offset = i64::try_from(page.offset)?;
            written = if is_dictionary {
                written.set_dictionary_page_offset(Some(offset))
            } else {
                written.set_data_page_offset(offset)
            };
            pages_of_encodings.push(PageEncodingStats { page_type, encoding, count: 1 });
            compressed_size += i64::try_from(page.compressed_size)?;
            uncompressed_size += i64::try_from(page.uncompressed_size)?;
        }
        // Definition levels are in the last of these.
        let encodings = pages_of_encodings.iter().map(|pages| pages.encoding).chain([Encoding::RLE]).collect();
        written
            .set_encodings(encodings)
            .set_page_encoding_stats(pages_of_encodings)
            .set_total_compressed_size(compressed_size)
            .set_total_uncompressed_size(uncompressed_size)
            .build()
    }
}

/// What a column is made of.
#[derive(Debug)]
struct Content {
    /// Its values without nulls: those of each row, or where there are keys, each of those that any row has.
    values: ArrayRef,
    /// Of each row that is not null, the place of its value.
    keys: Option<ScalarBuffer<i32>>,
    rows: usize,
    nulls: Nulls,
}

impl Content {
    fn of(column: &Values) -> Result<Self, ArrowError> {
        let values = match column {
            Values::Plain(values) => values,
            Values::Keyed(column) => return Self::of_keyed(column),
            Values::Sparse(column) => return Self::of_sparse(column),
        };
        let nulls = Nulls::of(values.nulls().cloned());
        let rows = values.len();
        let is_whole = matches!(nulls, Nulls::None);
        let values = if is_whole { Arc::clone(values) } else { filter(values, &is_not_null(values)?)? };
        Ok(Self { values, keys: None, rows, nulls })
    }

    /// Of the rows that have a value; those that have none are null. Where none has, that takes no step for each row.
    fn of_sparse(column: &Sparse) -> Result<Self, ArrowError> {
        let given = Self::of(&column.values)?;
        let rows = column.rows();
        let nulls = match given.rows - given.nulls() {
            0 => Nulls::All,
            values if values == rows => Nulls::None,
            _ => {
                let mut has_value = BooleanBufferBuilder::new(rows);
                has_value.append_n(rows, false);
                let is_null = |place| matches!(&given.nulls, Nulls::Some(nulls) if nulls.is_null(place));
                let with_value = column.given().enumerate().filter(|(place, _)| !is_null(*place));
                with_value.for_each(|(_, row)| has_value.set_bit(row, true));
                Nulls::Some(NullBuffer::new(has_value.finish()))
            }
        };
        Ok(Self { rows, nulls, ..given })
    }

    /// Of the values some may be null, and some no row's. Null ones are left out, and keys then count what is left.
    fn of_keyed(column: &Keyed) -> Result<Self, ArrowError> {
        let (keys, values) = (&column.keys, &column.values);
        let rows = keys.len();
        let Some(is_used) = used(column) else {
            return Ok(Self { values: Arc::clone(values), keys: Some(keys.clone()), rows, nulls: Nulls::None });
        };
        let number = |next: &mut i32, is_used| Some(std::mem::replace(next, *next + i32::from(is_used)));
        let numbers: Vec<i32> = is_used.values().iter().scan(0, number).collect();
        let has_value = |key: &i32| values.is_valid(place(*key));
        let nulls = Nulls::of((values.null_count() > 0).then(|| keys.iter().map(has_value).collect::<NullBuffer>()));
        let is_whole = matches!(nulls, Nulls::None);
        let renumber = |key: &i32| numbers.get(place(*key)).copied().unwrap_or_default();
        let keys = keys.iter().filter(|key| is_whole || has_value(key)).map(renumber).collect();
        Ok(Self { values: filter(values, &is_used)?, keys: Some(keys), rows, nulls })
    }

    fn nulls(&self) -> usize {
        match &self.nulls {
            Nulls::None => 0,
            Nulls::All => self.rows,
            Nulls::Some(nulls) => nulls.null_count(),
        }
    }

    /// Its pages, not compressed yet.
    fn pages(&self, described: &ColumnDescPtr) -> Result<Vec<Page>, ParquetError> {
        let mut pages = Vec::with_capacity(2);
        let mut data = Vec::new();
        if described.max_def_level() > 0 {
            hybrid::levels(&self.nulls, self.rows, &mut data)?;
        }
        let encoding = if let Some(keys) = &self.keys {
            let mut dictionary = Vec::new();
            plain::append(&self.values, described, &mut dictionary)?;
            let num_values = u32::try_from(self.values.len())?;
            let (buf, encoding) = (dictionary.into(), Encoding::PLAIN);
            pages.push(Page::DictionaryPage { buf, num_values, encoding, is_sorted: false });
            let width = hybrid::width(num_values);
            data.push(width);
            hybrid::append(keys, width, &mut data);
            Encoding::RLE_DICTIONARY
        } else {
            plain::append(&self.values, described, &mut data)?;
            Encoding::PLAIN
        };
        pages.push(Page::DataPage {
            buf: data.into(),
            num_values: u32::try_from(self.rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        });
        Ok(pages)
    }
}

fn place(key: i32) -> usize {
    usize::try_from(key).unwrap_or_default()
}

/// Which values there are keys of, nulls aside; `None` where there are of all.
fn used(Keyed { keys, values, are_all_used }: &Keyed) -> Option<BooleanArray> {
    if *are_all_used && values.null_count() == 0 {
        return None;
    }
    let mut is_used: Vec<bool> = (0..values.len()).map(|value| values.is_null(value)).collect();
    let mut left = values.len() - values.null_count();
    for key in keys {
        if left == 0 {
            break;
        }
        if let Some(is_used) = is_used.get_mut(place(*key)) {
            left -= usize::from(!std::mem::replace(is_used, true));
        }
    }
    (left > 0 || values.null_count() > 0)
        .then(|| is_used.iter().enumerate().map(|(value, is_used)| Some(*is_used && values.is_valid(value))).collect())
}
