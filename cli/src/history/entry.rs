//! One load: what its work area says of it.

use serde::Serialize;
use shared::{
    Checkpoint, Failure, Job, JobId, LoadFailure, Location, Manifest, Moment, Receipt, Rows, Run, Storage,
    StorageError, Undone, try_get_json,
};

use crate::areas::Area;

/// One load.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) job_id: JobId,
    pub(super) source: Location,
    pub(super) table: Option<Location>,
    pub(super) state: State,
    /// When it was begun.
    pub(super) started: Moment,
    /// When all of it was in the table; none while it is not.
    pub(super) ended: Option<Moment>,
    pub(super) duration_ms: Option<u64>,
    /// What became of its records; before it is done, those that were read and rejected so far.
    pub(super) rows: Rows,
    /// Size of the source, as it is stored.
    pub(super) bytes: u64,
    pub(super) chunks: Chunks,
    /// Attempts at what took the most of them; none where that was not kept.
    pub(super) attempts: Option<u32>,
    /// Version of the table with all of it.
    pub(super) table_version: Option<u64>,
    /// Why it is not done, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The job that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaced_by: Option<JobId>,
    /// Version of Sluice that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sluice: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Chunks {
    pub(super) split: usize,
    pub(super) committed: usize,
}

/// How far a load has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// All of it is in the table.
    Done,
    /// Not all of the source is split.
    Splitting,
    /// All of it is split, and none of its chunks is loaded yet.
    Waiting,
    /// All of it is split, and some of its chunks are loaded.
    Loading,
    /// The last attempt failed.
    Failed,
    /// A message of it is among the dead letters.
    Dead,
    /// It was taken out of the table.
    Undone,
    /// A later load took its place.
    Replaced,
}

impl State {
    /// Whether it is stuck until somebody does something.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Dead)
    }

    /// The state as a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Splitting => "splitting",
            Self::Waiting => "waiting",
            Self::Loading => "loading",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Undone => "undone",
            Self::Replaced => "replaced",
        }
    }
}

/// What is known of the failures of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'a> {
    /// What workers noted of its chunks.
    pub(super) noted: &'a [Failure],
    /// Whether a message of it is among the dead letters.
    pub(super) is_dead: bool,
}

/// The documents of a job, as far as they are there.
#[derive(Debug, Default)]
struct Documents {
    receipt: Option<Receipt>,
    undone: Option<Undone>,
    manifest: Option<Manifest>,
    checkpoint: Option<Checkpoint>,
    failure: Option<LoadFailure>,
}

impl Documents {
    /// Reads those that the listing has and that say something.
    async fn read(storage: &dyn Storage, area: &Area) -> Result<Self, StorageError> {
        let (at, mut documents) = (&area.at, Self::default());
        if area.written(&at.undone()).is_some() {
            documents.undone = try_get_json(storage, &at.undone(), "note of undoing").await?;
        }
        if area.written(&at.receipt()).is_some() {
            documents.receipt = try_get_json(storage, &at.receipt(), "receipt").await?;
            return Ok(documents);
        }
        if area.written(&at.manifest()).is_some() {
            documents.manifest = try_get_json(storage, &at.manifest(), "manifest").await?;
        } else if area.written(&at.checkpoint()).is_some() {
            documents.checkpoint = try_get_json(storage, &at.checkpoint(), "checkpoint").await?;
        }
        if area.written(&at.load_failure()).is_some() {
            documents.failure = LoadFailure::of(storage, at).await?;
        }
        Ok(documents)
    }

    fn state(&self, loaded: usize, has_failed: bool, is_dead: bool) -> State {
        match (&self.undone, &self.receipt, &self.manifest) {
            (Some(undone), ..) if undone.replaced_by.is_some() => State::Replaced,
            (Some(_), ..) => State::Undone,
            (None, Some(_), _) => State::Done,
            _ if is_dead => State::Dead,
            _ if has_failed => State::Failed,
            (None, None, None) => State::Splitting,
            (None, None, Some(_)) if loaded == 0 => State::Waiting,
            (None, None, Some(_)) => State::Loading,
        }
    }

    /// What was read and rejected, and how many chunks there are.
    fn rows(&self) -> (Rows, usize) {
        if let Some(receipt) = &self.receipt {
            return (receipt.rows, usize::try_from(receipt.chunks).unwrap_or(usize::MAX));
        }
        if let Some(Manifest { records, quarantined, shortened, chunks, .. }) = &self.manifest {
            let (quarantined, shortened) = (*quarantined, *shortened);
            return (Rows { read: *records, quarantined, shortened, ..Rows::default() }, chunks.len());
        }
        self.checkpoint.as_ref().map_or((Rows::default(), 0), |checkpoint| {
            let quarantined = checkpoint.quarantine.iter().map(|entry| entry.records).sum();
            (Rows { read: checkpoint.records_before, quarantined, ..Rows::default() }, checkpoint.chunks.len())
        })
    }

    fn run(&self) -> Option<&Run> {
        let of_receipt = self.receipt.as_ref().and_then(|receipt| receipt.run.as_ref());
        of_receipt.or_else(|| self.manifest.as_ref()?.run.as_ref())
    }

    /// Why the last run on one machine failed, or the source was given up, unless it was split to its end since.
    fn failure(&self) -> Option<&LoadFailure> {
        self.failure.as_ref().filter(|failure| failure.chunks > 0 || self.manifest.is_none())
    }
}

/// What the work area of a job says of it.
pub(super) async fn entry(
    storage: &dyn Storage,
    area: &Area,
    job: Job,
    failed: Failed<'_>,
) -> Result<Entry, StorageError> {
    let documents = Documents::read(storage, area).await?;
    let is_open = |note: &&Failure| note.chunk.is_some_and(|chunk| !area.loaded.contains(&chunk));
    let noted = failed.noted.iter().find(is_open).map(|note| note.last_error.clone());
    let reason = documents.failure().map(|failure| failure.reason.clone()).or(noted);
    let state = documents.state(area.loaded.len(), reason.is_some(), failed.is_dead);
    let (rows, split) = documents.rows();
    let run = documents.run();
    let of_checkpoint = documents.checkpoint.as_ref();
    // Documents from before times were kept have that at which they were written.
    let started = run.map(|run| run.started).or_else(|| of_checkpoint?.started);
    let started = started.unwrap_or_else(|| area.begun.into());
    let receipt = documents.receipt.as_ref();
    let written = || area.written(&area.at.receipt()).map(Moment::from);
    let ended = receipt.and_then(|receipt| receipt.run.as_ref().map(|run| run.ended).or_else(written));
    Ok(Entry {
        job_id: job.job_id,
        source: job.source.uri,
        table: job.table,
        state,
        started,
        ended,
        duration_ms: ended.map(|ended| ended.millis_since(started)),
        rows,
        bytes: job.source.size,
        chunks: Chunks { split, committed: if receipt.is_some() { split } else { area.loaded.len() } },
        attempts: run
            .map(|run| run.attempts)
            .or_else(|| of_checkpoint.map(|made| made.attempts).filter(|made| *made > 0)),
        table_version: receipt.and_then(|receipt| receipt.table_version),
        reason: reason.filter(|_| state.is_failure()),
        replaced_by: documents.undone.as_ref().and_then(|undone| undone.replaced_by.clone()),
        sluice: run.map(|run| run.sluice.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_from_what_is_there() {
        let read = |text: &str| serde_json::from_str::<Manifest>(text).unwrap();
        let manifest =
            || Some(read(r#"{"version":1,"job_id":"x-1","records":2,"quarantined":0,"chunks":[],"quarantine":[]}"#));
        let undone = |by: &str| {
            let text =
                format!(r#"{{"version":1,"job_id":"x-1","table":"s3://b/t","table_version":1,"removed":null{by}}}"#);
            serde_json::from_str::<Undone>(&text).unwrap()
        };
        let begun = Documents::default();
        let split = Documents { manifest: manifest(), ..Documents::default() };
        for (documents, loaded, has_failed, is_dead, expected) in [
            (&begun, 0, false, false, State::Splitting),
            (&begun, 0, true, false, State::Failed),
            (&begun, 0, true, true, State::Dead),
            (&split, 0, false, false, State::Waiting),
            (&split, 1, false, false, State::Loading),
            (&split, 1, true, false, State::Failed),
            (&split, 1, false, true, State::Dead),
        ] {
            assert_eq!(documents.state(loaded, has_failed, is_dead), expected);
        }
        for (by, expected) in [("", State::Undone), (r#","replaced_by":"x-2""#, State::Replaced)] {
            let documents = Documents { undone: Some(undone(by)), manifest: manifest(), ..Documents::default() };
            assert_eq!(documents.state(1, true, true), expected);
        }
        let given_up = LoadFailure { version: 1, chunks: 0, reason: "r".to_owned() };
        let documents = Documents { failure: Some(given_up.clone()), ..Documents::default() };
        assert!(documents.failure().is_some());
        let documents = Documents { failure: Some(given_up), manifest: manifest(), ..Documents::default() };
        assert!(documents.failure().is_none(), "it was split to its end since");
    }
}
