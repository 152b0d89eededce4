//! Blocks: runs of whole records, cut by bytes.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2, memchr2_iter, memchr3};
use shared::Dialect;

use crate::record::byte;

/// A run of whole records, decoded as one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Byte offset of its first byte in the text of the source.
    pub(crate) start: u64,
    /// Its text.
    pub(crate) text: Bytes,
    /// Set when its text is no run of whole records, but what is kept of one whose end was not found.
    pub(crate) torn: Option<Torn>,
}

/// Why the end of a record was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Torn {
    /// It is longer than the limit.
    TooLong,
    /// The source ends inside a quoted field.
    OpenQuote,
}

/// Most bytes that are kept of a record whose end was not found.
pub(crate) const TORN_BYTES: usize = 1 << 20;

/// Least bytes of a piece that are looked at behind what is left of the one before.
const STEP_BYTES: usize = if cfg!(test) { 3 } else { 4 << 10 };

/// Cuts text into blocks: each ends with the first record that ends at or behind the next multiple of `block_bytes`.
///
/// A record whose end is not found within the limit, or before the text ends, is a block of its own: its first line, or the
/// beginning of that. The next record then begins with the next line, since what is wrong with such a record is a quote
/// that is never closed, and each line behind it may well be whole.
///
/// Where a block ends depends on where it starts and on the text from there alone, not on the pieces in which it came, nor on
/// the blocks before it.
///
/// A block is in the memory of the piece that it begins in. Of the next piece only what belongs to the same record is copied,
/// as long as pieces end where blocks are to end.
#[derive(Debug)]
pub(crate) struct Framer {
    block_bytes: u64,
    max_record_bytes: usize,
    /// Byte offset of `text`.
    start: u64,
    text: BytesMut,
    /// What comes behind the text, but for its first bytes, which the text ends with.
    piece: Bytes,
    /// How many these are.
    copied: usize,
    scanner: Scanner,
    /// Whether the text up to the next line end belongs to a record that was given up.
    skipping: bool,
}

impl Framer {
    /// A framer of text that begins at byte offset `start`, which must be the start of a block.
    pub(crate) fn new(dialect: &Dialect, block_bytes: u64, max_record_bytes: usize, start: u64) -> Self {
        let (text, piece, scanner) = (BytesMut::new(), Bytes::new(), Scanner::new(dialect));
        Self { block_bytes, max_record_bytes, start, text, piece, copied: 0, scanner, skipping: false }
    }

    /// Adds the next piece of the text.
    pub(crate) fn push(&mut self, piece: Bytes) {
        while self.look_further() {}
        (self.piece, self.copied) = (piece, 0);
        self.let_go();
    }

    /// The next block, if one is complete.
    pub(crate) fn next_block(&mut self) -> Option<Block> {
        loop {
            let block = self.block_in_sight();
            if block.is_some() || !self.look_further() {
                return block;
            }
        }
    }

    fn block_in_sight(&mut self) -> Option<Block> {
        self.skip_line();
        if self.text.is_empty() {
            return None;
        }
        let (target, most) = self.bounds();
        match self.scanner.end_of_record(&self.text, target, false) {
            Some(end) if end <= most => Some(self.cut(end, None)),
            // Not the end of the text, which depends on the pieces in which it came.
            _ if self.text.len() > most => Some(self.give_up(most, Torn::TooLong)),
            _ => None,
        }
    }

    /// The next block when no more text will come; `None` at the end.
    pub(crate) fn last_block(&mut self) -> Option<Block> {
        while self.look_further() {}
        self.skip_line();
        if self.text.is_empty() {
            return None;
        }
        let (target, most) = self.bounds();
        match self.scanner.end_of_record(&self.text, target, true) {
            Some(end) if end <= most => Some(self.cut(end, None)),
            _ if self.text.len() > most => Some(self.give_up(most, Torn::TooLong)),
            _ if self.scanner.in_quotes => Some(self.give_up(self.text.len(), Torn::OpenQuote)),
            _ => Some(self.cut(self.text.len(), None)),
        }
    }

    /// Bytes that the block that begins here is to have at least, and may have at most.
    fn bounds(&self) -> (usize, usize) {
        let target = self.block_bytes - self.start % self.block_bytes;
        let target = usize::try_from(target).unwrap_or(usize::MAX);
        (target, target.saturating_add(self.max_record_bytes))
    }

    /// Adds a little of the piece to the text; whether there was any left.
    fn look_further(&mut self) -> bool {
        let rest = self.piece.get(self.copied..).unwrap_or_default();
        let (target, _) = self.bounds();
        let more = rest.get(..target.saturating_sub(self.text.len()).max(STEP_BYTES)).unwrap_or(rest);
        let length = self.text.len() + more.len();
        if length > self.text.capacity() {
            let mut larger = BytesMut::with_capacity(target.max(2 * length));
            larger.extend_from_slice(&self.text);
            self.text = larger;
        }
        self.text.extend_from_slice(more);
        self.copied += more.len();
        !more.is_empty()
    }

    /// Lets go of a text that is nothing but a copy, for what it is a copy of.
    fn let_go(&mut self) {
        if self.text.len() <= self.copied {
            let mut piece = std::mem::take(&mut self.piece);
            piece.advance(self.copied - self.text.len());
            (self.text, self.copied) = (piece.into(), 0);
        }
    }

    /// The records before the one that does not end within `most` bytes, or what is kept of it when it comes first.
    fn give_up(&mut self, most: usize, torn: Torn) -> Block {
        let mut scanner = self.scanner.anew();
        let mut record = 0;
        let held = self.text.get(..most).unwrap_or_default();
        while let Some(end) = scanner.end_of_record(held, record + 1, false) {
            record = end;
        }
        if record > 0 {
            return self.cut(record, None);
        }
        let line = self.scanner.end_of_line(held);
        let kept = line.unwrap_or(held.len()).min(TORN_BYTES);
        self.skipping = line.is_none_or(|line| line > kept);
        self.cut(kept, Some(torn))
    }

    /// Drops what there is of the rest of a line that was given up.
    fn skip_line(&mut self) {
        while self.skipping && !self.text.is_empty() {
            let line = self.scanner.end_of_line(&self.text);
            self.skipping = line.is_none();
            drop(self.cut(line.unwrap_or(self.text.len()), None));
        }
    }

    fn cut(&mut self, end: usize, torn: Option<Torn>) -> Block {
        let text = self.text.split_to(end).freeze();
        let start = self.start;
        self.start += u64::try_from(end).unwrap_or_default();
        self.scanner = self.scanner.anew();
        self.let_go();
        Block { start, text, torn }
    }
}

/// Finds where records end in a text that grows at its end.
///
/// All that is remembered between two looks is how far the text was looked at and whether that place is inside quotes.
///
/// Advice to whoever changes this: it must agree with the `csv` crate on what a record is. A quote opens a field only at
/// the field's first byte; within a quoted field a doubled quote is text, and so is what follows the escape character. The
/// property tests compare the two.
#[derive(Clone, Debug)]
struct Scanner {
    dialect: Dialect,
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    scanned: usize,
    in_quotes: bool,
}

impl Scanner {
    fn new(dialect: &Dialect) -> Self {
        Self {
            delimiter: byte(dialect.delimiter),
            quote: dialect.quote.map(byte),
            escape: dialect.escape.map(byte),
            comment: dialect.comment.map(byte),
            dialect: dialect.clone(),
            scanned: 0,
            in_quotes: false,
        }
    }

    fn anew(&self) -> Self {
        Self { scanned: 0, in_quotes: false, ..self.clone() }
    }

    /// Where the first record ends that ends at or behind byte `target`, if that can be told yet.
    fn end_of_record(&mut self, text: &[u8], target: usize, at_end: bool) -> Option<usize> {
        loop {
            if self.comment.is_none() {
                self.pass(text, target.saturating_sub(1).min(text.len()));
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
            let Some(end) = self.behind_terminator(text, place, at_end) else {
                self.scanned = place;
                return None;
            };
            if end >= target {
                return Some(end);
            }
            self.scanned = end;
        }
    }

    /// Goes on to a place before which no record is to end, so that quotes alone matter, and no line is looked at; or to the last
    /// quote before it, while it cannot be told what that one means.
    fn pass(&mut self, text: &[u8], to: usize) {
        let before = text.get(self.scanned..to).unwrap_or_default();
        let Some(quote) = self.quote else {
            self.scanned += before.len();
            return;
        };
        let (start, mut passed) = (self.scanned, self.scanned);
        for place in memchr2_iter(quote, self.escape.unwrap_or(quote), before).map(|place| start + place) {
            let is_quote = text.get(place) == Some(&quote);
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
                Some(next) if *next == quote || !is_quote => passed += 1,
                Some(_) => self.in_quotes = false,
            }
        }
        self.scanned = passed.max(start + before.len());
    }

    fn quote_or_end(&self, text: &[u8]) -> Option<usize> {
        match (self.dialect.terminator.map(byte), self.quote) {
            (None, Some(quote)) => memchr3(quote, b'\n', b'\r', text),
            (None, None) => memchr2(b'\n', b'\r', text),
            (Some(terminator), Some(quote)) => memchr2(quote, terminator, text),
            (Some(terminator), None) => memchr(terminator, text),
        }
    }

    /// Goes behind a comment that begins here; whether one did, and `None` when its end has not come yet.
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
    fn end_of_line(&self, text: &[u8]) -> Option<usize> {
        let end = match self.dialect.terminator.map(byte) {
            None => memchr2(b'\n', b'\r', text),
            Some(terminator) => memchr(terminator, text),
        };
        end.map(|end| end + 1)
    }

    /// The place behind the record end at `place`; `None` while it cannot be told whether a `\n` follows a `\r`.
    fn behind_terminator(&self, text: &[u8], place: usize, at_end: bool) -> Option<usize> {
        if self.dialect.terminator.is_some() || text.get(place) != Some(&b'\r') {
            return Some(place + 1);
        }
        match text.get(place + 1) {
            Some(b'\n') => Some(place + 2),
            None if !at_end => None,
            _ => Some(place + 1),
        }
    }

    /// A quote opens a field at the field's first byte only.
    fn opens_field(&self, text: &[u8], place: usize) -> bool {
        match place.checked_sub(1).and_then(|before| text.get(before)) {
            None => true,
            Some(&before) => before == self.delimiter || self.dialect.ends_record(before),
        }
    }

    /// Goes behind the quote that closes the field; `None` when it has not come yet.
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

/// Skips the record ends that stand before a record: the `\n` of the `\r\n` before it, and blank lines.
pub(crate) fn behind_line_ends(text: &[u8], mut place: usize, dialect: &Dialect) -> usize {
    while text.get(place).is_some_and(|byte| dialect.ends_record(*byte)) {
        place += 1;
    }
    place
}

/// Strips the end of a record.
pub(crate) fn without_line_end<'a>(mut text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    while let Some((last, rest)) = text.split_last()
        && dialect.ends_record(*last)
    {
        text = rest;
    }
    text
}

/// Skips to the start of the record behind the first record end.
pub(crate) fn behind_first_line_end<'a>(text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    let line_end = Scanner::new(dialect).end_of_line(text).unwrap_or(text.len());
    text.get(behind_line_ends(text, line_end, dialect)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Records;

    fn frame(dialect: &Dialect, pieces: &[&[u8]], block_bytes: u64, max_record_bytes: usize) -> Vec<Block> {
        frame_from(0, dialect, pieces, block_bytes, max_record_bytes)
    }

    fn frame_from(
        start: u64,
        dialect: &Dialect,
        pieces: &[&[u8]],
        block_bytes: u64,
        max_record_bytes: usize,
    ) -> Vec<Block> {
        let mut framer = Framer::new(dialect, block_bytes, max_record_bytes, start);
        let mut blocks = Vec::new();
        for piece in pieces {
            framer.push(Bytes::copy_from_slice(piece));
            blocks.extend(std::iter::from_fn(|| framer.next_block()));
        }
        blocks.extend(std::iter::from_fn(|| framer.last_block()));
        blocks
    }

    fn texts(text: &str, block_bytes: u64) -> Vec<String> {
        let blocks = frame(&Dialect::default(), &[text.as_bytes()], block_bytes, 1 << 20);
        blocks.iter().map(|block| String::from_utf8(block.text.to_vec()).unwrap()).collect()
    }

    fn records(text: &[u8], dialect: &Dialect) -> Vec<Vec<Vec<u8>>> {
        let mut records = Records::of_dialect(text, dialect);
        let mut all = Vec::new();
        while let Some(record) = records.next() {
            all.push(record.fields().map(<[u8]>::to_vec).collect());
        }
        all
    }

    /// Dialects of the bytes that the texts of the properties are made of.
    fn any_dialect() -> impl Strategy<Value = Dialect> {
        use proptest::sample::select;
        let quote = select(vec![Some('"'), Some('\''), None]);
        let (escape, comment) = (select(vec![None, Some('\\')]), select(vec![None, Some('#')]));
        let terminator = select(vec![None, Some('\n'), Some('\r'), Some('!')]);
        (select(vec![',', ';']), quote, escape, comment, terminator).prop_map(
            |(delimiter, quote, escape, comment, terminator)| Dialect {
                delimiter,
                quote,
                escape,
                comment,
                terminator,
                ..Dialect::default()
            },
        )
    }

    #[test]
    fn cuts_behind_the_first_record_that_reaches_the_target() {
        assert_eq!(texts("a,b\nc,d\ne,f\n", 1), ["a,b\n", "c,d\n", "e,f\n"]);
        assert_eq!(texts("a,b\nc,d\ne,f\n", 4), ["a,b\n", "c,d\n", "e,f\n"]);
        assert_eq!(texts("a,b\nc,d\ne,f\n", 5), ["a,b\nc,d\n", "e,f\n"]);
        assert_eq!(texts("a,b\r\nc,d\re,f", 1), ["a,b\r\n", "c,d\r", "e,f"]);
        assert_eq!(texts("\"a\n\"\"\n\",b\nc,d\n", 1), ["\"a\n\"\"\n\",b\n", "c,d\n"]);
        assert_eq!(texts("5\" pipe\nx\n", 1), ["5\" pipe\n", "x\n"]);
        assert_eq!(texts("\"a\"b\"\nx\n", 1), ["\"a\"b\"\n", "x\n"]);
        assert_eq!(texts("", 1), Vec::<String>::new());
    }

    #[test]
    fn a_record_without_an_end_is_given_up() {
        let long = "x".repeat(40);
        let given_up = |text: &str, block_bytes| {
            let blocks = frame(&Dialect::default(), &[text.as_bytes()], block_bytes, 16);
            let told = |block: &Block| (block.start, String::from_utf8(block.text.to_vec()).unwrap(), block.torn);
            blocks.iter().map(told).collect::<Vec<_>>()
        };
        let (too_long, open) = (Some(Torn::TooLong), Some(Torn::OpenQuote));
        for (text, expected) in [
            ("a\n\"b\nc\n", vec![(0, "a\n", None), (2, "\"b\n", open), (5, "c\n", None)]),
            ("a\n\"b", vec![(0, "a\n", None), (2, "\"b", open)]),
            ("\"b\r\nc,d\r\n", vec![(0, "\"b\r", open), (3, "\n", None), (4, "c,d\r\n", None)]),
            // The end of the long record is found, further on than it may be.
            (
                &format!("a\n\"{long}\"\nb\n"),
                vec![(0, "a\n", None), (2, &format!("\"{}", &long[..16]), too_long), (45, "b\n", None)],
            ),
            (&format!("{long}{long}\nb\n"), vec![(0, &long[..17], too_long), (81, "b\n", None)]),
            // A quote that is never closed takes its line with it, and no other.
            ("\"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", {
                let lines = ["b\n", "c\n", "d\n", "e\n", "f\n", "g\n", "h\n", "i\n", "j\n"];
                let lines = lines.into_iter().zip(0..).map(|(line, number)| (3 + 2 * number, line, None));
                [(0, "\"a\n", too_long)].into_iter().chain(lines).collect()
            }),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(at, text, torn)| (at, text.to_owned(), torn)).collect();
            assert_eq!(given_up(text, 1), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn blocks_are_the_text_and_hold_whole_records(
            dialect in any_dialect(),
            text in proptest::collection::vec(proptest::sample::select(b"a,;\"'\\#!\n\r".to_vec()), 0..60),
            block_bytes in 1_u64..20,
            max_record_bytes in prop_oneof![Just(1 << 20), 1_usize..20],
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let blocks = frame(&dialect, &[&text], block_bytes, max_record_bytes);
            // However the text is cut into pieces, the blocks are the same.
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&blocks, &frame(&dialect, &pieces, block_bytes, max_record_bytes));
            // From the start of any of them the rest is the same.
            for (place, block) in blocks.iter().enumerate() {
                let start = usize::try_from(block.start).unwrap();
                let rest = frame_from(block.start, &dialect, &[&text[start..]], block_bytes, max_record_bytes);
                prop_assert_eq!(&rest, &blocks[place..]);
            }
            // They are the text, but for what is dropped of long lines.
            let mut at = 0;
            for block in &blocks {
                prop_assert!(block.start == at || max_record_bytes < text.len());
                at = block.start + u64::try_from(block.text.len()).unwrap();
            }
            if blocks.iter().all(|block| block.torn.is_none()) {
                let together: Vec<u8> = blocks.iter().flat_map(|block| block.text.to_vec()).collect();
                prop_assert_eq!(&together, &text);
                // Read block by block, the records are those of the whole.
                let by_block: Vec<_> = blocks.iter().flat_map(|block| records(&block.text, &dialect)).collect();
                prop_assert_eq!(by_block, records(&text, &dialect));
            }
        }

        #[test]
        fn records_are_those_of_the_csv_crate(
            dialect in any_dialect(),
            text in proptest::collection::vec(proptest::sample::select(b"a,;\"'\\#!\n\r".to_vec()), 0..200),
        ) {
            let mut builder = csv::ReaderBuilder::new();
            builder.has_headers(false).flexible(true).delimiter(byte(dialect.delimiter)).escape(dialect.escape.map(byte));
            builder.quoting(dialect.quote.is_some()).quote(dialect.quote.map_or(b'"', byte));
            if let Some(terminator) = dialect.terminator {
                builder.terminator(csv::Terminator::Any(byte(terminator)));
            }
            // The crate's comments end at `\n` alone, and not with the text.
            let text = [&text[..], if dialect.comment.is_some() { b"\n" } else { b"" }].concat();
            let comparable = dialect.comment.is_none()
                || dialect.terminator == Some('\n')
                || (dialect.terminator.is_none() && !text.contains(&b'\r'));
            builder.comment(dialect.comment.map(byte));
            let theirs: Vec<Vec<Vec<u8>>> =
                builder.from_reader(&text[..]).byte_records().map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
            prop_assert!(!comparable || records(&text, &dialect) == theirs);
        }
    }
}
