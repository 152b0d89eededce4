//! Settings that contradict those that a job was pinned with. Only settings that decide its rows count; sizes of chunks and commits
//! do not.

mod compared;

use std::fmt;

use shared::{Expectations, Job, Location, Settings, Variable};

use compared::{COMPARED, Said, column_type};

/// Who gives a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Giver {
    /// An option of the command.
    Option,
    /// The contract.
    Contract,
}

/// A setting that says something else than the job was pinned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// The option with its dashes, the key of the contract, or none for the type of a column in it.
    pub(crate) name: Option<String>,
    /// The contract that gives it; none for an option.
    pub(crate) contract: Option<Location>,
    /// What it says.
    pub(crate) given: String,
    /// What the job has.
    pub(crate) pinned: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, contract, given, pinned } = self;
        let name = name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        match contract {
            None => write!(f, "{name}{pinned}, and not {given}"),
            Some(at) => write!(f, "{name}{pinned}, and the contract {at} says {given}"),
        }
    }
}

/// The first setting among those that are given, by the names of their variables, that contradicts a job.
pub(crate) fn contradiction(
    giver: impl Fn(&str) -> Option<Giver>,
    settings: &Settings,
    job: &Job,
) -> Option<Contradiction> {
    let said = Said { settings, job };
    COMPARED.iter().find_map(|(variable, compare)| {
        let (contract, name, (now, pinned)) = match giver(variable)? {
            Giver::Option => (None, Some(format!("--{}", Variable::find(variable)?.option?.name)), compare(&said)?),
            Giver::Contract => {
                // A column that the job does not have is null in its rows, as it would be by the contract.
                let is_type = *variable == "SCHEMA";
                let both = if is_type { column_type(&said) } else { compare(&said) };
                let name = Some(variable.to_lowercase()).filter(|_| !is_type);
                (Some(settings.read.contract.as_ref()?.at.clone()), name, both?)
            }
        };
        (now != pinned).then_some(Contradiction { name, contract, given: now, pinned })
    })
}

/// What the contract expects of rows, where the job was pinned with something else; none without a contract.
pub(crate) fn other_expectations(settings: &Settings, job: &Job) -> Option<Contradiction> {
    let contract = settings.read.contract.as_ref()?;
    let of = |expectations: Option<&Expectations>| {
        expectations.map_or_else(|| "none".to_owned(), |expectations| expectations.digest.clone())
    };
    let (given, pinned) = (of(contract.expectations().as_ref()), of(job.load.expectations.as_ref()));
    let (name, contract) = (Some("expectations".to_owned()), Some(contract.at.clone()));
    (given != pinned).then_some(Contradiction { name, contract, given, pinned })
}

/// Who gives a setting, given by the name of its variable: an option, or the contract where that decides values of files that were read
/// before. Its limit of records and its names for new columns do not.
pub(crate) fn giver(is_option: bool, settings: &Settings, variable: &str) -> Option<Giver> {
    let contract = settings.read.contract.as_ref();
    let is_told = |variable| contract.is_some_and(|contract| variable == "SCHEMA" || contract.get(variable).is_some());
    match variable {
        _ if is_option => Some(Giver::Option),
        "MAX_RECORD_MB" | "COLUMN_NAMES" => None,
        variable => is_told(variable).then_some(Giver::Contract),
    }
}
