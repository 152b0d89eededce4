//! A row for each value of a list.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::logical_plan;

/// How rows become one for each value of a list that they have.
#[derive(Debug)]
pub(crate) struct Unnest {
    /// Which column has the lists.
    list: usize,
    item: FieldRef,
    /// Whether a list that is null gives a row.
    are_nulls_kept: bool,
    /// Of which column each that comes out is.
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl Unnest {
    /// What is planned for rows that have these columns. There may be one list.
    pub(crate) fn of(plan: &logical_plan::Unnest, input: &Schema) -> Result<Self> {
        let (list, item) = match (plan.list_type_columns.as_slice(), plan.struct_type_columns.as_slice()) {
            ([(list, column)], []) if column.depth == 1 => (*list, item_of(input.field(*list))?),
            _ => return Err(DataFusionError::Plan("unnest() takes one list, and that once".to_owned())),
        };
        let columns = plan.dependency_indices.clone();
        let fields = plan.schema.fields().iter().zip(&columns).map(|(field, from)| {
            let made = if *from == list { item.data_type() } else { input.field(*from).data_type() };
            Field::new(field.name(), made.clone(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { list, item, are_nulls_kept: plan.options.preserve_nulls(), columns, schema })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn run(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let lists = cast(batch.column(self.list), &DataType::List(Arc::clone(&self.item)))?;
        let lists = lists.as_list::<i32>();
        let are_there = (0..lists.len()).map(|row| lists.is_valid(row));
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        for ((row, bounds), is_there) in (0..).zip(lists.offsets().windows(2)).zip(are_there) {
            match bounds {
                [from, to] if is_there => {
                    rows.extend((*from..*to).map(|_| row));
                    places.extend((*from..*to).map(Some));
                }
                _ if self.are_nulls_kept => {
                    rows.push(row);
                    places.push(None);
                }
                _ => {}
            }
        }
        let (rows, places) = (Int32Array::from(rows), Int32Array::from(places));
        let values = self.columns.iter().map(|column| {
            if *column == self.list {
                take(lists.values(), &places, None)
            } else {
                take(batch.column(*column), &rows, None)
            }
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), values.collect::<Result<_, _>>()?)?)
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
