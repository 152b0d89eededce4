//! How well a dialect explains a text.

use std::collections::BTreeSet;

use shared::{CsvSettings, Dialect};

use super::kind::Kind;
use super::rows::{Row, rows};
use crate::records::record_ends::{byte, may_end};

/// Delimiters that are looked for, the likelier of two that explain a text equally well first, each with how likely it is
/// against a comma.
const DELIMITERS: &[(char, f64)] = &[
    (',', 1.0),
    (';', 0.99),
    ('\t', 0.99),
    ('|', 0.98),
    ('\x1f', 0.98),
    ('\x01', 0.98),
    ('^', 0.9),
    ('~', 0.9),
    (':', 0.7),
    (' ', 0.7),
];

/// Delimiters that stand in texts, times and names too.
const WEAK: &[char] = &[':', ' '];

/// How likely a text is one column, as long as its lines show nothing of their own.
const ONE_COLUMN: f64 = 0.5;

/// Score, at least, of a delimiter by which the first row is names beyond doubt.
const NAMED: f64 = 0.8;

/// Most rows for each one that is as wide as such names.
const ROWS_A_NAMED_ONE: usize = 2;

/// Part of the cells of a column that must be values of one kind for the column to be one of values.
pub(super) const OF_ONE_KIND: f64 = 0.9;

/// A dialect, and what a text is by it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) dialect: Dialect,
    pub(super) rows: Vec<Row>,
    /// Fields that most of the rows have.
    pub(super) width: usize,
    /// From 0 to 1.
    pub(super) score: f64,
}

/// The dialect that explains a text best, with how sure that is, from 0 to 1. `whole` when the text is all there is.
pub(super) fn best(text: &[u8], whole: bool, base: &Dialect, settings: &CsvSettings) -> (Candidate, f64) {
    let likely =
        |delimiter| DELIMITERS.iter().find(|(other, _)| *other == delimiter).map_or(1.0, |(_, likely)| *likely);
    let delimiters: Vec<char> = match settings.delimiter.explicit() {
        Some(delimiter) => vec![delimiter],
        None => DELIMITERS
            .iter()
            .map(|(delimiter, _)| *delimiter)
            .filter(|delimiter| is_outside_quotes(text, *delimiter))
            .collect(),
    };
    let mut best = settings.delimiter.explicit().is_none().then(|| one_column(text, whole, base, settings));
    let mut second = 0.0;
    for delimiter in delimiters {
        let mut of_delimiter: Option<Candidate> = None;
        for quote in quotes(text, delimiter, base, settings) {
            let dialect = Dialect { delimiter, quote, ..base.clone() };
            let mut candidate = judge(text, whole, dialect);
            candidate.score *= likely(delimiter) * if quote == Some('"') { 1.0 } else { 0.95 };
            if settings.delimiter.explicit().is_none() && !is_plausible(&candidate) {
                candidate.score = 0.0;
            }
            if let Some(width) = named_columns(&candidate) {
                candidate.width = width;
                candidate.score = NAMED * likely(delimiter) + (1.0 - NAMED) * candidate.score;
            }
            if of_delimiter.as_ref().is_none_or(|other| candidate.score > other.score) {
                of_delimiter = Some(candidate);
            }
        }
        let Some(candidate) = of_delimiter else { continue };
        if best.as_ref().is_none_or(|best| candidate.score > best.score) {
            second = best.replace(candidate).map_or(second, |beaten| beaten.score);
        } else {
            second = candidate.score.max(second);
        }
    }
    let best = best.unwrap_or_else(|| judge(text, whole, base.clone()));
    let sure = if best.score > 0.0 { best.score.min(1.0) * best.score / (best.score + second) } else { 0.0 };
    (best, sure)
}

fn is_in(text: &[u8], character: char) -> bool {
    memchr::memchr(byte(character), text).is_some()
}

/// Whether a character stands anywhere outside of `"` that come in pairs within a line: one that does not is text.
fn is_outside_quotes(text: &[u8], character: char) -> bool {
    let character = byte(character);
    let in_line = |line: &[u8]| {
        let is_paired = memchr::memchr_iter(b'"', line).count().is_multiple_of(2);
        line.split(|byte| *byte == b'"').step_by(if is_paired { 2 } else { 1 }).any(|part| part.contains(&character))
    };
    text.split(|byte| matches!(byte, b'\n' | b'\r')).any(in_line)
}

/// Fields that begin with a quote without ending with one, or the other way round, that make it likely that none is meant.
const LOOSE_QUOTES: usize = 3;

/// Quotes that come into question: `"`; `'` where fields begin and end with it, and none with `"`; none where `"` does not come in pairs,
/// and not by a slip.
fn quotes(text: &[u8], delimiter: char, base: &Dialect, settings: &CsvSettings) -> Vec<Option<char>> {
    if let Some(quote) = settings.quote.explicit() {
        return vec![quote];
    }
    let delimiter = byte(delimiter);
    let around = |quote: u8| {
        let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == delimiter || may_end(*byte, base));
        let places = memchr::memchr_iter(quote, text);
        places.fold((0_usize, 0_usize), |(begin, end), place| {
            let before = place.checked_sub(1).and_then(|before| text.get(before));
            let (first, last) = (is_edge(before), is_edge(text.get(place + 1)));
            (begin + usize::from(first && !last), end + usize::from(last && !first))
        })
    };
    let ((doubles, doubles_end), (singles, singles_end)) = (around(b'"'), around(b'\''));
    let mut quotes = vec![Some('"')];
    if singles.min(singles_end) > 0 && doubles.min(doubles_end) == 0 {
        quotes.push(Some('\''));
    }
    if doubles.abs_diff(doubles_end) >= LOOSE_QUOTES {
        quotes.push(None);
    }
    quotes
}

/// Reads a text by a dialect. The score is high when the rows agree on how many cells they have, and when these look like
/// cells.
fn judge(text: &[u8], whole: bool, dialect: Dialect) -> Candidate {
    let rows = rows(text, whole, &dialect);
    let width = most_frequent_width(&rows);
    let of_width: Vec<&Row> = rows.iter().filter(|row| row.fields.len() == width).collect();
    let cells = of_width.iter().flat_map(|row| row.fields.iter()).filter_map(|cell| Kind::of(cell).weight());
    let (cells, weight) = cells.fold((0_usize, 0.0), |(cells, sum), weight| (cells + 1, sum + weight));
    let like_cells = if cells == 0 { 0.5 } else { weight / float(cells) };
    let agree = if rows.is_empty() { 0.0 } else { float(of_width.len()) / float(rows.len()) };
    Candidate { score: agree * agree * (0.3 + 0.7 * like_cells), dialect, width, rows }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "counts within a sample")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

/// The width that most rows have; of several the first row's, else the largest.
fn most_frequent_width(rows: &[Row]) -> usize {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    for row in rows {
        *counts.entry(row.fields.len()).or_default() += 1;
    }
    let first = rows.first().map(|row| row.fields.len());
    let rank = |(width, count): &(usize, usize)| (*count, Some(*width) == first, *width);
    counts.into_iter().max_by_key(rank).map_or(0, |(width, _)| width)
}

/// The number of columns where the first row is names beyond doubt: words, no two alike, with none of the other delimiters among
/// them. Rows of another width, as long as they do not outnumber it, are then bad records and no other table.
fn named_columns(candidate: &Candidate) -> Option<usize> {
    let Candidate { dialect, rows, .. } = candidate;
    let names: Vec<&[u8]> = rows.first()?.fields.iter().collect();
    let is_word = |name: &&[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(is_part)
    };
    let distinct: BTreeSet<&[u8]> = names.iter().copied().collect();
    let of_width = rows.iter().filter(|row| row.fields.len() == names.len()).count();
    let is_named = names.len() > 1
        && !WEAK.contains(&dialect.delimiter)
        && names.iter().all(is_word)
        && distinct.len() == names.len()
        && of_width * ROWS_A_NAMED_ONE >= rows.len();
    is_named.then_some(names.len())
}

/// Whether a dialect may be found at all. Text has commas and spaces in it too, so where the first row stands apart, or
/// the delimiter is one of many uses, the table has to show by its values.
fn is_plausible(candidate: &Candidate) -> bool {
    let Candidate { dialect, rows, width, .. } = candidate;
    let first_agrees = rows.first().is_some_and(|row| row.fields.len() == *width);
    let has_values = (0..*width).any(|column| column_kind(rows, *width, column).is_some());
    match *width {
        0 | 1 => false,
        _ if WEAK.contains(&dialect.delimiter) => first_agrees && *width >= 3 && has_values,
        2 => first_agrees || has_values,
        _ => true,
    }
}

/// The kind of value that a column has in the rows after the first, if it is one of values.
pub(super) fn column_kind(rows: &[Row], width: usize, column: usize) -> Option<Kind> {
    let behind_first = rows.iter().filter(|row| row.fields.len() == width).skip(1);
    let kinds = behind_first.filter_map(|row| row.fields.get(column).map(Kind::of)).filter(|kind| *kind != Kind::Empty);
    let (mut numbers, mut moments, mut all) = (0_usize, 0_usize, 0_usize);
    for kind in kinds {
        all += 1;
        numbers += usize::from(kind == Kind::Number);
        moments += usize::from(kind == Kind::Moment);
    }
    let most = |count: usize| count > 0 && float(count) >= OF_ONE_KIND * float(all);
    if most(numbers) { Some(Kind::Number) } else { most(moments).then_some(Kind::Moment) }
}

/// The text as one column, by a delimiter that does not occur in it.
fn one_column(text: &[u8], whole: bool, base: &Dialect, settings: &CsvSettings) -> Candidate {
    let delimiter = [',', '\x1f', '\x01', '\x1e', '\x02'].into_iter().find(|delimiter| !is_in(text, *delimiter));
    let quote = settings.quote.explicit().unwrap_or(Some('"'));
    let mut candidate = judge(text, whole, Dialect { delimiter: delimiter.unwrap_or(','), quote, ..base.clone() });
    let behind_first = candidate.rows.iter().skip(1);
    let mut lines = behind_first.filter_map(|row| row.fields.get(0)).filter(|line| !line.is_empty()).peekable();
    // A comma makes two numbers of one, or one of two, so it shows nothing; and a tab at the end may come before a column without values.
    let is_value = |line: &[u8]| Kind::of(line).is_value() && !line.iter().any(|byte| b",\t".contains(byte));
    let values = lines.peek().is_some() && lines.all(is_value);
    candidate.score *= if values { 1.0 } else { ONE_COLUMN };
    candidate
}
