//! Settings as the expectations of a contract need them.

use crate::contract::terms::{Contract, ContractError, NewColumns, RESCUED};
use crate::policy::CommitMode;

use super::groups::LoadSettings;

/// How chunks are put into tables under a contract; `commit_mode` is what `COMMIT_MODE` was given, if it was. The error names an expectation that
/// cannot be met so.
pub(super) fn load_under(
    contract: &Contract,
    load: LoadSettings,
    commit_mode: Option<&str>,
) -> Result<LoadSettings, ContractError> {
    if load.sql.is_none() {
        check_columns(contract)?;
    }
    let Some(whole) = contract.expect.iter().find(|one| one.expectation.limit().is_some()) else { return Ok(load) };
    match commit_mode {
        Some(mode) if load.commit_mode != CommitMode::File => {
            let expectation = &whole.expectation;
            let key = if expectation.max_violations.is_some() { "max_violations" } else { "on" };
            let reason = format!(
                "expectation '{}' is judged by all rows of a file before any is loaded, and COMMIT_MODE='{mode}' says something else",
                expectation.name
            );
            let hint = "leave COMMIT_MODE out: on = \"fail\" and max_violations imply COMMIT_MODE=file";
            Err(ContractError { hint, ..contract.wrong(whole.line, key, reason) })
        }
        _ => Ok(LoadSettings { commit_mode: CommitMode::File, ..load }),
    }
}

/// Without SQL, rows have the columns of the contract, and those that it adds.
fn check_columns(contract: &Contract) -> Result<(), ContractError> {
    let policy = contract.policies.new_columns;
    let is_known = |name: &str| {
        let is_of_contract = contract.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        is_of_contract || policy == NewColumns::Add || (policy == NewColumns::Rescue && name == RESCUED)
    };
    for one in &contract.expect {
        if let Some(name) = one.expectation.condition.column().filter(|name| !is_known(name)) {
            let reason = format!("expectation '{}': the contract has no column '{name}'", one.expectation.name);
            let hint = "give the name that the column has in the table, as [[columns]] says it";
            return Err(ContractError { hint, ..contract.wrong(one.line, "column", reason) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    fn under(policy: &str, expect: &str, given: &[(&str, &str)]) -> Result<CommitMode, String> {
        let text = format!(
            "version = 1\n[read]\nformat = \"csv\"\n[policy]\n{policy}\n[[columns]]\nname = \"id\"\ntype = \"int64\"\n[[expect]]\nname = \"e\"\n{expect}\n"
        );
        let contract = Contract::parse(text.as_bytes(), &"s3://b/c.toml".parse().unwrap()).unwrap();
        let lookup = |name: &str| given.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::from_lookup(lookup).unwrap().under(contract);
        settings.map(|settings| settings.load.commit_mode).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_judged_by_all_rows_is_committed_at_once() {
        let of_id = |more: &str| format!("column = \"ID\"\nnot_null = true\n{more}");
        let (chunk, file) = ([("COMMIT_MODE", "chunk")], [("COMMIT_MODE", "file")]);
        let contradiction = |key: &str| {
            Err(format!(
                "the contract cannot be used: s3://b/c.toml, line 10, {key}: expectation 'e' is judged by all rows of a file before any is loaded, and COMMIT_MODE='chunk' says something else"
            ))
        };
        for (more, given, expected) in [
            ("", &[][..], Ok(CommitMode::Chunk)),
            ("on = \"drop\"", &chunk[..], Ok(CommitMode::Chunk)),
            ("on = \"fail\"", &[], Ok(CommitMode::File)),
            ("on = \"fail\"", &file, Ok(CommitMode::File)),
            ("on = \"fail\"", &chunk, contradiction("on")),
            ("on = \"warn\"\nmax_violations = \"1%\"", &[], Ok(CommitMode::File)),
            ("on = \"warn\"\nmax_violations = 3", &chunk, contradiction("max_violations")),
        ] {
            assert_eq!(under("", &of_id(more), given), expected, "{more} {given:?}");
        }
    }

    #[test]
    fn columns_are_those_of_the_contract_unless_there_is_sql() {
        let named = |name: &str| format!("column = \"{name}\"\nnot_null = true");
        let unknown = |name: &str| {
            Err(format!(
                "the contract cannot be used: s3://b/c.toml, line 10, column: expectation 'e': the contract has no column '{name}'"
            ))
        };
        let (add, rescue) = ("new_columns = \"add\"", "new_columns = \"rescue\"");
        for (policy, name, given, expected) in [
            ("", "id", &[][..], Ok(CommitMode::Chunk)),
            ("", "x", &[], unknown("x")),
            ("", "x", &[("TRANSFORM_SQL", "select id as x from chunk")], Ok(CommitMode::Chunk)),
            (add, "x", &[], Ok(CommitMode::Chunk)),
            ("", RESCUED, &[], unknown(RESCUED)),
            (rescue, RESCUED, &[], Ok(CommitMode::Chunk)),
        ] {
            assert_eq!(under(policy, &named(name), given), expected, "{policy} {name}");
        }
    }
}
