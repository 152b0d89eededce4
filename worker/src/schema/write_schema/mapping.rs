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
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::numbers::{Numbers, number};
use super::types::{arrow_schema, inner};
use crate::keyed;
use crate::schema::features::maps_columns;

/// The columns of data files, in the order of those of the table.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) fields: Vec<StructField>,
    pub(super) partition_by: Vec<String>,
    pub(super) arrow: SchemaRef,
    /// What new columns get their numbers by.
    pub(super) numbers: Numbers,
    /// Whether columns are found in data files by their numbers.
    by_number: bool,
}

impl Mapping {
    /// The mapping of a table; none where files have the names of the table.
    pub(super) fn of(state: &DeltaTableState, partition_by: &[String]) -> Result<Option<Self>, DeltaTableError> {
        if !maps_columns(state) {
            return Ok(None);
        }
        let fields: Vec<StructField> = state.schema().fields().cloned().collect();
        let mode = state.metadata().configuration().get("delta.columnMapping.mode");
        let by_number = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("id"));
        Ok(Some(Self { numbers: Numbers::of(state), by_number, ..Self::of_fields(&fields, partition_by)? }))
    }

    /// The mapping of the same table with other columns.
    pub(super) fn with(&self, columns: &[StructField], partition_by: &[String]) -> Result<Self, DeltaTableError> {
        let (numbers, by_number) = (self.numbers.clone(), self.by_number);
        Ok(Self { numbers, by_number, ..Self::of_fields(columns, partition_by)? })
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
        let (numbers, by_number) = (Numbers::default(), false);
        Ok(Self { partition_by, arrow: arrow_schema(&fields)?, fields, numbers, by_number })
    }

    /// Rows of a data file, with the names that the columns have in the table. Others are left out.
    pub(super) fn of_file(
        &self,
        fields: &[StructField],
        arrow: &Schema,
        rows: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let (mut found, mut columns) = (Vec::new(), Vec::new());
        for (field, named) in fields.iter().zip(arrow.fields()) {
            let place = rows.schema_ref().fields().iter().position(|of_file| self.is(of_file, field));
            let Some(values) = place.and_then(|place| rows.columns().get(place)) else { continue };
            let data_type = self.type_of_file(values.data_type(), field.data_type(), named.data_type());
            columns.push(called(values, &data_type)?);
            found.push(named.as_ref().clone().with_data_type(data_type).with_nullable(true));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(found)), columns, &options)
    }

    /// Whether a field of a file is this one of the table. One without a number is known by its name.
    fn is(&self, of_file: &Field, field: &StructField) -> bool {
        match of_file.metadata().get(PARQUET_FIELD_ID_META_KEY).filter(|_| self.by_number) {
            Some(number_of_file) => number(field).is_some_and(|number| number.to_string() == *number_of_file),
            None => of_file.name() == physical_name(field),
        }
    }

    /// A type of a file with the names that the table has for its fields.
    fn type_of_file(&self, file: &DataType, table: &DeltaType, named: &DataType) -> DataType {
        let item = |item: &FieldRef, table: &DeltaType| {
            let data_type = match inner(named) {
                Some(named) => self.type_of_file(item.data_type(), table, named),
                None => item.data_type().clone(),
            };
            Arc::new(item.as_ref().clone().with_data_type(data_type))
        };
        match (file, table, named) {
            (DataType::Struct(file), DeltaType::Struct(table), DataType::Struct(named)) => {
                DataType::Struct(self.fields_of_file(file, table, named))
            }
            (DataType::List(file), DeltaType::Array(table), _) => DataType::List(item(file, table.element_type())),
            (DataType::Map(file, is_sorted), DeltaType::Map(table), DataType::Map(named, _)) => {
                let (DataType::Struct(pair), DataType::Struct(called)) = (file.data_type(), named.data_type()) else {
                    return DataType::Map(Arc::clone(file), *is_sorted);
                };
                let types = [table.key_type(), table.value_type()];
                let pair = pair.iter().zip(called).zip(types).map(|((file, named), table)| {
                    let data_type = self.type_of_file(file.data_type(), table, named.data_type());
                    Field::new(named.name(), data_type, file.is_nullable())
                });
                let pair = DataType::Struct(pair.collect::<Vec<_>>().into());
                DataType::Map(Arc::new(named.as_ref().clone().with_data_type(pair)), *is_sorted)
            }
            _ => file.clone(),
        }
    }

    fn fields_of_file(&self, file: &Fields, table: &StructType, named: &Fields) -> Fields {
        let field = |field: &FieldRef| {
            let found = table.fields().zip(named).find(|(table, _)| self.is(field, table));
            let Some((table, named)) = found else { return field.as_ref().clone() };
            let data_type = self.type_of_file(field.data_type(), table.data_type(), named.data_type());
            named.as_ref().clone().with_data_type(data_type).with_nullable(field.is_nullable())
        };
        file.iter().map(field).collect()
    }

    /// Rows that have the columns of the table, as they are written to a file.
    pub(super) fn to_file(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = rows.columns().iter().zip(self.arrow.fields());
        let columns = columns.map(|(values, field)| called(values, field.data_type())).collect::<Result<_, _>>()?;
        keyed::batch(&self.arrow, columns, rows.num_rows())
    }
}

/// What a column is called in data files.
pub(super) fn physical_name(field: &StructField) -> &str {
    field.physical_name(ColumnMappingMode::Name)
}

/// The same values with the names of a type of the same shape.
fn called(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    // What has keys is not nested, and has no names.
    if values.data_type() == data_type || keyed::of(values).is_some() {
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
