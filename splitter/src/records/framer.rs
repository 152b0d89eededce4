//! Blocks: runs of whole records, cut by bytes.

mod scanner;

use crate::records::record_ends::after_line_ends;
use bytes::{Buf, Bytes, BytesMut};
use shared::{Dialect, Policy};

use self::scanner::Scanner;

/// A run of whole records, decoded as one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Byte offset of its first byte in the text of the source.
    pub(crate) start: u64,
    /// Its text.
    pub(crate) text: Bytes,
    /// Set when its text is not a run of whole records, but what is kept of one whose end was not found.
    pub(crate) unterminated: Option<Unterminated>,
}

impl Block {
    /// Byte offset after its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::try_from(self.text.len()).unwrap_or_default()
    }
}

/// Why the end of a record was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unterminated {
    /// It is longer than the limit.
    TooLong,
    /// The source ends inside a quoted field.
    OpenQuote,
}

/// Most bytes that are kept of a record whose end was not found.
pub(crate) const UNTERMINATED_BYTES: usize = 1 << 20;

/// Least bytes of a piece that are looked at after what is left of the one before.
const STEP_BYTES: usize = if cfg!(test) { 3 } else { 4 << 10 };

/// What is left behind a piece, at least, for the end of the record that goes over its end.
const ROOM_BYTES: usize = 16 << 10;

/// Where blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockEnds {
    /// With the first record that ends at or after the next multiple of so many bytes of the text.
    Aligned(u64),
    /// With the first record that ends at or after so many bytes of the block, as the encoders before the second had it.
    Counted(u64),
}

impl BlockEnds {
    /// Those of a job.
    pub(crate) fn of(policy: &Policy) -> Self {
        if policy.encoder < 2 { Self::Counted(policy.block_bytes) } else { Self::Aligned(policy.block_bytes) }
    }
}

impl From<u64> for BlockEnds {
    fn from(block_bytes: u64) -> Self {
        Self::Aligned(block_bytes)
    }
}

/// Cuts text into blocks.
///
/// A record whose end is not found within the limit, or before the text ends, is a block of its own: its first line, or the
/// beginning of that. The next record then begins with the next line, since what is wrong with such a record is a quote
/// that is never closed, and each line after it may well be whole.
///
/// Where a block ends depends on where it starts and on the text from there alone, not on the pieces in which it came, nor on
/// the blocks before it.
///
/// A block is in the memory of the piece that it begins in. Of the next piece only what belongs to the same record is copied,
/// as long as pieces end where blocks are to end.
#[derive(Debug)]
pub(crate) struct Framer {
    ends: BlockEnds,
    max_record_bytes: usize,
    /// Byte offset of `text`.
    start: u64,
    text: BytesMut,
    /// What comes after the text, but for its first bytes, which the text ends with.
    piece: Bytes,
    /// How many these are.
    copied: usize,
    scanner: Scanner,
    /// Whether the text up to the next line end belongs to a record that was given up.
    skipping: bool,
}

impl Framer {
    /// A framer of text that begins at byte offset `start`, which must be the start of a block.
    pub(crate) fn new(dialect: &Dialect, ends: impl Into<BlockEnds>, max_record_bytes: usize, start: u64) -> Self {
        let (text, piece, scanner) = (BytesMut::new(), Bytes::new(), Scanner::new(dialect));
        Self { ends: ends.into(), max_record_bytes, start, text, piece, copied: 0, scanner, skipping: false }
    }

    /// Byte offset of the block to come, and how many bytes of it are held.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn held(&self) -> usize {
        self.text.len()
    }

    /// Adds the next piece of the text.
    pub(crate) fn push(&mut self, piece: Bytes) {
        while self.extend_text() {}
        (self.piece, self.copied) = (piece, 0);
        self.release_copy();
    }

    /// The next block, if one is complete.
    pub(crate) fn next_block(&mut self) -> Option<Block> {
        loop {
            let block = self.block_in_sight();
            if block.is_some() || !self.extend_text() {
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
        match self.scanner.end_of_record(up_to(&self.text, most), target, false) {
            Some(end) if end <= most => Some(self.cut(end, None)),
            // Not the end of the text, which depends on the pieces in which it came.
            _ if self.text.len() > most => Some(self.give_up(most, Unterminated::TooLong)),
            _ => None,
        }
    }

    /// The next block when no more text will come; `None` at the end.
    pub(crate) fn last_block(&mut self) -> Option<Block> {
        while self.extend_text() {}
        self.skip_line();
        if self.text.is_empty() {
            return None;
        }
        let (target, most) = self.bounds();
        match self.scanner.end_of_record(up_to(&self.text, most), target, self.text.len() <= most) {
            Some(end) if end <= most => Some(self.cut(end, None)),
            _ if self.text.len() > most => Some(self.give_up(most, Unterminated::TooLong)),
            _ if self.scanner.in_quotes => Some(self.give_up(self.text.len(), Unterminated::OpenQuote)),
            _ => Some(self.cut(self.text.len(), None)),
        }
    }

    /// Bytes that the block that begins here is to have at least, and may have at most.
    fn bounds(&self) -> (usize, usize) {
        let target = match self.ends {
            BlockEnds::Aligned(bytes) => bytes - self.start % bytes,
            BlockEnds::Counted(bytes) => bytes,
        };
        let target = usize::try_from(target).unwrap_or(usize::MAX);
        (target, target.saturating_add(self.max_record_bytes))
    }

    /// Adds a little of the piece to the text; whether there was any left.
    fn extend_text(&mut self) -> bool {
        let rest = self.piece.get(self.copied..).unwrap_or_default();
        let (target, _) = self.bounds();
        let missing = target.saturating_sub(self.text.len());
        // After the target twice as far each time: what is looked at again stays a small multiple of the whole.
        let step = missing.max(STEP_BYTES).max(self.text.len().saturating_sub(target));
        let more = rest.get(..step).unwrap_or(rest);
        let length = self.text.len() + more.len();
        if length > self.text.capacity() {
            let capacity = target.saturating_add(ROOM_BYTES);
            let mut larger = BytesMut::with_capacity(if length > capacity { 2 * length } else { capacity });
            larger.extend_from_slice(&self.text);
            self.text = larger;
        }
        self.text.extend_from_slice(more);
        self.copied += more.len();
        !more.is_empty()
    }

    /// Lets go of a text that is nothing but a copy, for what it is a copy of.
    fn release_copy(&mut self) {
        if self.text.len() <= self.copied {
            let mut piece = std::mem::take(&mut self.piece);
            piece.advance(self.copied - self.text.len());
            (self.text, self.copied) = (piece.into(), 0);
        }
    }

    /// The records before the one that does not end within `most` bytes, or what is kept of it when it comes first.
    fn give_up(&mut self, most: usize, unterminated: Unterminated) -> Block {
        let mut scanner = self.scanner.reset();
        let mut record = 0;
        let held = self.text.get(..most).unwrap_or_default();
        while let Some(end) = scanner.end_of_record(held, record + 1, false) {
            record = end;
        }
        self.scanner = scanner.noting_open();
        if record > 0 {
            return self.cut(record, None);
        }
        let line = self.scanner.end_of_line(held);
        let kept = line.unwrap_or(held.len()).min(UNTERMINATED_BYTES);
        self.skipping = line.is_none_or(|line| line > kept);
        self.cut(kept, Some(unterminated))
    }

    /// Drops what there is of the rest of a line that was given up.
    fn skip_line(&mut self) {
        while self.skipping && !self.text.is_empty() {
            let line = self.scanner.end_of_line(&self.text);
            self.skipping = line.is_none();
            drop(self.cut(line.unwrap_or(self.text.len()), None));
        }
    }

    fn cut(&mut self, end: usize, unterminated: Option<Unterminated>) -> Block {
        let text = self.text.split_to(end).freeze();
        let start = self.start;
        self.start += u64::try_from(end).unwrap_or_default();
        self.scanner = self.scanner.after(end);
        self.release_copy();
        Block { start, text, unterminated }
    }
}

/// The part of a text that decides whether a record ends within so many bytes: one more, as the last of them may be followed by the other half of a
/// line end.
fn up_to(text: &[u8], most: usize) -> &[u8] {
    text.get(..most.saturating_add(1)).unwrap_or(text)
}

/// Skips to the start of the record after the first record end.
pub(crate) fn after_first_line_end<'a>(text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    let line_end = Scanner::new(dialect).end_of_line(text).unwrap_or(text.len());
    text.get(after_line_ends(text, line_end, dialect)..).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
