//! Whether a table takes rows with certain columns.

use arrow::datatypes::{Schema, SchemaRef};
use deltalake::table::state::DeltaTableState;
use shared::{JobId, Location, TableFit};

use crate::context::LoadContext;
use crate::delta::app_ids::job_app_id;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::table::Table;
use crate::error::{APPEND_ONLY, LoadError};
use crate::rows::shaping::{Shape, Shaping};
use crate::schema::checks::Checks;
use crate::schema::definition;
use crate::schema::features::is_append_only;
use crate::schema::refusal::Refusal;
use crate::schema::write_schema::{Sources, WriteSchema};
use crate::undo::files::jobs_with_files;
use crate::verdict::{UNKNOWN_ACTION_HINT, UNSUPPORTED_HINT};

/// A schema with a place for every column of some rows, of which a table can be made that others can open.
pub(crate) async fn accommodate(
    table: &Table,
    write_schema: &WriteSchema,
    rows: &Schema,
) -> Result<(WriteSchema, Sources), Refusal> {
    let (write_schema, sources) = write_schema.accommodate(rows)?;
    Checks::of(&write_schema)?;
    definition::check(table.state(), &write_schema).await?;
    Ok((write_schema, sources))
}

/// How rows with these columns, or what SQL makes of them, meet those of a table; or why it does not take them, as far as that can be
/// told without the values. SQL that cannot be run is told of elsewhere.
pub async fn check_columns(
    context: &LoadContext,
    table: &Location,
    columns: &SchemaRef,
    shaping: &Shaping,
    partition_by: &[String],
) -> Result<Result<TableFit, Refusal>, LoadError> {
    let Ok(shape) = Shape::new(shaping, columns) else { return Ok(Ok(TableFit::default())) };
    let columns = shape.schema().clone();
    let snapshot = match context.head(table).await {
        Err(LoadError::Unsupported { reason, .. }) => {
            return Ok(Err(Refusal { reason, hint: Some(UNSUPPORTED_HINT) }));
        }
        Err(LoadError::UnknownAction { version, found, .. }) => {
            let reason = format!("version {version} of its log has {found}");
            return Ok(Err(Refusal { reason, hint: Some(UNKNOWN_ACTION_HINT) }));
        }
        snapshot => snapshot?,
    };
    let state = snapshot.as_ref().and_then(TableSnapshot::state);
    let write_schema = write_schema_of(table, state, partition_by)?;
    let there = state.map_or(&[][..], |_| write_schema.fields());
    let there: Vec<String> = there.iter().map(|field| field.name().clone()).collect();
    let names = || columns.fields().iter().map(|field| field.name().as_str());
    let fit = TableFit::of(names(), &there);
    let fit = if shaping.sql.is_some() { fit.after_sql(names()) } else { fit };
    Ok(fits(&write_schema, state, &columns).await.map(|()| fit))
}

/// Why no table can be made of these columns, or of what SQL makes of them, that is partitioned so; none when it can. SQL that
/// cannot be run is told of elsewhere.
pub async fn check_new_columns(columns: &SchemaRef, shaping: &Shaping, partition_by: &[String]) -> Option<Refusal> {
    let shape = Shape::new(shaping, columns).ok()?;
    fits(&WriteSchema::new(partition_by), None, shape.schema()).await.err()
}

async fn fits(write_schema: &WriteSchema, state: Option<&DeltaTableState>, columns: &Schema) -> Result<(), Refusal> {
    let (write_schema, _) = write_schema.accommodate(columns)?;
    Checks::of(&write_schema)?;
    definition::check(state, &write_schema).await
}

/// Why rows of these jobs cannot be taken out of a table in the commit of another one; none when they can, or when there are none.
pub async fn check_replacement(
    context: &LoadContext,
    table: &Location,
    jobs: &[JobId],
) -> Result<Option<Refusal>, LoadError> {
    let is_in_the_way = !jobs.is_empty()
        && context.head(table).await?.as_ref().and_then(TableSnapshot::state).is_some_and(is_append_only);
    if !is_in_the_way {
        return Ok(None);
    }
    // With its files.
    let Some(snapshot) = context.open(table).await? else { return Ok(None) };
    let there = jobs_with_files(&snapshot);
    let replaced = jobs.iter().find(|job| there.contains(&job_app_id(job)));
    Ok(replaced.map(|job| Refusal {
        reason: format!("{APPEND_ONLY}: with ON_REPLACE=replace, those of the earlier drop {job}"),
        hint: Some(
            "ON_REPLACE=append keeps the rows of both drops; or take delta.appendOnly from the table, if rows may go",
        ),
    }))
}

/// Why SQL cannot be run on chunks with these columns, or its columns have names that the table can have no columns of; none when it
/// can.
pub async fn check_sql_for_table(
    context: &LoadContext,
    table: &Location,
    shaping: &Shaping,
    columns: &SchemaRef,
) -> Result<Option<String>, LoadError> {
    let snapshot = context.head(table).await?;
    let write_schema = write_schema_of(table, snapshot.as_ref().and_then(TableSnapshot::state), &[])?;
    Ok(check_for(&write_schema, shaping, columns).err())
}

/// Whether SQL can be run on chunks with these columns, and a new table can have columns of the names that come out; the error says
/// why not.
pub fn check_sql(shaping: &Shaping, columns: &SchemaRef) -> Result<(), String> {
    check_for(&WriteSchema::new(&[]), shaping, columns)
}

/// The same for a table that may be there.
fn check_for(write_schema: &WriteSchema, shaping: &Shaping, columns: &SchemaRef) -> Result<(), String> {
    let shape = Shape::new(shaping, columns).map_err(|error| shaping.told(&error))?;
    write_schema.check_names(shape.schema())
}

fn write_schema_of(
    table: &Location,
    state: Option<&DeltaTableState>,
    partition_by: &[String],
) -> Result<WriteSchema, LoadError> {
    match state {
        Some(state) => WriteSchema::of(state).map_err(|error| LoadError::table(table, "read the schema of", error)),
        None => Ok(WriteSchema::new(partition_by)),
    }
}
