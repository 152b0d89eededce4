//! Settings: one list of variables, read by the Lambdas from their environment and by the command line as defaults.

mod variables;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::BackoffSettings;
use crate::column::{ToldColumn, told_columns};
use crate::dialect::{CsvSettings, Told};
use crate::job::{BadRecords, ColumnNames, CommitMode, DataFileMode, FormatChoice, Infer, OnReplace};
use crate::location::Location;
use crate::memory::{Memory, given_mb};
use crate::notice::{SnsTopic, Topic};
use crate::text_policy::{Compression, Encoding};
pub use variables::{CliOption, Function, Kind, VARIABLES, Variable};

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `CHUNK_SIZE_MB`, in bytes.
    pub chunk_bytes: u64,
    /// `CHUNK_CODEC`.
    pub chunk_codec: String,
    /// `CHUNK_BUCKET` and `CHUNK_PREFIX`.
    pub work_prefix: Option<Location>,
    /// `CHUNK_QUEUE_URL`.
    pub chunk_queue_url: Option<String>,
    /// `SOURCE_QUEUE_URL`.
    pub source_queue_url: Option<String>,
    /// `TABLE_URI`.
    pub table: Option<Location>,
    /// `TRANSFORM_SQL`.
    pub sql: Option<String>,
    /// `PARTITION_BY`.
    pub partition_by: Vec<String>,
    /// `FORMAT`.
    pub format: FormatChoice,
    /// `INFER`.
    pub infer: Infer,
    /// `SCHEMA`.
    pub schema: Vec<ToldColumn>,
    /// `COLUMN_NAMES`.
    pub column_names: ColumnNames,
    /// `COMPRESSION`; `None` to find it out.
    pub compression: Option<Compression>,
    /// `ENCODING`; `None` to find it out.
    pub encoding: Option<Encoding>,
    /// `MAX_EXPANDED_MB`, in bytes; `None` for no limit.
    pub max_expanded_bytes: Option<u64>,
    /// `MAX_EXPANSION_RATIO`.
    pub max_expansion_ratio: u64,
    /// `MAX_FOOTER_MB`, in bytes.
    pub max_footer_bytes: u64,
    /// The settings that begin with `CSV_`.
    pub csv: CsvSettings,
    /// `NULL_WORDS`; `None` when it is not set.
    pub null_words: Option<Vec<String>>,
    /// `COMMIT_MODE`.
    pub commit_mode: CommitMode,
    /// `DATA_FILES`.
    pub data_files: DataFileMode,
    /// `ON_REPLACE`.
    pub on_replace: OnReplace,
    /// `BAD_RECORDS`.
    pub bad_records: BadRecords,
    /// `MAX_BAD_RECORDS`; `None` for no limit.
    pub max_bad_records: Option<BadRecordLimit>,
    /// `MAX_RECORD_MB`, in bytes.
    pub max_record_bytes: u64,
    /// `MAX_PARTITIONS`.
    pub max_partitions: usize,
    /// `MEMORY_MB`: the account that all work draws on which was begun with these settings, or clones of them.
    pub memory: Memory,
    /// `COMMIT_MAX_ATTEMPTS`, `COMMIT_BACKOFF_INITIAL_MS`, `COMMIT_BACKOFF_MAX_MS`.
    pub commit: BackoffSettings,
    /// `COMPLETION_TOPIC_ARN`.
    pub completion_topic_arn: Option<String>,
}

/// Records of a source that a percentage says something about, at least, unless they are all.
const PERCENT_OF: u64 = 1000;

/// How many rejected records are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BadRecordLimit {
    /// More than this many.
    Count(u64),
    /// More than this part of all, in percent.
    Percent(f64),
}

impl BadRecordLimit {
    /// Whether `bad` of `all` records are beyond the limit.
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a percentage needs no exactness beyond 2^53"
    )]
    pub fn is_exceeded(self, bad: u64, all: u64) -> bool {
        match self {
            Self::Count(limit) => bad > limit,
            Self::Percent(limit) => bad as f64 * 100.0 > limit * all as f64,
        }
    }

    /// Whether a source is to be given up of whose first `all` records `bad` were rejected. Of a few records a percentage says
    /// too little.
    pub fn is_hopeless(self, bad: u64, all: u64) -> bool {
        let says_something = matches!(self, Self::Count(_)) || all >= PERCENT_OF;
        says_something && self.is_exceeded(bad, all)
    }
}

impl fmt::Display for BadRecordLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(limit) => write!(f, "{limit}"),
            Self::Percent(limit) => write!(f, "{limit}%"),
        }
    }
}

/// A variable whose value cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}='{value}' cannot be used: it must be {expected}")]
pub struct SettingsError {
    /// Name of the variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub expected: String,
}

impl Settings {
    /// The topic that is told of jobs that are done.
    pub fn topic(&self) -> Option<Arc<dyn Topic>> {
        let arn = self.completion_topic_arn.as_ref()?;
        Some(Arc::new(SnsTopic::new(arn)))
    }

    /// Settings from a source of variables, such as the environment; an empty value is one that is not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = Reader { lookup: |name: &str| lookup(name).filter(|value| !value.is_empty()) };
        let mib = |count: u64| count << 20;
        if let Some(value) = read.text("ROUTES_URI") {
            // Without them, all rows would go to one table in silence.
            let expected = "unset: routes are not read yet".to_owned();
            return Err(SettingsError { name: "ROUTES_URI", value, expected });
        }
        let work_prefix = match read.text("CHUNK_BUCKET") {
            Some(bucket) => Some(read.parsed("CHUNK_BUCKET", |_| {
                let root = if bucket.contains('/') { bucket.clone() } else { format!("s3://{bucket}") };
                Some(root.parse::<Location>().ok()?.join(&read.or_default("CHUNK_PREFIX")))
            })?),
            None => None,
        };
        Ok(Self {
            chunk_bytes: mib(read.number("CHUNK_SIZE_MB")?),
            chunk_codec: read.one_of("CHUNK_CODEC")?,
            work_prefix,
            chunk_queue_url: read.text("CHUNK_QUEUE_URL"),
            source_queue_url: read.text("SOURCE_QUEUE_URL"),
            table: read.optional("TABLE_URI", |text| text.parse().ok())?,
            sql: read.text("TRANSFORM_SQL"),
            partition_by: read.list("PARTITION_BY").unwrap_or_default(),
            commit_mode: read.word("COMMIT_MODE")?,
            data_files: read.word("DATA_FILES")?,
            on_replace: read.word("ON_REPLACE")?,
            format: read.word("FORMAT")?,
            infer: read.word("INFER")?,
            schema: read.schema()?,
            column_names: read.word("COLUMN_NAMES")?,
            compression: read.unless_auto("COMPRESSION", |word| word.parse().ok())?,
            encoding: read.unless_auto("ENCODING", Encoding::for_label)?,
            max_expanded_bytes: read.number_or_none("MAX_EXPANDED_MB")?.map(mib),
            max_expansion_ratio: read.number("MAX_EXPANSION_RATIO")?,
            max_footer_bytes: mib(read.number("MAX_FOOTER_MB")?),
            csv: read.csv()?,
            null_words: read.list("NULL_WORDS"),
            bad_records: read.word("BAD_RECORDS")?,
            max_bad_records: read.optional("MAX_BAD_RECORDS", bad_limit)?,
            max_record_bytes: mib(read.number("MAX_RECORD_MB")?),
            max_partitions: usize::try_from(read.number("MAX_PARTITIONS")?).unwrap_or(usize::MAX),
            memory: read.memory()?,
            commit: read.commit()?,
            completion_topic_arn: read.optional("COMPLETION_TOPIC_ARN", topic_arn)?,
        })
    }

    /// Settings from the environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

fn topic_arn(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["arn", _, "sns", _, _, name] if !name.is_empty()).then(|| text.to_owned())
}

fn bad_limit(text: &str) -> Option<BadRecordLimit> {
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(BadRecordLimit::Percent),
        None => text.parse().ok().map(BadRecordLimit::Count),
    }
}

/// One ASCII character: as it is, `tab`, or as a byte in hexadecimal.
fn character(text: &str) -> Option<char> {
    match text {
        "tab" | "\\t" => return Some('\t'),
        "\\n" => return Some('\n'),
        "\\r" => return Some('\r'),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii).map(char::from);
    }
    let mut characters = text.chars();
    let first = characters.next().filter(char::is_ascii)?;
    characters.next().is_none().then_some(first)
}

/// Reads variables, each as its row of [`VARIABLES`] says.
struct Reader<L> {
    lookup: L,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    fn or_default(&self, name: &str) -> String {
        let default = Variable::find(name).map_or("", |variable| variable.default);
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// The value or the default; the error says what its row expects.
    fn parsed<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, SettingsError> {
        let expected = || Variable::find(name).map_or_else(String::new, |variable| variable.kind.expected());
        self.worded(name, |text| parse(text).ok_or_else(expected))
    }

    /// As [`Reader::parsed`], where the error says by itself what is wrong.
    fn worded<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, SettingsError> {
        let value = self.or_default(name);
        parse(&value).map_err(|expected| SettingsError { name, value, expected })
    }

    fn optional<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, SettingsError> {
        self.text(name).map(|_| self.parsed(name, parse)).transpose()
    }

    /// A whole number within the bounds of its row.
    fn number(&self, name: &'static str) -> Result<u64, SettingsError> {
        self.parsed(name, |text| match Variable::find(name)?.kind {
            Kind::Whole { least, most } => text.parse().ok().filter(|number| (least..=most).contains(number)),
            Kind::Word { .. } | Kind::Text { .. } => None,
        })
    }

    fn number_or_none(&self, name: &'static str) -> Result<Option<u64>, SettingsError> {
        self.text(name).map(|_| self.number(name)).transpose()
    }

    /// One of the words of its row.
    fn one_of(&self, name: &'static str) -> Result<String, SettingsError> {
        self.parsed(name, |text| match Variable::find(name)?.kind {
            Kind::Word { words } => words.contains(&text).then(|| text.to_owned()),
            Kind::Whole { .. } | Kind::Text { .. } => None,
        })
    }

    fn word<T: std::str::FromStr<Err = String>>(&self, name: &'static str) -> Result<T, SettingsError> {
        self.worded(name, str::parse)
    }

    fn schema(&self) -> Result<Vec<ToldColumn>, SettingsError> {
        self.worded("SCHEMA", |text| {
            told_columns(text).map_err(|wrong| format!("NAME:TYPE, separated by commas; {wrong}"))
        })
    }

    /// `None` where it is `auto`.
    fn unless_auto<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.parsed(name, |text| if text == "auto" { Some(None) } else { parse(text).map(Some) })
    }

    /// A setting that is found when it is `auto`.
    fn told<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Told<T>, SettingsError> {
        Ok(self.unless_auto(name, parse)?.map_or(Told::Auto, Told::Is))
    }

    fn csv(&self) -> Result<CsvSettings, SettingsError> {
        let mark = |text: &str| if text == "none" { Some(None) } else { character(text).map(Some) };
        let count = |most: usize| move |text: &str| text.parse().ok().filter(|number| *number <= most);
        let header = |text: &str| match text {
            "true" => Some(1),
            "false" => Some(0),
            _ => count(16)(text),
        };
        let decimal = |text: &str| character(text).filter(|c| matches!(c, '.' | ','));
        let csv = CsvSettings {
            delimiter: self.told("CSV_DELIMITER", |text| character(text).filter(|c| !matches!(c, '\r' | '\n')))?,
            quote: self.told("CSV_QUOTE", mark)?,
            escape: self.told("CSV_ESCAPE", mark)?,
            comment: self.told("CSV_COMMENT", mark)?,
            terminator: self.told("CSV_TERMINATOR", character)?,
            header: self.told("CSV_HEADER", header)?,
            skip_lines: self.told("CSV_SKIP_LINES", count(10_000))?,
            decimal: self.told("CSV_DECIMAL", decimal)?,
        };
        self.each_once(&csv)?;
        Ok(csv)
    }

    /// A character can have one meaning only.
    fn each_once(&self, csv: &CsvSettings) -> Result<(), SettingsError> {
        let told = [
            ("CSV_DELIMITER", csv.delimiter.told()),
            ("CSV_QUOTE", csv.quote.told().flatten()),
            ("CSV_ESCAPE", csv.escape.told().flatten()),
            ("CSV_COMMENT", csv.comment.told().flatten()),
            ("CSV_TERMINATOR", csv.terminator.told()),
        ];
        for (place, (name, character)) in told.iter().enumerate() {
            let same = told.iter().take(place).find(|(_, other)| character.is_some() && other == character);
            if let Some((other, _)) = same {
                let expected = format!("another character than that of {other}");
                return Err(SettingsError { name, value: self.or_default(name), expected });
            }
        }
        Ok(())
    }

    fn memory(&self) -> Result<Memory, SettingsError> {
        let told = self.number_or_none("MEMORY_MB")?;
        Ok(Memory::of_mb(told.unwrap_or_else(|| given_mb(|name| self.text(name)))))
    }

    fn commit(&self) -> Result<BackoffSettings, SettingsError> {
        Ok(BackoffSettings {
            max_attempts: u32::try_from(self.number("COMMIT_MAX_ATTEMPTS")?).unwrap_or(u32::MAX),
            initial: Duration::from_millis(self.number("COMMIT_BACKOFF_INITIAL_MS")?),
            max: Duration::from_millis(self.number("COMMIT_BACKOFF_MAX_MS")?),
            max_elapsed: None,
        })
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.text(name)?.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Settings, SettingsError> {
        Settings::from_lookup(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn defaults_are_usable() {
        let settings = Settings::from_lookup(|_| None).unwrap();
        assert_eq!(settings.chunk_bytes, 100 << 20);
        assert_eq!(settings.work_prefix, None);
        assert_eq!(settings.max_partitions, 10_000);
        assert_eq!(settings.csv, CsvSettings::default());
    }

    #[test]
    fn texts_name_the_values() {
        for Variable { name, kind, about, .. } in VARIABLES {
            let named = match kind {
                Kind::Whole { least, most } if *most < 1 << 32 => vec![format!("{least} to {most}")],
                Kind::Word { words } => words.iter().map(|word| format!("`{word}`")).collect(),
                Kind::Whole { .. } | Kind::Text { .. } => Vec::new(),
            };
            for value in named {
                assert!(about.contains(&value), "the text of {name} should name {value}");
            }
        }
    }

    #[test]
    fn each_word_is_read() {
        for Variable { name, kind, .. } in VARIABLES {
            let Kind::Word { words } = kind else { continue };
            for word in *words {
                assert!(with(name, word).is_ok(), "{name}={word}");
            }
        }
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (name, value) in [
            ("CHUNK_SIZE_MB", "0"),
            ("CHUNK_SIZE_MB", "5121"),
            ("CHUNK_SIZE_MB", "1.5"),
            ("CHUNK_SIZE_MB", "ten"),
            ("CHUNK_CODEC", "rar"),
            ("FORMAT", "xml"),
            ("INFER", "maybe"),
            ("COMPRESSION", "rar"),
            ("ENCODING", "ebcdic"),
            ("MAX_EXPANDED_MB", "0"),
            ("MAX_EXPANSION_RATIO", "none"),
            ("MAX_FOOTER_MB", "0"),
            ("SCHEMA", "id:integer"),
            ("BAD_RECORDS", "drop"),
            ("COMMIT_MODE", "row"),
            ("ON_REPLACE", "merge"),
            ("MAX_BAD_RECORDS", "101%"),
            ("MAX_BAD_RECORDS", "-1"),
            ("CSV_DELIMITER", "::"),
            ("CSV_DELIMITER", "é"),
            ("CSV_DELIMITER", "none"),
            ("CSV_DELIMITER", "0xff"),
            ("CSV_QUOTE", "quote"),
            ("CSV_HEADER", "17"),
            ("CSV_HEADER", "yes"),
            ("CSV_SKIP_LINES", "-1"),
            ("CSV_DECIMAL", ";"),
            ("COMMIT_MAX_ATTEMPTS", "0"),
            ("MAX_PARTITIONS", "0"),
            ("MEMORY_MB", "127"),
            ("MEMORY_MB", "all"),
            ("COMPLETION_TOPIC_ARN", "done"),
            ("COMPLETION_TOPIC_ARN", "arn:aws:sqs:eu-central-1:123456789012:done"),
            ("TABLE_URI", "gs://b/t"),
            ("ROUTES_URI", "s3://b/routes"),
        ] {
            let error = with(name, value).unwrap_err();
            assert_eq!((error.name, error.value.as_str()), (name, value));
        }
    }

    #[test]
    fn error_text() {
        let error = with("CHUNK_SIZE_MB", "ten").unwrap_err();
        insta::assert_snapshot!(error, @"CHUNK_SIZE_MB='ten' cannot be used: it must be a whole number from 1 to 5120");
    }

    #[test]
    fn dialects_that_are_told() {
        let csv = |name, value| with(name, value).unwrap().csv;
        let auto = CsvSettings::default;
        for (name, value, expected) in [
            ("CSV_DELIMITER", "auto", auto()),
            ("CSV_DELIMITER", ";", CsvSettings { delimiter: Told::Is(';'), ..auto() }),
            ("CSV_DELIMITER", "tab", CsvSettings { delimiter: Told::Is('\t'), ..auto() }),
            ("CSV_DELIMITER", "\\t", CsvSettings { delimiter: Told::Is('\t'), ..auto() }),
            ("CSV_DELIMITER", "0x1F", CsvSettings { delimiter: Told::Is('\x1f'), ..auto() }),
            ("CSV_QUOTE", "'", CsvSettings { quote: Told::Is(Some('\'')), ..auto() }),
            ("CSV_QUOTE", "none", CsvSettings { quote: Told::Is(None), ..auto() }),
            ("CSV_ESCAPE", "\\", CsvSettings { escape: Told::Is(Some('\\')), ..auto() }),
            ("CSV_COMMENT", "#", CsvSettings { comment: Told::Is(Some('#')), ..auto() }),
            ("CSV_TERMINATOR", "0x1e", CsvSettings { terminator: Told::Is('\x1e'), ..auto() }),
            ("CSV_HEADER", "true", CsvSettings { header: Told::Is(1), ..auto() }),
            ("CSV_HEADER", "false", CsvSettings { header: Told::Is(0), ..auto() }),
            ("CSV_HEADER", "3", CsvSettings { header: Told::Is(3), ..auto() }),
            ("CSV_SKIP_LINES", "7", CsvSettings { skip_lines: Told::Is(7), ..auto() }),
            ("CSV_DECIMAL", ",", CsvSettings { decimal: Told::Is(','), ..auto() }),
        ] {
            assert_eq!(csv(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_character_has_one_meaning() {
        let twice = |name: &str| matches!(name, "CSV_DELIMITER" | "CSV_COMMENT").then(|| "#".to_owned());
        let error = Settings::from_lookup(twice).unwrap_err();
        insta::assert_snapshot!(error, @"CSV_COMMENT='#' cannot be used: it must be another character than that of CSV_DELIMITER");
    }

    #[test]
    fn work_area_is_bucket_and_prefix() {
        let work = |bucket: &str| with("CHUNK_BUCKET", bucket).unwrap().work_prefix.unwrap().to_string();
        assert_eq!(work("chunks"), "s3://chunks/sluice");
        assert_eq!(work("/no-such/dir"), "/no-such/dir/sluice");
    }

    #[test]
    fn limits_of_bad_records() {
        let limit = |text: &str| with("MAX_BAD_RECORDS", text).unwrap().max_bad_records.unwrap();
        for (text, bad, all, exceeded) in
            [("0", 0, 9, false), ("0", 1, 9, true), ("1%", 1, 100, false), ("1%", 2, 100, true), ("0.5%", 1, 100, true)]
        {
            assert_eq!(limit(text).is_exceeded(bad, all), exceeded, "{text} {bad}/{all}");
            assert_eq!(limit(text).to_string(), text);
        }
        for (text, bad, all, hopeless) in [
            ("2", 2, 9, false),
            ("2", 3, 9, true),
            ("1%", 999, 999, false),
            ("1%", 11, 1000, true),
            ("1%", 10, 1000, false),
        ] {
            assert_eq!(limit(text).is_hopeless(bad, all), hopeless, "{text} {bad}/{all}");
        }
    }
}
