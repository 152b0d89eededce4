//! Expressions of columns with keys ([`crate::keyed`]), computed once for each value instead of once for each row.
//!
//! What an expression makes of a value is the same in every row: a query that varies is refused. Where it fails for a value, it may be
//! one that no row has, so it is computed anew, row by row, and that decides.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, or_kleene};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use datafusion_common::cast::as_boolean_array;
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column};
use datafusion_physical_expr::utils::collect_columns;

use super::engine::Result;
use crate::keyed;

/// What an expression is for each row, with keys where it has any.
pub(super) fn values(expression: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ArrayRef> {
    if expression.downcast_ref::<Column>().is_some() {
        return expression.evaluate(rows)?.into_array(rows.num_rows());
    }
    if let Some((keys, values)) = of_one_column(expression, rows) {
        return Ok(keyed::column(&keys, &values)?);
    }
    match by_row(expression, rows)? {
        ColumnarValue::Scalar(value) => Ok(keyed::constant(&value.to_array()?, rows.num_rows())?),
        ColumnarValue::Array(values) => Ok(values),
    }
}

/// Whether a condition is true, false or null for each row.
pub(super) fn truth(condition: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<BooleanArray> {
    if let Some(truth) = of_parts(condition, rows) {
        return Ok(truth);
    }
    let truth = by_row(condition, rows)?.into_array(rows.num_rows())?;
    Ok(as_boolean_array(&truth)?.clone())
}

/// The same of a condition that looks at columns with keys, one at a time; none where one of its parts does not, or fails.
fn of_parts(condition: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Option<BooleanArray> {
    if let Some((keys, values)) = of_one_column(condition, rows) {
        return of_keys(&keys, values.as_boolean_opt()?);
    }
    let both = condition.downcast_ref::<BinaryExpr>()?;
    let join = match both.op() {
        Operator::And => and_kleene,
        Operator::Or => or_kleene,
        _ => return None,
    };
    join(&of_parts(both.left(), rows)?, &of_parts(both.right(), rows)?).ok()
}

fn of_keys(keys: &Int32Array, values: &BooleanArray) -> Option<BooleanArray> {
    let is = |bits: &BooleanBuffer| {
        let bits: Vec<bool> = bits.iter().collect();
        let of_row = |row: usize| {
            let key = keys.values().get(row).and_then(|key| usize::try_from(*key).ok());
            key.and_then(|key| bits.get(key)).copied().unwrap_or_default()
        };
        BooleanBuffer::collect_bool(keys.len(), of_row)
    };
    (keys.null_count() == 0).then(|| {
        let present = values.nulls().filter(|nulls| nulls.null_count() > 0);
        BooleanArray::new(is(values.values()), present.map(|nulls| NullBuffer::new(is(nulls.inner()))))
    })
}

/// The keys of the one column that an expression reads, and what the expression is for each of its values; none where it reads another
/// number of columns, one without keys, or fails.
fn of_one_column(expression: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Option<(Int32Array, ArrayRef)> {
    let read = collect_columns(expression);
    let mut read = read.iter();
    let (Some(column), None) = (read.next(), read.next()) else { return None };
    let keyed = keyed::of(rows.columns().get(column.index())?)?;
    if keyed.values().len() >= rows.num_rows() {
        return None;
    }
    let (keys, values) = keyed::with_null(keyed).ok()?;
    let each = alone(rows, column.index(), &values).ok()?;
    let made = expression.evaluate(&each).and_then(|made| made.into_array(each.num_rows())).ok()?;
    (made.len() == values.len()).then_some((keys, made))
}

/// Rows with the values of one column; all others are null.
fn alone(rows: &RecordBatch, column: usize, values: &ArrayRef) -> Result<RecordBatch, ArrowError> {
    let (fields, columns): (Vec<_>, Vec<ArrayRef>) = (rows.schema_ref().fields().iter().enumerate())
        .map(|(place, field)| {
            if place == column {
                (field.as_ref().clone().with_data_type(values.data_type().clone()), Arc::clone(values))
            } else {
                (Field::new(field.name(), DataType::Null, true), new_null_array(&DataType::Null, values.len()))
            }
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// What an expression is, computed from columns without keys.
fn by_row(expression: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ColumnarValue> {
    let read = collect_columns(expression);
    let has_keys =
        |column: &Column| rows.columns().get(column.index()).is_some_and(|values| keyed::of(values).is_some());
    if !read.iter().any(has_keys) {
        return expression.evaluate(rows);
    }
    let (mut fields, mut columns) = (rows.schema_ref().fields().to_vec(), rows.columns().to_vec());
    for column in read.iter().filter(|column| has_keys(column)) {
        if let (Some(field), Some(values)) = (fields.get_mut(column.index()), columns.get_mut(column.index())) {
            *values = keyed::plain(values)?;
            *field = Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()));
        }
    }
    expression.evaluate(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::super::Query;
    use super::*;

    /// Rows with keys and without: texts, some null, whole numbers, and doubles that have no keys.
    fn rows() -> [RecordBatch; 2] {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["7", "x", "12", "never 1/0"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, 5, 9]));
        let doubles: ArrayRef = Arc::new((0..9).map(|row| f64::from(row) / 4.0).collect::<Float64Array>());
        let keys = (0..9).map(|row| (row % 4 < 3).then_some(row % 4)).collect::<Int32Array>();
        let columns = [
            keyed::column(&keys, &texts).unwrap(),
            keyed::column(&(0..9).map(|row| Some(row % 3)).collect(), &numbers).unwrap(),
            doubles,
        ];
        let schema = Schema::new(vec![
            Field::new("t", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
            Field::new("d", DataType::Float64, true),
        ]);
        let with_keys = keyed::batch(&schema, columns.to_vec(), 9).unwrap();
        [keyed::plain_as(&with_keys, &schema).unwrap(), with_keys]
    }

    #[test]
    fn keys_change_no_result() {
        let [plain, with_keys] = rows();
        let mut kept_keys = 0;
        for sql in [
            "SELECT * FROM chunk",
            "SELECT upper(t) AS u, n, d FROM chunk WHERE n >= 5",
            "SELECT t, n * d AS nd FROM chunk WHERE t <> 'x' OR t IS NULL",
            "SELECT coalesce(t, 'none') AS t FROM chunk WHERE n > 0 AND d < 2",
            "SELECT nullif(t, '7') AS t, n = 5 AS five, t IS NULL AS is_null FROM chunk",
            "SELECT CASE WHEN t = 'never 1/0' THEN 1 / 0 ELSE n END AS n FROM chunk",
            "SELECT cast(t AS bigint) AS t FROM chunk WHERE t <> 'x'",
            "SELECT 1 AS one, 'c' AS c, NULL AS nothing, n FROM chunk WHERE NOT (n = 9)",
            "SELECT a.n + 1 AS m FROM (SELECT n FROM chunk WHERE t = '12') a WHERE a.n < 9",
            "SELECT t FROM chunk UNION ALL SELECT cast(n AS text) FROM chunk",
            "SELECT unnest(make_array(t, 'y')) AS t, n FROM chunk",
            "SELECT n FROM chunk WHERE t",
            "SELECT concat(t, '-', n) AS c FROM chunk WHERE n IN (0, 9) AND t IN ('7', '12')",
        ] {
            let Ok(query) = Query::new(sql, plain.schema_ref()) else {
                assert!(sql.ends_with("WHERE t"), "{sql}");
                continue;
            };
            let expected = query.run(&plain).unwrap();
            let made = query.run(&with_keys).unwrap();
            kept_keys +=
                made.iter().flat_map(RecordBatch::columns).filter(|column| keyed::of(column).is_some()).count();
            let made: Vec<_> = made.iter().map(|made| keyed::plain_as(made, query.schema()).unwrap()).collect();
            assert_eq!(made, expected, "{sql}");
        }
        assert!(kept_keys >= 10, "{kept_keys}");
    }

    /// Columns that no expression names are planned as one, whatever keys they have.
    #[test]
    fn keys_change_no_result_of_many_columns() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["7", "x"]));
        let column = keyed::column(&Int32Array::from(vec![Some(1), None, Some(0)]), &texts).unwrap();
        let fields = (0..70).map(|column| Field::new(format!("c{column}"), DataType::Utf8, true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let with_keys = keyed::batch(&schema, vec![column; 70], 3).unwrap();
        let plain = keyed::plain_as(&with_keys, &schema).unwrap();
        for sql in [
            "SELECT *, upper(c1) AS u FROM chunk",
            "SELECT * FROM chunk WHERE c2 = 'x'",
            "SELECT *, unnest(make_array(c1, 'y')) AS item FROM chunk",
            "SELECT * FROM chunk UNION ALL SELECT * FROM chunk WHERE c3 IS NULL",
        ] {
            let query = Query::new(sql, plain.schema_ref()).unwrap();
            let made = query.run(&with_keys).unwrap();
            let made: Vec<_> = made.iter().map(|made| keyed::plain_as(made, query.schema()).unwrap()).collect();
            assert_eq!(made, query.run(&plain).unwrap(), "{sql}");
        }
    }

    #[test]
    fn what_fails_for_a_row_fails() {
        let [plain, with_keys] = rows();
        for sql in ["SELECT cast(t AS bigint) AS t FROM chunk", "SELECT 10 / n AS n FROM chunk"] {
            let query = Query::new(sql, plain.schema_ref()).unwrap();
            let [one, other] = [&plain, &with_keys].map(|rows| query.run(rows).unwrap_err().to_string());
            assert_eq!(one, other, "{sql}");
        }
    }
}
