//! SQL that takes each row by itself, so that what comes of a file does not depend on where it was cut.
//!
//! `DataFusion` parses it, checks its types and evaluates its expressions. A query is a chain of filters, projections and
//! `unnest()` over the chunk, or several such chains under `UNION ALL`; whatever looks at more than one row is refused.

mod names;
mod unnest;

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::cast::as_boolean_array;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::logical_plan::{Filter, Projection, Union};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, LogicalPlan, Volatility};
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Optimizer, OptimizerContext};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::Statement;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;

use names::Names;
use unnest::Unnest;

/// A query, ready for batches of the chunk that it was made for.
#[derive(Debug)]
pub(crate) struct Query {
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
        let plan = SqlToRel::new(&Names::of(chunk)).sql_statement_to_plan(statement).map_err(explained)?;
        refuse_what_varies(&plan)?;
        let plan = Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
        let (step, schema) = Step::of(&simplified(plan)?)?;
        Ok(Self { step, schema })
    }

    /// The columns that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What comes of the rows of a batch, in their order, batch by batch.
    pub(crate) fn run(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        self.step.run(batch)
    }
}

/// Constants are computed once, and what stands several times is.
fn simplified(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rules =
        Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new()), Arc::new(CommonSubexprEliminate::new())]);
    rules.optimize(plan, &OptimizerContext::new(), |_, _| {})
}

/// One thing that is done to rows, behind those that are done before.
#[derive(Debug)]
enum Step {
    /// The rows of the chunk.
    Chunk,
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
        refuse_subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) if scan.projection.is_none() && scan.filters.is_empty() => {
                Ok((Self::Chunk, scan.source.schema()))
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
            other => Err(looks_at_several(&word_of(other))),
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
            Self::Chunk => Ok(vec![batch.clone()]),
            Self::Filter { from, condition } => {
                from.run(batch)?.iter().map(|batch| filtered(batch, condition.as_ref())).collect()
            }
            Self::Project { from, columns, schema } => {
                from.run(batch)?.iter().map(|batch| projected(batch, columns, schema)).collect()
            }
            Self::Unnest { from, unnest } => from.run(batch)?.iter().map(|batch| unnest.run(batch)).collect(),
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

fn physical(expression: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    create_physical_expr(expression, input, &ExecutionProps::new(), &PhysicalPlanningContext::default())
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

fn refuse_what_varies(query: &LogicalPlan) -> Result<()> {
    query.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| match varying(expression) {
                Some(name) => Err(DataFusionError::Plan(format!(
                    "{name} may give another value at each attempt, and a chunk that is loaded again must give the same rows"
                ))),
                None => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The function of an expression when its value is not decided by its arguments alone.
fn varying(expression: &Expr) -> Option<String> {
    let (name, volatility) = match expression {
        Expr::ScalarFunction(call) => (call.name().to_owned(), call.func.signature().volatility),
        Expr::ScalarVariable(_, names) => (names.join("."), Volatility::Volatile),
        _ => return None,
    };
    (volatility != Volatility::Immutable).then(|| format!("{name}()"))
}

fn refuse_subqueries(node: &LogicalPlan) -> Result<()> {
    node.apply_expressions(|expression| {
        expression.apply(|expression| match expression {
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                Err(looks_at_several("a query within an expression"))
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })
    })?;
    Ok(())
}

/// What is written in SQL to have this node.
fn word_of(plan: &LogicalPlan) -> String {
    let word = match plan {
        LogicalPlan::Aggregate(_) => "GROUP BY",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::EmptyRelation(_) => "a query without FROM",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
        LogicalPlan::Ddl(_) => "SELECT INTO",
        other => return other.display().to_string(),
    };
    word.to_owned()
}

/// Says of a function that is not there that it may be one over several rows.
fn explained(error: DataFusionError) -> DataFusionError {
    match error.find_root() {
        DataFusionError::Plan(text) if text.starts_with("Invalid function") => {
            let text = text.lines().next().unwrap_or_default().trim_end_matches('.');
            DataFusionError::Plan(format!("{text}; each row is taken by itself, so none looks at several"))
        }
        // There are none whose names could be suggested.
        DataFusionError::Internal(text) if text.starts_with("No functions registered") => looks_at_several("OVER"),
        _ => error,
    }
}

fn looks_at_several(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!(
        "{what} does not take each row by itself, and what comes of a file must not depend on where it was cut"
    ))
}
