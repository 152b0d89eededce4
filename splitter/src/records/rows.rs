//! Records of a block that were found, and where they stand.

use shared::{Dialect, Lines};

use crate::records::framer::Block;
use crate::records::record_ends::without_line_end;
use crate::records::rejects::Rejects;
use crate::records::span::Span;

/// The records of a block that were found.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Where each of those that are taken stands.
    pub(crate) taken: Vec<Row>,
    /// How many there are, rejected ones included.
    pub(crate) records: u64,
    /// Those that are rejected.
    pub(crate) rejects: Rejects,
    /// Lines of the records, and those between them.
    pub(crate) lines: Lines,
}

impl Rows {
    /// None yet, of a block.
    pub(crate) fn of(block: &Block) -> Self {
        Self { rejects: Rejects::of(&block.text, block.start), ..Self::default() }
    }
}

/// Where a record stands in its block. There may be millions of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    record: u32,
    pub(crate) span: Span,
}

impl Row {
    /// A record of a block by its number there, from 1, and where it stands, line end included or not.
    pub(crate) fn new(record: u64, start: usize, end: usize) -> Self {
        Self { record: u32::try_from(record).unwrap_or(u32::MAX), span: Span::new(start, end) }
    }

    /// Its number within the block, from 1.
    pub(crate) fn record(self) -> u64 {
        self.record.into()
    }

    /// Where it begins and ends in its block, without its line end.
    pub(crate) fn place(self, block: &Block, dialect: &Dialect) -> (usize, usize) {
        let start = self.span.start();
        (start, start + without_line_end(self.span.of(&block.text), dialect).len())
    }
}
