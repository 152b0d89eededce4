//! Columns of data files, where a table gives its columns other names there: column mapping, by name or by id.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use buoyant_kernel::table_features::ColumnMappingMode;
use deltalake::DeltaTableError;
use deltalake::kernel::{DataType as DeltaType, StructField, StructType};
use deltalake::table::state::DeltaTableState;

use super::types::{arrow_schema, inner};
use crate::schema::features::{each_field, maps_columns};

/// Where a column says what it is called in data files.
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";

/// The columns of data files, in the order of those of the table.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) fields: Vec<StructField>,
    pub(super) partition_by: Vec<String>,
    pub(super) arrow: SchemaRef,
}

impl Mapping {
    /// The mapping of a table; none where files have the names of the table.
    pub(super) fn of(state: &DeltaTableState, partition_by: &[String]) -> Result<Option<Self>, DeltaTableError> {
        if !maps_columns(state) {
            return Ok(None);
        }
        let fields: Vec<StructField> = state.schema().fields().cloned().collect();
        Self::of_fields(&fields, partition_by).map(Some)
    }

    /// The mapping that columns of a table say.
    pub(super) fn of_fields(columns: &[StructField], partition_by: &[String]) -> Result<Self, DeltaTableError> {
        // Files are written in the same way for both modes: with names and with ids.
        let physical = |field: &StructField| field.make_physical(ColumnMappingMode::Name);
        let fields: Vec<StructField> = columns.iter().map(physical).collect::<Result<_, _>>()?;
        let name = |name: &String| {
            let place = columns.iter().position(|field| field.name() == name);
            place.and_then(|place| fields.get(place)).map_or_else(|| name.clone(), |field| field.name().clone())
        };
        let partition_by = partition_by.iter().map(name).collect();
        Ok(Self { partition_by, arrow: arrow_schema(&fields)?, fields })
    }

    /// Rows that have the columns of the table, as they are written to a file.
    pub(super) fn to_file(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = rows.columns().iter().zip(self.arrow.fields());
        let columns = columns.map(|(values, field)| called(values, field.data_type())).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), columns, &options)
    }
}

/// Rows of a data file, with the names that the columns have in the table. Others are left out.
pub(super) fn of_file(fields: &[StructField], arrow: &Schema, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut found, mut columns) = (Vec::new(), Vec::new());
    for (field, named) in fields.iter().zip(arrow.fields()) {
        let Some(values) = rows.column_by_name(physical_name(field)) else { continue };
        let data_type = type_of_file(values.data_type(), field.data_type(), named.data_type());
        columns.push(called(values, &data_type)?);
        found.push(named.as_ref().clone().with_data_type(data_type).with_nullable(true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(found)), columns, &options)
}

/// The path of the first field that data files have no name for: what the table does not have.
pub(super) fn unmapped(fields: &[StructField]) -> Option<String> {
    let mut found = None;
    if let Ok(all) = StructType::try_new(fields.iter().cloned()) {
        each_field(&all, &mut |path, field| {
            if !field.metadata().contains_key(PHYSICAL_NAME) && found.is_none() {
                found = Some(path.join("."));
            }
        });
    }
    found
}

/// What a column is called in data files.
pub(super) fn physical_name(field: &StructField) -> &str {
    field.physical_name(ColumnMappingMode::Name)
}

/// A type of a file with the names that the table has for its fields.
fn type_of_file(file: &DataType, table: &DeltaType, named: &DataType) -> DataType {
    let item = |item: &FieldRef, table: &DeltaType| {
        let data_type = match inner(named) {
            Some(named) => type_of_file(item.data_type(), table, named),
            None => item.data_type().clone(),
        };
        Arc::new(item.as_ref().clone().with_data_type(data_type))
    };
    match (file, table, named) {
        (DataType::Struct(file), DeltaType::Struct(table), DataType::Struct(named)) => {
            DataType::Struct(fields_of_file(file, table, named))
        }
        (DataType::List(file), DeltaType::Array(table), _) => DataType::List(item(file, table.element_type())),
        (DataType::Map(file, is_sorted), DeltaType::Map(table), DataType::Map(named, _)) => {
            let (DataType::Struct(pair), DataType::Struct(called)) = (file.data_type(), named.data_type()) else {
                return DataType::Map(Arc::clone(file), *is_sorted);
            };
            let types = [table.key_type(), table.value_type()];
            let pair = pair.iter().zip(called).zip(types).map(|((file, named), table)| {
                let data_type = type_of_file(file.data_type(), table, named.data_type());
                Field::new(named.name(), data_type, file.is_nullable())
            });
            let pair = DataType::Struct(pair.collect::<Vec<_>>().into());
            DataType::Map(Arc::new(named.as_ref().clone().with_data_type(pair)), *is_sorted)
        }
        _ => file.clone(),
    }
}

fn fields_of_file(file: &Fields, table: &StructType, named: &Fields) -> Fields {
    let field = |field: &FieldRef| {
        let found = table.fields().zip(named).find(|(table, _)| physical_name(table) == field.name());
        let Some((table, named)) = found else { return field.as_ref().clone() };
        let data_type = type_of_file(field.data_type(), table.data_type(), named.data_type());
        named.as_ref().clone().with_data_type(data_type).with_nullable(field.is_nullable())
    };
    file.iter().map(field).collect()
}

/// The same values with the names of a type of the same shape.
fn called(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == data_type {
        return Ok(Arc::clone(values));
    }
    Ok(make_array(renamed(values.to_data(), data_type)?))
}

fn renamed(values: ArrayData, data_type: &DataType) -> Result<ArrayData, ArrowError> {
    let below: Vec<&DataType> = match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(item) | DataType::Map(item, _) => vec![item.data_type()],
        _ => Vec::new(),
    };
    let children = values.child_data().iter().zip(below);
    let children =
        children.map(|(child, data_type)| renamed(child.clone(), data_type)).collect::<Result<Vec<_>, _>>()?;
    let is_nested = !children.is_empty();
    let builder = values.into_builder().data_type(data_type.clone());
    if is_nested { builder.child_data(children) } else { builder }.build()
}
