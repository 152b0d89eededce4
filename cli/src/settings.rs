//! `sluice settings`: the table of settings, as the documentation and Terraform have it.

use shared::settings::{CliOption, Function};
use shared::{VARIABLES, Variable};

use crate::error::Done;
use crate::output::Output;

/// Prints all settings: as a table of Markdown, or as JSON.
pub(crate) fn run(output: Output) -> Done {
    let head = ["| variable | default | what it is | option | read by |", "| --- | --- | --- | --- | --- |"];
    let lines = head.into_iter().map(str::to_owned).chain(VARIABLES.iter().map(line));
    output.result(&VARIABLES, &lines.collect::<Vec<_>>().join("\n"))
}

fn line(variable: &Variable) -> String {
    let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
    let option = variable.option.map_or_else(String::new, |CliOption { name, .. }| format!("`--{name}`"));
    let readers = match variable.used_by {
        [Function::Splitter] => "splitter",
        [Function::Worker] => "worker",
        _ => "both",
    };
    format!("| `{}` | {default} | {} | {option} | {readers} |", variable.name, variable.about)
}
