//! The hash of rows, by their values alone: neither their order counts, nor that of columns, nor how Arrow lays them out.
//!
//! Each value is hashed with its column's name, the hashes of a row's values are added up and hashed again, and so are the
//! rows. A null adds nothing, so columns that a table is given later change no hash.

use arrow::array::{Array, ArrayAccessor, ArrayIter, ArrayRef, AsArray, Int32Array, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_inline};
use shared::RowHash;

use crate::keyed;

/// The halves of a row's hash.
const LOW: RapidSecrets = RapidSecrets::seed(1);
const HIGH: RapidSecrets = RapidSecrets::seed(2);

/// What column names are hashed with.
const NAMES: RapidSecrets = RapidSecrets::seed(3);

/// Bit pattern that stands for all NaN, since text, as partition values are, does not tell them apart.
const NOT_A_NUMBER: u64 = 0x7ff8 << 48;

/// The hash of rows with the columns of a table, of which some may be missing. Of the columns that it is partitioned by, an
/// empty text is a null, as in the table's log.
pub(crate) fn row_hash(rows: &RecordBatch, partition_by: &[String]) -> Result<RowHash, ArrowError> {
    let mut sums = vec![0_u64; rows.num_rows()];
    for (field, values) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let is_partition = partition_by.contains(field.name());
        let hashes = hashes(values, seed(field.name().to_lowercase().as_bytes()))?;
        let is_empty = if is_partition { empty(values)? } else { None };
        match is_empty {
            None => sums.iter_mut().zip(hashes).for_each(|(sum, hash)| *sum = sum.wrapping_add(hash)),
            Some(is_empty) => {
                let taken = sums.iter_mut().zip(hashes).zip(is_empty).filter(|(_, is_empty)| !is_empty);
                taken.for_each(|((sum, hash), _)| *sum = sum.wrapping_add(hash));
            }
        }
    }
    let mut all = RowHash::default();
    for sum in sums {
        let halves = [&HIGH, &LOW].map(|half| u128::from(hash(&sum.to_le_bytes(), half)));
        all += RowHash(halves.into_iter().fold(0, |whole, half| whole << 64 | half));
    }
    Ok(all)
}

/// Which values are empty texts; none where they are not texts, or none of those that there are keys for is.
fn empty(values: &ArrayRef) -> Result<Option<Vec<bool>>, ArrowError> {
    if kind(values.data_type()) != b's' {
        return Ok(None);
    }
    if let Some(keyed) = keyed::of(values)
        && empty(keyed.values())?.is_none_or(|is_empty| !is_empty.contains(&true))
    {
        return Ok(None);
    }
    let texts = cast(values, &DataType::Utf8)?;
    Ok(Some(texts.as_string::<i32>().iter().map(|text| text.is_some_and(str::is_empty)).collect()))
}

fn hash(bytes: &[u8], secrets: &RapidSecrets) -> u64 {
    rapidhash_v3_inline::<true, false, false>(bytes, secrets)
}

fn seed(name: &[u8]) -> u64 {
    hash(name, &NAMES)
}

/// Kinds of values: what is of one kind is the same whatever its width.
fn kind(data_type: &DataType) -> u8 {
    use DataType as T;
    match data_type {
        T::Boolean => b'b',
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => b'i',
        T::Float32 | T::Float64 => b'f',
        T::Decimal128(..) => b'd',
        T::Date32 => b'y',
        T::Timestamp(..) => b't',
        T::Utf8 | T::LargeUtf8 | T::Utf8View => b's',
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => b'x',
        T::Dictionary(_, values) => kind(values),
        T::RunEndEncoded(_, values) => kind(values.data_type()),
        _ => b'n',
    }
}

/// The hash of each value, 0 for null.
fn hashes(values: &ArrayRef, seed: u64) -> Result<Vec<u64>, ArrowError> {
    use DataType as T;
    let kind = kind(values.data_type());
    let secrets = RapidSecrets::seed(seed ^ u64::from(kind));
    let secrets = &secrets;
    Ok(match values.data_type() {
        T::Null => vec![0; values.len()],
        T::Boolean => each(values.as_boolean(), |value| hash(&[u8::from(value)], secrets)),
        T::Int8 => each(values.as_primitive::<Int8Type>(), |value| integer(value, secrets)),
        T::Int16 => each(values.as_primitive::<Int16Type>(), |value| integer(value, secrets)),
        T::Int32 => each(values.as_primitive::<Int32Type>(), |value| integer(value, secrets)),
        T::Int64 => each(values.as_primitive::<Int64Type>(), |value| integer(value, secrets)),
        T::Date32 => each(values.as_primitive::<Date32Type>(), |value| integer(value, secrets)),
        T::Float32 => each(values.as_primitive::<Float32Type>(), |value| float(value.into(), secrets)),
        T::Float64 => each(values.as_primitive::<Float64Type>(), |value| float(value, secrets)),
        T::Timestamp(TimeUnit::Microsecond, _) => {
            each(values.as_primitive::<TimestampMicrosecondType>(), |value| integer(value, secrets))
        }
        T::Timestamp(_, zone) => hashes(&cast(values, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?, seed)?,
        T::Decimal128(_, scale) => {
            let secrets = RapidSecrets::seed(secrets.seed ^ u64::from(scale.unsigned_abs()));
            each(values.as_primitive::<Decimal128Type>(), |value| hash(&value.to_le_bytes(), &secrets))
        }
        T::Utf8 => each(values.as_string::<i32>(), |value| hash(value.as_bytes(), secrets)),
        T::LargeUtf8 => each(values.as_string::<i64>(), |value| hash(value.as_bytes(), secrets)),
        T::Utf8View => each(values.as_string_view(), |value| hash(value.as_bytes(), secrets)),
        T::Binary => each(values.as_binary::<i32>(), |value| hash(value, secrets)),
        T::LargeBinary => each(values.as_binary::<i64>(), |value| hash(value, secrets)),
        T::BinaryView => each(values.as_binary_view(), |value| hash(value, secrets)),
        T::FixedSizeBinary(_) => each(values.as_fixed_size_binary(), |value| hash(value, secrets)),
        T::Dictionary(_, inner) => match keyed::of(values) {
            Some(keyed) => of_keys(&hashes(keyed.values(), seed)?, keyed.keys()),
            None => hashes(&cast(values, inner)?, seed)?,
        },
        T::RunEndEncoded(_, inner) => hashes(&cast(values, inner.data_type())?, seed)?,
        T::Struct(_) => structs(values.as_struct(), seed)?,
        T::List(_) => {
            let list = values.as_list::<i32>();
            folded(&hashes(list.values(), seed)?, list.offsets(), list.nulls(), secrets)
        }
        T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            hashes(&cast(values, &T::List(item.clone()))?, seed)?
        }
        T::Map(..) => {
            let map = values.as_map();
            folded(&pairs(map, seed)?, map.offsets(), map.nulls(), secrets)
        }
        other => return Err(ArrowError::NotYetImplemented(format!("a hash of values of type {other}"))),
    })
}

/// The hash of each row, given that of each value.
fn of_keys(hashes: &[u64], keys: &Int32Array) -> Vec<u64> {
    let of_key = |key: &i32| usize::try_from(*key).ok().and_then(|key| hashes.get(key)).copied().unwrap_or_default();
    if keys.null_count() == 0 {
        return keys.values().iter().map(of_key).collect();
    }
    keys.iter().map(|key| key.as_ref().map_or(0, of_key)).collect()
}

fn each<A: ArrayAccessor>(values: A, hash: impl Fn(A::Item) -> u64) -> Vec<u64> {
    ArrayIter::new(values).map(|value| value.map_or(0, &hash)).collect()
}

fn integer(value: impl Into<i64>, secrets: &RapidSecrets) -> u64 {
    hash(&value.into().to_le_bytes(), secrets)
}

fn float(value: f64, secrets: &RapidSecrets) -> u64 {
    let bits = if value.is_nan() { NOT_A_NUMBER } else { value.to_bits() };
    hash(&bits.to_le_bytes(), secrets)
}

fn two(one: u64, other: u64, secrets: &RapidSecrets) -> u64 {
    hash(&(u128::from(one) << 64 | u128::from(other)).to_le_bytes(), secrets)
}

/// A struct is the set of its fields, as a row is of its columns.
fn structs(values: &StructArray, seed: u64) -> Result<Vec<u64>, ArrowError> {
    let secrets = RapidSecrets::seed(seed);
    let mut sums = vec![0_u64; values.len()];
    for (field, column) in values.fields().iter().zip(values.columns()) {
        let named = two(seed, self::seed(field.name().to_lowercase().as_bytes()), &NAMES);
        for (sum, hash) in sums.iter_mut().zip(hashes(column, named)?) {
            *sum = sum.wrapping_add(hash);
        }
    }
    let present = |(row, sum): (usize, u64)| if values.is_null(row) { 0 } else { again(sum, &secrets) };
    Ok(sums.into_iter().enumerate().map(present).collect())
}

fn again(sum: u64, secrets: &RapidSecrets) -> u64 {
    hash(&sum.to_le_bytes(), secrets)
}

/// Keys and values, whatever their fields are called.
fn pairs(map: &MapArray, seed: u64) -> Result<Vec<u64>, ArrowError> {
    let secrets = RapidSecrets::seed(seed);
    let (keys, values) = (hashes(map.keys(), seed)?, hashes(map.values(), seed)?);
    Ok(keys.into_iter().zip(values).map(|(key, value)| two(key, value, &secrets)).collect())
}

/// Elements in their order; a null among them has its place.
fn folded(
    elements: &[u64],
    offsets: &OffsetBuffer<i32>,
    nulls: Option<&NullBuffer>,
    secrets: &RapidSecrets,
) -> Vec<u64> {
    let list = |(row, ends): (usize, &[i32])| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return 0;
        }
        let ends: Vec<usize> = ends.iter().filter_map(|end| usize::try_from(*end).ok()).collect();
        let own = if let [start, end] = ends[..] { elements.get(start..end).unwrap_or_default() } else { &[] };
        own.iter().fold(again(0, secrets), |all, element| two(all, *element, secrets))
    };
    offsets.windows(2).enumerate().map(list).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
        Float64Array, Int32Array, Int64Array, LargeListArray, LargeStringArray, ListArray, StringArray,
        StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, new_null_array,
    };
    use arrow::compute::{concat_batches, take_record_batch};
    use arrow::datatypes::Int32Type as I32;
    use proptest::prelude::*;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn of(columns: Vec<(&str, ArrayRef)>) -> RowHash {
        row_hash(&batch(columns), &[]).unwrap()
    }

    fn one<A: Array + 'static>(values: A) -> RowHash {
        of(vec![("a", Arc::new(values))])
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn longs(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    type List = ListArray;

    fn lists(values: Vec<Option<Vec<Option<i32>>>>) -> List {
        List::from_iter_primitive::<I32, _, _>(values)
    }

    #[test]
    fn the_same_value_in_another_layout_has_the_same_hash() {
        let words = ["x", "", "a longer text than fits into a view"];
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let items = || vec![Some(vec![Some(1), None]), None, Some(vec![])];
        let large = LargeListArray::from_iter_primitive::<I32, _, _>(items());
        for (what, one, other) in [
            ("view", one(StringArray::from(words.to_vec())), one(StringViewArray::from(words.to_vec()))),
            ("large", one(StringArray::from(words.to_vec())), one(LargeStringArray::from(words.to_vec()))),
            ("dictionary", one(StringArray::from(words.to_vec())), one(DictionaryArray::<I32>::from_iter(words))),
            ("bytes", one(BinaryArray::from(bytes.clone())), one(BinaryViewArray::from(bytes))),
            ("wider integer", one(Int32Array::from(vec![-1, 7])), one(Int64Array::from(vec![-1, 7]))),
            ("wider float", one(Float32Array::from(vec![0.5, -0.0])), one(Float64Array::from(vec![0.5, -0.0]))),
            ("no number", one(Float64Array::from(vec![f64::NAN])), one(Float64Array::from(vec![-f64::NAN]))),
            ("unit", one(TimestampMillisecondArray::from(vec![5])), one(TimestampMicrosecondArray::from(vec![5000]))),
            ("list", one(lists(items())), one(large)),
            ("slice", one(Int32Array::from(vec![7, 8])), one(Int32Array::from(vec![9, 7, 8, 9]).slice(1, 2))),
        ] {
            assert_eq!(one, other, "{what}");
        }
    }

    #[test]
    fn what_is_not_the_same_has_another_hash() {
        let (a, b) = (Some("a"), Some("b"));
        let decimal = |scale| one(Decimal128Array::from(vec![15]).with_precision_and_scale(9, scale).unwrap());
        for (what, one, other) in [
            ("null and empty", of(vec![("a", texts(&[None]))]), of(vec![("a", texts(&[Some("")]))])),
            ("another column", of(vec![("a", texts(&[a]))]), of(vec![("b", texts(&[a]))])),
            (
                "values that changed rows",
                of(vec![("a", texts(&[a, b])), ("b", texts(&[a, b]))]),
                of(vec![("a", texts(&[a, b])), ("b", texts(&[b, a]))]),
            ),
            (
                "values that changed columns",
                of(vec![("a", texts(&[a])), ("b", texts(&[b]))]),
                of(vec![("a", texts(&[b])), ("b", texts(&[a]))]),
            ),
            ("a row twice", of(vec![("a", texts(&[a]))]), of(vec![("a", texts(&[a, a]))])),
            ("a row of nulls", of(vec![("a", texts(&[]))]), of(vec![("a", texts(&[None]))])),
            ("kinds", one(Int64Array::from(vec![1])), one(Date32Array::from(vec![1]))),
            ("truth", one(BooleanArray::from(vec![true])), one(BooleanArray::from(vec![false]))),
            ("scales", decimal(1), decimal(2)),
            ("null in a list", one(lists(vec![Some(vec![])])), one(lists(vec![Some(vec![None])]))),
            ("no list", one(lists(vec![Some(vec![])])), one(lists(vec![None]))),
            (
                "order in a list",
                one(lists(vec![Some(vec![Some(1), Some(2)])])),
                one(lists(vec![Some(vec![Some(2), Some(1)])])),
            ),
            (
                "items of another row",
                one(lists(vec![Some(vec![Some(1)]), Some(vec![Some(2), Some(3)])])),
                one(lists(vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3)])])),
            ),
        ] {
            assert_ne!(one, other, "{what}");
        }
    }

    #[test]
    fn structs_are_sets_of_fields() {
        let made = |columns: Vec<(&str, ArrayRef)>| one(StructArray::from(batch(columns)));
        let (x, y) = (longs(&[Some(1), None]), texts(&[Some("y"), None]));
        let both = made(vec![("x", x.clone()), ("y", y.clone())]);
        assert_eq!(both, made(vec![("y", y.clone()), ("X", x.clone())]));
        assert_eq!(made(vec![("x", x.clone())]), made(vec![("x", x.clone()), ("z", longs(&[None, None]))]));
        assert_ne!(made(vec![("x", x.clone())]), of(vec![("x", x.clone())]));
        assert_ne!(made(vec![("x", x.clone())]), made(vec![("z", x)]));
    }

    /// Receipts keep hashes for long: another algorithm would take all tables for altered.
    #[test]
    fn stays_as_it_is() {
        let columns = vec![("id", longs(&[Some(1), Some(2)])), ("name", texts(&[Some("a"), None]))];
        insta::assert_snapshot!(of(columns), @"f5117a16de967d8446ea117ff8e4c6b5");
    }

    #[test]
    fn an_empty_partition_is_null() {
        let partitioned = |text| row_hash(&batch(vec![("p", texts(&[text]))]), &["p".to_owned()]).unwrap();
        assert_eq!(partitioned(Some("")), partitioned(None));
        assert_ne!(partitioned(Some("x")), partitioned(None));
    }

    proptest! {
        #[test]
        fn neither_order_nor_cuts_count(
            rows in prop::collection::vec((any::<Option<i64>>(), any::<Option<u8>>()), 1..40),
            order in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let ids = longs(&rows.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            let names: ArrayRef =
                Arc::new(rows.iter().map(|(_, name)| name.map(|name| name.to_string())).collect::<StringArray>());
            let plain = batch(vec![("id", ids.clone()), ("name", names.clone())]);
            let nulls = new_null_array(&DataType::Utf8, rows.len());
            let other = batch(vec![("later", nulls), ("NAME", names), ("id", ids)]);
            let by = order.index(rows.len());
            let turned: Int32Array = (0..rows.len()).map(|row| i32::try_from((row + by) % rows.len()).ok()).collect();
            let turned = take_record_batch(&other, &turned).unwrap();
            let at = cut.index(rows.len());
            let mut sum = row_hash(&turned.slice(0, at), &[]).unwrap();
            sum += row_hash(&turned.slice(at, rows.len() - at), &[]).unwrap();
            prop_assert_eq!(sum, row_hash(&plain, &[]).unwrap());
            let twice = row_hash(&concat_batches(&plain.schema(), [&plain, &plain]).unwrap(), &[]).unwrap();
            prop_assert_ne!(twice, sum);
        }
    }
}
