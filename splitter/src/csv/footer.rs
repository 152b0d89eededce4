//! Lines after the last record of a CSV: a total, a count of rows, a word that ends the file.

use shared::{CsvPolicy, Dialect};

use crate::csv::record::Records;
use crate::records::record_ends::{after_line_ends, end_byte};

/// Most lines of a footer that is detected; more of them are another table.
const MOST_LINES: usize = 5;

/// Records before it that must have the right number of fields.
const LEAST_RECORDS: usize = 2;

/// Words that such lines begin with.
const MARKS: &[&str] = &[
    "total",
    "totals",
    "subtotal",
    "grand",
    "sum",
    "summe",
    "gesamt",
    "count",
    "records",
    "rows",
    "end",
    "eof",
    "trailer",
    "footer",
    "source",
    "sources",
    "note",
    "notes",
    "generated",
    "exported",
    "report",
    "copyright",
];

/// Words of a row that adds up the others.
const TOTALS: &[&str] = &["total", "totals", "subtotal", "grand", "sum", "summe", "gesamt"];

/// What is at the end of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A footer for sure: where it begins, and its lines.
    Footer(usize, usize),
    /// A record that may be a footer, as text.
    Doubtful(String),
    /// Nothing of the kind.
    Records,
}

/// A record near the end.
#[derive(Debug)]
struct Last {
    start: usize,
    fields: usize,
    /// Its first field.
    first: Vec<u8>,
    /// Whether a blank line stands right before it.
    is_after_blank: bool,
    is_one_line: bool,
}

/// What is at the end of a text that begins with a record, and is read by this policy.
///
/// A line is one of a footer if two things speak for it: fewer fields than the records have, a word or marks that such lines begin with, a
/// blank line between it and the records, where no other stands among them.
pub(crate) fn end(text: &[u8], csv: &CsvPolicy) -> End {
    let records = last_records(text, csv);
    let width = csv.width();
    let (most, all) = (MOST_LINES + 1, records.len());
    let gaps: Vec<usize> =
        (1..all).filter(|place| records.get(*place).is_some_and(|last| last.is_after_blank)).collect();
    let first_apart = match gaps.as_slice() {
        [gap] if all - gap < most => *gap,
        _ => all,
    };
    let line = |last: &Last| line_at(text, last.start, &csv.dialect);
    let is_of_footer = |(place, last): &(usize, &Last)| {
        let evidence = [last.fields < width, is_marked(line(last)), *place >= first_apart];
        last.is_one_line && evidence.into_iter().filter(|is_there| *is_there).count() >= 2
    };
    let lines = records.iter().enumerate().rev().take_while(is_of_footer).take(most).count();
    let before = records.get(..all - lines).unwrap_or_default();
    let is_table = before.last().is_some_and(|last| last.fields == width)
        && before.iter().filter(|last| last.fields == width).count() >= LEAST_RECORDS;
    match records.get(all - lines) {
        Some(first) if lines > 0 && lines < most && is_table => End::Footer(first.start, lines),
        _ => doubtful(&records, width, &csv.dialect, text).map_or(End::Records, End::Doubtful),
    }
}

/// Whether the lines from a place on, of a text that begins with a record, have a record that nothing shows to be one of a footer.
pub(crate) fn has_record(text: &[u8], place: usize, csv: &CsvPolicy) -> bool {
    let records = last_records(text, csv);
    let is_apart = |last: &Last| last.is_after_blank && last.start >= place;
    let first_apart = records.iter().find(|last| is_apart(last)).map_or(text.len(), |last| last.start);
    let is_record = |last: &&Last| {
        let line = line_at(text, last.start, &csv.dialect);
        last.fields == csv.width() && !is_marked(line) && last.start < first_apart
    };
    records.iter().filter(|last| last.start >= place).any(|last| is_record(&last))
}

/// Where the last so many lines begin that are not blank; none if there are fewer.
pub(crate) fn last_lines(text: &[u8], lines: usize, dialect: &Dialect) -> Option<usize> {
    let mut starts = Vec::new();
    let mut place = 0;
    while place < text.len() {
        let start = after_line_ends(text, place, dialect);
        if start >= text.len() {
            break;
        }
        starts.push(start);
        place = start + line_at(text, start, dialect).len().max(1);
    }
    starts.len().checked_sub(lines).and_then(|first| starts.get(first).copied())
}

/// A last record with all fields that looks like a footer, and like none before it.
fn doubtful(records: &[Last], width: usize, dialect: &Dialect, text: &[u8]) -> Option<String> {
    let (last, before) = records.split_last()?;
    let line = line_at(text, last.start, dialect);
    let is_like = if width == 1 { is_marked(line) } else { TOTALS.contains(&first_word(&last.first).as_str()) };
    let is_single = !before.iter().any(|other| first_word(&other.first) == first_word(&last.first));
    let is_doubtful = last.fields == width && before.len() >= LEAST_RECORDS && is_like && is_single;
    is_doubtful.then(|| String::from_utf8_lossy(line).trim().to_owned())
}

fn last_records(text: &[u8], csv: &CsvPolicy) -> Vec<Last> {
    let mut records = Records::new(text, csv);
    let mut found: Vec<Last> = Vec::new();
    let mut end = 0;
    while let Some(record) = records.next() {
        let start = record.start;
        let first = record.fields().next().unwrap_or_default().to_vec();
        let fields = record.spans.len();
        let is_one_line = line_at(text, start, &csv.dialect).len() + start == record.end;
        // Blank lines alone, and comments too, stand between records.
        let is_after_blank = start > end;
        end = record.end;
        found.push(Last { start, fields, first, is_after_blank, is_one_line });
    }
    found
}

/// The line that begins at a place, line end included.
fn line_at<'a>(text: &'a [u8], start: usize, dialect: &Dialect) -> &'a [u8] {
    let rest = text.get(start..).unwrap_or_default();
    let end = memchr::memchr(end_byte(dialect), rest).map_or(rest.len(), |end| end + 1);
    rest.get(..end).unwrap_or_default()
}

/// Whether a line begins with a word of footers, or a number of rows, or has nothing but marks, as `---`.
fn is_marked(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        let marks = text.trim();
        return marks.len() >= 3 && marks.bytes().all(|byte| b"-=*_#~".contains(&byte));
    };
    let is_count = |word: &str| ["row", "record", "line", "entr"].iter().any(|unit| word.starts_with(unit));
    MARKS.contains(&first) || (first.bytes().all(|byte| byte.is_ascii_digit()) && words.next().is_some_and(is_count))
}

fn first_word(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell).to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use shared::Column;

    use super::*;

    /// What is at the end of records of so many columns, and of these lines.
    fn found(columns: usize, text: &str) -> String {
        let column = |place: usize| Column::of_text(format!("c{place}"), format!("c{place}"));
        let csv = CsvPolicy {
            dialect: Dialect { delimiter: ';', ..Dialect::default() },
            data_start: 0,
            columns: (0..columns).map(column).collect(),
            null_words: Vec::new(),
            fields: None,
            footer_start: None,
        };
        let records = if columns == 1 { "x\ny\nz\n" } else { "x;1;2\ny;3;4\nz;5;6\n" };
        let text = records.to_owned() + text;
        match end(text.as_bytes(), &csv) {
            End::Footer(start, lines) => format!("{lines}: {}", &text[start..]),
            End::Doubtful(line) => format!("? {line}"),
            End::Records => String::new(),
        }
    }

    #[test]
    fn footers_need_two_reasons() {
        for (columns, text, expected) in [
            (3, "", ""),
            (3, "Total;1234\n", "1: Total;1234\n"),
            (3, "\"Total\";12\r\n", "1: \"Total\";12\r\n"),
            (3, "3 rows\n", "1: 3 rows\n"),
            (3, "(3 rows)\n\n", "1: (3 rows)\n\n"),
            (3, "EOF", "1: EOF"),
            (3, "-- end --\n", "1: -- end --\n"),
            (3, "-----\n3 records\n", "2: -----\n3 records\n"),
            (3, "\nprinted in May\n", "1: printed in May\n"),
            (3, "\nprinted in May\nby Ann;Bob\n\n", "2: printed in May\nby Ann;Bob\n\n"),
            (3, "\nTotal;9;12\n", "1: Total;9;12\n"),
            // A record that was cut off, or lacks a field.
            (3, "w;7\n", ""),
            (3, "w\n", ""),
            // Records all the same.
            (3, "\nw;7;8\n", ""),
            (3, "\nw;7\n\nv;9\n", ""),
            (3, "Total;9;12\n", "? Total;9;12"),
            (3, "Total;9;12\nv;1;1\n", ""),
            (3, "Totally;9;12\n", ""),
            (3, "total;1;2\ntotal;3;4\n", ""),
            // Another table.
            (3, "\na;1\nb;2\nc;3\nd;4\ne;5\nf;6\n", ""),
            (1, "Total\n", "? Total"),
            (1, "3 rows\n", "? 3 rows"),
            (1, "\nTotal\n", "1: Total\n"),
            (1, "w\n", ""),
            (1, "---\n", "? ---"),
        ] {
            assert_eq!(found(columns, text), expected, "{columns} {text}");
        }
    }

    #[test]
    fn lines_from_the_end() {
        let dialect = Dialect::default();
        for (lines, expected) in [(1, Some("c\n\n")), (2, Some("b\n\nc\n\n")), (3, Some("a\nb\n\nc\n\n")), (4, None)] {
            let text = "a\nb\n\nc\n\n";
            assert_eq!(last_lines(text.as_bytes(), lines, &dialect).map(|start| &text[start..]), expected);
        }
    }
}
