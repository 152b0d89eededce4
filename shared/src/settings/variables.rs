//! The table of settings: each is written here once. The functions' environment, the options of the command line, its help, the
//! documented table and Terraform's check of settings all come from it, or are held to it by a test.
//!
//! To add a setting: a row here, a field in [`Settings`](super::Settings) with the line that reads it, then
//! `cargo run -p sluice -- settings` for the documented table and `settings --json` for `terraform/settings.json`.

use serde::Serialize;

use crate::memory::{LEAST_MEMORY_MB, MOST_MEMORY_MB};
use crate::policy::{BadRecords, ColumnNames, CommitMode, DataFileMode, FormatChoice, Infer, OnReplace};

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Value when it is not set, as text; empty for none.
    pub default: &'static str,
    /// Values that it takes.
    #[serde(flatten)]
    pub kind: Kind,
    /// Lambda functions that read it.
    pub used_by: &'static [Function],
    /// The option of the command line that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<CliOption>,
    /// What it is, with unit and bounds.
    pub about: &'static str,
}

/// Values that a setting takes. An empty value is one that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// A whole number within bounds, both included.
    Whole {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// One of these words.
    Word {
        /// The words.
        words: &'static [&'static str],
    },
    /// Text, all of which matches a regular expression (of RE2, Terraform's) at least; the program may ask for more.
    Text {
        /// The regular expression.
        pattern: &'static str,
        /// What it must be, as an error says it.
        #[serde(skip)]
        expected: &'static str,
    },
}

/// A Lambda function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Splits drops into chunks.
    Splitter,
    /// Loads chunks into tables.
    Worker,
}

/// An option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CliOption {
    /// Its name, without `--`.
    pub name: &'static str,
    /// What stands for its value in the help.
    #[serde(skip)]
    pub value: &'static str,
    /// Commands that take it.
    pub commands: &'static [&'static str],
}

impl Variable {
    /// The setting of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.name == name)
    }

    /// Whether a route may give it: it says how an object is read, cut or loaded, and is kept by the job.
    pub(crate) fn is_of_route(&self) -> bool {
        let is_of_ingest = self.option.is_some_and(|option| option.commands.contains(&"ingest"));
        let is_of_all = ["TABLE_URI", "ROUTES_URI", "MEMORY_MB"].contains(&self.name);
        is_of_ingest && self.used_by.contains(&Function::Splitter) && !is_of_all
    }

    const fn option(self, name: &'static str, value: &'static str, commands: &'static [&'static str]) -> Self {
        Self { option: Some(CliOption { name, value, commands }), ..self }
    }
}

impl Kind {
    /// What a value must be, as an error says it.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Self::Word { words } => format!("one of {}", words.join(", ")),
            Self::Text { expected, .. } => (*expected).to_owned(),
        }
    }
}

const SPLITTER: &[Function] = &[Function::Splitter];
const WORKER: &[Function] = &[Function::Worker];
const BOTH: &[Function] = &[Function::Splitter, Function::Worker];

/// Commands that read a source.
const READ: &[&str] = &["ingest", "plan", "split", "tune"];
/// Commands that read a source by a contract.
const CONTRACT: &[&str] = &["ingest", "plan", "split", "tune", "contract check"];
/// Commands that read a source, and the one that reads rejected records in another way.
const READ_OR_REPLAY: &[&str] = &["ingest", "plan", "split", "tune", "quarantine replay"];
const LOAD: &[&str] = &["ingest"];
const LOAD_OR_PLAN: &[&str] = &["ingest", "plan"];
const LOAD_PLAN_OR_TUNE: &[&str] = &["ingest", "plan", "tune"];
const TRANSFORM: &[&str] = &["ingest", "plan", "tune", "quarantine replay"];
/// Commands that read a source by a route, or look into routes.
const ROUTES: &[&str] = &["ingest", "plan", "route check", "route list", "chain", "enqueue"];
/// Commands that look into a table.
const TABLE: &[&str] = &[
    "ingest",
    "plan",
    "contract check",
    "jobs",
    "status",
    "undo",
    "maintain",
    "quarantine show",
    "quarantine replay",
    "enqueue",
];

/// Settings that the table `[read]` of a contract has, in small letters.
pub(super) const CONTRACT_KEYS: &[&str] = &[
    "FORMAT",
    "COMPRESSION",
    "ENCODING",
    "CSV_DELIMITER",
    "CSV_QUOTE",
    "CSV_ESCAPE",
    "CSV_COMMENT",
    "CSV_TERMINATOR",
    "CSV_HEADER",
    "CSV_SKIP_LINES",
    "CSV_FOOTER",
    "CSV_DECIMAL",
    "NULL_WORDS",
    "COLUMN_NAMES",
    "MAX_RECORD_MB",
];
/// Settings for which a contract has other words.
pub(super) const REPLACED_BY_CONTRACT: &[&str] = &["SCHEMA", "INFER", "BAD_RECORDS"];

/// Values of a setting without a check of its own.
const ANY: Kind = text(r"(?s).+", "text");
const CHARACTER: &str = r"[\x00-\x7f]|tab|\\[tnr]|0x[0-7][0-9A-Fa-f]|auto";
const CHARACTER_OR_NONE: &str = r"[\x00-\x7f]|tab|\\[tnr]|0x[0-7][0-9A-Fa-f]|auto|none";
const ONE_OR_NONE: &str = "one ASCII character, or 'none', or 'auto'";

const fn text(pattern: &'static str, expected: &'static str) -> Kind {
    Kind::Text { pattern, expected }
}

const fn whole(least: u64, most: u64) -> Kind {
    Kind::Whole { least, most }
}

const fn word(words: &'static [&'static str]) -> Kind {
    Kind::Word { words }
}

const fn row(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    used_by: &'static [Function],
    about: &'static str,
) -> Variable {
    Variable { name, default, kind, used_by, option: None, about }
}

/// All settings there are.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    row("CHUNK_SIZE_MB", "100", whole(1, 5120), SPLITTER,
        "largest size of a chunk as written, in MiB, 1 to 5120")
        .option("chunk-size-mb", "N", READ),
    row("CHUNK_CODEC", "snappy", word(&["snappy", "zstd", "lz4", "none"]), SPLITTER,
        "compression of chunks: `snappy`, `zstd`, `lz4` or `none`")
        .option("chunk-codec", "CODEC", READ),
    row("CHUNK_BUCKET", "", text(r"\S+", "a bucket or a URI"), BOTH,
        "bucket of the work areas; without it, the command line keeps them below the table, in `_sluice`"),
    row("CHUNK_PREFIX", "sluice", ANY, BOTH,
        "prefix of the work areas in `CHUNK_BUCKET`"),
    row("CHUNK_QUEUE_URL", "", ANY, BOTH,
        "SQS queue of chunk tasks"),
    row("SOURCE_QUEUE_URL", "", ANY, SPLITTER,
        "SQS queue of drops; a splitter that runs out of time sends the rest of its job to it, which uses up no receives"),
    row("TABLE_URI", "", text(r"\S.*", "s3://bucket/prefix or a path"), BOTH,
        "Delta table: `s3://bucket/prefix` or a path")
        .option("table", "TABLE_URI", TABLE),
    row("ROUTES_URI", "", text(r"\S.*", "s3://bucket/key, a path, or dynamodb://TABLE"), BOTH,
        "routes, a TOML file or a table of DynamoDB that says by the key of each source which table it goes to and how it is read: `s3://bucket/key`, a path, or `dynamodb://TABLE`")
        .option("routes", "URI", ROUTES),
    row("TRANSFORM_SQL", "", ANY, BOTH,
        "SQL that each chunk goes through; the chunk is the table `chunk`, or `source`")
        .option("sql", "SQL", TRANSFORM),
    row("LOOKUPS", "", text(r"\s*[a-z_][a-z0-9_]*\s*=.+", "NAME=URI, separated by commas"), BOTH,
        "small reference tables that SQL may join, as `customers=s3://ref/customers.parquet`, separated by commas: Parquet or CSV files, or Delta tables; the option is given once for each")
        .option("lookup", "NAME=URI", LOAD_PLAN_OR_TUNE),
    row("PARTITION_BY", "", ANY, BOTH,
        "columns that partition a new table, separated by commas")
        .option("partition-by", "A,B", LOAD_PLAN_OR_TUNE),
    row("PROVENANCE", "", text("(source|record_number|chunk|job|ingested_at)(,(source|record_number|chunk|job|ingested_at))*", "some of source, record_number, chunk, job, ingested_at, separated by commas"), BOTH,
        "columns to add that say where a row comes from, separated by commas: `source`, `record_number`, `chunk`, `job`, `ingested_at`; their names begin with an underscore, as `_source`")
        .option("provenance", "A,B", LOAD_OR_PLAN),
    row("COMMIT_MODE", "chunk", word(CommitMode::WORDS), SPLITTER,
        "what one commit adds: `chunk`, chunks as they come, or `file`, all chunks of a file, so that readers see all of it or nothing; a job keeps the mode that it was first seen with")
        .option("commit-mode", "WHAT", LOAD),
    row("DATA_FILES", "as-split", word(DataFileMode::WORDS), WORKER,
        "how data files are made: `as-split` copies a chunk into the table as it is where that changes nothing for readers, `rewritten` encodes all rows again, with zstd and in larger row groups")
        .option("data-files", "HOW", LOAD),
    row("ON_REPLACE", "append", word(OnReplace::WORDS), SPLITTER,
        "rows of earlier drops under the same key: `append` keeps them, `replace` removes them in the commit that adds the new ones, and so implies `COMMIT_MODE=file`")
        .option("on-replace", "HOW", LOAD),
    row("CONTRACT_URI", "", text(r"\S.*", "s3://bucket/key or a path"), SPLITTER,
        "contract of the feed, a TOML file, by which sources are read: `s3://bucket/key` or a path; nothing is detected, and what deviates from it is refused or quarantined")
        .option("contract", "FILE", CONTRACT),
    row("FORMAT", "auto", word(FormatChoice::WORDS), SPLITTER,
        "format of sources: `csv`, `ndjson` (one JSON object a line), `parquet`, or `auto` to detect it from the content")
        .option("format", "FORMAT", READ),
    row("INFER", "sample", word(Infer::WORDS), SPLITTER,
        "how column types are detected: `sample` (spread over the file), `full` (reads the file twice), `none` (all text)")
        .option("infer", "HOW", READ),
    row("SCHEMA", "", text(r"[^:]+:.+", "NAME:TYPE, separated by commas"), SPLITTER,
        "types of columns, as `id:int64,price:decimal(12,2),day:date(DD.MM.YYYY)`: `boolean`, `int64`, `float64`, `decimal(P,S)`, `date`, `timestamp`, `timestamp_utc`, `text`; other columns have the table's types, or detected ones")
        .option("schema", "NAME:TYPE,...", READ_OR_REPLAY),
    row("COLUMN_NAMES", "lower", word(ColumnNames::WORDS), SPLITTER,
        "how columns are named: `lower`, `snake` or `keep`; names are made unique, and characters that Delta refuses become `_`")
        .option("column-names", "HOW", READ),
    row("COMPRESSION", "auto", word(&["auto", "none", "gzip", "zstd", "bzip2", "xz", "lz4", "snappy", "zip"]), SPLITTER,
        "compression of sources: `auto` (detected from their first bytes), `none`, `gzip`, `zstd`, `bzip2`, `xz`, `lz4`, `snappy` or `zip`")
        .option("compression", "NAME", READ),
    row("ENCODING", "auto", text("[0-9A-Za-z:_-]+", "auto, or the label of an encoding, such as utf-8, utf-16le or windows-1252"), SPLITTER,
        "encoding of text: `auto` (detected from its bytes), or a label such as `utf-8`, `utf-16le`, `windows-1252` or `shift_jis`")
        .option("encoding", "LABEL", READ),
    row("MAX_EXPANDED_MB", "", whole(1, 1 << 40), SPLITTER,
        "largest size that a compressed source may expand to, in MiB; no limit unless set")
        .option("max-expanded-mb", "N", READ),
    row("MAX_EXPANSION_RATIO", "1000", whole(1, 1 << 32), SPLITTER,
        "how many times its size a compressed source may expand to, once it is beyond 256 MiB")
        .option("max-expansion-ratio", "N", READ),
    row("MAX_FOOTER_MB", "128", whole(1, 1 << 20), SPLITTER,
        "largest memory of the footer of a Parquet source, in MiB, 1 to 1048576, estimated before it is decoded: twice its bytes, and 1 KiB for each column of each row group")
        .option("max-footer-mb", "N", READ),
    row("CSV_DELIMITER", "auto", text(CHARACTER, "one ASCII character, 'tab', or a byte such as 0x1f, or 'auto'"), SPLITTER,
        "field separator of CSV: one ASCII character, `tab`, a byte such as `0x1f`, or `auto` to detect it")
        .option("csv-delimiter", "CHAR", READ_OR_REPLAY),
    row("CSV_QUOTE", "auto", text(CHARACTER_OR_NONE, ONE_OR_NONE), SPLITTER,
        "quote character: one ASCII character, `none`, or `auto` to detect it")
        .option("csv-quote", "CHAR", READ_OR_REPLAY),
    row("CSV_ESCAPE", "auto", text(CHARACTER_OR_NONE, ONE_OR_NONE), SPLITTER,
        "escape character inside quoted fields, in addition to doubled quotes: one ASCII character, `none`, or `auto` to detect it")
        .option("csv-escape", "CHAR", READ_OR_REPLAY),
    row("CSV_COMMENT", "auto", text(CHARACTER_OR_NONE, ONE_OR_NONE), SPLITTER,
        "character at the start of lines to skip: one ASCII character, or `none`, which `auto` means too")
        .option("csv-comment", "CHAR", READ),
    row("CSV_TERMINATOR", "auto", text(CHARACTER, "one ASCII character, or a byte such as 0x1e, or 'auto'"), SPLITTER,
        "character that ends a record: one ASCII character, a byte such as `0x1e`, or `auto` for line ends")
        .option("csv-terminator", "CHAR", READ),
    row("CSV_HEADER", "auto", text("true|false|auto|0*([0-9]|1[0-6])", "'true', 'false', or a number of rows up to 16, or 'auto'"), SPLITTER,
        "rows of the header, up to 16, whose names are joined: `true` (one), `false` (none), a number, or `auto` to detect them")
        .option("csv-header", "ROWS", READ),
    row("CSV_SKIP_LINES", "auto", text("auto|0*([0-9]{1,4}|10000)", "a number of lines up to 10000, or 'auto'"), SPLITTER,
        "lines to skip before the header, up to 10000, or `auto` to detect them")
        .option("csv-skip-lines", "N", READ),
    row("CSV_FOOTER", "auto", text("auto|0*([0-9]|[1-5][0-9]|6[0-4])", "a number of lines up to 64, or 'auto'"), SPLITTER,
        "lines to skip at the end of the file, up to 64, blank ones not counted, or `auto` to detect them")
        .option("csv-footer", "N", READ),
    row("CSV_DECIMAL", "auto", text("[.,]|0x2[EeCc]|auto", "'.' or ',', or 'auto'"), SPLITTER,
        "decimal separator of numbers: `.`, `,`, or `auto` to detect it")
        .option("csv-decimal", "CHAR", READ_OR_REPLAY),
    row("NULL_WORDS", "", ANY, SPLITTER,
        "words that mean null in every column, separated by commas; when not set, NA, N/A, NULL, null and \\N mean null in columns that are not text; an empty field always does")
        .option("null-words", "A,B", READ_OR_REPLAY),
    row("BAD_RECORDS", "quarantine", word(BadRecords::WORDS), BOTH,
        "what happens to invalid values: `quarantine` keeps their records beside the job, `fail` stops at the first, `null` stores null instead, `widen` detects types from the whole file, which it reads twice, so that all values fit")
        .option("bad-records", "HOW", READ_OR_REPLAY),
    row("MAX_BAD_RECORDS", "", text("[0-9]+|(100|[0-9]{1,2}([.][0-9]*)?|[.][0-9]+) *%", "a number, or a percentage such as 0.5%"), SPLITTER,
        "rejected records, as a number or as a percentage such as `0.5%`, above which a file is given up, and `sluice` ends with status 4; when not set, a file is given up if all of its records are rejected")
        .option("max-bad-records", "N_OR_%", READ_OR_REPLAY),
    row("MAX_RECORD_MB", "16", whole(1, 1024), SPLITTER,
        "largest size of a record, in MiB, 1 to 1024")
        .option("max-record-mb", "N", READ_OR_REPLAY),
    row("MAX_PARTITIONS", "10000", whole(1, 1_000_000), WORKER,
        "largest number of partitions that the rows of one chunk belong to, 1 to 1000000; a chunk with more is refused before a file of it is written")
        .option("max-partitions", "N", LOAD),
    row("MEMORY_MB", "", whole(LEAST_MEMORY_MB, MOST_MEMORY_MB), BOTH,
        "memory of the process in MiB, 128 to 1048576, that all work takes shares of; when not set, the memory of the function or of the control group, else 512")
        .option("memory-mb", "N", READ),
    row("COMMIT_MAX_ATTEMPTS", "50", whole(1, 10_000), WORKER,
        "attempts to commit before the chunk goes back to its queue, 1 to 10000"),
    row("COMMIT_BACKOFF_INITIAL_MS", "50", whole(1, 3_600_000), WORKER,
        "mean of the first wait between two attempts, in milliseconds, 1 to 3600000"),
    row("COMMIT_BACKOFF_MAX_MS", "5000", whole(1, 3_600_000), WORKER,
        "upper bound of the mean wait, in milliseconds, 1 to 3600000"),
    row("COMPLETION_TOPIC_ARN", "", text("arn:[^:]*:sns:[^:]*:[^:]*:[^:]+", "the ARN of an SNS topic"), BOTH,
        "ARN of the SNS topic that is notified of each job that is done; a FIFO topic passes each notice on once"),
];
