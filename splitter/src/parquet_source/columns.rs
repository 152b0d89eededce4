//! Columns of a Parquet source, under the names that they have in the chunks.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::schema::types::{SchemaDescriptor, Type};
use shared::INSTANTS_KEY;

use crate::chunk::row_group::ChunkSchema;

/// What the footer of a chunk says of its columns, under these names.
pub(super) fn chunk_schema(
    metadata: &ArrowReaderMetadata,
    int96_instants: bool,
    column_names: &[String],
) -> Result<ChunkSchema, ParquetError> {
    let described = metadata.metadata().file_metadata();
    let root = described.schema();
    let columns: Vec<_> = root.get_fields().iter().filter(|field| has_values(field)).collect();
    if columns.len() != column_names.len() {
        let (there, known) = (columns.len(), column_names.len());
        return Err(ParquetError::General(format!("the file has {there} columns, and its job knows {known}")));
    }
    let fields = columns.into_iter().zip(column_names).map(|(field, name)| renamed(field, name).map(Arc::new));
    let fields: Result<Vec<_>, ParquetError> = fields.collect();
    let root = Type::group_type_builder(root.name()).with_fields(fields?).build()?;
    let key_values = described.key_value_metadata().map(|pairs| {
        let kept = |pair: &KeyValue| match pair.key.as_str() {
            ARROW_SCHEMA_META_KEY => {
                let schema = renamed_arrow(metadata.schema(), column_names);
                Some(KeyValue::new(pair.key.clone(), encode_arrow_schema(&schema)))
            }
            // Other keys may speak of columns by their old names (pandas does).
            _ => None,
        };
        let instants = int96_instants.then(|| KeyValue::new(INSTANTS_KEY.to_owned(), "true".to_owned()));
        pairs.iter().filter_map(kept).chain(instants).collect()
    });
    Ok(ChunkSchema { columns: Arc::new(SchemaDescriptor::new(Arc::new(root))), key_values })
}

/// A schema whose columns have these names.
pub(super) fn renamed_arrow(schema: &SchemaRef, column_names: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().zip(column_names);
    let fields: Vec<Field> = fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    Arc::new(Schema::new(fields))
}

/// A field under another name. A logical type that this version does not know cannot be written, and so goes: what it is
/// about is read as the bytes or numbers that it is made of, in the source as in the chunks.
fn renamed(field: &Type, name: &str) -> Result<Type, ParquetError> {
    let info = field.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let is_known = |logical: &&LogicalType| !matches!(logical, LogicalType::_Unknown { .. });
    let logical = info.logical_type_ref().filter(is_known).cloned();
    match field {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            Type::primitive_type_builder(name, *physical_type)
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(logical)
                .with_length(*type_length)
                .with_precision(*precision)
                .with_scale(*scale)
                .with_id(id)
                .build()
        }
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().filter(|field| has_values(field));
            let fields = fields.map(|field| renamed(field, field.name()).map(Arc::new));
            Type::group_type_builder(name)
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(logical)
                .with_fields(fields.collect::<Result<_, _>>()?)
                .with_id(id)
                .build()
        }
    }
}

/// Whether a field has a column of values, at any depth.
pub(super) fn has_values(field: &Arc<Type>) -> bool {
    field.is_primitive() || field.get_fields().iter().any(has_values)
}
