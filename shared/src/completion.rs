//! The end of a job: its receipt, and the notice of it.

use serde::{Deserialize, Serialize};

use crate::drops::note_replaced;
use crate::expectations::{ExpectationResults, Expectations};
use crate::job::Job;
use crate::manifest::Manifest;
use crate::notice::{Notice, NoticeError, Topic};
use crate::reading::Reading;
use crate::receipt::{ChunkReceipt, Receipt, Rows};
use crate::row_hash::RowHash;
use crate::run::Run;
use crate::storage::{PutMode, Storage, StorageError, get_json, put_json, try_get_json};
use crate::work_area::WorkArea;

/// Why a job could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// The store of receipts did not do its work.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The receipt is there, and the notice of it is not sent.
    #[error(transparent)]
    Notice(#[from] NoticeError),
}

/// Says in the work area that the notice was sent.
#[derive(Debug, Serialize, Deserialize)]
struct Noticed {
    /// Version of this document, 1.
    version: u32,
    /// ARN of the topic.
    topic: String,
}

/// Completes jobs: writes receipts, and sends notices of them to a topic, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    /// Store of work areas.
    pub storage: &'a dyn Storage,
    /// Where notices go.
    pub topic: Option<&'a dyn Topic>,
}

impl Completion<'_> {
    /// Writes the receipt when the job is split and every chunk has its own, and sends the notice; `None` while something is
    /// outstanding.
    ///
    /// The splitter calls this after the manifest, a worker after each chunk receipt. Whichever of the last two documents
    /// comes later, its writer sees the other one, so no race leaves a finished job without a receipt; put-if-absent makes
    /// it one. Whoever wrote it sends the notice. If that fails, or its process dies before, its message comes again, and
    /// whoever takes it calls [`Self::ensure_complete`].
    pub async fn complete(&self, area: &WorkArea) -> Result<Option<Receipt>, CompletionError> {
        if let Some(receipt) = self.receipt(area).await? {
            return Ok(Some(receipt));
        }
        let Some(receipt) = self.assemble(area).await? else { return Ok(None) };
        let (receipt, is_ours) = match put_json(self.storage, &area.receipt(), &receipt, PutMode::IfAbsent).await {
            Ok(()) => (receipt, true),
            // The store may have repeated a put of ours that had succeeded: only what is there tells whose it is.
            Err(StorageError::AlreadyExists { .. }) => {
                let there: Receipt = get_json(self.storage, &area.receipt(), "receipt").await?;
                let is_ours = there.writer == receipt.writer;
                (there, is_ours)
            }
            Err(error) => return Err(error.into()),
        };
        if is_ours {
            self.send(area, &receipt).await?;
        }
        Ok(Some(receipt))
    }

    /// As [`Self::complete`], for whoever comes by later: sends the notice too if nobody has noted that it was sent. Twice, when
    /// whoever sends it has not come to noting it.
    pub async fn ensure_complete(&self, area: &WorkArea) -> Result<Option<Receipt>, CompletionError> {
        let Some(receipt) = self.receipt(area).await? else { return self.complete(area).await };
        let noticed = async { try_get_json::<Noticed>(self.storage, &area.noticed(), "note of a notice").await };
        if receipt.is_noticed && self.topic.is_some() && noticed.await?.is_none() {
            self.send(area, &receipt).await?;
        }
        Ok(Some(receipt))
    }

    async fn receipt(&self, area: &WorkArea) -> Result<Option<Receipt>, StorageError> {
        try_get_json(self.storage, &area.receipt(), "receipt").await
    }

    /// The receipt of a job that is at its end; none while something is outstanding.
    async fn assemble(&self, area: &WorkArea) -> Result<Option<Receipt>, StorageError> {
        let storage = self.storage;
        let Some(manifest) = try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? else {
            return Ok(None);
        };
        let loaded = storage.list(&area.loaded()).await?;
        if loaded.iter().filter(|at| WorkArea::index_of(&at.location).is_some()).count() < manifest.chunks.len() {
            return Ok(None);
        }
        let job: Job = get_json(storage, &area.job(), "job").await?;
        // So that whoever sees the receipt sees that too.
        note_replaced(storage, area, &job).await?;
        let Manifest { quarantined, shortened, .. } = manifest;
        let mut rows = Rows { read: quarantined, quarantined, shortened, ..Rows::default() };
        let (mut row_hash, mut table_version, mut attempts) = (Some(RowHash::default()), None, None);
        let mut expectations = job.load.expectations.as_ref().map(Expectations::no_results);
        for chunk in &manifest.chunks {
            let at = area.chunk_receipt(chunk.index);
            let Some(receipt) = try_get_json::<ChunkReceipt>(storage, &at, "chunk receipt").await? else {
                return Ok(None);
            };
            rows += receipt.rows;
            add_results(expectations.as_mut(), receipt.expectations.as_ref());
            row_hash = RowHash::sum(row_hash, receipt.row_hash);
            table_version = table_version.max(receipt.table_version);
            attempts = attempts.max(receipt.attempts);
        }
        check_balance(rows, manifest.records, area)?;
        let reading = Reading::of(&job, manifest.lines);
        let attempts = attempts.unwrap_or_default();
        let run = manifest.run.map(|split| Run::until_now(split.started, split.attempts.max(attempts), split.bytes));
        Ok(Some(Receipt {
            version: 1,
            job_id: manifest.job_id,
            source: job.source.uri,
            table: job.table,
            rows,
            row_hash,
            chunks: u32::try_from(manifest.chunks.len()).unwrap_or(u32::MAX),
            table_version,
            writer: uuid::Uuid::new_v4().to_string(),
            is_noticed: job.is_noticed || self.topic.is_some(),
            route: job.route,
            expectations,
            reading,
            run,
        }))
    }

    async fn send(&self, area: &WorkArea, receipt: &Receipt) -> Result<(), CompletionError> {
        let Some(topic) = self.topic else { return Ok(()) };
        topic.publish(&Notice::of(receipt)).await?;
        let noticed = Noticed { version: 1, topic: topic.arn().to_owned() };
        match put_json(self.storage, &area.noticed(), &noticed, PutMode::IfAbsent).await {
            Ok(()) | Err(StorageError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Every record that was read is accounted for.
fn check_balance(rows: Rows, records: u64, area: &WorkArea) -> Result<(), StorageError> {
    if rows.read == records && rows.balance() {
        return Ok(());
    }
    let text = format!("{records} records were read and {rows:?} are accounted for");
    Err(StorageError::Malformed { at: area.loaded(), what: "set of chunk receipts", source: text.into() })
}

/// Adds what came of the rows of a chunk by expectations.
fn add_results(all: Option<&mut ExpectationResults>, of_chunk: Option<&ExpectationResults>) {
    if let (Some(all), Some(of_chunk)) = (all, of_chunk) {
        *all += of_chunk;
    }
}
