//! Each setting is written once, in `shared/src/settings/variables.rs`: what else names settings is held to that table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::VARIABLES;

use crate::support::Place;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The table in docs/settings.md. `UPDATE_DOCS=1` writes it.
#[test]
fn the_documented_table_is_the_one_in_the_code() {
    let table = Place::new().run(&["settings"]).stdout;
    let document = root().join("docs/settings.md");
    let text = std::fs::read_to_string(&document).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (before, rest) = text.split_once("| variable |").unwrap();
        let after: String = rest.split_inclusive('\n').skip(1).skip_while(|line| line.starts_with('|')).collect();
        return std::fs::write(&document, format!("{before}{table}{after}")).unwrap();
    }
    assert!(
        text.contains(&table),
        "run UPDATE_DOCS=1 cargo test --workspace --test sluice settings; wanted:\n\n{table}"
    );
}

/// Terraform's list. `UPDATE_DOCS=1` writes it.
#[test]
fn terraform_has_the_list_of_settings() {
    let list: Value = Place::new().run(&["settings", "--json"]).json();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&list).unwrap() + "\n";
        return std::fs::write(root().join("terraform/settings.json"), text).unwrap();
    }
    let committed: Value = serde_json::from_str(&read("terraform/settings.json")).unwrap();
    assert_eq!(committed, list, "run UPDATE_DOCS=1 cargo test --workspace --test sluice settings");
}

#[test]
fn options_are_in_the_help_of_their_commands() {
    let place = Place::new();
    let commands: BTreeSet<&str> =
        VARIABLES.iter().filter_map(|row| row.option).flat_map(|o| o.commands).copied().collect();
    for command in commands {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = place.run(&args);
        assert_eq!(help.status, 0, "{command}: {help:?}");
        for option in VARIABLES.iter().filter_map(|row| row.option).filter(|option| option.commands.contains(&command))
        {
            let line = format!("--{} <{}>", option.name, option.value);
            assert!(help.stdout.contains(&line), "{command} {line}:\n{}", help.stdout);
        }
    }
}
