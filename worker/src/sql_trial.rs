//! What SQL and expectations make of the first rows of a source, before there is a chunk.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use shared::{ExpectationResults, Expectations, cells, type_name};

use crate::rows::judge::Judge;
use crate::rows::shaping::{Shape, Shaping};

/// What SQL makes of some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlTrial {
    /// Columns that come out: each with the name of its type, as `SCHEMA` has it or else Arrow.
    pub columns: Vec<(String, String)>,
    /// Rows that it was tried on.
    pub read: usize,
    /// Rows that came of them.
    pub made: usize,
    /// The first of these, cell by cell; none for null.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Runs SQL on rows of a source with these columns, and shows so many of the rows that come out at most. The error says why it
/// cannot be run, on these columns or on these values.
pub fn try_sql(shaping: &Shaping, columns: &SchemaRef, rows: &[RecordBatch], shown: usize) -> Result<SqlTrial, String> {
    let shape = Shape::new(shaping, columns).map_err(|error| shaping.told(&error))?;
    let named = shape.schema().fields().iter().map(|field| (field.name().clone(), type_name(field.data_type())));
    let mut trial = SqlTrial { columns: named.collect(), read: 0, made: 0, rows: Vec::new() };
    for batch in rows {
        let numbers = numbers(trial.read, batch);
        trial.read += batch.num_rows();
        for made in shape.run(batch, Some(numbers)).map_err(|error| shaping.told(&error))? {
            trial.made += made.num_rows();
            let cells = cells(&made, shown - trial.rows.len()).map_err(|error| error.to_string())?;
            trial.rows.extend(cells);
        }
    }
    Ok(trial)
}

/// Holds rows of a source with these columns, or what SQL makes of them, against expectations. The error names the one that cannot be
/// judged, and why.
pub fn try_expectations(
    expectations: &Expectations,
    shaping: &Shaping,
    columns: &SchemaRef,
    rows: &[RecordBatch],
) -> Result<ExpectationResults, String> {
    let shape = Shape::new(shaping, columns).map_err(|error| shaping.told(&error))?;
    let mut judge = Judge::new(expectations, shape.schema())?;
    let mut read = 0;
    for batch in rows {
        let numbers = numbers(read, batch);
        read += batch.num_rows();
        for made in shape.run(batch, Some(numbers)).map_err(|error| shaping.told(&error))? {
            judge.judge(&made);
        }
    }
    Ok(judge.results().clone())
}

/// The numbers of the rows of a batch, of which so many come before.
fn numbers(before: usize, batch: &RecordBatch) -> ArrayRef {
    let number = |row: usize| i64::try_from(before + row).unwrap_or(i64::MAX);
    Arc::new(Int64Array::from_iter_values((1..=batch.num_rows()).map(number)))
}
