//! How many rows of a row group may be decoded at once, by what their pages say before one of them is decoded.
//!
//! A page of a few bytes may hold values of gigabytes: a dictionary of one long text that each row refers to, zeros that were
//! compressed, a list of a million nulls. So rows are counted by the longest value there may be, page by page.

use std::io::Read;
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::compact::Compact;

/// Most rows of a decoded batch.
pub const MOST_ROWS: usize = 8192;

/// Most bytes that the header of a page takes; statistics in it may hold two whole values.
const MOST_HEADER: u64 = 1 << 20;
const HEADER_GUESS: u64 = 4 << 10;

/// Most bytes of a page whose words are looked at one by one; of a larger one, each may be as long as the page.
const MOST_DICTIONARY: u64 = 64 << 20;

/// Bytes that a text takes beside its own, and a value beside what it is: offsets, and marks of nulls and levels.
const TEXT_BYTES: u64 = 8;
const LEVEL_BYTES: u64 = 4;

/// Bytes of one value of a column, decoded, as far as its type says.
fn width(column: &ColumnChunkMetaData) -> u64 {
    let described = column.column_descr();
    let values = match described.physical_type() {
        Type::BOOLEAN => 1,
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE | Type::INT96 => 8,
        Type::BYTE_ARRAY => TEXT_BYTES,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(described.type_length()).unwrap_or_default().max(16),
    };
    let levels = u64::from(described.max_rep_level() > 0) + u64::from(described.max_def_level() > 0);
    values + levels * LEVEL_BYTES
}

/// Values of a column in one row, on average and rounded up.
fn values_a_row(column: &ColumnChunkMetaData, rows: u64) -> u64 {
    u64::try_from(column.num_values()).unwrap_or_default().div_ceil(rows.max(1)).max(1)
}

/// Batches that there are at once: some that wait, one that is decoded, one that is consumed, and what becomes of it.
const BATCHES: u64 = 6;

/// Bytes of a page that is expanded, as writers make them.
const PAGE_BYTES: u64 = 2 << 20;

/// A number of a footer, which was not checked.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// What decoding a row group takes in batches of so many bytes: what is stored of it, a page of each column, and batches.
pub fn cost(group: &RowGroupMetaData, batch: u64) -> u64 {
    let stored: u64 = group.columns().iter().map(|column| unsigned(column.compressed_size())).sum();
    stored.saturating_add(likely_pages(group)).saturating_add(BATCHES * batch)
}

/// Bytes of a page of each column, as writers make them.
fn likely_pages(group: &RowGroupMetaData) -> u64 {
    group.columns().iter().map(|column| unsigned(column.uncompressed_size()).min(PAGE_BYTES)).sum()
}

/// Bytes of a batch, where dictionaries hold no words that are much longer than others.
pub fn likely_batch(group: &RowGroupMetaData) -> u64 {
    let rows = unsigned(group.num_rows()).max(1);
    let expanded: u64 = group.columns().iter().map(|column| unsigned(column.uncompressed_size())).sum();
    let row = fixed_row_bytes(group.columns(), rows).saturating_add(expanded / rows);
    row.saturating_mul(rows.min(u64::try_from(MOST_ROWS).unwrap_or(u64::MAX)))
}

/// What a row group takes once it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Most bytes of one row, but for lists that are longer than others.
    pub row_bytes: u64,
    /// Most bytes of the texts of one column in one row.
    pub longest: u64,
    /// Bytes of the largest pages of all columns, which are expanded one of each at a time.
    pub page_bytes: u64,
}

impl Survey {
    /// What decoding takes beyond what was to be expected of a row group.
    pub fn beyond(&self, group: &RowGroupMetaData) -> u64 {
        let pages = self.page_bytes.saturating_sub(likely_pages(group));
        pages.saturating_add(self.longest.saturating_mul(2))
    }
}

/// Bytes of one row, decoded, as far as the types of its columns say.
pub fn fixed_row_bytes(columns: &[ColumnChunkMetaData], rows: u64) -> u64 {
    columns.iter().map(|column| width(column).saturating_mul(values_a_row(column, rows))).sum()
}

/// Most bytes of one row, decoded, as far as the types of its columns and the longest words of dictionaries say. No page of values is
/// looked at, and no dictionary that cannot make so many rows larger than so many bytes.
pub fn row_bytes_by_words(
    bytes: &(impl ChunkReader + Clone + 'static),
    group: &RowGroupMetaData,
    rows_at_once: u64,
    most_bytes: u64,
) -> u64 {
    let rows = unsigned(group.num_rows());
    let words = group.columns().iter().filter(|column| {
        let is_text = column.column_descr().physical_type() == Type::BYTE_ARRAY;
        let most = unsigned(column.uncompressed_size()).saturating_mul(rows_at_once);
        is_text && column.dictionary_page_offset().is_some() && most > most_bytes
    });
    let words = words.map(|column| {
        // What cannot be read will not be decoded.
        let longest = longest_word(bytes, column, rows).unwrap_or(0);
        longest.saturating_mul(values_a_row(column, rows))
    });
    words.fold(fixed_row_bytes(group.columns(), rows), u64::saturating_add)
}

/// Looks at the headers of all pages.
pub fn survey(bytes: &(impl ChunkReader + Clone + 'static), columns: &[ColumnChunkMetaData], rows: u64) -> Survey {
    let mut survey = Survey { row_bytes: fixed_row_bytes(columns, rows), ..Survey::default() };
    for column in columns {
        let (longest, page) = longest(bytes, column, rows);
        if column.column_descr().physical_type() == Type::BYTE_ARRAY {
            let texts = longest.saturating_mul(values_a_row(column, rows));
            survey.longest = survey.longest.max(texts);
            survey.row_bytes = survey.row_bytes.saturating_add(texts);
        }
        survey.page_bytes = survey.page_bytes.saturating_add(page);
    }
    survey
}

/// How many rows have room in so many bytes; one at least.
pub fn rows_within(bytes: u64, row_bytes: u64) -> usize {
    usize::try_from(bytes / row_bytes.max(1)).unwrap_or(usize::MAX).clamp(1, MOST_ROWS)
}

/// The most that a value of a column may take: its longest word, or the part of a page that falls to each of its values where
/// that is more; and the bytes of its largest page. Of pages that cannot be read nothing is known, and nothing will be decoded.
fn longest(bytes: &(impl ChunkReader + Clone + 'static), column: &ColumnChunkMetaData, rows: u64) -> (u64, u64) {
    let (mut longest, mut largest) = (0, 0);
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let end = start.checked_add(column.compressed_size()).and_then(|end| u64::try_from(end).ok());
    let (Ok(mut at), Some(end)) = (u64::try_from(start), end) else { return (0, 0) };
    while at < end {
        let Some(header) = PageHeader::read(bytes, at, end - at) else { break };
        largest = largest.max(header.expanded);
        if let Some(values) = header.values {
            // Front coding may repeat all of a page in each of its values.
            let each = if header.is_front_coded { header.expanded } else { header.expanded.div_ceil(values.max(1)) };
            longest = longest.max(each);
        }
        match at.checked_add(header.length + header.stored) {
            Some(next) if next > at => at = next,
            _ => break,
        }
    }
    // Words are looked at once it is known that their page can be expanded.
    if column.dictionary_page_offset().is_some()
        && column.column_descr().physical_type() == Type::BYTE_ARRAY
        && largest <= MOST_DICTIONARY
    {
        longest = longest.max(longest_word(bytes, column, rows).unwrap_or(0));
    } else if column.dictionary_page_offset().is_some() {
        longest = longest.max(largest);
    }
    (longest, largest)
}

/// Length of the longest word of a column's dictionary.
fn longest_word(bytes: &(impl ChunkReader + Clone + 'static), column: &ColumnChunkMetaData, rows: u64) -> Result<u64> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let mut pages = SerializedPageReader::new(Arc::new(bytes.clone()), column, rows, None)?;
    let Some(Page::DictionaryPage { buf, .. }) = pages.get_next_page()? else { return Ok(0) };
    let (mut rest, mut longest) = (buf.as_ref(), 0);
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        rest = usize::try_from(length).ok().and_then(|length| behind.get(length..)).unwrap_or_default();
    }
    Ok(longest)
}

/// What the header of a page says of its size. The library reads it for itself alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct PageHeader {
    /// Bytes of the header, of the page as stored, and once it is expanded.
    length: u64,
    stored: u64,
    expanded: u64,
    /// Values of a page of data.
    values: Option<u64>,
    is_front_coded: bool,
}

/// Number of the encoding that has of each text what the one before does not begin with.
const DELTA_BYTE_ARRAY: i64 = 7;

impl PageHeader {
    fn read(bytes: &impl ChunkReader, at: u64, most: u64) -> Option<Self> {
        for length in [HEADER_GUESS.min(most), MOST_HEADER.min(most)] {
            let mut text = Vec::new();
            bytes.get_read(at).ok()?.take(length).read_to_end(&mut text).ok()?;
            if let Some(header) = Self::parse(&text) {
                return Some(header);
            }
        }
        None
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = Compact(text);
        let mut header = Self::default();
        fields.each_field(|fields, id, kind| {
            match (id, kind) {
                (2, 5) => header.expanded = u64::try_from(fields.signed()?).ok()?,
                (3, 5) => header.stored = u64::try_from(fields.signed()?).ok()?,
                // A page of data in either version: the first field counts values, nulls among them.
                (5 | 8, 12) => fields.each_field(|fields, inner, kind| {
                    match (inner, kind, id) {
                        (1, 5, _) => header.values = Some(u64::try_from(fields.signed()?).ok()?),
                        (2, 5, 5) | (4, 5, 8) => header.is_front_coded = fields.signed()? == DELTA_BYTE_ARRAY,
                        _ => fields.skip(kind, 0)?,
                    }
                    Some(())
                })?,
                _ => fields.skip(kind, 0)?,
            }
            Some(())
        })?;
        header.length = u64::try_from(text.len() - fields.0.len()).ok()?;
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::record_batch::RecordBatch;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, Encoding, ZstdLevel};
    use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

    use super::*;

    fn file(texts: &StringArray, properties: WriterPropertiesBuilder) -> (Bytes, ParquetMetaData) {
        let numbers: Int64Array = (0..).take(texts.iter().count()).map(Some).collect();
        let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(numbers)), ("t", Arc::new(texts.clone()))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        (bytes, metadata)
    }

    fn properties() -> WriterPropertiesBuilder {
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
    }

    fn row_bytes(texts: &StringArray, properties: WriterPropertiesBuilder) -> (u64, u64) {
        let (bytes, metadata) = file(texts, properties);
        let group = metadata.row_group(0);
        let rows = u64::try_from(group.num_rows()).unwrap();
        let (fixed, survey) = (fixed_row_bytes(group.columns(), rows), survey(&bytes, group.columns(), rows));
        assert!(survey.page_bytes > 0);
        (fixed, survey.row_bytes - fixed)
    }

    #[test]
    fn texts_count_by_the_longest_there_may_be() {
        let long = "x".repeat(300_000);
        let same = StringArray::from(vec![long.as_str(); 800]);
        let plain = || properties().set_dictionary_enabled(false);
        let (fixed, texts) = row_bytes(&same, properties());
        assert_eq!((fixed, texts), (8 + 8, 300_000), "a dictionary of one word");
        let within = |texts: u64, least: u64, most: u64| assert!((least..=most).contains(&texts), "{texts}");
        within(row_bytes(&same, plain()).1, 300_000, 301_000);
        within(row_bytes(&same, plain().set_writer_version(WriterVersion::PARQUET_2_0)).1, 300_000, 301_000);
        let front_coded = plain().set_column_encoding("t".into(), Encoding::DELTA_BYTE_ARRAY);
        assert!(row_bytes(&same, front_coded).1 >= 300_000);
        let short = StringArray::from_iter_values((0..100_000).map(|row| format!("text {row}")));
        within(row_bytes(&short, properties()).1, 10, 40);
        // One page of long texts among short ones.
        let mut mixed = vec!["short"; 50_000];
        mixed.extend(vec![long.as_str(); 100]);
        within(row_bytes(&StringArray::from(mixed), plain()).1, 100_000, 2 << 20);
    }

    #[test]
    fn rows_are_few_where_they_are_large() {
        assert_eq!([1, 1 << 10, 300_000, 1 << 40].map(|row| rows_within(8 << 20, row)), [8192, 8192, 27, 1]);
        assert_eq!(rows_within(8 << 20, 0), 8192);
    }

    #[test]
    fn headers_that_are_none_say_nothing() {
        for text in [&b""[..], b"\x15", b"\xff\xff\xff\xff", b"\x15\x00\x15", &[0x1c; 100], b"\x19\x00"] {
            assert_eq!(PageHeader::parse(text), None, "{text:?}");
        }
    }
}
