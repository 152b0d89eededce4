//! Conditions on the rows of a chunk, as a contract has them: one query that has a column for each.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, ExactNumberInfo, Expr as Ast, Ident, SelectItem, SetExpr, Statement,
    UnaryOperator, Value,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use shared::{Literal, RowCondition};

use super::engine::Result;

/// Digits that a decimal has at most.
const MOST_DIGITS: usize = 38;

/// A query of a column for each condition, in their order, on a chunk with these columns.
pub(super) fn statement<'a>(
    conditions: impl IntoIterator<Item = &'a RowCondition>,
    columns: &Schema,
) -> Result<Statement> {
    let all = conditions.into_iter().map(|condition| expression(condition, columns));
    selecting(all.collect::<Result<_>>()?)
}

fn wrong(reason: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(reason.into())
}

/// `SELECT ... FROM chunk`, with these expressions.
fn selecting(expressions: Vec<Ast>) -> Result<Statement> {
    let [mut statement] = <[_; 1]>::try_from(Parser::parse_sql(&GenericDialect {}, "SELECT 1 FROM chunk")?)
        .map_err(|_| wrong("it is not one query"))?;
    if let Statement::Query(query) = &mut statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        let named = expressions.into_iter().enumerate();
        let named =
            named.map(|(place, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("c{place}")) });
        select.projection = named.collect();
    }
    Ok(statement)
}

fn expression(condition: &RowCondition, columns: &Schema) -> Result<Ast> {
    match condition {
        RowCondition::NotNull { column } => Ok(Ast::IsNotNull(Box::new(named(find(column, columns)?)))),
        RowCondition::Accepted { column, values } => {
            let field = find(column, columns)?;
            let list = values.iter().map(|value| literal(value, field)).collect::<Result<_>>()?;
            Ok(Ast::InList { expr: Box::new(named(field)), list, negated: false })
        }
        RowCondition::Range { column, min, max } => {
            let field = find(column, columns)?;
            let bound = |value: &Option<Literal>, op| -> Result<Option<Ast>> {
                let Some(value) = value else { return Ok(None) };
                Ok(Some(binary(named(field), op, literal(value, field)?)))
            };
            match (bound(min, BinaryOperator::GtEq)?, bound(max, BinaryOperator::LtEq)?) {
                (Some(min), Some(max)) => Ok(binary(min, BinaryOperator::And, max)),
                (Some(one), None) | (None, Some(one)) => Ok(one),
                (None, None) => Err(wrong("it has no bound")),
            }
        }
        RowCondition::Matches { column, pattern } => {
            let field = find(column, columns)?;
            if !is_text(field.data_type()) {
                let data_type = shared::type_name(field.data_type());
                return Err(wrong(format!("column '{}' is {data_type}, and matches takes text", field.name())));
            }
            Ok(binary(named(field), BinaryOperator::PGRegexMatch, text(pattern)))
        }
        RowCondition::Sql(sql) => {
            let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql)?;
            let condition = parser.parse_expr()?;
            let next = parser.peek_token();
            if next.token == Token::EOF {
                Ok(Ast::Nested(Box::new(condition)))
            } else {
                Err(wrong(format!("it goes on after a condition, with '{next}'")))
            }
        }
    }
}

/// The column of this name; upper and lower case are the same where no name has the same letters.
fn find<'a>(name: &str, columns: &'a Schema) -> Result<&'a Field> {
    let fields = || columns.fields().iter().map(std::convert::AsRef::as_ref);
    let found = fields().find(|field: &&Field| field.name() == name);
    let found = found.or_else(|| fields().find(|field: &&Field| field.name().eq_ignore_ascii_case(name)));
    found.ok_or_else(|| {
        let known = fields().map(|field: &Field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        wrong(format!("there is no column '{name}', only {known}"))
    })
}

fn named(field: &Field) -> Ast {
    Ast::Identifier(Ident::with_quote('"', field.name()))
}

fn binary(left: Ast, op: BinaryOperator, right: Ast) -> Ast {
    Ast::Nested(Box::new(Ast::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

fn text(text: &str) -> Ast {
    Ast::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A value as the column is compared with it.
fn literal(value: &Literal, field: &Field) -> Result<Ast> {
    let data_type = field.data_type();
    let other = |shown: &str| {
        let column = shared::type_name(data_type);
        Err(wrong(format!("column '{}' is {column}, and cannot be compared with {shown}", field.name())))
    };
    match value {
        Literal::Boolean(is_so) if *data_type == DataType::Boolean => {
            Ok(Ast::Value(Value::Boolean(*is_so).with_empty_span()))
        }
        Literal::Boolean(is_so) => other(&is_so.to_string()),
        // A double beside it would make doubles of the column's values, of which 0.1 is none.
        Literal::Number(number) if *data_type == DataType::Float32 => Ok(cast(digits(number), SqlType::Real)),
        Literal::Number(number) if data_type.is_floating() || (data_type.is_numeric() && !number.contains('.')) => {
            Ok(digits(number))
        }
        Literal::Number(number) if data_type.is_numeric() => decimal(number),
        Literal::Number(number) => other(&format!("the number {number}")),
        Literal::Text(value) if is_text(data_type) => Ok(text(value)),
        Literal::Text(value) if data_type.is_temporal() => {
            match ScalarValue::Utf8(Some(value.clone())).cast_to(data_type) {
                Ok(_) => Ok(text(value)),
                Err(_) => other(&format!("'{value}'")),
            }
        }
        Literal::Text(value) => other(&format!("the text '{value}'")),
    }
}

/// A number, which has a sign of its own.
fn digits(number: &str) -> Ast {
    let value = |digits: &str| Ast::Value(Value::Number(digits.to_owned(), false).with_empty_span());
    match number.strip_prefix('-') {
        Some(digits) => Ast::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(value(digits)) },
        None => value(number),
    }
}

/// A number with a fraction that keeps all of its digits.
fn decimal(number: &str) -> Result<Ast> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let precision = whole.trim_start_matches('-').len() + fraction.len();
    if precision > MOST_DIGITS {
        return Err(wrong(format!("{number} has more than {MOST_DIGITS} digits")));
    }
    let info = ExactNumberInfo::PrecisionAndScale(
        u64::try_from(precision).unwrap_or_default(),
        i64::try_from(fraction.len()).unwrap_or_default(),
    );
    Ok(cast(text(number), SqlType::Decimal(info)))
}

fn cast(value: Ast, data_type: SqlType) -> Ast {
    Ast::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type, array: false, format: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    };
    use arrow::record_batch::RecordBatch;

    use super::*;
    use crate::sql::{Query, text_of};

    fn rows() -> RecordBatch {
        let price = Decimal128Array::from(vec![Some(50), Some(150), None]).with_precision_and_scale(12, 2).unwrap();
        let columns: [(&str, ArrayRef); 6] = [
            ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), None]))),
            ("Price", Arc::new(price)),
            ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]))),
            ("name", Arc::new(StringArray::from(vec![Some("Ann"), Some("x'y"), None]))),
            ("day", Arc::new(Date32Array::from(vec![Some(0), Some(20_000), None]))),
            ("is", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn judged(condition: &RowCondition) -> Result<String, String> {
        let rows = rows();
        let query = Query::of_condition(condition, rows.schema_ref()).map_err(|error| text_of(&error))?;
        let [holds] = <[_; 1]>::try_from(query.run(&rows).unwrap()).unwrap();
        let holds = holds.column(0).as_boolean();
        let mark = |row| {
            if holds.is_null(row) {
                '-'
            } else if holds.value(row) {
                't'
            } else {
                'f'
            }
        };
        Ok((0..3).map(mark).collect())
    }

    fn number(text: &str) -> Literal {
        Literal::Number(text.to_owned())
    }

    fn word(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn shorthands() {
        let column = |name: &str| name.to_owned();
        let range = |name: &str, min: Option<Literal>, max: Option<Literal>| RowCondition::Range {
            column: column(name),
            min,
            max,
        };
        let accepted =
            |name: &str, values: &[Literal]| RowCondition::Accepted { column: column(name), values: values.to_vec() };
        let matches =
            |name: &str, pattern: &str| RowCondition::Matches { column: column(name), pattern: pattern.to_owned() };
        for (condition, expected) in [
            (RowCondition::NotNull { column: column("ID") }, Ok("ttf")),
            (range("id", Some(number("1")), Some(number("1"))), Ok("tf-")),
            (range("id", Some(number("-1")), Some(number("1.5"))), Ok("tf-")),
            (range("price", Some(number("0.500")), Some(number("1.499"))), Ok("tf-")),
            (range("price", None, Some(number("1"))), Ok("tf-")),
            (range("x", Some(number("0")), Some(number("0.5"))), Ok("tf-")),
            (range("name", Some(word("A")), Some(word("B"))), Ok("tf-")),
            (range("day", Some(word("1970-01-01")), Some(word("1999-12-31"))), Ok("tf-")),
            (accepted("id", &[number("2"), number("3")]), Ok("ft-")),
            (accepted("name", &[word("x'y"), word("\"")]), Ok("ft-")),
            (accepted("is", &[Literal::Boolean(false)]), Ok("ft-")),
            (matches("name", "^A.n$"), Ok("tf-")),
            (matches("name", "'"), Ok("ft-")),
            (accepted("no", &[number("2")]), Err("there is no column 'no', only id, Price, x, name, day, is")),
            (matches("id", "^1"), Err("column 'id' is int64, and matches takes text")),
            (range("id", Some(word("1")), None), Err("column 'id' is int64, and cannot be compared with the text '1'")),
            (
                range("name", Some(number("1")), None),
                Err("column 'name' is text, and cannot be compared with the number 1"),
            ),
            (range("day", Some(word("soon")), None), Err("column 'day' is date, and cannot be compared with 'soon'")),
            (
                accepted("name", &[Literal::Boolean(true)]),
                Err("column 'name' is text, and cannot be compared with true"),
            ),
        ] {
            assert_eq!(judged(&condition), expected.map(str::to_owned).map_err(str::to_owned), "{condition:?}");
        }
    }

    #[test]
    fn conditions_in_sql() {
        for (sql, expected) in [
            ("id > 1", Ok("ft-")),
            ("id is null or name like 'A%'", Ok("tft")),
            ("upper(name) = 'ANN' and day < date '2000-01-01'", Ok("tf-")),
            ("id", Err("it is not true or false, but int64")),
            (
                "nothing > 1",
                Err(
                    "No field named nothing. Valid fields are chunk.id, chunk.\"Price\", chunk.x, chunk.name, chunk.day, chunk.is",
                ),
            ),
            ("id > 1 from chunk", Err("it goes on after a condition, with 'from'")),
            ("id > 1, is", Err("it goes on after a condition, with ','")),
            (
                "sum(id) > 1",
                Err(
                    "sum() does not take each row by itself, and what comes of a file must not depend on where it was cut",
                ),
            ),
            ("unnest([true])", Err("it makes several rows of one")),
            (
                "random() > 0.5",
                Err(
                    "random() may give another value at each attempt, and a chunk that is loaded again must give the same rows",
                ),
            ),
        ] {
            let judged = judged(&RowCondition::Sql(sql.to_owned()));
            assert_eq!(judged, expected.map(str::to_owned).map_err(str::to_owned), "{sql}");
        }
    }
}
