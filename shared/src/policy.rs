//! How a source is cut, read and loaded: what is pinned with its job.
//!
//! The seal of a job is a digest of its policies: see `Seal`. A new field needs a default that is left out of the JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::dialect::Dialect;
use crate::expectations::Expectations;
use crate::lookups::PinnedLookup;
use crate::provenance::Provenance;
use crate::text_policy::TextPolicy;
use crate::words::words;

/// How a source is cut and read. Whatever decides the bytes of a chunk stands here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Version of the code that makes chunk bytes of all the rest; zero of jobs from before it was noted.
    #[serde(default)]
    pub encoder: u32,
    /// Most bytes of a chunk as written.
    pub chunk_bytes: u64,
    /// Text bytes of a block, and so, roughly, of the rows of one row group.
    pub block_bytes: u64,
    /// Most bytes of one record.
    pub max_record_bytes: u64,
    /// Compression of chunks: `snappy`, `zstd`, `lz4` or `none`.
    pub codec: String,
    /// What becomes of a record that cannot be taken as it is.
    pub bad_records: BadRecords,
    /// How the text of the source is stored.
    #[serde(default)]
    pub text: TextPolicy,
    /// How the source is written.
    pub format: Format,
}

/// How the rows of a chunk are put into the table.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPolicy {
    /// SQL that each chunk goes through; the chunk is the table `chunk`, or `source`.
    pub sql: Option<String>,
    /// Columns by which the table is partitioned when it is created.
    pub partition_by: Vec<String>,
    /// What one commit holds.
    #[serde(default)]
    pub commit: CommitMode,
    /// What becomes of the rows of earlier drops of the same source.
    #[serde(default)]
    pub on_replace: OnReplace,
    /// What is expected of the rows, after SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectations: Option<Expectations>,
    /// Captures of the route that SQL names as parameters, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Columns that say where a row comes from, added after SQL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<Provenance>,
    /// Look-ups that SQL names, each in the version that all chunks see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<PinnedLookup>,
}

impl LoadPolicy {
    /// Whether rows are to say when their source was dropped.
    pub fn asks_ingested_at(&self) -> bool {
        let is_named = self.sql.as_ref().is_some_and(|sql| sql.contains("$ingested_at"));
        is_named || self.provenance.contains(&Provenance::IngestedAt)
    }
}

/// As it would be derived, but for what earlier jobs do not have: their seals are digests of this text.
impl fmt::Debug for LoadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sql, partition_by, commit, on_replace, expectations, parameters, provenance, lookups } = self;
        let mut shown = f.debug_struct("LoadPolicy");
        shown.field("sql", sql).field("partition_by", partition_by).field("commit", commit);
        shown.field("on_replace", on_replace);
        if let Some(expectations) = expectations {
            shown.field("expectations", expectations);
        }
        if !parameters.is_empty() {
            shown.field("parameters", parameters);
        }
        if !provenance.is_empty() {
            shown.field("provenance", provenance);
        }
        if !lookups.is_empty() {
            shown.field("lookups", lookups);
        }
        shown.finish()
    }
}

/// What becomes of the rows of earlier drops of a source when it is dropped with other content: `ON_REPLACE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReplace {
    /// They stay.
    #[default]
    Append,
    /// The commit that adds the new rows removes them.
    Replace,
}

/// What one commit holds: `COMMIT_MODE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitMode {
    /// Chunks as they come; readers see a file grow.
    #[default]
    Chunk,
    /// All chunks of a file; readers see all of it or nothing.
    File,
}

/// What data files are made of: `DATA_FILES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFileMode {
    /// The chunks themselves, where they are what the table takes.
    #[default]
    AsSplit,
    /// Rows, encoded again.
    Rewritten,
}

/// How a source is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited text.
    Csv(CsvPolicy),
    /// One JSON object a line.
    Ndjson(NdjsonPolicy),
    /// Parquet.
    Parquet {
        /// Name of each top-level column in the chunks, in the order of the file.
        column_names: Vec<String>,
        /// Whether its `INT96` timestamps are instants.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        int96_instants: bool,
    },
}

/// Dialect, columns and null words of a CSV source.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvPolicy {
    /// How its text is written.
    #[serde(flatten)]
    pub dialect: Dialect,
    /// Byte offset in the text of the first record, after byte order mark, lines before the table, and header.
    pub data_start: u64,
    /// Columns in the order of the chunks, which is that of the file unless `fields` says otherwise.
    pub columns: Vec<Column>,
    /// Words that mean null, beside the empty field.
    pub null_words: Vec<String>,
    /// Which field each column is read from; none where records have one field a column, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldMap>,
    /// Byte offset in the text of the first line after the last record, where there is a footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_start: Option<u64>,
}

/// Which fields of a record a contract takes, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMap {
    /// Fields of a record.
    pub count: usize,
    /// The field of each column, from 0; none for a column that the file does not have, which is null.
    pub of_columns: Vec<Option<usize>>,
    /// Fields that go into the last column together, as one JSON object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rescued: Vec<RescuedField>,
}

/// A field that has no column of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescuedField {
    /// Its key in the object.
    pub name: String,
    /// Its place in a record, from 0.
    pub field: usize,
}

impl CsvPolicy {
    /// Fields that a record must have.
    pub fn width(&self) -> usize {
        self.fields.as_ref().map_or(self.columns.len(), |fields| fields.count)
    }

    /// The field of a column, both from 0; none for a column that no field has.
    pub fn field_of(&self, column: usize) -> Option<usize> {
        self.fields.as_ref().map_or(Some(column), |fields| fields.of_columns.get(column).copied().flatten())
    }

    /// Fields that go into the last column together.
    pub fn rescued(&self) -> &[RescuedField] {
        self.fields.as_ref().map_or(&[], |fields| &fields.rescued)
    }
}

/// As it would be derived, but for what earlier jobs do not have: their seals are digests of this text.
impl fmt::Debug for CsvPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialect, data_start, columns, null_words, fields, footer_start } = self;
        let mut shown = f.debug_struct("CsvPolicy");
        shown.field("dialect", dialect).field("data_start", data_start).field("columns", columns);
        shown.field("null_words", null_words);
        if let Some(fields) = fields {
            shown.field("fields", fields);
        }
        if let Some(footer_start) = footer_start {
            shown.field("footer_start", footer_start);
        }
        shown.finish()
    }
}

/// Columns and null words of an NDJSON source.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NdjsonPolicy {
    /// Byte offset of the first record, after the byte order mark.
    pub data_start: u64,
    /// A column for each key, in the order of their first appearance.
    pub columns: Vec<Column>,
    /// Strings that mean null, beside `null` itself.
    pub null_words: Vec<String>,
    /// What becomes of a key that no column has.
    #[serde(default, skip_serializing_if = "OtherKeys::is_default")]
    pub other_keys: OtherKeys,
}

/// As it would be derived, but for what earlier jobs do not have: their seals are digests of this text.
impl fmt::Debug for NdjsonPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data_start, columns, null_words, other_keys } = self;
        let mut shown = f.debug_struct("NdjsonPolicy");
        shown.field("data_start", data_start).field("columns", columns).field("null_words", null_words);
        if !other_keys.is_default() {
            shown.field("other_keys", other_keys);
        }
        shown.finish()
    }
}

/// What becomes of a key of an NDJSON record that no column has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherKeys {
    /// The record is rejected: the key came after the sample, so nothing is known of it.
    #[default]
    Reject,
    /// The record is rejected: the contract does not have the key.
    RejectByContract,
    /// The key is left out.
    Ignore,
    /// It goes into the last column with the others, as one JSON object.
    Rescue,
}

impl OtherKeys {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a record that cannot be taken as it is: `BAD_RECORDS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRecords {
    /// It is kept, with its place and the reason, beside the job.
    #[default]
    Quarantine,
    /// The job fails.
    Fail,
    /// A value that does not fit its column becomes null; a record with too few or too many fields is quarantined.
    Null,
    /// Types are found from the whole source, so that every value fits the type that was found; what cannot be taken for
    /// another reason is kept as with `Quarantine`.
    Widen,
}

/// What a source is: `FORMAT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// What its content says.
    #[default]
    Auto,
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

/// How column types are found: `INFER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Infer {
    /// From samples that are spread over the file.
    #[default]
    Sample,
    /// From the whole file, which is read twice.
    Full,
    /// Not at all: every column is text.
    None,
}

/// How columns are named: `COLUMN_NAMES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnNames {
    /// In lower case.
    #[default]
    Lower,
    /// As they are in the source.
    Keep,
    /// In lower case, words joined by `_`.
    Snake,
}

words!(BadRecords: "quarantine" => Quarantine, "fail" => Fail, "null" => Null, "widen" => Widen);
words!(FormatChoice: "auto" => Auto, "csv" => Csv, "ndjson" => Ndjson, "parquet" => Parquet);
words!(CommitMode: "chunk" => Chunk, "file" => File);
words!(DataFileMode: "as-split" => AsSplit, "rewritten" => Rewritten);
words!(OnReplace: "append" => Append, "replace" => Replace);
words!(Infer: "sample" => Sample, "full" => Full, "none" => None);
words!(ColumnNames: "lower" => Lower, "keep" => Keep, "snake" => Snake);
