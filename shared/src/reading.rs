//! How a source was read, for receipts, reports and logs.

use serde::{Deserialize, Serialize};

use crate::column::{Column, TypeOrigin};
use crate::dialect::Dialect;
use crate::examined::{Examined, TableFit, Warning};
use crate::job::Job;
use crate::lines::Lines;
use crate::policy::{CsvPolicy, Format, OnReplace};
use crate::text_policy::{Compression, Encoding};

/// How a source was read: by what is pinned with its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// `csv`, `ndjson` or `parquet`.
    pub format: String,
    /// What the file as a whole is compressed with; none of Parquet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What the text is written in; none of Parquet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// How a CSV is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// How sure that is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Rows of the header of a CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_rows: Option<usize>,
    /// Its lines; none of Parquet, and of jobs from before they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// The columns, as chunks have them.
    pub columns: Vec<ReadColumn>,
    /// Columns that are not text, and have words in the sample that are read as null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_words_in: Vec<String>,
    /// How the columns met those of the table when the job was first seen; none with SQL in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFit>,
    /// Which drop of its name it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<DropNumber>,
    /// What was guessed, and a person should confirm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A column as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadColumn {
    /// Its name in the chunks.
    pub name: String,
    /// Its name in the source, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// Its type; none where jobs before this was kept do not tell.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub column_type: Option<String>,
    /// Where its type comes from; none of Parquet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<TypeOrigin>,
}

/// Which of the drops of one name for one table a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropNumber {
    /// From 1.
    pub number: u32,
    /// What becomes of the rows of earlier drops.
    pub earlier_rows: EarlierRows,
}

/// What becomes of the rows of earlier drops of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlierRows {
    /// They stay beside those of this drop.
    Kept,
    /// The commit that adds the rows of this drop removes them.
    Replaced,
}

impl Reading {
    /// How the source of a job is read, which has these lines; none of a replay, whose source is no file.
    pub fn of(job: &Job, lines: Option<Lines>) -> Option<Self> {
        if !job.replay_of.is_empty() {
            return None;
        }
        let Examined { confidence, header_rows, types, null_words_in, table, warnings, .. } =
            job.examined.clone().unwrap_or_default();
        let text = &job.policy.text;
        let (format, dialect, columns) = match &job.policy.format {
            Format::Csv(CsvPolicy { dialect, columns, .. }) => ("csv", Some(dialect.clone()), text_columns(columns)),
            Format::Ndjson(json) => ("ndjson", None, text_columns(&json.columns)),
            Format::Parquet { column_names, .. } => ("parquet", None, parquet_columns(column_names, &types)),
        };
        // Generations that came to nothing are no drops that anybody made.
        let in_vain = u32::try_from(job.instead_of.len()).unwrap_or_default();
        let is_text = format != "parquet";
        let earlier_rows = match job.load.on_replace {
            OnReplace::Append => EarlierRows::Kept,
            OnReplace::Replace => EarlierRows::Replaced,
        };
        Some(Self {
            format: format.to_owned(),
            compression: is_text.then_some(text.compression),
            encoding: is_text.then(|| text.encoding.clone()),
            dialect,
            confidence,
            header_rows,
            lines,
            columns,
            null_words_in,
            table,
            drop: job.drop.map(|number| DropNumber { number: number.saturating_sub(in_vain).max(1), earlier_rows }),
            warnings,
        })
    }
}

fn text_columns(columns: &[Column]) -> Vec<ReadColumn> {
    let column = |column: &Column| ReadColumn {
        name: column.name.clone(),
        source_name: Some(column.source_name.clone()).filter(|source_name| *source_name != column.name),
        column_type: Some(column.column_type.to_string()),
        origin: Some(column.origin),
    };
    columns.iter().map(column).collect()
}

fn parquet_columns(names: &[String], types: &[String]) -> Vec<ReadColumn> {
    let column = |(place, name): (usize, &String)| ReadColumn {
        name: name.clone(),
        source_name: None,
        column_type: types.get(place).cloned(),
        origin: None,
    };
    names.iter().enumerate().map(column).collect()
}
