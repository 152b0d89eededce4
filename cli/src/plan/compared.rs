//! How the reading of a source differs from that of another.

use std::fmt::Display;

use super::document::{ColumnDocument, DialectDocument, Document};

/// In what a source differs from the first; nothing where it is read alike.
pub(super) fn differences(first: &Document, other: &Document) -> Vec<String> {
    let mut found = Vec::new();
    if first.format.value != other.format.value {
        found.push(differs("format", first.format.value, other.format.value));
        return found;
    }
    if let (Some(first), Some(other)) = (&first.text, &other.text) {
        let word = |compression: shared::Compression| format!("{compression:?}").to_lowercase();
        compare(&mut found, "compression", word(first.compression.value), word(other.compression.value));
        compare(&mut found, "encoding", &first.encoding.value, &other.encoding.value);
    }
    if let (Some(first), Some(other)) = (&first.dialect, &other.dialect) {
        dialect(&mut found, first, other);
    }
    columns(&mut found, &first.columns, &other.columns);
    found
}

fn dialect(found: &mut Vec<String>, first: &DialectDocument, other: &DialectDocument) {
    let character = |value: Option<char>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"));
    for (what, first, other) in [
        ("delimiter", Some(first.delimiter.value), Some(other.delimiter.value)),
        ("quote", first.quote.value, other.quote.value),
        ("escape", first.escape.value, other.escape.value),
        ("comment", first.comment.value, other.comment.value),
        ("terminator", first.terminator.value, other.terminator.value),
        ("decimal separator", Some(first.decimal.value), Some(other.decimal.value)),
    ] {
        compare(found, what, character(first), character(other));
    }
    for (what, first, other) in [
        ("lines before the table", first.skipped_lines.value, other.skipped_lines.value),
        ("rows of the header", first.header_rows.value, other.header_rows.value),
    ] {
        compare(found, what, first, other);
    }
    compare(found, "delimiter at each line's end", first.trailing_delimiter, other.trailing_delimiter);
}

/// Columns are told apart by their names; that they come in another order is one difference.
fn columns(found: &mut Vec<String>, first: &[ColumnDocument], other: &[ColumnDocument]) {
    let of = |columns: &'_ [ColumnDocument], name: &str| columns.iter().position(|column| column.name == name);
    for column in other {
        let Some(known) = of(first, &column.name).and_then(|place| first.get(place)) else {
            found.push(format!("column '{}' ({}) is not in the first", column.name, type_of(column)));
            continue;
        };
        if type_of(known) != type_of(column) {
            let what = format!("type of column '{}'", column.name);
            found.push(differs(&what, type_of(known), type_of(column)));
        }
    }
    for column in first.iter().filter(|column| of(other, &column.name).is_none()) {
        found.push(format!("column '{}' of the first is missing", column.name));
    }
    let places: Vec<usize> = other.iter().filter_map(|column| of(first, &column.name)).collect();
    if !places.is_sorted() {
        found.push("columns are in another order".to_owned());
    }
}

/// The type of a column, with the order of days and months where it has dates.
fn type_of(column: &ColumnDocument) -> String {
    let format = column.date_format.map_or_else(String::new, |format| format!(" ({format})"));
    format!("{}{format}", column.column_type)
}

fn compare<T: Display + PartialEq>(found: &mut Vec<String>, what: &str, first: T, other: T) {
    if first != other {
        found.push(differs(what, first, other));
    }
}

fn differs(what: &str, first: impl Display, other: impl Display) -> String {
    format!("{what}: {other}, not {first}")
}
