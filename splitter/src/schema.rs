//! The types of a source's columns: as `SCHEMA` declares them, as the target table has them, or as the values are.

pub(crate) mod column_names;
pub(crate) mod infer;
pub(crate) mod table_schema;

use std::collections::{HashMap, HashSet};

use shared::{Column, Location, Settings, TypeOrigin, TypedColumn};

use crate::error::{BadInput, SplitError};
use crate::schema::infer::Evidence;

/// Gives every column its type. What `SCHEMA` declares comes first, then the table, then the evidence.
pub(crate) fn settle(
    at: &Location,
    columns: &mut [Column],
    evidence: &[Evidence],
    settings: &Settings,
    table: &[TypedColumn],
) -> Result<(), SplitError> {
    let known: HashSet<&str> =
        columns.iter().flat_map(|column| [column.source_name.as_str(), column.name.as_str()]).collect();
    for declared in &settings.read.schema {
        if !known.contains(declared.name.as_str()) {
            return Err(unknown(at, declared, columns).into());
        }
    }
    // Upper and lower case are the same to Delta.
    let of_table: HashMap<String, &TypedColumn> =
        table.iter().rev().map(|told| (told.name.to_lowercase(), told)).collect();
    for (column, evidence) in columns.iter_mut().zip(evidence) {
        let declared = settings.read.schema.iter().find(|declared| names(declared, column));
        let declared = declared.map(|declared| (declared, TypeOrigin::Declared));
        let told = declared.or_else(|| Some((*of_table.get(&column.name.to_lowercase())?, TypeOrigin::Table)));
        evidence.settle(column, told, settings.read.null_words.is_some()).map_err(|reason| {
            let hint = "declare which it is, as SCHEMA=day:date(DD/MM/YYYY), and run with --again if the job is known";
            BadInput { column: Some(column.name.clone()), ..BadInput::whole(at, reason, hint) }
        })?;
    }
    Ok(())
}

/// The error for a declaration of no column.
pub(crate) fn unknown(at: &Location, declared: &TypedColumn, columns: &[Column]) -> BadInput {
    let known: Vec<&str> = columns.iter().map(|column| column.source_name.as_str()).collect();
    let reason = format!("SCHEMA has a column '{}', the source has {}", declared.name, known.join(", "));
    let hint = "name columns in SCHEMA as the source or the table does; letters of either case are not the same";
    BadInput::whole(at, reason, hint)
}

/// Whether a declaration is of a column.
pub(crate) fn names(declared: &TypedColumn, column: &Column) -> bool {
    declared.name == column.source_name || declared.name == column.name
}
