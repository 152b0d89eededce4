//! Proof that every record of a source is accounted for.

use serde::{Deserialize, Serialize};

use crate::expectations::ExpectationResults;
use crate::job::JobId;
use crate::location::Location;
use crate::reading::Reading;
use crate::routes::pinned::PinnedRoute;
use crate::row_hash::RowHash;
use crate::run::Run;

/// What became of one chunk; written after its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkReceipt {
    /// Position among the chunks of the job.
    pub index: u32,
    /// What became of its rows.
    pub rows: Rows,
    /// Hash of the rows that are in the table, in the table's types; none where the chunk was taken over as it is, and in
    /// receipts from before there was one.
    #[serde(default)]
    pub row_hash: Option<RowHash>,
    /// Checksum of the chunk, where it was taken over as it is: its bytes are those of its data file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// What came of its rows by the expectations of its job, if that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectations: Option<ExpectationResults>,
    /// Version of the table that holds the chunk, where it is known.
    pub table_version: Option<u64>,
    /// Times that its message was received until it was loaded; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// What became of rows: `read + added = committed + filtered + quarantined`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows, or records, that came in.
    pub read: u64,
    /// Rows that are in the table.
    pub committed: u64,
    /// Rows that SQL left out, or that expectations drop.
    pub filtered: u64,
    /// Rows, or records, that were rejected and kept.
    pub quarantined: u64,
    /// Rows that SQL made beyond those that came in.
    #[serde(default)]
    pub added: u64,
    /// Values that lost digits for which the table has no place: those of timestamps beyond the microsecond, and those that a `float`
    /// or `double` does not give back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shortened: u64,
    /// Those of `filtered` that expectations drop.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Rows {
    /// Whether every row is accounted for.
    pub fn balance(&self) -> bool {
        self.read + self.added == self.committed + self.filtered + self.quarantined
    }
}

impl std::ops::AddAssign for Rows {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.committed += other.committed;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
        self.added += other.added;
        self.shortened += other.shortened;
        self.dropped += other.dropped;
    }
}

/// Proof that a whole job is in its table; written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this document, 1.
    pub version: u32,
    /// The job.
    pub job_id: JobId,
    /// The dropped file.
    pub source: Location,
    /// The table.
    pub table: Option<Location>,
    /// What became of all records of the source.
    pub rows: Rows,
    /// Hash of the rows that are in the table: the sum of those of the chunks. None when one of them has none.
    #[serde(default)]
    pub row_hash: Option<RowHash>,
    /// Number of chunks.
    pub chunks: u32,
    /// Highest version of the table that a chunk of the job was committed with; none for a job without chunks.
    pub table_version: Option<u64>,
    /// Whose document this is: each attempt to write it has a name of its own.
    #[serde(default)]
    pub writer: String,
    /// Whether a notice of it is sent: whether there was a topic when it was written.
    #[serde(default)]
    pub is_noticed: bool,
    /// The route that the job came by; none of one that was begun without routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<PinnedRoute>,
    /// What came of the rows by the expectations of the job, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectations: Option<ExpectationResults>,
    /// How the source was read; none of replays, and in receipts from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// From the first attempt to split it until all of it was in the table; none where the manifest does not say when that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_format() {
        let rows = Rows { read: 3, committed: 3, ..Rows::default() };
        let written_anew = ChunkReceipt {
            index: 0,
            rows,
            row_hash: Some(RowHash(7)),
            checksum: None,
            expectations: None,
            table_version: Some(1),
            attempts: None,
        };
        let checksum = Some("crc64nvme:ae8b14860a799888".to_owned());
        let taken_over = ChunkReceipt { row_hash: None, checksum, attempts: Some(2), ..written_anew.clone() };
        insta::assert_snapshot!(serde_json::to_string(&written_anew).unwrap(), @r#"{"index":0,"rows":{"read":3,"committed":3,"filtered":0,"quarantined":0,"added":0},"row_hash":"00000000000000000000000000000007","table_version":1}"#);
        insta::assert_snapshot!(serde_json::to_string(&taken_over).unwrap(), @r#"{"index":0,"rows":{"read":3,"committed":3,"filtered":0,"quarantined":0,"added":0},"row_hash":null,"checksum":"crc64nvme:ae8b14860a799888","table_version":1,"attempts":2}"#);
        for receipt in [written_anew, taken_over] {
            let text = serde_json::to_string(&receipt).unwrap();
            assert_eq!(serde_json::from_str::<ChunkReceipt>(&text).unwrap(), receipt);
        }
        let old = r#"{"index":0,"rows":{"read":3,"committed":3,"filtered":0,"quarantined":0},"table_version":1}"#;
        let old: ChunkReceipt = serde_json::from_str(old).unwrap();
        assert_eq!((old.row_hash, old.checksum, old.rows), (None, None, rows));
        let receipt = r#"{"version":1,"job_id":"x-1","source":"s3://b/x","table":null,"rows":{"read":3,"committed":3,"filtered":0,"quarantined":0},"chunks":1,"table_version":1}"#;
        assert_eq!(serde_json::from_str::<Receipt>(receipt).unwrap().run, None);
    }
}
