//! Look-ups that SQL joins: read in the versions that their job pins, and kept for the next chunks.

mod delta;
mod files;
pub(crate) mod kept;
mod room;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use shared::{LookupError, LookupFormat, LookupProblem, Memory, PinnedLookup};

use crate::context::{LoadContext, is_absent};
use crate::delta::table::Table;
use crate::delta::write;
use crate::error::LoadError;
use crate::rows::shaping::Shaping;
use crate::sql::references::Reference;
use room::Room;

/// Bytes of a share of the account for a chunk whose SQL has look-ups, beside what reading takes.
pub(crate) fn needed(memory: &Memory) -> u64 {
    write::Room::needed(memory).saturating_add(room::most(memory))
}

/// The same with the look-ups that its SQL names: in the versions of its job, or the present ones where there is no job.
pub async fn with_lookups(context: &LoadContext, shaping: &Shaping) -> Result<Shaping, LoadError> {
    let room = Arc::new(Room::of(&context.settings.memory));
    let wrong = |error: LookupError| LoadError::from(error.at(shaping.place.as_deref()));
    let mut references = Vec::new();
    for lookup in &shaping.lookups {
        let pinned = match &lookup.pinned {
            Some(pinned) => pinned.clone(),
            None => lookup.lookup.pin(context.storage.as_ref()).await.map_err(wrong)?,
        };
        let reference = if let Some(reference) = context.lookups.get(&pinned) {
            room.take(reference.bytes()).map_err(|problem| wrong(pinned.wrong(problem)))?;
            reference
        } else {
            let rows = read(context, &pinned, &room).await?.map_err(wrong)?;
            let reference = Arc::new(Reference { name: pinned.name.clone(), from: pinned.from.clone(), rows });
            context.lookups.keep(&context.settings.memory, pinned, &reference);
            reference
        };
        references.push(reference);
    }
    Ok(shaping.clone().with_references(references))
}

/// All rows of a look-up. The inner error says what is wrong with it.
async fn read(
    context: &LoadContext,
    pinned: &PinnedLookup,
    room: &Arc<Room>,
) -> Result<Result<RecordBatch, LookupError>, LoadError> {
    let format = pinned.lookup().format();
    if format != LookupFormat::Delta
        && let Err(problem) = room.take(pinned.size)
    {
        return Ok(Err(pinned.wrong(problem)));
    }
    let bytes = match pinned.read(context.storage.as_ref()).await {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error)),
    };
    let read = match pinned.table_version {
        Some(version) => {
            if is_absent(&pinned.from) {
                let problem = LookupProblem::Changed("the table is gone".to_owned());
                return Ok(Err(pinned.wrong(problem)));
            }
            let (table, _) = Table::opening_head(&pinned.from, &context.table_store).await?;
            delta::rows(&table, version, Arc::clone(room)).await?
        }
        None => files::rows(bytes, format, Arc::clone(room)).await,
    };
    let read = read.and_then(|(schema, batches)| gathered(&schema, &batches));
    Ok(read.map_err(|problem| pinned.wrong(problem)))
}

/// Rows as one batch, with names in lower case, as chunks have them.
fn gathered(schema: &Schema, batches: &[RecordBatch]) -> Result<RecordBatch, LookupProblem> {
    let unusable = |reason: String| LookupProblem::Unusable(reason);
    let mut fields: Vec<Field> = Vec::new();
    for (place, field) in schema.fields().iter().enumerate() {
        let name = field.name().to_lowercase();
        if name.trim().is_empty() {
            return Err(unusable(format!("column {} has no name", place + 1)));
        }
        if fields.iter().any(|known| *known.name() == name) {
            return Err(unusable(format!("it has two columns '{name}'")));
        }
        fields.push(Field::new(name, field.data_type().clone(), true));
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let named = batches.iter().map(|batch| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns: Vec<ArrayRef> = batch.columns().to_vec();
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
    });
    let named = named.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(error.to_string()))?;
    concat_batches(&schema, &named).map_err(|error| unusable(error.to_string()))
}
