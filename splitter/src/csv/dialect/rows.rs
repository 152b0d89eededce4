//! The first rows of a text, by some dialect.

use shared::Dialect;

use crate::csv::record::Records;
use crate::records::record_ends::byte;

/// Rows that are looked at.
const ROWS: usize = 500;

/// One row, and where it stands in its text.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) fields: csv::ByteRecord,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it begins with a quote.
    pub(super) is_quoted: bool,
}

impl Row {
    /// Cells that are not empty.
    pub(super) fn filled(&self) -> usize {
        self.fields.iter().filter(|cell| !cell.trim_ascii().is_empty()).count()
    }
}

/// The first rows of a text; when it goes on, without the last, which may be cut off.
pub(super) fn rows(text: &[u8], whole: bool, dialect: &Dialect) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut records = Records::of_dialect(text, dialect);
    while rows.len() < ROWS
        && let Some(record) = records.next()
    {
        if !whole && record.end >= text.len() {
            break;
        }
        let is_quoted = dialect.quote.is_some() && text.get(record.start).copied() == dialect.quote.map(byte);
        rows.push(Row { fields: record.fields().collect(), start: record.start, end: record.end, is_quoted });
    }
    rows
}
