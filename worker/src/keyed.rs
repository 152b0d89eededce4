//! Columns of which each different value is known: once, with the rows that have it.
//!
//! The chunks of the splitter have most of their columns so, and so have data files. What is done to a value is done once to each, and not
//! to each row: such a column goes from the chunk to the data file without its values being looked up, hashed or compared by rows.
//!
//! To Arrow they are dictionaries with keys of 32 bits. A schema has them as what their values are: only batches know of keys.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow::compute::{concat, filter, is_not_null, take};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use arrow::error::ArrowError;

/// Keys and values of a column, if it has them.
pub(crate) fn of(column: &ArrayRef) -> Option<&DictionaryArray<Int32Type>> {
    column.as_any().downcast_ref()
}

/// A column of keys and values: without keys where there are none for such values. Whoever has the key of a null is null, and no null is left
/// among the values: what lies under it, a zero or an empty text, would be taken for a value.
pub(crate) fn column(keys: &Int32Array, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data_type = values.data_type();
    if data_type.is_nested() || matches!(data_type, DataType::Boolean | DataType::Null | DataType::Dictionary(..)) {
        return take(values, keys, None);
    }
    if values.logical_null_count() == 0 {
        return Ok(Arc::new(DictionaryArray::try_new(keys.clone(), Arc::clone(values))?));
    }
    let is_value = is_not_null(values)?;
    let mut places = 0..;
    let places: Vec<Option<i32>> =
        is_value.values().iter().map(|is_value| if is_value { places.next() } else { None }).collect();
    let place = |key: i32| usize::try_from(key).ok().and_then(|key| *places.get(key)?);
    let keys: Int32Array = keys.iter().map(|key| key.and_then(place)).collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, filter(values, &is_value)?)?))
}

/// A column of rows that all have the value that `value` has as its only one.
pub(crate) fn constant(value: &ArrayRef, rows: usize) -> Result<ArrayRef, ArrowError> {
    column(&Int32Array::from(vec![0; rows]), value)
}

/// The values of a column, and of each row the place of its own among them. A null is among them if a row is null.
pub(crate) fn with_null(column: &DictionaryArray<Int32Type>) -> Result<(Int32Array, ArrayRef), ArrowError> {
    let (keys, values) = (column.keys(), column.values());
    if keys.null_count() == 0 {
        return Ok((keys.clone(), Arc::clone(values)));
    }
    let null = i32::try_from(values.len()).map_err(|error| ArrowError::ComputeError(error.to_string()))?;
    let values = concat(&[values, &new_null_array(values.data_type(), 1)])?;
    Ok((keys.iter().map(|key| Some(key.unwrap_or(null))).collect(), values))
}

/// A column without keys; those of a struct have none either.
pub(crate) fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(keyed) = of(column) {
        return take(keyed.values(), keyed.keys(), None);
    }
    let Some(of_struct) = column.as_struct_opt().filter(|_| has_keys(column.data_type())) else {
        return Ok(Arc::clone(column));
    };
    let columns = of_struct.columns().iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    let fields = of_struct.fields().iter().zip(&columns);
    let fields: Fields =
        fields.map(|(field, values)| field.as_ref().clone().with_data_type(values.data_type().clone())).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, of_struct.nulls().cloned())?))
}

/// Rows in the types that a schema of these columns has: without keys where it has none.
pub(crate) fn plain_as(rows: &RecordBatch, schema: &Schema) -> Result<RecordBatch, ArrowError> {
    let has_keys = |(field, values): (&Arc<Field>, &ArrayRef)| field.data_type() != values.data_type();
    if !schema.fields().iter().zip(rows.columns()).any(has_keys) {
        return Ok(rows.clone());
    }
    let columns = schema.fields().iter().zip(rows.columns());
    let columns =
        columns.map(
            |(field, values)| {
                if field.data_type() == values.data_type() { Ok(Arc::clone(values)) } else { plain(values) }
            },
        );
    batch(schema, columns.collect::<Result<_, _>>()?, rows.num_rows())
}

/// Rows of a schema, some columns of which may have keys, in structs too.
pub(crate) fn batch(schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let of_columns = |(field, values): (&Arc<Field>, &ArrayRef)| {
        if field.data_type() != values.data_type() && has_keys(values.data_type()) {
            Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()))
        } else {
            Arc::clone(field)
        }
    };
    let fields: Vec<_> = schema.fields().iter().zip(&columns).map(of_columns).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn has_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_keys(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn nulls_are_nulls_of_keys() {
        let made = column(&Int32Array::from(vec![Some(1), Some(0), None]), &texts(&[None, Some("a")])).unwrap();
        assert_eq!((made.null_count(), made.len()), (2, 3));
        assert_eq!(of(&made).unwrap().values(), &texts(&[Some("a")]), "nothing lies under a null");
        assert_eq!(&plain(&made).unwrap(), &texts(&[Some("a"), None, None]));
        let (keys, values) = with_null(of(&made).unwrap()).unwrap();
        assert_eq!((keys.null_count(), values.len()), (0, 2));
        assert_eq!(&take(&values, &keys, None).unwrap(), &texts(&[Some("a"), None, None]));
    }

    #[test]
    fn a_batch_has_the_types_of_its_columns() {
        let schema = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]);
        let keyed = constant(&texts(&[Some("x")]), 2).unwrap();
        let made = batch(&schema, vec![keyed, texts(&[Some("y"), None])], 2).unwrap();
        assert!(of(made.column(0)).is_some() && of(made.column(1)).is_none());
        let made = plain_as(&made, &schema).unwrap();
        assert_eq!(made.column(0).as_string::<i32>().value(1), "x");
        assert_eq!(*made.schema_ref().as_ref(), schema);
    }
}
