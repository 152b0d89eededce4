//! Records of a text, and where their fields are.

pub(crate) mod escapes;
pub(crate) mod spans;

use std::io::{self, Read, Seek, SeekFrom};

use shared::{CsvPolicy, Dialect, Lines};

use crate::records::block_lines::BlockLines;
use crate::records::record_ends::{before_returns, byte, end_at, end_byte};
use crate::records::span::Span;
use crate::records::structural::StructuralScanner;
use crate::records::unterminated::{LinesLeft, Unterminated};
use spans::Spans;

/// One record of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// What the spans are places in.
    text: &'a [u8],
    /// Its fields, without their quotes.
    pub(crate) spans: &'a [Span],
    /// Its fields one after the other, if they do not stand in the text as they are.
    pub(crate) rewritten: Option<&'a [u8]>,
    /// Where it begins in the text.
    pub(crate) start: usize,
    /// Where it ends, line end included or not.
    pub(crate) end: usize,
}

impl<'a> Record<'a> {
    /// Its fields, unquoted.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.rewritten.unwrap_or(self.text);
        self.spans.iter().map(move |span| span.of(text))
    }
}

/// Where a record was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Where it begins in the text.
    pub(crate) start: usize,
    /// Where it ends, line end included or not.
    pub(crate) end: usize,
    /// Whether its fields do not stand in the text as they are.
    pub(crate) is_rewritten: bool,
    /// Why it is a line that was given up, if it is one. Its fields are not looked for.
    pub(crate) unterminated: Option<Unterminated>,
}

/// The records of a text, with their places. Blank lines and comments are not records.
///
/// A field whose quotes, if it has any, stand around it and nowhere within is taken where it stands. Records that have other
/// quotes are left to the `csv` crate, which also says what is to become of them where quotes are misused.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    text: &'a [u8],
    dialect: &'a Dialect,
    delimiter: u8,
    quote: Option<u8>,
    /// Fields of a record that may have a blank one more, after a trailing delimiter.
    width: Option<usize>,
    /// Where the next record may begin.
    place: usize,
    /// Where the footer begins; the end of all texts where there is none.
    footer: usize,
    /// Lines from there on that were given up.
    unterminated: LinesLeft<'a>,
    /// Lines before `place`.
    lines: BlockLines,
    marks: StructuralScanner<'a>,
    spans: Spans,
    /// What records with other quotes are left to: none before the first of these, since most blocks have none.
    reader: Option<csv::Reader<AfterLineEnd<'a>>>,
    rewritten: csv::ByteRecord,
}

/// Bytes that the `csv` crate reads ahead; in vain where a record that is left to it stands alone.
const AHEAD_BYTES: usize = 8 << 10;

impl<'a> Records<'a> {
    /// The records of a source whose columns are known.
    pub(crate) fn new(text: &'a [u8], csv: &'a CsvPolicy) -> Self {
        let width = Some(csv.width()).filter(|_| csv.dialect.trailing_delimiter);
        Self { width, ..Self::of_dialect(text, &csv.dialect) }
    }

    /// The records of a text of which nothing but the dialect is known.
    pub(crate) fn of_dialect(text: &'a [u8], dialect: &'a Dialect) -> Self {
        let (delimiter, quote, end) = (byte(dialect.delimiter), dialect.quote.map(byte), end_byte(dialect));
        let others = [quote.unwrap_or(end), end];
        Self {
            text,
            dialect,
            delimiter,
            quote,
            width: None,
            place: 0,
            footer: usize::MAX,
            unterminated: LinesLeft::NONE,
            lines: BlockLines::default(),
            marks: StructuralScanner::new(text, delimiter, others),
            spans: Spans::default(),
            reader: None,
            rewritten: csv::ByteRecord::new(),
        }
    }

    /// The same, up to a footer that begins at this place.
    pub(crate) fn before(self, footer: Option<usize>) -> Self {
        Self { footer: footer.unwrap_or(usize::MAX), ..self }
    }

    /// The same, where these lines were given up.
    pub(crate) fn with_unterminated(self, unterminated: LinesLeft<'a>) -> Self {
        Self { unterminated, ..self }
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Record<'_>> {
        let mut spans = std::mem::take(&mut self.spans);
        spans.truncate(0);
        let found = self.find(&mut spans);
        self.spans = spans;
        let Found { start, end, is_rewritten, .. } = found?;
        Some(Record {
            text: self.text,
            spans: self.spans.all(),
            rewritten: self.rewritten_if(is_rewritten),
            start,
            end,
        })
    }

    /// Finds the next record, and appends where its fields are; `None` at the end.
    #[inline]
    pub(crate) fn find(&mut self, spans: &mut Spans) -> Option<Found> {
        let start = self.after_skipped();
        if start == self.unterminated.start() {
            return self.take_unterminated(start);
        }
        if start >= self.text.len() {
            return None;
        }
        let before = spans.len();
        let taken = if self.dialect.escape.is_none() { self.take(start, spans) } else { None };
        let end = if let Some((end, line_ends)) = taken {
            self.lines.add_record(line_ends + 1);
            end
        } else {
            spans.truncate(before);
            let end = self.rewrite(start, spans)?;
            self.lines.add_record(lines_of(self.text.get(start..end).unwrap_or_default(), self.dialect));
            end
        };
        self.place = end;
        let last = spans.len().saturating_sub(1);
        let is_rewritten = taken.is_none();
        if self.width.is_some_and(|width| before + width == last) {
            let text = self.rewritten_if(is_rewritten).unwrap_or(self.text);
            if spans.all().last().is_some_and(|span| span.of(text).trim_ascii().is_empty()) {
                spans.truncate(last);
            }
        }
        Some(Found { start, end, is_rewritten, unterminated: None })
    }

    /// Takes the line that begins at `start`, which was given up.
    #[cold]
    fn take_unterminated(&mut self, start: usize) -> Option<Found> {
        let (end, unterminated) = self.unterminated.pass(self.text, end_byte(self.dialect))?;
        // However much of its line is kept.
        self.lines.add_record(1);
        self.place = end;
        Some(Found { start, end, is_rewritten: false, unterminated: Some(unterminated) })
    }

    /// The fields of the current record one after the other, if they do not stand in the text as they are.
    pub(crate) fn rewritten_if(&self, is_rewritten: bool) -> Option<&[u8]> {
        is_rewritten.then(|| self.rewritten.as_slice())
    }

    /// Skips blank lines, comments and the footer, and gives where the next record begins. The reader's own comments end at `\n` alone,
    /// which not every text has.
    fn after_skipped(&mut self) -> usize {
        let comment = self.dialect.comment.map(byte);
        loop {
            let start = self.place;
            if start == self.unterminated.start() {
                return start;
            }
            if let Some(end) = end_at(self.text, start, self.dialect).filter(|end| *end > start) {
                self.lines.skip_blank(start, end);
                self.place = end;
            } else if comment.is_some() && self.text.get(start).copied() == comment {
                let rest = self.text.get(start..).unwrap_or_default();
                let end = memchr::memchr(end_byte(self.dialect), rest).map_or(rest.len(), |end| end + 1);
                self.lines.skip_comment(start, start + end);
                self.place = start + end;
            } else if start >= self.footer && start < self.text.len() {
                self.skip_footer(start);
            } else {
                return start;
            }
        }
    }

    /// Skips the lines from a place on, up to one that was given up.
    #[cold]
    fn skip_footer(&mut self, mut start: usize) {
        let end = self.unterminated.start().min(self.text.len());
        while let Some(rest) = self.text.get(start..end).filter(|rest| !rest.is_empty()) {
            let end = start + memchr::memchr(end_byte(self.dialect), rest).map_or(rest.len(), |end| end + 1);
            if end_at(self.text, start, self.dialect).is_some_and(|blank| blank == end) {
                self.lines.skip_blank(start, end);
            } else {
                self.lines.skip_footer(start, end);
            }
            start = end;
        }
        self.place = end;
    }

    /// The lines of what was read so far, as those of a block that begins at a byte offset.
    pub(crate) fn lines(&self, block_start: u64) -> Lines {
        self.lines.of_block(self.text, block_start)
    }

    /// Takes the fields of the record that begins at `start` where they stand, and returns where it ends, and how many line ends stand
    /// within its quotes; `None` where the fields do not stand as they are.
    #[inline]
    fn take(&mut self, start: usize, spans: &mut Spans) -> Option<(usize, usize)> {
        let text = self.text;
        // A copy can be kept in registers.
        let mut marks = self.marks.clone();
        marks.skip_to(start);
        let (mut field, mut line_ends) = (start, 0);
        let end = loop {
            field = spans.push_delimited(field, marks.delimiters());
            let Some(mark) = marks.other() else {
                if marks.advance().is_some() {
                    continue;
                }
                spans.push(Span::new(field, before_returns(text, field, text.len(), self.dialect)));
                break Some(text.len());
            };
            let Some(quote) = self.quote.filter(|quote| text.get(mark) == Some(quote)) else {
                spans.push(Span::new(field, before_returns(text, field, mark, self.dialect)));
                break Some(mark + 1);
            };
            if mark != field {
                continue;
            }
            let Some(closing) = closing_quote(text, &mut marks, quote, &mut line_ends) else { break None };
            spans.push(Span::new(field + 1, closing));
            field = closing + 2;
            if text.get(closing + 1) == Some(&self.delimiter) {
                marks.skip_to(field);
            } else {
                // None where it is a quote within a quoted field, doubled or misused.
                break end_at(text, closing + 1, self.dialect);
            }
        };
        self.marks = marks;
        end.map(|end| (end, line_ends))
    }

    /// Has the `csv` crate write the fields of the record that begins at `start` one after the other; where it ends.
    fn rewrite(&mut self, start: usize, spans: &mut Spans) -> Option<usize> {
        // A seek would have it read ahead again. What the reader skips by itself are bytes that end a record.
        let line_end = end_byte(self.dialect);
        let text = AfterLineEnd { text: self.text, line_end, position: 0 };
        let reader = self.reader.get_or_insert_with(|| builder(self.dialect).from_reader(text));
        let mut read_to = read_to(reader);
        while read_to < start && self.text.get(read_to).is_some_and(|byte| self.dialect.ends_record(*byte)) {
            read_to += 1;
        }
        if read_to != start {
            let mut position = csv::Position::new();
            // The line end before the record: what stands there, or what the reader is led in by.
            position.set_byte(u64::try_from(start).unwrap_or(u64::MAX));
            reader.seek(position).ok()?;
        }
        // Reading from memory, and with any number of fields allowed, nothing can fail.
        if !reader.read_byte_record(&mut self.rewritten).ok()? {
            return None;
        }
        let read_to = self::read_to(reader);
        let raw = self.text.get(start..read_to).unwrap_or_default();
        if let Some(escaped) = escapes::of_text_doubled(raw, self.dialect) {
            let after_line_end = AfterLineEnd { text: &escaped, line_end, position: 0 };
            builder(self.dialect).from_reader(after_line_end).read_byte_record(&mut self.rewritten).ok()?;
        }
        // To the reader, what stands before a line end as `\r` is text of the last field.
        let end = raw.len() - usize::from(raw.last().is_some_and(|byte| self.dialect.ends_record(*byte)));
        let returns = end - before_returns(raw, 0, end, self.dialect);
        let last = self.rewritten.len().saturating_sub(1);
        let ranges = (0..=last).filter_map(|field| self.rewritten.range(field));
        for (field, range) in ranges.enumerate() {
            let end = if field == last { range.end.saturating_sub(returns).max(range.start) } else { range.end };
            spans.push(Span::new(range.start, end));
        }
        Some(read_to)
    }
}

/// Where the next record begins that a reader reads.
fn read_to(reader: &csv::Reader<AfterLineEnd<'_>>) -> usize {
    usize::try_from(reader.position().byte().saturating_sub(1)).unwrap_or(usize::MAX)
}

/// How many lines a record has.
fn lines_of(record: &[u8], dialect: &Dialect) -> usize {
    let line_end = end_byte(dialect);
    memchr::memchr_iter(line_end, record).count() + usize::from(record.last() != Some(&line_end))
}

/// What the `csv` crate is to read a dialect by.
fn builder(dialect: &Dialect) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(byte(dialect.delimiter)).buffer_capacity(AHEAD_BYTES);
    let quote = dialect.quote.map(byte);
    builder.quoting(quote.is_some()).quote(quote.unwrap_or(b'"')).escape(dialect.escape.map(byte));
    builder.terminator(csv::Terminator::Any(end_byte(dialect)));
    builder
}

/// Where the next quote is. Counts line ends before it.
#[inline]
fn closing_quote(text: &[u8], marks: &mut StructuralScanner<'_>, quote: u8, line_ends: &mut usize) -> Option<usize> {
    loop {
        match marks.other() {
            Some(mark) if text.get(mark) == Some(&quote) => return Some(mark),
            Some(_) => *line_ends += 1,
            None => marks.advance()?,
        }
    }
}

/// A text after one line end more, which is not a record.
///
/// Where the `csv` crate begins to read it drops a byte order mark. That is one at the start of a file alone, and goes with the header;
/// anywhere else it is text, as it is in records that are not left to the crate.
#[derive(Debug)]
struct AfterLineEnd<'a> {
    text: &'a [u8],
    line_end: u8,
    /// Place of the next byte, the line end being at 0.
    position: usize,
}

impl Read for AfterLineEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line_end = [self.line_end];
        let rest = match self.position.checked_sub(1) {
            None => &line_end[..],
            Some(place) => self.text.get(place..).unwrap_or_default(),
        };
        let length = rest.len().min(buffer.len());
        if let (Some(buffer), Some(bytes)) = (buffer.get_mut(..length), rest.get(..length)) {
            buffer.copy_from_slice(bytes);
        }
        self.position += length;
        Ok(length)
    }
}

impl Seek for AfterLineEnd<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.position = usize::try_from(position).unwrap_or(usize::MAX);
        Ok(position)
    }
}
