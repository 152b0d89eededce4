//! How Parquet is read as Arrow, the same way in splitter and worker.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// The Arrow side of a Parquet footer.
///
/// `INT96` timestamps, which Spark and Impala write, become microseconds: as nanoseconds, the default, the years before
/// 1677 and after 2262 would wrap around in silence, and `9999-12-31` is a common word for "never".
pub fn arrow_metadata(parquet: Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(&parquet), ArrowReaderOptions::new())?;
    let columns = parquet.file_metadata().schema_descr_ptr();
    let is_int96: Vec<bool> = columns.columns().iter().map(|column| column.physical_type() == Type::INT96).collect();
    if !is_int96.contains(&true) {
        return Ok(metadata);
    }
    let mut leaves = is_int96.into_iter();
    let fields = in_microseconds(metadata.schema().fields(), &mut leaves);
    let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
    ArrowReaderMetadata::try_new(parquet, ArrowReaderOptions::new().with_schema(Arc::new(schema)))
}

/// Fields with those leaves in microseconds for which the next of `leaves` says so; the leaves of both stand in the same
/// order.
fn in_microseconds(fields: &Fields, leaves: &mut impl Iterator<Item = bool>) -> Fields {
    fields.iter().map(|field| of_field(field, leaves)).collect()
}

fn of_field(field: &FieldRef, leaves: &mut impl Iterator<Item = bool>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(in_microseconds(fields, leaves)),
        DataType::List(item) => DataType::List(of_field(item, leaves)),
        DataType::LargeList(item) => DataType::LargeList(of_field(item, leaves)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(of_field(item, leaves), *length),
        DataType::Map(entries, sorted) => DataType::Map(of_field(entries, leaves), *sorted),
        leaf => match (leaves.next(), leaf) {
            (Some(true), DataType::Timestamp(_, zone)) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => leaf.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
