//! Columns that are new to a table with column mapping: each gets a number, and a name in data files.

use std::collections::HashSet;

use buoyant_kernel::schema::MetadataValue;
use deltalake::kernel::{ArrayType, DataType, MapType, StructField, StructType};
use deltalake::table::state::DeltaTableState;
use sha2::{Digest, Sha256};

use crate::schema::features::each_field;

/// Where a column says what it is called in data files.
pub(super) const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";

/// Where a column says its number.
pub(crate) const ID: &str = "delta.columnMapping.id";

/// The setting with the highest number that a column of the table ever had.
pub(crate) const LAST_ID: &str = "delta.columnMapping.maxColumnId";

/// The numbers that the columns of a table have.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// What tells the table from others.
    table: String,
    /// The highest that was given.
    last: i64,
}

impl Numbers {
    pub(super) fn of(state: &DeltaTableState) -> Self {
        let settings = state.metadata().configuration();
        let said = settings.get(LAST_ID).and_then(|last| last.parse().ok()).unwrap_or_default();
        let last = highest(state.schema().fields()).max(said);
        Self { table: state.metadata().id().to_owned(), last }
    }

    /// Whether a field that the table lacks has a number that one of its columns has, or had.
    pub(super) fn are_taken(&self, of_table: &[StructField], written: &[StructField]) -> bool {
        let (mut there, mut is_taken) = (HashSet::new(), false);
        each_of(of_table, &mut |path, _| {
            there.insert(path.to_vec());
        });
        each_of(written, &mut |path, field| {
            is_taken |= !there.contains(path) && number(field).is_none_or(|number| number <= self.last);
        });
        is_taken
    }

    /// Gives each field that has none, at any depth, a number and a name in data files. They follow from table, number and path alone, so
    /// that all who add the same columns at the same time write files that fit each other.
    pub(super) fn give(mut self, fields: &mut [StructField]) -> Result<(), String> {
        fields.iter_mut().try_for_each(|field| self.give_one(field, &[]))
    }

    fn give_one(&mut self, field: &mut StructField, path: &[&str]) -> Result<(), String> {
        let name = field.name.clone();
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        if !field.metadata.contains_key(PHYSICAL_NAME) {
            self.last += 1;
            let name = self.physical_name(&path);
            field.metadata.insert(ID.to_owned(), MetadataValue::Number(self.last));
            field.metadata.insert(PHYSICAL_NAME.to_owned(), MetadataValue::String(name));
        }
        field.data_type = self.give_within(&field.data_type, &path)?;
        Ok(())
    }

    fn give_within(&mut self, data_type: &DataType, path: &[&str]) -> Result<DataType, String> {
        let below = |step| path.iter().copied().chain([step]).collect::<Vec<_>>();
        Ok(match data_type {
            DataType::Struct(within) => {
                let mut fields: Vec<StructField> = within.fields().cloned().collect();
                fields.iter_mut().try_for_each(|field| self.give_one(field, path))?;
                StructType::try_new(fields).map_err(|error| shared::error_chain(&error))?.into()
            }
            DataType::Array(array) => {
                let element = self.give_within(array.element_type(), &below("element"))?;
                ArrayType::new(element, array.contains_null()).into()
            }
            DataType::Map(map) => {
                let key = self.give_within(map.key_type(), &below("key"))?;
                let value = self.give_within(map.value_type(), &below("value"))?;
                MapType::new(key, value, map.value_contains_null()).into()
            }
            other => other.clone(),
        })
    }

    fn physical_name(&self, path: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in [self.table.as_str(), &self.last.to_string()].iter().chain(path) {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let bytes = digest.finalize().iter().copied().take(16).collect::<Vec<_>>().try_into().unwrap_or_default();
        format!("col-{}", uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// The highest number that fields have, at any depth; 0 where none has one.
pub(crate) fn highest<'a>(fields: impl Iterator<Item = &'a StructField>) -> i64 {
    let (mut highest, fields) = (0, fields.cloned().collect::<Vec<_>>());
    each_of(&fields, &mut |_, field| highest = highest.max(number(field).unwrap_or_default()));
    highest
}

fn each_of(fields: &[StructField], call: &mut impl FnMut(&[String], &StructField)) {
    if let Ok(all) = StructType::try_new(fields.iter().cloned()) {
        each_field(&all, call);
    }
}

/// The number of a field.
pub(super) fn number(field: &StructField) -> Option<i64> {
    match field.metadata().get(ID) {
        Some(MetadataValue::Number(number)) => Some(*number),
        _ => None,
    }
}

/// Whether two fields are one for data files: of one number and one name there, or both without.
pub(super) fn are_one(one: &StructField, other: &StructField) -> bool {
    [ID, PHYSICAL_NAME].iter().all(|key| one.metadata().get(*key) == other.metadata().get(*key))
}
