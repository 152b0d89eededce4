//! Each setting is written once, in `shared/src/settings/variables.rs`: what else names settings is held to that table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::VARIABLES;
use shared::settings::Function;

use crate::support::Place;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What Terraform's files have, one after the other.
fn terraform() -> String {
    let files = std::fs::read_dir(root().join("terraform")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "tf"));
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
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

/// Names that a function's environment has from the module itself, in `name_environment = {`.
fn set_by_the_module(function: &str) -> BTreeSet<String> {
    let file = read(&format!("terraform/{function}.tf"));
    let (_, block) = file.split_once(&format!("{function}_environment = {{\n")).unwrap();
    let (block, _) = block.split_once("\n  }\n").unwrap();
    let name = |line: &str| Some(line.split_once('=')?.0.trim().to_owned());
    block.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(name).collect()
}

/// What the module sets itself cannot be passed on by `settings`, so it has to be given to each function that reads it.
#[test]
fn each_function_is_given_what_it_reads() {
    let own: BTreeSet<String> = {
        let file = read("terraform/settings.tf");
        let (_, list) = file.split_once("own_settings = [").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
    };
    for (name, function) in [("splitter", Function::Splitter), ("worker", Function::Worker)] {
        let reads = VARIABLES.iter().filter(|row| row.used_by.contains(&function) && own.contains(row.name));
        let reads: BTreeSet<String> = reads.map(|row| row.name.to_owned()).collect();
        let mut set = set_by_the_module(name);
        set.retain(|name| !["MALLOC_ARENA_MAX", "RUST_LOG"].contains(&name.as_str()));
        assert_eq!(
            set, reads,
            "terraform/{name}.tf sets what the {name} reads of own_settings in terraform/settings.tf"
        );
    }
}

#[test]
fn the_inputs_of_the_module_are_documented() {
    let terraform = terraform();
    let readme = read("terraform/README.md");
    let blocks = terraform.split("\nvariable \"").skip(1).map(|block| block.split_once("\n}\n").unwrap().0);
    let documented = readme.split_once("## Inputs").unwrap().1.split_once("## Outputs").unwrap().0;
    let mut names = 0;
    for block in blocks {
        let name = block.split_once('"').unwrap().0;
        let description = block.split_once("description = \"").unwrap().1.split_once("\"\n").unwrap().0;
        let row = format!("| `{name}` | {} | ", description.replace("\\\"", "\""));
        assert!(documented.contains(&row), "terraform/README.md should have this row:\n{row}");
        names += 1;
    }
    assert_eq!(documented.matches("\n| `").count(), names, "terraform/README.md documents an input that is not there");
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
