//! Region and credentials, looked for before anything is begun that needs them: what reaches AWS by itself tries for minutes, takes
//! another region, or says less.

use aws_sdk_s3::config::ProvideCredentials;
use clap::ArgMatches;
use shared::{aws_settings, error_chain};

use crate::args::Command;
use crate::config;
use crate::error::CliError;

/// Settings that may name something on S3, each with the option that comes before it.
const PLACES: [(&str, &str); 4] = [
    ("TABLE_URI", "--table"),
    ("CHUNK_BUCKET", "--work-dir"),
    ("CONTRACT_URI", "--contract"),
    ("ROUTES_URI", "--routes"),
];

/// Arguments that name something that is read or written; texts such as SQL name nothing.
const NAMES: [&str; 11] = [
    "sources",
    "source",
    "job_or_source",
    "save",
    "table",
    "work-dir",
    "work_dir",
    "contract",
    "routes",
    "out",
    "files_from",
];

/// Makes sure of a region and of credentials where a command needs them.
pub(crate) async fn ensure(command: &Command, matches: &ArgMatches) -> Result<(), CliError> {
    let places = PLACES.iter().filter_map(|(name, _)| config::value(name).map(|value| (*name, value)));
    if !needs_aws(command, &named(matches), places) {
        return Ok(());
    }
    let settings = aws_settings().await;
    if settings.region().is_none() {
        return Err(CliError::NoRegion);
    }
    let provider = settings.credentials_provider();
    let provider = provider.ok_or_else(|| CliError::NoCredentials { reason: "none are set up".to_owned() })?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::NoCredentials { reason: first_line(&error_chain(&error)) }),
    }
}

/// Without the list of all that was tried.
fn first_line(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    line.trim_end_matches("Attempted:").trim_end_matches([' ', '.', ':']).to_owned()
}

/// What a command line names, each by the argument that it was given to.
fn named(matches: &ArgMatches) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut level = Some(matches);
    while let Some(matches) = level {
        for id in matches.ids().map(clap::Id::as_str).filter(|id| NAMES.contains(id)) {
            // A group of arguments has no values.
            let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
            found.extend(values.map(|value| (id.to_owned(), value.to_string_lossy().into_owned())));
        }
        level = matches.subcommand().map(|(_, below)| below);
    }
    found
}

fn needs_aws(
    command: &Command,
    named: &[(String, String)],
    mut places: impl Iterator<Item = (&'static str, String)>,
) -> bool {
    let is_s3 = |text: &str| ["s3://", "s3a://", "dynamodb://"].iter().any(|scheme| text.starts_with(scheme));
    let is_given = |option: &str| named.iter().any(|(id, _)| id.replace('_', "-") == option.trim_start_matches("--"));
    let is_overridden = |place: &str| PLACES.iter().any(|(name, option)| *name == place && is_given(option));
    match command {
        Command::Work(_) | Command::Enqueue(_) | Command::Dlq(_) | Command::Doctor(_) => true,
        Command::Settings | Command::Completions(_) | Command::Man(_) | Command::Route(_) | Command::TuneStage(_) => {
            false
        }
        _ => {
            // `CHUNK_BUCKET` may be the bucket alone.
            let is_bucket = |name: &str, value: &str| name == "CHUNK_BUCKET" && !value.contains('/');
            let names_s3 = |name: &str, value: &str| is_s3(value) || is_bucket(name, value) && !value.is_empty();
            named.iter().any(|(_, value)| is_s3(value))
                || places.any(|(name, value)| names_s3(name, &value) && !is_overridden(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::args::Args;
    use crate::command_line::command;

    #[test]
    fn only_what_reaches_aws_needs_an_account() {
        let needs = |line: &str, places: &[(&'static str, &str)]| {
            let matches = command().get_matches_from(line.split(' '));
            let args = Args::from_arg_matches(&matches).unwrap();
            needs_aws(&args.command, &named(&matches), places.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        for (line, places, expected) in [
            ("sluice plan x.csv", &[][..], false),
            ("sluice plan s3://b/x.csv", &[], true),
            ("sluice plan x.csv --sql='s3://b/'", &[], false),
            ("sluice status latest --table=s3://b/t", &[], true),
            ("sluice status latest", &[("TABLE_URI", "s3://b/t")], true),
            ("sluice status latest", &[("TABLE_URI", "lake/t"), ("CHUNK_BUCKET", "/work")], false),
            ("sluice status latest", &[("CHUNK_BUCKET", "chunks")], true),
            // What an option overrides is not used.
            ("sluice status latest --table lake/t", &[("TABLE_URI", "s3://b/t")], false),
            ("sluice status latest --table=lake/t --work-dir work", &[("CHUNK_BUCKET", "chunks")], false),
            ("sluice status latest --table lake/t", &[("CHUNK_BUCKET", "chunks")], true),
            ("sluice ingest x.csv --table t --contract c.toml", &[("CONTRACT_URI", "s3://b/c.toml")], false),
            ("sluice ingest x.csv --table t --routes r.toml", &[("ROUTES_URI", "s3://b/r.toml")], false),
            ("sluice ingest x.csv --table t", &[("CONTRACT_URI", "s3://b/c.toml")], true),
            ("sluice status latest --work-dir work", &[("TABLE_URI", "s3://b/t")], true),
            ("sluice settings", &[("CHUNK_BUCKET", "chunks")], false),
            ("sluice route check s3://b/x.csv", &[], false),
            ("sluice doctor", &[], true),
        ] {
            assert_eq!(needs(line, places), expected, "{line} {places:?}");
        }
    }

    #[test]
    fn the_cause_is_one_line() {
        let said = "no credentials found in chain. Attempted:\n  Environment: not set\n  Profile: not enabled";
        assert_eq!(first_line(said), "no credentials found in chain");
        assert_eq!(first_line("expired"), "expired");
    }
}
