//! A row for each value of a list.

use std::mem;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::logical_plan;

use crate::keyed;

/// Rows of a batch, unless one row has more values.
const BATCH_ROWS: usize = 8192;

/// What is not there, and what is instead.
const MANY: &str = "unnest() of a struct, of several lists, or of lists in a list (a struct's field is s['name'], and each \
                    further list takes a query around the first, as in: select unnest(x) as y from (select unnest(xs) as x from chunk))";

/// How rows become one for each value of a list that they have.
#[derive(Debug)]
pub(crate) struct Unnest {
    /// Which column has the lists.
    list: usize,
    item: FieldRef,
    /// Whether a list that is null gives a row, and whether one without values does.
    are_nulls_kept: bool,
    are_empty_kept: bool,
    /// Of which column each that comes out is.
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl Unnest {
    /// What is planned for rows that have these columns.
    pub(crate) fn of(plan: &logical_plan::Unnest, input: &Schema) -> Result<Self> {
        let (list, item) = match (plan.list_type_columns.as_slice(), plan.struct_type_columns.as_slice()) {
            ([(list, column)], []) if column.depth == 1 => (*list, item_of(input.field(*list))?),
            _ => return Err(DataFusionError::NotImplemented(MANY.to_owned())),
        };
        let columns = plan.dependency_indices.clone();
        let fields = plan.schema.fields().iter().zip(&columns).map(|(field, from)| {
            let made = if *from == list { item.data_type() } else { input.field(*from).data_type() };
            Field::new(field.name(), made.clone(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let (are_nulls_kept, are_empty_kept) = (plan.options.preserve_nulls(), plan.options.expand_empty_as_null());
        Ok(Self { list, item, are_nulls_kept, are_empty_kept, columns, schema })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch, one for each value. `numbers` are of rows, and come out with those that are made of them.
    pub(crate) fn run(
        &self,
        batch: &RecordBatch,
        numbers: Option<&ArrayRef>,
    ) -> Result<Vec<(RecordBatch, Option<ArrayRef>)>> {
        let lists = cast(batch.column(self.list), &DataType::List(Arc::clone(&self.item)))?;
        let lists = lists.as_list::<i32>();
        let are_there = (0..lists.len()).map(|row| lists.is_valid(row));
        let mut batches = Vec::new();
        // Of each row that comes out, the row it is of, and where its value is.
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        for ((row, bounds), is_there) in (0_i32..).zip(lists.offsets().windows(2)).zip(are_there) {
            let values = match bounds {
                [from, to] if is_there => *from..*to,
                _ => 0..0,
            };
            if values.is_empty() && (if is_there { self.are_empty_kept } else { self.are_nulls_kept }) {
                rows.push(row);
                places.push(None);
            }
            rows.extend(values.clone().map(|_| row));
            places.extend(values.map(Some));
            if rows.len() >= BATCH_ROWS {
                batches.push(self.batch(
                    batch,
                    numbers,
                    lists.values(),
                    (mem::take(&mut rows), mem::take(&mut places)),
                )?);
            }
        }
        batches.push(self.batch(batch, numbers, lists.values(), (rows, places))?);
        Ok(batches)
    }

    fn batch(
        &self,
        from: &RecordBatch,
        numbers: Option<&ArrayRef>,
        values: &ArrayRef,
        (rows, places): (Vec<i32>, Vec<Option<i32>>),
    ) -> Result<(RecordBatch, Option<ArrayRef>)> {
        let (rows, places) = (Int32Array::from(rows), Int32Array::from(places));
        let columns = self.columns.iter().map(|column| {
            if *column == self.list { take(values, &places, None) } else { take(from.column(*column), &rows, None) }
        });
        let numbers = numbers.map(|numbers| take(numbers, &rows, None)).transpose()?;
        let count = rows.len();
        Ok((keyed::batch(&self.schema, columns.collect::<Result<_, _>>()?, count)?, numbers))
    }
}

fn item_of(list: &Field) -> Result<FieldRef> {
    use DataType as T;
    match list.data_type() {
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            Ok(Arc::clone(item))
        }
        other => Err(DataFusionError::Plan(format!("unnest() takes a list, not a {other}"))),
    }
}
