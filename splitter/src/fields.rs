//! Records of a text, and their fields.

use shared::CsvPolicy;

use crate::quarantine::Reject;
use crate::records::{Block, behind_line_ends, without_line_end};

/// One record of a text.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Its fields, unquoted.
    pub(crate) fields: &'a csv::ByteRecord,
    /// Where it begins in the text.
    pub(crate) start: usize,
    /// Where it ends, line end included or not.
    pub(crate) end: usize,
}

/// The records of a text, with their places. Blank lines are no records.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    text: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: csv::ByteRecord,
}

impl<'a> Records<'a> {
    pub(crate) fn new(text: &'a [u8], csv: &CsvPolicy) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(byte(csv.delimiter)).quote(byte(csv.quote));
        Self { text, reader: builder.from_reader(text), record: csv::ByteRecord::new() }
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Record<'_>> {
        let start = place(&self.reader);
        // Reading from memory, and with any number of fields allowed, nothing can fail.
        if !self.reader.read_byte_record(&mut self.record).ok()? {
            return None;
        }
        Some(Record { fields: &self.record, start: behind_line_ends(self.text, start), end: place(&self.reader) })
    }
}

fn place(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// A delimiter or a quote, which settings and policies keep to ASCII.
pub(crate) fn byte(character: char) -> u8 {
    u8::try_from(character).unwrap_or(b',')
}

/// The fields of all records of a block that have the right number of them.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The fields one behind the other, record by record.
    text: Vec<u8>,
    /// Where each field ends in `text`.
    ends: Vec<usize>,
    width: usize,
    /// Where each of these records stands.
    pub(crate) rows: Vec<Row>,
    /// Records of the block, rejected ones included.
    pub(crate) records: u64,
    /// Those that have another number of fields, or are too long.
    pub(crate) rejects: Vec<Reject>,
}

/// Where a record stands in its block.
#[derive(Debug)]
pub(crate) struct Row {
    record: u64,
    start: usize,
    end: usize,
}

impl Row {
    /// The record, rejected.
    pub(crate) fn reject(&self, block: &Block, column: Option<String>, reason: String) -> Reject {
        let raw = block.text.get(self.start..self.end).unwrap_or_default();
        Reject {
            record: self.record,
            byte_offset: block.start + u64::try_from(self.start).unwrap_or_default(),
            column,
            reason,
            raw: without_line_end(raw).to_vec(),
        }
    }
}

impl Fields {
    /// Reads a block.
    pub(crate) fn read(block: &Block, csv: &CsvPolicy, max_record_bytes: usize) -> Self {
        let width = csv.columns.len();
        let mut fields = Self {
            text: Vec::with_capacity(block.text.len()),
            ends: Vec::new(),
            width,
            rows: Vec::new(),
            records: 0,
            rejects: Vec::new(),
        };
        let mut records = Records::new(&block.text, csv);
        while let Some(record) = records.next() {
            fields.records += 1;
            let row = Row { record: fields.records, start: record.start, end: record.end };
            let found = record.fields.len();
            let reason = if found != width {
                format!("{found} fields where {width} are expected")
            } else if row.end - row.start > max_record_bytes {
                format!("the record has {} bytes, more than MAX_RECORD_MB allows", row.end - row.start)
            } else {
                let before = fields.text.len();
                fields.text.extend_from_slice(record.fields.as_slice());
                fields.ends.extend(record.fields.iter().scan(before, |end, field| {
                    *end += field.len();
                    Some(*end)
                }));
                fields.rows.push(row);
                continue;
            };
            fields.rejects.push(row.reject(block, None, reason));
        }
        fields
    }

    /// The fields of one column, row by row.
    pub(crate) fn column(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        (0..self.rows.len()).map(move |row| {
            let place = row * self.width + index;
            let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
            self.ends.get(place).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
        })
    }
}
