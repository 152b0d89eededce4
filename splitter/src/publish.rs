//! Chunks are stored, then announced, then noted in the checkpoint; the manifest comes last.
//!
//! While that is done for one chunk the next is written already.

pub(crate) mod announce;
pub(crate) mod failure;
mod quarantine;

use std::sync::Arc;
use tracing::Instrument;

use shared::{
    BadRecordLimit, Checkpoint, ChunkEntry, Job, Lines, Manifest, Moment, OnReplace, PutMode, QuarantineEntry,
    ResumePoint, Run, WorkArea, put_json,
};
use tokio::task::JoinSet;

use crate::chunk::assemble::ChunkWriter;
use crate::chunk::row_group::Encoded;
use crate::chunk::row_group::RowGroup;
use crate::context::SplitContext;
use crate::error::{AllRejected, BadInput, SplitError, TooManyBad};
use crate::publish::announce::{announce, announce_end};
use crate::publish::quarantine::Quarantine;
use crate::records::content::Content;
use crate::records::rejects::{Reject, Rejects};
use crate::text::transcode::unmarked;

/// Takes row groups in the order of the source, and leaves chunks.
pub(crate) struct Publisher<'a> {
    context: &'a SplitContext,
    job: &'a Job,
    area: &'a WorkArea,
    chunk: Option<ChunkWriter>,
    /// The chunk before it, while that is made durable, announced and noted. It ends with the publisher at the latest.
    ending: JoinSet<Result<(), SplitError>>,
    quarantine: Quarantine,
    /// Chunks before the current one, the ending one included.
    chunks: Vec<ChunkEntry>,
    /// Chunks that earlier attempts announced.
    chunks_before: usize,
    quarantined: Vec<QuarantineEntry>,
    rejected: Rejected,
    position: SourcePosition,
    /// Row groups at the start of the current block that are in earlier chunks already.
    to_skip: u64,
    /// When the first attempt began, and how many there are with this one.
    started: Moment,
    attempts: u32,
}

/// Rejected records so far, those of earlier attempts included.
#[derive(Debug, Default)]
struct Rejected {
    count: u64,
    /// What is wrong with the first ones that this attempt saw.
    first: Vec<String>,
}

impl Rejected {
    fn add(&mut self, rejects: &Rejects, records_before: u64) {
        /// How many are shown when there are too many.
        const SHOWN: usize = 3;
        self.count += u64::try_from(rejects.len()).unwrap_or_default();
        let missing = SHOWN.saturating_sub(self.first.len());
        self.first.extend(rejects.iter().take(missing).map(|reject| reject.describe(records_before)));
    }
}

/// How far the source was taken.
#[derive(Clone, Debug, Default)]
struct SourcePosition {
    block_start: u64,
    /// Row groups of the current block that were taken.
    row_groups: u64,
    /// Records before the current block.
    records_before: u64,
    /// Records of the current block.
    records: u64,
    /// Values that lost digits, before the current block, and in it.
    shortened_before: u64,
    shortened: u64,
    /// Lines before the current block, those before the first record included, and those in it; none where they are not known.
    lines_before: Option<Lines>,
    lines: Lines,
    /// The last place before it at which reading can resume.
    resume_point: Option<Arc<ResumePoint>>,
    /// Digests of the text before the current block, and with it.
    content_before: Content,
    content: Content,
}

impl SourcePosition {
    /// Lines so far; none where those of an attempt before are not known.
    fn all_lines(&self) -> Option<Lines> {
        let mut lines = self.lines_before.clone()?;
        lines.append(&self.lines);
        Some(lines)
    }
}

/// Lines before the block of a checkpoint, or before the first record; none of what is no text, of jobs that were first seen, and of
/// checkpoints that were written, before lines were counted.
fn lines_before(job: &Job, checkpoint: &Checkpoint) -> Option<Lines> {
    let head = job.examined.as_ref()?.head.as_ref()?;
    if checkpoint.chunks.is_empty() { Some(head.clone()) } else { checkpoint.lines.clone() }
}

impl<'a> Publisher<'a> {
    /// Goes on where the checkpoint says, by an attempt that began then.
    pub(crate) fn resume(
        context: &'a SplitContext,
        job: &'a Job,
        area: &'a WorkArea,
        checkpoint: &Checkpoint,
        started: Moment,
    ) -> Self {
        let position = SourcePosition {
            block_start: checkpoint.block_start,
            records_before: checkpoint.records_before,
            shortened_before: checkpoint.shortened_before,
            resume_point: checkpoint.resume_point.clone().map(Arc::new),
            content_before: Content::resume(checkpoint.content.as_ref()),
            lines_before: lines_before(job, checkpoint),
            ..SourcePosition::default()
        };
        let progress = &context.progress;
        progress.chunks_split.add(u64::try_from(checkpoint.chunks.len()).unwrap_or_default());
        progress.rows_read.add(checkpoint.records_before);
        let count = checkpoint.quarantine.iter().map(|entry| entry.records).sum();
        progress.rows_quarantined.add(count);
        Self {
            context,
            job,
            area,
            chunk: None,
            ending: JoinSet::new(),
            quarantine: Quarantine::default(),
            chunks: checkpoint.chunks.clone(),
            chunks_before: checkpoint.chunks.len(),
            quarantined: checkpoint.quarantine.clone(),
            rejected: Rejected { count, ..Rejected::default() },
            position,
            to_skip: checkpoint.row_groups_done,
            started: checkpoint.started.unwrap_or(started),
            attempts: checkpoint.attempts.saturating_add(1),
        }
    }

    /// Number of the current chunk.
    fn index(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    /// Records that were taken so far, those of earlier attempts included.
    pub(crate) fn records(&self) -> u64 {
        self.position.records_before + self.position.records
    }

    /// How far it came, as the error of a job that is asked to stop.
    pub(crate) fn stopped(&self) -> SplitError {
        let chunks = self.chunks.len();
        SplitError::Stopped { chunks, advanced: chunks - self.chunks_before }
    }

    /// Takes what came of the next block, or of the next piece of it.
    ///
    /// Rejects go with the chunk that the first row group of their block goes into, so that an attempt which resumes at a
    /// row group knows whether they are stored.
    pub(crate) async fn add(&mut self, encoded: Encoded) -> Result<(), SplitError> {
        if encoded.block_start != self.position.block_start {
            let records_before = self.position.records_before + self.position.records;
            let shortened_before = self.position.shortened_before + self.position.shortened;
            let (block_start, resume_point) = (encoded.block_start, encoded.resume_point.clone());
            let content_before = std::mem::take(&mut self.position.content);
            let lines_before = self.position.all_lines();
            let position = SourcePosition {
                block_start,
                records_before,
                shortened_before,
                resume_point,
                ..SourcePosition::default()
            };
            self.position = SourcePosition { lines_before, content_before, ..position };
            self.to_skip = 0;
        }
        let Encoded { records, row_groups, rejects, shortened, content, lines, .. } = encoded;
        self.position.lines.append(&lines);
        let before = &self.position.content_before;
        self.position.content = content.map(|block| before.with(&block)).unwrap_or_default();
        let records_before = self.position.records_before + self.position.records;
        self.position.records += records;
        self.position.shortened += shortened;
        self.context.progress.rows_read.add(records);
        let mut rejects = Some(rejects).filter(|_| self.to_skip == 0);
        for row_group in row_groups {
            if self.position.row_groups >= self.to_skip {
                self.add_row_group(row_group).await?;
            }
            self.position.row_groups += 1;
            self.add_rejects(rejects.take().unwrap_or_default(), records_before).await?;
        }
        self.add_rejects(rejects.take().unwrap_or_default(), records_before).await?;
        match self.context.settings.read.max_bad_records {
            Some(limit) if limit.is_hopeless(self.rejected.count, self.records()) => {
                Err(self.given_up(Some(limit)).await?)
            }
            _ => Ok(()),
        }
    }

    /// Why the source is given up: by the limit, or since all of its records were rejected. What was rejected until now is stored, to be
    /// looked into; an attempt with a higher limit stores the same again.
    async fn given_up(&mut self, limit: Option<BadRecordLimit>) -> Result<SplitError, SplitError> {
        self.settle().await?;
        let (storage, index) = (self.context.storage.as_ref(), self.index());
        self.quarantine.end_chunk(storage, self.area, index).await.map_err(SplitError::WorkArea)?;
        let (at, first, chunks) = (self.job.source.uri.clone(), self.rejected.first.clone(), self.chunks.len());
        let (rejected, read) = (self.rejected.count, self.records());
        let error = match limit {
            Some(limit) => SplitError::TooManyBad(Box::new(TooManyBad { at, rejected, read, limit, first, chunks })),
            None => SplitError::AllRejected(Box::new(AllRejected { at, read, first, chunks })),
        };
        failure::note(storage, self.area, &error).await;
        Ok(error)
    }

    async fn add_rejects(&mut self, rejects: Rejects, records_before: u64) -> Result<(), SplitError> {
        let is_transcoded = !self.job.policy.text.encoding.is_utf_8();
        self.rejected.add(&rejects, records_before);
        self.context.progress.rows_quarantined.add(u64::try_from(rejects.len()).unwrap_or_default());
        let (storage, index) = (self.context.storage.as_ref(), self.index());
        for reject in rejects.iter() {
            let record = records_before + reject.record;
            if self.job.policy.bad_records == shared::BadRecords::Fail {
                let bad = BadInput {
                    at: self.job.source.uri.clone(),
                    byte: Some(reject.byte_offset),
                    record: Some(record),
                    column: reject.column.map(str::to_owned),
                    reason: reject.reason.to_owned(),
                    hint: "BAD_RECORDS=quarantine with --again keeps such records beside the job and goes on",
                };
                return Err(bad.into());
            }
            let unmarked = is_transcoded.then(|| unmarked(reject.raw));
            let reject = Reject { record, raw: unmarked.as_deref().unwrap_or(reject.raw), ..reject };
            let stored = self.quarantine.add(reject, storage, self.area, index).await;
            self.quarantined.extend(stored.map_err(SplitError::WorkArea)?);
        }
        Ok(())
    }

    async fn add_row_group(&mut self, row_group: RowGroup) -> Result<(), SplitError> {
        let chunk_bytes = self.job.policy.chunk_bytes;
        let mut place = None;
        if let Some(chunk) = &self.chunk {
            place = chunk.entry_with(&row_group, chunk_bytes)?;
            if place.is_none() {
                self.end_chunk(false).await?;
            }
        }
        if self.chunk.is_none() {
            let (storage, index) = (self.context.storage.as_ref(), self.index());
            let schema = Arc::clone(&row_group.schema);
            let chunk = ChunkWriter::start(storage, self.area.chunk(index), index, schema).await?;
            place = chunk.entry_with(&row_group, chunk_bytes)?;
            self.chunk = Some(chunk);
        }
        let (Some(chunk), Some(place)) = (&mut self.chunk, place) else {
            let reason = "one row group with its footer is larger than a chunk";
            let hint = "run with a higher CHUNK_SIZE_MB and --again";
            return Err(BadInput::whole(&self.job.source.uri, reason, hint).into());
        };
        chunk.append(row_group, place).await
    }

    /// Chunk, then task; the checkpoint, or after the last chunk the manifest, comes last: who sees the later finds the earlier.
    /// So the chunk before has to be through with all of it.
    async fn end_chunk(&mut self, is_last: bool) -> Result<(), SplitError> {
        let storage = self.context.storage.as_ref();
        let index = self.index();
        let rejected = self.quarantine.end_chunk(storage, self.area, index).await;
        self.quarantined.extend(rejected.map_err(SplitError::WorkArea)?);
        self.settle().await?;
        let Some(chunk) = self.chunk.take() else { return Ok(()) };
        let (entry, upload) = chunk.close().await?;
        self.chunks.push(entry.clone());
        let checkpoint = (!is_last).then(|| self.checkpoint());
        let (context, job, area) = (self.context.clone(), self.job.clone(), self.area.clone());
        let ending = async move {
            upload.finish().await.map_err(SplitError::WorkArea)?;
            announce(&context, &job, &area, [&entry]).await?;
            tracing::info!(job = %job.job_id, chunk = index, rows = entry.rows, bytes = entry.bytes, "chunk announced");
            context.progress.chunks_split.add(1);
            let Some(checkpoint) = checkpoint else { return Ok(()) };
            let (storage, at) = (context.storage.as_ref(), area.checkpoint());
            put_json(storage, &at, &checkpoint, PutMode::Overwrite).await.map_err(SplitError::WorkArea)
        };
        self.ending.spawn(ending.in_current_span());
        Ok(())
    }

    /// Waits until the chunk before the current one is stored, announced and noted.
    async fn settle(&mut self) -> Result<(), SplitError> {
        while let Some(ended) = self.ending.join_next().await {
            ended.map_err(|error| SplitError::internal(&self.job.source.uri, error))??;
        }
        Ok(())
    }

    /// The checkpoint before the row group that comes next, which is the first of its chunk.
    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            version: 1,
            block_start: self.position.block_start,
            row_groups_done: self.position.row_groups,
            records_before: self.position.records_before,
            shortened_before: self.position.shortened_before,
            resume_point: self.position.resume_point.as_deref().cloned(),
            chunks: self.chunks.clone(),
            quarantine: self.quarantined.clone(),
            content: Some(self.position.content_before.text()).filter(|content| !content.is_empty()),
            lines: self.position.lines_before.clone(),
            started: Some(self.started),
            attempts: self.attempts,
        }
    }

    /// The source is at its end: announces the last chunk and writes the manifest.
    pub(crate) async fn finish(mut self) -> Result<Manifest, SplitError> {
        let limit = self.context.settings.read.max_bad_records;
        let (rejected, read) = (self.rejected.count, self.records());
        // What a replay rejects again is expected.
        let are_all = limit.is_none() && self.job.replay_of.is_empty() && rejected > 0 && rejected == read;
        if are_all || limit.is_some_and(|limit| limit.is_exceeded(rejected, read)) {
            let why = self.given_up(limit).await.unwrap_or_else(|why| why);
            return Err(self.abandon(why).await);
        }
        if let Err(why) = self.end_chunk(true).await {
            return Err(self.abandon(why).await);
        }
        self.settle().await?;
        if self.chunks.is_empty() && replaces(self.job) {
            let (reason, hint) = match self.job.replay_of.last() {
                None if self.rejected.count > 0 => (
                    "all of its records were rejected, so they cannot take the place of earlier drops (ON_REPLACE=replace)",
                    "`sluice quarantine show` shows why",
                ),
                None => (
                    "it has no rows, and with ON_REPLACE=replace the rows of earlier drops would stay in the table",
                    "if the rows are meant to go, `sluice undo` the earlier job",
                ),
                Some(_) => (
                    "all of these records are rejected again, so they cannot take the place of an earlier replay",
                    "`sluice quarantine replay --dry-run` shows what other options would make of them",
                ),
            };
            return Err(BadInput::whole(&self.job.source.uri, reason, hint).into());
        }
        let manifest = Manifest {
            version: 1,
            job_id: self.job.job_id.clone(),
            records: self.records(),
            quarantined: self.quarantined.iter().map(|entry| entry.records).sum(),
            shortened: self.position.shortened_before + self.position.shortened,
            lines: self.position.all_lines(),
            chunks: self.chunks,
            quarantine: self.quarantined,
            content: Some(self.position.content.text()).filter(|content| !content.is_empty()),
            run: Some(Run::until_now(self.started, self.attempts, self.job.source.size)),
        };
        let storage = self.context.storage.as_ref();
        let written = put_json(storage, &self.area.manifest(), &manifest, PutMode::Overwrite).await;
        written.map_err(SplitError::WorkArea)?;
        announce_end(self.context, self.job, self.area, &manifest).await?;
        Ok(manifest)
    }

    /// Gives up the current chunk; those before it stay. Gives the first that went wrong: what did with the chunk before, or `why`.
    pub(crate) async fn abandon(mut self, why: SplitError) -> SplitError {
        let settled = self.settle().await;
        if let Some(chunk) = self.chunk
            && let Err(second) = chunk.abort().await
        {
            tracing::warn!(error = %shared::error_chain(&second), "the chunk in progress could not be removed");
        }
        match settled {
            Ok(()) => why,
            Err(first) => {
                tracing::warn!(error = %shared::error_chain(&why), "the split had come to an end, too");
                first
            }
        }
    }
}

/// Whether a job is to take the place of earlier drops.
fn replaces(job: &Job) -> bool {
    job.load.on_replace == OnReplace::Replace && (job.drop > Some(1) || job.drop_of_target > Some(1))
}
