//! What is found out about a source when its job is first seen, beside its policy: pinned with the job, so that later attempts tell the same.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lines::Lines;

/// What was found out about a source when its job was first seen, beside what its policy has. Nothing of it decides what chunks are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    /// How sure the dialect of a CSV is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Rows of the header of a CSV, one of units included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_rows: Option<usize>,
    /// Lines after the last record of a CSV that are not blank.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub footer_lines: usize,
    /// Lines before the first record, those of the header among them; none of what is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Lines>,
    /// Types of the columns of a Parquet source, as Arrow calls them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Columns that are not text, and have words in the sample that are read as null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_words_in: Vec<String>,
    /// What the table was like; none where there is no table, and, in a deployment, where SQL stands between the source and the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFit>,
    /// What was guessed, and a person should confirm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(lines: &usize) -> bool {
    *lines == 0
}

/// How the columns of a source meet those of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFit {
    /// Whether there was no table, so that all columns are new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
    /// Whether the columns are those that SQL makes of the source's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_sql: bool,
    /// Columns that the table did not have; of a new one, those that SQL makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Columns of the table that the source does not have: null in its rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
}

impl TableFit {
    /// Of columns by their names, where the table has columns of the names `table`, none when it is not there. Upper and lower case are the same
    /// to Delta.
    pub fn of<'a>(columns: impl Iterator<Item = &'a str> + Clone, table: &[String]) -> Self {
        let lower = |name: &str| name.to_lowercase();
        let there: HashSet<String> = table.iter().map(|name| lower(name)).collect();
        let own: HashSet<String> = columns.clone().map(lower).collect();
        let is_new = table.is_empty();
        let added = columns.filter(|name| !is_new && !there.contains(&lower(name))).map(str::to_owned).collect();
        let lacking = table.iter().filter(|name| !own.contains(&lower(name))).cloned().collect();
        Self { is_new, after_sql: false, added, lacking }
    }

    /// The same of columns that SQL makes. Nothing else tells which these are, so those of a new table are named, too.
    #[must_use]
    pub fn after_sql<'a>(self, columns: impl Iterator<Item = &'a str>) -> Self {
        let added = if self.is_new { columns.map(str::to_owned).collect() } else { self.added };
        Self { after_sql: true, added, ..self }
    }
}

/// Something that was guessed, and that a person should confirm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about, as a word.
    pub about: String,
    /// What was assumed, and by what.
    pub text: String,
    /// The setting that says it for good, as `NAME=VALUE`.
    pub setting: String,
}

impl Warning {
    /// A guess, by the setting that would have made it needless.
    pub fn new(about: &str, text: String, setting: String) -> Self {
        Self { about: about.to_owned(), text, setting }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} says so for good", self.text, self.setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_meet_those_of_the_table() {
        let fit = |columns: &[&str], table: &[&str]| {
            let table: Vec<String> = table.iter().map(|name| (*name).to_owned()).collect();
            let fit = TableFit::of(columns.iter().copied(), &table);
            format!("{} +{} -{}", fit.is_new, fit.added.join(","), fit.lacking.join(","))
        };
        for (columns, table, expected) in [
            (&["a", "b"][..], &[][..], "true + -"),
            (&["a", "b"], &["A", "b"], "false + -"),
            (&["a", "b"], &["a", "c"], "false +b -c"),
        ] {
            assert_eq!(fit(columns, table), expected);
        }
    }
}
