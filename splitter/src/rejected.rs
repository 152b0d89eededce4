//! Rejected records, as they are kept beside their job: read back, of splitter and worker alike.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::{Location, SourceObject, Storage, StorageError};
use tokio::sync::mpsc;

use crate::ranged_file::RangedFile;

/// Records that are decoded at once.
const AT_ONCE: usize = 64;

/// One rejected record, or one rejected row of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its number from 1: in the source without the header, or among the rows of its chunk.
    pub number: u64,
    /// Byte offset of its first byte in the text of the source; none for rows of chunks.
    pub byte_offset: Option<u64>,
    /// Name of the column whose value does not fit, where it is one.
    pub column: Option<String>,
    /// Why it was rejected.
    pub reason: String,
    /// The record as it stands in the text, without its line end; a row of a chunk as JSON.
    pub raw: Vec<u8>,
}

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
            // Nobody listening means that nobody wants to know.
            Err(error) => return drop(sender.blocking_send(Err(malformed(error.into())))),
        };
        for batch in reader {
            let records = match batch {
                Ok(batch) => records(&batch).ok_or_else(|| malformed("columns are missing".into())),
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

/// None when it has other columns.
fn records(batch: &RecordBatch) -> Option<Vec<RejectedRecord>> {
    let numbers = batch.column_by_name("record_number")?.as_primitive_opt::<Int64Type>()?;
    let offsets = batch.column_by_name("byte_offset")?.as_primitive_opt::<Int64Type>()?;
    let columns = batch.column_by_name("column")?.as_string_opt::<i32>()?;
    let reasons = batch.column_by_name("reason")?.as_string_opt::<i32>()?;
    let raws = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
    let record = |row| RejectedRecord {
        number: u64::try_from(numbers.value(row)).unwrap_or_default(),
        byte_offset: offsets.is_valid(row).then(|| u64::try_from(offsets.value(row)).unwrap_or_default()),
        column: columns.is_valid(row).then(|| columns.value(row).to_owned()),
        reason: reasons.value(row).to_owned(),
        raw: raws.value(row).to_vec(),
    };
    Some((0..batch.num_rows()).map(record).collect())
}
