//! Blocks: runs of whole records, cut by bytes.

mod scanner;

use crate::records::record_ends::after_line_ends;
use crate::records::unterminated::{Unterminated, UnterminatedLines};
use bytes::{Buf, Bytes, BytesMut};
use shared::{Dialect, Policy};

use self::scanner::Scanner;

/// A run of records, decoded as one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Byte offset of its first byte in the text of the source.
    pub(crate) start: u64,
    /// Its text.
    pub(crate) text: Bytes,
    /// Lines of it that are not whole records, but what is kept of records whose end was not found.
    pub(crate) unterminated: UnterminatedLines,
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
    /// The same, and before and after each line that was given up, as encoders 2 to 6 had it.
    AlignedApart(u64),
    /// With the first record that ends at or after so many bytes of the block, and before and after each line that was given up, as the
    /// encoders before the second had it.
    CountedApart(u64),
}

impl BlockEnds {
    /// Those of a job.
    pub(crate) fn of(policy: &Policy) -> Self {
        match policy.encoder {
            0..2 => Self::CountedApart(policy.block_bytes),
            2..7 => Self::AlignedApart(policy.block_bytes),
            _ => Self::Aligned(policy.block_bytes),
        }
    }

    /// Whether a line that was given up is a block of its own.
    fn are_apart(self) -> bool {
        !matches!(self, Self::Aligned(_))
    }
}

impl From<u64> for BlockEnds {
    fn from(block_bytes: u64) -> Self {
        Self::Aligned(block_bytes)
    }
}

/// Cuts text into blocks.
///
/// Of a record whose end is not found within the limit, or before the text ends, the first line is given up, or the beginning of that. The next
/// record then begins with the next line, since what is wrong with such a record is a quote that is never closed, and each line
/// after it may well be whole. A block goes on after such a line: a file may have a million of them, and records between them.
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
    /// The block to come, and what was read after it.
    text: BytesMut,
    /// How much of the text belongs to the block for sure: whole records, and lines that were given up.
    framed: usize,
    unterminated: UnterminatedLines,
    /// What comes after the text, but for its first bytes, which the text ends with.
    piece: Bytes,
    /// How many these are.
    copied: usize,
    /// Of the text after `framed`.
    scanner: Scanner,
    /// Whether the text up to the next line end belongs to a record that was given up.
    skipping: bool,
}

impl Framer {
    /// A framer of text that begins at byte offset `start`, which must be the start of a block.
    pub(crate) fn new(dialect: &Dialect, ends: impl Into<BlockEnds>, max_record_bytes: usize, start: u64) -> Self {
        Self {
            ends: ends.into(),
            max_record_bytes,
            start,
            text: BytesMut::new(),
            framed: 0,
            unterminated: UnterminatedLines::default(),
            piece: Bytes::new(),
            copied: 0,
            scanner: Scanner::new(dialect),
            skipping: false,
        }
    }

    /// Byte offset of the record whose end is looked for, and how many bytes from there on are held.
    pub(crate) fn open_record(&self) -> (u64, usize) {
        (self.start + wide(self.framed), self.text.len() - self.framed)
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
            let block = self.block_in_sight(false);
            if block.is_some() || !self.extend_text() {
                return block;
            }
        }
    }

    /// The next block when no more text will come; `None` at the end.
    pub(crate) fn last_block(&mut self) -> Option<Block> {
        while self.extend_text() {}
        self.block_in_sight(true)
    }

    /// The next block if it is complete, or no more text will come.
    fn block_in_sight(&mut self, is_end: bool) -> Option<Block> {
        self.skip_line();
        while let Some(held) = self.text.get(self.framed..).filter(|held| !held.is_empty()) {
            let (target, most) = self.bounds();
            let length = held.len();
            let is_longer = length > most;
            let is_block = match self.scanner.end_of_record(up_to(held, most), target, is_end && !is_longer) {
                Some(end) if end <= most => self.frame(end),
                // Not the end of the text, which depends on the pieces in which it came.
                _ if is_longer => self.give_up(most, Unterminated::TooLong),
                _ if !is_end => return None,
                _ if self.scanner.in_quotes => self.give_up(length, Unterminated::OpenQuote),
                _ => self.frame(length),
            };
            if is_block {
                return Some(self.cut());
            }
        }
        (is_end && self.framed > 0).then(|| self.cut())
    }

    /// Bytes that the block is to have at least after those that it has for sure, and may have at most.
    fn bounds(&self) -> (usize, usize) {
        let target = self.target().saturating_sub(self.framed);
        (target, target.saturating_add(self.max_record_bytes))
    }

    /// Bytes that the block is to have at least.
    fn target(&self) -> usize {
        let target = match self.ends {
            BlockEnds::Aligned(bytes) | BlockEnds::AlignedApart(bytes) => bytes - self.start % bytes,
            BlockEnds::CountedApart(bytes) => bytes,
        };
        usize::try_from(target).unwrap_or(usize::MAX)
    }

    /// Adds a little of the piece to the text; whether there was any left.
    fn extend_text(&mut self) -> bool {
        let rest = self.piece.get(self.copied..).unwrap_or_default();
        let target = self.target();
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

    /// Takes so many bytes more into the block; whether it ends with them.
    fn frame(&mut self, bytes: usize) -> bool {
        self.framed += bytes;
        self.scanner = self.scanner.after(bytes);
        self.framed >= self.target()
    }

    /// Takes the records before the one that does not end within `most` bytes, and what is kept of that one; whether the block ends with
    /// them.
    fn give_up(&mut self, most: usize, unterminated: Unterminated) -> bool {
        let end = self.framed + most;
        let record = self.scanner.last_end(self.text.get(self.framed..end).unwrap_or_default());
        self.frame(record);
        if record > 0 && self.ends.are_apart() {
            return true;
        }
        let held = self.text.get(self.framed..end).unwrap_or_default();
        let line = self.scanner.end_of_line(held);
        let kept = line.unwrap_or(held.len()).min(UNTERMINATED_BYTES);
        self.skipping = line.is_none_or(|line| line > kept);
        self.unterminated.add(self.framed, self.framed + kept, unterminated);
        self.frame(kept) || self.skipping || self.ends.are_apart()
    }

    /// Drops what there is of the rest of a line that was given up.
    fn skip_line(&mut self) {
        while self.skipping && !self.text.is_empty() {
            let line = self.scanner.end_of_line(&self.text);
            self.skipping = line.is_none();
            self.frame(line.unwrap_or(self.text.len()));
            drop(self.cut());
        }
    }

    /// Cuts off what belongs to the block.
    fn cut(&mut self) -> Block {
        let text = self.text.split_to(self.framed).freeze();
        let start = self.start;
        self.start += wide(self.framed);
        self.framed = 0;
        self.release_copy();
        Block { start, text, unterminated: std::mem::take(&mut self.unterminated) }
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

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
