//! The tables `[[expect]]` of a contract, read and written.

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::contract::quoted::quoted;
use crate::contract::terms::{ContractError, ContractExpectation};
use crate::expectations::{Expectation, Literal, OnViolation, RowCondition};
use crate::settings::limit::BadRecordLimit;

/// Most characters of a name.
const LONGEST_NAME: usize = 100;

/// A table `[[expect]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectTable {
    name: Spanned<String>,
    on: Option<Spanned<String>>,
    max_violations: Option<Spanned<Value>>,
    column: Option<Spanned<String>>,
    not_null: Option<Spanned<bool>>,
    accepted: Option<Spanned<Vec<Value>>>,
    range: Option<Spanned<RangeTable>>,
    matches: Option<Spanned<String>>,
    sql: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeTable {
    min: Option<Value>,
    max: Option<Value>,
}

/// What is wrong: at which byte, with which key, and why.
type Wrong = (usize, &'static str, String);

impl ExpectTable {
    /// What it says. `line` gives the line of a byte, and `wrong` the error for a byte, a key and a reason.
    pub(super) fn read(
        self,
        line: impl Fn(usize) -> usize,
        wrong: impl Fn(usize, &str, String) -> ContractError,
    ) -> Result<ContractExpectation, ContractError> {
        let line = line(self.name.span().start);
        let expectation = self.expectation().map_err(|(byte, key, reason)| wrong(byte, key, reason))?;
        Ok(ContractExpectation { expectation, line })
    }

    fn expectation(self) -> Result<Expectation, Wrong> {
        let place = self.name.span().start;
        let name = self.name.get_ref().clone();
        let is_name = !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME;
        if !is_name || name.chars().any(char::is_control) {
            let reason =
                format!("'{}' is empty, longer than {LONGEST_NAME} characters, or not on one line", name.trim());
            return Err((place, "name", reason));
        }
        let on = match &self.on {
            None => OnViolation::default(),
            Some(on) => on.get_ref().parse().map_err(|expected| {
                (on.span().start, "on", format!("'{}' cannot be used: it must be {expected}", on.get_ref()))
            })?,
        };
        let max_violations = self.max_violations.as_ref().map(max_violations).transpose()?;
        Ok(Expectation { condition: self.condition(place)?, name, on, max_violations })
    }

    /// The one condition that it gives.
    fn condition(self, place: usize) -> Result<RowCondition, Wrong> {
        let Self { column, not_null, accepted, range, matches, sql, .. } = self;
        let given = [not_null.is_some(), accepted.is_some(), range.is_some(), matches.is_some(), sql.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let reason = "it needs exactly one of not_null, accepted, range, matches and sql".to_owned();
            return Err((place, "[[expect]]", reason));
        }
        if let Some(sql) = sql {
            return match column {
                Some(column) => Err((column.span().start, "column", "sql names its columns itself".to_owned())),
                None if sql.get_ref().trim().is_empty() => Err((sql.span().start, "sql", "it is empty".to_owned())),
                None => Ok(RowCondition::Sql(sql.into_inner())),
            };
        }
        let Some(column) = column.map(Spanned::into_inner) else {
            return Err((place, "column", "the expectation does not have it".to_owned()));
        };
        match (not_null, accepted, range, matches) {
            (Some(not_null), ..) if !*not_null.get_ref() => {
                Err((not_null.span().start, "not_null", "it can only be true".to_owned()))
            }
            (Some(_), ..) => Ok(RowCondition::NotNull { column }),
            (_, Some(accepted), ..) => {
                let at = accepted.span().start;
                let values = literals("accepted", at, accepted.into_inner())?;
                if values.is_empty() {
                    Err((at, "accepted", "it is empty".to_owned()))
                } else {
                    Ok(RowCondition::Accepted { column, values })
                }
            }
            (_, _, Some(range), _) => bounds(column, range),
            (.., Some(pattern)) => match check_pattern(pattern.get_ref()) {
                Ok(()) => Ok(RowCondition::Matches { column, pattern: pattern.into_inner() }),
                Err(reason) => Err((pattern.span().start, "matches", reason)),
            },
            (None, None, None, None) => Err((place, "[[expect]]", "it has no condition".to_owned())),
        }
    }
}

fn bounds(column: String, range: Spanned<RangeTable>) -> Result<RowCondition, Wrong> {
    let at = range.span().start;
    let RangeTable { min, max } = range.into_inner();
    let (has_min, values) = (min.is_some(), min.into_iter().chain(max).collect());
    let mut values = literals("range", at, values)?.into_iter();
    let min = if has_min { values.next() } else { None };
    let max = values.next();
    let is_inverted = match (&min, &max) {
        (Some(Literal::Boolean(_)), _) | (_, Some(Literal::Boolean(_))) => {
            return Err((at, "range", "true and false are no bounds".to_owned()));
        }
        (Some(Literal::Number(min)), Some(Literal::Number(max))) => {
            min.parse::<f64>().ok().zip(max.parse::<f64>().ok()).is_some_and(|(min, max)| min > max)
        }
        (None, None) => return Err((at, "range", "it needs min, max or both".to_owned())),
        _ => false,
    };
    if is_inverted {
        return Err((at, "range", "min is greater than max".to_owned()));
    }
    Ok(RowCondition::Range { column, min, max })
}

fn max_violations(value: &Spanned<Value>) -> Result<String, Wrong> {
    let text = match value.get_ref() {
        Value::Integer(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => String::new(),
    };
    if text.parse::<BadRecordLimit>().is_ok() {
        return Ok(text);
    }
    let reason = format!("'{text}' cannot be used: it must be a number, or a percentage such as \"0.5%\"");
    Err((value.span().start, "max_violations", reason))
}

/// Values of one kind.
fn literals(key: &'static str, at: usize, values: Vec<Value>) -> Result<Vec<Literal>, Wrong> {
    let literal = |value: Value| match value {
        Value::Boolean(is_so) => Ok(Literal::Boolean(is_so)),
        Value::Integer(number) => Ok(Literal::Number(number.to_string())),
        Value::Float(number) if number.is_finite() => Ok(Literal::Number(number.to_string())),
        Value::String(text) => Ok(Literal::Text(text)),
        Value::Datetime(moment) => Ok(Literal::Text(moment.to_string())),
        Value::Float(_) | Value::Array(_) | Value::Table(_) => {
            Err((at, key, "its values must be texts, numbers, dates, or true and false".to_owned()))
        }
    };
    let literals: Vec<Literal> = values.into_iter().map(literal).collect::<Result<_, _>>()?;
    let kinds = literals.iter().map(std::mem::discriminant);
    if kinds.clone().any(|kind| kinds.clone().next() != Some(kind)) {
        return Err((at, key, "its values are not all of one kind".to_owned()));
    }
    Ok(literals)
}

/// The lines of a table that says this.
pub(super) fn lines(expectation: &Expectation) -> Vec<String> {
    let Expectation { name, condition, on, max_violations } = expectation;
    let written = |value: &Literal| match value {
        Literal::Boolean(is_so) => is_so.to_string(),
        // An integer of more than 64 bits can only be written as a float.
        Literal::Number(number) if !number.contains('.') && number.parse::<i64>().is_err() => format!("{number}.0"),
        Literal::Number(number) => number.clone(),
        Literal::Text(text) => quoted(text),
    };
    let mut lines = vec!["[[expect]]".to_owned(), format!("name = {}", quoted(name))];
    lines.extend(condition.column().map(|column| format!("column = {}", quoted(column))));
    lines.push(match condition {
        RowCondition::NotNull { .. } => "not_null = true".to_owned(),
        RowCondition::Accepted { values, .. } => {
            format!("accepted = [{}]", values.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        RowCondition::Range { min, max, .. } => {
            let bound =
                |name, value: &Option<Literal>| value.as_ref().map(|value| format!("{name} = {}", written(value)));
            let bounds: Vec<String> = [bound("min", min), bound("max", max)].into_iter().flatten().collect();
            format!("range = {{ {} }}", bounds.join(", "))
        }
        RowCondition::Matches { pattern, .. } => format!("matches = {}", quoted(pattern)),
        RowCondition::Sql(sql) => format!("sql = {}", quoted(sql)),
    });
    lines.push(format!("on = {}", quoted(on.word())));
    lines.extend(max_violations.as_ref().map(|most| format!("max_violations = {}", quoted(most))));
    lines
}
/// Whether a text is a regular expression.
#[cfg(feature = "checks")]
fn check_pattern(pattern: &str) -> Result<(), String> {
    regex::Regex::new(pattern).map(drop).map_err(|error| {
        let said = error.to_string();
        let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("'{pattern}' is not a regular expression: {reason}")
    })
}

/// The splitter's function has no regular expressions, for the sake of its size: the worker refuses what is none.
#[cfg(not(feature = "checks"))]
#[expect(clippy::unnecessary_wraps, reason = "it is checked where there is more room")]
fn check_pattern(_: &str) -> Result<(), String> {
    Ok(())
}
