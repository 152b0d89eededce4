//! What would become of a source, for people and machines.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{DateFormat, ExpectationResults, PinnedRoute, TypeOrigin};

/// What would become of a source.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) source: String,
    pub(super) bytes: u64,
    pub(super) format: Decided<&'static str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<TextDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dialect: Option<DialectDocument>,
    /// Row groups of a Parquet source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row_groups: Option<u64>,
    /// The route that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<PinnedRoute>,
    /// The table whose columns were looked up.
    pub(super) table: Option<String>,
    pub(super) columns: Vec<ColumnDocument>,
    pub(super) sample: SampleDocument,
    /// What SQL makes of the first rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sql: Option<SqlDocument>,
    /// What comes of the first rows by what the contract expects, if it expects something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expectations: Option<ExpectationResults>,
    /// Where the contract was written that says all this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) saved: Option<String>,
    pub(super) expected: ExpectedDocument,
}

/// What something is, and whether a setting says so.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Decided<T> {
    pub(super) value: T,
    pub(super) by: By,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    Setting,
    Content,
}

impl<T> Decided<T> {
    pub(super) fn new(value: T, is_told: bool) -> Self {
        Self { value, by: if is_told { By::Setting } else { By::Content } }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct TextDocument {
    pub(super) compression: Decided<shared::Compression>,
    pub(super) encoding: Decided<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct DialectDocument {
    /// From 0 to 1.
    pub(super) confidence: f64,
    pub(super) delimiter: Decided<char>,
    pub(super) quote: Decided<Option<char>>,
    pub(super) escape: Decided<Option<char>>,
    pub(super) comment: Decided<Option<char>>,
    pub(super) terminator: Decided<Option<char>>,
    pub(super) decimal: Decided<char>,
    pub(super) trailing_delimiter: bool,
    pub(super) skipped_lines: Decided<usize>,
    pub(super) header_rows: Decided<usize>,
    /// Byte offset of the first record in the text.
    pub(super) data_start: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ColumnDocument {
    pub(super) name: String,
    pub(super) source_name: String,
    #[serde(rename = "type")]
    pub(super) column_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) date_format: Option<DateFormat>,
    /// Who says that it has this type; none for a Parquet source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<TypeOrigin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<EvidenceDocument>,
}

/// What the values of the sample say.
#[derive(Debug, Serialize)]
pub(super) struct EvidenceDocument {
    pub(super) values: u64,
    pub(super) nulls: u64,
    pub(super) example: Option<String>,
    /// By type, the first value that is none of it.
    pub(super) against: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ambiguous_dates: Option<[DateFormat; 2]>,
    /// Whether the values look like numbers, and are text since they may be codes or thousands.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) doubtful_numbers: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct SampleDocument {
    pub(super) records: u64,
    pub(super) rejected: u64,
    pub(super) first_rejected: Option<String>,
    /// The first rows, as text; null for null.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ExpectedDocument {
    pub(super) is_estimate: bool,
    pub(super) chunks: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) chunk_bytes: u64,
}

/// What SQL makes of the first rows.
#[derive(Debug, Serialize)]
pub(super) struct SqlDocument {
    pub(super) columns: Vec<SqlColumnDocument>,
    /// Rows that it was tried on.
    pub(super) read: usize,
    /// Rows that came of them.
    pub(super) made: usize,
    /// The first of these, as text; null for null.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Serialize)]
pub(super) struct SqlColumnDocument {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) column_type: String,
}
