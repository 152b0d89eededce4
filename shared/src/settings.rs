//! Settings: one list of variables, read by the Lambdas from their environment and by the command line as defaults.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::BackoffSettings;
use crate::column::{ToldColumn, told_columns};
use crate::dialect::{CsvSettings, Told};
use crate::job::{BadRecords, ColumnNames, CommitMode, DataFileMode, FormatChoice, Infer, OnReplace};
use crate::memory::{Memory, given_mb};
use crate::notice::{SnsTopic, Topic};
use crate::storage::Location;
use crate::text_policy::{Compression, Encoding};

/// One setting, as the README's table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Value when it is not set, as text; empty for none.
    pub default: &'static str,
    /// What it is, with unit and bounds.
    pub about: &'static str,
}

macro_rules! variables {
    ($($name:literal = $default:literal : $about:literal;)*) => {
        /// All settings there are.
        pub const VARIABLES: &[Variable] = &[$(Variable { name: $name, default: $default, about: $about }),*];
    };
}

variables! {
    "CHUNK_SIZE_MB" = "100": "most MiB of a chunk as written, 1 to 5120";
    "CHUNK_CODEC" = "snappy": "compression of chunks: `snappy`, `zstd`, `lz4` or `none`";
    "CHUNK_BUCKET" = "": "bucket of the work areas; the command line, when this is not set, keeps them below the table, in `_sluice`";
    "CHUNK_PREFIX" = "sluice": "prefix of the work areas within `CHUNK_BUCKET`";
    "CHUNK_QUEUE_URL" = "": "SQS queue that chunk tasks are sent to";
    "SOURCE_QUEUE_URL" = "": "SQS queue that drops come from; the splitter hands a job that outlasts its function over to itself through it, so that no receives are used up";
    "TABLE_URI" = "": "Delta table, `s3://bucket/prefix` or a path";
    "TRANSFORM_SQL" = "": "SQL that each chunk goes through; the chunk is the table `chunk`, or `source`";
    "PARTITION_BY" = "": "columns, separated by commas, by which a new table is partitioned";
    "COMMIT_MODE" = "chunk": "`chunk` commits chunks as they come, `file` all chunks of a file in one commit, so that readers see all of it or nothing; a job keeps the one that it was first seen with";
    "DATA_FILES" = "as-split": "`as-split` takes chunks over into the table as they are where that changes nothing for its readers, `rewritten` encodes all of them anew, with zstd and in larger row groups";
    "ON_REPLACE" = "append": "what becomes of the rows of earlier drops under the same key: `append` leaves them, `replace` removes them in the commit that adds the new ones, and so implies `COMMIT_MODE=file`";
    "FORMAT" = "auto": "what sources are: `csv`, `ndjson` (one JSON object a line), `parquet`, or `auto`, what their content says";
    "INFER" = "sample": "how column types are found: `sample` (spread over the file), `full` (reads it twice), `none` (all text)";
    "SCHEMA" = "": "types of columns, as `id:int64,price:decimal(12,2),day:date(DD.MM.YYYY)`: `boolean`, `int64`, `float64`, `decimal(P,S)`, `date`, `timestamp`, `timestamp_utc`, `text`; the types of other columns are those of the table, or found";
    "COLUMN_NAMES" = "lower": "`lower`, `snake` or `keep`; names are made unique, and points and characters that Delta refuses become `_`; a column that the table has keeps its name";
    "COMPRESSION" = "auto": "what sources are compressed with: `auto` (found by their first bytes), `none`, `gzip`, `zstd`, `bzip2`, `xz`, `lz4`, `snappy` or `zip`";
    "ENCODING" = "auto": "what text is written in: `auto` (found by its bytes), or a label such as `utf-8`, `utf-16le`, `windows-1252` or `shift_jis`";
    "MAX_EXPANDED_MB" = "": "most MiB that a compressed source may expand to; none for no limit";
    "MAX_EXPANSION_RATIO" = "1000": "how many times its size a compressed source may expand to, once it is beyond 256 MiB";
    "MAX_FOOTER_MB" = "128": "most MiB of memory that the footer of a Parquet source may take, estimated before it is decoded: twice its bytes, and 1 KiB for each column of each row group";
    "CSV_DELIMITER" = "auto": "field separator of CSV: one ASCII character, `tab`, a byte such as `0x1f`, or `auto` to find it";
    "CSV_QUOTE" = "auto": "quote character: one ASCII character, `none`, or `auto` to find it";
    "CSV_ESCAPE" = "auto": "character that makes the one behind it text within quotes, beside doubled quotes: one ASCII character, `none`, or `auto` to find it";
    "CSV_COMMENT" = "auto": "character at the start of lines that are no records and are left out: one ASCII character, or `none`, which `auto` is too";
    "CSV_TERMINATOR" = "auto": "character that ends a record: one ASCII character, a byte such as `0x1e`, or `auto` for line ends of every kind";
    "CSV_HEADER" = "auto": "rows of the header, up to 16, whose names are joined: `true` (one), `false` (none), a number, or `auto` to find them";
    "CSV_SKIP_LINES" = "auto": "lines before the header, up to 10000, that are no part of the table, or `auto` to find them";
    "CSV_DECIMAL" = "auto": "`.` or `,` before the fraction of a number, or `auto` to find it";
    "NULL_WORDS" = "": "words, separated by commas, that mean null in every column; when not set, NA, N/A, NULL, null and \\N mean null in columns that are not text; an empty field always does";
    "BAD_RECORDS" = "quarantine": "`quarantine` keeps rejected records beside the job, `fail` stops at the first, `null` makes a value that does not fit null, `widen` finds types from the whole file, which it reads twice, so that all values fit them";
    "MAX_BAD_RECORDS" = "": "rejected records, as a number or as a percentage such as `0.5%`, beyond which a file is given up, and `sluice` ends with status 4; none for no limit";
    "MAX_RECORD_MB" = "16": "most MiB of one record, 1 to 1024";
    "MAX_PARTITIONS" = "10000": "most partitions that the rows of one chunk may belong to, 1 to 1000000; a chunk with more is refused before a file of it is written";
    "MEMORY_MB" = "": "memory of the process in MiB, 128 to 1048576, that work waits for; when not set, that of the function or of the control group, else 512";
    "COMMIT_MAX_ATTEMPTS" = "50": "attempts to commit before the chunk goes back to its queue, from 1";
    "COMMIT_BACKOFF_INITIAL_MS" = "50": "mean of the first wait between two attempts, in milliseconds";
    "COMMIT_BACKOFF_MAX_MS" = "5000": "bound for the mean wait, in milliseconds";
    "COMPLETION_TOPIC_ARN" = "": "SNS topic that is told of each job that is done, by its ARN; a FIFO topic passes each notice on once";
}

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

/// Bounds of `MEMORY_MB`.
pub(crate) const LEAST_MEMORY_MB: u64 = 128;
pub(crate) const MOST_MEMORY_MB: u64 = 1 << 20;

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
            Some(bucket) => Some(read.parsed("CHUNK_BUCKET", "a bucket or a URI", |_| {
                let root = if bucket.contains('/') { bucket.clone() } else { format!("s3://{bucket}") };
                Some(root.parse::<Location>().ok()?.join(&read.or_default("CHUNK_PREFIX")))
            })?),
            None => None,
        };
        Ok(Self {
            chunk_bytes: mib(read.number("CHUNK_SIZE_MB", 1, 5120)?),
            chunk_codec: read.one_of("CHUNK_CODEC", &["snappy", "zstd", "lz4", "none"])?,
            work_prefix,
            chunk_queue_url: read.text("CHUNK_QUEUE_URL"),
            source_queue_url: read.text("SOURCE_QUEUE_URL"),
            table: read.optional("TABLE_URI", "s3://bucket/prefix or a path", |text| text.parse().ok())?,
            sql: read.text("TRANSFORM_SQL"),
            partition_by: read.list("PARTITION_BY").unwrap_or_default(),
            commit_mode: read.word("COMMIT_MODE")?,
            data_files: read.word("DATA_FILES")?,
            on_replace: read.word("ON_REPLACE")?,
            format: read.word("FORMAT")?,
            infer: read.word("INFER")?,
            schema: read.schema()?,
            column_names: read.word("COLUMN_NAMES")?,
            compression: read.unless_auto("COMPRESSION", COMPRESSIONS, |word| word.parse().ok())?,
            encoding: read.unless_auto("ENCODING", ENCODINGS, Encoding::for_label)?,
            max_expanded_bytes: read.number_or_none("MAX_EXPANDED_MB", 1, 1 << 40)?.map(mib),
            max_expansion_ratio: read.number("MAX_EXPANSION_RATIO", 1, 1 << 32)?,
            max_footer_bytes: mib(read.number("MAX_FOOTER_MB", 1, 1 << 20)?),
            csv: read.csv()?,
            null_words: read.list("NULL_WORDS"),
            bad_records: read.word("BAD_RECORDS")?,
            max_bad_records: read.optional("MAX_BAD_RECORDS", "a number, or a percentage such as 0.5%", bad_limit)?,
            max_record_bytes: mib(read.number("MAX_RECORD_MB", 1, 1024)?),
            max_partitions: usize::try_from(read.number("MAX_PARTITIONS", 1, 1_000_000)?).unwrap_or(usize::MAX),
            memory: read.memory()?,
            commit: read.commit()?,
            completion_topic_arn: read.optional("COMPLETION_TOPIC_ARN", "the ARN of an SNS topic", topic_arn)?,
        })
    }

    /// Settings from the environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

const COMPRESSIONS: &str = "auto, none, gzip, zstd, bzip2, xz, lz4, snappy or zip";
const ENCODINGS: &str = "auto, or the label of an encoding, such as utf-8, utf-16le or windows-1252";

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

/// Reads variables, each with the default of [`VARIABLES`].
struct Reader<L> {
    lookup: L,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    fn or_default(&self, name: &str) -> String {
        let default = VARIABLES.iter().find(|variable| variable.name == name).map_or("", |variable| variable.default);
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, SettingsError> {
        let value = self.or_default(name);
        parse(&value).ok_or_else(|| SettingsError { name, value, expected: expected.to_owned() })
    }

    fn optional<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.text(name).map(|_| self.parsed(name, expected, parse)).transpose()
    }

    fn number(&self, name: &'static str, least: u64, most: u64) -> Result<u64, SettingsError> {
        self.parsed(name, &format!("a whole number from {least} to {most}"), |text| {
            text.parse().ok().filter(|number| (least..=most).contains(number))
        })
    }

    fn one_of(&self, name: &'static str, words: &[&str]) -> Result<String, SettingsError> {
        self.parsed(name, &format!("one of {}", words.join(", ")), |text| {
            words.contains(&text).then(|| text.to_owned())
        })
    }

    fn schema(&self) -> Result<Vec<ToldColumn>, SettingsError> {
        self.worded("SCHEMA", |text| {
            told_columns(text).map_err(|wrong| format!("NAME:TYPE, separated by commas; {wrong}"))
        })
    }

    /// As [`Reader::parsed`], where the error says by itself what is wrong.
    fn worded<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, SettingsError> {
        let value = self.or_default(name);
        parse(&value).map_err(|expected| SettingsError { name, value, expected })
    }

    fn word<T: std::str::FromStr<Err = String>>(&self, name: &'static str) -> Result<T, SettingsError> {
        self.worded(name, str::parse)
    }

    fn number_or_none(&self, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, SettingsError> {
        self.text(name).map(|_| self.number(name, least, most)).transpose()
    }

    /// `None` where it is `auto`.
    fn unless_auto<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.parsed(name, expected, |text| if text == "auto" { Some(None) } else { parse(text).map(Some) })
    }

    /// A setting that is found when it is `auto`.
    fn told<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Told<T>, SettingsError> {
        Ok(self.unless_auto(name, &format!("{expected}, or 'auto'"), parse)?.map_or(Told::Auto, Told::Is))
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
            delimiter: self.told("CSV_DELIMITER", "one ASCII character, 'tab', or a byte such as 0x1f", |text| {
                character(text).filter(|c| !matches!(c, '\r' | '\n'))
            })?,
            quote: self.told("CSV_QUOTE", "one ASCII character, or 'none'", mark)?,
            escape: self.told("CSV_ESCAPE", "one ASCII character, or 'none'", mark)?,
            comment: self.told("CSV_COMMENT", "one ASCII character, or 'none'", mark)?,
            terminator: self.told("CSV_TERMINATOR", "one ASCII character, or a byte such as 0x1e", character)?,
            header: self.told("CSV_HEADER", "'true', 'false', or a number of rows up to 16", header)?,
            skip_lines: self.told("CSV_SKIP_LINES", "a number of lines up to 10000", count(10_000))?,
            decimal: self.told("CSV_DECIMAL", "'.' or ','", decimal)?,
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
        let told = self.number_or_none("MEMORY_MB", LEAST_MEMORY_MB, MOST_MEMORY_MB)?;
        Ok(Memory::of_mb(told.unwrap_or_else(|| given_mb(|name| self.text(name)))))
    }

    fn commit(&self) -> Result<BackoffSettings, SettingsError> {
        Ok(BackoffSettings {
            max_attempts: u32::try_from(self.number("COMMIT_MAX_ATTEMPTS", 1, 10_000)?).unwrap_or(u32::MAX),
            initial: Duration::from_millis(self.number("COMMIT_BACKOFF_INITIAL_MS", 1, 3_600_000)?),
            max: Duration::from_millis(self.number("COMMIT_BACKOFF_MAX_MS", 1, 3_600_000)?),
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
