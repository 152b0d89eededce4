//! A column of a row group, encoded: at most one dictionary page, and one data page.
//!
//! It takes the types that text is decoded to, and dictionaries of these: what a value is was found once for all rows that
//! have it, and is written once. The `parquet` crate's own writer, which takes whatever else a Parquet source holds, would
//! look at each value of each row again.

mod hybrid;
mod plain;
mod statistics;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Compression that saves less than this share of a column, as a divisor, is left out: it would cost whoever reads it.
const LEAST_SAVED: usize = 10;

/// Appends a column to a file, and returns what a footer says of it.
pub(crate) fn write(
    column: &ArrayRef,
    described: &ColumnDescPtr,
    compression: Compression,
    file: &mut TrackedWrite<Vec<u8>>,
) -> Result<ColumnChunkMetaData, ParquetError> {
    let content = Content::of(column)?;
    let (compression, pages) = compress(content.pages(described)?, compression)?;
    let mut written = ColumnChunkMetaData::builder(Arc::clone(described))
        .set_num_values(i64::try_from(column.len())?)
        .set_compression(compression)
        .set_statistics(statistics::of(&content.values, content.nulls(), described)?);
    let mut pages_of_encodings = Vec::with_capacity(pages.len());
    let (mut compressed_size, mut uncompressed_size) = (0, 0);
    let mut writer = SerializedPageWriter::new(file);
    for page in pages {
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

/// What a column is made of.
#[derive(Debug)]
struct Content {
    /// Its values without nulls: those of each row, or where there are keys, each of those that any row has.
    values: ArrayRef,
    /// Of each row that is not null, the place of its value.
    keys: Option<Vec<u32>>,
    rows: usize,
    /// Which rows are null, where any is.
    nulls: Option<NullBuffer>,
}

impl Content {
    fn of(column: &ArrayRef) -> Result<Self, ArrowError> {
        if let Some(dictionary) = column.as_dictionary_opt() {
            return Self::of_dictionary(dictionary);
        }
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let values = if nulls.is_some() { filter(column, &is_not_null(column)?)? } else { Arc::clone(column) };
        Ok(Self { values, keys: None, rows: column.len(), nulls })
    }

    /// The rows of a dictionary may be some of those that it was made for, and not all of its values theirs.
    fn of_dictionary(dictionary: &DictionaryArray<Int32Type>) -> Result<Self, ArrowError> {
        let nulls = dictionary.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let place = |key: i32| usize::try_from(key).unwrap_or_default();
        let all = dictionary.keys().values();
        let places: Vec<usize> = match &nulls {
            None => all.iter().map(|key| place(*key)).collect(),
            Some(nulls) => nulls.valid_indices().filter_map(|row| all.get(row)).map(|key| place(*key)).collect(),
        };
        let mut is_used = vec![false; dictionary.values().len()];
        for place in &places {
            if let Some(is_used) = is_used.get_mut(*place) {
                *is_used = true;
            }
        }
        let mut next = 0;
        let new_places: Vec<u32> = is_used
            .iter()
            .map(|is_used| {
                let place = next;
                next += u32::from(*is_used);
                place
            })
            .collect();
        let keys = places.iter().filter_map(|place| new_places.get(*place)).copied().collect();
        let values = if is_used.contains(&false) {
            filter(dictionary.values(), &BooleanArray::from(is_used))?
        } else {
            Arc::clone(dictionary.values())
        };
        Ok(Self { values, keys: Some(keys), rows: dictionary.len(), nulls })
    }

    fn nulls(&self) -> usize {
        self.nulls.as_ref().map_or(0, NullBuffer::null_count)
    }

    /// Its pages, not compressed yet.
    fn pages(&self, described: &ColumnDescPtr) -> Result<Vec<Page>, ParquetError> {
        let mut pages = Vec::with_capacity(2);
        let mut data = Vec::new();
        if described.max_def_level() > 0 {
            hybrid::levels(self.nulls.as_ref(), self.rows, &mut data)?;
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

/// Compresses pages, if that pays for all of them together, as a column has one codec.
fn compress(
    mut pages: Vec<Page>,
    compression: Compression,
) -> Result<(Compression, Vec<CompressedPage>), ParquetError> {
    let sizes: Vec<usize> = pages.iter().map(|page| page.buffer().len()).collect();
    let compressed: Result<Vec<_>, _> = pages.iter().map(|page| compress_page(page.buffer(), compression)).collect();
    let compressed: Vec<Bytes> = compressed?.into_iter().flatten().collect();
    let (before, after) = (sizes.iter().sum::<usize>(), compressed.iter().map(Bytes::len).sum::<usize>());
    let pays = compressed.len() == pages.len() && after + before / LEAST_SAVED <= before;
    if pays {
        for (page, compressed) in pages.iter_mut().zip(compressed) {
            let (Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. } | Page::DictionaryPage { buf, .. }) = page;
            *buf = compressed;
        }
    }
    let pages = pages.into_iter().zip(sizes).map(|(page, size)| CompressedPage::new(page, size)).collect();
    Ok((if pays { compression } else { Compression::UNCOMPRESSED }, pages))
}

/// `None` where there is nothing to compress with.
fn compress_page(page: &[u8], compression: Compression) -> Result<Option<Bytes>, ParquetError> {
    let compressed = match compression {
        Compression::SNAPPY => {
            snap::raw::Encoder::new().compress_vec(page).map_err(|error| ParquetError::External(error.into()))?
        }
        Compression::LZ4_RAW => lz4_flex::block::compress(page),
        Compression::ZSTD(level) => zstd::bulk::compress(page, level.compression_level())?,
        _ => return Ok(None),
    };
    Ok(Some(compressed.into()))
}
