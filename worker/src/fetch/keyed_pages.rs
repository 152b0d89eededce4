//! Columns of a row group as the splitter encodes them, with the keys that their pages have.
//!
//! Arrow's reader looks up the value of each row. Here the dictionary page becomes the values of a column, and the data page its keys.
//! It knows but what the splitter writes, no null or one page of data for a column: of anything else it gives nothing, and Arrow's reader
//! has to read it, and to say what is wrong with it.

mod hybrid;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, PrimitiveArray, StringArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use shared::page_sizes::unsigned;

use super::row_group_bytes::RowGroupBytes;
use crate::keyed;

/// Bytes of a key, and of the place of a text or of a value that a null leaves.
const KEY_BYTES: u64 = 4;

/// Most bytes that the columns of a row group take, decoded.
pub(super) fn bytes(group: &RowGroupMetaData) -> u64 {
    let rows = unsigned(group.num_rows());
    let columns = group.columns().iter().map(|column| {
        let of_row = match column.column_descr().physical_type() {
            _ if column.dictionary_page_offset().is_some() => KEY_BYTES,
            // Nulls have no value in a page, and have one here.
            Type::BYTE_ARRAY | Type::INT32 | Type::FLOAT => KEY_BYTES,
            Type::BOOLEAN => 1,
            Type::INT64 | Type::DOUBLE | Type::INT96 => 2 * KEY_BYTES,
            Type::FIXED_LEN_BYTE_ARRAY => 4 * KEY_BYTES,
        };
        unsigned(column.uncompressed_size()).saturating_add(rows.saturating_mul(of_row))
    });
    columns.fold(0, u64::saturating_add)
}

/// Columns of a row group, by their places and as these fields; none where it is not as the splitter writes it.
pub(super) fn columns(
    bytes: &RowGroupBytes,
    group: &RowGroupMetaData,
    columns: &[usize],
    fields: &[Arc<Field>],
) -> Result<Option<Vec<ArrayRef>>> {
    let Ok(rows) = usize::try_from(group.num_rows()) else { return Ok(None) };
    let bytes = Arc::new(bytes.clone());
    let mut all = Vec::with_capacity(columns.len());
    for (column, field) in columns.iter().zip(fields) {
        let Some(metadata) = group.columns().get(*column) else { return Ok(None) };
        let mut pages = SerializedPageReader::new(Arc::clone(&bytes), metadata, rows, None)?;
        let Some(values) = of_pages(&mut pages, metadata, field.data_type(), rows)? else { return Ok(None) };
        all.push(values);
    }
    Ok(Some(all))
}

fn of_pages(
    pages: &mut impl PageReader,
    metadata: &ColumnChunkMetaData,
    data_type: &DataType,
    rows: usize,
) -> Result<Option<ArrayRef>> {
    let described = metadata.column_descr();
    let stored = Stored { data_type, physical: described.physical_type(), length: described.type_length() };
    if described.max_rep_level() > 0 || described.max_def_level() != 1 || described.path().parts().len() != 1 {
        return Ok(None);
    }
    let (mut words, mut found) = (None, None);
    while let Some(page) = pages.get_next_page()? {
        match page {
            Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, .. }
                if words.is_none() && found.is_none() =>
            {
                words = usize::try_from(num_values).ok().and_then(|count| stored.values(&buf, count));
                if words.is_none() {
                    return Ok(None);
                }
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding: Encoding::RLE, .. }
                if found.is_none() && usize::try_from(num_values).is_ok_and(|values| values == rows) =>
            {
                found = Some((buf, encoding));
            }
            _ => return Ok(None),
        }
    }
    let Some((buf, encoding)) = found else { return Ok(None) };
    Ok(stored.column(&buf, encoding, words, rows))
}

/// How the values of a column are stored.
struct Stored<'a> {
    data_type: &'a DataType,
    physical: Type,
    length: i32,
}

impl Stored<'_> {
    /// The column of a data page, behind its levels.
    fn column(&self, page: &[u8], encoding: Encoding, words: Option<ArrayRef>, rows: usize) -> Option<ArrayRef> {
        let (length, rest) = page.split_first_chunk::<4>()?;
        let (levels, values) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let nulls = nulls(levels, rows)?;
        let present = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
        match (encoding, words) {
            (Encoding::PLAIN, None) => {
                let values = self.values(values, present)?;
                let Some(nulls) = nulls else { return Some(values) };
                take(
                    &values,
                    &UInt32Array::new(spread::<u32>(0..u32::try_from(present).ok()?, &nulls), Some(nulls)),
                    None,
                )
                .ok()
            }
            (Encoding::RLE_DICTIONARY, Some(words)) => {
                let (width, packed) = values.split_first()?;
                let keys = hybrid::numbers(packed, *width, present)?;
                let keys = match &nulls {
                    Some(nulls) => spread(keys.into_iter(), nulls),
                    None => keys.into(),
                };
                keyed::column(&Int32Array::new(keys, nulls), &words).ok()
            }
            _ => None,
        }
    }

    /// So many values, one after the other.
    fn values(&self, plain: &[u8], count: usize) -> Option<ArrayRef> {
        match (self.data_type, self.physical) {
            (DataType::Boolean, Type::BOOLEAN) if plain.len() >= count.div_ceil(8) => {
                Some(Arc::new(BooleanArray::new(BooleanBuffer::new(Buffer::from(plain), 0, count), None)))
            }
            (DataType::Int64, Type::INT64) => numbers::<Int64Type, 8>(plain, count, i64::from_le_bytes),
            (DataType::Float64, Type::DOUBLE) => numbers::<Float64Type, 8>(plain, count, f64::from_le_bytes),
            (DataType::Date32, Type::INT32) => numbers::<Date32Type, 4>(plain, count, i32::from_le_bytes),
            (DataType::Timestamp(TimeUnit::Microsecond, zone), Type::INT64) => {
                let moments = primitive::<TimestampMicrosecondType, 8>(plain, count, i64::from_le_bytes)?;
                Some(Arc::new(moments.with_timezone_opt(zone.clone())))
            }
            (DataType::Decimal128(precision, scale), physical) => {
                let decimals = self.decimals(physical, plain, count)?;
                Some(Arc::new(decimals.with_precision_and_scale(*precision, *scale).ok()?))
            }
            (DataType::Utf8, Type::BYTE_ARRAY) => texts(plain, count),
            _ => None,
        }
    }

    fn decimals(&self, physical: Type, plain: &[u8], count: usize) -> Option<PrimitiveArray<Decimal128Type>> {
        match physical {
            Type::INT32 => primitive(plain, count, |bytes| i128::from(i32::from_le_bytes(bytes))),
            Type::INT64 => primitive(plain, count, |bytes| i128::from(i64::from_le_bytes(bytes))),
            Type::FIXED_LEN_BYTE_ARRAY => {
                let length = usize::try_from(self.length).ok().filter(|length| (1..=16).contains(length))?;
                if plain.len() != count.checked_mul(length)? {
                    return None;
                }
                // The highest byte is the first, and has the sign.
                let number = |bytes: &[u8]| {
                    let sign = bytes.first().is_some_and(|first| *first >= 0x80);
                    bytes.iter().fold(-i128::from(sign), |number, byte| number << 8 | i128::from(*byte))
                };
                Some(plain.chunks_exact(length).map(number).collect::<Vec<_>>().into_iter().collect())
            }
            _ => None,
        }
    }
}

/// Which rows are null, by levels; `None` where it is not a level of each row, and none where no row is.
#[expect(clippy::option_option, reason = "levels that cannot be read are not levels without nulls")]
fn nulls(levels: &[u8], rows: usize) -> Option<Option<NullBuffer>> {
    if hybrid::is_run_of(levels, 1, rows) {
        return Some(None);
    }
    let levels = hybrid::numbers(levels, 1, rows)?;
    let present = BooleanBuffer::collect_bool(rows, |row| levels.get(row) == Some(&1));
    Some(Some(NullBuffer::new(present)).filter(|nulls| nulls.null_count() > 0))
}

/// What is there, in the places that are not null.
fn spread<T: arrow::datatypes::ArrowNativeType>(there: impl Iterator<Item = T>, nulls: &NullBuffer) -> ScalarBuffer<T> {
    let mut all = vec![T::default(); nulls.len()];
    for (row, value) in nulls.valid_indices().zip(there) {
        if let Some(place) = all.get_mut(row) {
            *place = value;
        }
    }
    all.into()
}

fn numbers<T: ArrowPrimitiveType, const WIDTH: usize>(
    plain: &[u8],
    count: usize,
    of: impl Fn([u8; WIDTH]) -> T::Native,
) -> Option<ArrayRef> {
    Some(Arc::new(primitive::<T, WIDTH>(plain, count, of)?))
}

fn primitive<T: ArrowPrimitiveType, const WIDTH: usize>(
    plain: &[u8],
    count: usize,
    of: impl Fn([u8; WIDTH]) -> T::Native,
) -> Option<PrimitiveArray<T>> {
    let (values, rest) = plain.as_chunks::<WIDTH>();
    if values.len() != count || !rest.is_empty() {
        return None;
    }
    let values: Vec<T::Native> = values.iter().map(|bytes| of(*bytes)).collect();
    Some(PrimitiveArray::new(values.into(), None))
}

/// Texts, each behind its length.
fn texts(plain: &[u8], count: usize) -> Option<ArrayRef> {
    // What is not as long as its lengths say is found before much is taken for it.
    let mut bytes = Vec::with_capacity(plain.len().checked_sub(count.checked_mul(4)?)?);
    let mut ends = Vec::with_capacity(count + 1);
    ends.push(0);
    let mut rest = plain;
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (text, behind) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        bytes.extend_from_slice(text);
        ends.push(i32::try_from(bytes.len()).ok()?);
        rest = behind;
    }
    let ends = OffsetBuffer::new(ends.into());
    let texts = StringArray::try_new(ends, Buffer::from_vec(bytes), None).ok()?;
    let texts: ArrayRef = Arc::new(texts);
    rest.is_empty().then_some(texts)
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow::compute::cast;
    use arrow::datatypes::{Int32Type, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::basic::Compression;
    use parquet::file::writer::SerializedFileWriter;
    use proptest::prelude::*;
    use shared::column_chunk::{ColumnChunk, Compressor};
    use shared::values::{Keyed, Values};

    use super::*;

    /// Columns of all types that the splitter decodes texts to.
    fn arrays(numbers: &[Option<i64>]) -> Vec<ArrayRef> {
        let each = || numbers.iter().copied();
        let decimals = |precision, factor: i128| -> ArrayRef {
            let decimals = each().map(|number| number.map(|number| i128::from(number) * factor));
            Arc::new(decimals.collect::<Decimal128Array>().with_precision_and_scale(precision, 2).unwrap())
        };
        let moments: TimestampMicrosecondArray = each().collect();
        vec![
            Arc::new(each().map(|number| number.map(|number| number % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(each().collect::<Int64Array>()),
            Arc::new(
                each()
                    .map(|number| number.map(|number| f64::from_bits(number.cast_unsigned())))
                    .collect::<Float64Array>(),
            ),
            Arc::new(
                each().map(|number| number.map(|number| i32::try_from(number % 99).unwrap())).collect::<Date32Array>(),
            ),
            Arc::new(moments.clone()),
            Arc::new(moments.with_timezone("UTC")),
            decimals(9, 1),
            decimals(18, 1 << 20),
            decimals(38, -(1 << 70)),
            Arc::new(each().map(|number| number.map(|number| number.to_string())).collect::<StringArray>()),
        ]
    }

    /// The same with keys, as far as the splitter gives it any.
    fn with_keys(array: &ArrayRef) -> Values {
        if *array.data_type() == DataType::Boolean {
            return Values::Plain(Arc::clone(array));
        }
        let to = DataType::Dictionary(Box::new(DataType::Int32), Box::new(array.data_type().clone()));
        let keyed = cast(array, &to).unwrap();
        let (keys, values) = keyed::with_null(keyed::of(&keyed).unwrap()).unwrap();
        Values::Keyed(Keyed { keys: keys.values().clone(), values, are_all_used: false })
    }

    /// What comes of columns on the way through a file.
    fn there_and_back(columns: &[Values], arrays: &[ArrayRef], compression: Compression) -> Vec<ArrayRef> {
        let fields: Vec<_> =
            arrays.iter().map(|array| Arc::new(Field::new("a", array.data_type().clone(), true))).collect();
        let fields: Vec<_> = fields
            .iter()
            .enumerate()
            .map(|(place, field)| Arc::new(Field::clone(field).with_name(place.to_string())))
            .collect();
        let schema = ArrowSchemaConverter::new().convert(&Schema::new(fields.clone())).unwrap();
        let mut file = SerializedFileWriter::new(Vec::new(), schema.root_schema_ptr(), Arc::default()).unwrap();
        let mut group = file.next_row_group().unwrap();
        let mut compressor = Compressor::new(compression);
        for (column, described) in columns.iter().zip(schema.columns()) {
            let (bytes, closed) = ColumnChunk::of(column, described, &mut compressor).unwrap().close().unwrap();
            group.append_column(&bytes, closed).unwrap();
        }
        group.close().unwrap();
        let metadata = file.finish().unwrap();
        let bytes = std::mem::take(file.inner_mut());
        let bytes = RowGroupBytes { start: 0, length: u64::try_from(bytes.len()).unwrap(), bytes: bytes.into() };
        let all: Vec<usize> = (0..columns.len()).collect();
        super::columns(&bytes, metadata.row_group(0), &all, &fields).unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn columns_come_back(
            numbers in prop::collection::vec(prop_oneof![Just(None), (0_i64..9).prop_map(Some), any::<i32>().prop_map(|n| Some(n.into()))], 1..300),
            has_nulls in any::<bool>(),
            codec in prop_oneof![Just(Compression::SNAPPY), Just(Compression::UNCOMPRESSED)],
        ) {
            let numbers: Vec<_> = numbers.into_iter().map(|number| if has_nulls { number } else { number.or(Some(7)) }).collect();
            let arrays = arrays(&numbers);
            let plain: Vec<_> = arrays.iter().map(|array| Values::Plain(Arc::clone(array))).collect();
            let keyed: Vec<_> = arrays.iter().map(with_keys).collect();
            for (columns, has_keys) in [(plain, false), (keyed, true)] {
                let read = there_and_back(&columns, &arrays, codec);
                for (read, array) in read.iter().zip(&arrays) {
                    let expects_keys = has_keys && *array.data_type() != DataType::Boolean;
                    prop_assert_eq!(read.as_any().is::<arrow::array::DictionaryArray<Int32Type>>(), expects_keys);
                    prop_assert_eq!(&keyed::plain(read).unwrap().to_data(), &array.to_data());
                }
            }
        }
    }
}
