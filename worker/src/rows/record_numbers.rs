//! The number of the record that each row of a chunk is.
//!
//! A chunk has the records that the splitter took, in their order. Which it rejected stands in the quarantine, and that of a chunk and of
//! those before it is stored before the chunk is announced.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::{Checkpoint, ChunkEntry, Location, Manifest, Storage, StorageError, WorkArea, try_get_json};

use crate::chunk::{AssignedChunk, Origin};
use crate::error::LoadError;

/// Numbers the rows of a chunk in their order.
#[derive(Debug, Default)]
pub(crate) struct RecordNumbers {
    /// The number of the record before the next one.
    last: u64,
    /// Rows of the chunk that were numbered, or set aside.
    rows: u64,
    /// Numbers of records that were rejected, from the next one on.
    rejected: Vec<u64>,
    /// How many of these were passed.
    passed: usize,
}

impl RecordNumbers {
    /// Those of a chunk with so many rows. A file without a job has its rows for records.
    pub(crate) async fn of(storage: &dyn Storage, chunk: &AssignedChunk, rows: u64) -> Result<Self, LoadError> {
        let Some(Origin { identity, area, .. }) = &chunk.origin else { return Ok(Self::default()) };
        let before = rows_before(storage, area, identity.index).await?;
        let before = before.ok_or_else(|| LoadError::Damaged {
            chunk: chunk.at.clone(),
            reason: "the rows of the chunks before it are not known, and with them its record numbers".to_owned(),
        })?;
        let mut numbers = Self { last: before, ..Self::default() };
        for at in rejects(storage, area, identity.index).await? {
            for number in read(storage, &at).await? {
                // As long as the record that the row would be is a rejected one, it is the one after that.
                if number <= numbers.last + 1 {
                    numbers.last += 1;
                } else if number <= numbers.last + rows + u64::try_from(numbers.rejected.len()).unwrap_or(u64::MAX) {
                    numbers.rejected.push(number);
                }
            }
        }
        Ok(numbers)
    }

    /// The numbers of the next rows; `set_aside` has the places of rows of the chunk, from 1, that are in no batch, in their order.
    pub(crate) fn next(&mut self, rows: usize, set_aside: &[u64]) -> ArrayRef {
        let numbers = (0..rows).map(|_| {
            loop {
                self.rows += 1;
                let record = self.record();
                if set_aside.binary_search(&self.rows).is_err() {
                    return i64::try_from(record).unwrap_or(i64::MAX);
                }
            }
        });
        Arc::new(numbers.collect::<Int64Array>())
    }

    fn record(&mut self) -> u64 {
        self.last += 1;
        while self.rejected.get(self.passed) == Some(&self.last) {
            self.passed += 1;
            self.last += 1;
        }
        self.last
    }
}

/// Rows of the chunks before one; none where that is not noted.
async fn rows_before(storage: &dyn Storage, area: &WorkArea, index: u32) -> Result<Option<u64>, StorageError> {
    if index == 0 {
        return Ok(Some(0));
    }
    let chunks = match try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? {
        Some(manifest) => manifest.chunks,
        None => {
            let checkpoint = try_get_json::<Checkpoint>(storage, &area.checkpoint(), "checkpoint").await?;
            checkpoint.unwrap_or_default().chunks
        }
    };
    let before: Vec<&ChunkEntry> = chunks.iter().filter(|chunk| chunk.index < index).collect();
    let is_known = u32::try_from(before.len()).is_ok_and(|count| count == index);
    Ok(is_known.then(|| before.iter().map(|chunk| chunk.rows).sum()))
}

/// Objects with the records that were rejected while a chunk, or one before it, was made, in the order of the source.
async fn rejects(storage: &dyn Storage, area: &WorkArea, index: u32) -> Result<Vec<Location>, StorageError> {
    let mut objects: Vec<((u32, u32), Location)> = Vec::new();
    for listed in storage.list(&area.quarantine()).await? {
        let name = listed.location.name();
        let numbers = name.strip_prefix("split-").and_then(|rest| rest.strip_suffix(".parquet")?.split_once('-'));
        let numbers = numbers.and_then(|(chunk, part)| Some((chunk.parse().ok()?, part.parse().ok()?)));
        if let Some(numbers) = numbers.filter(|(chunk, _)| *chunk <= index) {
            objects.push((numbers, listed.location));
        }
    }
    objects.sort();
    Ok(objects.into_iter().map(|(_, at)| at).collect())
}

/// The numbers of rejected records in an object.
async fn read(storage: &dyn Storage, at: &Location) -> Result<Vec<u64>, LoadError> {
    let malformed = |source: Box<dyn std::error::Error + Send + Sync>| StorageError::Malformed {
        at: at.clone(),
        what: "object of rejected records",
        source,
    };
    let bytes = storage.get(at).await?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| malformed(error.into()))?;
    let first = ProjectionMask::roots(reader.parquet_schema(), [0]);
    let reader = reader.with_projection(first).build().map_err(|error| malformed(error.into()))?;
    let mut numbers = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| malformed(error.into()))?;
        let column = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>().cloned());
        let column = column.ok_or_else(|| malformed("it has no record numbers".into()))?;
        numbers.extend(column.values().iter().filter_map(|number| u64::try_from(*number).ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(numbers: &mut RecordNumbers, rows: usize, set_aside: &[u64]) -> Vec<i64> {
        numbers.next(rows, set_aside).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rejected_records_have_numbers_and_no_rows() {
        let mut numbers = RecordNumbers { last: 10, rejected: vec![12, 13, 16], ..RecordNumbers::default() };
        assert_eq!(next(&mut numbers, 2, &[]), [11, 14]);
        assert_eq!(next(&mut numbers, 3, &[]), [15, 17, 18]);
    }

    #[test]
    fn rows_that_cannot_be_decoded_keep_their_numbers() {
        let mut numbers = RecordNumbers::default();
        assert_eq!(next(&mut numbers, 2, &[2, 5]), [1, 3]);
        assert_eq!(next(&mut numbers, 2, &[2, 5]), [4, 6]);
    }
}
