//! The fields of a block, and the records that are rejected whatever is in them.

use bytes::Bytes;
use shared::{CsvPolicy, Dialect};

use crate::quarantine::Reject;
use crate::record::{Records, Span, byte};
use crate::records::{Block, Torn, without_line_end};

/// The fields of all records of a block that have the right number of them.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The block.
    text: Bytes,
    /// Fields that do not stand in the block as they are.
    rewritten: Vec<u8>,
    /// Where the fields are, record by record: in the block or, counted from its end, in `rewritten`.
    spans: Vec<Span>,
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
    /// Its number within the block, from 1.
    pub(crate) record: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
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
            text: block.text.clone(),
            rewritten: Vec::new(),
            spans: Vec::new(),
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
            let found = record.spans.len();
            let raw = block.text.get(row.start..row.end).unwrap_or_default();
            let reason = if found != width {
                format!("{found} fields where {width} are expected")
            } else if row.end - row.start > max_record_bytes {
                format!("the record has {} bytes, more than MAX_RECORD_MB allows", row.end - row.start)
            } else if record.rewritten.is_some() && has_loose_quote(raw, &csv.dialect) {
                // Read on as unquoted text, the field would lose this quote in silence.
                "a quote within a quoted field is neither doubled nor the field's end".to_owned()
            } else {
                if let Some(rewritten) = record.rewritten {
                    let before = fields.text.len() + fields.rewritten.len();
                    fields.rewritten.extend_from_slice(rewritten);
                    fields.spans.extend(record.spans.iter().map(|span| span.moved(before)));
                } else {
                    fields.spans.extend_from_slice(record.spans);
                }
                fields.rows.push(row);
                continue;
            };
            fields.rejects.push(row.reject(block, &csv.dialect, None, reason));
        }
        fields
    }

    /// One field of one record.
    #[inline]
    pub(crate) fn field(&self, row: usize, column: usize) -> &[u8] {
        let Some(span) = self.spans.get(row * self.width + column) else { return &[] };
        match span.start().checked_sub(self.text.len()) {
            Some(start) => self.rewritten.get(start..span.end() - self.text.len()).unwrap_or_default(),
            None => span.of(&self.text),
        }
    }
}

/// Whether a quote within a quoted field of a record is neither doubled or escaped, nor the end of its field.
fn has_loose_quote(record: &[u8], dialect: &Dialect) -> bool {
    let Some(quote) = dialect.quote.map(byte) else { return false };
    let (delimiter, escape) = (byte(dialect.delimiter), dialect.escape.map(byte));
    let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == delimiter || dialect.ends_record(*byte));
    let mut place = 0;
    let mut in_quotes = false;
    while let Some(rest) = record.get(place..) {
        let found = match escape.filter(|_| in_quotes) {
            Some(escape) => memchr::memchr2(quote, escape, rest),
            None => memchr::memchr(quote, rest),
        };
        let Some(found) = found else { break };
        let here = place + found;
        let next = record.get(here + 1);
        place = here + 1;
        if !in_quotes {
            in_quotes = is_edge(here.checked_sub(1).and_then(|before| record.get(before)));
        } else if record.get(here) != Some(&quote) || next == Some(&quote) {
            place += 1;
        } else if is_edge(next) {
            in_quotes = false;
        } else {
            return true;
        }
    }
    false
}

pub(crate) fn torn_reason(torn: Torn, max_record_bytes: usize) -> String {
    let what = match torn {
        Torn::TooLong => format!("the record that begins here is longer than MAX_RECORD_MB={}", max_record_bytes >> 20),
        Torn::OpenQuote => "the file ends inside a quoted field of the record that begins here".to_owned(),
    };
    format!("{what}{TORN_REASON}")
}

/// How the reason ends for which a record was rejected whose end was not found.
const TORN_REASON: &str =
    "; kept is its first line, of that 1 MiB at most, and the next record begins behind this line";

/// Whether this is the reason for which a record was rejected whose end was not found.
pub(crate) fn is_torn(reason: &str) -> bool {
    reason.ends_with(TORN_REASON)
}

#[cfg(test)]
mod tests;
