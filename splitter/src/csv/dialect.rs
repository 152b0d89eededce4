//! The dialect of a CSV source, detected in its first rows, as far as settings do not give it.

mod kind;
mod layout;
mod rows;
mod score;

use shared::{CsvSettings, Dialect, Setting};

use crate::csv::head_lines::HeaderRow;
use crate::csv::known_names::KnownNames;
use crate::records::record_ends::{after_line_ends, byte, may_end};
use kind::Kind;
use layout::{has_units, layout};
use rows::{Row, rows};
use score::{Candidate, best};

/// Bytes that are looked at, if two lines end within them.
const SAMPLE_BYTES: usize = 64 << 10;

/// What was found in a text.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub(crate) struct Found {
    /// How it is written.
    pub(crate) dialect: Dialect,
    /// How sure that is, from 0 to 1: how well the dialect explains the rows, and how much better than any other.
    pub(crate) confidence: f64,
    /// Lines before the table that are left out, blank ones among them: what `CSV_SKIP_LINES` would have to say more.
    pub(crate) preamble_lines: usize,
    /// Rows of the header, by their places.
    pub(crate) header: Vec<HeaderRow>,
    /// Whether nothing but the order of rows shows that the header is one.
    pub(crate) is_header_doubtful: bool,
    /// Whether nothing but the table, whose columns have no names, shows that the first row is a record.
    pub(crate) is_record_by_table: bool,
    /// Whether a first line says what the delimiter is.
    pub(crate) is_declared: bool,
    /// Whether values stand in single quotes that are taken for a part of them.
    pub(crate) has_single_quotes: bool,
    /// Whether backslashes within quotes come in twos alone, which are taken for what they are: a writer that escapes would have made
    /// two of one.
    pub(crate) has_doubled_backslashes: bool,
    /// Name of each column, as it stands in the text; empty where there is none.
    pub(crate) names: Vec<Vec<u8>>,
    /// Where the first record begins.
    pub(crate) data_start: usize,
    /// Whether the header reaches the end of the text.
    pub(crate) is_open: bool,
}

/// Finds the dialect of a text, and the table in it. `whole` when the text is all there is. The same text and settings
/// give the same result.
///
/// Each delimiter that comes into question is tried, with each quote. The one is taken by which most rows agree on how many
/// cells they have, and by which cells look most like cells; a comma where nothing is better. What the settings give is
/// not looked for. A row that has names of the table's columns is the header.
pub(crate) fn find(text: &[u8], whole: bool, settings: &CsvSettings, known: &KnownNames<'_>) -> Found {
    let base = Dialect {
        escape: settings.escape.explicit().flatten(),
        comment: settings.comment.explicit().flatten(),
        terminator: settings.terminator.explicit().unwrap_or_else(|| ends_with_returns(text).then_some('\r')),
        ..Dialect::default()
    };
    let declared = declared_delimiter(text, settings);
    let skipped = match declared {
        Some((_, line)) => line,
        None => after_lines(text, settings.skip_lines.explicit().unwrap_or_default(), &base),
    };
    let with_declared =
        declared.map(|(delimiter, _)| CsvSettings { delimiter: Setting::Explicit(delimiter), ..settings.clone() });
    let settings = with_declared.as_ref().unwrap_or(settings);
    let table = text.get(skipped..).unwrap_or_default();
    let (sample, whole_sample) = sample(table, whole, &base);
    let (mut candidate, confidence) = best(sample, whole_sample, &base, settings);
    let has_doubled_backslashes = settings.escape.explicit().is_none()
        && settle_escape(table, |dialect| rows(sample, whole_sample, dialect), &mut candidate);
    let layout = layout(&candidate.rows, candidate.width, settings, known);
    let Candidate { mut dialect, rows, .. } = candidate;
    let header_end = layout.preamble + layout.header;
    let records = rows.get(header_end..).unwrap_or_default();
    dialect.trailing_delimiter = layout.trailing_delimiter;
    dialect.decimal = settings.decimal.explicit().unwrap_or_else(|| decimal(records, dialect.delimiter));
    let start = match (records.first(), header_end.checked_sub(1).and_then(|last| rows.get(last))) {
        (Some(record), _) => record.start,
        (None, Some(header)) => after_line_ends(table, header.end, &dialect),
        (None, None) => 0,
    };
    let table_start = rows.get(layout.preamble).filter(|_| layout.preamble > 0).map_or(0, |first| first.start);
    let preamble_lines =
        lines(table.get(..table_start).unwrap_or_default(), &dialect) + usize::from(declared.is_some());
    let is_open = rows.is_empty() && !whole;
    Found {
        confidence,
        preamble_lines,
        header: header_rows(rows.get(layout.preamble..header_end).unwrap_or_default(), skipped),
        is_header_doubtful: layout.is_doubtful,
        is_record_by_table: layout.is_record_by_table,
        is_declared: declared.is_some(),
        has_single_quotes: rows.iter().any(|row| dialect.quote != Some('\'') && has_single_quotes(row)),
        has_doubled_backslashes,
        dialect,
        names: layout.names,
        data_start: skipped + start,
        is_open,
    }
}

/// Takes a backslash for the escape where that shows, and reads the rows anew. Gives whether backslashes come in twos alone instead.
fn settle_escape(table: &[u8], read: impl Fn(&Dialect) -> Vec<Row>, candidate: &mut Candidate) -> bool {
    if !escapes(table, candidate) {
        return has_doubled_backslashes(table, candidate);
    }
    candidate.dialect.escape = Some('\\');
    candidate.rows = read(&candidate.dialect);
    false
}

/// The rows of a header, `skipped` bytes further on in the text than they say.
fn header_rows(rows: &[Row], skipped: usize) -> Vec<HeaderRow> {
    let row = |(number, row): (usize, &Row)| HeaderRow {
        place: skipped + row.start..skipped + row.end,
        // The first has the names, in brackets too.
        has_units: number > 0 && has_units(row, row.fields.len()),
    };
    rows.iter().enumerate().map(row).collect()
}

/// The delimiter that the first line of a file for Excel declares, as `sep=;`, and the place after that line; none where settings
/// say otherwise.
fn declared_delimiter(text: &[u8], settings: &CsvSettings) -> Option<(char, usize)> {
    let rest = text.strip_prefix(b"sep=").or(text.strip_prefix(b"\"sep="))?;
    let (&delimiter, rest) = rest.split_first().filter(|(first, _)| first.is_ascii() && !b"\r\n\"".contains(first))?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?;
    let is_open = settings.delimiter == Setting::Auto
        && settings.skip_lines == Setting::Auto
        && settings.terminator == Setting::Auto;
    is_open.then(|| (char::from(delimiter), text.len() - rest.len()))
}

/// Whether records end with `\r`, as old Macs wrote them: there is one outside of quotes, and a `\n` at the end of the text at most.
pub(crate) fn ends_with_returns(text: &[u8]) -> bool {
    let mut in_quotes = false;
    let mut has_return = false;
    for byte in text.trim_ascii_end() {
        match byte {
            b'"' => in_quotes = !in_quotes,
            b'\n' if !in_quotes => return false,
            b'\r' if !in_quotes => has_return = true,
            _ => {}
        }
    }
    has_return || (text.ends_with(b"\r") && !text.contains(&b'\n'))
}

/// The place after so many lines.
fn after_lines(text: &[u8], lines: usize, dialect: &Dialect) -> usize {
    let mut place = 0;
    for _ in 0..lines {
        let rest = text.get(place..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| dialect.ends_record(*byte)) else { return text.len() };
        place += end + 1;
    }
    place
}

/// How many lines end in a text.
fn lines(text: &[u8], dialect: &Dialect) -> usize {
    text.iter().filter(|byte| dialect.ends_record(**byte)).count()
}

/// As much of a text as is looked at, and whether it is all of it.
fn sample<'a>(text: &'a [u8], whole: bool, dialect: &Dialect) -> (&'a [u8], bool) {
    match text.get(..SAMPLE_BYTES) {
        Some(sample) if sample.iter().filter(|byte| dialect.ends_record(**byte)).count() > 2 => (sample, false),
        _ => (text, whole),
    }
}

/// Whether quotes within quotes are escaped by a backslash: one stands before a quote that ends no field. A backslash before
/// anything but a quote or a backslash is text.
fn escapes(text: &[u8], candidate: &Candidate) -> bool {
    let Some(quote) = candidate.dialect.quote.map(byte) else { return false };
    let delimiter = byte(candidate.dialect.delimiter);
    let ends = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == delimiter || may_end(*byte, &candidate.dialect));
    let (mut evidence, mut quoted, mut place) = (false, false, 0);
    while let Some(&here) = text.get(place) {
        let next = text.get(place + 1);
        let before = place.checked_sub(1).and_then(|before| text.get(before));
        if quoted && here == b'\\' {
            // `\",` may be text that ends with a backslash; `\"x` is not, nor is `\"",`.
            let (after, last) = (text.get(place + 2), text.get(place + 3));
            match (next == Some(&quote), after == Some(&quote)) {
                // A backslash before a doubled quote.
                (true, true) if !ends(last) => return false,
                (true, is_quote) => evidence |= is_quote || !ends(after),
                (false, _) => {}
            }
            place += usize::from(next.is_some_and(|next| *next == quote || *next == b'\\'));
        } else if quoted && here == quote && next == Some(&quote) {
            // Quotes are doubled instead, so that a backslash before one is text, as in JSON.
            return false;
        } else if here == quote {
            quoted = if quoted { false } else { ends(before) };
        }
        place += 1;
    }
    evidence
}

/// Whether there are backslashes within quotes, and each has one beside it. Where quotes are doubled within quotes, nothing is
/// escaped by a backslash.
fn has_doubled_backslashes(text: &[u8], candidate: &Candidate) -> bool {
    let Some(quote) = candidate.dialect.quote.map(byte) else { return false };
    let delimiter = byte(candidate.dialect.delimiter);
    let (mut has_any, mut quoted, mut place) = (false, false, 0);
    let mut starts = true;
    while let Some(&here) = text.get(place) {
        let next = text.get(place + 1);
        if quoted && here == b'\\' {
            if next != Some(&b'\\') {
                return false;
            }
            has_any = true;
            place += 1;
        } else if quoted && here == quote {
            if next == Some(&quote) {
                return false;
            }
            quoted = false;
        } else if !quoted {
            quoted = starts && here == quote;
            starts = here == delimiter || may_end(here, &candidate.dialect);
        }
        place += 1;
    }
    has_any
}

/// Whether a cell of a row begins with a single quote, and that or a later one ends with one: as in `'a,b'`.
fn has_single_quotes(row: &Row) -> bool {
    let mut cells = row.fields.iter().skip_while(|cell| !cell.starts_with(b"'"));
    let begins = cells.next().is_some_and(|cell| cell.len() > 1 && cell.ends_with(b"'"));
    begins || cells.any(|cell| cell.ends_with(b"'"))
}

/// A comma where numbers have one before their fraction, and none a point.
fn decimal(records: &[Row], delimiter: char) -> char {
    let numbers = || records.iter().flat_map(|row| row.fields.iter()).filter(|cell| Kind::of(cell) == Kind::Number);
    // Three digits after a comma may as well be thousands.
    let has_fraction = |cell: &[u8], mark: u8| {
        let fraction = cell.iter().rposition(|byte| *byte == mark).map(|place| cell.len() - place - 1);
        memchr::memchr_iter(mark, cell).count() == 1 && fraction != Some(3)
    };
    let commas = numbers().any(|cell| has_fraction(cell, b','));
    let points = numbers().any(|cell| has_fraction(cell, b'.') && !cell.contains(&b','));
    if delimiter != ',' && commas && !points { ',' } else { '.' }
}

#[cfg(test)]
mod tests;
