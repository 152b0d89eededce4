//! What a contract says.

use std::fmt;

use crate::column::{ColumnType, DateFormat};
use crate::expectations::{Expectation, Expectations};
use crate::location::Location;
use crate::words::words;

/// Version of the files that are read and written.
pub(super) const VERSION: i64 = 1;

/// The column of what has no column of its own, where `new_columns = "rescue"`.
pub const RESCUED: &str = "_rescued";

/// How the files of one feed are read, and what becomes of files that deviate from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Where it lies.
    pub at: Location,
    /// The table `[read]`: settings by other names.
    pub read: Vec<ReadKey>,
    /// The table `[policy]`.
    pub policies: Policies,
    /// The tables `[[columns]]`, in the order that they have in chunks. No two have the same name, letters of either case being
    /// the same.
    pub columns: Vec<ContractColumn>,
    /// The tables `[[expect]]`. No two have the same name.
    pub expect: Vec<ContractExpectation>,
}

/// A key of the table `[read]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadKey {
    /// The variable that it stands for: its name in capital letters.
    pub variable: String,
    /// Its value, as the variable would have it.
    pub value: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// What becomes of files that deviate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// `match`.
    pub match_by: Match,
    /// `new_columns`.
    pub new_columns: NewColumns,
    /// `missing_columns`.
    pub missing_columns: MissingColumns,
    /// `type_changes`.
    pub type_changes: TypeChanges,
    /// Lines of these keys in the file, from 1, in this order; that of `[policy]`, or of the file, where a key is not given.
    pub lines: [usize; 4],
}

/// By what the columns of a file are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    /// Their names, in any order.
    #[default]
    Name,
    /// Their places.
    Position,
}

/// What becomes of a column that the contract does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewColumns {
    /// It is loaded as text.
    Add,
    /// The file is refused.
    #[default]
    Fail,
    /// It is left out.
    Ignore,
    /// Its values go into the column [`RESCUED`], as a JSON object of all such columns.
    Rescue,
}

/// What becomes of a column of the contract that the file does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingColumns {
    /// It is null.
    Null,
    /// The file is refused.
    #[default]
    Fail,
}

/// What becomes of a value that is none of its column's type. The same as `BAD_RECORDS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TypeChanges {
    /// Its record is rejected, and kept.
    #[default]
    Quarantine,
    /// The file is refused.
    Fail,
}

words!(Match: "name" => Name, "position" => Position);
words!(NewColumns: "add" => Add, "fail" => Fail, "ignore" => Ignore, "rescue" => Rescue);
words!(MissingColumns: "null" => Null, "fail" => Fail);
words!(TypeChanges: "quarantine" => Quarantine, "fail" => Fail);

impl Match {
    /// The word of its value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Position => "position",
        }
    }
}

impl NewColumns {
    /// The word of its value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Fail => "fail",
            Self::Ignore => "ignore",
            Self::Rescue => "rescue",
        }
    }
}

impl MissingColumns {
    /// The word of its value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Fail => "fail",
        }
    }
}

impl TypeChanges {
    /// The word of its value, here and in `BAD_RECORDS`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        }
    }
}

/// A column of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractColumn {
    /// Its name in the chunks, and in the table.
    pub name: String,
    /// Its name in the file.
    pub source: String,
    /// Its type.
    pub column_type: ContractType,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// What a contract expects of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractExpectation {
    /// What it is.
    pub expectation: Expectation,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// The type of a column of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractType {
    /// Of text, with the format of its dates where it has some.
    Text(ColumnType, Option<DateFormat>),
    /// Of a Parquet file, as Arrow calls it.
    Parquet(String),
}

impl fmt::Display for ContractType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(column_type, Some(format)) => write!(f, "{column_type}({format})"),
            Self::Text(column_type, None) => write!(f, "{column_type}"),
            Self::Parquet(name) => f.write_str(name),
        }
    }
}

impl Contract {
    /// The value of a variable.
    pub fn get(&self, variable: &str) -> Option<&ReadKey> {
        self.read.iter().find(|key| key.variable == variable)
    }

    /// What it expects of rows; none if it expects nothing.
    pub fn expectations(&self) -> Option<Expectations> {
        Expectations::new(&self.at, self.expect.iter().map(|one| one.expectation.clone()).collect())
    }

    /// Whether its files are Parquet.
    pub fn is_of_parquet(&self) -> bool {
        self.get("FORMAT").is_some_and(|key| key.value == "parquet")
    }

    /// What is wrong with it, at one of its lines.
    pub(crate) fn wrong(&self, line: usize, key: &str, reason: impl Into<String>) -> ContractError {
        ContractError::new(&self.at, (line, key), reason)
    }
}

/// What is wrong with a contract, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the contract cannot be used: {at}, line {line}, {key}: {reason}")]
pub struct ContractError {
    /// The contract.
    pub at: Location,
    /// Line, from 1.
    pub line: usize,
    /// Key, or table.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// What may help.
    pub hint: &'static str,
}

impl ContractError {
    pub(crate) fn new(at: &Location, (line, key): (usize, &str), reason: impl Into<String>) -> Self {
        let hint =
            "docs/contracts.md lists the keys and their values; `sluice plan SOURCE --save FILE` writes a contract";
        Self { at: at.clone(), line, key: key.to_owned(), reason: reason.into(), hint }
    }
}
