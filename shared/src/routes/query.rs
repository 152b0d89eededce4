//! SQL of a route, as far as it can be checked without the columns of a file.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Value, Visit,
    Visitor, visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// Parameters that all SQL has, without `$`.
pub(super) const PARAMETERS: [&str; 5] = ["source", "record_number", "chunk", "job", "ingested_at"];

/// Names under which SQL finds the chunk.
const TABLES: [&str; 2] = ["chunk", "source"];

/// Functions that SQL has, one a line. A test of the worker holds it against those that there are.
const FUNCTIONS: &str = include_str!("functions.txt");

/// Checks SQL that can name these captures as parameters, and join these look-ups. What depends on the columns of a file is checked when
/// one is read.
pub(super) fn check(sql: &str, captures: &[&str], lookups: &[&str]) -> Result<(), String> {
    let statements = Parser::parse_sql(&GenericDialect {}, sql).map_err(|error| {
        let said = error.to_string();
        said.trim_start_matches("sql parser error: ").to_owned()
    })?;
    let Ok([statement]) = <[Statement; 1]>::try_from(statements) else { return Err("it is not one query".to_owned()) };
    let Statement::Query(query) = &statement else { return Err("it is not a query".to_owned()) };
    has_rows_of_chunk(query)?;
    let tables = TABLES.iter().chain(lookups).map(|name| (*name).to_owned()).collect();
    let mut names = Names { captures, lookups, tables };
    match statement.visit(&mut names) {
        ControlFlow::Break(reason) => Err(reason),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The parameters that SQL names, without `$`; none where it cannot be read.
pub(super) fn parameters(sql: &str) -> HashSet<String> {
    let mut named = HashSet::new();
    let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_default();
    let _: ControlFlow<()> = visit_expressions(&statements, |expression: &Expr| {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
        {
            named.insert(name.trim_start_matches('$').to_owned());
        }
        ControlFlow::Continue(())
    });
    named
}

/// It takes its rows from the chunk, and what it joins to them are look-ups.
fn has_rows_of_chunk(query: &Query) -> Result<(), String> {
    fn selects(body: &SetExpr) -> Vec<&Select> {
        match body {
            SetExpr::Select(select) => vec![select],
            SetExpr::Query(query) => selects(&query.body),
            SetExpr::SetOperation { left, right, .. } => [selects(left), selects(right)].concat(),
            _ => Vec::new(),
        }
    }
    let all = selects(&query.body);
    if all.is_empty() || all.iter().any(|select| select.from.is_empty()) {
        return Err("it does not take rows FROM chunk".to_owned());
    }
    all.iter().try_for_each(|select| joins_lookups(select))
}

fn joins_lookups(select: &Select) -> Result<(), String> {
    let of_rows =
        "a join does not take each row by itself, and what comes of a file must not depend on where it was cut";
    if select.from.len() > 1 {
        return Err(of_rows.to_owned());
    }
    for join in select.from.iter().flat_map(|from| &from.joins) {
        let is_chunk =
            matches!(&join.relation, TableFactor::Table { name, .. } if TABLES.contains(&plain(name).as_str()));
        if is_chunk {
            return Err(of_rows.to_owned());
        }
        match &join.join_operator {
            JoinOperator::Join(how)
            | JoinOperator::Inner(how)
            | JoinOperator::Left(how)
            | JoinOperator::LeftOuter(how)
                if matches!(how, JoinConstraint::On(_) | JoinConstraint::Using(_)) => {}
            _ => return Err("a look-up is joined by LEFT JOIN or JOIN, with ON or USING".to_owned()),
        }
    }
    Ok(())
}

/// A name as the engine compares it.
fn plain(name: &ObjectName) -> String {
    name.to_string().trim_matches(['"', '`', '\'']).to_lowercase()
}

struct Names<'a> {
    captures: &'a [&'a str],
    lookups: &'a [&'a str],
    /// Tables that can be named.
    tables: HashSet<String>,
}

impl Visitor for Names<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let named =
            query.with.iter().flat_map(|with| &with.cte_tables).map(|table| table.alias.name.value.to_lowercase());
        self.tables.extend(named);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        if self.tables.contains(&plain(relation)) {
            return ControlFlow::Continue(());
        }
        let others = self.lookups.iter().fold(String::new(), |others, name| others + ", '" + name + "'");
        ControlFlow::Break(format!("there is no table '{relation}', only 'chunk', also called 'source'{others}"))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        let reason = match expression {
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                let is_known = FUNCTIONS.lines().any(|known| known == name.trim_matches('"'));
                (!is_known).then(|| format!("there is no function {name}(), or it takes several rows together"))
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => self.unknown_parameter(name),
                _ => None,
            },
            _ => None,
        };
        reason.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

impl Names<'_> {
    fn unknown_parameter(&self, placeholder: &str) -> Option<String> {
        let name = placeholder.trim_start_matches('$');
        let mut known = self.captures.iter().chain(&PARAMETERS);
        if known.any(|known| *known == name) {
            return None;
        }
        let all = self.captures.iter().chain(&PARAMETERS).map(|name| format!("${name}")).collect::<Vec<_>>().join(", ");
        Some(format!("there is no parameter {placeholder}, only {all}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_that_are_named() {
        let named = parameters("select $a, '$b' as b from chunk where x > $source_2");
        assert_eq!(named, HashSet::from(["a".to_owned(), "source_2".to_owned()]));
        assert!(parameters("selec").is_empty());
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (sql, expected) in [
            ("select * from chunk where amount > 0", None),
            ("SELECT *, $system AS system, $record_number AS n FROM source", None),
            ("select x from (select upper(a) as x from chunk) where x <> 'A'", None),
            ("with t as (select a from chunk) select * from t", None),
            ("select * from `chunk` union all select * from \"source\"", None),
            ("select cast(a as int), trim(b), extract(year from c), coalesce(d, 'x'), md5(e) from chunk", None),
            ("select unnest(l) as x from chunk union all select a as x from chunk", None),
            ("selec * from chunk", Some("Expected: an SQL statement, found: selec at Line: 1, Column: 1")),
            ("select * from chunk; select 1", Some("it is not one query")),
            ("delete from chunk", Some("it is not a query")),
            ("select 1", Some("it does not take rows FROM chunk")),
            ("select * from orders", Some("there is no table 'orders', only 'chunk', also called 'source'")),
            (
                "select * from read_parquet('x')",
                Some("there is no table 'read_parquet', only 'chunk', also called 'source'"),
            ),
            ("select sum(a) from chunk", Some("there is no function sum(), or it takes several rows together")),
            ("select up(a) from chunk", Some("there is no function up(), or it takes several rows together")),
            (
                "select $sytem from chunk",
                Some("there is no parameter $sytem, only $system, $source, $record_number, $chunk, $job, $ingested_at"),
            ),
            (
                "select * from chunk a join chunk b on a.x = b.x",
                Some(
                    "a join does not take each row by itself, and what comes of a file must not depend on where it was cut",
                ),
            ),
        ] {
            assert_eq!(check(sql, &["system"], &[]).err().as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn lookups_are_joined() {
        for (sql, expected) in [
            ("select c.*, k.region from chunk c left join customers k on c.id = k.id", None),
            (
                "select * from chunk join customers using (id) left join (select * from rates where valid) r on x = y",
                None,
            ),
            (
                "select * from chunk c join orders o on c.id = o.id",
                Some("there is no table 'orders', only 'chunk', also called 'source', 'customers', 'rates'"),
            ),
            (
                "select * from chunk c right join customers k on c.id = k.id",
                Some("a look-up is joined by LEFT JOIN or JOIN, with ON or USING"),
            ),
            (
                "select * from chunk c cross join customers k",
                Some("a look-up is joined by LEFT JOIN or JOIN, with ON or USING"),
            ),
            (
                "select * from customers k join chunk c on c.id = k.id",
                Some(
                    "a join does not take each row by itself, and what comes of a file must not depend on where it was cut",
                ),
            ),
        ] {
            assert_eq!(check(sql, &[], &["customers", "rates"]).err().as_deref(), expected, "{sql}");
        }
    }
}
