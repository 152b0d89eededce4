//! Values one after the other: Parquet's plain encoding.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

/// Appends values, none of which is null. Parquet keeps numbers as the machine does.
pub(super) fn append(values: &ArrayRef, described: &ColumnDescPtr, out: &mut Vec<u8>) -> Result<(), ParquetError> {
    match values.data_type() {
        DataType::Boolean => append_bits(values.as_boolean().values(), out),
        DataType::Int32 => out.extend_from_slice(values.as_primitive::<Int32Type>().values().inner()),
        DataType::Int64 => out.extend_from_slice(values.as_primitive::<Int64Type>().values().inner()),
        DataType::Float64 => out.extend_from_slice(values.as_primitive::<Float64Type>().values().inner()),
        DataType::Date32 => out.extend_from_slice(values.as_primitive::<Date32Type>().values().inner()),
        DataType::Timestamp(_, _) => {
            out.extend_from_slice(values.as_primitive::<TimestampMicrosecondType>().values().inner());
        }
        DataType::Decimal128(_, _) => {
            let values = values.as_primitive::<Decimal128Type>().values();
            out.reserve(values.len() * 16);
            values.iter().for_each(|value| append_decimal(*value, described, out));
        }
        DataType::Utf8 => {
            let values = values.as_string::<i32>();
            out.reserve(values.value_data().len() + 4 * values.len());
            for value in values.iter().flatten() {
                out.extend_from_slice(&u32::try_from(value.len())?.to_le_bytes());
                out.extend_from_slice(value.as_bytes());
            }
        }
        other => return Err(ParquetError::NYI(format!("values of type {other} are not encoded here"))),
    }
    Ok(())
}

/// Decimals of few digits are integers; the others begin with their highest byte.
pub(super) fn append_decimal(value: i128, described: &ColumnDescPtr, out: &mut Vec<u8>) {
    let bytes = value.to_le_bytes();
    match described.physical_type() {
        Type::INT32 => out.extend_from_slice(bytes.first_chunk::<4>().unwrap_or(&[0; 4])),
        Type::INT64 => out.extend_from_slice(bytes.first_chunk::<8>().unwrap_or(&[0; 8])),
        _ => {
            let length = usize::try_from(described.type_length()).unwrap_or_default();
            out.extend(bytes.into_iter().take(length).rev());
        }
    }
}

/// Eight to a byte, the first as the lowest bit.
pub(super) fn append_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let bytes = bits.sliced();
    out.extend_from_slice(bytes.get(..bits.len().div_ceil(8)).unwrap_or_default());
    let in_last = bits.len() % 8;
    if let Some(last) = out.last_mut().filter(|_| in_last > 0) {
        *last &= (1 << in_last) - 1;
    }
}
