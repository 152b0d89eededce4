//! The number of the record that each row of a chunk is.
//!
//! A chunk has the records that the splitter took, in their order. Which it rejected stands in the quarantine, and that of a chunk and of
//! those before it is stored before the chunk is announced.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::{
    Checkpoint, ChunkEntry, Location, Manifest, QuarantineEntry, Storage, StorageError, WorkArea, try_get_json,
};

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
        let (chunks, quarantine) = noted(storage, area).await?;
        let before = rows_before(&chunks, identity.index).ok_or_else(|| LoadError::Damaged {
            chunk: chunk.at.clone(),
            reason: "the rows of the chunks before it are not known, and with them its record numbers".to_owned(),
        })?;
        let (earlier, own) = rejects(storage, area, identity.index, (chunks.as_slice(), quarantine.as_slice())).await?;
        let mut rejected: Vec<u64> = Vec::new();
        for object in &own {
            rejected.extend(read(storage, object).await?);
        }
        // Records that were rejected while an earlier chunk was made may lie in this one. Where one lies before it, so do all before that,
        // and their count will do.
        let mut counted = earlier.iter().filter_map(|object| object.records).fold(0, u64::saturating_add);
        for object in earlier.iter().rev() {
            if rejected.first().is_some_and(|first| first.saturating_sub(counted) <= before.saturating_add(1)) {
                break;
            }
            let mut of_object = read(storage, object).await?;
            counted = counted.saturating_sub(object.records.unwrap_or_default());
            of_object.append(&mut rejected);
            rejected = of_object;
        }
        Ok(Self::after(before.saturating_add(counted), rows, rejected))
    }

    /// Those of so many rows after records of which these were rejected.
    fn after(last: u64, rows: u64, rejected: Vec<u64>) -> Self {
        let mut numbers = Self { last, ..Self::default() };
        for number in rejected {
            // As long as the record that the row would be is a rejected one, it is the one after that.
            if number <= numbers.last + 1 {
                numbers.last += 1;
            } else if number <= numbers.last + rows + u64::try_from(numbers.rejected.len()).unwrap_or(u64::MAX) {
                numbers.rejected.push(number);
            }
        }
        numbers
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

/// The chunks, and the objects with rejected records, that are noted of a job: in the end, or so far.
async fn noted(
    storage: &dyn Storage,
    area: &WorkArea,
) -> Result<(Vec<ChunkEntry>, Vec<QuarantineEntry>), StorageError> {
    if let Some(manifest) = try_get_json::<Manifest>(storage, &area.manifest(), "manifest").await? {
        return Ok((manifest.chunks, manifest.quarantine));
    }
    let checkpoint = try_get_json::<Checkpoint>(storage, &area.checkpoint(), "checkpoint").await?.unwrap_or_default();
    Ok((checkpoint.chunks, checkpoint.quarantine))
}

/// Rows of the chunks before one; none where that is not noted.
fn rows_before(chunks: &[ChunkEntry], index: u32) -> Option<u64> {
    let before: Vec<&ChunkEntry> = chunks.iter().filter(|chunk| chunk.index < index).collect();
    let is_known = u32::try_from(before.len()).is_ok_and(|count| count == index);
    is_known.then(|| before.iter().map(|chunk| chunk.rows).sum())
}

/// An object with records that were rejected while a chunk was made.
#[derive(Debug)]
struct Rejects {
    /// The chunk, and the number of the object among those of the chunk.
    place: (u32, u32),
    at: Location,
    /// How many records it has, if that is noted.
    records: Option<u64>,
}

/// The chunk and the part that the name of an object with rejected records says.
fn place(name: &str) -> Option<(u32, u32)> {
    let (chunk, part) = name.strip_prefix("split-")?.strip_suffix(".parquet")?.split_once('-')?;
    Some((chunk.parse().ok()?, part.parse().ok()?))
}

/// Those of the chunks before one, and those of this one, each in the order of the source. Those of chunks that are noted are noted, too;
/// only for a chunk that is not noted yet is it looked up what is there.
async fn rejects(
    storage: &dyn Storage,
    area: &WorkArea,
    index: u32,
    (chunks, quarantine): (&[ChunkEntry], &[QuarantineEntry]),
) -> Result<(Vec<Rejects>, Vec<Rejects>), StorageError> {
    let (mut earlier, mut own) = (Vec::new(), Vec::new());
    let is_noted = chunks.iter().any(|chunk| chunk.index == index);
    for entry in quarantine {
        let at = area.root().join(&entry.key);
        let Some(place) = place(at.name()) else { continue };
        let of_chunk = Rejects { place, at, records: Some(entry.records) };
        if place.0 < index {
            earlier.push(of_chunk);
        } else if place.0 == index && is_noted {
            own.push(of_chunk);
        }
    }
    if !is_noted {
        for listed in storage.list(&area.quarantine()).await? {
            if let Some(place) = place(listed.location.name()).filter(|(chunk, _)| *chunk == index) {
                own.push(Rejects { place, at: listed.location, records: None });
            }
        }
    }
    earlier.sort_by_key(|rejects| rejects.place);
    own.sort_by_key(|rejects| rejects.place);
    Ok((earlier, own))
}

/// The numbers of rejected records in an object, which has as many as are noted.
async fn read(storage: &dyn Storage, object: &Rejects) -> Result<Vec<u64>, LoadError> {
    let at = &object.at;
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
    let found = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
    match object.records {
        Some(records) if records != found => {
            Err(malformed(format!("it has {found} records instead of {records}").into()).into())
        }
        _ => Ok(numbers),
    }
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
