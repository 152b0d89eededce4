//! Where the table is in a text: lines before it, its header, its first record.

use shared::{CsvSettings, Setting};

use super::kind::Kind;
use super::rows::Row;
use super::score::{column_kind, float};
use crate::csv::known_names::KnownNames;

/// Rows before the table that are looked over.
const PREAMBLE_ROWS: usize = 64;

/// Header rows that are found, the first included.
const HEADER_ROWS: usize = 3;

/// Rows after a header of numbers that are looked at for numbers like these.
const ROWS_BEHIND_NUMBERS: usize = 20;

/// Rows that must agree on a width for it to outweigh the header's.
const ROWS_AGAINST_HEADER: usize = 8;

/// Where the table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Rows before the table.
    pub(super) preamble: usize,
    /// Rows of the header.
    pub(super) header: usize,
    /// Whether neither the values of the rows nor the words of the header show that it is one.
    pub(super) is_doubtful: bool,
    /// Whether the first row is a record for no reason but that the table's columns have no names, as after files without a header.
    pub(super) is_record_by_table: bool,
    /// Name of each column, joined from the rows of the header; empty where there is none.
    pub(super) names: Vec<Vec<u8>>,
    /// Whether records end with a delimiter that nothing follows.
    pub(super) trailing_delimiter: bool,
}

/// What a row is, judged by the rows after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vote {
    Names,
    Values,
    Unknown,
}

/// Finds the table. `width` is the number of fields that most rows have.
pub(super) fn layout(rows: &[Row], width: usize, settings: &CsvSettings, known: &KnownNames<'_>) -> Layout {
    let (preamble, vote) = match (settings.skip_lines, settings.header) {
        (_, Setting::Explicit(0)) if settings.skip_lines == Setting::Auto => {
            (first_of_width(rows, width), Vote::Values)
        }
        (skip_lines, _) => match (named_by_table(rows, width, skip_lines, known), skip_lines) {
            (Some(place), _) => (place, Vote::Names),
            (None, Setting::Explicit(_)) => (0, vote(rows, width)),
            (None, Setting::Auto) => begin(rows, width),
        },
    };
    let table = rows.get(preamble..).unwrap_or_default();
    let is_open = vote == Vote::Unknown
        && settings.header == Setting::Auto
        && table.first().is_some_and(|row| !has_usual_name(row));
    let is_record_by_table = is_open && known.are_places(width);
    let header = match settings.header {
        Setting::Explicit(rows) => rows.min(table.len()),
        Setting::Auto if vote == Vote::Values || is_record_by_table => 0,
        Setting::Auto => header_rows(table, width),
    };
    let (header_rows, records) = table.split_at_checked(header).unwrap_or_default();
    let names = joined(header_rows);
    let trailing_delimiter = has_trailing_delimiter(&names, records);
    let names = fitted(names, header, width, records, trailing_delimiter);
    let is_doubtful = is_open && header > 0;
    Layout { preamble, header, is_doubtful, is_record_by_table, names, trailing_delimiter }
}

/// The row that has names of the table's columns, where no row before it is a record.
fn named_by_table(rows: &[Row], width: usize, skip_lines: Setting<usize>, known: &KnownNames<'_>) -> Option<usize> {
    let most = if skip_lines == Setting::Auto { PREAMBLE_ROWS } else { 1 };
    let place = rows.iter().take(most).position(|row| known.are_of(row.fields.iter()))?;
    // Of one column, lines before the header are like records.
    let is_record = |row: &Row| row.fields.len() == width && (width == 1 || row.filled() > 1);
    (!rows.iter().take(place).any(is_record)).then_some(place)
}

/// The first row of the table, and what it is.
fn begin(rows: &[Row], width: usize) -> (usize, Vote) {
    let first = first_of_width(rows, width);
    let behind = rows.get(first..).unwrap_or_default();
    let here = vote(behind, width);
    let before = rows.get(..first).unwrap_or_default();
    let Some(last) = before.last().filter(|row| row.fields.len() > 1 && row.fields.len() != width) else {
        return (first, here);
    };
    // Rows of another width right before values begin with their header, which has a cell too few or too many.
    let like_last = |row: &&Row| row.fields.len() == last.fields.len() && row.filled() > 1;
    match before.iter().rev().take_while(like_last).count() {
        alike if alike > 0 && here != Vote::Names => (first - alike, Vote::Unknown),
        _ => (first, here),
    }
}

/// The first row that is not a preamble: one with as many cells as most, and more than one of them filled.
fn first_of_width(rows: &[Row], width: usize) -> usize {
    let is_full = |row: &Row| row.fields.len() == width && (width < 3 || row.filled() > 1);
    let looked_over = rows.get(..PREAMBLE_ROWS.min(rows.len())).unwrap_or_default();
    let first = looked_over.iter().position(is_full).unwrap_or_default();
    let is_agreed = rows.iter().filter(|row| row.fields.len() == width).count() > 1;
    let before = looked_over.get(..first).unwrap_or_default();
    // A table that gets columns: its header stands before the rows of another width, and again, wider, before the others.
    let grown = looked_over.get(first).and_then(|header| before.iter().position(|row| is_grown(row, header)));
    if let Some(narrow) = grown {
        return narrow;
    }
    let all_of_width = before.iter().all(|row| row.fields.len() == width);
    // Rows with one cell filled are records too, unless names come after them.
    if !is_agreed || (all_of_width && vote(rows.get(first..).unwrap_or_default(), width) != Vote::Names) {
        return 0;
    }
    first
}

/// Whether the names of one header are the first of another's.
fn is_grown(narrow: &Row, wide: &Row) -> bool {
    let mut cells = narrow.fields.iter().zip(&wide.fields);
    let names = narrow.fields.iter().all(|cell| !is_blank(cell) && !Kind::of(cell).is_value());
    (2..wide.fields.len()).contains(&narrow.fields.len()) && names && cells.all(|(one, other)| one == other)
}

/// Whether the first row has names, or values like those after it.
fn vote(rows: &[Row], width: usize) -> Vote {
    let Some((first, behind)) = rows.split_first() else { return Vote::Unknown };
    let kinds = (0..width).map(|column| (first.fields.get(column).map_or(Kind::Empty, Kind::of), column));
    let counted = are_counted(first) && !behind.iter().take(ROWS_BEHIND_NUMBERS).any(are_counted);
    if behind.is_empty() {
        // Only the row itself can show it.
        let values = kinds.filter(|(kind, _)| kind.is_value()).count();
        return if values * 2 > first.filled() && !counted { Vote::Values } else { Vote::Unknown };
    }
    let (mut names, mut values) = (0_usize, 0_usize);
    for (kind, column) in kinds {
        match (kind, column_kind(rows, width, column)) {
            (Kind::Empty, _) | (_, None) => {}
            (Kind::Number, Some(_)) if counted => names += 1,
            (Kind::Word | Kind::Text | Kind::Broken, Some(_)) => names += usize::from(!is_placeholder(first, column)),
            (kind, Some(of_column)) => values += usize::from(kind == of_column),
        }
    }
    match names.cmp(&values) {
        std::cmp::Ordering::Greater => Vote::Names,
        std::cmp::Ordering::Less => Vote::Values,
        std::cmp::Ordering::Equal if names > 0 => Vote::Unknown,
        std::cmp::Ordering::Equal if recurs(first, behind) => Vote::Values,
        std::cmp::Ordering::Equal => Vote::Unknown,
    }
}

/// Words, beside those that mean null, that stand for a value which is not there.
const PLACEHOLDERS: &[&str] =
    &["n/d", "n.d.", "nd", "n.a.", "nan", "nil", "none", "unavailable", "unknown", "missing", "not available"];

/// Whether a cell stands for a value which is not there: such a word, or marks alone, as `-` and `?`.
fn is_placeholder(row: &Row, column: usize) -> bool {
    let Some(cell) = row.fields.get(column).map(<[u8]>::trim_ascii) else { return false };
    let words = crate::value::NULL_WORDS.iter().chain(PLACEHOLDERS);
    words.map(|word| word.as_bytes()).any(|word| word.eq_ignore_ascii_case(cell))
        || cell.iter().all(|byte| b"-?.*".contains(byte))
}

/// Whether the numbers of a row are names: they go up or down by equal steps, as years and sizes do, and are years, or stand after
/// a cell that is none.
fn are_counted(row: &Row) -> bool {
    let numbers = row.fields.iter().filter(|cell| Kind::of(cell) == Kind::Number);
    let numbers: Option<Vec<u16>> = numbers.map(|cell| std::str::from_utf8(cell).ok()?.trim().parse().ok()).collect();
    let numbers = numbers.unwrap_or_default();
    let begins_otherwise = row.fields.get(0).is_some_and(|cell| !Kind::of(cell).is_value());
    let are_years = numbers.iter().all(|number| (1900..=2100).contains(number));
    let step = |pair: &[u16]| match pair {
        [one, next] => i32::from(*next) - i32::from(*one),
        _ => 0,
    };
    let steps: Vec<i32> = numbers.windows(2).map(step).collect();
    let Some((first, others)) = steps.split_first() else { return false };
    let is_even = *first != 0 && others.iter().all(|step| step == first);
    let is_usual = match numbers.as_slice() {
        _ if are_years => first.abs() == 1 || begins_otherwise,
        [0 | 1, ..] if *first == 1 => begins_otherwise,
        numbers => begins_otherwise && numbers.len() >= 3,
    };
    is_even && is_usual
}

/// Whether at least half of the cells of a row, and two, stand in their columns again, in rows that are not the same.
fn recurs(row: &Row, behind: &[Row]) -> bool {
    let others: Vec<&Row> = behind.iter().filter(|other| other.fields != row.fields).collect();
    let recurs = |(column, cell): &(usize, &[u8])| {
        !cell.is_empty() && others.iter().any(|other| other.fields.get(*column) == Some(cell))
    };
    let count = row.fields.iter().enumerate().filter(recurs).count();
    count >= 2 && count * 2 >= row.filled()
}

/// Rows of the header of a table that has one: more than one when the same row comes again, or when rows after it have
/// names, or units, in all columns of values too, and nothing that comes again in the records.
fn header_rows(table: &[Row], width: usize) -> usize {
    let Some(first) = table.first() else { return 0 };
    let behind = table.get(HEADER_ROWS.min(table.len())..).unwrap_or_default();
    let of_values: Vec<usize> =
        (0..width).filter(|column| behind.len() >= 2 && column_kind(behind, width, *column).is_some()).collect();
    let is_name = |row: &Row, column: usize| {
        let kind = row.fields.get(column).map_or(Kind::Empty, Kind::of);
        matches!(kind, Kind::Word | Kind::Text) && !is_placeholder(row, column)
    };
    let records = table.iter().skip(1);
    let comes_again = |row: &Row| {
        let others = || records.clone().filter(|other| other.fields != row.fields);
        let mut cells = row.fields.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
        cells.any(|(column, cell)| others().any(|other| other.fields.get(column) == Some(cell)))
    };
    let has_names = |row: &Row| {
        let mut cells: Vec<&[u8]> = row.fields.iter().filter(|cell| !cell.is_empty()).collect();
        let filled = cells.len();
        cells.sort_unstable();
        cells.dedup();
        row.fields.len() == width
            && of_values.len() >= 2
            && cells.len() == filled
            && of_values.iter().all(|column| is_name(row, *column))
    };
    let is_named = |row: &Row| has_names(first) && has_names(row) && !comes_again(row);
    let more = table.iter().take(HEADER_ROWS).skip(1);
    1 + more.take_while(|row| row.fields == first.fields || has_units(row, width) || is_named(row)).count()
}

/// Whether a row has units in brackets, in all cells that are filled.
pub(super) fn has_units(row: &Row, width: usize) -> bool {
    let filled = || row.fields.iter().map(<[u8]>::trim_ascii).filter(|cell| !cell.is_empty());
    let is_unit = |cell: &[u8]| matches!(cell, [b'[', .., b']'] | [b'(', .., b')']);
    row.fields.len() == width && filled().count() > 0 && filled().all(is_unit)
}

/// Words that are names of columns in many files, and values in few.
const USUAL_NAMES: &str = "id name names date time timestamp datetime code key type kind status state value values description \
    title label category class group country city region address street zip postcode email phone url \
    user username customer product sku price amount quantity qty total count number no nr year month day \
    note notes comment comments text message source target currency unit lat lon latitude longitude \
    height width size weight first last firstname lastname surname gender age position role level \
    language version file path column field rank index";

/// Whether one of a row's cells is such a word, or has it as a part (`customer_id`, `Order ID`), or is written as `createdAt`.
fn has_usual_name(row: &Row) -> bool {
    row.fields.iter().any(|cell| {
        let Ok(cell) = std::str::from_utf8(cell) else { return false };
        let lower = cell.trim().to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        words.any(|word| USUAL_NAMES.split(' ').any(|name| name == word)) || is_camel(cell.trim())
    })
}

/// Whether a word is several, each after the first with an upper-case letter: `createdAt`. Names of columns are, words of a text are not.
fn is_camel(cell: &str) -> bool {
    let is_word = cell.chars().all(char::is_alphanumeric) && cell.starts_with(char::is_lowercase);
    is_word && cell.contains(char::is_uppercase)
}

/// The names of header rows, column by column, joined by spaces.
fn joined(header: &[Row]) -> Vec<Vec<u8>> {
    let width = header.iter().map(|row| row.fields.len()).max().unwrap_or_default();
    let name = |column: usize| {
        let names = header.iter().filter_map(|row| row.fields.get(column));
        match header {
            [row] => row.fields.get(column).unwrap_or_default().to_vec(),
            _ => names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(&b' '),
        }
    };
    (0..width).map(name).collect()
}

/// Whether every record has one cell more than there are names, and it is blank.
fn has_trailing_delimiter(names: &[Vec<u8>], records: &[Row]) -> bool {
    let filled_names = if names.last().is_some_and(Vec::is_empty) { names.len() - 1 } else { names.len() };
    let ends_empty =
        |row: &Row| row.fields.len() == filled_names + 1 && row.fields.get(filled_names).is_some_and(is_blank);
    filled_names > 0 && !records.is_empty() && records.iter().all(ends_empty)
}

fn is_blank(cell: &[u8]) -> bool {
    cell.trim_ascii().is_empty()
}

/// As many names as there are columns: as many as in the header, unless so many records have another number of fields, and
/// none the header's, that it is the header which is wrong.
fn fitted(mut names: Vec<Vec<u8>>, header: usize, width: usize, records: &[Row], trailing: bool) -> Vec<Vec<u8>> {
    if trailing {
        if names.last().is_some_and(Vec::is_empty) {
            names.pop();
        }
        return names;
    }
    let having = |width: usize| records.iter().filter(|row| row.fields.len() == width).count();
    let agree = having(width);
    let outweighed =
        agree >= ROWS_AGAINST_HEADER && having(names.len()) == 0 && float(agree) >= 0.9 * float(records.len());
    if names.len() == width + 1 && names.last().is_some_and(Vec::is_empty) && agree == records.len() && agree > 0 {
        // The header ends with a delimiter, and no record does.
        names.pop();
        return names;
    }
    if names.len() + 1 == width && are_row_names(records, width) {
        names.insert(0, Vec::new());
        return names;
    }
    if header > 0 && !outweighed {
        return names;
    }
    // A cell too many in the header is more likely one without a name, and of these one of the last.
    let mut too_many = names.len().saturating_sub(width);
    let mut is_kept = |name: &Vec<u8>| {
        let is_kept = too_many == 0 || !name.is_empty();
        too_many -= usize::from(!is_kept);
        is_kept
    };
    let mut names: Vec<_> = names.into_iter().rev().filter(&mut is_kept).collect();
    names.reverse();
    names.resize(width, Vec::new());
    names
}

/// Whether records begin with the name of their row, for which the header of R has no cell: a text in quotes, or the number of the
/// row in quotes, that comes once.
fn are_row_names(records: &[Row], width: usize) -> bool {
    let mut names: Vec<&[u8]> = records.iter().filter_map(|row| row.fields.get(0)).collect();
    let all = names.len();
    let is_number = |(row, name): (usize, &&[u8])| *name == (row + 1).to_string().as_bytes();
    let are_numbers = names.iter().enumerate().all(is_number);
    let are_texts = names.iter().all(|name| !is_blank(name) && !Kind::of(name).is_value());
    names.sort_unstable();
    names.dedup();
    let is_wide = |row: &Row| row.fields.len() == width && row.filled() > 1 && row.is_quoted;
    all > 1 && names.len() == all && (are_numbers || are_texts) && records.iter().all(is_wide)
}
