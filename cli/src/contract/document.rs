//! What would become of a source under its contract, for people and machines.

use serde::Serialize;
use shared::{Contract, ExpectationResults, Format, Location, RESCUED};
use splitter::{Difference, DifferenceKind, DifferenceOutcome, Misfit, Plan};

/// What came of reading a source by its contract.
pub(super) enum Held {
    /// It can be read.
    Read(Box<Plan>),
    /// It is refused, for these differences and this reason.
    Refused(Vec<Difference>, String),
}

/// What would become of a source under its contract.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) source: String,
    pub(super) contract: String,
    /// What the contract says of the reading, by its keys.
    pub(super) reading: Vec<(String, String)>,
    pub(super) columns: Vec<ColumnState>,
    /// All that differs.
    pub(super) differences: Vec<Difference>,
    /// What came of the first records; none of a source that is refused, and of Parquet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sample: Option<Sample>,
    /// What came of the first rows by what the contract expects; none of a source that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expectations: Option<ExpectationResults>,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Serialize)]
pub(super) struct ColumnState {
    /// Name in the table; in the source for a new one that is not loaded.
    pub(super) name: String,
    pub(super) source: String,
    #[serde(rename = "type")]
    pub(super) column_type: String,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Matched,
    Missing,
    New,
    OtherType,
    /// Collects new ones.
    Rescue,
    /// Not known, since the source is written in another way.
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) records: u64,
    pub(super) rejected: u64,
    /// Why, by column, each with the first reason.
    pub(super) misfits: Vec<Misfit>,
}

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) exit_status: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// All that was looked at.
    Loaded,
    /// But for records that are kept aside.
    LoadedInPart,
    Refused,
}

impl Document {
    pub(super) fn new(source: &Location, contract: &Contract, held: Held) -> Self {
        let (differences, sample, outcome, is_parquet) = match held {
            Held::Refused(differences, reason) => {
                (differences, None, Outcome { what: What::Refused, reason: Some(reason), exit_status: 3 }, true)
            }
            Held::Read(plan) => {
                let is_parquet = matches!(plan.examination.policy.format, Format::Parquet { .. });
                let outcome = outcome(&plan);
                let sample = Sample { records: plan.records, rejected: plan.rejected, misfits: plan.misfits };
                (plan.examination.differences, Some(sample), outcome, is_parquet)
            }
        };
        Self {
            source: source.to_string(),
            contract: contract.at.to_string(),
            reading: contract.read.iter().map(|key| (key.variable.to_lowercase(), key.value.clone())).collect(),
            columns: columns(contract, &differences),
            differences,
            sample: sample.filter(|_| !is_parquet),
            expectations: None,
            outcome,
        }
    }
}

fn outcome(plan: &Plan) -> Outcome {
    if plan.rejected == 0 {
        return Outcome { what: What::Loaded, reason: None, exit_status: 0 };
    }
    let reason = plan.first_rejected.clone();
    if plan.rejected == plan.records {
        return Outcome { what: What::Refused, reason, exit_status: 4 };
    }
    Outcome { what: What::LoadedInPart, reason, exit_status: 0 }
}

fn columns(contract: &Contract, differences: &[Difference]) -> Vec<ColumnState> {
    let of_kind = |kind| differences.iter().filter(move |difference: &&Difference| difference.kind == kind);
    let is_other_text = of_kind(DifferenceKind::Reading).next().is_some();
    let mut missing: Vec<&str> = of_kind(DifferenceKind::Missing).map(|difference| difference.name.as_str()).collect();
    // Of two columns with one name in the source, the last is the one that is missing.
    let mut columns: Vec<ColumnState> = contract
        .columns
        .iter()
        .rev()
        .map(|column| {
            let shown = if column.source.is_empty() { &column.name } else { &column.source };
            let place = missing.iter().position(|name| name == shown);
            let is_missing = place.map(|place| missing.remove(place)).is_some();
            let is_other = of_kind(DifferenceKind::Type).any(|difference| difference.name == column.name);
            let state = match (is_other_text, is_missing, is_other) {
                (true, ..) => State::Unknown,
                (_, true, _) => State::Missing,
                (.., true) => State::OtherType,
                _ => State::Matched,
            };
            let (name, source) = (column.name.clone(), column.source.clone());
            ColumnState { name, source, column_type: column.column_type.to_string(), state }
        })
        .collect();
    columns.reverse();
    let new = of_kind(DifferenceKind::New).filter(|_| !is_other_text).map(|difference| ColumnState {
        name: difference.name.clone(),
        source: difference.name.clone(),
        column_type: if difference.outcome == DifferenceOutcome::Added { "text".to_owned() } else { String::new() },
        state: State::New,
    });
    columns.extend(new);
    if contract.policies.new_columns == shared::NewColumns::Rescue {
        let name = RESCUED.to_owned();
        columns.push(ColumnState { source: String::new(), name, column_type: "text".to_owned(), state: State::Rescue });
    }
    columns
}
