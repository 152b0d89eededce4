//! Replays: the rejected records of a job, read once more and in another way, as a job of their own.
//!
//! The source of a replay is the quarantine of the job that rejected the records, which no longer changes once that job is
//! split. Its text is made of the records as it is read, so nothing is written that would have to be looked after.

pub(crate) mod changes;
mod policy;
pub(crate) mod rejected;
mod text;

use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt;
use serde::Serialize;
use shared::{
    CommitMode, Drops, Job, LoadPolicy, Location, Manifest, ObjectVersion, OnReplace, PinnedLookup, Policy, PutMode,
    SourceObject, Storage, StorageError, WorkArea, get_json, put_json, try_get_json,
};

use crate::blocks::framed;
use crate::context::SplitContext;
use crate::decode::decode;
use crate::error::SplitError;
use crate::records::format::format;
use crate::schema::table_schema::{self, TableColumns};
use crate::text::Start;
use changes::Changes;
pub(crate) use text::pieces;
use text::{ReplayFilter, Replayable, records, text_bytes};

/// Records of a quarantine that are not replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Records of which the end was not found, or that are not one record in the dialect that is asked for: what is kept of them may
    /// be a part.
    #[serde(rename = "torn")]
    pub partial: u64,
    /// Records with bytes that the encoding of the source does not have: what is kept of them is in two encodings.
    pub undecodable: u64,
    /// Rows of chunks that the worker rejected: they are not records of the source any more.
    pub load: u64,
}

impl LeftOut {
    /// All of them.
    pub fn total(self) -> u64 {
        self.partial + self.undecodable + self.load
    }
}

/// The look-ups of a job in their present versions: what corrected records lack may be there by now.
async fn lookups(storage: &dyn Storage, of: &Job, sql: Option<&str>) -> Result<Vec<PinnedLookup>, SplitError> {
    let mut pinned = Vec::new();
    for lookup in of.load.lookups.iter().filter(|_| sql.is_some()) {
        let found = lookup.lookup().pin(storage).await;
        pinned.push(found.map_err(|error| error.at(of.sql_place.as_deref()))?);
    }
    Ok(pinned)
}

/// What would become of the records of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    /// Records that would be taken.
    pub taken: u64,
    /// Records that would be rejected again.
    pub rejected: u64,
    /// Why the first of these would be.
    pub first_rejected: Option<String>,
}

/// Rejected records of a job, and how they are to be read.
#[derive(Clone, Debug)]
pub struct Replay {
    of: Job,
    area: WorkArea,
    policy: Policy,
    load: LoadPolicy,
    /// Records that are replayed.
    pub records: u64,
    /// Bytes of their text.
    bytes: u64,
    /// What is not.
    pub left_out: LeftOut,
}

impl Replay {
    /// Looks through the quarantine of a job that is split. Reads all of it, and writes nothing.
    pub async fn inspect(
        storage: &Arc<dyn Storage>,
        of: Job,
        area: WorkArea,
        manifest: &Manifest,
        changes: &Changes,
    ) -> Result<Self, SplitError> {
        let sql = match &changes.sql {
            Some(sql) => Some(sql.clone()).filter(|sql| !sql.is_empty()),
            None => of.load.sql.clone(),
        };
        let table = match &of.table {
            Some(table) if sql.is_none() && !changes.schema.is_empty() => table_schema::columns(storage, table).await?,
            _ => TableColumns::default(),
        };
        let policy = policy::changed(&area.quarantine(), &of.policy, changes, &table.names)?;
        // One commit has all of a replay, and takes the place of what an earlier one, in another way, may yet bring in.
        let (commit, on_replace) = (CommitMode::File, OnReplace::Replace);
        let lookups = lookups(storage.as_ref(), &of, sql.as_deref()).await?;
        let load = LoadPolicy { sql, commit, on_replace, lookups, ..of.load.clone() };
        let mut replay = Self { of, area, policy, load, records: 0, bytes: 0, left_out: LeftOut::default() };
        replay.count(storage, manifest).await.map_err(SplitError::WorkArea)?;
        Ok(replay)
    }

    async fn count(&mut self, storage: &Arc<dyn Storage>, manifest: &Manifest) -> Result<(), StorageError> {
        if let Some(filter) = ReplayFilter::new(&self.of.policy, &self.policy) {
            let mut kept = records(storage, &self.area, manifest.quarantine.clone());
            while let Some(next) = kept.recv().await {
                for record in next? {
                    match filter.check(&record) {
                        Replayable::Yes => {
                            self.records += 1;
                            self.bytes += u64::try_from(text_bytes(&record)).unwrap_or_default();
                        }
                        Replayable::Partial => self.left_out.partial += 1,
                        Replayable::Undecodable => self.left_out.undecodable += 1,
                    }
                }
            }
        }
        for listed in storage.list(&self.area.quarantine()).await? {
            if WorkArea::is_load_quarantine(&listed.location) {
                let mut rows = rejected::rejected(storage, &listed.location).await?;
                while let Some(next) = rows.recv().await {
                    self.left_out.load += u64::try_from(next?.len()).unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    /// The job that the records are of.
    pub fn of(&self) -> &Job {
        &self.of
    }

    /// Where the records are kept.
    pub fn quarantine(&self) -> Location {
        self.area.quarantine()
    }

    /// Whether a job reads them as this does.
    pub fn is_as(&self, job: &Job) -> bool {
        job.policy == self.policy && job.load == self.load
    }

    /// The `generation`-th replay of these records, from 1, if it was ever begun.
    pub async fn begun(&self, storage: &dyn Storage, generation: u32) -> Result<Option<Job>, StorageError> {
        let area = self.area.beside(&self.of.job_id.of_replay(generation));
        try_get_json(storage, &area.job(), "job").await
    }

    /// Begins the `generation`-th replay; when another was quicker, the job is theirs, which may read the records in another
    /// way.
    pub async fn begin(&self, context: &SplitContext, generation: u32) -> Result<Job, StorageError> {
        let storage = context.storage.as_ref();
        let version = ObjectVersion(self.of.job_id.to_string());
        let source = SourceObject { uri: self.quarantine(), size: self.bytes, version };
        let job = Job::replay(&self.of, generation, source, self.policy.clone(), self.load.clone());
        let area = self.area.beside(&job.job_id);
        let drops = area.root().parent().and_then(|prefix| Drops::of(&prefix, &job).pop());
        let drop = match drops {
            Some((drops, _)) => Some(drops.number(storage, &job.job_id).await?),
            None => None,
        };
        let job = Job { drop, is_noticed: context.topic.is_some(), ..job };
        match put_json(storage, &area.job(), &job, PutMode::IfAbsent).await {
            Ok(()) => Ok(job),
            Err(StorageError::AlreadyExists { .. }) => get_json(storage, &area.job(), "job").await,
            Err(error) => Err(error),
        }
    }

    /// Decodes the records as a replay would, and says what would become of them. Writes nothing.
    pub async fn dry_run(&self, context: &SplitContext) -> Result<DryRun, SplitError> {
        let at = self.quarantine();
        let mut outcome = DryRun::default();
        let Some(format) = format(&self.policy) else { return Ok(outcome) };
        let pieces = pieces(context, &self.of, &self.area, &self.policy, 0);
        let mut blocks = pin!(framed(pieces, &at, &self.policy, &format, Start::default(), None));
        while let Some((block, _)) = blocks.try_next().await? {
            let Policy { bad_records, max_record_bytes, .. } = self.policy;
            let format = format.clone();
            let decoding = tokio::task::spawn_blocking(move || decode(&block, &format, bad_records, max_record_bytes));
            let decoded = decoding.await.map_err(|error| SplitError::internal(&at, error))?;
            let decoded = decoded.map_err(|error| SplitError::internal(&at, error))?;
            if let (None, Some(first)) = (&outcome.first_rejected, decoded.rejects.iter().next()) {
                outcome.first_rejected = Some(first.describe(outcome.taken + outcome.rejected));
            }
            let rejected = u64::try_from(decoded.rejects.len()).unwrap_or_default();
            outcome.rejected += rejected;
            outcome.taken += decoded.records.saturating_sub(rejected);
        }
        Ok(outcome)
    }
}
