//! The options that stand for settings: built from the table of settings, so that each is written there alone.

use std::marker::PhantomData;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, FromArgMatches};
use shared::settings::{CliOption, Kind};
use shared::{Settings, VARIABLES, Variable};

use super::values::sql;
use crate::config;
use crate::error::CliError;

/// A command that takes settings as options.
pub(crate) trait Takes {
    /// Its name in the table of settings.
    const COMMAND: &'static str;

    /// Whether the option changes a job that is there, so that it has neither the table's default nor the environment's.
    fn is_of_job(_variable: &Variable) -> bool {
        false
    }
}

macro_rules! commands {
    ($($(#[$about:meta])* $type:ident = $command:literal;)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(crate) struct $type;

        impl Takes for $type {
            const COMMAND: &'static str = $command;
        }
    )*};
}

commands! {
    /// `sluice ingest`.
    Ingest = "ingest";
    /// `sluice plan`.
    Plan = "plan";
    /// `sluice contract check`.
    ContractCheck = "contract check";
    /// `sluice split`.
    Split = "split";
    /// `sluice enqueue`.
    Enqueue = "enqueue";
    /// `sluice tune`.
    Tune = "tune";
    /// `sluice route check`.
    RouteCheck = "route check";
    /// `sluice route list`.
    RouteList = "route list";
    /// `sluice chain`.
    Chain = "chain";
    /// `sluice jobs`.
    Jobs = "jobs";
    /// `sluice status`.
    Status = "status";
    /// `sluice undo`.
    Undo = "undo";
    /// `sluice maintain`.
    Maintain = "maintain";
    /// `sluice quarantine show`.
    QuarantineShow = "quarantine show";
}

/// The settings that were given to a command as options.
#[derive(Debug)]
pub(crate) struct Given<C> {
    values: Vec<(&'static str, String)>,
    command: PhantomData<C>,
}

impl<C: Takes> Given<C> {
    /// The option's value, by the name of the variable that it stands for.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// Settings from the options, and from the environment where an option is not given.
    pub(super) fn settings(&self) -> Result<Settings, CliError> {
        self.settings_with(None)
    }

    /// The same with SQL from a file, if there is one.
    pub(super) fn settings_with(&self, sql_file: Option<&PathBuf>) -> Result<Settings, CliError> {
        let sql = self.sql(sql_file)?;
        let lookup = |name: &str| match name {
            "TRANSFORM_SQL" => sql.clone(),
            _ => self.get(name).map(str::to_owned),
        };
        settings(|name| lookup(name).or_else(|| config::value(name)))
    }

    /// SQL as it was given, or as its file has it.
    pub(super) fn sql(&self, file: Option<&PathBuf>) -> Result<Option<String>, CliError> {
        sql(self.get("TRANSFORM_SQL"), file)
    }
}

/// Settings from a source of variables.
pub(super) fn settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, CliError> {
    Settings::from_lookup(lookup).map_err(CliError::Settings)
}

/// The settings that a command takes, with their options.
fn taken<C: Takes>() -> impl Iterator<Item = (&'static Variable, CliOption)> {
    let taken = |option: &CliOption| option.commands.contains(&C::COMMAND);
    VARIABLES.iter().filter_map(move |variable| Some((variable, variable.option.filter(taken)?)))
}

fn arg<C: Takes>(variable: &'static Variable, option: CliOption) -> Arg {
    let about = sentence(variable.about);
    let from = match (C::is_of_job(variable), variable.default) {
        (true, _) => " [default: the job's]".to_owned(),
        (false, "") => format!(" [env: {}]", variable.name),
        (false, default) => format!(" [env: {}] [default: {default}]", variable.name),
    };
    let arg = Arg::new(option.name).long(option.name).value_name(option.value).help(about + &from);
    let arg = if taken::<C>().count() > FEW { arg.help_heading(topic(variable.name)) } else { arg };
    match (variable.name, variable.kind) {
        // Types are those of the job, so that there is nothing to widen.
        ("BAD_RECORDS", Kind::Word { words }) if C::is_of_job(variable) => {
            let words = words.iter().copied().filter(|word| *word != "widen");
            arg.value_parser(PossibleValuesParser::new(words.collect::<Vec<_>>()))
        }
        // Given once for each, and joined as the variable has them.
        ("LOOKUPS", _) => arg.action(ArgAction::Append),
        _ => arg,
    }
}

/// As many options need no headings.
const FEW: usize = 8;

/// The headings, in their order.
const TOPICS: [&str; 6] = [TABLE, READING, "CSV", COLUMNS, REJECTED, LIMITS];
/// The heading of what says where rows go, and as what.
pub(super) const TABLE: &str = "The table";
const READING: &str = "How the file is read";
const COLUMNS: &str = "Columns and values";
const REJECTED: &str = "Rejected records";
const LIMITS: &str = "Sizes and limits";

/// What a setting is about, as the heading of its option.
fn topic(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("CSV_") => "CSV",
        "FORMAT" | "COMPRESSION" | "ENCODING" | "CONTRACT_URI" | "ROUTES_URI" => READING,
        "SCHEMA" | "INFER" | "COLUMN_NAMES" | "NULL_WORDS" => COLUMNS,
        "BAD_RECORDS" | "MAX_BAD_RECORDS" => REJECTED,
        "TABLE_URI" | "TRANSFORM_SQL" | "LOOKUPS" | "PARTITION_BY" | "COMMIT_MODE" | "DATA_FILES" | "ON_REPLACE" => {
            TABLE
        }
        _ => LIMITS,
    }
}

/// A text of the table as help: plain, and with a capital letter first.
fn sentence(about: &str) -> String {
    let plain = about.replace('`', "");
    let mut characters = plain.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

impl<C: Takes> clap::Args for Given<C> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let mut taken: Vec<_> = taken::<C>().collect();
        if taken.len() > FEW {
            taken.sort_by_key(|(variable, _)| TOPICS.iter().position(|known| *known == topic(variable.name)));
        }
        command.args(taken.into_iter().map(|(variable, option)| arg::<C>(variable, option)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<C: Takes> FromArgMatches for Given<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |option: CliOption| {
            let values: Vec<&str> = matches.get_many::<String>(option.name)?.map(String::as_str).collect();
            Some(values.join(","))
        };
        let values = taken::<C>().filter_map(|(variable, option)| Some((variable.name, value(option)?))).collect();
        Ok(Self { values, command: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
