//! How records are read the next time: as the last time, but for what is to change.

use shared::{
    Column, ColumnNames, ColumnType, CsvPolicy, Dialect, Format, Location, NdjsonPolicy, OtherKeys, Policy, TextPolicy,
    TypeOrigin, TypedColumn,
};

use super::changes::Changes;
use crate::chunk::encode::ENCODER;
use crate::error::{BadInput, SplitError};
use crate::schema::column_names::column_names;
use crate::schema::{names, unknown};
use crate::value::NULL_WORDS;

/// The policy of a replay of records that were rejected by `policy` and lie at `at`; `table` has the names of the table's columns.
pub(super) fn changed(
    at: &Location,
    policy: &Policy,
    changes: &Changes,
    table: &[String],
) -> Result<Policy, SplitError> {
    let format = match &policy.format {
        Format::Csv(csv) => Format::Csv(changed_csv(at, csv, changes)?),
        Format::Ndjson(json) => Format::Ndjson(changed_ndjson(json, changes, table)),
        Format::Parquet { .. } => policy.format.clone(),
    };
    Ok(Policy {
        encoder: ENCODER,
        bad_records: changes.bad_records.unwrap_or(policy.bad_records),
        max_record_bytes: changes.max_record_bytes.unwrap_or(policy.max_record_bytes),
        // Rejected records are kept as text in UTF-8.
        text: TextPolicy::default(),
        format,
        ..policy.clone()
    })
}

fn changed_csv(at: &Location, csv: &CsvPolicy, changes: &Changes) -> Result<CsvPolicy, SplitError> {
    let mut columns = csv.columns.clone();
    if let Some(declared) = changes.schema.iter().find(|one| !columns.iter().any(|column| names(one, column))) {
        return Err(unknown(at, declared, &columns).into());
    }
    let null_words_set = csv.null_words != NULL_WORDS || hold_in_text(&columns);
    retype(&mut columns, changes, null_words_set);
    let null_words = changes.null_words.clone().unwrap_or_else(|| csv.null_words.clone());
    let (dialect, fields) = (changed_dialect(at, &csv.dialect, changes)?, csv.fields.clone());
    Ok(CsvPolicy { dialect, data_start: 0, columns, null_words, fields, footer_start: None })
}

fn changed_dialect(at: &Location, dialect: &Dialect, changes: &Changes) -> Result<Dialect, SplitError> {
    let settings = &changes.csv;
    let dialect = Dialect {
        delimiter: settings.delimiter.explicit().unwrap_or(dialect.delimiter),
        quote: settings.quote.explicit().unwrap_or(dialect.quote),
        escape: settings.escape.explicit().unwrap_or(dialect.escape),
        decimal: settings.decimal.explicit().unwrap_or(dialect.decimal),
        ..dialect.clone()
    };
    let Dialect { delimiter, quote, escape, comment, terminator, .. } = dialect;
    let mut meanings: Vec<char> = [Some(delimiter), quote, escape, comment, terminator].into_iter().flatten().collect();
    meanings.sort_unstable();
    let before = meanings.len();
    meanings.dedup();
    if meanings.len() < before {
        let reason = "a character would have two meanings in the dialect of these records";
        return Err(BadInput::whole(at, reason, "delimiter, quote, escape, comment and terminator must differ").into());
    }
    Ok(dialect)
}

/// Keys that were no columns become columns once they are declared.
fn changed_ndjson(json: &NdjsonPolicy, changes: &Changes, table: &[String]) -> NdjsonPolicy {
    let mut columns = json.columns.clone();
    for declared in &changes.schema {
        if !columns.iter().any(|column| names(declared, column)) {
            let taken: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let all: Vec<&str> = taken.iter().map(String::as_str).chain([declared.name.as_str()]).collect();
            // As the table has it, or kept as it is declared, but for what Delta refuses; the others have their names already.
            let name =
                column_names(&all, ColumnNames::Keep, &[taken.as_slice(), table].concat()).pop().unwrap_or_default();
            // The column that other keys are collected in stays the last.
            let rescues = usize::from(json.other_keys == OtherKeys::Rescue && !columns.is_empty());
            columns.insert(columns.len() - rescues, Column::of_text(declared.name.clone(), name));
        }
    }
    let null_words_set = !json.null_words.is_empty();
    retype(&mut columns, changes, null_words_set);
    let null_words = changes.null_words.clone().unwrap_or_else(|| json.null_words.clone());
    NdjsonPolicy { data_start: 0, columns, null_words, other_keys: json.other_keys }
}

/// Whether null words were set: only then do they hold in text.
fn hold_in_text(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.column_type == ColumnType::Utf8 && column.null_words)
}

/// Gives columns the types that are declared. A date is written as it was in its column unless that is declared, too.
fn retype(columns: &mut [Column], changes: &Changes, null_words_set: bool) {
    for column in columns {
        let declared: Option<&TypedColumn> = changes.schema.iter().find(|declared| names(declared, column));
        if let Some(declared) = declared {
            column.column_type = declared.column_type;
            column.date_format = declared.date_format.unwrap_or(column.date_format);
            column.origin = TypeOrigin::Declared;
            column.null_words = null_words_set || declared.column_type != ColumnType::Utf8;
        }
        column.null_words |= changes.null_words.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_columns_once_they_are_declared() {
        let of_text = |key: &str, name: &str| Column::of_text(key.to_owned(), name.to_owned());
        let json = NdjsonPolicy {
            data_start: 3,
            columns: vec![of_text("Id", "id")],
            null_words: Vec::new(),
            other_keys: OtherKeys::default(),
        };
        for (schema, expected) in [
            (&[][..], "id text Inferred true"),
            (&["Id:int64"], "id int64 Declared true"),
            (&["id:text"], "id text Declared false"),
            (&["late:date(DD.MM.YYYY)"], "id text Inferred true, late date Declared true"),
            (&["ID:int64", "a b:text"], "id text Inferred true, ID_2 int64 Declared true, a_b text Declared false"),
            (&["Order ID:int64"], "id text Inferred true, Order ID int64 Declared true"),
        ] {
            let schema = schema.iter().map(|column| column.parse().unwrap()).collect();
            let changed = changed_ndjson(&json, &Changes { schema, ..Changes::default() }, &["Order ID".to_owned()]);
            let show = |column: &Column| {
                format!("{} {} {:?} {}", column.name, column.column_type, column.origin, column.null_words)
            };
            let shown: Vec<String> = changed.columns.iter().map(show).collect();
            assert_eq!((shown.join(", ").as_str(), changed.data_start), (expected, 0));
        }
    }
}
