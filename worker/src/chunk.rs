//! A chunk on its way into its table.

use std::sync::Arc;

use shared::{
    BadRecords, ChunkIdentity, CommitMode, Drops, Expectations, JobId, Location, ObjectStat, Seal, SealedJob, WorkArea,
};

use crate::delta::app_ids::job_app_id;
use crate::delta::commit_info::LoadedFrom;
use crate::rows::shaping::Shaping;

/// A chunk and all that is known of its way.
#[derive(Clone, Debug)]
pub(crate) struct AssignedChunk {
    pub(crate) at: Location,
    /// What the splitter said it is; none for a file that someone else put there.
    pub(crate) origin: Option<Origin>,
    /// Where its rows come from.
    pub(crate) from: LoadedFrom,
    /// The version of the object that is meant, where that was looked up already.
    pub(crate) stat: Option<ObjectStat>,
    /// Application id of the transaction that the chunk is committed with.
    pub(crate) app_id: String,
    pub(crate) table: Location,
    /// What becomes of its rows before the table sees them.
    pub(crate) shaping: Shaping,
    /// Columns by which the table is partitioned when it is created.
    pub(crate) partition_by: Vec<String>,
    pub(crate) bad_records: BadRecords,
    /// What is expected of its rows, after SQL.
    pub(crate) expectations: Option<Arc<Expectations>>,
    /// The Parquet source whose row groups it has, copied as they were; none where the splitter encoded them.
    pub(crate) parquet_source: Option<Location>,
    /// Where rejected rows go.
    pub(crate) quarantine: Option<Location>,
    pub(crate) messages: Vec<usize>,
    /// Times that its message was received; none where it has no message.
    pub(crate) receives: Option<u32>,
}

impl AssignedChunk {
    /// Whether it goes into the table together with all others of its file.
    pub(crate) fn waits(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.commit == CommitMode::File)
    }
}

/// The job that a chunk belongs to, and its place in it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) identity: ChunkIdentity,
    pub(crate) area: WorkArea,
    pub(crate) seal: Seal,
    /// The seal that builds before this one gave to such a job: a table may have it.
    pub(crate) former_seal: Seal,
    pub(crate) commit: CommitMode,
    /// Earlier drops of its source, whose rows go when its own come; none when they stay.
    pub(crate) replaced: Option<Replaced>,
    /// The jobs whose rejected records these are, where it is a replay.
    pub(crate) replay_of: Vec<SealedJob>,
    /// Earlier generations that the job was begun in place of.
    pub(crate) instead_of: Vec<JobId>,
    /// When the source was dropped, in milliseconds since 1970 (UTC), where its event said it.
    pub(crate) dropped_at: Option<i64>,
}

/// Earlier drops of a source: those before a number.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    /// Of each name of the source, those before a number.
    pub(crate) drops: Vec<(Drops, u32)>,
    /// Where the work areas of their jobs are.
    pub(crate) work_prefix: Location,
}

impl Origin {
    /// Whether a seal that a table has is that of the job.
    pub(crate) fn is_sealed_by(&self, seal: i64) -> bool {
        [self.seal.0, self.former_seal.0].contains(&seal)
    }

    /// Application id of the transaction that says by which policy the job was cut.
    pub(crate) fn seal_id(&self) -> String {
        job_app_id(&self.identity.job_id)
    }

    /// The same of the earlier generations that the job was begun in place of.
    pub(crate) fn superseded_seal_ids(&self) -> impl Iterator<Item = String> {
        self.instead_of.iter().map(job_app_id)
    }

    /// Whether what the table says of other jobs decides on its chunks, too.
    pub(crate) fn leans_on_others(&self) -> bool {
        !self.replay_of.is_empty() || !self.instead_of.is_empty()
    }

    /// The same of the jobs whose rejected records these are.
    pub(crate) fn replayed_seal_ids(&self) -> impl Iterator<Item = String> {
        self.replay_of.iter().map(|of| job_app_id(&of.job_id))
    }
}
