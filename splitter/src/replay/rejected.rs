//! Rejected records, as they are kept beside their job: read back, of splitter and worker alike.

use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::{Location, RejectedRecord, SourceObject, Storage, StorageError};
use tokio::sync::mpsc;

use crate::source::ranged_file::RangedFile;

/// Records that are decoded at once.
const AT_ONCE: usize = 64;

/// The rejected records of one object of a quarantine, a few at a time.
pub async fn rejected(
    storage: &Arc<dyn Storage>,
    at: &Location,
) -> Result<mpsc::Receiver<Result<Vec<RejectedRecord>, StorageError>>, StorageError> {
    let object = SourceObject::look_up(storage.as_ref(), at).await?;
    let file = RangedFile::new(Arc::clone(storage), object, Arc::default());
    let (sender, receiver) = mpsc::channel(1);
    let at = at.clone();
    tokio::task::spawn_blocking(move || {
        let malformed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let damaged = StorageError::Malformed { at: at.clone(), what: "file of rejected records", source: error };
            file.store_failure().unwrap_or(damaged)
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone());
        let reader = match reader.and_then(|reader| reader.with_batch_size(AT_ONCE).build()) {
            Ok(reader) => reader,
            // Without a receiver, nobody needs the error.
            Err(error) => return drop(sender.blocking_send(Err(malformed(error.into())))),
        };
        for batch in reader {
            let records = match batch {
                Ok(batch) => RejectedRecord::of(&batch).ok_or_else(|| malformed("columns are missing".into())),
                Err(error) => Err(malformed(error.into())),
            };
            let is_last = records.is_err();
            if sender.blocking_send(records).is_err() || is_last {
                return;
            }
        }
    });
    Ok(receiver)
}
