//! A plan for people.

use std::collections::BTreeMap;
use std::fmt::Display;

use shared::TypeOrigin;

use super::document::{By, ColumnDocument, Decided, DialectDocument, Document, EvidenceDocument, ExpectedDocument};
use crate::numbers::{counted, grouped, mebibytes};

/// Most characters of a cell that are shown.
const CELL: usize = 24;

/// The plan as lines of text.
pub(super) fn text(plan: &Document) -> String {
    let mut lines = vec![format!("{} ({})", plan.source, size(plan.bytes))];
    lines.push(entry("format", plan.format));
    if let Some(text) = &plan.text {
        let compression = format!("{:?}", text.compression.value).to_lowercase();
        lines.push(entry("compression", Decided { value: compression, by: text.compression.by }));
        lines.push(entry("encoding", Decided { value: &text.encoding.value, by: text.encoding.by }));
    }
    lines.extend(plan.dialect.iter().flat_map(dialect));
    lines.extend(plan.row_groups.map(|count| format!("  row groups   {}", grouped(count))));
    lines.extend(plan.table.as_ref().map(|table| format!("  table        {table}")));
    lines.push("columns".to_owned());
    let width = plan.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or_default();
    lines.extend(plan.columns.iter().flat_map(|described| column(described, width)));
    lines.push("first rows".to_owned());
    lines.extend(rows(plan));
    let sample = &plan.sample;
    if let Some(first) = &sample.first_rejected {
        let (rejected, records) = (grouped(sample.rejected), counted(sample.records, "record"));
        lines.push(format!("  {rejected} of the first {records} would be rejected; the first: {first}"));
    }
    lines.push(expected(&plan.expected));
    lines.join("\n")
}

fn entry(name: &str, decided: Decided<impl Display>) -> String {
    let Decided { value, by } = decided;
    let by = match by {
        By::Setting => "by a setting",
        By::Content => "found",
    };
    format!("  {name:<12} {value} ({by})")
}

fn dialect(dialect: &DialectDocument) -> Vec<String> {
    let some = |decided: Decided<Option<char>>, none: &str| {
        let value = decided.value.map_or_else(|| none.to_owned(), character);
        Decided { value, by: decided.by }
    };
    let one = |decided: Decided<char>| Decided { value: character(decided.value), by: decided.by };
    let mut lines = vec![
        format!("  dialect      confidence {:.2}", dialect.confidence),
        entry("delimiter", one(dialect.delimiter)),
        entry("quote", some(dialect.quote, "none")),
        entry("escape", some(dialect.escape, "none")),
        entry("comment", some(dialect.comment, "none")),
        entry("record end", some(dialect.terminator, "line ends")),
        entry("decimal", one(dialect.decimal)),
        entry("skipped", Decided { value: counted_lines(dialect.skipped_lines.value), by: dialect.skipped_lines.by }),
        entry("header rows", dialect.header_rows),
    ];
    if dialect.trailing_delimiter {
        lines.push("  records end with a delimiter (found)".to_owned());
    }
    lines.push(format!("  records from byte {}", grouped(dialect.data_start)));
    lines
}

fn counted_lines(count: usize) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), "line")
}

fn character(character: char) -> String {
    match character {
        '\t' => "tab".to_owned(),
        ' ' => "space".to_owned(),
        other if other.is_control() => format!("0x{:02x}", u32::from(other)),
        other => other.to_string(),
    }
}

fn column(column: &ColumnDocument, width: usize) -> Vec<String> {
    let format = column.date_format.map_or_else(String::new, |format| format!(" as {format}"));
    let origin = match column.origin {
        Some(TypeOrigin::Inferred) | None => "",
        Some(TypeOrigin::Table) => ", as the table has it",
        Some(TypeOrigin::Declared) => ", as SCHEMA declares it",
    };
    let values = column.evidence.as_ref().map_or_else(String::new, |EvidenceDocument { values, nulls, .. }| {
        format!(" ({}, {})", counted(*values, "value"), counted(*nulls, "null"))
    });
    let (name, source_name) = (&column.name, column.source_name.trim());
    let is_same = source_name.is_empty() || source_name.to_lowercase() == name.to_lowercase();
    let of_source = if is_same { String::new() } else { format!(", '{}' in the source", shortened(source_name)) };
    let mut lines = vec![format!("  {name:<width$}  {}{format}{origin}{of_source}{values}", column.column_type)];
    let Some(evidence) = &column.evidence else { return lines };
    if column.origin == Some(TypeOrigin::Inferred) {
        lines.extend(against(evidence).into_iter().map(|line| format!("  {:<width$}    {line}", "")));
    }
    if let Some([one, other]) = &evidence.ambiguous_dates {
        lines.push(format!("  {:<width$}    dates are {one} or {other}: SCHEMA tells", ""));
    }
    if evidence.doubtful_numbers {
        lines.push(format!("  {:<width$}    numbers, unless they are codes or thousands: SCHEMA tells", ""));
    }
    lines
}

/// What the column is not, by the value that says so.
fn against(evidence: &EvidenceDocument) -> Vec<String> {
    let mut by_value: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, value) in &evidence.against {
        by_value.entry(value).or_default().push(kind);
    }
    by_value.into_iter().map(|(value, kinds)| format!("'{}' is no {}", shortened(value), kinds.join(", "))).collect()
}

fn rows(plan: &Document) -> Vec<String> {
    let names = plan.columns.iter().map(|column| shortened(&column.name)).collect();
    let cell = |cell: &Option<String>| cell.as_ref().map_or_else(|| "null".to_owned(), |text| shortened(text));
    let mut table: Vec<Vec<String>> = vec![names];
    table.extend(plan.sample.rows.iter().map(|row| row.iter().map(cell).collect()));
    let width = |place: usize| table.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..plan.columns.len()).filter_map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}

/// The start of a text, on one line.
fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(CELL).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CELL).is_some() {
        shown.push('…');
    }
    shown
}

fn expected(expected: &ExpectedDocument) -> String {
    let ExpectedDocument { is_estimate, chunks, rows, bytes, chunk_bytes } = expected;
    let about = if *is_estimate { "about " } else { "" };
    let (chunks, rows) = (counted(*chunks, "chunk"), counted(*rows, "row"));
    let (bytes, limit) = (size(*bytes), mebibytes(*chunk_bytes));
    format!("expected: {about}{chunks} of at most {limit}, {about}{rows}, {about}{bytes} in all")
}

fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { counted(bytes, "byte") } else { mebibytes(bytes) }
}
