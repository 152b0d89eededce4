//! What was guessed about a source of text, and a person should confirm: each with the setting that says it for good.

use shared::{
    Column, ColumnType, CsvPolicy, DateFormat, Format, LineKind, Lines, Policy, Setting, Settings, TableFit,
    TypeOrigin, Warning, as_setting,
};

use crate::csv::header::Layout;
use crate::examine::encoding::Guess;
use crate::schema::infer::Evidence;

/// A dialect is doubtful below this confidence.
const CONFIDENCE: f64 = 0.4;

/// Columns that a warning names; of the others it says how many there are.
const SHOWN_COLUMNS: usize = 3;

/// Most characters of a text of the source in a warning.
const SHOWN: usize = 60;

/// The warnings about a source that is read by this policy.
pub(super) fn warnings(
    settings: &Settings,
    policy: &Policy,
    guess: Option<Guess>,
    found: Option<(&Layout, &Lines)>,
    evidence: &[Evidence],
    table: Option<&TableFit>,
) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = guess.map(|guess| encoding(policy, guess)).into_iter().collect();
    let columns = match (&policy.format, found) {
        (Format::Csv(csv), Some((layout, head))) => {
            warnings.extend(dialect(settings, csv, layout));
            warnings.extend(before_records(settings, csv, layout, head));
            warnings.extend(header_and_table(settings, csv, layout, table));
            warnings.extend(decimal(settings, csv, evidence));
            csv.columns.as_slice()
        }
        (Format::Ndjson(json), _) => json.columns.as_slice(),
        _ => &[],
    };
    let columns = || columns.iter().zip(evidence).filter(|(column, _)| is_guessed_text(column));
    warnings.extend(dates(
        columns().filter_map(|(column, evidence)| Some((column, evidence, evidence.ambiguous_dates()?))),
    ));
    warnings.extend(numbers(columns().filter(|(_, evidence)| evidence.has_doubtful_numbers())));
    warnings
}

/// Columns that are not text, and have words that were taken for null.
pub(super) fn null_words_in(format: &Format, evidence: &[Evidence]) -> Vec<String> {
    let columns = match format {
        Format::Csv(csv) => &csv.columns,
        Format::Ndjson(json) => &json.columns,
        Format::Parquet { .. } => return Vec::new(),
    };
    let has_words =
        |(column, evidence): &(&Column, &Evidence)| column.column_type != ColumnType::Utf8 && evidence.has_null_words();
    columns.iter().zip(evidence).filter(has_words).map(|(column, _)| column.name.clone()).collect()
}

fn encoding(policy: &Policy, guess: Guess) -> Warning {
    let name = policy.text.encoding.name();
    let by = match guess {
        Guess::Letters => "its letters",
        Guess::FewLetters => "few letters",
    };
    Warning::new("encoding", format!("the encoding is taken to be {name}, by {by}"), format!("ENCODING={name}"))
}

fn dialect(settings: &Settings, csv: &CsvPolicy, layout: &Layout) -> Vec<Warning> {
    let told = &settings.read.csv;
    let mut warnings = Vec::new();
    let is_doubtful = !csv.columns.is_empty() && !layout.is_declared && layout.confidence < CONFIDENCE;
    if told.delimiter == Setting::Auto && is_doubtful {
        let (shown, confidence) = (as_setting(csv.dialect.delimiter), layout.confidence);
        let text = match csv.columns.as_slice() {
            [_] => {
                format!("no delimiter explains the rows well (confidence {confidence:.2}), so each line is one value")
            }
            _ => format!(
                "the delimiter is taken to be {shown}, which does not explain the rows well (confidence {confidence:.2})"
            ),
        };
        warnings.push(Warning::new("delimiter", text, format!("CSV_DELIMITER={shown}")));
    }
    if told.quote == Setting::Auto && layout.has_single_quotes {
        let text = "values stand in single quotes, which are taken for a part of them (CSV_QUOTE=' if they are not)";
        let setting = csv.dialect.quote.map_or_else(|| "none".to_owned(), as_setting);
        warnings.push(Warning::new("quote", text.to_owned(), format!("CSV_QUOTE={setting}")));
    }
    if let (Setting::Auto, Some(escape)) = (told.escape, csv.dialect.escape) {
        let text = format!("{escape} within quotes is taken to escape the quote after it");
        warnings.push(Warning::new("escape", text, format!("CSV_ESCAPE={}", as_setting(escape))));
    }
    if layout.has_doubled_backslashes {
        let text = r"backslashes within quotes come in twos, and are kept (CSV_ESCAPE=\ if each two stand for one)";
        warnings.push(Warning::new("escape", text.to_owned(), "CSV_ESCAPE=none".to_owned()));
    }
    warnings
}

fn before_records(settings: &Settings, csv: &CsvPolicy, layout: &Layout, head: &Lines) -> Vec<Warning> {
    let told = &settings.read.csv;
    let mut warnings = Vec::new();
    let preamble = head.skipped.iter().find(|lines| lines.kind == LineKind::Preamble);
    // A line that declares the delimiter says what it is.
    if let (Setting::Auto, Some(preamble), false) = (told.skip_lines, preamble, layout.is_declared) {
        let (count, first) = (layout.preamble_lines, shown(&preamble.first.text));
        let are = if count == 1 { "1 line is".to_owned() } else { format!("{count} lines are") };
        let text = format!("{are} taken to stand before the table, and skipped: '{first}'");
        warnings.push(Warning::new("preamble", text, format!("CSV_SKIP_LINES={count}")));
    }
    if layout.is_header_doubtful {
        let names: Vec<&str> = csv.columns.iter().take(SHOWN_COLUMNS).map(|column| column.source_name.trim()).collect();
        let more = if csv.columns.len() > SHOWN_COLUMNS { ", …" } else { "" };
        let names = shown(&names.join(", "));
        let text =
            format!("no value shows that the first row is the header (CSV_HEADER=0 if it is a record): {names}{more}");
        warnings.push(Warning::new("header", text, format!("CSV_HEADER={}", layout.header_rows)));
    }
    warnings
}

/// What the names of the table's columns say about the first row, or do not.
fn header_and_table(
    settings: &Settings,
    csv: &CsvPolicy,
    layout: &Layout,
    table: Option<&TableFit>,
) -> Option<Warning> {
    if layout.is_record_by_table {
        let text = "the first row is taken for a record (CSV_HEADER=1 if it has names), since the table, or SCHEMA, has columns column_1 and so on";
        return Some(Warning::new("header", text.to_owned(), "CSV_HEADER=0".to_owned()));
    }
    let fit = table.filter(|fit| !fit.is_new && !csv.columns.is_empty() && fit.added.len() == csv.columns.len())?;
    if settings.read.csv.header != Setting::Auto {
        return None;
    }
    let (few, lacking) = (fit.lacking.iter().take(SHOWN_COLUMNS), fit.lacking.len());
    let names = few.map(|name| format!("'{}'", shown(name))).collect::<Vec<_>>().join(", ");
    let more = if lacking > SHOWN_COLUMNS { ", …" } else { "" };
    let text = format!("the header has none of the table's columns ({names}{more}), so all of its own are new");
    Some(Warning::new("header", text, format!("CSV_HEADER={}", layout.header_rows)))
}

fn decimal(settings: &Settings, csv: &CsvPolicy, evidence: &[Evidence]) -> Option<Warning> {
    if settings.read.csv.decimal != Setting::Auto || csv.dialect.decimal != ',' {
        return None;
    }
    let is_number = |column: &Column| matches!(column.column_type, ColumnType::Float64 | ColumnType::Decimal { .. });
    let (column, evidence) = csv.columns.iter().zip(evidence).find(|(column, _)| is_number(column))?;
    let example = evidence.example().map_or_else(String::new, |example| format!(", such as '{}'", shown(example)));
    let text =
        format!("the comma is taken for the decimal sign of numbers{example} in column '{}'", shown(&column.name));
    Some(Warning::new("decimal", text, "CSV_DECIMAL=,".to_owned()))
}

/// Whether a column is text since nothing else was found.
fn is_guessed_text(column: &Column) -> bool {
    column.column_type == ColumnType::Utf8 && column.origin == TypeOrigin::Inferred
}

fn dates<'a>(columns: impl Iterator<Item = (&'a Column, &'a Evidence, [DateFormat; 2])>) -> Option<Warning> {
    let columns: Vec<_> = columns.collect();
    let (_, evidence, [one, other]) = columns.first()?;
    let example = shown(evidence.example().unwrap_or_default());
    let names = named(columns.iter().map(|(column, ..)| *column));
    let text = format!("dates such as '{example}' may be {one} or {other}, so {names} text");
    let setting = schema(columns.iter().map(|(column, _, [one, _])| (*column, format!("date({one})"))));
    Some(Warning::new("dates", text, setting))
}

fn numbers<'a>(columns: impl Iterator<Item = (&'a Column, &'a Evidence)>) -> Option<Warning> {
    let columns: Vec<_> = columns.collect();
    let (_, evidence) = columns.first()?;
    let example = shown(evidence.example().unwrap_or_default());
    let names = named(columns.iter().map(|(column, _)| *column));
    let text = format!("numbers such as '{example}' may be codes or thousands, so {names} text");
    let setting = schema(columns.iter().map(|(column, _)| (*column, "text".to_owned())));
    Some(Warning::new("numbers", text, setting))
}

/// The types of columns as a setting.
fn schema<'a>(columns: impl Iterator<Item = (&'a Column, String)>) -> String {
    let typed = columns.map(|(column, column_type)| format!("{}:{column_type}", column.source_name.trim()));
    format!("SCHEMA={}", typed.collect::<Vec<_>>().join(","))
}

/// The names of columns, and the verb for them: `column 'a' is`, `columns 'a', 'b' and 3 more are`.
fn named<'a>(columns: impl ExactSizeIterator<Item = &'a Column>) -> String {
    let count = columns.len();
    let names: Vec<String> = columns.take(SHOWN_COLUMNS).map(|column| format!("'{}'", shown(&column.name))).collect();
    let more = count - names.len();
    match (count, more) {
        (1, _) => format!("column {} is", names.join(", ")),
        (_, 0) => format!("columns {} are", names.join(", ")),
        (_, more) => format!("columns {} and {more} more are", names.join(", ")),
    }
}

/// The start of a text, on one line.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
