//! A contract, read from its text.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::column::TypedColumn;
use crate::contract::expect::ExpectTable;
use crate::contract::terms::{
    Contract, ContractColumn, ContractError, ContractType, Match, MissingColumns, NewColumns, Policies, RESCUED,
    ReadKey, TypeChanges, VERSION,
};
use crate::location::Location;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    #[serde(default)]
    read: BTreeMap<Spanned<String>, Spanned<Value>>,
    policy: Option<Spanned<PolicyTable>>,
    #[serde(default)]
    columns: Vec<ColumnTable>,
    #[serde(default)]
    expect: Vec<ExpectTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    #[serde(rename = "match")]
    match_by: Option<Spanned<String>>,
    new_columns: Option<Spanned<String>>,
    missing_columns: Option<Spanned<String>>,
    type_changes: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTable {
    name: Spanned<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    column_type: Spanned<String>,
}

/// A text and where it lies.
struct Text<'a> {
    text: &'a str,
    at: &'a Location,
}

impl Contract {
    /// Reads the text of a contract that lies at `at`. The error names line and key.
    ///
    /// What its `[read]` says is checked by [`Settings::under`](crate::Settings::under), which has the table of settings.
    pub fn parse(text: &[u8], at: &Location) -> Result<Self, ContractError> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let line = text.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
            ContractError::new(at, (line, "the file"), "it is not UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let of = Text { text, at };
        let file: File = toml::from_str(text).map_err(|error| of.not_toml(&error))?;
        let version = *file.version.get_ref();
        if version != VERSION {
            let reason = format!("it is {version}, and this build of Sluice reads version {VERSION}");
            return Err(of.error(file.version.span().start, "version", reason));
        }
        let read: Vec<ReadKey> =
            file.read.iter().map(|(key, value)| of.read_key(key, value)).collect::<Result<_, _>>()?;
        let is_parquet = read.iter().any(|key| key.variable == "FORMAT" && key.value == "parquet");
        let policies = of.policies(file.policy, is_parquet)?;
        let columns = file.columns.into_iter().map(|column| of.column(column, is_parquet));
        let columns = columns.collect::<Result<_, _>>()?;
        let expect = file.expect.into_iter();
        let expect =
            expect.map(|table| table.read(|byte| of.line(byte), |byte, key, reason| of.error(byte, key, reason)));
        let expect = expect.collect::<Result<_, _>>()?;
        let contract = Self { at: at.clone(), read, policies, columns, expect };
        of.check_names(&contract)?;
        Ok(contract)
    }
}

impl Text<'_> {
    /// The line of a byte, from 1.
    fn line(&self, byte: usize) -> usize {
        self.text.get(..byte).unwrap_or(self.text).matches('\n').count() + 1
    }

    fn error(&self, byte: usize, key: &str, reason: impl Into<String>) -> ContractError {
        ContractError::new(self.at, (self.line(byte), key), reason)
    }

    /// What the parser complains of, at the key that stands in that line.
    fn not_toml(&self, error: &toml::de::Error) -> ContractError {
        let line = self.line(error.span().map_or(0, |span| span.start));
        let written = self.text.lines().nth(line - 1).unwrap_or_default();
        let key = written.split('=').next().unwrap_or_default().trim();
        let key = if key.is_empty() { "the file" } else { key };
        ContractError::new(self.at, (line, key), error.message().replace('\n', "; "))
    }

    fn read_key(&self, key: &Spanned<String>, value: &Spanned<Value>) -> Result<ReadKey, ContractError> {
        let (name, place) = (key.get_ref().as_str(), key.span().start);
        let value = match value.get_ref() {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(is_so) => is_so.to_string(),
            Value::Array(words) => self.words(name, place, words)?,
            Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
                return Err(self.error(place, name, "its value must be a text, a whole number or a list of texts"));
            }
        };
        if name.chars().any(char::is_uppercase) {
            return Err(self.error(place, name, format!("write it in lower case: {}", name.to_lowercase())));
        }
        Ok(ReadKey { variable: name.to_uppercase(), value, line: self.line(place) })
    }

    /// A list as its variable has it: separated by commas. A comma alone is an empty list.
    fn words(&self, name: &str, place: usize, words: &[Value]) -> Result<String, ContractError> {
        let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
        let words = words.ok_or_else(|| self.error(place, name, "a list holds texts alone"))?;
        if let Some(word) = words.iter().find(|word| word.contains(',') || word.trim().is_empty()) {
            return Err(self.error(place, name, format!("'{word}' is empty or holds a comma")));
        }
        Ok(if words.is_empty() { ",".to_owned() } else { words.join(",") })
    }

    fn policies(&self, table: Option<Spanned<PolicyTable>>, is_parquet: bool) -> Result<Policies, ContractError> {
        let (default, table) =
            table.map_or((0, PolicyTable::default()), |table| (table.span().start, table.into_inner()));
        let PolicyTable { match_by, new_columns, missing_columns, type_changes } = table;
        let keys = [&match_by, &new_columns, &missing_columns, &type_changes];
        let line = |key: &Option<Spanned<String>>| self.line(key.as_ref().map_or(default, |key| key.span().start));
        let lines = keys.map(line);
        let by_format = if is_parquet { TypeChanges::Fail } else { TypeChanges::Quarantine };
        Ok(Policies {
            match_by: self.word("match", match_by.as_ref(), Match::default())?,
            new_columns: self.word("new_columns", new_columns.as_ref(), NewColumns::default())?,
            missing_columns: self.word("missing_columns", missing_columns.as_ref(), MissingColumns::default())?,
            type_changes: self.word("type_changes", type_changes.as_ref(), by_format)?,
            lines,
        })
    }

    fn word<T: FromStr<Err = String>>(
        &self,
        key: &str,
        value: Option<&Spanned<String>>,
        default: T,
    ) -> Result<T, ContractError> {
        let Some(value) = value else { return Ok(default) };
        let text = value.get_ref();
        let wrong =
            |expected| self.error(value.span().start, key, format!("'{text}' cannot be used: it must be {expected}"));
        text.parse().map_err(wrong)
    }

    fn column(&self, column: ColumnTable, is_parquet: bool) -> Result<ContractColumn, ContractError> {
        let ColumnTable { name, source, column_type } = column;
        let place = name.span().start;
        let told = column_type.get_ref();
        let column_type = if is_parquet {
            ContractType::Parquet(told.clone())
        } else {
            // As `SCHEMA` has it, after a name.
            let typed = format!("x:{told}").parse::<TypedColumn>();
            let typed = typed.map_err(|wrong| self.error(column_type.span().start, "type", wrong))?;
            ContractType::Text(typed.column_type, typed.date_format)
        };
        let name = name.into_inner();
        Ok(ContractColumn { source: source.unwrap_or_else(|| name.clone()), name, column_type, line: self.line(place) })
    }

    fn check_names(&self, contract: &Contract) -> Result<(), ContractError> {
        if contract.columns.is_empty() {
            return Err(self.error(0, "[[columns]]", "there is none"));
        }
        let mut known: HashMap<String, usize> = HashMap::new();
        for column in &contract.columns {
            let ContractColumn { name, line, .. } = column;
            if name.trim().is_empty() {
                return Err(contract.wrong(*line, "name", "it is empty"));
            }
            if name.eq_ignore_ascii_case(RESCUED) && contract.policies.new_columns == NewColumns::Rescue {
                let reason = format!("{RESCUED} is the column that new_columns = \"rescue\" makes");
                return Err(contract.wrong(*line, "name", reason));
            }
            if let Some(first) = known.insert(name.to_lowercase(), *line) {
                let reason =
                    format!("the column of line {first} has the name '{name}' too; upper and lower case are the same");
                return Err(contract.wrong(*line, "name", reason));
            }
        }
        let mut known: HashMap<&str, usize> = HashMap::new();
        for one in &contract.expect {
            let name = one.expectation.name.as_str();
            if let Some(first) = known.insert(name, one.line) {
                let reason = format!("the expectation of line {first} has the name '{name}' too");
                return Err(contract.wrong(one.line, "name", reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Contract, String> {
        Contract::parse(text.as_bytes(), &"s3://b/orders.toml".parse().unwrap()).map_err(|error| error.to_string())
    }

    const START: &str = "version = 1\n[read]\nformat = \"csv\"\n";
    const COLUMN: &str = "[[columns]]\nname = \"id\"\ntype = \"int64\"\n";

    fn expect(keys: &str) -> String {
        format!("{START}{COLUMN}[[expect]]\nname = \"e\"\n{keys}\n")
    }

    /// Contracts that cannot be used, and why.
    #[expect(clippy::too_many_lines, reason = "cases, one after the other")]
    fn broken() -> Vec<(String, &'static str)> {
        vec![
            ("version = 2\n".to_owned(), "line 1, version: it is 2, and this build of Sluice reads version 1"),
            (
                format!("{START}{COLUMN}colour = 1\n"),
                "line 7, colour: unknown field `colour`, expected one of `name`, `source`, `type`",
            ),
            (
                format!("{START}[policy]\nnew_colums = \"add\"\n{COLUMN}"),
                "line 5, new_colums: unknown field `new_colums`, expected one of `match`, `new_columns`, `missing_columns`, `type_changes`",
            ),
            (
                format!("{START}[policy]\n\nnew_columns = \"drop\"\n{COLUMN}"),
                "line 6, new_columns: 'drop' cannot be used: it must be one of add, fail, ignore, rescue",
            ),
            (
                format!("{START}[policy]\nnew_columns = 1\n{COLUMN}"),
                "line 5, new_columns: invalid type: integer `1`, expected a string",
            ),
            (
                format!("{START}{COLUMN}{COLUMN}"),
                "line 8, name: the column of line 5 has the name 'id' too; upper and lower case are the same",
            ),
            (
                format!("{START}{COLUMN}[[columns]]\nname = \"d\"\ntype = \"date(DD)\"\n"),
                "line 9, type: 'DD' is not a date format: one of YYYY-MM-DD, YYYY/MM/DD, DD.MM.YYYY, DD/MM/YYYY, DD-MM-YYYY, MM/DD/YYYY, MM-DD-YYYY, DD-MON-YYYY, YYYYMMDD",
            ),
            (
                format!("{START}{COLUMN}[[columns]]\nname = \"d\"\ntype = \"number\"\n"),
                "line 9, type: 'number' is not a type: one of boolean, int64, float64, decimal(PRECISION,SCALE), date, timestamp, timestamp_utc and text",
            ),
            (format!("{START}null_words = [\"a,b\"]\n{COLUMN}"), "line 4, null_words: 'a,b' is empty or holds a comma"),
            (
                format!("{START}csv_quote = 1.5\n{COLUMN}"),
                "line 4, csv_quote: its value must be a text, a whole number or a list of texts",
            ),
            (format!("{START}CSV_QUOTE = \"x\"\n{COLUMN}"), "line 4, CSV_QUOTE: write it in lower case: csv_quote"),
            (START.to_owned(), "line 1, [[columns]]: there is none"),
            (
                expect("colour = 1"),
                "line 9, colour: unknown field `colour`, expected one of `name`, `on`, `max_violations`, `column`, `not_null`, `accepted`, `range`, `matches`, `sql`",
            ),
            (
                expect("on = \"drop\""),
                "line 8, [[expect]]: it needs exactly one of not_null, accepted, range, matches and sql",
            ),
            (
                expect("sql = \"a\"\nnot_null = true"),
                "line 8, [[expect]]: it needs exactly one of not_null, accepted, range, matches and sql",
            ),
            (expect("not_null = true"), "line 8, column: the expectation does not have it"),
            (expect("column = \"id\"\nnot_null = false"), "line 10, not_null: it can only be true"),
            (expect("sql = \" \""), "line 9, sql: it is empty"),
            (expect("column = \"id\"\nsql = \"id > 0\""), "line 9, column: sql names its columns itself"),
            (
                expect("column = \"id\"\nnot_null = true\non = \"skip\""),
                "line 11, on: 'skip' cannot be used: it must be one of warn, drop, quarantine, fail",
            ),
            (
                expect("column = \"id\"\nnot_null = true\nmax_violations = \"101%\""),
                "line 11, max_violations: '101%' cannot be used: it must be a number, or a percentage such as \"0.5%\"",
            ),
            (expect("column = \"id\"\naccepted = []"), "line 10, accepted: it is empty"),
            (expect("column = \"id\"\naccepted = [1, \"a\"]"), "line 10, accepted: its values are not all of one kind"),
            (expect("column = \"id\"\nrange = { }"), "line 10, range: it needs min, max or both"),
            (expect("column = \"id\"\nrange = { min = 2, max = 1.5 }"), "line 10, range: min is greater than max"),
            (
                expect("column = \"id\"\nmatches = \"a(\""),
                "line 10, matches: 'a(' is not a regular expression: unclosed group",
            ),
            (
                expect("sql = \"id > 0\"\n[[expect]]\nname = \"e\"\nsql = \"id > 1\""),
                "line 11, name: the expectation of line 8 has the name 'e' too",
            ),
            (
                format!(
                    "{START}[policy]\nnew_columns = \"rescue\"\n[[columns]]\nname = \"_RESCUED\"\ntype = \"text\"\n"
                ),
                "line 7, name: _rescued is the column that new_columns = \"rescue\" makes",
            ),
            (format!("{START}format = \"csv\"\n"), "line 4, format: duplicate key"),
            (format!("{START}csv_quote = \"\n"), "line 4, csv_quote: invalid basic string, expected `\"`"),
        ]
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_key() {
        for (text, expected) in broken() {
            let expected = format!("the contract cannot be used: s3://b/orders.toml, {expected}");
            assert_eq!(parsed(&text).unwrap_err(), expected, "{text}");
        }
    }
}
