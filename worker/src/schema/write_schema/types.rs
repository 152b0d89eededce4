//! Types of a chunk's columns as types of a table.

use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::DeltaTableError;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::{StructField, StructType};

use crate::rows::conform::carry;

/// Most digits of a Delta decimal.
const MAX_PRECISION: u8 = 38;

/// Characters that a column name must not have, since no reader takes them without column mapping.
const FORBIDDEN: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

pub(super) fn arrow_schema(fields: &[StructField]) -> Result<SchemaRef, DeltaTableError> {
    let schema: Schema = (&StructType::try_new(fields.iter().cloned())?).try_into_arrow()?;
    Ok(Arc::new(schema))
}

/// A new column of the table: as the chunk has it, in a type that Delta knows.
pub(super) fn new_field(column: &Field) -> Result<StructField, String> {
    let name = column.name();
    check_name(name)?;
    let data_type = delta_type(column.data_type()).map_err(|reason| format!("column '{name}' {reason}"))?;
    let field = Field::new(name, data_type, true);
    (&field).try_into_kernel().map_err(|error| format!("column '{name}': {error}"))
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a column has no name".to_owned());
    }
    if name.contains(FORBIDDEN) {
        return Err(format!("column name '{name}' has a character that Delta refuses; in SQL, AS gives another name"));
    }
    Ok(())
}

/// The type that values of `from` have in a new table: the same where Delta has it, else the next that loses nothing, and
/// text where there is none. Fractions of microseconds are cut off timestamps, and counted.
fn delta_type(from: &DataType) -> Result<DataType, String> {
    use DataType as T;
    Ok(match from {
        T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::Float32
        | T::Float64
        | T::Utf8
        | T::Binary
        | T::Date32 => from.clone(),
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Date64 => T::Date32,
        T::Timestamp(_, None) => T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(_, Some(_)) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => decimal(*precision, *scale),
        T::Null | T::LargeUtf8 | T::Utf8View | T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Interval(_) => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Dictionary(_, values) => delta_type(values)?,
        T::RunEndEncoded(_, values) => delta_type(values.data_type())?,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            T::List(Arc::new(Field::new("element", delta_type(item.data_type())?, true)))
        }
        T::Struct(fields) => T::Struct(struct_fields(fields)?),
        T::Map(entries, _) => map(entries)?,
        T::Union(..) => return Err(format!("has the type {from}, which Delta has no place for")),
    })
}

fn decimal(precision: u8, scale: i8) -> DataType {
    let (precision, scale) = match u8::try_from(scale) {
        // A scale beyond the precision means zeros behind the point.
        Ok(scale) => (precision.max(scale), scale),
        // A scale below zero means zeros before it.
        Err(_) => (precision.saturating_add(scale.unsigned_abs()), 0),
    };
    match i8::try_from(scale) {
        Ok(scale) if precision <= MAX_PRECISION => DataType::Decimal128(precision, scale),
        _ => DataType::Utf8,
    }
}

fn struct_fields(fields: &Fields) -> Result<Fields, String> {
    let convert = |field: &FieldRef| {
        check_name(field.name())?;
        Ok(Field::new(field.name(), delta_type(field.data_type())?, true))
    };
    fields.iter().map(convert).collect::<Result<Vec<_>, String>>().map(Fields::from)
}

fn map(entries: &Field) -> Result<DataType, String> {
    let DataType::Struct(pair) = entries.data_type() else {
        return Err("is a map without keys".to_owned());
    };
    let [key, value] = pair.as_ref() else {
        return Err("is a map without keys".to_owned());
    };
    let key = Field::new("key", delta_type(key.data_type())?, false);
    let value = Field::new("value", delta_type(value.data_type())?, true);
    let entries = Field::new("key_value", DataType::Struct(vec![key, value].into()), false);
    Ok(DataType::Map(Arc::new(entries), false))
}

/// Kinds of types between which values can be carried over one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Number,
    Text,
    Time,
    Clock,
    Bytes,
    List,
    Struct,
    Map,
    Other,
}

fn kind(data_type: &DataType) -> Kind {
    use DataType as T;
    match data_type {
        T::Null => Kind::Nothing,
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Kind::Text,
        T::Date32 | T::Date64 | T::Timestamp(..) => Kind::Time,
        T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Interval(_) => Kind::Clock,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Kind::Bytes,
        T::Dictionary(_, values) => kind(values),
        T::RunEndEncoded(_, values) => kind(values.data_type()),
        T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::ListView(_) | T::LargeListView(_) => Kind::List,
        T::Struct(_) => Kind::Struct,
        T::Map(..) => Kind::Map,
        T::Boolean => Kind::Number,
        _ if data_type.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// Whether values of one type can be values of another at all; each single value is looked at when it is carried over.
pub(super) fn check_types(from: &Field, to: &Field) -> Result<(), String> {
    if fits(from.data_type(), to.data_type()) {
        return Ok(());
    }
    let (name, there) = (to.name(), from.data_type());
    Err(format!("column '{name}' is a {} in the table, and values of type {there} cannot be that", to.data_type()))
}

fn fits(from: &DataType, to: &DataType) -> bool {
    match (kind(from), kind(to)) {
        (Kind::Nothing, _) => true,
        (Kind::Text, Kind::Number | Kind::Time | Kind::Bytes)
        | (Kind::Number | Kind::Time | Kind::Clock | Kind::Bytes, Kind::Text) => is_castable(from, to),
        (Kind::List, Kind::List) => inner(from).zip(inner(to)).is_some_and(|(from, to)| fits(from, to)),
        (Kind::Struct, Kind::Struct) => structs_fit(from, to),
        (Kind::Map, Kind::Map) => match (from, to) {
            (DataType::Map(from, _), DataType::Map(to, _)) => pairs_fit(from.data_type(), to.data_type()),
            _ => false,
        },
        (one, other) => one == other && !matches!(one, Kind::Clock | Kind::Other) && is_castable(from, to),
    }
}

/// Whether Arrow has a way from one type to the other; bytes of one length go by way of bytes.
fn is_castable(from: &DataType, to: &DataType) -> bool {
    match from {
        DataType::Dictionary(_, values) => is_castable(values, to),
        DataType::RunEndEncoded(_, values) => is_castable(values.data_type(), to),
        DataType::FixedSizeBinary(_) => can_cast_types(&DataType::Binary, to),
        _ => from == to || can_cast_types(from, to),
    }
}

pub(super) fn inner(list: &DataType) -> Option<&DataType> {
    use DataType as T;
    match list {
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Fields are found by name. What the rows lack must be one that may be null; what the table lacks would be lost.
fn structs_fit(from: &DataType, to: &DataType) -> bool {
    let (DataType::Struct(from), DataType::Struct(to)) = (from, to) else { return false };
    let has_place = |field: &FieldRef| carry::find(to, field.name()).is_some();
    from.iter().all(has_place)
        && to.iter().all(|to| match carry::find(from, to.name()).and_then(|place| from.get(place)) {
            Some(from) => fits(from.data_type(), to.data_type()),
            None => to.is_nullable(),
        })
}

fn pairs_fit(from: &DataType, to: &DataType) -> bool {
    let (DataType::Struct(from), DataType::Struct(to)) = (from, to) else { return false };
    from.len() == to.len() && from.iter().zip(to).all(|(from, to)| fits(from.data_type(), to.data_type()))
}
