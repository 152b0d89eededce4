//! Structs of a table that get fields, as the table gets columns: those that rows have and it lacks, all of which may be null.

use std::collections::HashSet;

use arrow::datatypes::{DataType, FieldRef};
use deltalake::kernel::{ArrayType, DataType as DeltaType, MapType, StructField, StructType};

use super::names::Names;
use super::numbers::are_one;
use super::types::{inner, new_field};

/// A type of the table with the fields that values of `rows` have beyond its own, at any depth. Where the two are not of one
/// kind, it stays as it is.
pub(super) fn with_fields_of(there: &DeltaType, rows: &DataType) -> Result<DeltaType, String> {
    match (there, rows) {
        (_, DataType::Dictionary(_, values)) => with_fields_of(there, values),
        (DeltaType::Struct(fields), DataType::Struct(rows)) => {
            let mut fields: Vec<StructField> = fields.fields().cloned().collect();
            let (mut names, mut met) = (Names::of(&fields), HashSet::new());
            for field in rows {
                let place = names.find(field.name());
                if let Some(other) = place.filter(|place| met.contains(place)).and_then(|place| fields.get(place)) {
                    return Err(format!("has two fields of the name '{}'", other.name()));
                }
                met.insert(place.unwrap_or(fields.len()));
                if let Some(there) = place.and_then(|place| fields.get_mut(place)) {
                    there.data_type = with_fields_of(&there.data_type, field.data_type())?;
                } else {
                    names.add(field.name(), fields.len());
                    fields.push(new_in_struct(field)?);
                }
            }
            of_fields(fields)
        }
        (DeltaType::Array(array), rows) if inner(rows).is_some() => {
            let element = inner(rows).map(|rows| with_fields_of(array.element_type(), rows)).transpose()?;
            let element = element.unwrap_or_else(|| array.element_type().clone());
            Ok(ArrayType::new(element, array.contains_null()).into())
        }
        (DeltaType::Map(map), DataType::Map(entries, _)) => {
            let value = match entries.data_type() {
                DataType::Struct(pair) => pair.get(1).map(|value| with_fields_of(map.value_type(), value.data_type())),
                _ => None,
            };
            let value = value.transpose()?.unwrap_or_else(|| map.value_type().clone());
            Ok(MapType::new(map.key_type().clone(), value, map.value_contains_null()).into())
        }
        _ => Ok(there.clone()),
    }
}

/// A type with the fields of two that differ in fields alone; none where they differ otherwise, or where files of the second would
/// lack a field that must not be null.
pub(crate) fn both(there: &DeltaType, written: &DeltaType) -> Option<DeltaType> {
    match (there, written) {
        (DeltaType::Struct(one), DeltaType::Struct(other)) => {
            let mut fields: Vec<StructField> = one.fields().cloned().collect();
            let lacks = |field: &StructField| other.field(field.name()).is_none() && !field.is_nullable();
            if fields.iter().any(lacks) {
                return None;
            }
            let mut names = Names::of(&fields);
            for field in other.fields() {
                match names.find(field.name()).and_then(|place| fields.get_mut(place)) {
                    Some(there)
                        if there.name() != field.name()
                            || (field.is_nullable() && !there.is_nullable())
                            || !are_one(there, field) =>
                    {
                        return None;
                    }
                    Some(there) => there.data_type = both(&there.data_type, &field.data_type)?,
                    None => {
                        names.add(field.name(), fields.len());
                        fields.push(field.clone());
                    }
                }
            }
            of_fields(fields).ok()
        }
        (DeltaType::Array(one), DeltaType::Array(other)) if one.contains_null() || !other.contains_null() => {
            Some(ArrayType::new(both(one.element_type(), other.element_type())?, one.contains_null()).into())
        }
        (DeltaType::Map(one), DeltaType::Map(other))
            if one.key_type() == other.key_type() && (one.value_contains_null() || !other.value_contains_null()) =>
        {
            let value = both(one.value_type(), other.value_type())?;
            Some(MapType::new(one.key_type().clone(), value, one.value_contains_null()).into())
        }
        _ => (there == written).then(|| there.clone()),
    }
}

fn of_fields(fields: Vec<StructField>) -> Result<DeltaType, String> {
    StructType::try_new(fields).map(DeltaType::from).map_err(|error| shared::error_chain(&error))
}

fn new_in_struct(field: &FieldRef) -> Result<StructField, String> {
    new_field(field).map_err(|reason| format!("has a new field: {reason}"))
}
