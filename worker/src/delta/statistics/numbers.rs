//! Values of floats that are not numbers. Bounds in Parquet leave them out, while most readers have them after all numbers.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Fields, Float32Type, Float64Type};
use deltalake::logstore::ObjectStoreRef;
use deltalake::{DeltaResult, Path};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
#[expect(deprecated, reason = "parquet leaves the replacement of this reader to its users")]
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::ParquetMetaData;

use crate::keyed;

/// Columns that hold values which are not numbers, by their paths.
#[derive(Debug, Default)]
pub(crate) struct NotNumbers(HashSet<Vec<String>>);

impl NotNumbers {
    /// Takes note of the columns of some rows; gives whether one came.
    pub(crate) fn note(&mut self, rows: &RecordBatch) -> bool {
        let before = self.0.len();
        for (field, values) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            self.note_column(&[field.name().clone()], values);
        }
        self.0.len() > before
    }

    /// Takes it that all columns of floats that rows with this schema have hold such values.
    pub(crate) fn suppose_all(&mut self, columns: &Fields) {
        columns.iter().for_each(|field| self.suppose(&[field.name().clone()], field.data_type()));
    }

    fn suppose(&mut self, path: &[String], data_type: &DataType) {
        match data_type {
            DataType::Float32 | DataType::Float64 => drop(self.0.insert(path.to_vec())),
            DataType::Struct(fields) => {
                for field in fields {
                    self.suppose(&[path, &[field.name().clone()]].concat(), field.data_type());
                }
            }
            _ => {}
        }
    }

    /// The columns.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Vec<String>> {
        self.0.iter().cloned()
    }

    pub(crate) fn has(&self, path: &[String]) -> bool {
        self.0.contains(path)
    }

    fn note_column(&mut self, path: &[String], values: &ArrayRef) {
        // What lies under a null counts too: that costs a bound, and spares a look at each value.
        let has_any = match values.data_type() {
            DataType::Dictionary(_, each) if each.is_floating() => has_key_of_no_number(values),
            DataType::Float32 => values.as_primitive::<Float32Type>().values().iter().any(|value| value.is_nan()),
            DataType::Float64 => values.as_primitive::<Float64Type>().values().iter().any(|value| value.is_nan()),
            DataType::Struct(fields) => {
                for (field, values) in fields.iter().zip(values.as_struct().columns()) {
                    self.note_column(&[path, &[field.name().clone()]].concat(), values);
                }
                false
            }
            _ => false,
        };
        if has_any && !self.has(path) {
            self.0.insert(path.to_vec());
        }
    }
}

/// Whether a row has the key of a value that is not a number: there may be values without rows.
fn has_key_of_no_number(values: &ArrayRef) -> bool {
    let Some(keyed) = keyed::of(values) else { return true };
    let numbers = keyed.values().as_primitive_opt::<Float64Type>();
    let is_number = |key: i32| {
        let number = numbers.zip(usize::try_from(key).ok()).and_then(|(numbers, key)| numbers.values().get(key));
        number.is_some_and(|number| !number.is_nan())
    };
    let are_all = numbers.is_some_and(|numbers| !numbers.values().iter().any(|number| number.is_nan()));
    !are_all && keyed.keys().iter().flatten().any(|key| !is_number(key))
}

/// Reads columns of a file, by their places there, to find values that are not numbers.
#[expect(deprecated, reason = "parquet leaves the replacement of this reader to its users")]
pub(crate) async fn find_not_numbers(
    store: &ObjectStoreRef,
    at: &Path,
    footer: ParquetMetaData,
    leaves: Vec<usize>,
) -> DeltaResult<NotNumbers> {
    let mut found = NotNumbers::default();
    if leaves.is_empty() {
        return Ok(found);
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(footer.into(), options)?;
    let reader = ParquetObjectReader::new(ObjectStoreRef::clone(store), at.clone());
    let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
    let columns = ProjectionMask::leaves(builder.parquet_schema(), leaves);
    let mut batches = builder.with_projection(columns).build()?;
    while let Some(rows) = batches.try_next().await? {
        found.note(&rows);
    }
    Ok(found)
}
