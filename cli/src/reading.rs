//! How a source was read, as lines of a report.

use shared::{
    Compression, Dialect, DropNumber, EarlierRows, LineKind, Lines, ReadColumn, Reading, SkippedLines, as_setting,
};

use crate::numbers::{counted, grouped};

/// Most characters of a list of columns.
const LIST: usize = 90;

/// Most characters of a text of the source.
const TEXT: usize = 40;

/// How the text was read: one line, and others for what is not usual.
pub(crate) fn of_source(reading: &Reading) -> Vec<String> {
    let mut lines = vec![format!("  read as      {}", summary(reading))];
    let unusual = reading.dialect.as_ref().map(unusual).unwrap_or_default();
    if !unusual.is_empty() {
        lines.push(format!("  dialect      {}", unusual.join(", ")));
    }
    let skipped = reading.lines.iter().flat_map(|lines| &lines.skipped).filter_map(skipped).collect::<Vec<_>>();
    lines.extend(skipped.iter().map(|skipped| format!("  skipped      {skipped}")));
    if !reading.null_words_in.is_empty() {
        lines.push(format!("  null words   are null in {}", listed(&reading.null_words_in)));
    }
    lines
}

/// What became of the columns of the table, and of earlier drops.
pub(crate) fn of_table(reading: &Reading) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(table) = &reading.table {
        let is_new = |column: &&ReadColumn| table.is_new || table.added.contains(&column.name);
        let new: Vec<String> = if table.after_sql {
            table.added.clone()
        } else {
            reading.columns.iter().filter(is_new).map(column).collect()
        };
        if !new.is_empty() {
            let made = if table.is_new { "new" } else { "added" };
            lines.push(format!("  columns      {} {made}: {}", grouped(wide(new.len())), listed(&new)));
        }
        if !table.lacking.is_empty() {
            let count = grouped(wide(table.lacking.len()));
            let of = if table.after_sql { "not made by SQL" } else { "not in the file" };
            lines.push(format!("  columns      {count} {of}, so null: {}", listed(&table.lacking)));
        }
    }
    if let Some(DropNumber { number, earlier_rows }) = reading.drop.filter(|drop| drop.number > 1) {
        let became = match earlier_rows {
            EarlierRows::Kept => "rows of earlier drops are kept",
            EarlierRows::Replaced => "its rows replace those of earlier drops",
        };
        lines.push(format!("  drop         {} of this name; {became}", ordinal(number)));
    }
    lines
}

fn summary(reading: &Reading) -> String {
    let mut parts = vec![reading.format.clone()];
    if let Some(compression) = reading.compression.filter(|compression| *compression != Compression::None) {
        parts.push(format!("{compression:?}").to_lowercase());
    }
    parts.extend(reading.encoding.iter().map(|encoding| encoding.name().to_lowercase()));
    parts.extend(reading.dialect.iter().map(|dialect| format!("delimiter {}", character(dialect.delimiter))));
    parts.extend(reading.header_rows.map(|rows| match rows {
        0 => "no header".to_owned(),
        rows => counted(wide(rows), "header row"),
    }));
    let of_header = |lines: &&SkippedLines| matches!(lines.kind, LineKind::Header | LineKind::Units);
    let skipped =
        |lines: &Lines| lines.skipped() - lines.skipped.iter().filter(of_header).map(|of| of.lines).sum::<u64>();
    let skipped = reading.lines.as_ref().map_or(0, skipped);
    if skipped > 0 {
        parts.push(format!("{} skipped", counted(skipped, "line")));
    }
    parts.join(", ")
}

/// What differs from a usual dialect, the delimiter aside.
fn unusual(dialect: &Dialect) -> Vec<String> {
    let usual = Dialect::default();
    let or_none = |found: Option<char>| found.map_or_else(|| "none".to_owned(), character);
    let mut unusual = Vec::new();
    for (what, found, usual) in [
        ("quote", dialect.quote, usual.quote),
        ("escape", dialect.escape, usual.escape),
        ("comment", dialect.comment, usual.comment),
        ("record end", dialect.terminator, usual.terminator),
    ] {
        if found != usual {
            unusual.push(format!("{what} {}", or_none(found)));
        }
    }
    if dialect.decimal != usual.decimal {
        unusual.push("decimal comma".to_owned());
    }
    if dialect.trailing_delimiter {
        unusual.push("a delimiter at the end of records".to_owned());
    }
    unusual
}

/// How many lines of a kind were skipped, and where; none of a header, which has a line of its own.
fn skipped(lines: &SkippedLines) -> Option<String> {
    let what = match lines.kind {
        LineKind::Header => return None,
        LineKind::Preamble => counted(lines.lines, "line") + " before the table",
        LineKind::Units => counted(lines.lines, "line") + " of units",
        LineKind::Comment => counted(lines.lines, "comment"),
        LineKind::Blank => counted(lines.lines, "blank line"),
        LineKind::Footer => counted(lines.lines, "line") + " after the table",
    };
    let text = match shown(&lines.first.text) {
        text if text.is_empty() => text,
        text => format!(": '{text}'"),
    };
    let last = lines.last.as_ref();
    let last = last.map_or_else(String::new, |last| format!("; the last is line {}", grouped(last.line)));
    Some(format!("{what} (line {}{text}{last})", grouped(lines.first.line)))
}

fn column(column: &ReadColumn) -> String {
    match &column.column_type {
        Some(column_type) => format!("{} {column_type}", column.name),
        None => column.name.clone(),
    }
}

/// As many items as a line has room for, and how many more there are.
fn listed(items: &[String]) -> String {
    let (mut text, mut count) = (String::new(), 0);
    for item in items {
        let length = text.chars().count() + 2 + item.chars().count();
        if count > 0 && length > LIST {
            break;
        }
        text.push_str(if count > 0 { ", " } else { "" });
        text.push_str(&start_of(item, LIST));
        count += 1;
    }
    match items.len() - count {
        0 => text,
        more => format!("{text} and {} more", grouped(wide(more))),
    }
}

fn shown(text: &str) -> String {
    start_of(text.trim(), TEXT)
}

/// The start of a text, on one line.
fn start_of(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// A character as settings take it, in quotes where it is one.
fn character(character: char) -> String {
    let setting = as_setting(character);
    if setting.chars().count() == 1 { format!("'{setting}'") } else { setting }
}

/// 1st, 2nd, 3rd, 4th, 11th.
fn ordinal(number: u32) -> String {
    let is_teen = (11..=13).contains(&(number % 100));
    let ending = match number % 10 {
        1 if !is_teen => "st",
        2 if !is_teen => "nd",
        3 if !is_teen => "rd",
        _ => "th",
    };
    format!("{}{ending}", grouped(number.into()))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals() {
        let numbers = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111, 1002];
        let expected =
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th", "1,002nd"];
        assert_eq!(numbers.map(ordinal), expected);
    }

    #[test]
    fn lists_end_where_the_line_does() {
        let items = |count: usize| (0..count).map(|item| format!("column_{item:03}")).collect::<Vec<_>>();
        assert_eq!(listed(&items(2)), "column_000, column_001");
        assert!(listed(&items(1000)).ends_with("column_006 and 993 more"), "{}", listed(&items(1000)));
        assert_eq!(listed(&["x".repeat(200)]).chars().count(), 91);
    }
}
