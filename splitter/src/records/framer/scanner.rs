//! Where records end, found without splitting them.

use memchr::{memchr, memchr2};
use shared::Dialect;

use crate::records::record_ends::{byte, end_byte};
use crate::records::structural::Marks;

/// Finds where records end in a text that grows at its end.
///
/// All that is remembered between two looks is how far the text was looked at, whether that place is inside quotes and where the last record
/// before it ends; and of a part in which no record ends, where it ends.
///
/// If you change this: it must agree with the `csv` crate on what a record is. A quote opens a field only at
/// the field's first byte; within a quoted field a doubled quote is text, and so is what follows the escape character. The
/// property tests compare the two.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    dialect: Dialect,
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    scanned: usize,
    pub(super) in_quotes: bool,
    /// Where the last record ends of what was looked at, if ends of records were looked for in all of it.
    last_end: Option<usize>,
    open: Option<Open>,
}

/// The end of a part of the text, from its start on, in which all line ends are inside quotes when reading begins at the start.
///
/// Reading that begins further on, and comes to one of these line ends inside quotes, goes on in the same way from there. So it can leap to
/// the end of the part. Without that, each line of a text with open quotes would take reading all of the text.
#[derive(Clone, Copy, Debug)]
struct Open {
    end: usize,
    in_quotes: bool,
}

impl Scanner {
    pub(super) fn new(dialect: &Dialect) -> Self {
        Self {
            delimiter: byte(dialect.delimiter),
            quote: dialect.quote.map(byte),
            escape: dialect.escape.map(byte),
            comment: dialect.comment.map(byte),
            dialect: dialect.clone(),
            scanned: 0,
            in_quotes: false,
            last_end: Some(0),
            open: None,
        }
    }

    /// For the same text, from its start.
    fn reset(&self) -> Self {
        Self { scanned: 0, in_quotes: false, last_end: Some(0), ..self.clone() }
    }

    /// For what of the text stands after a place.
    pub(super) fn after(&self, place: usize) -> Self {
        let open = self.open.filter(|open| open.end > place).map(|open| Open { end: open.end - place, ..open });
        Self { open, ..self.reset() }
    }

    /// Where the last record ends in a text in which the one after it does not, all of which was looked at; 0 where that is the first one.
    /// Reading then begins at the start again, and notes the part without an end.
    pub(super) fn last_end(&mut self, text: &[u8]) -> usize {
        let end = self.last_end.filter(|end| *end <= text.len()).unwrap_or_else(|| {
            *self = self.reset();
            let mut last = 0;
            while let Some(end) = self.end_of_record(text, last + 1, false) {
                last = end;
            }
            last
        });
        *self = Self { open: Some(Open { end: self.scanned, in_quotes: self.in_quotes }), ..self.reset() };
        end
    }

    /// Where the first record ends that ends at or after byte `target`, if that is known yet.
    pub(super) fn end_of_record(&mut self, text: &[u8], target: usize, at_end: bool) -> Option<usize> {
        loop {
            let open = self.open.filter(|open| self.scanned < open.end && open.end <= text.len());
            if self.comment.is_none() && open.is_none() {
                self.pass(text, target.saturating_sub(1).min(text.len()));
            }
            if let Some(open) = open.filter(|_| self.in_quotes) {
                self.leave_quotes_or_leap(text, open, at_end)?;
                continue;
            }
            if self.in_quotes {
                self.leave_quotes(text, at_end)?;
                continue;
            }
            if self.skip_comment(text)? {
                continue;
            }
            let found = self.quote_or_end(text.get(self.scanned..)?);
            let Some(found) = found else {
                self.scanned = text.len();
                return None;
            };
            let place = self.scanned + found;
            if Some(*text.get(place)?) == self.quote {
                self.in_quotes = self.opens_field(text, place);
                self.scanned = place + 1;
                continue;
            }
            self.scanned = place + 1;
            self.last_end = self.last_end.map(|_| self.scanned);
            if self.scanned >= target {
                return Some(self.scanned);
            }
        }
    }

    /// Goes on to a place before which no record is to end, so that quotes alone matter, and no line is looked at; or to the last
    /// quote before it, while it is not known what that one means.
    fn pass(&mut self, text: &[u8], to: usize) {
        let before = text.get(self.scanned..to).unwrap_or_default();
        if before.is_empty() {
            return;
        }
        self.last_end = None;
        let Some(quote) = self.quote else {
            self.scanned += before.len();
            return;
        };
        match self.escape {
            None => self.pass_quotes(text, before.len(), Marks::new(before, [quote])),
            Some(escape) => self.pass_quotes(text, before.len(), Marks::new(before, [quote, escape])),
        }
    }

    /// Goes on by so many bytes, among which there are these quotes and escapes.
    fn pass_quotes(&mut self, text: &[u8], length: usize, marks: impl Iterator<Item = usize>) {
        let (start, mut passed) = (self.scanned, self.scanned);
        for place in marks.map(|mark| start + mark) {
            let is_quote = text.get(place).copied() == self.quote;
            if place < passed || !(is_quote || self.in_quotes) {
                continue;
            }
            passed = place + 1;
            if !self.in_quotes {
                self.in_quotes = self.opens_field(text, place);
                continue;
            }
            match text.get(passed) {
                None => {
                    self.scanned = place;
                    return;
                }
                next if !is_quote || next.copied() == self.quote => passed += 1,
                Some(_) => self.in_quotes = false,
            }
        }
        self.scanned = passed.max(start + length);
    }

    fn quote_or_end(&self, text: &[u8]) -> Option<usize> {
        match self.quote {
            Some(quote) => memchr2(quote, end_byte(&self.dialect), text),
            None => memchr(end_byte(&self.dialect), text),
        }
    }

    /// Moves past a comment that begins here; whether one did, and `None` when its end has not come yet.
    fn skip_comment(&mut self, text: &[u8]) -> Option<bool> {
        let (Some(comment), Some(first)) = (self.comment, text.get(self.scanned)) else { return Some(false) };
        let begins_record = match self.scanned.checked_sub(1) {
            Some(before) => self.dialect.ends_record(*text.get(before)?),
            None => true,
        };
        if *first != comment || !begins_record {
            return Some(false);
        }
        self.scanned += self.end_of_line(text.get(self.scanned..)?)? - 1;
        Some(true)
    }

    /// Where the first line ends, whether in quotes or not, its end included.
    pub(super) fn end_of_line(&self, text: &[u8]) -> Option<usize> {
        memchr(end_byte(&self.dialect), text).map(|end| end + 1)
    }

    /// A quote opens a field at the field's first byte only.
    fn opens_field(&self, text: &[u8], place: usize) -> bool {
        match place.checked_sub(1).and_then(|before| text.get(before)) {
            None => true,
            Some(&before) => before == self.delimiter || self.dialect.ends_record(before),
        }
    }

    /// Moves past the quote that closes the field, or if a line end comes before it, to the end of the part that has no other.
    fn leave_quotes_or_leap(&mut self, text: &[u8], open: Open, at_end: bool) -> Option<()> {
        let Some(line) = self.end_of_line(text.get(self.scanned..open.end)?) else {
            return self.leave_quotes(text, at_end);
        };
        let line = text.get(..self.scanned + line)?;
        if self.leave_quotes(line, false).is_none() {
            (self.scanned, self.in_quotes) = (open.end, open.in_quotes);
        }
        Some(())
    }

    /// Moves past the quote that closes the field; `None` when it has not come yet.
    fn leave_quotes(&mut self, text: &[u8], at_end: bool) -> Option<()> {
        let quote = self.quote?;
        loop {
            let rest = text.get(self.scanned..)?;
            let found = match self.escape {
                Some(escape) => memchr2(quote, escape, rest),
                None => memchr(quote, rest),
            };
            let Some(found) = found else {
                self.scanned = text.len();
                return None;
            };
            let place = self.scanned + found;
            let is_quote = text.get(place) == Some(&quote);
            match text.get(place + 1) {
                None if !at_end => {
                    self.scanned = place;
                    return None;
                }
                None if !is_quote => {
                    self.scanned = text.len();
                    return None;
                }
                Some(&next) if next == quote || !is_quote => self.scanned = place + 2,
                _ => {
                    self.scanned = place + 1;
                    self.in_quotes = false;
                    return Some(());
                }
            }
        }
    }
}
