//! A plan for people.

use std::collections::BTreeMap;
use std::fmt::Display;

use shared::{TypeOrigin, as_setting};

use super::document::{
    By, ColumnDocument, Decided, DialectDocument, Document, EvidenceDocument, ExpectedDocument, SqlDocument,
};
use crate::expected::expected as of_expectations;
use crate::numbers::{counted, grouped, mebibytes};

/// Most characters of a cell that are shown.
const CELL: usize = 24;

/// The plan as lines of text; `verbose` with what the values of each column say.
pub(super) fn text(plan: &Document, verbose: bool) -> String {
    let mut lines = vec![format!("{} ({})", plan.source, size(plan.bytes))];
    lines.push(entry("format", plan.format));
    if let Some(text) = &plan.text {
        let compression = format!("{:?}", text.compression.value).to_lowercase();
        lines.push(entry("compression", Decided { value: compression, by: text.compression.by }));
        lines.push(entry("encoding", Decided { value: &text.encoding.value, by: text.encoding.by }));
    }
    lines.extend(plan.dialect.iter().flat_map(dialect));
    lines.extend(plan.row_groups.map(|count| format!("  row groups   {}", grouped(count))));
    lines.extend(plan.route.as_ref().map(|route| format!("  route        {route}")));
    lines.extend(plan.table.as_ref().map(|table| format!("  table        {table}")));
    lines.push("columns".to_owned());
    lines.extend(columns(plan, verbose));
    lines.push("first rows".to_owned());
    lines.extend(rows(plan.columns.iter().map(|column| &column.name), &plan.sample.rows));
    let sample = &plan.sample;
    if let Some(first) = &sample.first_rejected {
        let (rejected, records) = (grouped(sample.rejected), counted(sample.records, "record"));
        lines.push(format!("  {rejected} of the first {records} would be rejected; the first: {first}"));
    }
    lines.extend(plan.sql.iter().flat_map(sql));
    if let Some(results) = &plan.expectations {
        lines.push(format!("expectations, on the first {}", counted(results.rows, "row")));
        lines.extend(of_expectations(results));
    }
    lines.push(expected(&plan.expected));
    lines.extend(
        plan.saved
            .as_ref()
            .map(|at| format!("saved: {at} is the contract that says this; ingest by it with --contract")),
    );
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
        let value = decided.value.map_or_else(|| none.to_owned(), as_setting);
        Decided { value, by: decided.by }
    };
    let one = |decided: Decided<char>| Decided { value: as_setting(decided.value), by: decided.by };
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

/// A row for each column, and below it what a person has to look at; `verbose` with all that its values say.
fn columns(plan: &Document, verbose: bool) -> Vec<String> {
    let has_nulls = plan.columns.iter().any(|column| column.evidence.is_some());
    let has_others = plan.columns.iter().any(|column| other_name(column).is_some());
    let mut table = vec![row("name", "type", Some("nulls").filter(|_| has_nulls), "example", "in the source")];
    for (place, column) in plan.columns.iter().enumerate() {
        let evidence = column.evidence.as_ref();
        let nulls = has_nulls.then(|| evidence.map_or_else(String::new, |evidence| grouped(evidence.nulls)));
        let example = evidence.and_then(|evidence| evidence.example.as_deref()).or_else(|| first_value(plan, place));
        let other = other_name(column).map(shortened).unwrap_or_default();
        let example = example.map(shortened).unwrap_or_default();
        table.push(row(&column.name, &type_of(column), nulls.as_deref(), &example, &other));
    }
    if !has_others {
        for row in &mut table {
            row.pop();
        }
    }
    let mut lines = aligned(&table).into_iter();
    let head = lines.next();
    let below = plan.columns.iter().zip(lines).flat_map(|(column, line)| {
        let notes = notes(column, verbose).into_iter().map(|note| format!("      {note}"));
        std::iter::once(line).chain(notes)
    });
    head.into_iter().chain(below).collect()
}

fn row(name: &str, column_type: &str, nulls: Option<&str>, example: &str, other: &str) -> Vec<String> {
    let cells = [Some(name), Some(column_type), nulls, Some(example), Some(other)];
    cells.into_iter().flatten().map(str::to_owned).collect()
}

/// The type, with how dates are written and who says so, unless the values do.
fn type_of(column: &ColumnDocument) -> String {
    let format = column.date_format.map(|format| format.to_string());
    let origin = match column.origin {
        Some(TypeOrigin::Inferred) | None => None,
        Some(TypeOrigin::Table) => Some("table".to_owned()),
        Some(TypeOrigin::Declared) => Some("SCHEMA".to_owned()),
    };
    let said: Vec<String> = format.into_iter().chain(origin).collect();
    if said.is_empty() { column.column_type.clone() } else { format!("{} ({})", column.column_type, said.join(", ")) }
}

/// The name in the source, where letters of either case are not all that differs.
fn other_name(column: &ColumnDocument) -> Option<&str> {
    let name = column.source_name.trim();
    Some(name).filter(|name| !name.is_empty() && name.to_lowercase() != column.name.to_lowercase())
}

fn first_value(plan: &Document, place: usize) -> Option<&str> {
    plan.sample.rows.iter().find_map(|row| row.get(place)?.as_deref())
}

fn notes(column: &ColumnDocument, verbose: bool) -> Vec<String> {
    let Some(evidence) = &column.evidence else { return Vec::new() };
    let mut notes = Vec::new();
    if verbose {
        notes.push(format!("{}, {}", counted(evidence.values, "value"), counted(evidence.nulls, "null")));
        if column.origin == Some(TypeOrigin::Inferred) {
            notes.extend(against(evidence));
        }
    }
    if let Some([one, other]) = &evidence.ambiguous_dates {
        notes.push(format!("dates are {one} or {other}: SCHEMA tells"));
    }
    if evidence.doubtful_numbers {
        notes.push("numbers, unless they are codes or thousands: SCHEMA tells".to_owned());
    }
    notes
}

/// What the column is not, by the value that says so.
fn against(evidence: &EvidenceDocument) -> Vec<String> {
    let mut by_value: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, value) in &evidence.against {
        by_value.entry(value).or_default().push(kind);
    }
    by_value.into_iter().map(|(value, kinds)| format!("'{}' is no {}", shortened(value), kinds.join(", "))).collect()
}

/// Rows of text cells under the names of their columns.
fn rows<'a>(names: impl Iterator<Item = &'a String>, rows: &[Vec<Option<String>>]) -> Vec<String> {
    let cell = |cell: &Option<String>| cell.as_ref().map_or_else(|| "null".to_owned(), |text| shortened(text));
    let mut table: Vec<Vec<String>> = vec![names.map(|name| shortened(name)).collect()];
    table.extend(rows.iter().map(|row| row.iter().map(cell).collect()));
    aligned(&table)
}

/// Lines of a table, each column as wide as its widest cell.
fn aligned(table: &[Vec<String>]) -> Vec<String> {
    let width = |place: usize| table.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).filter_map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}

/// Columns and rows that come out of SQL.
fn sql(sql: &SqlDocument) -> Vec<String> {
    let SqlDocument { columns, read, made, rows: shown } = sql;
    let counted = |count: &usize| counted(u64::try_from(*count).unwrap_or(u64::MAX), "row");
    let mut lines = vec![format!("after SQL: {} of the first {}", counted(made), counted(read))];
    let head = ["name", "type"].map(str::to_owned).to_vec();
    let cells = columns.iter().map(|column| vec![column.name.clone(), column.column_type.clone()]);
    lines.extend(aligned(&std::iter::once(head).chain(cells).collect::<Vec<_>>()));
    lines.push("first rows after SQL".to_owned());
    lines.extend(rows(columns.iter().map(|column| &column.name), shown));
    lines
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
