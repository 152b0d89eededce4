//! What each setting says, and what a job has of it.

use serde::Serialize;
use shared::{
    Column, ColumnNames, ColumnType, CsvPolicy, DateFormat, Format, FormatChoice, Infer, Job, LineKind, Lookup,
    Setting, Settings, TypedColumn, as_setting,
};

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) settings: &'a Settings,
    pub(super) job: &'a Job,
}

/// What a setting says, and what the job has, as text. None where the setting leaves it to be detected, or where the job does not keep
/// what would tell.
type Both = Option<(String, String)>;

/// How a setting is compared.
type Compare = fn(&Said<'_>) -> Both;

/// All settings that decide rows, in the order in which they are reported.
pub(super) const COMPARED: &[(&str, Compare)] = &[
    ("TRANSFORM_SQL", |said| Some((or_none(said.settings.load.sql.clone()), or_none(said.job.load.sql.clone())))),
    ("LOOKUPS", |said| {
        let of = |lookup: &Lookup| format!("{}={}", lookup.name, lookup.from);
        let given: Vec<String> = said.settings.load.named_lookups().map(of).collect();
        let pinned: Vec<String> = said.job.load.lookups.iter().map(|pinned| of(&pinned.lookup())).collect();
        Some((list(&given), list(&pinned)))
    }),
    ("PARTITION_BY", |said| Some((list(&said.settings.load.partition_by), list(&said.job.load.partition_by)))),
    ("PROVENANCE", |said| Some((words(&said.settings.load.provenance), words(&said.job.load.provenance)))),
    ("ON_REPLACE", |said| Some((word(&said.settings.load.on_replace), word(&said.job.load.on_replace)))),
    ("BAD_RECORDS", |said| Some((word(&said.settings.read.bad_records), word(&said.job.policy.bad_records)))),
    ("MAX_RECORD_MB", |said| {
        Some((mebibytes(said.settings.read.max_record_bytes), mebibytes(said.job.policy.max_record_bytes)))
    }),
    ("FORMAT", format),
    ("COMPRESSION", |said| {
        said.columns()?;
        Some((word(&said.settings.read.compression?), word(&said.job.policy.text.compression)))
    }),
    ("ENCODING", |said| {
        said.columns()?;
        let given = said.settings.read.encoding.as_ref()?;
        Some((given.name().to_owned(), said.job.policy.text.encoding.name().to_owned()))
    }),
    ("NULL_WORDS", null_words),
    ("CSV_DELIMITER", |said| character(said.settings.read.csv.delimiter, said.csv()?.dialect.delimiter)),
    ("CSV_DECIMAL", |said| character(said.settings.read.csv.decimal, said.csv()?.dialect.decimal)),
    ("CSV_QUOTE", |said| character_or_none(said.settings.read.csv.quote, said.csv()?.dialect.quote)),
    ("CSV_ESCAPE", |said| character_or_none(said.settings.read.csv.escape, said.csv()?.dialect.escape)),
    ("CSV_COMMENT", |said| character_or_none(said.settings.read.csv.comment, said.csv()?.dialect.comment)),
    ("CSV_TERMINATOR", |said| character_or_none(said.settings.read.csv.terminator, said.csv()?.dialect.terminator)),
    ("CSV_HEADER", header_rows),
    ("CSV_SKIP_LINES", skipped_lines),
    ("CSV_FOOTER", |said| {
        let given = said.settings.read.csv.footer.explicit()?;
        said.csv().filter(|csv| !csv.columns.is_empty())?;
        Some((given.to_string(), said.job.examined.as_ref()?.footer_lines.to_string()))
    }),
    ("SCHEMA", |said| column_type(said).or_else(|| unknown_column(said))),
    ("INFER", infer),
    ("COLUMN_NAMES", column_names),
];

impl<'a> Said<'a> {
    fn csv(&self) -> Option<&'a CsvPolicy> {
        match &self.job.policy.format {
            Format::Csv(csv) => Some(csv),
            _ => None,
        }
    }

    /// The columns of a source of text.
    fn columns(&self) -> Option<&'a [Column]> {
        match &self.job.policy.format {
            Format::Csv(csv) => Some(&csv.columns),
            Format::Ndjson(json) => Some(&json.columns),
            Format::Parquet { .. } => None,
        }
    }
}

fn format(said: &Said<'_>) -> Both {
    let given = match said.settings.read.format {
        FormatChoice::Auto => return None,
        FormatChoice::Csv => "csv",
        FormatChoice::Ndjson => "ndjson",
        FormatChoice::Parquet => "parquet",
    };
    let pinned = match &said.job.policy.format {
        Format::Csv(_) => "csv",
        Format::Ndjson(_) => "ndjson",
        Format::Parquet { .. } => "parquet",
    };
    Some((given.to_owned(), pinned.to_owned()))
}

fn null_words(said: &Said<'_>) -> Both {
    let pinned = match &said.job.policy.format {
        Format::Csv(csv) => &csv.null_words,
        Format::Ndjson(json) => &json.null_words,
        Format::Parquet { .. } => return None,
    };
    Some((list(said.settings.read.null_words.as_ref()?), list(pinned)))
}

fn character(given: Setting<char>, pinned: char) -> Both {
    Some((as_setting(given.explicit()?), as_setting(pinned)))
}

fn character_or_none(given: Setting<Option<char>>, pinned: Option<char>) -> Both {
    Some((or_none(given.explicit()?.map(as_setting)), or_none(pinned.map(as_setting))))
}

/// Jobs of earlier versions do not keep how many there are; nor does a file without any record or name.
fn header_rows(said: &Said<'_>) -> Both {
    let given = said.settings.read.csv.header.explicit()?;
    said.csv().filter(|csv| !csv.columns.is_empty())?;
    let pinned = said.job.examined.as_ref()?.header_rows?;
    Some((given.to_string(), pinned.to_string()))
}

/// To skip other lines makes no difference where they are blank, or comments.
fn skipped_lines(said: &Said<'_>) -> Both {
    let given = u64::try_from(said.settings.read.csv.skip_lines.explicit()?).ok()?;
    let head = said.job.examined.as_ref()?.head.as_ref()?;
    said.csv().filter(|csv| !csv.columns.is_empty())?;
    let of = |kind: LineKind| head.skipped.iter().find(|lines| lines.kind == kind);
    let last = of(LineKind::Preamble).map_or(0, |lines| lines.last.as_ref().unwrap_or(&lines.first).line);
    let first_of_table = of(LineKind::Header).map_or(head.total + 1, |lines| lines.first.line);
    let is_same = (last..first_of_table).contains(&given);
    (!is_same).then(|| (given.to_string(), last.to_string()))
}

/// The first column of `SCHEMA`, or of the contract, whose type is another one, with the format of dates.
pub(super) fn column_type(said: &Said<'_>) -> Both {
    let schema = &said.settings.read.schema;
    let mut compared = said.columns()?.iter().filter_map(|column| {
        let named = schema.iter().find(|given| is_named(given, column));
        let given = named.or_else(|| schema.iter().find(|given| is_alike(given, column)))?;
        let of = |column_type: ColumnType, format: DateFormat| {
            let format = if column_type.has_dates() { format!("({format})") } else { String::new() };
            format!("{}:{column_type}{format}", given.name)
        };
        let format = given.date_format.unwrap_or(column.date_format);
        Some((of(given.column_type, format), of(column.column_type, column.date_format)))
    });
    compared.find(|(given, pinned)| given != pinned)
}

/// The first column of `SCHEMA` that the job does not have.
fn unknown_column(said: &Said<'_>) -> Both {
    let columns = said.columns()?;
    let is_known =
        |given: &&TypedColumn| columns.iter().any(|column| is_named(given, column) || is_alike(given, column));
    let unknown = said.settings.read.schema.iter().find(|given| !is_known(given))?;
    Some((format!("{}:{}", unknown.name, unknown.column_type), format!("no column '{}'", unknown.name)))
}

/// Whether a column is meant, as the reader finds it.
fn is_named(given: &TypedColumn, column: &Column) -> bool {
    given.name == column.name || given.name == column.source_name
}

/// Whether a name in other letters was given, which was never read.
fn is_alike(given: &TypedColumn, column: &Column) -> bool {
    [&column.name, &column.source_name].iter().any(|name| name.eq_ignore_ascii_case(&given.name))
}

/// Types that were detected contradict `none`. By which of the other two, the job does not keep.
fn infer(said: &Said<'_>) -> Both {
    let is_detected = |column: &Column| !column.origin.is_given() && column.column_type != ColumnType::Utf8;
    let contradicts = said.settings.read.infer == Infer::None && said.columns()?.iter().any(is_detected);
    contradicts.then(|| ("none".to_owned(), "sample or full".to_owned()))
}

/// By the given style the columns would have other names, and by another one those of the job. Names of the table are of no style.
fn column_names(said: &Said<'_>) -> Both {
    let columns = said.columns()?;
    let of_source: Vec<&str> = columns.iter().map(|column| column.source_name.as_str()).collect();
    let is_by = |style: ColumnNames| {
        let names = splitter::column_names(&of_source, style, &[]);
        names.iter().eq(columns.iter().map(|column| &column.name))
    };
    let given = said.settings.read.column_names;
    let styles = [("lower", ColumnNames::Lower), ("keep", ColumnNames::Keep), ("snake", ColumnNames::Snake)];
    let (name, _) = styles.into_iter().find(|(_, style)| *style == given)?;
    let (pinned, _) = styles.into_iter().find(|(_, style)| !is_by(given) && is_by(*style))?;
    Some((name.to_owned(), pinned.to_owned()))
}

fn mebibytes(bytes: u64) -> String {
    (bytes >> 20).to_string()
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "none".to_owned())
}

fn list(items: &[String]) -> String {
    or_none(Some(items.join(",")).filter(|_| !items.is_empty()))
}

fn words(items: &[impl Serialize]) -> String {
    list(&items.iter().map(word).collect::<Vec<_>>())
}

/// A value that is a word, as documents have it.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::VARIABLES;

    use super::*;

    /// Options of `ingest` that decide no rows: a job keeps those of the first two lines, and its rows are the same with any other. The
    /// others hold for each run by itself.
    const NOT_COMPARED: &[&str] = &[
        "CHUNK_SIZE_MB",
        "CHUNK_CODEC",
        "COMMIT_MODE",
        "TABLE_URI",
        "DATA_FILES",
        "MAX_EXPANDED_MB",
        "MAX_EXPANSION_RATIO",
        "MAX_FOOTER_MB",
        "MAX_BAD_RECORDS",
        "MAX_PARTITIONS",
        "MEMORY_MB",
        // What it says is compared key by key.
        "CONTRACT_URI",
        // A job keeps its route.
        "ROUTES_URI",
    ];

    #[test]
    fn each_option_of_ingest_is_compared_or_decides_no_rows() {
        let is_of_ingest = |commands: &[&str]| commands.contains(&"ingest");
        let options = VARIABLES.iter().filter(|row| row.option.is_some_and(|option| is_of_ingest(option.commands)));
        let named = COMPARED.iter().map(|(name, _)| *name).chain(NOT_COMPARED.iter().copied());
        let (options, named): (Vec<&str>, Vec<&str>) = (options.map(|row| row.name).collect(), named.collect());
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<&str>>();
        assert_eq!(set(&named), set(&options), "name a new one in COMPARED, or here");
        assert_eq!(named.len(), options.len(), "each once");
    }
}
