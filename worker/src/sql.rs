//! SQL that takes each row by itself, so that what comes of a file does not depend on where it was cut.
//!
//! `DataFusion` parses it, checks its types and evaluates its expressions. A query is a chain of filters, projections and
//! `unnest()` over the chunk, or several such chains under `UNION ALL`; whatever looks at more than one row is refused.

mod columns;
pub(crate) mod condition;
mod engine;
mod names;
mod refuse;
mod unnest;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::DataFusionError;
use datafusion_common::cast::as_boolean_array;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::{Filter, Projection, Union};
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::Statement;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;

use crate::schema::write_schema::WriteSchema;
use engine::{Result, Rules, optimized, physical};
use names::Names;
use unnest::Unnest;

/// A query, ready for batches of the chunk that it was made for.
#[derive(Debug)]
pub(crate) struct Query {
    /// How many columns the chunk has.
    columns: usize,
    step: Step,
    schema: SchemaRef,
}

impl Query {
    /// Parses a query of a chunk that has these columns, and checks it. What depends on chance or on the clock is refused, since a
    /// chunk may be loaded in more than one attempt.
    pub(crate) fn new(sql: &str, chunk: &SchemaRef) -> Result<Self> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql)?;
        let Ok([statement @ Statement::Query(_)]) = <[Statement; 1]>::try_from(statements) else {
            return Err(DataFusionError::Plan("it is not one query".to_owned()));
        };
        refuse::unread_clauses(&statement)?;
        let plan = SqlToRel::new(&Names::of(chunk)).sql_statement_to_plan(statement).map_err(refuse::explained)?;
        refuse::what_varies(&plan)?;
        let plan = Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
        let (step, schema) = Step::of(&simplified(plan)?)?;
        Ok(Self { columns: chunk.fields().len(), step, schema })
    }

    /// The columns that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// For each column that comes out, the column of the chunk whose values it has; none for those that are computed.
    pub(crate) fn unchanged(&self) -> Vec<Option<usize>> {
        self.step.unchanged(self.columns)
    }

    /// The columns of the chunk that it reads, in order, and the query for batches that have just these.
    pub(crate) fn narrowed(mut self) -> (Vec<usize>, Self) {
        let mut read = BTreeSet::new();
        self.step.read(self.columns, &mut read);
        let read: Vec<usize> = read.into_iter().collect();
        self.step.narrow(&read);
        self.columns = read.len();
        (read, self)
    }

    /// What comes of the rows of a batch, in their order, batch by batch.
    pub(crate) fn run(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        self.step.run(batch)
    }
}

/// Whether SQL can be run on chunks with these columns, and a new table can have columns of the names that come out; the error says
/// why not.
pub fn check_sql(sql: &str, columns: &SchemaRef) -> Result<(), String> {
    check_sql_for(&WriteSchema::new(&[]), sql, columns)
}

/// The same for a table that may be there.
pub(crate) fn check_sql_for(write_schema: &WriteSchema, sql: &str, columns: &SchemaRef) -> Result<(), String> {
    let query = Query::new(sql, columns).map_err(|error| text_of(&error))?;
    write_schema.check_names(query.schema())
}

/// Characters of what the engine says, at most: it may hold a value, or all of a query as it was parsed.
const MOST_TEXT: usize = 300;

/// What the engine says, on one line.
pub(crate) fn text_of(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::SQL(error, _) => error.to_string(),
        // Some are but the name of what is not there.
        DataFusionError::NotImplemented(what) if !what.contains("support") && !what.contains("implement") => {
            format!("there is no {what}")
        }
        error => error.message().into_owned(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.');
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Constants are computed once, and so is what stands several times; nothing of rows that a filter takes away, nor what nobody
/// asks for.
fn simplified(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rules: Rules = vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    optimized(plan, rules)
}

/// One thing that is done to rows, behind those that are done before.
#[derive(Debug)]
enum Step {
    /// The rows of the chunk, with some of its columns or all.
    Chunk(Option<Vec<usize>>),
    /// Only those rows for which the condition is true.
    Filter { from: Box<Self>, condition: Arc<dyn PhysicalExpr> },
    /// Other columns, computed from those there are.
    Project { from: Box<Self>, columns: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef },
    /// A row for each value of a list.
    Unnest { from: Box<Self>, unnest: Unnest },
    /// The rows of several queries, one query behind the other, by the names that the first gives them.
    Union { queries: Vec<Self>, schema: SchemaRef },
}

impl Step {
    /// The steps of a plan, and the columns that come out.
    fn of(plan: &LogicalPlan) -> Result<(Self, SchemaRef)> {
        refuse::subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
                let all = scan.source.schema();
                let schema = scan.projection.as_ref().map(|columns| all.project(columns)).transpose()?;
                Ok((Self::Chunk(scan.projection.clone()), schema.map_or(all, Arc::new)))
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Filter(filter) => Self::filter(filter),
            LogicalPlan::Projection(projection) => Self::project(projection),
            LogicalPlan::Unnest(plan) => {
                let (from, schema) = Self::of(&plan.input)?;
                let unnest = Unnest::of(plan, &schema)?;
                let schema = Arc::clone(unnest.schema());
                Ok((Self::Unnest { from: Box::new(from), unnest }, schema))
            }
            LogicalPlan::Union(union) => Self::union(union),
            other => Err(refuse::node(other)),
        }
    }

    fn filter(filter: &Filter) -> Result<(Self, SchemaRef)> {
        let (from, schema) = Self::of(&filter.input)?;
        let condition = physical(&filter.predicate, filter.input.schema())?;
        Ok((Self::Filter { from: Box::new(from), condition }, schema))
    }

    fn project(projection: &Projection) -> Result<(Self, SchemaRef)> {
        let (from, input) = Self::of(&projection.input)?;
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

    fn union(union: &Union) -> Result<(Self, SchemaRef)> {
        let (queries, schemas): (Vec<_>, Vec<_>) =
            union.inputs.iter().map(|input| Self::of(input)).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let first = schemas.first().map(|schema| schema.fields().iter()).into_iter().flatten();
        let fields = first.zip(union.schema.fields()).map(|(field, named)| {
            let field = field.as_ref().clone();
            field.with_name(named.name()).with_nullable(true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok((Self::Union { queries, schema: Arc::clone(&schema) }, schema))
    }

    fn run(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Chunk(None) => Ok(vec![batch.clone()]),
            Self::Chunk(Some(columns)) => Ok(vec![batch.project(columns)?]),
            Self::Filter { from, condition } => {
                from.run(batch)?.iter().map(|batch| filtered(batch, condition.as_ref())).collect()
            }
            Self::Project { from, columns, schema } => {
                from.run(batch)?.iter().map(|batch| projected(batch, columns, schema)).collect()
            }
            Self::Unnest { from, unnest } => {
                let unnested = from.run(batch)?.into_iter().map(|batch| unnest.run(&batch));
                Ok(unnested.collect::<Result<Vec<_>>>()?.concat())
            }
            Self::Union { queries, schema } => {
                let mut all = Vec::new();
                for query in queries {
                    let renamed = query.run(batch)?.into_iter().map(|batch| renamed(&batch, schema));
                    all.extend(renamed.collect::<Result<Vec<_>>>()?);
                }
                Ok(all)
            }
        }
    }
}

fn filtered(batch: &RecordBatch, condition: &dyn PhysicalExpr) -> Result<RecordBatch> {
    let values = condition.evaluate(batch)?.into_array(batch.num_rows())?;
    let is_kept: &BooleanArray = as_boolean_array(&values)?;
    Ok(filter_record_batch(batch, is_kept)?)
}

fn projected(batch: &RecordBatch, columns: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let values = columns.iter().map(|column| column.evaluate(batch)?.into_array(rows)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), values, &options)?)
}

fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())?)
}
