//! What a replay reads in another way.

use shared::{BadRecords, CsvSettings, TypedColumn};

/// What is to be other than it was in the job that rejected the records; what is none stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Types of columns.
    pub schema: Vec<TypedColumn>,
    /// Words that mean null in every column.
    pub null_words: Option<Vec<String>>,
    /// What becomes of a record that is bad again.
    pub bad_records: Option<BadRecords>,
    /// Most bytes of one record.
    pub max_record_bytes: Option<u64>,
    /// Delimiter, quote, escape and decimal of a CSV; the rest of it is not looked at.
    pub csv: CsvSettings,
    /// SQL that each chunk goes through; no SQL when it is empty.
    pub sql: Option<String>,
}
