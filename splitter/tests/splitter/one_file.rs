//! One file, split in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::testing::MemoryStorage;
use shared::{Progress, PutMode, RejectedRecord, Settings, Storage};
use splitter::{Plan, SplitContext, SplitError, SplitOutcome, plan, rejected, split};

use crate::properties::at;

/// Settings of which some are told.
pub(crate) fn settings(told: &[(&str, &str)]) -> Settings {
    Settings::from_lookup(|name| told.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        .unwrap()
}

/// What came of a file.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) outcome: SplitOutcome,
    storage: Arc<dyn Storage>,
}

async fn drop_file(file: Bytes, settings: Settings) -> SplitContext {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    storage.put(&at("source"), file, PutMode::Overwrite).await.unwrap();
    SplitContext {
        storage,
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings,
        threads: 2,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    }
}

/// Splits a file that is named `source`.
pub(crate) async fn split_file(file: impl Into<Bytes>, settings: Settings) -> Result<Split, SplitError> {
    let context = drop_file(file.into(), settings).await;
    let outcome = split(&context, &at("source")).await?;
    Ok(Split { outcome, storage: context.storage })
}

/// Says what would become of a file that is named `source`.
pub(crate) async fn plan_file(file: impl Into<Bytes>, settings: Settings) -> Result<Plan, SplitError> {
    plan(&drop_file(file.into(), settings).await, &at("source")).await
}

impl Split {
    /// The rows of all chunks, in order; the error is that of the Parquet reader.
    pub(crate) async fn rows(&self) -> Result<Vec<RecordBatch>, String> {
        let mut rows = Vec::new();
        for chunk in &self.outcome.manifest.chunks {
            rows.extend(read(self.storage.get(&self.outcome.area.chunk(chunk.index)).await.unwrap())?);
        }
        Ok(rows)
    }

    /// The rejected records, in order.
    pub(crate) async fn rejects(&self) -> Vec<RejectedRecord> {
        let mut rejects = Vec::new();
        for part in &self.outcome.manifest.quarantine {
            let mut records = rejected(&self.storage, &self.outcome.area.root().join(&part.key)).await.unwrap();
            while let Some(more) = records.recv().await {
                rejects.extend(more.unwrap());
            }
        }
        rejects
    }
}

/// The rows of a Parquet file, by a plain reader.
pub(crate) fn read(file: Bytes) -> Result<Vec<RecordBatch>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    let rows = reader.map_err(|error| error.to_string())?;
    rows.map(|batch| batch.map_err(|error| error.to_string().replace("Parquet argument error: ", ""))).collect()
}
