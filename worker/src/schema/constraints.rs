//! What a table wants of each row: its CHECK constraints, and the invariants of its columns.

use deltalake::table::state::DeltaTableState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::features::{CONSTRAINT, each_field, invariant};

/// A condition that the table has for its rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Constraint {
    /// `CHECK`, with its name and its SQL.
    Check { name: String, sql: String },
    /// Of a column, with its path and the text in the log, which has the SQL.
    Invariant { column: String, text: String },
}

impl Constraint {
    /// The constraints of a table, in an order that is always the same.
    pub(crate) fn of(state: &DeltaTableState) -> Vec<Self> {
        let settings = state.metadata().configuration().iter();
        let mut all: Vec<Self> = settings
            .filter_map(|(key, sql)| {
                let name = key.strip_prefix(CONSTRAINT)?.to_owned();
                Some(Self::Check { name, sql: sql.clone() })
            })
            .collect();
        each_field(&state.schema(), &mut |path, field| {
            if let Some(text) = invariant(field) {
                all.push(Self::Invariant { column: path.join("."), text });
            }
        });
        all.sort();
        all
    }

    /// Its condition; the error says what stands in its place.
    pub(crate) fn sql(&self) -> Result<String, String> {
        match self {
            Self::Check { sql, .. } => Ok(sql.clone()),
            Self::Invariant { text, .. } => {
                let parsed: Option<Value> = serde_json::from_str(text).ok();
                let sql =
                    parsed.and_then(|parsed| Some(parsed.pointer("/expression/expression")?.as_str()?.to_owned()));
                sql.ok_or_else(|| format!("{text} is not an expression"))
            }
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Check { name, .. } => format!("constraint '{name}'"),
            Self::Invariant { column, .. } => format!("the invariant of column '{column}'"),
        }
    }
}
