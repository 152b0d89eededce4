//! Conditions that other programs wrote for the rows of a table, and that mean the same here.
//!
//! Engines differ in how they divide, compare values of different types, or match expressions. Of what a condition may consist of
//! there is therefore a list, and all else is refused.

mod floats;

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_common::cast::as_boolean_array;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::utils::collect_columns;
use datafusion_sql::planner::{ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CastKind, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;

use super::engine::{Result, optimized, physical};
use super::names::Names;
use super::overflow;

/// Functions that give the same everywhere.
const FUNCTIONS: [&str; 14] = [
    "abs",
    "ceil",
    "char_length",
    "character_length",
    "coalesce",
    "floor",
    // How deltalake writes the field of a struct.
    "get_field",
    "length",
    "lower",
    "ltrim",
    "nullif",
    "rtrim",
    "trim",
    "upper",
];

/// A condition, ready for rows of the table that it is of.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: Arc<dyn PhysicalExpr>,
    /// Places of the columns that it names.
    columns: Vec<usize>,
}

impl Condition {
    /// Reads a condition on rows with these columns.
    pub(crate) fn new(sql: &str, columns: &SchemaRef) -> Result<Self> {
        let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql)?;
        let mut condition = parser.parse_expr()?;
        if parser.peek_token().token != Token::EOF {
            return Err(refused("it goes on after a condition"));
        }
        if let ControlFlow::Break(error) = condition.visit(&mut Resolve { columns: columns.fields() }) {
            return Err(error);
        }
        let [statement] = <[_; 1]>::try_from(Parser::parse_sql(
            &GenericDialect {},
            &format!("SELECT ({condition}) AS holds FROM chunk"),
        )?)
        .map_err(|_| refused("it is not one condition"))?;
        let names = Names::of(columns, &[]);
        let options = ParserOptions::new().with_parse_float_as_decimal(true);
        let plan = SqlToRel::new_with_options(&names, options).sql_statement_to_plan(statement)?;
        check_types(&plan)?;
        let plan = floats::with_doubles(plan)?;
        let plan = Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
        let plan = overflow::checked(plan)?;
        // Some functions, as coalesce(), are not computed before they are rewritten.
        let plan = optimized(plan, vec![Arc::new(SimplifyExpressions::new())])?;
        let LogicalPlan::Projection(projection) = &plan else { return Err(refused("it is not a condition")) };
        let [condition] = projection.expr.as_slice() else { return Err(refused("it is not one condition")) };
        let condition = floats::normalized(condition.clone(), projection.input.schema())?;
        let expression = physical(&condition, projection.input.schema())?;
        if expression.data_type(columns)? != DataType::Boolean {
            return Err(refused("it is neither true nor false"));
        }
        let mut places: Vec<usize> = collect_columns(&expression).iter().map(Column::index).collect();
        places.sort_unstable();
        Ok(Self { expression, columns: places })
    }

    /// Places of the columns that it names.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// What it says of each row; null where nothing can be told.
    pub(crate) fn evaluate(&self, rows: &RecordBatch) -> Result<BooleanArray> {
        let values = self.expression.evaluate(rows)?.into_array(rows.num_rows())?;
        Ok(as_boolean_array(&values)?.clone())
    }
}

fn refused(reason: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(reason.into())
}

/// Refuses what is not on the list, and gives columns the names that they have in the table: unlike those of other engines, names of
/// this one are case-sensitive.
struct Resolve<'a> {
    columns: &'a Fields,
}

impl VisitorMut for Resolve<'_> {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, expression: &mut Ast) -> ControlFlow<Self::Break> {
        match self.check(expression) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Resolve<'_> {
    fn check(&self, expression: &mut Ast) -> Result<()> {
        use BinaryOperator as B;
        match expression {
            Ast::Identifier(name) => self.resolve(std::slice::from_mut(name)),
            Ast::CompoundIdentifier(names) => self.resolve(names),
            Ast::Value(value) => check_value(&value.value),
            Ast::BinaryOp { op, .. } => match op {
                B::Plus
                | B::Minus
                | B::Multiply
                | B::And
                | B::Or
                | B::Eq
                | B::NotEq
                | B::Lt
                | B::LtEq
                | B::Gt
                | B::GtEq
                | B::Spaceship => Ok(()),
                op => Err(refused(format!("operator {op} is not known to mean the same to all writers"))),
            },
            Ast::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not, .. }
            | Ast::Nested(_)
            | Ast::IsNull(_)
            | Ast::IsNotNull(_)
            | Ast::IsTrue(_)
            | Ast::IsNotTrue(_)
            | Ast::IsFalse(_)
            | Ast::IsNotFalse(_)
            | Ast::IsDistinctFrom(..)
            | Ast::IsNotDistinctFrom(..)
            | Ast::InList { .. }
            | Ast::Between { .. }
            | Ast::Case { .. }
            | Ast::TypedString(_)
            | Ast::Like { any: false, escape_char: None, .. } => Ok(()),
            Ast::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, format: None, array: false, .. } => {
                match expr.as_ref() {
                    Ast::Value(_) => Ok(()),
                    _ => Err(refused("CAST of anything but a literal is not known to mean the same to all writers")),
                }
            }
            Ast::Function(function) => check_function(function),
            other => Err(refused(format!("'{other}' is not known to mean the same to all writers"))),
        }
    }

    fn resolve(&self, names: &mut [Ident]) -> Result<()> {
        let mut fields = Some(self.columns);
        for name in names {
            let found = fields.and_then(|fields| find(fields, &name.value));
            let is_exact = found.is_some_and(|field| *field.name() == name.value);
            if name.quote_style == Some('"') && !(is_exact && is_quoted_by_deltalake(&name.value)) {
                return Err(refused(format!("{name} is a text to some writers, and a column to others")));
            }
            let field = found.ok_or_else(|| refused(format!("the table has no column {name}")))?;
            *name = Ident::with_quote('"', field.name());
            fields = match field.data_type() {
                DataType::Struct(fields) => Some(fields),
                _ => None,
            };
        }
        Ok(())
    }
}

/// Whether deltalake puts the name of a column in double quotes, in which Spark has texts.
fn is_quoted_by_deltalake(name: &str) -> bool {
    !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a FieldRef> {
    let exact = fields.iter().find(|field| field.name() == name);
    exact.or_else(|| fields.iter().find(|field| field.name().to_lowercase() == name.to_lowercase()))
}

fn check_value(value: &Value) -> Result<()> {
    match value {
        Value::SingleQuotedString(text) if text.contains('\\') => {
            Err(refused(format!("what the backslash in '{text}' stands for differs between writers")))
        }
        Value::SingleQuotedString(_) | Value::Number(_, false) | Value::Boolean(_) | Value::Null => Ok(()),
        other => Err(refused(format!("{other} is not known to mean the same to all writers"))),
    }
}

fn check_function(function: &Function) -> Result<()> {
    let name = function.name.to_string().to_lowercase();
    if !FUNCTIONS.contains(&name.as_str()) {
        return Err(refused(format!("function {name}() is not known to mean the same to all writers")));
    }
    let is_plain = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_none()
                && list.clauses.is_empty()
                && list.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))))
        }
        _ => false,
    };
    if is_plain && function.filter.is_none() && function.over.is_none() && function.within_group.is_empty() {
        return Ok(());
    }
    Err(refused(format!("this form of {name}() is not supported")))
}

/// Kinds of values that all engines compare in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Number,
    Text,
    Boolean,
    Date,
    Moment,
    Instant,
    Other,
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Null => Kind::Unknown,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Boolean => Kind::Boolean,
        DataType::Date32 => Kind::Date,
        DataType::Timestamp(_, None) => Kind::Moment,
        DataType::Timestamp(_, Some(_)) => Kind::Instant,
        other if other.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// Refuses to compare values, or to compute with them, that engines convert to each other in different ways.
fn check_types(plan: &LogicalPlan) -> Result<()> {
    let [input] = plan.inputs()[..] else { return Ok(()) };
    let schema = input.schema();
    plan.apply_expressions(|expression| {
        expression.apply(|expression| {
            match expression {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
                    check_kinds(schema, &[left, right], |kind| kind == Kind::Boolean)
                }
                Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_numerical_operators() => {
                    check_kinds(schema, &[left, right], |kind| kind == Kind::Number)
                }
                Expr::BinaryExpr(BinaryExpr { left, right, .. }) => check_kinds(schema, &[left, right], |_| true),
                Expr::Between(between) => check_kinds(schema, &[&between.expr, &between.low, &between.high], |_| true),
                Expr::InList(list) => {
                    let all: Vec<&Expr> = std::iter::once(list.expr.as_ref()).chain(&list.list).collect();
                    check_kinds(schema, &all, |_| true)
                }
                Expr::Like(like) => check_kinds(schema, &[&like.expr, &like.pattern], |kind| kind == Kind::Text),
                Expr::Not(inner) | Expr::IsTrue(inner) | Expr::IsFalse(inner) => {
                    check_kinds(schema, &[inner], |kind| kind == Kind::Boolean)
                }
                Expr::Case(case) if case.expr.is_some() => Err(refused("CASE with an operand is not supported")),
                _ => Ok(()),
            }?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// Checks that all of these are of one kind, and of one that may be here. A text that is written out may stand for a date.
fn check_kinds(schema: &DFSchema, all: &[&Expr], is_taken: impl Fn(Kind) -> bool) -> Result<()> {
    let mut kinds = Vec::with_capacity(all.len());
    for expression in all {
        kinds.push((kind(&expression.get_type(schema)?), is_text(expression)));
    }
    let first = kinds.iter().map(|(kind, _)| *kind).find(|kind| !matches!(kind, Kind::Unknown | Kind::Text));
    let first =
        first.unwrap_or(if kinds.iter().any(|(kind, _)| *kind == Kind::Text) { Kind::Text } else { Kind::Unknown });
    let stands_for = |is_literal: bool| is_literal && matches!(first, Kind::Date | Kind::Moment);
    let fits = |(kind, is_literal): &(Kind, bool)| match kind {
        Kind::Unknown => true,
        Kind::Text if *kind != first => stands_for(*is_literal),
        kind => *kind == first && *kind != Kind::Other,
    };
    if kinds.iter().all(fits) && (first == Kind::Unknown || is_taken(first)) {
        return Ok(());
    }
    let shown = all.iter().map(|expression| format!("'{expression}'")).collect::<Vec<_>>().join(", ");
    Err(refused(format!("{shown}: engines convert values of such different types to each other in different ways")))
}

fn is_text(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_), _))
}

#[cfg(test)]
mod tests;
