//! Blocks: runs of whole records, cut by bytes.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2, memchr3};

/// A run of whole records, decoded as one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Byte offset of its first byte in the text of the source.
    pub(crate) start: u64,
    /// Its text.
    pub(crate) text: Bytes,
}

/// Why no block could be cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// A record is longer than the limit; the text of the block that it ends, with its byte offset.
    TooLong(Block),
    /// The source ends inside a quoted field; the text of the last block.
    OpenQuote(Block),
}

/// Cuts text into blocks: each ends with the first record that ends at or behind `block_bytes`.
///
/// Where a block ends depends on the text alone, not on the pieces in which it came: all that is remembered between two
/// pieces is how far the text was looked at and whether that place is inside quotes.
///
/// Advice to whoever changes this: it must agree with the `csv` crate on what a record is. A quote opens a field only at
/// the field's first byte; within a quoted field a doubled quote is text; a record ends at `\n`, `\r` or `\r\n` outside
/// of quotes. The property tests below compare the two.
#[derive(Debug)]
pub(crate) struct Framer {
    delimiter: u8,
    quote: u8,
    block_bytes: usize,
    max_record_bytes: usize,
    /// Byte offset of `text`.
    start: u64,
    text: BytesMut,
    scanned: usize,
    in_quotes: bool,
}

impl Framer {
    /// A framer of text that begins at byte offset `start`, which must be the start of a record.
    pub(crate) fn new(delimiter: u8, quote: u8, block_bytes: usize, max_record_bytes: usize, start: u64) -> Self {
        let text = BytesMut::with_capacity(block_bytes);
        Self { delimiter, quote, block_bytes, max_record_bytes, start, text, scanned: 0, in_quotes: false }
    }

    /// Adds the next piece of the text.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.text.extend_from_slice(piece);
    }

    /// The next block, if one is complete.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>, FrameError> {
        let most = self.block_bytes + self.max_record_bytes;
        match self.block_end(false) {
            Some(end) if end <= most => Ok(Some(self.cut(end))),
            // Not the end of the text, which depends on the pieces in which it came.
            _ if self.text.len() > most => Err(FrameError::TooLong(self.cut(most))),
            _ => Ok(None),
        }
    }

    /// The next block when no more text will come; `None` at the end.
    pub(crate) fn last_block(&mut self) -> Result<Option<Block>, FrameError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let most = self.block_bytes + self.max_record_bytes;
        match self.block_end(true) {
            Some(end) if end <= most => return Ok(Some(self.cut(end))),
            _ if self.text.len() > most => return Err(FrameError::TooLong(self.cut(most))),
            _ => {}
        }
        let in_quotes = self.in_quotes;
        let rest = self.cut(self.text.len());
        if in_quotes { Err(FrameError::OpenQuote(rest)) } else { Ok(Some(rest)) }
    }

    fn cut(&mut self, end: usize) -> Block {
        let text = self.text.split_to(end).freeze();
        let start = self.start;
        self.start += u64::try_from(end).unwrap_or_default();
        self.scanned = 0;
        self.in_quotes = false;
        self.text.reserve(self.block_bytes.saturating_sub(self.text.len()));
        Block { start, text }
    }

    /// Where the first record ends that ends at or behind `block_bytes`, if that can be told yet.
    fn block_end(&mut self, at_end: bool) -> Option<usize> {
        loop {
            if self.in_quotes {
                self.leave_quotes(at_end)?;
                continue;
            }
            let behind_target = self.scanned + 1 >= self.block_bytes;
            let rest = self.text.get(self.scanned..)?;
            // Before the target only quotes matter; no line is looked at.
            let found = if behind_target {
                memchr3(self.quote, b'\n', b'\r', rest)
            } else {
                let until_target = rest.get(..self.block_bytes - 1 - self.scanned).unwrap_or(rest);
                match memchr(self.quote, until_target) {
                    None => {
                        self.scanned += until_target.len();
                        if self.scanned == self.text.len() {
                            return None;
                        }
                        continue;
                    }
                    found => found,
                }
            };
            let Some(found) = found else {
                self.scanned = self.text.len();
                return None;
            };
            let place = self.scanned + found;
            match *self.text.get(place)? {
                byte if byte == self.quote => {
                    self.in_quotes = self.opens_field(place);
                    self.scanned = place + 1;
                }
                b'\r' => match self.text.get(place + 1) {
                    Some(b'\n') => return Some(place + 2),
                    Some(_) => return Some(place + 1),
                    None if at_end => return Some(place + 1),
                    None => {
                        self.scanned = place;
                        return None;
                    }
                },
                _ => return Some(place + 1),
            }
        }
    }

    /// A quote opens a field at the field's first byte only.
    fn opens_field(&self, place: usize) -> bool {
        match place.checked_sub(1).and_then(|before| self.text.get(before)) {
            None => true,
            Some(&before) => before == self.delimiter || before == b'\n' || before == b'\r',
        }
    }

    /// Goes behind the quote that closes the field; `None` when it has not come yet.
    fn leave_quotes(&mut self, at_end: bool) -> Option<()> {
        loop {
            let Some(found) = memchr(self.quote, self.text.get(self.scanned..)?) else {
                self.scanned = self.text.len();
                return None;
            };
            let place = self.scanned + found;
            match self.text.get(place + 1) {
                Some(&next) if next == self.quote => self.scanned = place + 2,
                Some(_) => {
                    self.scanned = place + 1;
                    self.in_quotes = false;
                    return Some(());
                }
                None if at_end => {
                    self.scanned = place + 1;
                    self.in_quotes = false;
                    return Some(());
                }
                None => {
                    self.scanned = place;
                    return None;
                }
            }
        }
    }
}

/// Strips the line ends that stand before a record: the `\n` of the `\r\n` before it, and blank lines.
pub(crate) fn behind_line_ends(text: &[u8], mut place: usize) -> usize {
    while text.get(place).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        place += 1;
    }
    place
}

/// Strips the line end of a record.
pub(crate) fn without_line_end(mut text: &[u8]) -> &[u8] {
    while let Some((b'\r' | b'\n', rest)) = text.split_last() {
        text = rest;
    }
    text
}

/// Skips to the start of the line behind the first line end.
pub(crate) fn behind_first_line_end(mut text: &[u8]) -> &[u8] {
    let line_end = memchr2(b'\n', b'\r', text).map_or(text.len(), |place| place + 1);
    text.advance(line_end);
    text.get(behind_line_ends(text, 0)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(pieces: &[&[u8]], block_bytes: usize) -> Result<Vec<Block>, FrameError> {
        let mut framer = Framer::new(b',', b'"', block_bytes, 1 << 20, 0);
        let mut blocks = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(block) = framer.next_block()? {
                blocks.push(block);
            }
        }
        while let Some(block) = framer.last_block()? {
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn texts(text: &str, block_bytes: usize) -> Vec<String> {
        let blocks = frame(&[text.as_bytes()], block_bytes).unwrap();
        blocks.iter().map(|block| String::from_utf8(block.text.to_vec()).unwrap()).collect()
    }

    fn records(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        reader.byte_records().map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
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
    fn an_open_quote_is_told() {
        assert!(matches!(frame(&[b"a\n\"b\nc\n"], 1), Err(FrameError::OpenQuote(block)) if block.start == 2));
    }

    #[test]
    fn a_record_that_never_ends_is_told() {
        let mut framer = Framer::new(b',', b'"', 4, 8, 100);
        framer.push(b"a\n\"bcdefghijklmnopqrstuvwxyz");
        assert!(matches!(framer.next_block(), Err(FrameError::TooLong(block)) if block.start == 100));
    }

    proptest! {
        #[test]
        fn blocks_are_the_text_and_hold_whole_records(
            text in proptest::collection::vec(proptest::sample::select(b"a,\"\n\r".to_vec()), 0..60),
            block_bytes in 1_usize..20,
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let whole = frame(&[&text], block_bytes);
            // However the text is cut into pieces, the blocks are the same.
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let in_pieces = frame(&pieces, block_bytes);
            prop_assert_eq!(&whole, &in_pieces);
            if let Ok(blocks) = whole {
                let together: Vec<u8> = blocks.iter().flat_map(|block| block.text.to_vec()).collect();
                prop_assert_eq!(&together, &text);
                // Read block by block, the records are those of the whole.
                let by_block: Vec<_> = blocks.iter().flat_map(|block| records(&block.text)).collect();
                prop_assert_eq!(by_block, records(&text));
            }
        }
    }
}
