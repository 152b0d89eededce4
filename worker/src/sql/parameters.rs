//! Parameters of SQL, such as `$source`: bound to values, and never pasted into its text.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{DataFusionError, Result};
use datafusion_sql::sqlparser::ast::{
    ExcludeSelectItem, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind as Qualified, Statement, TableFactor,
    Value, VisitMut, VisitorMut,
};

use super::names::TABLES;

/// The parameter that is another value in each row, and the column that chunks have for it while SQL reads it.
pub(crate) const RECORD_NUMBER: &str = "$record_number";

/// The type of moments: that of the column `_ingested_at`.
const MOMENT: &str = "Timestamp(Microsecond, Some(\"UTC\"))";

/// What parameters are, by their names without `$`; beside them there is [`RECORD_NUMBER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(pub(crate) Vec<(String, Parameter)>);

/// The value of a parameter; what is not known is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(Option<String>),
    Number(Option<u64>),
    /// A moment, as `2024-01-31T10:00:00Z`.
    Moment(Option<String>),
}

impl Parameters {
    /// Puts values in the place of parameters; gives whether the number of records is asked for. The error names a parameter that is not
    /// there.
    pub(super) fn bind(&self, statement: &mut Statement) -> Result<bool> {
        let mut bind = Bind { parameters: self, asks_number: false };
        if let ControlFlow::Break(error) = statement.visit(&mut bind) {
            return Err(error);
        }
        if bind.asks_number
            && let ControlFlow::Break(error) = statement.visit(&mut HideNumber::default())
        {
            return Err(error);
        }
        Ok(bind.asks_number)
    }

    fn value(&self, placeholder: &str) -> Result<Ast> {
        let value = |value: Value| Ast::Value(value.with_empty_span());
        let name = placeholder.trim_start_matches('$');
        match self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value) {
            Some(Parameter::Text(Some(text))) => Ok(value(Value::SingleQuotedString(text.clone()))),
            Some(Parameter::Text(None)) => Ok(typed(Value::Null, "Utf8")),
            Some(Parameter::Number(Some(number))) => Ok(value(Value::Number(number.to_string(), false))),
            Some(Parameter::Number(None)) => Ok(typed(Value::Null, "Int64")),
            Some(Parameter::Moment(None)) => Ok(typed(Value::Null, MOMENT)),
            Some(Parameter::Moment(Some(moment))) => Ok(typed(Value::SingleQuotedString(moment.clone()), MOMENT)),
            None => {
                let known = self.0.iter().map(|(name, _)| format!("${name}"));
                let known = known.chain([RECORD_NUMBER.to_owned()]).collect::<Vec<_>>().join(", ");
                Err(DataFusionError::Plan(format!("there is no parameter {placeholder}, only {known}")))
            }
        }
    }
}

/// A value of an Arrow type, by the name that this has in `arrow_cast()`.
fn typed(value: Value, data_type: &str) -> Ast {
    let argument = |value: Value| FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Value(value.with_empty_span())));
    let arguments = FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![argument(value), argument(Value::SingleQuotedString(data_type.to_owned()))],
        clauses: Vec::new(),
    };
    Ast::Function(Function {
        name: ObjectName::from(vec![Ident::new("arrow_cast")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Columns of a chunk with that of record numbers as the last.
pub(super) fn with_number(columns: &Schema) -> SchemaRef {
    let number = Arc::new(Field::new(RECORD_NUMBER, DataType::Int64, true));
    Arc::new(Schema::new(columns.fields().iter().cloned().chain([number]).collect::<Vec<_>>()))
}

struct Bind<'a> {
    parameters: &'a Parameters,
    asks_number: bool,
}

impl VisitorMut for Bind<'_> {
    type Break = DataFusionError;

    fn post_visit_expr(&mut self, expression: &mut Ast) -> ControlFlow<Self::Break> {
        let Ast::Value(value) = expression else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        if name == RECORD_NUMBER {
            self.asks_number = true;
            *expression = Ast::Identifier(number());
            return ControlFlow::Continue(());
        }
        match self.parameters.value(name) {
            Ok(bound) => {
                *expression = bound;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Leaves the column of record numbers out of `*`, where that stands for the columns of the chunk.
#[derive(Default)]
struct HideNumber {
    /// The queries that are being visited, each within the one before it.
    queries: Vec<Scope>,
}

/// What a query names with `WITH`.
#[derive(Default)]
struct Scope {
    names: Vec<String>,
    /// How many of the names are there already: a query of `WITH` knows those before it alone.
    known: usize,
}

impl HideNumber {
    /// Whether a relation is the chunk.
    fn is_chunk(&self, relation: &TableFactor) -> bool {
        let TableFactor::Table { name, .. } = relation else { return false };
        let Some(name) = named(name) else { return false };
        let is_of = |scope: &Scope| scope.names.iter().take(scope.known).any(|of| *of == name);
        TABLES.contains(&name.as_str()) && !self.queries.iter().any(is_of)
    }
}

/// The name that a query has for a relation.
fn name_of(relation: &TableFactor) -> Option<String> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. } => Some(normalized(&alias.name)),
        TableFactor::Table { name, .. } => named(name),
        _ => None,
    }
}

fn named(name: &ObjectName) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    part.as_ident().map(normalized)
}

/// A name as the engine compares it.
fn normalized(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

impl VisitorMut for HideNumber {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.queries.push(Scope { names: tables.map(|table| normalized(&table.alias.name)).collect(), known: 0 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.queries.pop();
        // Of the queries within a query, those of `WITH` come first, in their order.
        if let Some(around) = self.queries.last_mut() {
            around.known += 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let of_chunk = select.from.iter().map(|from| &from.relation).find(|relation| self.is_chunk(relation));
        let Some(name) = of_chunk.and_then(name_of) else { return ControlFlow::Continue(()) };
        for item in &mut select.projection {
            let options = match item {
                SelectItem::Wildcard(options) => options,
                // Not that of a look-up.
                SelectItem::QualifiedWildcard(Qualified::ObjectName(of), options)
                    if named(of).as_ref() == Some(&name) =>
                {
                    options
                }
                _ => continue,
            };
            let hidden = ObjectName::from(vec![number()]);
            options.opt_exclude = Some(match options.opt_exclude.take() {
                None => ExcludeSelectItem::Single(hidden),
                Some(ExcludeSelectItem::Single(other)) => ExcludeSelectItem::Multiple(vec![other, hidden]),
                Some(ExcludeSelectItem::Multiple(mut others)) => {
                    others.push(hidden);
                    ExcludeSelectItem::Multiple(others)
                }
            });
        }
        ControlFlow::Continue(())
    }
}

fn number() -> Ident {
    Ident::with_quote('"', RECORD_NUMBER)
}
