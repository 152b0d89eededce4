//! What is expected of the rows of a job, and what becomes of those that are against it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::location::Location;
use crate::settings::limit::BadRecordLimit;
use crate::words::words;

/// All that a contract expects of rows: pinned with each job that came by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// The contract.
    pub contract: Location,
    /// Digest of all of them.
    pub digest: String,
    /// At least one; no two have the same name.
    pub all: Vec<Expectation>,
}

/// A condition that rows are to meet, after SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// Its name.
    pub name: String,
    /// What has to be true of a row.
    #[serde(flatten)]
    pub condition: RowCondition,
    /// What becomes of a row for which it is false or null.
    pub on: OnViolation,
    /// Violations with which a file is still loaded, as `MAX_BAD_RECORDS` has them: a number, or a percentage of the rows that were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_violations: Option<String>,
}

/// What has to be true of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCondition {
    /// A column has a value.
    NotNull {
        /// The column.
        column: String,
    },
    /// The value of a column is one of these.
    Accepted {
        /// The column.
        column: String,
        /// The values, at least one, all of one kind.
        values: Vec<Literal>,
    },
    /// The value of a column lies within bounds, both included. At least one is there.
    Range {
        /// The column.
        column: String,
        /// The least value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Literal>,
        /// The greatest value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Literal>,
    },
    /// A regular expression finds something in the text of a column.
    Matches {
        /// The column.
        column: String,
        /// The regular expression.
        pattern: String,
    },
    /// SQL that is true or false.
    Sql(String),
}

/// A value that a column is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// True or false.
    Boolean(bool),
    /// A number, in decimal digits.
    Number(String),
    /// A text, a date or a time.
    Text(String),
}

/// What becomes of a row that is against an expectation: `on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// It is loaded, and counted.
    #[default]
    Warn,
    /// It is left out, and counted.
    Drop,
    /// It is kept with the rejected records.
    Quarantine,
    /// The whole file is refused.
    Fail,
}

words!(OnViolation: "warn" => Warn, "drop" => Drop, "quarantine" => Quarantine, "fail" => Fail);

impl OnViolation {
    /// The word of its value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drop => "drop",
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        }
    }
}

impl RowCondition {
    /// The column of which it is; none of SQL.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::NotNull { column }
            | Self::Accepted { column, .. }
            | Self::Range { column, .. }
            | Self::Matches { column, .. } => Some(column),
            Self::Sql(_) => None,
        }
    }
}

impl Expectation {
    /// With how many violations a file is refused; none where any number is taken.
    pub fn limit(&self) -> Option<BadRecordLimit> {
        match (&self.max_violations, self.on) {
            // It was read before it was pinned.
            (Some(most), _) => Some(most.parse().unwrap_or(BadRecordLimit::Count(0))),
            (None, OnViolation::Fail) => Some(BadRecordLimit::Count(0)),
            (None, OnViolation::Warn | OnViolation::Drop | OnViolation::Quarantine) => None,
        }
    }
}

impl Expectations {
    /// Those of a contract; none if there is not one.
    pub fn new(contract: &Location, all: Vec<Expectation>) -> Option<Self> {
        let form = serde_json::to_vec(&all).unwrap_or_default();
        let digest = hex(&Sha256::digest(form), 8);
        (!all.is_empty()).then(|| Self { contract: contract.clone(), digest, all })
    }

    /// Whether all of a file has to be known before any of it is loaded.
    pub fn need_whole_file(&self) -> bool {
        self.all.iter().any(|one| one.limit().is_some())
    }

    /// What is known of rows when none was judged.
    pub fn no_results(&self) -> ExpectationResults {
        let result =
            |one: &Expectation| ExpectationResult { name: one.name.clone(), on: one.on, violations: 0, nulls: 0 };
        ExpectationResults { digest: self.digest.clone(), rows: 0, all: self.all.iter().map(result).collect() }
    }

    /// The expectations that rows are too often against, each with its results.
    pub fn exceeded<'a>(&'a self, results: &'a ExpectationResults) -> Vec<ExceededExpectation<'a>> {
        let both = self.all.iter().zip(&results.all);
        let exceeded = both.filter_map(|(expectation, result)| {
            let limit = expectation.limit()?;
            let is_exceeded = limit.is_exceeded(result.violations, results.rows);
            is_exceeded.then_some(ExceededExpectation { expectation, result, rows: results.rows, limit })
        });
        exceeded.collect()
    }
}

/// What became of rows by expectations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationResults {
    /// Digest of the expectations.
    pub digest: String,
    /// Rows that were judged: those that came out of SQL, whether the table takes them or not.
    pub rows: u64,
    /// By expectation, in the order of the contract.
    pub all: Vec<ExpectationResult>,
}

/// How many rows are against an expectation. A row that is against several counts for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// Name of the expectation.
    pub name: String,
    /// What becomes of the rows.
    pub on: OnViolation,
    /// Rows for which the condition is not true.
    pub violations: u64,
    /// Those of them for which it is neither true nor false, since a value is null or cannot be computed with.
    pub nulls: u64,
}

impl std::ops::AddAssign<&Self> for ExpectationResults {
    /// Adds the results of other rows, by the same expectations.
    fn add_assign(&mut self, other: &Self) {
        self.rows += other.rows;
        for (result, other) in self.all.iter_mut().zip(&other.all) {
            result.violations += other.violations;
            result.nulls += other.nulls;
        }
    }
}

/// An expectation that too many rows of a file are against.
#[derive(Debug)]
pub struct ExceededExpectation<'a> {
    expectation: &'a Expectation,
    result: &'a ExpectationResult,
    rows: u64,
    limit: BadRecordLimit,
}

impl fmt::Display for ExceededExpectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expectation, result, rows, limit } = self;
        let ExpectationResult { violations, nulls, .. } = result;
        write!(f, "expectation '{}': {violations} of {rows} rows are against it", expectation.name)?;
        if *nulls > 0 {
            write!(f, ", {nulls} of them by nulls")?;
        }
        match expectation.max_violations {
            Some(_) => write!(f, " (max_violations is {limit})"),
            None => write!(f, " (on = \"fail\")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectations(max: Option<&str>, on: OnViolation) -> Expectations {
        let condition = RowCondition::NotNull { column: "a".to_owned() };
        let max_violations = max.map(str::to_owned);
        let all = vec![Expectation { name: "there".to_owned(), condition, on, max_violations }];
        Expectations::new(&"s3://b/c.toml".parse().unwrap(), all).unwrap()
    }

    #[test]
    fn a_file_is_judged_by_all_of_its_rows() {
        for (max, on, violations, rows, expected) in [
            (None, OnViolation::Drop, 9, 9, None),
            (None, OnViolation::Fail, 0, 9, None),
            (
                None,
                OnViolation::Fail,
                1,
                9,
                Some("expectation 'there': 1 of 9 rows are against it, 1 of them by nulls (on = \"fail\")"),
            ),
            (Some("2"), OnViolation::Warn, 2, 9, None),
            (
                Some("2"),
                OnViolation::Warn,
                3,
                9,
                Some("expectation 'there': 3 of 9 rows are against it, 3 of them by nulls (max_violations is 2)"),
            ),
            (Some("0.5%"), OnViolation::Fail, 5, 1000, None),
            (
                Some("0.5%"),
                OnViolation::Quarantine,
                6,
                1000,
                Some("expectation 'there': 6 of 1000 rows are against it, 6 of them by nulls (max_violations is 0.5%)"),
            ),
        ] {
            let expectations = expectations(max, on);
            let mut chunk = expectations.no_results();
            (chunk.all[0].violations, chunk.all[0].nulls, chunk.rows) = (violations, violations, rows);
            let mut all = expectations.no_results();
            all += &chunk;
            let exceeded = expectations.exceeded(&all);
            assert_eq!(exceeded.first().map(ToString::to_string).as_deref(), expected);
            assert_eq!(expectations.need_whole_file(), max.is_some() || on == OnViolation::Fail);
        }
    }

    /// Jobs keep this form, and their seals are digests of it.
    #[test]
    fn the_form_in_a_job() {
        let column = || "a".to_owned();
        let number = |text: &str| Literal::Number(text.to_owned());
        let conditions = [
            RowCondition::NotNull { column: column() },
            RowCondition::Accepted { column: column(), values: vec![Literal::Text("x".to_owned())] },
            RowCondition::Range { column: column(), min: Some(number("0.5")), max: None },
            RowCondition::Matches { column: column(), pattern: "^x".to_owned() },
            RowCondition::Sql("a > b".to_owned()),
        ];
        let one = |condition| Expectation {
            name: "n".to_owned(),
            condition,
            on: OnViolation::Drop,
            max_violations: Some("1%".to_owned()),
        };
        let all: Vec<Expectation> = conditions.into_iter().map(one).collect();
        let text = all.iter().map(|one| serde_json::to_string(one).unwrap()).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(text, @r#"
        {"name":"n","not_null":{"column":"a"},"on":"drop","max_violations":"1%"}
        {"name":"n","accepted":{"column":"a","values":[{"text":"x"}]},"on":"drop","max_violations":"1%"}
        {"name":"n","range":{"column":"a","min":{"number":"0.5"}},"on":"drop","max_violations":"1%"}
        {"name":"n","matches":{"column":"a","pattern":"^x"},"on":"drop","max_violations":"1%"}
        {"name":"n","sql":"a > b","on":"drop","max_violations":"1%"}
        "#);
        let read: Vec<Expectation> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, all);
    }
}
