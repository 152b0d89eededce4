//! What a query does to the rows of a chunk, step by step, and which of its columns that takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::DataFusionError;
use datafusion_common::cast::as_boolean_array;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::{Filter, Join, Projection, Union};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;

use super::engine::{Result, physical};
use super::joined::Joined;
use super::names::Joinable;
use super::unnest::Unnest;
use super::{by_value, refuse};
use crate::keyed;

/// The number of the record that each row is, if that is asked for.
pub(crate) type Numbers = Option<ArrayRef>;

/// One thing that is done to rows, behind those that are done before.
#[derive(Debug)]
pub(super) enum Step {
    /// The rows of the chunk, with some of its columns or all.
    Chunk(Option<Vec<usize>>),
    /// Only those rows for which the condition is true.
    Filter { from: Box<Self>, condition: Arc<dyn PhysicalExpr> },
    /// Other columns, computed from those there are.
    Project { from: Box<Self>, columns: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef },
    /// Each row with that of a look-up.
    Join { from: Box<Self>, joined: Joined },
    /// A row for each value of a list.
    Unnest { from: Box<Self>, unnest: Unnest },
    /// The rows of several queries, one query behind the other, by the names that the first gives them.
    Union { queries: Vec<Self>, schema: SchemaRef },
}

/// What a plan takes its rows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Chunk,
    Lookup,
}

impl Step {
    /// The steps of a plan, and the columns that come out.
    pub(super) fn of(plan: &LogicalPlan) -> Result<(Self, SchemaRef)> {
        Self::from(plan, Of::Chunk)
    }

    fn from(plan: &LogicalPlan, of: Of) -> Result<(Self, SchemaRef)> {
        refuse::subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
                if of == Of::Chunk && scan.source.is::<Joinable>() {
                    let reason = "FROM takes the chunk first, and look-ups are joined to it";
                    return Err(DataFusionError::Plan(reason.to_owned()));
                }
                let all = scan.source.schema();
                let schema = scan.projection.as_ref().map(|columns| all.project(columns)).transpose()?;
                Ok((Self::Chunk(scan.projection.clone()), schema.map_or(all, Arc::new)))
            }
            LogicalPlan::SubqueryAlias(alias) => Self::from(&alias.input, of),
            LogicalPlan::Filter(filter) => Self::filter(filter, of),
            LogicalPlan::Projection(projection) => Self::project(projection, of),
            LogicalPlan::Join(join) => Self::join(join, of),
            LogicalPlan::Unnest(plan) => {
                let (from, schema) = Self::from(&plan.input, of)?;
                let unnest = Unnest::of(plan, &schema)?;
                let schema = Arc::clone(unnest.schema());
                Ok((Self::Unnest { from: Box::new(from), unnest }, schema))
            }
            LogicalPlan::Union(union) => Self::union(union, of),
            other => Err(refuse::node(other)),
        }
    }

    fn filter(filter: &Filter, of: Of) -> Result<(Self, SchemaRef)> {
        let (from, schema) = Self::from(&filter.input, of)?;
        let condition = physical(&filter.predicate, filter.input.schema())?;
        Ok((Self::Filter { from: Box::new(from), condition }, schema))
    }

    fn project(projection: &Projection, of: Of) -> Result<(Self, SchemaRef)> {
        let (from, input) = Self::from(&projection.input, of)?;
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for (expression, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let column = physical(expression, projection.input.schema())?;
            fields.push(Field::new(field.name(), column.data_type(&input)?, true));
            columns.push(column);
        }
        let schema = Arc::new(Schema::new(fields));
        Ok((Self::Project { from: Box::new(from), columns, schema: Arc::clone(&schema) }, schema))
    }

    fn join(join: &Join, of: Of) -> Result<(Self, SchemaRef)> {
        let reference = Joined::reference(join)?;
        let (from, left) = Self::from(&join.left, of)?;
        let (made, right) = Self::from(&join.right, Of::Lookup)?;
        let made = |rows: &RecordBatch, numbers| made.run(rows, Some(numbers), false);
        let joined = Joined::of(join, &reference, &left, (&right, &made))?;
        let schema = Arc::clone(joined.schema());
        Ok((Self::Join { from: Box::new(from), joined }, schema))
    }

    fn union(union: &Union, of: Of) -> Result<(Self, SchemaRef)> {
        let (queries, schemas): (Vec<_>, Vec<_>) =
            union.inputs.iter().map(|input| Self::from(input, of)).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let first = schemas.first().map(|schema| schema.fields().iter()).into_iter().flatten();
        let fields = first.zip(union.schema.fields()).map(|(field, named)| {
            let field = field.as_ref().clone();
            field.with_name(named.name()).with_nullable(true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok((Self::Union { queries, schema: Arc::clone(&schema) }, schema))
    }

    /// Adds the columns that are read of a chunk that has `all` columns.
    pub(super) fn read(&self, all: usize, read: &mut BTreeSet<usize>) {
        match self {
            Self::Chunk(None) => read.extend(0..all),
            Self::Chunk(Some(columns)) => read.extend(columns),
            Self::Filter { from, .. }
            | Self::Project { from, .. }
            | Self::Join { from, .. }
            | Self::Unnest { from, .. } => from.read(all, read),
            Self::Union { queries, .. } => queries.iter().for_each(|query| query.read(all, read)),
        }
    }

    /// Whether one row comes out of each row, in the same order.
    pub(super) fn keeps_rows(&self) -> bool {
        match self {
            Self::Chunk(_) => true,
            Self::Project { from, .. } => from.keeps_rows(),
            Self::Join { from, joined } => from.keeps_rows() && !joined.is_inner(),
            Self::Filter { .. } | Self::Unnest { .. } | Self::Union { .. } => false,
        }
    }

    /// Makes this a step over batches that have these columns of the chunk alone, in this order.
    pub(super) fn narrow(&mut self, read: &[usize]) {
        match self {
            Self::Chunk(None) => {}
            Self::Chunk(Some(columns)) => {
                *columns = columns.iter().filter_map(|column| read.binary_search(column).ok()).collect();
            }
            Self::Filter { from, .. }
            | Self::Project { from, .. }
            | Self::Join { from, .. }
            | Self::Unnest { from, .. } => from.narrow(read),
            Self::Union { queries, .. } => queries.iter_mut().for_each(|query| query.narrow(read)),
        }
    }

    /// For each column that comes out, the column of the chunk whose values it has; none for those that are computed.
    pub(super) fn unchanged(&self, all: usize) -> Vec<Option<usize>> {
        match self {
            Self::Chunk(None) => (0..all).map(Some).collect(),
            Self::Chunk(Some(columns)) => columns.iter().copied().map(Some).collect(),
            Self::Filter { from, .. } => from.unchanged(all),
            Self::Join { from, joined } => {
                let mut sources = from.unchanged(all);
                sources.extend(vec![None; joined.added()]);
                sources
            }
            Self::Project { from, columns, .. } => {
                let from = from.unchanged(all);
                let source = |column: &Column| from.get(column.index()).copied().flatten();
                columns.iter().map(|column| column.downcast_ref().and_then(source)).collect()
            }
            Self::Unnest { unnest, .. } => vec![None; unnest.schema().fields().len()],
            Self::Union { schema, .. } => vec![None; schema.fields().len()],
        }
    }

    /// What comes of the rows of a batch, with the numbers of the rows that they are of, if these are given. `has_keys` says that some
    /// columns have keys that the query does not know of.
    pub(super) fn run(
        &self,
        batch: &RecordBatch,
        numbers: Numbers,
        has_keys: bool,
    ) -> Result<Vec<(RecordBatch, Numbers)>> {
        match self {
            Self::Chunk(None) => Ok(vec![(batch.clone(), numbers)]),
            Self::Chunk(Some(columns)) => Ok(vec![(batch.project(columns)?, numbers)]),
            Self::Filter { from, condition } => {
                let filtered = |(batch, numbers)| filtered(&batch, numbers, condition, has_keys);
                from.run(batch, numbers, has_keys)?.into_iter().map(filtered).collect()
            }
            Self::Project { from, columns, schema } => {
                let projected = |(batch, numbers)| Ok((projected(&batch, columns, schema, has_keys)?, numbers));
                from.run(batch, numbers, has_keys)?.into_iter().map(projected).collect()
            }
            Self::Join { from, joined } => {
                let rows = from.run(batch, numbers, has_keys)?.into_iter();
                rows.map(|(batch, numbers)| joined.run(&batch, numbers)).collect()
            }
            Self::Unnest { from, unnest } => {
                let unnested = |(batch, numbers): (_, Numbers)| unnest.run(&batch, numbers.as_ref());
                let rows = from.run(batch, numbers, has_keys)?;
                Ok(rows.into_iter().map(unnested).collect::<Result<Vec<_>>>()?.concat())
            }
            Self::Union { queries, schema } => {
                let mut all = Vec::new();
                for query in queries {
                    let renamed = |(batch, numbers)| Ok((renamed(&batch, schema)?, numbers));
                    let rows = query.run(batch, numbers.clone(), has_keys)?;
                    all.extend(rows.into_iter().map(renamed).collect::<Result<Vec<_>>>()?);
                }
                Ok(all)
            }
        }
    }
}

impl Step {
    /// The expression that cannot be computed for these rows, as text; none where it is not one by itself.
    pub(super) fn failing(&self, batch: &RecordBatch) -> Option<String> {
        match self {
            Self::Chunk(_) => None,
            Self::Filter { from, condition } => from.failing(batch).or_else(|| from.first_failing(batch, &[condition])),
            Self::Project { from, columns, .. } => {
                let columns: Vec<_> = columns.iter().collect();
                from.failing(batch).or_else(|| from.first_failing(batch, &columns))
            }
            Self::Join { from, joined } => from.failing(batch).or_else(|| from.first_failing(batch, &joined.keys())),
            Self::Unnest { from, .. } => from.failing(batch),
            Self::Union { queries, .. } => queries.iter().find_map(|query| query.failing(batch)),
        }
    }

    /// The first of these expressions that cannot be computed for what comes of some rows.
    fn first_failing(&self, batch: &RecordBatch, expressions: &[&Arc<dyn PhysicalExpr>]) -> Option<String> {
        let made = self.run(batch, None, false).ok()?;
        let fails =
            |expression: &Arc<dyn PhysicalExpr>| made.iter().any(|(rows, _)| expression.evaluate(rows).is_err());
        let mut failing = *expressions.iter().find(|expression| fails(expression))?;
        while let Some(part) = failing.children().into_iter().find(|part| fails(part)) {
            failing = part;
        }
        Some(without_places(&failing.to_string()))
    }
}

/// An expression without the places of columns, as in `CAST(a@1 AS Int64)`.
fn without_places(text: &str) -> String {
    let mut parts = text.split('@');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == part.len() { text + "@" + part } else { text + rest }
    })
}

fn filtered(
    batch: &RecordBatch,
    numbers: Numbers,
    condition: &Arc<dyn PhysicalExpr>,
    has_keys: bool,
) -> Result<(RecordBatch, Numbers)> {
    let is_kept = if has_keys {
        by_value::truth(condition, batch)?
    } else {
        let values = condition.evaluate(batch)?.into_array(batch.num_rows())?;
        as_boolean_array(&values)?.clone()
    };
    let numbers = numbers.map(|numbers| filter(&numbers, &is_kept)).transpose()?;
    Ok((filter_record_batch(batch, &is_kept)?, numbers))
}

fn projected(
    batch: &RecordBatch,
    columns: &[Arc<dyn PhysicalExpr>],
    schema: &SchemaRef,
    has_keys: bool,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    if has_keys {
        let values = columns.iter().map(|column| by_value::values(column, batch)).collect::<Result<Vec<_>>>()?;
        return Ok(keyed::batch(schema, values, rows)?);
    }
    let values = columns.iter().map(|column| column.evaluate(batch)?.into_array(rows)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), values, &options)?)
}

fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    Ok(keyed::batch(schema, batch.columns().to_vec(), batch.num_rows())?)
}
