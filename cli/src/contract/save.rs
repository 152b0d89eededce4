//! A contract that is written of a plan.

use std::sync::Arc;

use shared::{
    Column, Compression, Contract, ContractColumn, ContractType, CsvPolicy, CsvSettings, Format, Location, Match,
    MissingColumns, NdjsonPolicy, NewColumns, Notes, Policies, PutMode, RESCUED, ReadKey, Settings, StorageError,
    TypeChanges, as_setting,
};
use splitter::{Evidence, Examination, Layout, Plan, SplitContext};

use crate::error::{CliError, Done};
use crate::numbers::grouped;

/// Writes how a source is read to `at`, once it is known that the source is read the same way by it.
pub(crate) async fn save(context: &SplitContext, plan: &Plan, at: &Location, overwrite: bool) -> Done {
    let contract = contract(plan, &context.settings, at);
    if contract.columns.is_empty() {
        return Err(CliError::NotSaved { at: at.clone(), reason: "the source has no columns".to_owned() });
    }
    check(context, plan, contract.clone()).await?;
    let text = contract.text(&notes(plan, &contract));
    let mode = if overwrite { PutMode::Overwrite } else { PutMode::IfAbsent };
    context.storage.put(at, text.into(), mode).await.map_err(|error| match error {
        StorageError::AlreadyExists { .. } => CliError::ContractExists { at: at.clone() },
        error => CliError::ContractWrite(error),
    })
}

/// Reads the source by the contract, and compares.
async fn check(context: &SplitContext, plan: &Plan, contract: Contract) -> Done {
    let at = contract.at.clone();
    let mut settings = context.settings.clone();
    (settings.read.given, settings.read.contract) = (Vec::new(), None);
    let settings = settings.under(contract).map_err(|error| CliError::Split(error.into()))?;
    let under = SplitContext { settings, progress: Arc::default(), ..context.clone() };
    let found = splitter::examine(&under, &plan.examination.source.uri).await.map_err(CliError::Split)?;
    match difference(&plan.examination, &found) {
        Some(what) => Err(CliError::NotSaved { at, reason: format!("under it, {what} would be read otherwise") }),
        None => Ok(()),
    }
}

/// What two readings of a source have in another way.
fn difference(one: &Examination, other: &Examination) -> Option<&'static str> {
    let columns = |columns: &[Column]| -> Vec<_> {
        let known = columns.iter().enumerate().filter(|(_, column)| column.source_name != RESCUED);
        let said = known.map(|(place, column)| {
            // Where no word was taken for null, it does not matter whether one could be.
            let has_words = one.evidence.get(place).is_none_or(Evidence::has_null_words);
            (column.name.clone(), column.column_type, column.date_format, has_words && column.null_words)
        });
        said.collect()
    };
    if one.policy.text != other.policy.text {
        return Some("compression or encoding");
    }
    match (&one.policy.format, &other.policy.format) {
        (Format::Csv(one), Format::Csv(other)) if one.dialect != other.dialect => Some("the dialect"),
        (Format::Csv(one), Format::Csv(other)) if one.data_start != other.data_start => {
            Some("the start of the records")
        }
        (Format::Csv(one), Format::Csv(other)) if one.footer_start != other.footer_start => Some("the footer"),
        (
            Format::Csv(CsvPolicy { columns: one, null_words: words, .. }),
            Format::Csv(CsvPolicy { columns: other, null_words: others, .. }),
        )
        | (
            Format::Ndjson(NdjsonPolicy { columns: one, null_words: words, .. }),
            Format::Ndjson(NdjsonPolicy { columns: other, null_words: others, .. }),
        ) => (columns(one) != columns(other) || words != others).then_some("a column"),
        (Format::Parquet { column_names: one, .. }, Format::Parquet { column_names: other, .. }) => {
            (one != other).then_some("a column")
        }
        _ => Some("the format"),
    }
}

fn contract(plan: &Plan, settings: &Settings, at: &Location) -> Contract {
    let before = settings.read.contract.as_deref();
    let policies = before.map_or_else(|| policies(plan), |contract| contract.policies);
    let mut columns = match &plan.examination.policy.format {
        Format::Csv(csv) => text_columns(&csv.columns),
        Format::Ndjson(json) => text_columns(&json.columns),
        Format::Parquet { .. } => {
            let column = |column: &splitter::ParquetColumn| ContractColumn {
                name: column.name.clone(),
                source: column.source_name.clone(),
                column_type: ContractType::Parquet(column.data_type.clone()),
                line: 0,
            };
            plan.parquet_columns.iter().map(column).collect()
        }
    };
    if policies.new_columns == NewColumns::Rescue {
        columns.retain(|column| column.name != RESCUED);
    }
    let expect = before.map(|contract| contract.expect.clone()).unwrap_or_default();
    Contract { at: at.clone(), read: read(plan, settings), policies, columns, expect }
}

fn text_columns(columns: &[Column]) -> Vec<ContractColumn> {
    let column = |column: &Column| ContractColumn {
        name: column.name.clone(),
        source: column.source_name.trim().to_owned(),
        column_type: ContractType::Text(
            column.column_type,
            Some(column.date_format).filter(|_| column.column_type.has_dates()),
        ),
        line: 0,
    };
    columns.iter().map(column).collect()
}

/// Strict ones, but for keys of JSON, which come and go by nature.
fn policies(plan: &Plan) -> Policies {
    let format = &plan.examination.policy.format;
    let has_header = plan.examination.layout.is_none_or(|layout| layout.header_rows > 0);
    Policies {
        match_by: if has_header { Match::Name } else { Match::Position },
        new_columns: NewColumns::Fail,
        missing_columns: match format {
            Format::Ndjson(_) => MissingColumns::Null,
            Format::Csv(_) | Format::Parquet { .. } => MissingColumns::Fail,
        },
        type_changes: match format {
            Format::Parquet { .. } => TypeChanges::Fail,
            Format::Csv(_) | Format::Ndjson(_) => TypeChanges::Quarantine,
        },
        lines: [0; 4],
    }
}

/// The keys of `[read]`.
fn read(plan: &Plan, settings: &Settings) -> Vec<ReadKey> {
    let policy = &plan.examination.policy;
    let mut read: Vec<(&str, String)> = Vec::new();
    let format = match &policy.format {
        Format::Csv(_) => "csv",
        Format::Ndjson(_) => "ndjson",
        Format::Parquet { .. } => "parquet",
    };
    read.push(("FORMAT", format.to_owned()));
    if format != "parquet" {
        read.push(("COMPRESSION", compression(policy.text.compression)));
        read.push(("ENCODING", policy.text.encoding.name().to_owned()));
    }
    if let (Format::Csv(csv), Some(layout)) = (&policy.format, plan.examination.layout) {
        read.extend(dialect(csv, layout, &settings.read.csv));
        let footer = plan.examination.examined.footer_lines;
        read.extend((footer > 0).then(|| ("CSV_FOOTER", footer.to_string())));
    }
    if let Some(words) = settings.read.null_words.as_ref().filter(|_| format != "parquet") {
        read.push(("NULL_WORDS", if words.is_empty() { ",".to_owned() } else { words.join(",") }));
    }
    let given =
        |name: &str| settings.read.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone());
    let of_contract = |name: &str| Some(settings.read.contract.as_ref()?.get(name)?.value.clone());
    for name in ["COLUMN_NAMES", "MAX_RECORD_MB"] {
        let is_of_format = name == "COLUMN_NAMES" || format != "parquet";
        if let Some(value) = of_contract(name).or_else(|| given(name)).filter(|_| is_of_format) {
            read.push((name, value));
        }
    }
    read.into_iter().map(|(variable, value)| ReadKey { variable: variable.to_owned(), value, line: 0 }).collect()
}

fn dialect(csv: &CsvPolicy, layout: Layout, told: &CsvSettings) -> Vec<(&'static str, String)> {
    let dialect = &csv.dialect;
    let or_none = |mark: Option<char>| mark.map_or_else(|| "none".to_owned(), as_setting);
    let skipped = told.skip_lines.explicit().unwrap_or_default() + layout.preamble_lines;
    let mut keys = vec![
        ("CSV_DELIMITER", as_setting(dialect.delimiter)),
        ("CSV_QUOTE", or_none(dialect.quote)),
        ("CSV_ESCAPE", or_none(dialect.escape)),
        ("CSV_COMMENT", or_none(dialect.comment)),
    ];
    keys.extend(dialect.terminator.map(|terminator| ("CSV_TERMINATOR", as_setting(terminator))));
    keys.extend([
        ("CSV_HEADER", layout.header_rows.to_string()),
        ("CSV_SKIP_LINES", skipped.to_string()),
        ("CSV_DECIMAL", as_setting(dialect.decimal)),
    ]);
    keys
}

fn compression(compression: Compression) -> String {
    format!("{compression:?}").to_lowercase()
}

/// What the comments say.
fn notes(plan: &Plan, contract: &Contract) -> Notes {
    let found = &plan.examination;
    let head = vec![
        "The contract of a feed: `sluice ingest SOURCE --contract FILE` reads its files by this, and detects nothing."
            .to_owned(),
        format!("Written by `sluice plan {} --save`; docs/contracts.md explains every key.", found.source.uri),
        String::new(),
    ];
    let mut read = Vec::new();
    if let Some(layout) = found.layout {
        read.push(("CSV_HEADER", "rows of the header".to_owned()));
        read.push(("CSV_SKIP_LINES", "lines before the header".to_owned()));
        read.push(("CSV_FOOTER", "lines at the end; a file that ends with a record is refused".to_owned()));
        if contract.get("CSV_DELIMITER").is_some() {
            read.push(("CSV_DELIMITER", format!("confidence {:.2}", layout.confidence)));
        }
    }
    let mut read_more = Vec::new();
    if contract.get("NULL_WORDS").is_none() && !contract.is_of_parquet() {
        let words = match &found.policy.format {
            Format::Csv(csv) => csv.null_words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        if !words.is_empty() {
            read_more.push(format!(
                "These mean null in columns that are not text. As a key, null_words holds in text, too: {words}"
            ));
        }
    }
    let columns = found.evidence.iter().map(seen).collect();
    Notes { head, read, read_more, columns }
}

/// What was seen of a column.
fn seen(evidence: &Evidence) -> String {
    let Some(example) = evidence.example() else { return String::new() };
    let nulls = match evidence.nulls() {
        0 => String::new(),
        nulls => format!(", {} null", grouped(nulls)),
    };
    format!("as {example}{nulls}")
}
