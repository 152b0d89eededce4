//! Whether a table takes rows with certain columns.

use arrow::datatypes::{Schema, SchemaRef};
use deltalake::table::state::DeltaTableState;
use shared::Location;

use crate::context::LoadContext;
use crate::delta::snapshot::Head;
use crate::delta::table::Table;
use crate::error::{LoadError, UNSUPPORTED_HINT};
use crate::schema::checks::Checks;
use crate::schema::definition;
use crate::schema::refusal::Refusal;
use crate::schema::write_schema::{Plan, Sources};
use crate::sql::{Query, check_sql_for};

/// A plan with a place for every column of some rows, of which a table can be made that others can open.
pub(crate) async fn accommodate(table: &Table, plan: &Plan, rows: &Schema) -> Result<(Plan, Sources), Refusal> {
    let (plan, sources) = plan.accommodate(rows)?;
    Checks::of(&plan)?;
    definition::check(table.state(), &plan).await?;
    Ok((plan, sources))
}

/// Why a table does not take rows with these columns, or what SQL makes of them; none when it does, as far as that can be told
/// without the values. SQL that cannot be run is told of elsewhere.
pub async fn check_columns(
    context: &LoadContext,
    table: &Location,
    columns: &SchemaRef,
    sql: Option<&str>,
    partition_by: &[String],
) -> Result<Option<Refusal>, LoadError> {
    let columns = match sql.map(|sql| Query::new(sql, columns)) {
        Some(Ok(query)) => query.schema().clone(),
        Some(Err(_)) => return Ok(None),
        None => columns.clone(),
    };
    let head = match context.open(table).await {
        Err(LoadError::Unsupported { reason, .. }) => {
            return Ok(Some(Refusal { reason, hint: Some(UNSUPPORTED_HINT) }));
        }
        head => head?,
    };
    let state = head.as_ref().and_then(Head::state);
    let plan = plan_of(table, state, partition_by)?;
    let checked = async {
        let (plan, _) = plan.accommodate(&columns)?;
        Checks::of(&plan)?;
        definition::check(state, &plan).await
    };
    Ok(checked.await.err())
}

/// Why SQL cannot be run on chunks with these columns, or its columns have names that the table can have no columns of; none when it
/// can.
pub async fn check_sql_for_table(
    context: &LoadContext,
    table: &Location,
    sql: &str,
    columns: &SchemaRef,
) -> Result<Option<String>, LoadError> {
    let head = context.open(table).await?;
    let plan = plan_of(table, head.as_ref().and_then(Head::state), &[])?;
    Ok(check_sql_for(&plan, sql, columns).err())
}

fn plan_of(table: &Location, state: Option<&DeltaTableState>, partition_by: &[String]) -> Result<Plan, LoadError> {
    match state {
        Some(state) => Plan::of(state).map_err(|error| LoadError::table(table, "read the schema of", error)),
        None => Ok(Plan::new(partition_by)),
    }
}
