//! A contract, written with comments for its readers.

use crate::contract::expect;
use crate::contract::quoted::{is_unseen, quoted};
use crate::contract::terms::{Contract, ContractColumn, Policies, VERSION};

/// What comments say beside what they always say.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// At the head.
    pub head: Vec<String>,
    /// Of keys of `[read]`, by the variables that they stand for.
    pub read: Vec<(&'static str, String)>,
    /// Lines of `[read]` for settings that the feed does not have, written as comments.
    pub read_more: Vec<String>,
    /// Of columns, in their order.
    pub columns: Vec<String>,
}

/// What each policy may be.
const POLICIES: [&str; 4] = [
    "columns of a file are found by \"name\", in any order, or by \"position\"",
    "a column that is not below: \"fail\" refuses the file, \"add\" loads it as text, \"ignore\" leaves it out, \"rescue\" collects such columns in _rescued",
    "a column below that the file does not have: \"fail\" refuses the file, \"null\" loads nulls",
    "a value that is not of its column's type: \"quarantine\" keeps its record aside, \"fail\" refuses the file",
];

impl Contract {
    /// The text of a file that says this, and is read as this.
    pub fn text(&self, notes: &Notes) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        notes.head.iter().for_each(|note| line(&comment(note)));
        line(&format!("version = {VERSION}"));
        line("\n[read]");
        for key in &self.read {
            let note = notes.read.iter().find(|(variable, _)| *variable == key.variable).map(|(_, note)| note.as_str());
            let written = format!("{} = {}", key.variable.to_lowercase(), value(&key.variable, &key.value));
            line(&with_note(&written, note.unwrap_or_default()));
        }
        notes.read_more.iter().for_each(|more| line(&comment(more)));
        line("\n[policy]");
        let Policies { match_by, new_columns, missing_columns, type_changes, .. } = self.policies;
        let policies = [
            ("match", match_by.word()),
            ("new_columns", new_columns.word()),
            ("missing_columns", missing_columns.word()),
            ("type_changes", type_changes.word()),
        ];
        for ((key, word), note) in policies.into_iter().zip(POLICIES) {
            line(&comment(note));
            line(&format!("{key} = {}", quoted(word)));
        }
        for (place, ContractColumn { name, source, column_type, .. }) in self.columns.iter().enumerate() {
            line("\n[[columns]]");
            line(&format!("name = {}", quoted(name)));
            if source != name {
                line(&format!("source = {}", quoted(source)));
            }
            let written = format!("type = {}", quoted(&column_type.to_string()));
            line(&with_note(&written, notes.columns.get(place).map_or("", String::as_str)));
        }
        for one in &self.expect {
            line("");
            for written in expect::lines(&one.expectation) {
                line(&written);
            }
        }
        text
    }
}

/// A value as it is written: lists and numbers as such.
fn value(variable: &str, value: &str) -> String {
    let is_number = !value.is_empty() && value.len() < 10 && value.bytes().all(|byte| byte.is_ascii_digit());
    match variable {
        "NULL_WORDS" => {
            let words: Vec<String> = value.split(',').filter(|word| !word.is_empty()).map(quoted).collect();
            format!("[{}]", words.join(", "))
        }
        "CSV_HEADER" | "CSV_SKIP_LINES" | "CSV_FOOTER" | "MAX_RECORD_MB" if is_number => value.to_owned(),
        _ => quoted(value),
    }
}

fn comment(note: &str) -> String {
    let shown: String = note.chars().map(|character| if is_unseen(character) { ' ' } else { character }).collect();
    if shown.is_empty() { String::new() } else { format!("# {shown}") }
}

fn with_note(written: &str, note: &str) -> String {
    if note.is_empty() { written.to_owned() } else { format!("{written}  {}", comment(note)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::column::{ColumnType, DateFormat};
    use crate::contract::terms::{
        ContractExpectation, ContractType, Match, MissingColumns, NewColumns, ReadKey, TypeChanges,
    };
    use crate::expectations::{Expectation, Literal, OnViolation, RowCondition};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::vec(("\\PC{1,8}", "(?s).{0,8}"), 1..5),
            (delimiter, words) in ("(?s)[\\x00-\\x7f]", proptest::collection::vec("[^,\\s]{1,4}", 0..3)),
            notes in proptest::collection::vec("(?s).{0,12}", 5),
            policies in (0_usize..2, 0_usize..4, 0_usize..2, 0_usize..2),
            (values, bounds) in (proptest::collection::vec("(?s).{0,8}", 1..3), (-1e20..0_f64, 0..i64::MAX)),
        ) {
            let types = [
                ContractType::Text(ColumnType::Utf8, None),
                ContractType::Text(ColumnType::Date32, Some(DateFormat::DayDot)),
                ContractType::Text(ColumnType::Decimal { precision: 12, scale: 2 }, None),
            ];
            let columns: Vec<ContractColumn> = names.into_iter().enumerate().map(|(place, (name, source))| ContractColumn {
                name: format!("{name}{place}"),
                source,
                column_type: types[place % 3].clone(),
                line: 0,
            }).collect();
            let names_of_columns: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let words = if words.is_empty() { ",".to_owned() } else { words.join(",") };
            let key = |variable: &str, value: String| ReadKey { variable: variable.to_owned(), value, line: 0 };
            let column = || names_of_columns[0].clone();
            let conditions = [
                RowCondition::NotNull { column: column() },
                RowCondition::Range {
                    column: column(),
                    min: Some(Literal::Number(bounds.0.to_string())),
                    max: Some(Literal::Number(bounds.1.to_string())),
                },
                RowCondition::Matches { column: column(), pattern: "[\"\\\\]".to_owned() },
                RowCondition::Sql(format!("id <> '{}'", values[0])),
                RowCondition::Accepted { column: column(), values: values.into_iter().map(Literal::Text).collect() },
            ];
            let expect = conditions.into_iter().enumerate().map(|(place, condition)| {
                let on = [OnViolation::Warn, OnViolation::Drop, OnViolation::Quarantine, OnViolation::Fail][place % 4];
                let max_violations = (place == 1).then(|| "0.5%".to_owned());
                ContractExpectation {
                    expectation: Expectation { name: format!("e {place}"), condition, on, max_violations },
                    line: 0,
                }
            });
            let contract = Contract {
                at: "s3://b/orders.toml".parse().unwrap(),
                read: vec![key("CSV_DELIMITER", delimiter), key("CSV_HEADER", "2".to_owned()), key("NULL_WORDS", words)],
                policies: Policies {
                    match_by: [Match::Name, Match::Position][policies.0],
                    new_columns: [NewColumns::Add, NewColumns::Fail, NewColumns::Ignore, NewColumns::Rescue][policies.1],
                    missing_columns: [MissingColumns::Null, MissingColumns::Fail][policies.2],
                    type_changes: [TypeChanges::Quarantine, TypeChanges::Fail][policies.3],
                    lines: [0; 4],
                },
                columns,
                expect: expect.collect(),
            };
            let notes = Notes {
                head: notes.clone(),
                read: vec![("CSV_HEADER", notes[0].clone())],
                read_more: notes.clone(),
                columns: notes,
            };
            let text = contract.text(&notes);
            let read = Contract::parse(text.as_bytes(), &contract.at);
            let read = read.map_err(|error| TestCaseError::fail(format!("{error}:\n{text}")))?;
            let without_lines = Contract {
                read: read.read.into_iter().map(|key| ReadKey { line: 0, ..key }).collect(),
                policies: Policies { lines: [0; 4], ..read.policies },
                columns: read.columns.into_iter().map(|column| ContractColumn { line: 0, ..column }).collect(),
                expect: read.expect.into_iter().map(|one| ContractExpectation { line: 0, ..one }).collect(),
                ..read
            };
            prop_assert_eq!(without_lines, contract);
        }
    }
}
