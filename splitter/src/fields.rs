//! Records of a text, and their fields.

use std::io::Cursor;

use shared::{CsvPolicy, Dialect};

use crate::quarantine::Reject;
use crate::records::{Block, Torn, behind_line_ends, without_line_end};

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

/// The records of a text, with their places. Blank lines and comments are no records.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    text: &'a [u8],
    dialect: &'a Dialect,
    /// Fields of a record that may have an empty one more, behind a trailing delimiter.
    width: Option<usize>,
    reader: csv::Reader<Cursor<&'a [u8]>>,
    record: csv::ByteRecord,
}

impl<'a> Records<'a> {
    /// The records of a source whose columns are known.
    pub(crate) fn new(text: &'a [u8], csv: &'a CsvPolicy) -> Self {
        let width = Some(csv.columns.len()).filter(|_| csv.dialect.trailing_delimiter);
        Self { width, ..Self::of_dialect(text, &csv.dialect) }
    }

    /// The records of a text of which nothing but the dialect is known.
    pub(crate) fn of_dialect(text: &'a [u8], dialect: &'a Dialect) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(byte(dialect.delimiter));
        builder.quoting(dialect.quote.is_some()).quote(dialect.quote.map_or(b'"', byte));
        builder.escape(dialect.escape.map(byte));
        if let Some(terminator) = dialect.terminator {
            builder.terminator(csv::Terminator::Any(byte(terminator)));
        }
        let reader = builder.from_reader(Cursor::new(text));
        Self { text, dialect, width: None, reader, record: csv::ByteRecord::new() }
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Record<'_>> {
        let start = self.behind_comments()?;
        // Reading from memory, and with any number of fields allowed, nothing can fail.
        if !self.reader.read_byte_record(&mut self.record).ok()? {
            return None;
        }
        let last = self.record.len().saturating_sub(1);
        if self.width == Some(last) && self.record.get(last).is_some_and(<[u8]>::is_empty) {
            self.record.truncate(last);
        }
        Some(Record { fields: &self.record, start, end: place(&self.reader) })
    }

    /// Where the next record begins. The reader's own comments end at `\n` alone, which not every text has.
    fn behind_comments(&mut self) -> Option<usize> {
        let begun = place(&self.reader);
        let mut start = behind_line_ends(self.text, begun, self.dialect);
        let comment = self.dialect.comment.map(byte);
        while comment.is_some() && self.text.get(start).copied() == comment {
            let comment = self.text.get(start..)?;
            let length = comment.iter().position(|byte| self.dialect.ends_record(*byte)).unwrap_or(comment.len());
            start = behind_line_ends(self.text, start + length, self.dialect);
            let mut position = csv::Position::new();
            position.set_byte(u64::try_from(start).unwrap_or(u64::MAX));
            self.reader.seek(position).ok()?;
        }
        Some(start)
    }
}

fn place(reader: &csv::Reader<Cursor<&[u8]>>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// A character of a dialect as its byte: settings and policies keep them to ASCII.
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
    pub(crate) fn reject(&self, block: &Block, dialect: &Dialect, column: Option<String>, reason: String) -> Reject {
        let raw = block.text.get(self.start..self.end).unwrap_or_default();
        Reject {
            record: self.record,
            byte_offset: block.start + u64::try_from(self.start).unwrap_or_default(),
            column,
            reason,
            raw: without_line_end(raw, dialect).to_vec(),
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
        if let Some(torn) = block.torn {
            fields.records = 1;
            let record = Row { record: 1, start: 0, end: block.text.len() };
            fields.rejects.push(record.reject(block, &csv.dialect, None, torn_reason(torn, max_record_bytes)));
            return fields;
        }
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
            fields.rejects.push(row.reject(block, &csv.dialect, None, reason));
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

fn torn_reason(torn: Torn, max_record_bytes: usize) -> String {
    let what = match torn {
        Torn::TooLong => format!("the record that begins here is longer than MAX_RECORD_MB={}", max_record_bytes >> 20),
        Torn::OpenQuote => "the file ends inside a quoted field of the record that begins here".to_owned(),
    };
    format!("{what}; kept is its first line, of that 1 MiB at most, and the next record begins behind this line")
}
