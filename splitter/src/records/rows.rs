//! Records of a block that were found, and where they stand.

use shared::{Dialect, Lines};

use crate::records::framer::{Block, Unterminated};
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

    /// Those of blocks that are not runs of whole records, and follow each other: of each, what is kept of one whose end was not found,
    /// which is rejected.
    pub(crate) fn unterminated(blocks: &[Block], dialect: &Dialect, max_record_bytes: usize) -> Self {
        let text = match blocks {
            [block] => block.text.clone(),
            blocks => blocks.iter().map(|block| &block.text[..]).collect::<Vec<_>>().concat().into(),
        };
        let whole = Block { start: blocks.first().map_or(0, |block| block.start), text, unterminated: None };
        let (mut rows, mut start) = (Self::of(&whole), 0);
        let reason = |unterminated| (None, unterminated_reason(unterminated, max_record_bytes));
        let [too_long, open_quote] = [Unterminated::TooLong, Unterminated::OpenQuote].map(reason);
        for block in blocks {
            let end = start + block.text.len();
            rows.records += 1;
            // However much of its line is kept.
            rows.lines.add_records(1);
            if let Some(unterminated) = block.unterminated {
                let place = Row::new(rows.records, start, end).place(&whole, dialect);
                let fault = if unterminated == Unterminated::TooLong { &too_long } else { &open_quote };
                rows.rejects.push(rows.records, place, fault);
            }
            start = end;
        }
        rows
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

pub(crate) fn unterminated_reason(unterminated: Unterminated, max_record_bytes: usize) -> String {
    let what = match unterminated {
        Unterminated::TooLong => {
            format!("the record that begins here is longer than MAX_RECORD_MB={}", max_record_bytes >> 20)
        }
        Unterminated::OpenQuote => "the file ends inside a quoted field of the record that begins here".to_owned(),
    };
    format!("{what}{UNTERMINATED_REASON}")
}

/// How the reason ends for which a record was rejected whose end was not found.
const UNTERMINATED_REASON: &str = "; its first line is kept, up to 1 MiB, and the next record begins after this line";

/// Whether this is the reason for which a record was rejected whose end was not found.
pub(crate) fn is_unterminated(reason: &str) -> bool {
    reason.ends_with(UNTERMINATED_REASON)
}
