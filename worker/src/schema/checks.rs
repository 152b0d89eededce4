//! Rows held against the constraints of their table.

use arrow::array::Array;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::schema::refusal::Refusal;
use crate::schema::write_schema::WriteSchema;
use crate::sql::condition::Condition;
use crate::sql::text_of;

/// The constraints of a table, ready for rows that have its columns.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    all: Vec<Check>,
    /// The columns, all of which may be null until rows with nulls are rejected.
    schema: Option<SchemaRef>,
}

#[derive(Debug)]
struct Check {
    name: String,
    sql: String,
    condition: Condition,
}

/// Rows that one constraint does not hold for.
#[derive(Debug)]
pub(crate) struct Violations {
    /// Which rows these are.
    pub(crate) rows: BooleanBuffer,
    /// Place of the column that is told of.
    pub(crate) column: usize,
    check: usize,
}

impl Checks {
    /// Reads the constraints of a table. The refusal names the one that cannot be checked here.
    pub(crate) fn of(write_schema: &WriteSchema) -> Result<Self, Refusal> {
        let lax = |field: &Field| field.clone().with_nullable(true);
        let schema = SchemaRef::new(Schema::new(
            write_schema.schema().fields().iter().map(|field| lax(field)).collect::<Vec<_>>(),
        ));
        let mut all = Vec::new();
        for constraint in write_schema.constraints() {
            let name = constraint.name();
            let refused = |reason: String, sql: &str| Refusal {
                reason: format!("{name} cannot be checked here: {reason}{sql}"),
                hint: Some(
                    "write the constraint with comparisons, IN, BETWEEN, LIKE, IS NULL, AND, OR, NOT, +, - and *, or have a writer \
                     load the rows that runs the table's own SQL, such as Spark",
                ),
            };
            let sql = constraint.sql().map_err(|reason| refused(reason, ""))?;
            let condition = Condition::new(&sql, &schema);
            let condition = condition.map_err(|error| refused(text_of(&error), &format!(" (it is: {sql})")))?;
            all.push(Check { name, sql, condition });
        }
        Ok(Self { all, schema: Some(schema) })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The columns of rows that can be checked.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// Rows that are against a constraint: what it says of them is not true, or cannot be told, since there are nulls. The error
    /// names the constraint.
    pub(crate) fn violations(&self, rows: &RecordBatch) -> Result<Vec<Violations>, String> {
        let mut found = Vec::new();
        for (place, check) in self.all.iter().enumerate() {
            let holds = check.condition.evaluate(rows);
            let holds = holds.map_err(|error| format!("{} cannot be checked: {}", check.name, text_of(&error)))?;
            let is_known = holds.logical_nulls().map(NullBuffer::into_inner);
            let holds = is_known.map_or_else(|| holds.values().clone(), |is_known| &is_known & holds.values());
            let column = check.condition.columns().first().copied().unwrap_or_default();
            if holds.count_set_bits() < rows.num_rows() {
                found.push(Violations { rows: !&holds, column, check: place });
            }
        }
        Ok(found)
    }

    /// Why a row is rejected. `value` gives the value of a column, by its place.
    pub(crate) fn reason(&self, violations: &Violations, value: impl Fn(usize) -> String) -> String {
        let Some(check) = self.all.get(violations.check) else { return String::new() };
        let named = check.condition.columns().iter().filter_map(|column| {
            let name = self.schema.as_ref()?.fields().get(*column)?.name();
            Some(format!("{name} is {}", value(*column)))
        });
        let values = named.collect::<Vec<_>>().join(", ");
        format!("against {} of the table, {}: {values}", check.name, check.sql)
    }
}
