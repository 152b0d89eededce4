//! Rejected records, as they are kept beside their job: read back, of splitter and worker alike.

use std::error::Error;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use shared::{Location, RejectedRecord, SourceObject, Storage, StorageError};
use tokio::sync::mpsc;

use crate::source::ranged_file::RangedFile;

/// Records that are decoded at once, all of one row group. Writers end a row group after a few MiB, so that long records come one by one.
const AT_ONCE: usize = 64;

type Records = Result<Vec<RejectedRecord>, StorageError>;

/// The rejected records of one object of a quarantine, a few at a time.
pub async fn rejected(storage: &Arc<dyn Storage>, at: &Location) -> Result<mpsc::Receiver<Records>, StorageError> {
    let object = SourceObject::look_up(storage.as_ref(), at).await?;
    let file = RangedFile::new(Arc::clone(storage), object, Arc::default());
    let (sender, receiver) = mpsc::channel(1);
    let at = at.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(source) = send(&file, &sender) {
            let damaged = StorageError::Malformed { at, what: "file of rejected records", source };
            // Without a receiver, nobody needs the error.
            drop(sender.blocking_send(Err(file.store_failure().unwrap_or(damaged))));
        }
    });
    Ok(receiver)
}

/// Sends the records of a file, as long as there is a receiver.
fn send(file: &RangedFile, sender: &mpsc::Sender<Records>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::default())?;
    for row_group in 0..metadata.metadata().num_row_groups() {
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone());
        for batch in reader.with_row_groups(vec![row_group]).with_batch_size(AT_ONCE).build()? {
            let records = RejectedRecord::of(&batch?).ok_or("columns are missing")?;
            if sender.blocking_send(Ok(records)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::arrow::ArrowWriter;
    use shared::testing::MemoryStorage;
    use shared::{PutMode, RejectedRecords};

    use super::*;

    #[tokio::test]
    async fn at_most_64_records_of_one_row_group_are_held() {
        let mut writer = ArrowWriter::try_new(Vec::new(), shared::rejected_schema(), None).unwrap();
        for row_group in [150_u64, 50] {
            let mut records = RejectedRecords::default();
            (0..row_group).for_each(|number| records.add(number, Some(number), None, "reason", b"raw"));
            writer.write(&records.finish().unwrap()).unwrap();
            writer.flush().unwrap();
        }
        let storage = MemoryStorage::default();
        let at: Location = "s3://b/split-00000-000.parquet".parse().unwrap();
        storage.put(&at, writer.into_inner().unwrap().into(), PutMode::Overwrite).await.unwrap();
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let mut records = rejected(&storage, &at).await.unwrap();
        // One batch waits, and one more is decoded.
        assert_eq!(records.max_capacity(), 1);
        let mut held = Vec::new();
        while let Some(batch) = records.recv().await {
            held.push(batch.unwrap().len());
        }
        assert_eq!(held, [64, 64, 22, 50]);
    }
}
