//! Columns that say where a row comes from.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// What a column that is added to rows says of them: `PROVENANCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The source object.
    Source,
    /// The number of the record in it, from 1.
    RecordNumber,
    /// The chunk, from 0.
    Chunk,
    /// The job.
    Job,
    /// When the source was dropped.
    IngestedAt,
}

words!(Provenance: "source" => Source, "record_number" => RecordNumber, "chunk" => Chunk, "job" => Job, "ingested_at" => IngestedAt);

impl Provenance {
    /// The name of the column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Source => "_source",
            Self::RecordNumber => "_record_number",
            Self::Chunk => "_chunk",
            Self::Job => "_job",
            Self::IngestedAt => "_ingested_at",
        }
    }

    /// Values separated by commas, each once; the error says what is expected.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let value = word.parse().map_err(|_| format!("some of {}, separated by commas", Self::WORDS.join(", ")))?;
            if !all.contains(&value) {
                all.push(value);
            }
        }
        Ok(all)
    }
}
