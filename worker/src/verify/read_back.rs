//! The rows of a job, as the data files of its table have them.
#![expect(
    deprecated,
    reason = "nothing else in the library gives the tags of a file, nor reads Parquet from its store"
)]

use std::collections::BTreeSet;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use deltalake::kernel::LogicalFileView;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::{DeltaTableError, ObjectStoreError};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetObjectReader;
use shared::checksum::Checksum;
use shared::{JobId, Memory};

use super::tally::{ByChunk, Tally};
use crate::delta::deletions::{deleted_rows, without};
use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::{CHECKSUM_TAG, chunk_of, is_merged, is_of};
use crate::error::LoadError;
use crate::fetch::data_file::StoredFile;
use crate::rows::of_table::{as_in_table, partition_values};
use crate::rows::row_hash::row_hash;
use crate::schema::write_schema::WriteSchema;

/// Data files that are read at once.
const AT_ONCE: usize = 4;

/// What was read back of a job.
#[derive(Debug, Default)]
pub(super) struct ReadBack {
    /// What the table has.
    pub(super) found: ByChunk,
    /// What its files hold: that, and the rows that deletion vectors take out.
    pub(super) stored: ByChunk,
    /// The files.
    pub(super) paths: BTreeSet<String>,
}

impl ReadBack {
    /// Reads all data files of a job; those that are to be a chunk as it was by their bytes alone.
    pub(super) async fn of(
        snapshot: &TableSnapshot,
        job: &JobId,
        expected: &ByChunk,
        memory: &Memory,
    ) -> Result<Self, LoadError> {
        let mut all = Self::default();
        let Some(state) = snapshot.state() else { return Ok(all) };
        let failed = |error| LoadError::table(snapshot.table().uri(), "read the schema of", error);
        let write_schema = &WriteSchema::of(state).map_err(failed)?;
        let mut files = Vec::new();
        for view in state.log_data().iter() {
            let add = view.add_action();
            if let Some(chunk) = chunk_of(&add).filter(|chunk| is_of(chunk, job)) {
                let tag = add.tags.as_ref().and_then(|tags| tags.get(CHECKSUM_TAG)?.clone());
                let is_chunk = tag.is_some() && tag == expected.get(chunk).and_then(|chunk| chunk.checksum.clone());
                files.push((chunk.to_owned(), view, is_chunk));
                all.paths.insert(add.path);
            }
        }
        // Once some are merged, the sums tell, and bytes have none.
        let is_merged = files.iter().any(|(chunk, ..)| is_merged(chunk));
        let reads = files.into_iter().map(|(chunk, view, is_chunk)| async move {
            let (found, stored) = if is_chunk && !is_merged {
                let stored = read_bytes(snapshot, &view).await?;
                let deleted = view.deletion_vector_descriptor().map_or(0, |deleted| deleted.cardinality);
                let rows = stored.rows.saturating_sub(u64::try_from(deleted).unwrap_or_default());
                (Tally { rows, ..stored.clone() }, stored)
            } else {
                read_file(snapshot, write_schema, &view, memory).await?
            };
            Ok::<_, LoadError>((chunk, found, stored))
        });
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some((chunk, found, stored)) = reads.try_next().await? {
            all.found.entry(chunk.clone()).or_default().add(found);
            all.stored.entry(chunk).or_default().add(stored);
        }
        Ok(all)
    }
}

/// The bytes of a file that is a chunk as it was. They are those of the receipt, or their rows are not to be counted on.
async fn read_bytes(snapshot: &TableSnapshot, view: &LogicalFileView) -> Result<Tally, LoadError> {
    let mut checksum = Checksum::default();
    let read = async {
        let mut pieces = snapshot.table().object_store().get(&view.object_store_path()).await?.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            checksum.update(&piece);
        }
        Ok::<_, ObjectStoreError>(())
    };
    read.await.map_err(|error| unread(snapshot, view, &error.into()))?;
    let mut reader = ParquetObjectReader::new(snapshot.table().object_store(), view.object_store_path());
    let footer = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await;
    let footer = footer.map_err(|error| unread(snapshot, view, &error.into()))?;
    let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or_default();
    Ok(Tally { rows, row_hash: None, checksum: Some(checksum.text()) })
}

fn unread(snapshot: &TableSnapshot, view: &LogicalFileView, error: &DeltaTableError) -> LoadError {
    let source = DeltaTableError::Generic(format!("{}: {}", view.path(), shared::error_chain(error)));
    LoadError::table(snapshot.table().uri(), "read back a data file of", source)
}

/// The rows of one file that are in the table; and all of them, those that a deletion vector takes out included.
async fn read_file(
    snapshot: &TableSnapshot,
    write_schema: &WriteSchema,
    view: &LogicalFileView,
    memory: &Memory,
) -> Result<(Tally, Tally), LoadError> {
    let failed = |error: DeltaTableError| unread(snapshot, view, &error);
    let file = StoredFile::open(snapshot.table(), view.object_store_path(), memory).await.map_err(failed)?;
    let _share = file.take_memory(|_| 0).await?;
    let constants = partition_values(write_schema, &view.partition_values_map()).map_err(failed)?;
    let vector = view.deletion_vector_descriptor();
    let deleted = deleted_rows(snapshot.table(), vector.as_ref()).await.map_err(failed)?;
    let (mut found, mut stored) = (Tally::default(), Tally::default());
    for group in 0..file.groups() {
        for batch in file.batches(group).await.map_err(failed)? {
            let batch = batch.map_err(failed)?;
            let tally = |rows: &RecordBatch| -> Result<Tally, ArrowError> {
                let row_hash = row_hash(rows, write_schema.partition_by())?;
                let rows = u64::try_from(rows.num_rows()).unwrap_or_default();
                Ok(Tally { rows, row_hash: Some(row_hash), checksum: None })
            };
            let tallies = as_in_table(write_schema, &constants, &batch).and_then(|rows| {
                let all = tally(&rows)?;
                let left =
                    if deleted.is_empty() { all.clone() } else { tally(&without(&rows, stored.rows, &deleted)?)? };
                Ok((left, all))
            });
            let (left, all) = tallies.map_err(|error: ArrowError| failed(error.into()))?;
            found.add(left);
            stored.add(all);
        }
    }
    Ok((found, stored))
}
