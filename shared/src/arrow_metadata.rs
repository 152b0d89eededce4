//! How Parquet is read as Arrow, the same way in splitter and worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, parquet_to_arrow_schema};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{
    BasicTypeInfo, ColumnDescriptor, GroupTypeBuilder, PrimitiveTypeBuilder, SchemaDescriptor, Type as Described,
};

/// Why a footer cannot be read as Arrow.
#[derive(Debug, thiserror::Error)]
pub enum FooterError {
    /// A column has a type that Sluice does not take.
    #[error("column '{column}' {reason}")]
    Column {
        /// Its name, or path.
        column: String,
        /// What is wrong with it.
        reason: String,
        /// What may help.
        hint: &'static str,
    },
    /// The footer is not one.
    #[error(transparent)]
    Footer(#[from] ParquetError),
}

/// What Spark leaves in the footers of its files, whatever it writes them for; older versions leave the second alone.
const OF_SPARK: [&str; 2] = ["org.apache.spark.version", "org.apache.spark.sql.parquet.row.metadata"];

/// What stands in the footers of chunks whose `INT96` timestamps are instants, as those of their source are.
pub const INSTANTS_KEY: &str = "sluice.int96.instants";

impl FooterError {
    /// That a column is an `INTERVAL`.
    pub fn interval(column: String) -> Self {
        Self::Column {
            column,
            reason: "is an INTERVAL of months, days and milliseconds, which tables have no type for".to_owned(),
            hint: "have it written as text, or its parts as numbers in columns of their own",
        }
    }
}

/// What may help where a column has a type of which there is no right reading.
const OTHER_TYPE: &str = "have the column written in another type, text for instance";

/// How a leaf is read where Arrow's way of it is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    AsArrowDoes,
    /// As timestamps in microseconds, of `INT96`.
    Micros,
    /// As text.
    Text,
}

/// The Arrow side of a Parquet footer.
///
/// `INT96` timestamps, which Spark and Impala write, become microseconds: as nanoseconds, the default, the years before
/// 1677 and after 2262 would wrap around in silence, and `9999-12-31` is a common word for "never". They are in UTC where
/// they are `instants`, see [`int96_are_instants`]. `ENUM` is text, as the format says. An `INTERVAL` has months, days and
/// milliseconds, of which Arrow takes two unless its writer left word of which, so that it is refused.
pub fn arrow_metadata(parquet: &Arc<ParquetMetaData>, instants: bool) -> Result<ArrowReaderMetadata, FooterError> {
    let columns = parquet.file_metadata().schema_descr_ptr();
    let read = |options| ArrowReaderMetadata::try_new(Arc::clone(parquet), options);
    let metadata = match catch_unwind(AssertUnwindSafe(|| read(ArrowReaderOptions::new()))) {
        Ok(read) => read.map_err(|error| unread(&columns, error))?,
        Err(_) => return Err(unread(&columns, ParquetError::General("its schema cannot be read".to_owned()))),
    };
    refuse_intervals(parquet, &metadata)?;
    let readings: Vec<Reading> = columns.columns().iter().map(|column| reading(column)).collect();
    if readings.iter().all(|reading| *reading == Reading::AsArrowDoes) {
        return Ok(metadata);
    }
    let mut leaves = readings.into_iter();
    let zone = instants.then(|| Arc::from("UTC"));
    let fields = in_readings(metadata.schema().fields(), zone.as_ref(), &mut leaves);
    if leaves.next().is_some() {
        return Err(ParquetError::General("its columns are not those that Arrow reads".to_owned()).into());
    }
    let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
    Ok(read(ArrowReaderOptions::new().with_schema(Arc::new(schema)))?)
}

/// Whether a file has `INT96` timestamps that are instants. Those of Spark are, which its footers say. For others it is
/// unknown: Impala and Hive write wall clocks of any zone.
pub fn int96_are_instants(parquet: &ParquetMetaData) -> bool {
    let described = parquet.file_metadata();
    let is_word = |key: &str| OF_SPARK.contains(&key) || key == INSTANTS_KEY;
    let mut columns = described.schema_descr().columns().iter();
    let mut pairs = described.key_value_metadata().into_iter().flatten();
    columns.any(|column| column.physical_type() == Type::INT96) && pairs.any(|pair| is_word(&pair.key))
}

fn reading(column: &ColumnDescriptor) -> Reading {
    let is_enum = match column.logical_type_ref() {
        Some(logical) => *logical == LogicalType::Enum,
        None => column.converted_type() == ConvertedType::ENUM,
    };
    match column.physical_type() {
        Type::INT96 => Reading::Micros,
        Type::BYTE_ARRAY if is_enum => Reading::Text,
        _ => Reading::AsArrowDoes,
    }
}

/// The first column that Arrow has no type for, by its name.
fn unread(columns: &SchemaDescriptor, error: ParquetError) -> FooterError {
    let root = columns.root_schema();
    for field in root.get_fields() {
        let alone = Described::group_type_builder(root.name()).with_fields(vec![Arc::clone(field)]).build();
        let Ok(alone) = alone else { continue };
        let read = catch_unwind(|| parquet_to_arrow_schema(&SchemaDescriptor::new(Arc::new(alone)), None));
        let reason = match read {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => without_prefixes(&error.to_string()).to_owned(),
            Err(_) => "the Parquet library has no reading of it".to_owned(),
        };
        let reason = format!("has a type that Sluice cannot read: {reason}");
        return FooterError::Column { column: field.name().to_owned(), reason, hint: OTHER_TYPE };
    }
    // Each can be read by itself, so it is what Arrow's writer left of its own types that cannot: of bytes, then.
    let is_bare = |column: &&Arc<ColumnDescriptor>| {
        let is_plain = column.logical_type_ref().is_none() && column.converted_type() == ConvertedType::NONE;
        column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY && is_plain
    };
    match columns.columns().iter().find(is_bare) {
        Some(column) => FooterError::Column {
            column: column.path().string(),
            reason: "has a type that Sluice cannot read: it is one of its writer's own".to_owned(),
            hint: OTHER_TYPE,
        },
        None => FooterError::Footer(error),
    }
}

fn without_prefixes(text: &str) -> &str {
    ["Parquet error: ", "Arrow: ", "External: ", "Parquet argument error: "]
        .into_iter()
        .fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
}

/// Intervals whose parts are not known.
fn refuse_intervals(parquet: &ParquetMetaData, metadata: &ArrowReaderMetadata) -> Result<(), FooterError> {
    let described = parquet.file_metadata();
    let mut pairs = described.key_value_metadata().into_iter().flatten();
    if pairs.any(|pair| pair.key == ARROW_SCHEMA_META_KEY) {
        return Ok(());
    }
    for column in described.schema_descr().columns() {
        let top = column.path().parts().first();
        let field = top.and_then(|top| metadata.schema().fields().find(top));
        let is_interval = column.converted_type() == ConvertedType::INTERVAL;
        if is_interval && field.is_some_and(|(_, field)| has_intervals(field.data_type())) {
            return Err(FooterError::interval(column.path().string()));
        }
    }
    Ok(())
}

fn has_intervals(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(IntervalUnit::DayTime) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_intervals(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_intervals(item.data_type()),
        _ => false,
    }
}

/// Fields with each leaf as the next of `leaves` says; the leaves of both stand in the same order.
fn in_readings(fields: &Fields, int96: Option<&Arc<str>>, leaves: &mut impl Iterator<Item = Reading>) -> Fields {
    fields.iter().map(|field| of_field(field, int96, leaves)).collect()
}

/// `int96` is the zone of such timestamps, if they have one.
fn of_field(field: &FieldRef, int96: Option<&Arc<str>>, leaves: &mut impl Iterator<Item = Reading>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(in_readings(fields, int96, leaves)),
        DataType::List(item) => DataType::List(of_field(item, int96, leaves)),
        DataType::LargeList(item) => DataType::LargeList(of_field(item, int96, leaves)),
        DataType::ListView(item) => DataType::ListView(of_field(item, int96, leaves)),
        DataType::LargeListView(item) => DataType::LargeListView(of_field(item, int96, leaves)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(of_field(item, int96, leaves), *length),
        DataType::Map(entries, sorted) => DataType::Map(of_field(entries, int96, leaves), *sorted),
        leaf => match (leaves.next(), leaf) {
            (Some(Reading::Micros), DataType::Timestamp(_, zone)) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().or(int96).cloned())
            }
            (Some(Reading::Text), DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => DataType::Utf8,
            _ => leaf.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The same with all texts as bytes: for a file some of whose texts are not UTF-8, which Arrow refuses as a whole.
pub fn arrow_metadata_of_bytes(metadata: &ArrowReaderMetadata) -> Result<ArrowReaderMetadata, ParquetError> {
    let parquet = metadata.metadata();
    let described = parquet.file_metadata();
    let columns = Arc::new(SchemaDescriptor::new(Arc::new(in_bytes(described.schema())?)));
    let group = |group: &RowGroupMetaData| {
        let chunks = group.columns().iter().zip(columns.columns()).map(|(chunk, column)| {
            ColumnChunkMetaData::builder(Arc::clone(column))
                .set_encodings_mask(*chunk.encodings_mask())
                .set_num_values(chunk.num_values())
                .set_compression_codec(chunk.compression_codec())
                .set_total_compressed_size(chunk.compressed_size())
                .set_total_uncompressed_size(chunk.uncompressed_size())
                .set_data_page_offset(chunk.data_page_offset())
                .set_dictionary_page_offset(chunk.dictionary_page_offset())
                .build()
        });
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        let made = RowGroupMetaData::builder(Arc::clone(&columns)).set_num_rows(group.num_rows());
        made.set_total_byte_size(group.total_byte_size()).set_column_metadata(chunks).build()
    };
    let groups = parquet.row_groups().iter().map(group).collect::<Result<Vec<_>, _>>()?;
    let (version, rows) = (described.version(), described.num_rows());
    let file = FileMetaData::new(version, rows, None, None, Arc::clone(&columns), None);
    let fields: Fields = metadata.schema().fields().iter().map(field_in_bytes).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(Arc::new(ParquetMetaData::new(file, groups)), options)
}

/// A column, or a group of columns, without the word that bytes are text.
fn in_bytes(field: &Described) -> Result<Described, ParquetError> {
    let info = field.get_basic_info();
    let repetition = info.has_repetition().then(|| info.repetition());
    match field {
        Described::PrimitiveType { physical_type: Type::BYTE_ARRAY, .. } if is_text(info) => {
            let bytes = Described::primitive_type_builder(field.name(), Type::BYTE_ARRAY);
            repetition.into_iter().fold(bytes, PrimitiveTypeBuilder::with_repetition).build()
        }
        Described::PrimitiveType { .. } => Ok(field.clone()),
        Described::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| in_bytes(field).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
            let group = Described::group_type_builder(field.name())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(fields);
            repetition.into_iter().fold(group, GroupTypeBuilder::with_repetition).build()
        }
    }
}

fn is_text(info: &BasicTypeInfo) -> bool {
    match info.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::String | LogicalType::Enum | LogicalType::Json),
        None => matches!(info.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON),
    }
}

fn field_in_bytes(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Binary,
        DataType::Dictionary(_, values) if values.is_string() => DataType::Binary,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field_in_bytes).collect()),
        DataType::List(item) => DataType::List(field_in_bytes(item)),
        DataType::LargeList(item) => DataType::LargeList(field_in_bytes(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(field_in_bytes(item), *length),
        DataType::Map(entries, sorted) => DataType::Map(field_in_bytes(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
