//! Options that contradict the settings that a job was pinned with. Only settings that decide its rows count; sizes of chunks and commits
//! do not.

use serde::Serialize;
use shared::{Column, ColumnType, DateFormat, Format, FormatChoice, Job, Setting, Settings, TypedColumn, Variable};

/// An option that says something else than the job was pinned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// With its dashes.
    pub(crate) option: String,
    /// What it says.
    pub(crate) given: String,
    /// What the job has.
    pub(crate) pinned: String,
}

/// The first option among those that are given, by the names of their variables, that contradicts a job.
pub(crate) fn contradiction(is_given: impl Fn(&str) -> bool, settings: &Settings, job: &Job) -> Option<Contradiction> {
    let differs = |(variable, given, pinned): (&'static str, String, String)| {
        let option = Variable::find(variable)?.option?.name;
        let (option, is_other) = (format!("--{option}"), given != pinned);
        (is_other && is_given(variable)).then_some(Contradiction { option, given, pinned })
    };
    of_load(settings, job).into_iter().chain(of_text(settings, job)).chain(of_schema(settings, job)).find_map(differs)
}

/// Settings of one kind, each with its value and the job's.
type Compared = Vec<(&'static str, String, String)>;

fn of_load(settings: &Settings, job: &Job) -> Compared {
    let (given, pinned) = (&settings.load, &job.load);
    let sql = |sql: &Option<String>| sql.clone().unwrap_or_else(none);
    let mebibytes = |bytes: u64| (bytes >> 20).to_string();
    vec![
        ("TRANSFORM_SQL", sql(&given.sql), sql(&pinned.sql)),
        ("PARTITION_BY", list(&given.partition_by), list(&pinned.partition_by)),
        ("ON_REPLACE", word(&given.on_replace), word(&pinned.on_replace)),
        ("BAD_RECORDS", word(&settings.read.bad_records), word(&job.policy.bad_records)),
        ("MAX_RECORD_MB", mebibytes(settings.read.max_record_bytes), mebibytes(job.policy.max_record_bytes)),
    ]
}

/// How the source is written: settings that leave it to be found contradict nothing.
fn of_text(settings: &Settings, job: &Job) -> Compared {
    let (read, policy) = (&settings.read, &job.policy);
    let format = match &policy.format {
        Format::Csv(_) => "csv",
        Format::Ndjson(_) => "ndjson",
        Format::Parquet { .. } => "parquet",
    };
    let told = match read.format {
        FormatChoice::Auto => format,
        FormatChoice::Csv => "csv",
        FormatChoice::Ndjson => "ndjson",
        FormatChoice::Parquet => "parquet",
    };
    let mut compared = vec![("FORMAT", told.to_owned(), format.to_owned())];
    if format == "parquet" {
        return compared;
    }
    let text = &policy.text;
    compared.extend(read.compression.map(|told| ("COMPRESSION", word(&told), word(&text.compression))));
    compared.extend(
        read.encoding.as_ref().map(|told| ("ENCODING", told.name().to_owned(), text.encoding.name().to_owned())),
    );
    let (null_words, csv) = match &policy.format {
        Format::Csv(csv) => (&csv.null_words, Some(csv)),
        Format::Ndjson(json) => (&json.null_words, None),
        Format::Parquet { .. } => return compared,
    };
    compared.extend(read.null_words.as_ref().map(|told| ("NULL_WORDS", list(told), list(null_words))));
    let Some(csv) = csv else { return compared };
    let (told, dialect) = (&read.csv, &csv.dialect);
    let one = |character: char| character.escape_default().to_string();
    let or_none = |character: Option<char>| character.map_or_else(none, one);
    let mut character = |name, told: Setting<char>, pinned| {
        compared.extend(told.explicit().map(|told| (name, one(told), one(pinned))));
    };
    character("CSV_DELIMITER", told.delimiter, dialect.delimiter);
    character("CSV_DECIMAL", told.decimal, dialect.decimal);
    let mut character = |name, told: Setting<Option<char>>, pinned| {
        compared.extend(told.explicit().map(|told| (name, or_none(told), or_none(pinned))));
    };
    character("CSV_QUOTE", told.quote, dialect.quote);
    character("CSV_ESCAPE", told.escape, dialect.escape);
    character("CSV_COMMENT", told.comment, dialect.comment);
    let terminator = match told.terminator {
        Setting::Auto => Setting::Auto,
        Setting::Explicit(terminator) => Setting::Explicit(Some(terminator)),
    };
    character("CSV_TERMINATOR", terminator, dialect.terminator);
    compared
}

/// Types of columns, each by itself, with the format of dates.
fn of_schema(settings: &Settings, job: &Job) -> Compared {
    let columns = match &job.policy.format {
        Format::Csv(csv) => &csv.columns,
        Format::Ndjson(json) => &json.columns,
        Format::Parquet { .. } => return Vec::new(),
    };
    let schema = &settings.read.schema;
    // As the reader finds them; a name in other letters was never read, and is another one than the job has.
    let is_named = |told: &TypedColumn, column: &Column| told.name == column.name || told.name == column.source_name;
    let is_alike = |told: &TypedColumn, column: &Column| {
        [&column.name, &column.source_name].iter().any(|name| name.eq_ignore_ascii_case(&told.name))
    };
    let compared = columns.iter().filter_map(|column| {
        let named = schema.iter().find(|told| is_named(told, column));
        let told = named.or_else(|| schema.iter().find(|told| is_alike(told, column)))?;
        let of = |column_type: ColumnType, format: DateFormat| {
            let format = if column_type.has_dates() { format!("({format})") } else { String::new() };
            format!("{}:{column_type}{format}", told.name)
        };
        let (given, pinned) = (told.column_type, column.column_type);
        let told_format = told.date_format.unwrap_or(column.date_format);
        Some(("SCHEMA", of(given, told_format), of(pinned, column.date_format)))
    });
    let unknown =
        schema.iter().filter(|told| !columns.iter().any(|column| is_named(told, column) || is_alike(told, column)));
    let unknown = unknown
        .map(|told| ("SCHEMA", format!("{}:{}", told.name, told.column_type), format!("no column '{}'", told.name)));
    compared.chain(unknown).collect()
}

fn none() -> String {
    "none".to_owned()
}

fn list(items: &[String]) -> String {
    if items.is_empty() { none() } else { items.join(",") }
}

/// A value that is a word, as documents have it.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
