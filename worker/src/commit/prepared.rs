//! Chunks on their way into a commit, and what becomes of them.

use shared::Verdict;

use crate::chunk::AssignedChunk;
use crate::delta::data_file::DataFile;
use crate::delta::staging::StagingNote;
use crate::rows::row_counts::RowCounts;
use crate::schema::write_schema::WriteSchema;

/// A chunk whose data files are written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) chunk: AssignedChunk,
    /// What the files were written by.
    pub(crate) write_schema: WriteSchema,
    pub(crate) files: Vec<DataFile>,
    pub(crate) counts: RowCounts,
    /// Id of the table that the files were written for; none when there was no table yet.
    pub(crate) table_id: Option<String>,
    /// What keeps vacuum from the files, where no work area does.
    pub(crate) note: Option<StagingNote>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) chunk: Prepared,
    pub(crate) outcome: CommitOutcome,
}

/// How it stands with a chunk after a commit.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// In the table by this commit, with its version.
    Committed(u64),
    /// In the table by another worker.
    Found,
    /// To be written again, since the table changed.
    Outdated,
    /// Not committed.
    Failed(Verdict),
}

/// On what terms chunks go into one commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether all of them go into one commit or none, and none of their data files is deleted.
    pub(crate) whole: bool,
    /// Whether they are of several loads.
    pub(crate) is_shared: bool,
}

/// None of these chunks is committed.
pub(crate) fn failed(chunks: Vec<Prepared>, verdict: &Verdict) -> Vec<Decided> {
    chunks.into_iter().map(|chunk| Decided { chunk, outcome: CommitOutcome::Failed(verdict.clone()) }).collect()
}
