//! What was split: the manifest at the end, the checkpoint on the way.

use serde::{Deserialize, Serialize};

use crate::chunk_task::{ChunkIdentity, ChunkTask};
use crate::job::JobId;
use crate::lines::Lines;
use crate::receipt::is_zero;
use crate::resume_point::ResumePoint;
use crate::run::{Moment, Run};
use crate::work_area::WorkArea;

/// One chunk as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Position among the chunks of the job, from 0.
    pub index: u32,
    /// Rows.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Checksum of all bytes.
    pub checksum: String,
}

impl ChunkEntry {
    /// The task that announces this chunk.
    pub fn task(&self, area: &WorkArea, job_id: &JobId) -> ChunkTask {
        let identity = ChunkIdentity {
            job_id: job_id.clone(),
            index: self.index,
            rows: self.rows,
            bytes: self.bytes,
            checksum: self.checksum.clone(),
        };
        ChunkTask::new(&area.chunk(self.index), identity)
    }
}

/// One object with rejected records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// Key below the work area.
    pub key: String,
    /// Records in it.
    pub records: u64,
}

/// Where a later attempt resumes. Written after the chunk and its task, so a chunk may be made and announced twice, and
/// never be missed; the second making gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Version of this document, 1.
    pub version: u32,
    /// Where the block begins that the next chunk begins in: a byte offset in the text, or for Parquet the number of a row group.
    pub block_start: u64,
    /// Row groups of that block which are in earlier chunks already.
    pub row_groups_done: u64,
    /// Records before that block.
    pub records_before: u64,
    /// Values before that block that lost digits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shortened_before: u64,
    /// The last place before that block at which reading can resume; none where only the start of the file will do, or
    /// where `block_start` itself does.
    #[serde(default, rename = "restart")]
    pub resume_point: Option<ResumePoint>,
    /// Chunks that were stored and announced.
    pub chunks: Vec<ChunkEntry>,
    /// Rejected records that were stored.
    pub quarantine: Vec<QuarantineEntry>,
    /// Digest of the text before that block, block by block; none for what is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Lines before that block; none for what is no text, and where an attempt before did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// When the first attempt began; none in checkpoints from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Moment>,
    /// Attempts so far, of those that came to a checkpoint; 0 in checkpoints from before they were counted.
    #[serde(default)]
    pub attempts: u32,
}

/// What was split; its existence says that all of it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document, 1.
    pub version: u32,
    /// The job.
    pub job_id: JobId,
    /// Records read from the source.
    pub records: u64,
    /// Records that the splitter rejected.
    pub quarantined: u64,
    /// Values of the others that lost digits when the splitter read them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shortened: u64,
    /// All chunks.
    pub chunks: Vec<ChunkEntry>,
    /// All objects with records that the splitter rejected.
    pub quarantine: Vec<QuarantineEntry>,
    /// Digest of the text of the source after its header, block by block; none for what is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Lines of the source; none for what is no text, and where an attempt did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// When it was split, in how many attempts and by which build; none in manifests from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_from_before_times_were_kept_are_read() {
        let manifest = r#"{"version":1,"job_id":"x-1","records":2,"quarantined":0,"chunks":[],"quarantine":[]}"#;
        let manifest: Manifest = serde_json::from_str(manifest).unwrap();
        assert_eq!((manifest.records, manifest.run), (2, None));
        let checkpoint = r#"{"version":1,"block_start":7,"row_groups_done":0,"records_before":2,"restart":null,"chunks":[],"quarantine":[]}"#;
        let checkpoint: Checkpoint = serde_json::from_str(checkpoint).unwrap();
        assert_eq!((checkpoint.block_start, checkpoint.started, checkpoint.attempts), (7, None, 0));
    }
}
