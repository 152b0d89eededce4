//! Settings, by what they are about.

use std::sync::Arc;

use crate::column::TypedColumn;
use crate::contract::terms::Contract;
use crate::dialect::CsvSettings;
use crate::location::Location;
use crate::lookups::Lookup;
use crate::policy::{BadRecords, ColumnNames, CommitMode, DataFileMode, FormatChoice, Infer, OnReplace};
use crate::provenance::Provenance;
use crate::text_policy::{Compression, Encoding};

use super::limit::BadRecordLimit;

/// How sources are read, and cut into chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadSettings {
    /// `CHUNK_SIZE_MB`, in bytes.
    pub chunk_bytes: u64,
    /// `CHUNK_CODEC`.
    pub chunk_codec: String,
    /// `FORMAT`.
    pub format: FormatChoice,
    /// `INFER`.
    pub infer: Infer,
    /// `SCHEMA`.
    pub schema: Vec<TypedColumn>,
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
    /// `BAD_RECORDS`.
    pub bad_records: BadRecords,
    /// `MAX_BAD_RECORDS`; `None` for no limit.
    pub max_bad_records: Option<BadRecordLimit>,
    /// `MAX_RECORD_MB`, in bytes.
    pub max_record_bytes: u64,
    /// `CONTRACT_URI`.
    pub contract_uri: Option<Location>,
    /// The contract that lies there, once it is read: what it says is in the fields above.
    pub contract: Option<Arc<Contract>>,
    /// The variables that a contract may speak of, as far as they were given.
    pub given: Vec<(&'static str, String)>,
}

/// How chunks are put into tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSettings {
    /// `TRANSFORM_SQL`.
    pub sql: Option<String>,
    /// `PARTITION_BY`.
    pub partition_by: Vec<String>,
    /// `COMMIT_MODE`.
    pub commit_mode: CommitMode,
    /// `DATA_FILES`.
    pub data_files: DataFileMode,
    /// `ON_REPLACE`.
    pub on_replace: OnReplace,
    /// `PROVENANCE`.
    pub provenance: Vec<Provenance>,
    /// `LOOKUPS`.
    pub lookups: Vec<Lookup>,
    /// Where SQL and look-ups are given, if by a route: its name, and its line in the file.
    pub place: Option<String>,
    /// `MAX_PARTITIONS`.
    pub max_partitions: usize,
}

impl LoadSettings {
    /// The look-ups that SQL names. A column or a word in a text counts as a name, a part of a word does not.
    pub fn named_lookups(&self) -> impl Iterator<Item = &Lookup> {
        let sql = self.sql.as_ref().map(|sql| sql.to_lowercase()).unwrap_or_default();
        let is_between = |letter: char| !letter.is_alphanumeric() && letter != '_';
        self.lookups.iter().filter(move |lookup| sql.split(is_between).any(|word| word == lookup.name))
    }
}

/// Queues and topics of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// `CHUNK_QUEUE_URL`.
    pub chunk_queue_url: Option<String>,
    /// `SOURCE_QUEUE_URL`.
    pub source_queue_url: Option<String>,
    /// `COMPLETION_TOPIC_ARN`.
    pub completion_topic_arn: Option<String>,
}
