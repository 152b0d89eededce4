//! What would become of a source under its contract, as lines of text.

use splitter::{Difference, DifferenceKind, DifferenceOutcome, Misfit};

use super::document::{ColumnState, Document, State, What};
use crate::expected::expected;
use crate::numbers::{counted, grouped};

pub(super) fn text(document: &Document) -> String {
    let mut lines = vec![format!("{} under {}", document.source, document.contract)];
    lines.push("reading".to_owned());
    let shown =
        |text: &str| text.chars().map(|c| if c == '\t' { "tab".to_owned() } else { c.to_string() }).collect::<String>();
    lines.extend(document.reading.iter().map(|(key, value)| format!("  {key:<16} {}", shown(value))));
    lines.push("columns".to_owned());
    let width = |of: fn(&ColumnState) -> &str| {
        document.columns.iter().map(|column| of(column).chars().count()).max().unwrap_or_default()
    };
    let (names, types) = (width(|column| &column.name), width(|column| &column.column_type));
    for column in &document.columns {
        let ColumnState { name, column_type, .. } = column;
        lines.push(format!("  {name:<names$}  {column_type:<types$}  {}", state(column, &document.differences)));
    }
    let readings = document.differences.iter().filter(|difference| difference.kind == DifferenceKind::Reading);
    lines.extend(readings.map(|difference| format!("  {difference}")));
    if let Some(sample) = &document.sample {
        let (records, rejected) = (counted(sample.records, "record"), grouped(sample.rejected));
        lines.push(format!("first {records}: {rejected} rejected"));
        for Misfit { column, count, first } in &sample.misfits {
            let column = column.as_ref().map_or_else(String::new, |column| format!("column '{column}', "));
            lines.push(format!("  {column}{}; the first: {first}", counted(*count, "record")));
        }
    }
    if let Some(results) = &document.expectations {
        lines.push(format!("expectations, on the first {}", counted(results.rows, "row")));
        lines.extend(expected(results));
    }
    let outcome = &document.outcome;
    let what = match outcome.what {
        What::Loaded => "the file would be loaded",
        What::LoadedInPart => "the file would be loaded, but for records that are kept aside",
        What::Refused if outcome.exit_status == 4 => "nothing would be loaded: all records are rejected",
        What::Refused => "the file would be refused, and nothing loaded",
    };
    lines.push(format!("outcome: {what} (exit status {})", outcome.exit_status));
    lines.join("\n")
}

fn state(column: &ColumnState, differences: &[Difference]) -> String {
    let of_column =
        |kind, name: &str| differences.iter().find(|difference| difference.kind == kind && difference.name == name);
    let became = |kind, name| match of_column(kind, name).map(|difference| difference.outcome) {
        Some(DifferenceOutcome::Refused) => "refused",
        Some(DifferenceOutcome::Added) => "added",
        Some(DifferenceOutcome::Ignored) => "left out",
        Some(DifferenceOutcome::Rescued) => "rescued",
        Some(DifferenceOutcome::Null) => "null",
        None => "matched",
    };
    let source = if column.source.is_empty() { &column.name } else { &column.source };
    match column.state {
        State::Matched if column.source == column.name || column.source.is_empty() => "matched".to_owned(),
        State::Matched => format!("matched by '{}'", column.source),
        State::Missing => format!("missing: {}", became(DifferenceKind::Missing, source)),
        State::New => format!("new: {}", became(DifferenceKind::New, source)),
        State::OtherType => {
            let found = of_column(DifferenceKind::Type, &column.name).map_or("", |difference| &difference.found);
            format!("another type, {found}: refused")
        }
        State::Rescue => "collects new columns".to_owned(),
        State::Unknown => "not looked for".to_owned(),
    }
}
