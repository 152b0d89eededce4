//! What SQL must not do: look at several rows, or give other rows at another attempt.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::{Expr, LogicalPlan, Volatility};
use datafusion_sql::sqlparser::ast::{JoinConstraint, JoinOperator, Select, Statement, TableFactor, Visit, Visitor};

/// Functions over several rows, by their usual names.
const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_distinct",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "first_value",
    "grouping",
    "last_value",
    "listagg",
    "max",
    "mean",
    "median",
    "min",
    "percentile_cont",
    "stddev",
    "string_agg",
    "sum",
    "var",
    "variance",
];

/// That something cannot be had, since it takes several rows together.
pub(crate) fn several_rows(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!(
        "{what} does not take each row by itself, and what comes of a file must not depend on where it was cut"
    ))
}

/// Refuses clauses that the planner would read over.
pub(crate) fn unread_clauses(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Clauses) {
        ControlFlow::Break(clause) => Err(DataFusionError::NotImplemented(clause.to_owned())),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Clauses;

impl Visitor for Clauses {
    type Break = &'static str;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.prewhere.is_some() {
            return ControlFlow::Break("PREWHERE");
        }
        if !select.connect_by.is_empty() {
            return ControlFlow::Break("CONNECT BY");
        }
        // Which columns that joins by depends on those that nobody names.
        let joins = select.from.iter().flat_map(|from| &from.joins);
        if joins.map(|join| &join.join_operator).any(is_natural) {
            return ControlFlow::Break("NATURAL JOIN, since USING names the columns");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Self::Break> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break("TABLESAMPLE")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_natural(operator: &JoinOperator) -> bool {
    match operator {
        JoinOperator::Join(how) | JoinOperator::Inner(how) | JoinOperator::Left(how) | JoinOperator::LeftOuter(how) => {
            matches!(how, JoinConstraint::Natural)
        }
        _ => false,
    }
}

/// Refuses columns of the same name, as `*` of the chunk and of a look-up may give.
pub(crate) fn equal_names(columns: &Schema) -> Result<()> {
    let mut seen = HashSet::new();
    match columns.fields().iter().find(|field| !seen.insert(field.name())) {
        Some(field) => Err(DataFusionError::Plan(format!(
            "column '{name}' comes out twice: name columns in place of *, as c.*, k.other, or give one another name, as k.{name} as \
             k_{name}",
            name = field.name()
        ))),
        None => Ok(()),
    }
}

/// Refuses functions whose value is not decided by their arguments alone.
pub(crate) fn what_varies(query: &LogicalPlan) -> Result<()> {
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

fn varying(expression: &Expr) -> Option<String> {
    let (name, volatility) = match expression {
        Expr::ScalarFunction(call) => (call.name().to_owned(), call.func.signature().volatility),
        Expr::ScalarVariable(_, names) => (names.join("."), Volatility::Volatile),
        _ => return None,
    };
    (volatility != Volatility::Immutable).then(|| format!("{name}()"))
}

/// Refuses queries within the expressions of a node.
pub(crate) fn subqueries(node: &LogicalPlan) -> Result<()> {
    node.apply_expressions(|expression| {
        expression.apply(|expression| match expression {
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                Err(several_rows("a query within an expression"))
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })
    })?;
    Ok(())
}

/// That a node cannot be had, by the word that it has in SQL.
pub(crate) fn node(plan: &LogicalPlan) -> DataFusionError {
    several_rows(match plan {
        LogicalPlan::Aggregate(_) => "GROUP BY",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::EmptyRelation(_) => "a query without FROM",
        LogicalPlan::Ddl(_) => "SELECT INTO",
        other => return several_rows(&other.display().to_string()),
    })
}

/// Says of a function that is not there that it is one over several rows, where it is.
pub(crate) fn explained(error: DataFusionError) -> DataFusionError {
    match error.find_root() {
        DataFusionError::Plan(text) if text.starts_with("Invalid function") => {
            match text.split('\'').nth(1).filter(|name| AGGREGATES.contains(name)) {
                Some(name) => several_rows(&format!("{name}()")),
                None => DataFusionError::Plan(text.replace(".\n", ". ")),
            }
        }
        // There are none whose names could be suggested.
        DataFusionError::Internal(text) if text.starts_with("No functions registered") => several_rows("OVER"),
        _ => error,
    }
}
