//! The command line as a whole: commands by topic, examples, and what `--version` says.

mod examples;
mod version;

use clap::builder::StyledStr;
use clap::builder::styling::Style;
use clap::{Command, CommandFactory};

use crate::args::{Args, STYLES};
use examples::EXAMPLES;

/// Commands by topic, in the order of the help.
const TOPICS: [(&str, &[&str]); 4] = [
    ("Load files", &["ingest", "plan", "contract", "route", "chain", "tune"]),
    ("See and mend what was loaded", &["jobs", "status", "quarantine", "undo", "maintain"]),
    ("Run a deployment", &["enqueue", "split", "work", "dlq", "doctor"]),
    ("Set up", &["settings", "completions", "man", "help"]),
];

/// The command line.
pub(crate) fn command() -> Command {
    let command = EXAMPLES.iter().fold(Args::command(), |command, (name, examples)| {
        let path: Vec<&str> = name.split(' ').collect();
        with_examples(command, &path, examples)
    });
    let commands = topics(&command);
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{commands}\n{}\n{{options}}{{after-help}}",
        heading("Options")
    );
    command.long_version(version::LONG).help_template(StyledStr::from(template))
}

/// A command, or one below it, with examples before what else its help ends with.
fn with_examples(command: Command, path: &[&str], examples: &[&str]) -> Command {
    if let Some((first, rest)) = path.split_first() {
        return command.mut_subcommand(first, |below| with_examples(below, rest, examples));
    }
    let lines: Vec<String> = examples.iter().map(|example| format!("  {example}")).collect();
    let head = heading(if examples.len() == 1 { "Example" } else { "Examples" });
    let more = command.get_after_help().map(|help| format!("\n\n{}", help.ansi())).unwrap_or_default();
    command.after_help(StyledStr::from(format!("{head}\n{}{more}", lines.join("\n"))))
}

/// The commands, each with what it is for.
fn topics(command: &Command) -> String {
    let literal = STYLES.get_literal();
    let width = command.get_subcommands().filter(|one| !one.is_hide_set()).map(|one| one.get_name().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (topic, names) in TOPICS {
        text.extend(["\n", &heading(topic), "\n"]);
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            // It comes from the library, which adds it later.
            let about = about.unwrap_or_else(|| "Print this message or the help of a command".to_owned());
            text.extend([format!("  {literal}{name:<width$}{literal:#}  {about}\n")]);
        }
    }
    text
}

fn heading(text: &str) -> String {
    let style: &Style = STYLES.get_header();
    format!("{style}{text}:{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(command: &Command, path: &str, names: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let name = format!("{path} {}", below.get_name()).trim_start().to_owned();
            visible(below, &name, names);
            if !below.has_subcommands() {
                names.push(name);
            }
        }
    }

    #[test]
    fn every_command_has_a_topic_and_examples() {
        let command = command();
        command.clone().debug_assert();
        let mut listed: Vec<&str> = TOPICS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut there: Vec<&str> =
            command.get_subcommands().filter(|one| !one.is_hide_set()).map(Command::get_name).chain(["help"]).collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(listed, there);
        let (mut names, mut with) =
            (Vec::new(), EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        visible(&command, "", &mut names);
        names.sort();
        with.sort();
        assert_eq!(with, names);
    }

    /// Words as a shell parts them, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let quoted = |(at, part): (usize, &str)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        };
        line.split('\'').enumerate().flat_map(quoted).collect()
    }

    #[test]
    fn every_example_is_understood() {
        for (name, examples) in EXAMPLES {
            assert!((1..=3).contains(&examples.len()), "{name}");
            for example in *examples {
                assert!(example.len() <= 96, "it would be wrapped: {example}");
                let parts = example.split(" | ").flat_map(|part| part.split(" > "));
                let line = parts.into_iter().find(|part| part.starts_with("sluice ")).unwrap();
                assert!(line.starts_with(&format!("sluice {name}")), "{example}");
                if let Err(error) = command().try_get_matches_from(words(line)) {
                    panic!("{example}: {error}");
                }
            }
        }
    }
}
