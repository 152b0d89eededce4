//! What the README says is so.

use shared::VARIABLES;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

#[test]
fn the_table_of_settings_is_the_one_in_the_code() {
    let mut table = String::from("| variable | default | what it is |\n| --- | --- | --- |\n");
    for variable in VARIABLES {
        let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
        table += &format!("| `{}` | {default} | {} |\n", variable.name, variable.about);
    }
    assert!(readme().contains(&table), "the table in README.md should read:\n\n{table}");
}

#[test]
fn the_two_commands_are_there() {
    for command in
        ["cargo run --release -p sluice -- ingest fixtures/flights.csv --table lake/flights", "cargo test --workspace"]
    {
        assert!(readme().contains(command), "{command}");
    }
}
