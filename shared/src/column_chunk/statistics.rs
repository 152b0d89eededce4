//! The least and the greatest value of a column, and how many rows are null.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use parquet::basic::Type;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::properties::DEFAULT_STATISTICS_TRUNCATE_LENGTH;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

use super::plain::append_decimal;

/// Statistics of values, none of which is null. They are what the `parquet` crate finds, too; but where a value is not a number,
/// none is the least or the greatest, since to many readers that one is greater than all numbers.
pub(super) fn of(values: &ArrayRef, nulls: usize, described: &ColumnDescPtr) -> Result<Statistics, ParquetError> {
    let nulls = u64::try_from(nulls)?;
    let is_signed = described.sort_order().is_signed();
    macro_rules! statistics {
        ($extremes:expr) => {{
            let (least, greatest) = $extremes.unzip();
            let statistics = ValueStatistics::new(least, greatest, None, Some(nulls), false);
            statistics.with_backwards_compatible_min_max(is_signed).into()
        }};
    }
    Ok(match values.data_type() {
        DataType::Boolean => {
            let values = values.as_boolean();
            let (some, all) = (values.true_count() > 0, values.true_count() == values.len());
            statistics!((!values.is_empty()).then_some((all, some)))
        }
        DataType::Int32 => statistics!(extremes::<Int32Type>(values)),
        DataType::Int64 => statistics!(extremes::<Int64Type>(values)),
        DataType::Date32 => statistics!(extremes::<Date32Type>(values)),
        DataType::Timestamp(_, _) => statistics!(extremes::<TimestampMicrosecondType>(values)),
        DataType::Float64 => {
            let numbers = values.as_primitive::<Float64Type>().values();
            let all_are_numbers = !numbers.iter().any(|number| number.is_nan());
            statistics!(all_are_numbers.then(|| of_floats(numbers.iter().copied())).flatten())
        }
        DataType::Decimal128(_, _) => {
            let extremes = extremes::<Decimal128Type>(values);
            match described.physical_type() {
                Type::INT32 => {
                    statistics!(extremes.map(|(least, greatest)| (small::<i32>(least), small::<i32>(greatest))))
                }
                Type::INT64 => {
                    statistics!(extremes.map(|(least, greatest)| (small::<i64>(least), small::<i64>(greatest))))
                }
                _ => {
                    let bytes = |value| {
                        let mut bytes = Vec::new();
                        append_decimal(value, described, &mut bytes);
                        FixedLenByteArray::from(bytes)
                    };
                    statistics!(extremes.map(|(least, greatest)| (bytes(least), bytes(greatest))))
                }
            }
        }
        _ => of_texts(values.as_string(), nulls),
    })
}

fn extremes<T: ArrowPrimitiveType<Native: Ord>>(values: &ArrayRef) -> Option<(T::Native, T::Native)> {
    let values = values.as_primitive::<T>().values().iter().copied();
    values.clone().min().zip(values.max())
}

/// The format has it that a least zero is negative, and a greatest one is not.
fn of_floats(numbers: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let least = numbers.clone().reduce(f64::min)?;
    let greatest = numbers.reduce(f64::max)?;
    Some((if least == 0.0 { -0.0 } else { least }, if greatest == 0.0 { 0.0 } else { greatest }))
}

/// A decimal that has few digits, as the type of its column says.
fn small<T: TryFrom<i128> + Default>(value: i128) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Long texts are cut: the least to what begins it, the greatest to what is after all that begin like it.
fn of_texts(texts: &StringArray, nulls: u64) -> Statistics {
    let mut extremes: Option<[(u64, &str); 2]> = None;
    for text in texts.iter().flatten() {
        let text = (head(text), text);
        let [least, greatest] = extremes.get_or_insert([text, text]);
        if text < *least {
            *least = text;
        }
        if text > *greatest {
            *greatest = text;
        }
    }
    let [least, greatest] =
        extremes.map(|extremes| extremes.map(|(_, text)| text)).map_or([None; 2], |extremes| extremes.map(Some));
    let (cut_least, cut_greatest) = (least.and_then(beginning), greatest.and_then(beyond));
    let value = |cut: &Option<String>, whole: Option<&str>| {
        whole.map(|whole| ByteArray::from(cut.as_deref().unwrap_or(whole).as_bytes().to_vec()))
    };
    let (is_exact, (least, greatest)) =
        ((cut_least.is_none(), cut_greatest.is_none()), (value(&cut_least, least), value(&cut_greatest, greatest)));
    let statistics = ValueStatistics::new(least, greatest, None, Some(nulls), false);
    Statistics::ByteArray(statistics.with_min_is_exact(is_exact.0).with_max_is_exact(is_exact.1))
}

/// The first bytes of a text, as a number that is in the order of texts: for most pairs it decides which comes first.
fn head(text: &str) -> u64 {
    if let Some(head) = text.as_bytes().first_chunk() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; 8];
    head.iter_mut().zip(text.bytes()).for_each(|(padded, byte)| *padded = byte);
    u64::from_be_bytes(head)
}

/// What a long text begins with; `None` for one that is not long.
fn beginning(text: &str) -> Option<String> {
    let most = DEFAULT_STATISTICS_TRUNCATE_LENGTH.filter(|most| text.len() > *most)?;
    Some(text.get(..text.floor_char_boundary(most))?.to_owned())
}

/// A short text after all that begin as a long one does; `None` for one that is not long, or where there is none.
fn beyond(text: &str) -> Option<String> {
    let mut beginning = beginning(text)?;
    while let Some(last) = beginning.pop() {
        let next = char::from_u32(u32::from(last) + 1).filter(|next| next.len_utf8() == last.len_utf8());
        if let Some(next) = next {
            beginning.push(next);
            return Some(beginning);
        }
    }
    None
}
