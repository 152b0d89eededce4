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
    /// The step of a chain that it is, where its rows come from another table.
    pub(crate) step: Option<ChainStep>,
}

/// A step of a chain: a version of another table, whose rows go into this one. The transaction of such a chunk is the same for all
/// steps from that table: it is the cursor, whose version is that of the last step.
#[derive(Clone, Debug)]
pub(crate) struct ChainStep {
    /// Where the cursor has to be: the version of the step before; none for the first one.
    pub(crate) after: Option<i64>,
    /// Where it goes.
    pub(crate) version: i64,
    /// Ids of the tables that the rows came through, the last of them first.
    pub(crate) hops: Vec<String>,
}

/// How it stands with a chunk by the transaction that its table has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not in the table.
    Open,
    /// It is.
    There,
    /// It is a step, and the one before it is not in the table.
    Early,
}

/// Version of a chunk's transaction: there is only one.
pub(crate) const CHUNK_VERSION: i64 = 1;

impl AssignedChunk {
    /// Whether it goes into the table together with all others of its file.
    pub(crate) fn waits(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.commit == CommitMode::File)
    }

    /// Version of the transaction that it is committed with.
    pub(crate) fn txn_version(&self) -> i64 {
        self.step.as_ref().map_or(CHUNK_VERSION, |step| step.version)
    }

    /// How it stands with it where its table has this version of its transaction, or none.
    pub(crate) fn standing(&self, there: Option<i64>) -> Standing {
        match (&self.step, there) {
            (None, there) => there.map_or(Standing::Open, |_| Standing::There),
            (Some(step), there) if there == step.after => Standing::Open,
            (Some(step), Some(there)) if there >= step.version => Standing::There,
            (Some(_), _) => Standing::Early,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(step: Option<ChainStep>) -> AssignedChunk {
        let at: Location = "s3://lake/bronze/_delta_log/5.json".parse().unwrap();
        AssignedChunk {
            table: at.clone(),
            at,
            origin: None,
            from: LoadedFrom { job_id: None, source: String::new() },
            stat: None,
            app_id: "sluice/chain/x".to_owned(),
            shaping: Shaping::default(),
            partition_by: Vec::new(),
            bad_records: BadRecords::Fail,
            expectations: None,
            parquet_source: None,
            quarantine: None,
            messages: Vec::new(),
            receives: None,
            step,
        }
    }

    #[test]
    fn a_step_follows_on_the_one_before_it() {
        let step = |after| chunk(Some(ChainStep { after, version: 5, hops: Vec::new() }));
        for (after, there, expected) in [
            (None, None, Standing::Open),
            (None, Some(3), Standing::Early),
            (None, Some(5), Standing::There),
            (Some(3), Some(3), Standing::Open),
            (Some(3), Some(4), Standing::Early),
            (Some(3), Some(2), Standing::Early),
            (Some(3), None, Standing::Early),
            (Some(3), Some(5), Standing::There),
            (Some(3), Some(9), Standing::There),
        ] {
            assert_eq!(step(after).standing(there), expected, "{after:?} {there:?}");
        }
        assert_eq!((step(None).txn_version(), chunk(None).txn_version()), (5, 1));
        assert_eq!((chunk(None).standing(None), chunk(None).standing(Some(1))), (Standing::Open, Standing::There));
    }
}
