//! Rows of data files that deletion vectors take out of the table.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use buoyant_kernel::actions::deletion_vector::DeletionVectorDescriptor as StoredVector;
use deltalake::kernel::DeletionVectorDescriptor;
use deltalake::{DeltaResult, DeltaTableError};

use crate::delta::table::Table;

/// Places of the rows of a file that are deleted, in order.
pub(crate) async fn deleted_rows(table: &Table, deleted: Option<&DeletionVectorDescriptor>) -> DeltaResult<Vec<u64>> {
    let Some(deleted) = deleted else { return Ok(Vec::new()) };
    let stored = StoredVector::try_from(deleted.clone())?;
    let log_store = table.log_store();
    let mut root = log_store.root_url().clone();
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", root.path()));
    }
    let storage = log_store.engine(None).storage_handler();
    let read = tokio::task::spawn_blocking(move || stored.row_indexes(storage, &root));
    Ok(read.await.map_err(DeltaTableError::generic)??)
}

/// Rows, of which the first is at the place `first` of its file, without those that are deleted.
pub(crate) fn without(rows: &RecordBatch, first: u64, deleted: &[u64]) -> Result<RecordBatch, ArrowError> {
    if deleted.is_empty() {
        return Ok(rows.clone());
    }
    let is_kept = (first..).take(rows.num_rows()).map(|place| Some(deleted.binary_search(&place).is_err()));
    filter_record_batch(rows, &is_kept.collect::<BooleanArray>())
}
