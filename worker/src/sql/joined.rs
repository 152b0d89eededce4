//! Rows of a chunk with those of a look-up: each row with one at most, so that it is taken by itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, concat_batches, filter, filter_record_batch, is_not_null, take};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_common::cast::as_boolean_array;
use datafusion_common::{DataFusionError, JoinType, NullEquality};
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::Join;
use datafusion_physical_expr::PhysicalExpr;
use hashbrown::HashTable;
use rapidhash::v3::rapidhash_v3;

use super::engine::{Result, physical};
use super::names::Joinable;
use super::references::Reference;
use super::refuse;
use crate::keyed;

/// A look-up that is ready to be joined.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The key, of rows of the chunk.
    keys: Vec<Arc<dyn PhysicalExpr>>,
    index: Index,
    /// What else has to be true of both rows together.
    condition: Option<Arc<dyn PhysicalExpr>>,
    /// Columns of the look-up that come out.
    rows: RecordBatch,
    /// Whether rows without one of the look-up are left out.
    is_inner: bool,
    /// Columns of the rows that it is joined to.
    left: SchemaRef,
    schema: SchemaRef,
}

/// Where each key stands in a look-up.
#[derive(Debug)]
struct Index {
    converter: RowConverter,
    /// The key of each row.
    keys: Rows,
    places: HashTable<u32>,
}

/// The look-up that a plan takes its rows from, one by one; none where it is the chunk, or several things.
fn reference(plan: &LogicalPlan) -> Option<Arc<Reference>> {
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<Joinable>().map(|joinable| Arc::clone(&joinable.0)),
        LogicalPlan::SubqueryAlias(alias) => reference(&alias.input),
        LogicalPlan::Filter(filter) => reference(&filter.input),
        LogicalPlan::Projection(projection) => reference(&projection.input),
        _ => None,
    }
}

/// What is made of the rows of a look-up, before they are joined: `run` gives it for all of these and their numbers.
pub(super) type Made<'a> = &'a dyn Fn(&RecordBatch, ArrayRef) -> Result<Vec<(RecordBatch, Option<ArrayRef>)>>;

impl Joined {
    /// The look-up on the right of a join, if it is one.
    pub(super) fn reference(join: &Join) -> Result<Arc<Reference>> {
        let Some(reference) = reference(&join.right) else {
            return Err(if has_chunk(&join.right) {
                refuse::several_rows("a join")
            } else {
                let reason = "a look-up is joined as it is, or by a query of one SELECT with columns and WHERE alone";
                DataFusionError::Plan(reason.to_owned())
            });
        };
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            let reason =
                format!("look-up '{}' is joined by LEFT JOIN or JOIN, not by {}", reference.name, join.join_type);
            return Err(DataFusionError::Plan(reason));
        }
        if join.on.is_empty() || join.null_equality == NullEquality::NullEqualsNull {
            let reason =
                format!("ON must say which column of look-up '{}' is equal to one of the chunk", reference.name);
            return Err(DataFusionError::Plan(reason));
        }
        Ok(reference)
    }

    /// For rows that have the columns `left`, with what `made` gives of the rows of the look-up, which has the columns `right`.
    pub(super) fn of(
        join: &Join,
        reference: &Reference,
        left: &SchemaRef,
        (right, made): (&SchemaRef, Made<'_>),
    ) -> Result<Self> {
        let count = i64::try_from(reference.rows.num_rows()).unwrap_or(i64::MAX);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=count));
        let (batches, numbers): (Vec<_>, Vec<_>) = made(&reference.rows, numbers)?.into_iter().unzip();
        let rows = concat_batches(right, &batches)?;
        let numbers: Vec<i64> =
            numbers.iter().flatten().flat_map(|of| of.as_primitive::<Int64Type>().values()).copied().collect();
        let (mut keys, mut of_rows) = (Vec::new(), Vec::new());
        for (of_chunk, of_lookup) in &join.on {
            let of_chunk = physical(of_chunk, join.left.schema())?;
            let of_lookup = physical(of_lookup, join.right.schema())?;
            let values = of_lookup.evaluate(&rows)?.into_array(rows.num_rows())?;
            of_rows.push(cast(&values, &of_chunk.data_type(left)?)?);
            keys.push(of_chunk);
        }
        let names: Vec<String> = join.on.iter().map(|(_, of_lookup)| of_lookup.to_string()).collect();
        let index = Index::new(&of_rows).and_then(|index| index.filled(&of_rows, &numbers, &names))?;
        let index = index.map_err(|duplicate| {
            let Reference { name, from, .. } = reference;
            DataFusionError::Plan(format!("look-up '{name}', {from}: {duplicate}, and a key has one row at most"))
        })?;
        let condition = join.filter.as_ref().map(|condition| physical(condition, &join.schema)).transpose()?;
        let of_left = left.fields().iter().map(|field| field.as_ref().clone());
        let of_right = right.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(of_left.chain(of_right).collect::<Vec<Field>>()));
        Ok(Self {
            keys,
            index,
            condition,
            rows,
            is_inner: join.join_type == JoinType::Inner,
            left: Arc::clone(left),
            schema,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many of the columns that come out are of the look-up.
    pub(super) fn added(&self) -> usize {
        self.rows.num_columns()
    }

    /// The key, of rows of the chunk.
    pub(super) fn keys(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.keys.iter().collect()
    }

    /// Whether rows without one of the look-up are left out.
    pub(super) fn is_inner(&self) -> bool {
        self.is_inner
    }

    /// The rows of a batch, with those of the look-up; `numbers` are those of rows, and come out with them.
    pub(super) fn run(
        &self,
        batch: &RecordBatch,
        numbers: Option<ArrayRef>,
    ) -> Result<(RecordBatch, Option<ArrayRef>)> {
        // Keys are those of the look-up from here on.
        let batch = &keyed::plain_as(batch, &self.left)?;
        let rows = batch.num_rows();
        let keys = self.keys.iter().map(|key| key.evaluate(batch)?.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let mut places = self.index.places(&keys)?;
        if let Some(condition) = &self.condition {
            let values = condition.evaluate(&self.with(batch, &places)?)?.into_array(rows)?;
            let is_met = as_boolean_array(&values)?;
            let met = places.iter().zip(is_met).map(|(place, is_met)| place.filter(|_| is_met == Some(true)));
            places = met.collect();
        }
        if !self.is_inner {
            return Ok((self.with(batch, &places)?, numbers));
        }
        let is_there: BooleanArray = is_not_null(&places)?;
        let numbers = numbers.map(|numbers| filter(&numbers, &is_there)).transpose()?;
        let places = filter(&places, &is_there)?;
        Ok((self.with(&filter_record_batch(batch, &is_there)?, places.as_primitive())?, numbers))
    }

    /// The columns of a batch, and those of the look-up at these places; none is null.
    fn with(&self, batch: &RecordBatch, places: &UInt32Array) -> Result<RecordBatch> {
        let taken = self.rows.columns().iter().map(|column| take(column, places, None));
        let columns = batch.columns().iter().cloned().map(Ok).chain(taken).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// Whether a plan takes rows of the chunk anywhere.
fn has_chunk(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => !scan.source.is::<Joinable>(),
        other => other.inputs().into_iter().any(has_chunk),
    }
}

impl Index {
    fn new(keys: &[ArrayRef]) -> Result<Self> {
        let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let keys = converter.empty_rows(0, 0);
        Ok(Self { converter, keys, places: HashTable::new() })
    }

    /// With the keys of all rows; a key with a null is equal to none. The inner error names a key that two rows have.
    fn filled(mut self, keys: &[ArrayRef], numbers: &[i64], names: &[String]) -> Result<Result<Self, String>> {
        self.keys = self.converter.convert_columns(keys)?;
        let nulls = nulls(keys);
        self.places.reserve(self.keys.num_rows(), |_| 0);
        for (row, place) in (0..self.keys.num_rows()).zip(0_u32..) {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let key = self.keys.row(row);
            let hash = rapidhash_v3(key.as_ref());
            if let Some(first) = self.find(hash, key.as_ref()) {
                let number = |row: usize| numbers.get(row).copied().unwrap_or_default();
                let first = number(usize::try_from(first).unwrap_or_default());
                let key = key_text(keys, names, row)?;
                return Ok(Err(format!("rows {first} and {} both have {key}", number(row))));
            }
            let all = &self.keys;
            self.places.insert_unique(hash, place, |place| {
                usize::try_from(*place).map_or(0, |place| rapidhash_v3(all.row(place).as_ref()))
            });
        }
        Ok(Ok(self))
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |place: &u32| usize::try_from(*place).is_ok_and(|place| self.keys.row(place).as_ref() == key);
        self.places.find(hash, is_it).copied()
    }

    /// Where the keys of some rows stand; null for those that stand nowhere.
    fn places(&self, keys: &[ArrayRef]) -> Result<UInt32Array> {
        let rows = self.converter.convert_columns(keys)?;
        let nulls = nulls(keys);
        let found = rows.iter().enumerate().map(|(row, key)| {
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            if is_null { None } else { self.find(rapidhash_v3(key.as_ref()), key.as_ref()) }
        });
        Ok(found.collect())
    }
}

/// Rows in which some key is null.
fn nulls(keys: &[ArrayRef]) -> Option<NullBuffer> {
    keys.iter().fold(None, |nulls, key| NullBuffer::union(nulls.as_ref(), key.logical_nulls().as_ref()))
}

/// The key of a row as people read it.
fn key_text(keys: &[ArrayRef], names: &[String], row: usize) -> Result<String> {
    let options = FormatOptions::default();
    let parts = keys.iter().zip(names).map(|(key, name)| {
        let formatter = ArrayFormatter::try_new(key.as_ref(), &options)?;
        Ok(format!("{name} = {}", formatter.value(row)))
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
}

#[cfg(test)]
mod tests;
