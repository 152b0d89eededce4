//! The text of a replay: rejected records one after the other, as they stood in their source.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use shared::{
    Dialect, Job, Location, Manifest, Policy, Progress, QuarantineEntry, RejectedRecord, Storage, StorageError,
    WorkArea, get_json,
};
use tokio::sync::mpsc;

use crate::context::SplitContext;
use crate::error::SplitError;
use crate::records::format::format;
use crate::records::framer::{Framer, UNTERMINATED_BYTES};
use crate::records::record_ends::byte;
use crate::records::unterminated::is_unterminated;
use crate::replay::rejected::rejected;
use crate::text::{Piece, Pieces};
use crate::value;

/// Bytes of a piece, more or less.
const PIECE_BYTES: usize = 1 << 20;

/// Which rejected records can be read again.
#[derive(Clone, Debug)]
pub(super) struct ReplayFilter {
    dialect: Dialect,
    /// Whether undecodable bytes of records stand among text that was transcoded.
    was_transcoded: bool,
    /// Longest record that the reader takes.
    max_record_bytes: usize,
}

/// Whether a record can be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replayable {
    Yes,
    /// What is kept of it may be a part.
    Partial,
    Undecodable,
}

impl ReplayFilter {
    /// For records that were rejected by one policy and are to be read by another; none where these are not text.
    pub(super) fn new(rejected_by: &Policy, read_by: &Policy) -> Option<Self> {
        let dialect = format(read_by)?.dialect().clone();
        let max_record_bytes = usize::try_from(read_by.max_record_bytes).unwrap_or(usize::MAX);
        Some(Self { dialect, was_transcoded: !rejected_by.text.encoding.is_utf_8(), max_record_bytes })
    }

    pub(super) fn check(&self, record: &RejectedRecord) -> Replayable {
        let is_undecodable = record.reason == value::UNDECODABLE || std::str::from_utf8(&record.raw).is_err();
        if self.was_transcoded && is_undecodable {
            Replayable::Undecodable
        } else if (is_unterminated(&record.reason) && record.raw.len() >= UNTERMINATED_BYTES)
            || !self.is_one_record(&record.raw)
        {
            Replayable::Partial
        } else {
            Replayable::Yes
        }
    }

    /// Whether a text is exactly one record of the dialect.
    fn is_one_record(&self, raw: &[u8]) -> bool {
        // What is too long for the reader, it would take for several records.
        if raw.is_empty() || raw.len() > self.max_record_bytes || self.dialect.comment.map(byte).as_ref() == raw.first()
        {
            return false;
        }
        let mut framer = Framer::new(&self.dialect, 1, raw.len() + 1, 0);
        framer.push([raw, &[self.record_end()]].concat().into());
        let first = framer.next_block().or_else(|| framer.last_block());
        first.is_some_and(|block| block.unterminated.is_empty() && block.text.len() == raw.len() + 1)
    }

    fn record_end(&self) -> u8 {
        self.dialect.terminator.map_or(b'\n', byte)
    }

    fn append(&self, record: &RejectedRecord, text: &mut Vec<u8>) {
        text.extend_from_slice(&record.raw);
        text.push(self.record_end());
    }
}

/// Bytes that a record has in the text, its end included.
pub(super) fn text_bytes(record: &RejectedRecord) -> usize {
    record.raw.len() + 1
}

/// The records of a quarantine, a few at a time, in the order of the source.
pub(super) fn records(
    storage: &Arc<dyn Storage>,
    area: &WorkArea,
    entries: Vec<QuarantineEntry>,
) -> mpsc::Receiver<Result<Vec<RejectedRecord>, StorageError>> {
    let (sender, receiver) = mpsc::channel(1);
    let (storage, area) = (Arc::clone(storage), area.clone());
    tokio::spawn(async move {
        for entry in entries {
            if let Err(error) = send(&storage, &area, &entry, &sender).await {
                // Without a receiver, nobody needs the error.
                return drop(sender.send(Err(error)).await);
            }
        }
    });
    receiver
}

type Sender = mpsc::Sender<Result<Vec<RejectedRecord>, StorageError>>;

/// Sends the records of one object, and checks their number.
async fn send(
    storage: &Arc<dyn Storage>,
    area: &WorkArea,
    entry: &QuarantineEntry,
    sender: &Sender,
) -> Result<(), StorageError> {
    let at: Location = area.root().join(&entry.key);
    let mut read = rejected(storage, &at).await?;
    let mut count = 0;
    while let Some(next) = read.recv().await {
        let next = next?;
        count += u64::try_from(next.len()).unwrap_or_default();
        if sender.send(Ok(next)).await.is_err() {
            return Ok(());
        }
    }
    if count == entry.records {
        return Ok(());
    }
    let text = format!("it has {count} records, and {} by the manifest", entry.records);
    Err(StorageError::Malformed { at, what: "file of rejected records", source: text.into() })
}

/// The text, read by `policy`, of what the job `of`, whose work area is `area`, rejected; from a byte on.
pub(crate) fn pieces(context: &SplitContext, of: &Job, area: &WorkArea, policy: &Policy, from: u64) -> Pieces {
    let (storage, progress, area) = (Arc::clone(&context.storage), Arc::clone(&context.progress), area.clone());
    let filter = ReplayFilter::new(&of.policy, policy);
    let opened = async move {
        let manifest: Manifest = get_json(storage.as_ref(), &area.manifest(), "manifest").await?;
        let entries = if filter.is_some() { manifest.quarantine } else { Vec::new() };
        let records = records(&storage, &area, entries);
        Ok::<_, StorageError>(Text { records, filter, to_skip: from, progress })
    };
    let text = stream::once(opened).map_ok(|text| stream::try_unfold(text, Text::next)).try_flatten();
    Box::pin(text.map_err(SplitError::WorkArea))
}

/// A text that is being made.
struct Text {
    records: mpsc::Receiver<Result<Vec<RejectedRecord>, StorageError>>,
    filter: Option<ReplayFilter>,
    /// Bytes at the start that are not wanted.
    to_skip: u64,
    progress: Arc<Progress>,
}

impl Text {
    async fn next(mut self) -> Result<Option<(Piece, Self)>, StorageError> {
        let mut text = Vec::new();
        while text.len() < PIECE_BYTES {
            let Some(next) = self.records.recv().await else { break };
            for record in next? {
                if let Some(filter) = self.filter.as_ref().filter(|filter| filter.check(&record) == Replayable::Yes) {
                    filter.append(&record, &mut text);
                }
            }
            let unwanted = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(text.len());
            text.drain(..unwanted);
            self.to_skip -= u64::try_from(unwanted).unwrap_or_default();
        }
        if text.is_empty() {
            return Ok(None);
        }
        self.progress.bytes_read.add(u64::try_from(text.len()).unwrap_or_default());
        Ok(Some((Piece { text: Bytes::from(text), resume_point: None }, self)))
    }
}
