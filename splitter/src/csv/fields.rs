//! The fields of a block, and the records that are rejected whatever is in them.

use shared::{CsvPolicy, Dialect};

use crate::column::cell::{Cell, Cells, ColumnRef, FIRST_ROWS};
use crate::csv::record::spans::Spans;
use crate::csv::record::{Found, Records};
use crate::records::field::Field;
use crate::records::framer::Block;
use crate::records::object::append_member;
use crate::records::record_ends::{byte, end_at};
use crate::records::rows::Row;
use crate::records::rows::Rows;
use crate::records::span::Span;
use crate::records::unterminated::UnterminatedFaults;

/// The fields of the records of a block that have the right number of them, some records at a time.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    block: &'a Block,
    csv: &'a CsvPolicy,
    max_record_bytes: usize,
    records: Records<'a>,
    /// Where the current fields are, record by record: in the block or, counted from its end, in `rewritten`.
    spans: Spans,
    /// Those that do not stand in the block as they are.
    rewritten: Vec<u8>,
    /// Where, counted as the others, the fields without a column of their own are as one object, record by record.
    rescued: Vec<Span>,
    found: Rows,
    unterminated: UnterminatedFaults,
}

/// Bytes that a usual field takes, with its delimiter.
const USUAL_BYTES: usize = 8;

/// Times as many records as were found that are expected at most.
const MOST_EXPECTED: usize = 64;

/// Bytes of fields without a column of their own after which the records so far are passed on.
const MOST_RESCUED: usize = 64 << 20;

impl<'a> Fields<'a> {
    /// The fields of a block.
    pub(crate) fn new(block: &'a Block, csv: &'a CsvPolicy, max_record_bytes: usize) -> Self {
        let footer =
            csv.footer_start.map(|start| usize::try_from(start.saturating_sub(block.start)).unwrap_or(usize::MAX));
        Self {
            block,
            csv,
            max_record_bytes,
            records: Records::new(&block.text, csv).before(footer).with_unterminated(block.unterminated.lines()),
            spans: Spans::with_room((FIRST_ROWS * csv.width()).min(block.text.len() / USUAL_BYTES)),
            rewritten: Vec::new(),
            rescued: Vec::new(),
            found: Rows::of(block),
            unterminated: UnterminatedFaults::new(max_record_bytes),
        }
    }

    /// Reads the next record; whether there was one.
    fn read_record(&mut self) -> bool {
        let (width, first) = (self.csv.width(), self.spans.len());
        let Some(Found { start, end, is_rewritten, unterminated }) = self.records.find(&mut self.spans) else {
            return false;
        };
        self.found.records += 1;
        let row = Row::new(self.found.records, start, end);
        if let Some(unterminated) = unterminated {
            let place = row.place(self.block, &self.csv.dialect);
            self.found.rejects.push(row.record(), place, self.unterminated.of(unterminated));
            return true;
        }
        let fields = self.spans.len() - first;
        let raw = || self.block.text.get(start..end).unwrap_or_default();
        let reason = if fields != width {
            format!("{fields} fields where {width} are expected")
        } else if end - start > self.max_record_bytes {
            format!("the record has {} bytes, more than MAX_RECORD_MB allows", end - start)
        } else if is_rewritten && has_loose_quote(raw(), &self.csv.dialect) {
            // Read on as unquoted text, the field would lose this quote in silence.
            "a quote within a quoted field is neither doubled nor the field's end".to_owned()
        } else {
            if let Some(rewritten) = self.records.rewritten_if(is_rewritten) {
                let place = self.block.text.len() + self.rewritten.len();
                self.rewritten.extend_from_slice(rewritten);
                self.spans.all_mut().iter_mut().skip(first).for_each(|span| *span = span.moved(place));
            }
            if !self.csv.rescued().is_empty() {
                self.rescue(first);
            }
            self.found.taken.push(row);
            return true;
        };
        self.spans.truncate(first);
        self.found.rejects.push(row.record(), row.place(self.block, &self.csv.dialect), &(None, reason));
        true
    }

    /// Writes down the fields without a column of their own of a record whose fields begin at `first`.
    fn rescue(&mut self, first: usize) {
        let mut object = Vec::new();
        for rescued in self.csv.rescued() {
            let Some(span) = self.spans.all().get(first + rescued.field) else { continue };
            append_member(&mut object, &rescued.name, self.text_at(*span));
        }
        let place = self.block.text.len() + self.rewritten.len();
        self.rescued.push(Span::new(place, place + object.len() + 1));
        self.rewritten.extend_from_slice(&object);
        self.rewritten.push(b'}');
    }

    /// The bytes of a field.
    fn text_at(&self, span: Span) -> &[u8] {
        match span.start().checked_sub(self.block.text.len()) {
            None => span.of(&self.block.text),
            Some(_) => span.moved_back(self.block.text.len()).of(&self.rewritten),
        }
    }

    /// What was found so far.
    pub(crate) fn into_rows(mut self) -> Rows {
        self.found.lines.append(&self.records.lines(self.block.start));
        self.found
    }
}

impl Cells for Fields<'_> {
    fn advance(&mut self, most: usize) -> usize {
        self.spans.truncate(0);
        self.rewritten.clear();
        self.rescued.clear();
        let before = self.found.taken.len();
        self.found.taken.reserve(self.expected().saturating_sub(before));
        let has_room = |fields: &Self| fields.rescued.is_empty() || fields.rewritten.len() < MOST_RESCUED;
        while self.found.taken.len() - before < most && has_room(self) && self.read_record() {}
        self.found.taken.len() - before
    }

    /// As many as records of the length that they had so far, and a few more; but not so many that one long record after short ones
    /// has room made for what never comes.
    fn expected(&self) -> usize {
        let taken = self.found.taken.len();
        let bytes = self.found.taken.last().map_or(usize::MAX, |row| row.span.end().max(1));
        let expected = taken.saturating_mul(self.block.text.len()) / bytes;
        (expected + expected / 16).min(taken * MOST_EXPECTED)
    }

    fn bytes(&self) -> usize {
        self.block.text.len()
    }

    #[inline]
    fn column<'s>(&'s self, (column, _): ColumnRef<'s>) -> impl Fn(usize) -> Cell<'s> + Copy {
        let (text, rewritten) = (&*self.block.text, &*self.rewritten);
        let (spans, width) = match self.csv.field_of(column) {
            Some(field) => (self.spans.all().get(field..).unwrap_or_default(), self.csv.width()),
            None if column + 1 == self.csv.columns.len() => (self.rescued.as_slice(), 1),
            None => (&[][..], 1),
        };
        move |row| {
            let Some(span) = spans.get(row * width) else { return Cell::Null };
            Cell::Text(if span.start() < text.len() {
                Field::at(text, *span)
            } else {
                Field::at(rewritten, span.moved_back(text.len()))
            })
        }
    }
}

/// Whether a quote within a quoted field of a record is neither doubled or escaped, nor the end of its field.
fn has_loose_quote(record: &[u8], dialect: &Dialect) -> bool {
    let Some(quote) = dialect.quote.map(byte) else { return false };
    let (delimiter, escape) = (byte(dialect.delimiter), dialect.escape.map(byte));
    let opens = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == delimiter || dialect.ends_record(*byte));
    let is_end = |place: usize| record.get(place) == Some(&delimiter) || end_at(record, place, dialect).is_some();
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
            in_quotes = opens(here.checked_sub(1).and_then(|before| record.get(before)));
        } else if record.get(here) != Some(&quote) || next == Some(&quote) {
            place += 1;
        } else if is_end(place) {
            in_quotes = false;
        } else {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
