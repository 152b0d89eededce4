//! Long lists of columns, planned some at a time.
//!
//! For each column of a list the engine looks whether an earlier one has the same text, and makes the texts of all earlier ones anew to do so
//! (`push_projection_dedupl` of `datafusion-sql` 55). Four thousand columns take ten seconds so, and a tenth of that in pieces.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::Projection;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, Statement, Visit, Visitor};

use super::engine::Result;
use super::names::Names;

/// Columns that are planned at once.
const AT_ONCE: usize = 64;

/// The plan of a query.
pub(super) fn planned(names: &Names, statement: Statement) -> Result<LogicalPlan> {
    match in_pieces(names, &statement) {
        Some(plan) => Ok(plan),
        // What is wrong is told as of the whole.
        None => SqlToRel::new(names).sql_statement_to_plan(statement),
    }
}

/// The same of a query with a long list of columns; none where it has another form, or something is wrong.
fn in_pieces(names: &Names, statement: &Statement) -> Option<LogicalPlan> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    if select.projection.len() <= AT_ONCE || !select.projection.iter().all(makes_one_column) {
        return None;
    }
    let pieces = select.projection.chunks(AT_ONCE).map(|items| {
        let select = Select { projection: items.to_vec(), ..select.as_ref().clone() };
        let query = Query { body: Box::new(SetExpr::Select(Box::new(select))), ..query.as_ref().clone() };
        match SqlToRel::new(names).sql_statement_to_plan(Statement::Query(Box::new(query))) {
            Ok(LogicalPlan::Projection(piece)) => Some(piece),
            _ => None,
        }
    });
    let mut pieces = pieces.collect::<Option<Vec<_>>>()?.into_iter();
    let Projection { mut expr, input, .. } = pieces.next()?;
    for piece in pieces {
        if piece.input != input {
            return None;
        }
        expr.extend(piece.expr);
    }
    Projection::try_new(expr, Arc::clone(&input)).ok().map(LogicalPlan::Projection)
}

/// Whether it makes one column, and a row of each row.
fn makes_one_column(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
            expression.visit(&mut Unnests).is_continue()
        }
        _ => false,
    }
}

/// Ends at a call of `unnest()`.
struct Unnests;

impl Visitor for Unnests {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) if function.name.to_string().to_lowercase().contains("unnest") => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
