//! The rows of a chunk as they go on: as they are, or through SQL.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_common::DataFusionError;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use shared::Storage;

use crate::chunk::AssignedChunk;
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::rows::record_numbers::RecordNumbers;
use crate::rows::shaping::{Failing, Shape, Shaping};
use crate::sql;

/// Rows on their way to the table.
pub(crate) struct Rows {
    /// The columns, without keys ([`crate::keyed`]).
    pub(crate) schema: SchemaRef,
    /// For each column, the column of the chunk whose values it has; none for those that SQL computes.
    pub(crate) unchanged: Vec<Option<usize>>,
    pub(crate) batches: BoxStream<'static, Result<RecordBatch, LoadError>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The rows of a chunk as its job wants them: by SQL with its look-ups, and with columns that say where they come from.
pub(crate) async fn transform(
    storage: &dyn Storage,
    file: &Arc<ChunkFile>,
    chunk: &AssignedChunk,
    shaping: &Shaping,
) -> Result<Rows, LoadError> {
    if shaping.is_none() {
        let all: Vec<usize> = (0..file.schema().fields().len()).collect();
        let batches = if file.is_own() { file.keyed_batches_of(&all) } else { file.batches() };
        let unchanged = all.into_iter().map(Some).collect();
        return Ok(Rows { schema: Arc::clone(file.schema()), unchanged, batches });
    }
    let wrong = {
        let (at, columns, place) = (chunk.at.clone(), Arc::clone(file.schema()), shaping.place.clone());
        move |error: DataFusionError| LoadError::Sql {
            place: place.clone(),
            chunk: at.clone(),
            reason: sql::text_of(&error),
            columns: columns.fields().iter().map(|field| field.name().clone()).collect(),
        }
    };
    let shape = Shape::new(shaping, file.schema()).map_err(&wrong)?;
    let (schema, unchanged) = (Arc::clone(shape.schema()), shape.unchanged());
    let mut numbers = None;
    if shape.asks_numbers() {
        file.keep_set_aside();
        numbers = Some(RecordNumbers::of(storage, chunk, file.rows()).await?);
    }
    // Of what others encoded, all columns are decoded: a row with a text that is not UTF-8 is rejected whatever is asked for.
    let (batches, shape) = if file.is_own() {
        let (columns, shape) = shape.narrowed();
        (file.keyed_batches_of(&columns), shape)
    } else {
        (file.batches(), shape)
    };
    let (file, place, mut before) = (Arc::clone(file), shaping.place.clone(), 0);
    let batches = batches.map(move |batch| {
        let batch = batch?;
        let rows = batch.num_rows();
        let numbers = numbers.as_mut().map(|numbers| file.with_set_aside(|set_aside| numbers.next(rows, set_aside)));
        let made = shape.run(&batch, numbers.clone());
        let made = made.map_err(|error| match shape.failing(&batch, numbers.as_ref()) {
            Some(Failing { row, expression, reason }) => {
                let row = before + u64::try_from(row).unwrap_or_default() + 1;
                let (place, chunk) = (place.clone(), file.at().clone());
                let reason = expression.map_or(reason.clone(), |expression| format!("{expression}: {reason}"));
                LoadError::SqlValue { place, chunk, row, reason }
            }
            None => wrong(error),
        });
        before += u64::try_from(rows).unwrap_or_default();
        made
    });
    Ok(Rows { schema, unchanged, batches: batches.map_ok(|made| stream::iter(made).map(Ok)).try_flatten().boxed() })
}
