//! Settings as a contract has them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::column::TypedColumn;
use crate::column::typed_columns;
use crate::contract::terms::{
    Contract, ContractColumn, ContractError, ContractType, Match, NewColumns, Policies, TypeChanges,
};
use crate::dialect::Setting;
use crate::policy::{BadRecords, FormatChoice, Infer};

use super::groups::ReadSettings;
use super::reader::{Reader, SettingsError};
use super::variables::CONTRACT_KEYS;

/// What a contract means by keys that it does not have, so that nothing is detected.
const DEFAULTS: &[(&str, &str)] = &[
    ("COMPRESSION", "none"),
    ("ENCODING", "utf-8"),
    ("CSV_DELIMITER", ","),
    ("CSV_QUOTE", "\""),
    ("CSV_ESCAPE", "none"),
    ("CSV_COMMENT", "none"),
    ("CSV_HEADER", "1"),
    ("CSV_SKIP_LINES", "0"),
    ("CSV_FOOTER", "0"),
    ("CSV_DECIMAL", "."),
];

/// Advice where a variable says something else than the contract.
const CONTRADICTED: &str = "leave the option or the variable out, or change the contract";

/// Reads by a contract. What is given and does not contradict it holds for keys that it does not have.
pub(super) fn read_under(contract: Contract, read: ReadSettings) -> Result<ReadSettings, ContractError> {
    check_keys(&contract)?;
    for (name, value) in &read.given {
        check_given(&contract, name, value)?;
    }
    let given = |name: &str| read.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone());
    let default = |name: &str| DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let lookup = |name: &str| {
        let told = contract.get(name).map(|key| key.value.clone());
        told.or_else(|| given(name).filter(|value| CONTRACT_KEYS.contains(&name) && value != "auto"))
            .or_else(|| default(name))
    };
    let by_contract = Reader { lookup: &lookup }.read().map_err(|error| at_key(&contract, &error))?;
    check_policies(&contract, &by_contract)?;
    let typed = contract.columns.iter().filter_map(|column| match column.column_type {
        ContractType::Text(column_type, date_format) => {
            Some(TypedColumn { name: column.name.clone(), column_type, date_format })
        }
        ContractType::Parquet(_) => None,
    });
    let mut csv = by_contract.csv;
    if lookup("CSV_TERMINATOR").is_none() {
        // `\n` and `\r\n`: no value of the setting says so, as it leaves a lone `\r` to be detected.
        csv.terminator = Setting::Explicit(None);
    }
    Ok(ReadSettings {
        format: by_contract.format,
        compression: by_contract.compression,
        encoding: by_contract.encoding,
        csv,
        null_words: by_contract.null_words,
        column_names: by_contract.column_names,
        max_record_bytes: by_contract.max_record_bytes,
        infer: Infer::None,
        schema: typed.collect(),
        bad_records: match contract.policies.type_changes {
            TypeChanges::Quarantine => BadRecords::Quarantine,
            TypeChanges::Fail => BadRecords::Fail,
        },
        contract: Some(Arc::new(contract)),
        ..read
    })
}

/// What one variable alone says.
fn alone(name: &str, value: &str) -> Result<ReadSettings, SettingsError> {
    Reader { lookup: |asked: &str| (asked == name).then(|| value.to_owned()) }.read()
}

fn at_key(contract: &Contract, error: &SettingsError) -> ContractError {
    let line = contract.get(error.name).map_or(1, |key| key.line);
    contract.wrong(
        line,
        &error.name.to_lowercase(),
        format!("'{}' cannot be used: it must be {}", error.value, error.expected),
    )
}

/// Each key is one of a contract, and its value one that its setting takes.
fn check_keys(contract: &Contract) -> Result<(), ContractError> {
    for key in &contract.read {
        let name = key.variable.to_lowercase();
        if !CONTRACT_KEYS.contains(&key.variable.as_str()) {
            let known: Vec<String> = CONTRACT_KEYS.iter().map(|name| name.to_lowercase()).collect();
            return Err(contract.wrong(
                key.line,
                &name,
                format!("[read] has no such key, it has {}", known.join(", ")),
            ));
        }
        if key.value.is_empty() {
            return Err(contract.wrong(key.line, &name, "it is empty"));
        }
        alone(&key.variable, &key.value).map_err(|error| at_key(contract, &error))?;
    }
    match contract.get("FORMAT") {
        None => Err(contract.wrong(1, "[read]", "it does not have format = \"csv\", \"ndjson\" or \"parquet\"")),
        Some(format) if format.value == "auto" => {
            Err(contract.wrong(format.line, "format", "'auto' cannot be used: it must be csv, ndjson or parquet"))
        }
        Some(format) => {
            let is_of_format = |variable: &str| match format.value.as_str() {
                "csv" => true,
                "ndjson" => !variable.starts_with("CSV_"),
                _ => ["FORMAT", "COLUMN_NAMES"].contains(&variable),
            };
            match contract.read.iter().find(|key| !is_of_format(&key.variable)) {
                Some(key) => {
                    let reason = format!("files of format {} do not have it", format.value);
                    Err(contract.wrong(key.line, &key.variable.to_lowercase(), reason))
                }
                None => Ok(()),
            }
        }
    }
}

/// A variable that is given says the same as the contract, or something that the contract does not speak of.
fn check_given(contract: &Contract, name: &str, value: &str) -> Result<(), ContractError> {
    let contradicted = |line, key: &str, told: &str| {
        let reason = format!("it is {told}, and {name}='{value}' says something else");
        Err(ContractError { hint: CONTRADICTED, ..contract.wrong(line, key, reason) })
    };
    let Policies { type_changes, lines: [.., of_types], .. } = contract.policies;
    match name {
        "SCHEMA" => {
            // The variable was read before.
            for given in typed_columns(value).unwrap_or_default() {
                let is_meant = |column: &&ContractColumn| column.name == given.name || column.source == given.name;
                let typed = ContractType::Text(given.column_type, given.date_format);
                match contract.columns.iter().find(is_meant) {
                    None => return contradicted(1, "[[columns]]", &format!("without a column '{}'", given.name)),
                    Some(column) if !is_same(&column.column_type, &typed) => {
                        return contradicted(column.line, &column.name, &column.column_type.to_string());
                    }
                    Some(_) => {}
                }
            }
            Ok(())
        }
        "INFER" if value == "none" => Ok(()),
        "INFER" => {
            contradicted(contract.columns.first().map_or(1, |first| first.line), "[[columns]]", "what says the types")
        }
        "BAD_RECORDS" if value == type_changes.word() => Ok(()),
        "BAD_RECORDS" => contradicted(of_types, "type_changes", type_changes.word()),
        _ => match contract.get(name) {
            Some(key)
                if value != "auto"
                    && alone(name, value).ok().map(without_given)
                        != alone(name, &key.value).ok().map(without_given) =>
            {
                contradicted(key.line, &name.to_lowercase(), &format!("'{}'", key.value))
            }
            _ => Ok(()),
        },
    }
}

/// Whether a type is the same, or leaves the format of dates to the contract.
fn is_same(told: &ContractType, given: &ContractType) -> bool {
    match (told, given) {
        (ContractType::Text(told, _), ContractType::Text(given, None)) => told == given,
        _ => told == given,
    }
}

fn without_given(read: ReadSettings) -> ReadSettings {
    ReadSettings { given: Vec::new(), ..read }
}

/// The policies are ones that files of this kind can have.
fn check_policies(contract: &Contract, read: &ReadSettings) -> Result<(), ContractError> {
    let Policies { match_by, new_columns, type_changes, lines: [of_match, of_new, _, of_types], .. } =
        contract.policies;
    let format = read.format;
    if match_by == Match::Position && format != FormatChoice::Csv {
        return Err(contract.wrong(
            of_match,
            "match",
            "only the columns of CSV files have places: it must be \"name\"",
        ));
    }
    if match_by == Match::Name && format == FormatChoice::Csv && read.csv.header == Setting::Explicit(0) {
        let reason = "files without a header have no names: with csv_header = 0 it must be \"position\"";
        return Err(contract.wrong(of_match, "match", reason));
    }
    if format != FormatChoice::Csv {
        check_sources(contract)?;
    }
    if format != FormatChoice::Parquet {
        return Ok(());
    }
    if matches!(new_columns, NewColumns::Ignore | NewColumns::Rescue) {
        let hint = "leave columns out with SQL, as --sql \"SELECT a, b FROM source\", and say new_columns = \"add\"";
        let reason = "columns of Parquet files are copied as they are: it must be \"add\" or \"fail\"";
        return Err(ContractError { hint, ..contract.wrong(of_new, "new_columns", reason) });
    }
    if type_changes == TypeChanges::Quarantine {
        let reason = "columns of Parquet files have one type each: it must be \"fail\"";
        return Err(contract.wrong(of_types, "type_changes", reason));
    }
    Ok(())
}

/// No two columns are of one key; in the header of a CSV a name may come twice.
fn check_sources(contract: &Contract) -> Result<(), ContractError> {
    let mut known = HashMap::new();
    for ContractColumn { source, line, .. } in &contract.columns {
        if let Some(first) = known.insert(source.as_str(), *line) {
            let reason = format!("the column of line {first} is read from '{source}' too");
            return Err(contract.wrong(*line, "source", reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    /// The settings under a contract of one column, with these lines in `[read]` and after it, and variables that are given.
    fn under(read: &str, policy: &str, given: &[(&str, &str)]) -> Result<Settings, String> {
        let text = format!(
            "version = 1\n[read]\n{read}\n[policy]\n{policy}\n[[columns]]\nname = \"id\"\nsource = \"Id\"\ntype = \"int64\"\n"
        );
        let contract = Contract::parse(text.as_bytes(), &"s3://b/c.toml".parse().unwrap()).unwrap();
        let lookup = |name: &str| given.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
        Settings::from_lookup(lookup).unwrap().under(contract).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_contract_cannot_say_is_named() {
        for (read, policy, expected) in [
            ("", "", "line 1, [read]: it does not have format = \"csv\", \"ndjson\" or \"parquet\""),
            ("format = \"auto\"", "", "line 3, format: 'auto' cannot be used: it must be csv, ndjson or parquet"),
            (
                "format = \"csv\"\nchunk_size_mb = 3",
                "",
                "line 4, chunk_size_mb: [read] has no such key, it has format, compression, encoding, csv_delimiter, csv_quote, csv_escape, csv_comment, csv_terminator, csv_header, csv_skip_lines, csv_footer, csv_decimal, null_words, column_names, max_record_mb",
            ),
            (
                "format = \"csv\"\ncsv_delimiter = \"::\"",
                "",
                "line 4, csv_delimiter: '::' cannot be used: it must be one ASCII character, 'tab', or a byte such as 0x1f, or 'auto'",
            ),
            (
                "format = \"csv\"\ncsv_comment = \",\"",
                "",
                "line 4, csv_comment: ',' cannot be used: it must be another character than that of CSV_DELIMITER",
            ),
            ("format = \"csv\"\nencoding = \"\"", "", "line 4, encoding: it is empty"),
            ("format = \"ndjson\"\ncsv_header = 1", "", "line 4, csv_header: files of format ndjson do not have it"),
            (
                "format = \"parquet\"\nencoding = \"utf-8\"",
                "",
                "line 4, encoding: files of format parquet do not have it",
            ),
            (
                "format = \"ndjson\"",
                "match = \"position\"",
                "line 5, match: only the columns of CSV files have places: it must be \"name\"",
            ),
            (
                "format = \"csv\"\ncsv_header = 0",
                "",
                "line 5, match: files without a header have no names: with csv_header = 0 it must be \"position\"",
            ),
            (
                "format = \"parquet\"",
                "new_columns = \"rescue\"",
                "line 5, new_columns: columns of Parquet files are copied as they are: it must be \"add\" or \"fail\"",
            ),
            (
                "format = \"parquet\"",
                "type_changes = \"quarantine\"",
                "line 5, type_changes: columns of Parquet files have one type each: it must be \"fail\"",
            ),
        ] {
            let expected = format!("the contract cannot be used: s3://b/c.toml, {expected}");
            assert_eq!(under(read, policy, &[]).unwrap_err(), expected, "{read} {policy}");
        }
    }

    #[test]
    fn what_contradicts_a_contract_is_named() {
        let csv = "format = \"csv\"\ncsv_delimiter = \"\\t\"\nnull_words = [\"-\"]";
        for (name, value, expected) in [
            ("CSV_DELIMITER", "tab", None),
            ("CSV_DELIMITER", "auto", None),
            ("CSV_QUOTE", "'", None),
            (
                "CSV_DELIMITER",
                ";",
                Some("line 4, csv_delimiter: it is '\t', and CSV_DELIMITER=';' says something else"),
            ),
            ("FORMAT", "ndjson", Some("line 3, format: it is 'csv', and FORMAT='ndjson' says something else")),
            ("NULL_WORDS", "NA", Some("line 5, null_words: it is '-', and NULL_WORDS='NA' says something else")),
            ("SCHEMA", "id:int64", None),
            ("SCHEMA", "Id:int64", None),
            ("SCHEMA", "id:text", Some("line 9, id: it is int64, and SCHEMA='id:text' says something else")),
            (
                "SCHEMA",
                "ID:int64",
                Some("line 1, [[columns]]: it is without a column 'ID', and SCHEMA='ID:int64' says something else"),
            ),
            ("INFER", "none", None),
            (
                "INFER",
                "full",
                Some("line 9, [[columns]]: it is what says the types, and INFER='full' says something else"),
            ),
            ("BAD_RECORDS", "quarantine", None),
            (
                "BAD_RECORDS",
                "null",
                Some("line 6, type_changes: it is quarantine, and BAD_RECORDS='null' says something else"),
            ),
            ("CHUNK_SIZE_MB", "7", None),
        ] {
            let found = under(csv, "", &[(name, value)]).err();
            let expected = expected.map(|expected| format!("the contract cannot be used: s3://b/c.toml, {expected}"));
            assert_eq!(found, expected, "{name}={value}");
        }
    }

    #[test]
    fn a_contract_leaves_nothing_to_be_detected() {
        let read = under(
            "format = \"csv\"\nmax_record_mb = 3",
            "type_changes = \"fail\"",
            &[("CSV_QUOTE", "'"), ("CHUNK_SIZE_MB", "7")],
        )
        .unwrap()
        .read;
        assert_eq!((read.format, read.infer, read.bad_records), (FormatChoice::Csv, Infer::None, BadRecords::Fail));
        assert_eq!((read.chunk_bytes, read.max_record_bytes), (7 << 20, 3 << 20));
        assert_eq!((read.compression.is_some(), read.encoding.is_some()), (true, true));
        let csv = read.csv;
        assert_eq!(
            (csv.delimiter.explicit(), csv.quote.explicit(), csv.header.explicit()),
            (Some(','), Some(Some('\'')), Some(1))
        );
        assert_eq!((csv.skip_lines.explicit(), csv.decimal.explicit()), (Some(0), Some('.')));
    }
}
