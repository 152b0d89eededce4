//! Columns with keys of many batches, brought to the values of all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, new_null_array};
use arrow::compute::{concat, interleave, take};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use rapidhash::fast::SeedableState;
use shared::values::{Keyed, Values};

use super::order::Order;
use crate::keyed;

/// Part of the rows, as a divisor, that may have values of their own: with more of them, keys cost more than they save.
const DIFFERENT_PART: usize = 2;

/// The values of a column of some batches, and where among them those of each batch are.
#[derive(Debug)]
pub(super) struct Merged {
    /// Each once. The last is null, if a row is.
    values: ArrayRef,
    has_null: bool,
    /// For each batch, the place of each of its values.
    places: Vec<Vec<i32>>,
}

/// Some of the values, and what each row has of them.
pub(super) struct Chosen {
    pub(super) keys: Vec<i32>,
    pub(super) values: ArrayRef,
}

impl Merged {
    /// Of one column of some batches; none where one of them has no keys.
    pub(super) fn of(columns: &[&ArrayRef]) -> Result<Option<Self>, ArrowError> {
        let Some(columns) = columns.iter().map(|column| keyed::of(column)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let Some((places, different)) = numbered(&columns) else { return Ok(None) };
        let all: Vec<&dyn Array> = columns.iter().map(|column| column.values().as_ref()).collect();
        let mut values = interleave(&all, &different)?;
        let has_null = columns.iter().any(|column| column.null_count() > 0);
        if has_null {
            values = concat(&[&values, &new_null_array(values.data_type(), 1)])?;
        }
        Ok(Some(Self { values, has_null, places }))
    }

    /// The keys of rows in an order, and the values that these have. `numbers` is room for the numbers of values, all of it negative; so it
    /// is left.
    pub(super) fn choose(
        &self,
        columns: &[&ArrayRef],
        order: &Order,
        numbers: &mut Vec<i32>,
    ) -> Result<Chosen, ArrowError> {
        if numbers.len() < self.values.len() {
            numbers.resize(self.values.len(), -1);
        }
        let null = if self.has_null { place(self.values.len()) - 1 } else { 0 };
        let mut used: Vec<i32> = Vec::new();
        let mut number = |merged: i32| {
            let Some(number) = usize::try_from(merged).ok().and_then(|merged| numbers.get_mut(merged)) else {
                return 0;
            };
            if *number < 0 {
                *number = place(used.len());
                used.push(merged);
            }
            *number
        };
        let batches: Vec<Batch<'_>> = columns.iter().zip(&self.places).filter_map(Batch::of).collect();
        let mut keys = Vec::with_capacity(order.len());
        match order {
            Order::All(_) => {
                for batch in &batches {
                    keys.extend((0..batch.keys.len()).map(|row| number(batch.place(row, null))));
                }
            }
            Order::Of(rows) => keys.extend(rows.iter().map(|(batch, row)| {
                let batch = usize::try_from(*batch).ok().and_then(|batch| batches.get(batch));
                number(batch.map_or(null, |batch| batch.place(usize::try_from(*row).unwrap_or(usize::MAX), null)))
            })),
        }
        for merged in &used {
            if let Some(number) = usize::try_from(*merged).ok().and_then(|merged| numbers.get_mut(merged)) {
                *number = -1;
            }
        }
        let values = take(&self.values, &arrow::array::Int32Array::from(used), None)?;
        Ok(Chosen { keys, values })
    }
}

impl Chosen {
    /// For a file: with keys, where these are worth it.
    pub(super) fn into_values(self) -> Result<Values, ArrowError> {
        if self.values.len() * DIFFERENT_PART > self.keys.len() {
            return Ok(Values::Plain(take(&self.values, &arrow::array::Int32Array::from(self.keys), None)?));
        }
        Ok(Values::Keyed(Keyed::of_all(self.keys, self.values)))
    }
}

/// A column of a batch.
struct Batch<'a> {
    column: &'a DictionaryArray<Int32Type>,
    keys: &'a [i32],
    has_nulls: bool,
    places: &'a [i32],
}

impl<'a> Batch<'a> {
    fn of((column, places): (&&'a ArrayRef, &'a Vec<i32>)) -> Option<Self> {
        let column = keyed::of(column)?;
        Some(Self { column, keys: column.keys().values(), has_nulls: column.null_count() > 0, places })
    }

    /// The place of a row's value.
    #[inline]
    fn place(&self, row: usize, null: i32) -> i32 {
        if self.has_nulls && self.column.is_null(row) {
            return null;
        }
        let key = self.keys.get(row).and_then(|key| usize::try_from(*key).ok());
        key.and_then(|key| self.places.get(key)).copied().unwrap_or(null)
    }
}

/// For each column the number of each value, and of each number the first such value, by column and place.
type Numbered = (Vec<Vec<i32>>, Vec<(usize, usize)>);

/// Numbers the different values; none where they are of a type that has no keys in files.
fn numbered(columns: &[&DictionaryArray<Int32Type>]) -> Option<Numbered> {
    macro_rules! primitives {
        ($type:ty, $bits:expr) => {
            number(columns.iter().map(|column| column.values().as_primitive::<$type>().values().iter().map($bits)))
        };
    }
    let first = columns.first()?;
    if columns.iter().any(|column| column.values().data_type() != first.values().data_type()) {
        return None;
    }
    let numbered = match first.values().data_type() {
        DataType::Int32 => primitives!(Int32Type, |value| *value),
        DataType::Int64 => primitives!(Int64Type, |value| *value),
        DataType::Float64 => primitives!(Float64Type, |value| value.to_bits()),
        DataType::Date32 => primitives!(Date32Type, |value| *value),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            primitives!(TimestampMicrosecondType, |value| *value)
        }
        DataType::Decimal128(..) => primitives!(Decimal128Type, |value| *value),
        DataType::Utf8 => number(columns.iter().map(|column| {
            let texts = column.values().as_string::<i32>();
            (0..texts.len()).map(move |place| texts.value(place).as_bytes())
        })),
        _ => return None,
    };
    Some(numbered)
}

fn number<K: Eq + Hash>(columns: impl Iterator<Item = impl Iterator<Item = K>>) -> Numbered {
    let (mut known, mut different) = (HashMap::with_hasher(SeedableState::fixed()), Vec::new());
    let places = columns.enumerate().map(|(column, values)| {
        let number = |(value, key): (usize, K)| match known.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let number = place(different.len());
                different.push((column, value));
                *new.insert(number)
            }
        };
        values.enumerate().map(number).collect()
    });
    (places.collect(), different)
}

fn place(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, StringArray};

    use super::*;

    fn texts(keys: &[Option<i32>], values: &[&str]) -> ArrayRef {
        let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        keyed::column(&Int32Array::from(keys.to_vec()), &values).unwrap()
    }

    #[test]
    fn values_of_two_batches_are_those_of_one() {
        let one = texts(&[Some(1), Some(0), None, Some(1)], &["a", "b", "never"]);
        let other = texts(&[Some(0), Some(1)], &["b", "c"]);
        let columns = [&one, &other];
        let merged = Merged::of(&columns).unwrap().unwrap();
        let mut numbers = Vec::new();
        for (order, expected) in [
            (Order::All(6), vec![Some("b"), Some("a"), None, Some("b"), Some("b"), Some("c")]),
            (Order::Of(vec![(1, 0), (0, 2), (0, 0)]), vec![Some("b"), None, Some("b")]),
        ] {
            let chosen = merged.choose(&columns, &order, &mut numbers).unwrap();
            // No value that no row has.
            assert!((0..chosen.values.len()).all(|value| chosen.keys.contains(&place(value))));
            let made = take(&chosen.values, &Int32Array::from(chosen.keys), None).unwrap();
            assert_eq!(made.as_string::<i32>(), &StringArray::from(expected));
            assert!(numbers.iter().all(|number| *number == -1));
        }
        let plain: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        assert!(Merged::of(&[&one, &plain]).unwrap().is_none());
    }

    /// Under a null lies an empty text or a zero, which is no value of the column.
    #[test]
    fn what_lies_under_a_null_is_no_value() {
        let column = |keys: Vec<i32>, values: ArrayRef| keyed::column(&Int32Array::from(keys), &values).unwrap();
        let texts = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let numbers = |values: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        for (one, other) in [
            (texts(vec![None, Some("b")]), texts(vec![Some("")])),
            (numbers(vec![None, Some(5.0)]), numbers(vec![Some(0.0)])),
        ] {
            let columns = [&column(vec![0, 1], Arc::clone(&one)), &column(vec![0], Arc::clone(&other))];
            let merged = Merged::of(&columns).unwrap().unwrap();
            let chosen = merged.choose(&columns, &Order::All(3), &mut Vec::new()).unwrap();
            let made = take(&chosen.values, &Int32Array::from(chosen.keys), None).unwrap();
            assert_eq!(&made, &concat(&[&one, &other]).unwrap());
        }
    }

    #[test]
    fn numbers_that_are_none_are_told_apart_by_their_bits() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0, -0.0, -f64::NAN]));
        let column = keyed::column(&Int32Array::from(vec![3, 2, 1, 0, 0, 0, 0, 0, 0]), &values).unwrap();
        let merged = Merged::of(&[&column]).unwrap().unwrap();
        let chosen = merged.choose(&[&column], &Order::All(9), &mut Vec::new()).unwrap();
        let bits: Vec<u64> =
            chosen.values.as_primitive::<Float64Type>().values().iter().map(|one| one.to_bits()).collect();
        assert_eq!(bits, [-f64::NAN, -0.0, 0.0, f64::NAN].map(f64::to_bits));
    }
}
