//! SQL that takes each row by itself, so that what comes of a file does not depend on where it was cut.
//!
//! `DataFusion` parses it, checks its types and evaluates its expressions. A query is a chain of filters, projections and
//! `unnest()` over the chunk, or several such chains under `UNION ALL`; whatever looks at more than one row is refused.

mod bundles;
mod by_value;
pub(crate) mod condition;
mod conditions;
mod digests;
mod engine;
mod joined;
mod names;
mod overflow;
pub(crate) mod parameters;
mod pieces;
pub(crate) mod references;
mod refuse;
mod step;
mod unnest;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::DataFusionError;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_sql::sqlparser::ast::Statement;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use shared::RowCondition;

use bundles::Bundles;
use engine::{Result, Rules, optimized};
use names::Names;
use parameters::Parameters;
use references::References;
use step::{Numbers, Step};

use crate::keyed;

/// A query, ready for batches of the chunk that it was made for.
#[derive(Debug)]
pub(crate) struct Query {
    /// Columns of the chunk that are planned as one, if there are any.
    bundles: Option<Bundles>,
    /// How many columns the chunk has for the step.
    columns: usize,
    step: Step,
    /// The columns that come out of the step.
    planned: SchemaRef,
    /// The same, each by itself.
    schema: SchemaRef,
    /// Whether it reads, as the last column of the chunk, the numbers of records.
    asks_number: bool,
    /// Whether columns with keys are none that it was planned for as such.
    knows_keys: bool,
}

impl Query {
    /// Parses a query of a chunk that has these columns, and checks it. What depends on chance or on the clock is refused, since a
    /// chunk may be loaded in more than one attempt.
    #[cfg(test)]
    pub(crate) fn new(sql: &str, chunk: &SchemaRef) -> Result<Self> {
        Self::with_parameters(sql, chunk, &Parameters::default(), &[])
    }

    /// The same with parameters, and look-ups that it may join.
    pub(crate) fn with_parameters(
        sql: &str,
        chunk: &SchemaRef,
        parameters: &Parameters,
        references: References<'_>,
    ) -> Result<Self> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql)?;
        let Ok([mut statement @ Statement::Query(_)]) = <[Statement; 1]>::try_from(statements) else {
            return Err(DataFusionError::Plan("it is not one query".to_owned()));
        };
        if parameters.bind(&mut statement)? {
            let query = Self::of_statement(statement, &parameters::with_number(chunk), references)?;
            return Ok(Self { asks_number: true, ..query });
        }
        Self::of_statement(statement, chunk, references)
    }

    /// The same for a query that is parsed.
    fn of_statement(statement: Statement, chunk: &SchemaRef, references: References<'_>) -> Result<Self> {
        refuse::unread_clauses(&statement)?;
        let plain = |statement| Self::plain(statement, chunk, references);
        let query = match Bundles::of(&statement, chunk) {
            Some(bundles) => Self::bundled(statement.clone(), bundles, references).or_else(|_| plain(statement)),
            None => plain(statement),
        }?;
        if !references.is_empty() {
            refuse::equal_names(&query.schema)?;
        }
        Ok(query)
    }

    /// A query that is planned for all columns one by one. What is wrong with it is told in their terms.
    fn plain(statement: Statement, chunk: &SchemaRef, references: References<'_>) -> Result<Self> {
        let (step, schema) = planned(statement, chunk, references)?;
        let knows_keys = knows_keys(chunk);
        Ok(Self {
            bundles: None,
            columns: chunk.fields().len(),
            step,
            planned: Arc::clone(&schema),
            schema,
            asks_number: false,
            knows_keys,
        })
    }

    fn bundled(statement: Statement, bundles: Bundles, references: References<'_>) -> Result<Self> {
        let (step, planned) = planned(statement, bundles.schema(), references)?;
        let (columns, schema) = (bundles.schema().fields().len(), bundles.unbundled_schema(&planned));
        let knows_keys = knows_keys(bundles.schema());
        Ok(Self { bundles: Some(bundles), columns, step, planned, schema, asks_number: false, knows_keys })
    }

    /// A query of a column for each condition, in their order. Each is one that [`Query::of_condition`] takes.
    pub(crate) fn of_conditions<'a>(
        conditions: impl IntoIterator<Item = &'a RowCondition>,
        chunk: &SchemaRef,
    ) -> Result<Self> {
        Self::of_statement(conditions::statement(conditions, chunk)?, chunk, &[])
    }

    /// A query of one column: whether a condition is true, false or null for each row of a chunk with these columns.
    pub(crate) fn of_condition(condition: &RowCondition, chunk: &SchemaRef) -> Result<Self> {
        let query = Self::of_conditions([condition], chunk)?;
        let data_type = query.schema().field(0).data_type();
        if *data_type != DataType::Boolean {
            let data_type = shared::type_name(data_type);
            return Err(DataFusionError::Plan(format!("it is not true or false, but {data_type}")));
        }
        if query.step.keeps_rows() {
            Ok(query)
        } else {
            Err(DataFusionError::Plan("it makes several rows of one".to_owned()))
        }
    }

    /// Whether it takes the record number of each row.
    pub(crate) fn asks_number(&self) -> bool {
        self.asks_number
    }

    /// The columns that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// For each column that comes out, the column of the chunk whose values it has; none for those that are computed.
    pub(crate) fn unchanged(&self) -> Vec<Option<usize>> {
        let sources = self.step.unchanged(self.columns);
        match &self.bundles {
            Some(bundles) => bundles.unbundled_sources(&self.planned, &sources),
            None => sources,
        }
    }

    /// The columns of the chunk that it reads, in order.
    pub(crate) fn reads(&self) -> Vec<usize> {
        self.unbundled(&self.step_reads())
    }

    /// The columns that the step reads, of those that the chunk has for it.
    fn step_reads(&self) -> Vec<usize> {
        let mut read = BTreeSet::new();
        self.step.read(self.columns, &mut read);
        read.into_iter().collect()
    }

    fn unbundled(&self, columns: &[usize]) -> Vec<usize> {
        match &self.bundles {
            Some(bundles) => columns.iter().flat_map(|column| bundles.columns(*column)).collect(),
            None => columns.to_vec(),
        }
    }

    /// The columns of the chunk that it reads, in order, and the query for batches that have just these.
    pub(crate) fn narrowed(mut self) -> (Vec<usize>, Self) {
        let mut read = self.step_reads();
        let number = self.columns.saturating_sub(1);
        if self.asks_number && read.last() != Some(&number) {
            read.push(number);
        }
        let mut columns = self.unbundled(&read);
        if self.asks_number {
            // The column of numbers is not one of the chunk's.
            columns.pop();
        }
        self.step.narrow(&read);
        self.columns = read.len();
        self.bundles = self.bundles.map(|bundles| bundles.narrowed(&read));
        (columns, self)
    }

    /// What comes of the rows of a batch, in their order, batch by batch. Columns may have keys ([`crate::keyed`]); what comes of them
    /// then has some, too.
    pub(crate) fn run(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        Ok(self.run_numbered(batch, None)?.into_iter().map(|(batch, _)| batch).collect())
    }

    /// The expression that cannot be computed for these rows, as text.
    pub(crate) fn failing(&self, batch: &RecordBatch, numbers: Option<&ArrayRef>) -> Option<String> {
        let columns = batch.columns().iter().map(keyed::plain).collect::<Result<Vec<_>, _>>().ok()?;
        let fields = batch.schema_ref().fields().iter().zip(&columns);
        let fields = fields.map(|(field, values)| field.as_ref().clone().with_data_type(values.data_type().clone()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options).ok()?;
        let batch = if self.asks_number { with_number(&batch, numbers).ok()? } else { batch };
        match &self.bundles {
            Some(bundles) => self.step.failing(&bundles.bundle(&batch).ok()?),
            None => self.step.failing(&batch),
        }
    }

    /// As [`Self::run`], with the record number of each row, and of each that comes out. Without them, numbers that are asked for are null.
    pub(crate) fn run_numbered(&self, batch: &RecordBatch, numbers: Numbers) -> Result<Vec<(RecordBatch, Numbers)>> {
        let batch = if self.asks_number { with_number(batch, numbers.as_ref())? } else { batch.clone() };
        let has_keys = self.knows_keys && batch.columns().iter().any(|column| keyed::of(column).is_some());
        let Some(bundles) = &self.bundles else { return self.step.run(&batch, numbers, has_keys) };
        let made = self.step.run(&bundles.bundle(&batch)?, numbers, has_keys)?.into_iter();
        made.map(|(batch, numbers)| Ok((bundles.unbundle(&batch, &self.schema)?, numbers))).collect()
    }
}

/// The steps of a query of a chunk that has these columns, and the columns that come out.
fn planned(statement: Statement, chunk: &SchemaRef, references: References<'_>) -> Result<(Step, SchemaRef)> {
    let plan = pieces::planned(&Names::of(chunk, references), statement).map_err(refuse::explained)?;
    refuse::what_varies(&plan)?;
    let plan = Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
    Step::of(&simplified(overflow::checked(plan)?)?)
}

/// Whether columns with keys would be none that a query is planned for as such.
fn knows_keys(chunk: &SchemaRef) -> bool {
    !chunk.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}

/// A batch of the chunk with the numbers of records as its last column.
fn with_number(batch: &RecordBatch, numbers: Option<&ArrayRef>) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = numbers.map_or_else(|| new_null_array(&DataType::Int64, rows), Arc::clone);
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = parameters::with_number(batch.schema_ref());
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
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
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    optimized(plan, rules)
}

#[cfg(test)]
mod tests;
