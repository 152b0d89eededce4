//! Look-ups that are Delta tables.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use buoyant_kernel::Engine;
use buoyant_kernel::engine::arrow_data::ArrowEngineData;
use buoyant_kernel::scan::Scan;
use buoyant_kernel::scan::state::ScanFile;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::{DeltaResult, DeltaTableError};
use shared::LookupProblem;

use super::files::FoundRows;
use super::room::Room;
use crate::delta::log::snapshot;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::sql::references::bytes;

/// The rows of a table in one version. The kernel reads them: with names by the mapping of columns, without deleted rows, and with the
/// columns that the table is partitioned by.
pub(super) async fn rows(table: &Table, version: u64, room: Arc<Room>) -> Result<FoundRows, LoadError> {
    let failed = |error| LoadError::table(table.uri(), "read the rows of", error);
    let store = table.log_store();
    let snapshot = snapshot(&store, version).await.map_err(failed)?;
    let engine = store.engine(None);
    let read = tokio::task::spawn_blocking(move || {
        let scan = snapshot.scan_builder().build()?;
        read(&scan, &engine, &room)
    });
    read.await.map_err(DeltaTableError::generic).and_then(|read| read).map_err(failed)
}

fn read(scan: &Scan, engine: &Arc<dyn Engine>, room: &Room) -> DeltaResult<FoundRows> {
    if let Err(problem) = room.has(stored(scan, engine.as_ref())?) {
        return Ok(Err(problem));
    }
    let mut schema: Option<SchemaRef> = None;
    let mut batches = Vec::new();
    for batch in scan.execute(Arc::clone(engine))? {
        let batch: RecordBatch = (*ArrowEngineData::try_from_engine_data(batch?)?).into();
        if let Err(problem) = room.take(bytes(&batch)) {
            return Ok(Err(problem));
        }
        schema.get_or_insert_with(|| batch.schema());
        batches.push(batch);
    }
    if let Some(schema) = schema {
        return Ok(Ok((schema, batches)));
    }
    let schema: Result<Schema, _> = scan.logical_schema().as_ref().try_into_arrow();
    Ok(match schema {
        Ok(schema) => Ok((Arc::new(schema), batches)),
        Err(error) => Err(LookupProblem::Unusable(error.to_string())),
    })
}

/// Bytes of the table's data files.
fn stored(scan: &Scan, engine: &dyn Engine) -> DeltaResult<u64> {
    let mut sum = 0_u64;
    for metadata in scan.scan_metadata(engine)? {
        let add = |sum: &mut u64, file: ScanFile| {
            *sum = sum.saturating_add(u64::try_from(file.size).unwrap_or_default());
        };
        sum = metadata?.visit_scan_files(sum, add)?;
    }
    Ok(sum)
}
