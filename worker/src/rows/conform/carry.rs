//! Values in another type, at any depth: each is carried over whole, or told as one that does not fit.
//!
//! There is one rule for a value wherever it stands: alone in a column, or in a list, a map or a struct. A nested value fits if
//! all of its parts do.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StructArray,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, SortOptions, cast, cast_with_options, filter, nullif};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Field, FieldRef, Fields, Float32Type, Float64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate};
use shared::{float_prints_back, prints_back};

type Result<T, E = ArrowError> = std::result::Result<T, E>;

/// A decimal that has room for more digits than any decimal of Delta.
const EXACT: DataType = DataType::Decimal256(76, 38);

/// A date with its time of day.
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Days from the first of January of the year 1 to that of 1970.
const EPOCH_DAYS: i32 = 719_163;

const DAY_SECONDS: i64 = 86_400;

const SAFE: CastOptions<'_> = CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// Values in another type.
#[derive(Debug)]
pub(crate) struct Carried {
    /// In that type.
    pub(crate) values: ArrayRef,
    /// Which of them do not fit it; these are null.
    pub(crate) invalid: BooleanBuffer,
    /// Which of them lost digits that the type has no place for: timestamps keep microseconds, and floats so many digits.
    pub(crate) shortened: BooleanBuffer,
}

/// The values in the type `to`.
pub(crate) fn carry(values: &ArrayRef, to: &DataType) -> Result<Carried> {
    use DataType as T;
    match (values.data_type(), to) {
        (from, to) if from == to && !has_times(to) => Ok(Carried::whole(Arc::clone(values))),
        (T::Null, _) => Ok(Carried::whole(new_null_array(to, values.len()))),
        (T::Dictionary(_, inner), _) => carry(&cast(values, inner)?, to),
        (T::RunEndEncoded(_, inner), _) => carry(&cast(values, inner.data_type())?, to),
        (T::FixedSizeBinary(_), T::Utf8) => carry(&cast(values, &T::Binary)?, to),
        (_, T::Struct(fields)) => structs(values, fields),
        (_, T::List(item)) => lists(values, item),
        (_, T::Map(entries, is_sorted)) => maps(values, entries, *is_sorted),
        _ => leaves(values, to),
    }
}

impl Carried {
    /// Values that all fit as they are.
    pub(crate) fn whole(values: ArrayRef) -> Self {
        let rows = values.len();
        Self { values, invalid: BooleanBuffer::new_unset(rows), shortened: BooleanBuffer::new_unset(rows) }
    }

    /// Where a field takes no null, a null does not fit it.
    fn in_field(self, field: &Field) -> Self {
        if field.is_nullable() || self.values.logical_null_count() == 0 {
            return self;
        }
        Self { invalid: &self.invalid | &!&present(&self.values), ..self }
    }

    /// What holds for the elements of each list, as told of the lists.
    fn by_list(&self, offsets: &OffsetBuffer<i32>, present: &BooleanBuffer) -> (BooleanBuffer, BooleanBuffer) {
        let any = |flags: &BooleanBuffer| {
            if flags.count_set_bits() == 0 {
                return BooleanBuffer::new_unset(present.len());
            }
            let has = |list: usize| range(offsets, list).any(|element| flags.value(element));
            &BooleanBuffer::collect_bool(present.len(), has) & present
        };
        (any(&self.invalid), any(&self.shortened))
    }
}

/// Which values are there.
pub(crate) fn present(values: &ArrayRef) -> BooleanBuffer {
    let nulls = values.logical_nulls();
    nulls.as_ref().map(NullBuffer::inner).cloned().unwrap_or_else(|| BooleanBuffer::new_set(values.len()))
}

/// The place of a field by its name: of the very name, or of one that differs in case alone.
pub(crate) fn find(fields: &Fields, name: &str) -> Option<usize> {
    let exact = fields.iter().position(|field| field.name() == name);
    exact.or_else(|| fields.iter().position(|field| field.name().to_lowercase() == name.to_lowercase()))
}

fn no_way(from: &DataType, to: &str) -> ArrowError {
    ArrowError::CastError(format!("values of type {from} cannot be {to}"))
}

/// Fields are found by their names; what the rows lack is null.
fn structs(values: &ArrayRef, fields: &Fields) -> Result<Carried> {
    let from = values.as_struct_opt().ok_or_else(|| no_way(values.data_type(), "structs"))?;
    let present = present(values);
    let mut whole = Carried::whole(Arc::clone(values));
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let one = match find(from.fields(), field.name()) {
            Some(place) => carry(from.column(place), field.data_type())?,
            None => Carried::whole(new_null_array(field.data_type(), from.len())),
        };
        let one = one.in_field(field);
        whole.invalid = &whole.invalid | &one.invalid;
        whole.shortened = &whole.shortened | &one.shortened;
        columns.push(one.values);
    }
    whole.invalid = &whole.invalid & &present;
    whole.shortened = &whole.shortened & &present;
    let nulls = NullBuffer::new(&present & &!&whole.invalid);
    let made = StructArray::try_new_with_length(fields.clone(), columns, Some(nulls), from.len())?;
    Ok(Carried { values: Arc::new(made), ..whole })
}

fn lists(values: &ArrayRef, item: &FieldRef) -> Result<Carried> {
    use DataType as T;
    let list: ListArray = match values.data_type() {
        T::List(_) => values.as_list().clone(),
        T::LargeList(of) | T::FixedSizeList(of, _) | T::ListView(of) | T::LargeListView(of) => {
            cast(values, &T::List(Arc::clone(of)))?.as_list().clone()
        }
        other => return Err(no_way(other, "lists")),
    };
    let present = present(values);
    let (offsets, elements) = trimmed(list.offsets(), list.values());
    let one = carry(&elements, item.data_type())?.in_field(item);
    let (invalid, shortened) = one.by_list(&offsets, &present);
    let keep = &present & &!&invalid;
    let (offsets, kept) = of_lists(&offsets, &[one.values], &keep)?;
    let [elements] = <[ArrayRef; 1]>::try_from(kept).map_err(|_| no_way(values.data_type(), "lists"))?;
    let made = ListArray::try_new(Arc::clone(item), offsets, elements, Some(NullBuffer::new(keep)))?;
    Ok(Carried { values: Arc::new(made), invalid, shortened })
}

fn maps(values: &ArrayRef, entries: &FieldRef, is_sorted: bool) -> Result<Carried> {
    let map = values.as_map_opt().ok_or_else(|| no_way(values.data_type(), "maps"))?;
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(no_way(values.data_type(), "maps without keys"));
    };
    let [key, value] = fields.as_ref() else { return Err(no_way(values.data_type(), "maps without keys")) };
    let present = present(values);
    let (offsets, keys) = trimmed(map.offsets(), map.keys());
    let (_, items) = trimmed(map.offsets(), map.values());
    let keys = carry(&keys, key.data_type())?.in_field(key);
    let items = carry(&items, value.data_type())?.in_field(value);
    let (of_keys, shortened_keys) = keys.by_list(&offsets, &present);
    let (of_items, shortened_items) = items.by_list(&offsets, &present);
    let invalid = &of_keys | &of_items;
    let keep = &present & &!&invalid;
    let (offsets, kept) = of_lists(&offsets, &[keys.values, items.values], &keep)?;
    let pairs = StructArray::try_new(fields.clone(), kept, None)?;
    let made = MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(NullBuffer::new(keep)), is_sorted)?;
    Ok(Carried { values: Arc::new(made), invalid, shortened: &shortened_keys | &shortened_items })
}

fn range(offsets: &OffsetBuffer<i32>, list: usize) -> std::ops::Range<usize> {
    let end = |place: usize| offsets.get(place).and_then(|end| usize::try_from(*end).ok()).unwrap_or_default();
    end(list)..end(list + 1)
}

/// The elements that lists have, and offsets that begin with the first of them.
fn trimmed(offsets: &OffsetBuffer<i32>, elements: &ArrayRef) -> (OffsetBuffer<i32>, ArrayRef) {
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
    let elements = elements.slice(place(first), place(last) - place(first));
    let shifted: ScalarBuffer<i32> = offsets.iter().map(|offset| offset - first).collect();
    (OffsetBuffer::new(shifted), elements)
}

/// The elements of the lists that are kept; the others have none.
fn of_lists(
    offsets: &OffsetBuffer<i32>,
    elements: &[ArrayRef],
    keep: &BooleanBuffer,
) -> Result<(OffsetBuffer<i32>, Vec<ArrayRef>)> {
    if keep.count_set_bits() == keep.len() {
        return Ok((offsets.clone(), elements.to_vec()));
    }
    let lengths = (0..keep.len()).map(|list| if keep.value(list) { range(offsets, list).len() } else { 0 });
    let lengths = OffsetBuffer::from_lengths(lengths);
    let wanted: BooleanArray =
        (0..keep.len()).flat_map(|list| range(offsets, list).map(move |_| Some(keep.value(list)))).collect();
    let kept = elements.iter().map(|elements| filter(elements, &wanted)).collect::<Result<_>>()?;
    Ok((lengths, kept))
}

/// Values that are not nested.
fn leaves(values: &ArrayRef, to: &DataType) -> Result<Carried> {
    use DataType as T;
    let unplaced = unplaced(values);
    let values = &without(values, &unplaced)?;
    let (values, shortened) = &in_microseconds(values, to);
    let from = values.data_type();
    if from == to {
        return Ok(Carried { values: Arc::clone(values), invalid: unplaced, shortened: shortened.clone() });
    }
    let is_by_digits = from.is_floating() && matches!(to, T::Decimal128(..));
    if is_by_digits || (from.is_decimal() && to.is_floating()) {
        // The digits that the number prints with are what it is taken for.
        return leaves(&cast(values, &T::Utf8)?, to);
    }
    let there = cast_with_options(values, to, &SAFE)?;
    let lost = &(&present(values) & &!&present(&there)) | &unplaced;
    let invalid = match to {
        T::Decimal128(..) if from.is_string() => &lost | &rounded(values, &there, &EXACT)?,
        T::Date32 if from.is_string() => &lost | &rounded(values, &there, &MOMENT)?,
        T::Timestamp(_, zone) if from.is_string() => {
            &lost | &rounded(values, &there, &T::Timestamp(TimeUnit::Nanosecond, zone.clone()))?
        }
        T::Float32 | T::Float64 => &lost | &endless(values, &there)?,
        _ if may_lose(from, to) => &lost | &differing(values, &there)?,
        _ => lost,
    };
    let shortened = match to {
        T::Float32 | T::Float64 => &less_precise(values, &there)? & &!&invalid,
        _ => shortened.clone(),
    };
    Ok(Carried { values: without(&there, &invalid)?, invalid, shortened })
}

/// Timestamps to the microsecond, where that is what they are to be. Those before 1970 are cut like all others: towards the past.
fn in_microseconds(values: &ArrayRef, to: &DataType) -> (ArrayRef, BooleanBuffer) {
    let none = || BooleanBuffer::new_unset(values.len());
    let DataType::Timestamp(TimeUnit::Nanosecond, zone) = values.data_type() else {
        return (Arc::clone(values), none());
    };
    if !matches!(to, DataType::Timestamp(..) | DataType::Date32) {
        return (Arc::clone(values), none());
    }
    let fine = values.as_primitive::<TimestampNanosecondType>();
    let cut = |row: usize| fine.is_valid(row) && fine.value(row).rem_euclid(1000) != 0;
    let shortened = BooleanBuffer::collect_bool(fine.len(), cut);
    let micros: PrimitiveArray<TimestampMicrosecondType> = fine.unary(|value| value.div_euclid(1000));
    (Arc::new(micros.with_timezone_opt(zone.clone())), shortened)
}

/// Texts of which a finer type takes more than the table's type has.
fn rounded(texts: &ArrayRef, there: &ArrayRef, finer: &DataType) -> Result<BooleanBuffer> {
    let exact = cast_with_options(texts, finer, &SAFE)?;
    let there = cast_with_options(there, finer, &SAFE)?;
    let compare = arrow::array::make_comparator(&exact, &there, SortOptions::default())?;
    Ok((0..texts.len()).map(|row| exact.is_valid(row) && compare(row, row).is_ne()).collect())
}

/// Values that are there and are another after the way to the table's type and back.
fn differing(values: &ArrayRef, there: &ArrayRef) -> Result<BooleanBuffer> {
    let back = cast_with_options(there, values.data_type(), &SAFE)?;
    let compare = arrow::array::make_comparator(values, &back, SortOptions::default())?;
    let present = present(values);
    Ok((0..values.len()).map(|row| present.value(row) && compare(row, row).is_ne()).collect())
}

/// Numbers that became a float which does not give their digits back.
fn less_precise(values: &ArrayRef, there: &ArrayRef) -> Result<BooleanBuffer> {
    let from = values.data_type();
    if let (Some(doubles), Some(floats)) =
        (values.as_primitive_opt::<Float64Type>(), there.as_primitive_opt::<Float32Type>())
    {
        let is_less = |row: usize| doubles.is_valid(row) && !float_prints_back(doubles.value(row), floats.value(row));
        return Ok(BooleanBuffer::collect_bool(values.len(), is_less));
    }
    let none = BooleanBuffer::new_unset(values.len());
    // Numbers that are the same after the way to the float and back did not change.
    let suspects = match from {
        _ if from.is_floating() => return Ok(none),
        _ if from.is_string() => present(values),
        _ => differing(values, there)?,
    };
    if suspects.count_set_bits() == 0 {
        return Ok(none);
    }
    let (texts, there) = (cast(values, &DataType::Utf8)?, cast(there, &DataType::Float64)?);
    let (texts, there) = (texts.as_string::<i32>(), there.as_primitive::<Float64Type>());
    let is_less = |row: usize| {
        let value = there.is_valid(row).then(|| there.value(row));
        suspects.value(row) && value.is_some_and(|value| !prints_back(texts.value(row).as_bytes(), b'.', value))
    };
    Ok(BooleanBuffer::collect_bool(values.len(), is_less))
}

/// Numbers that became infinite and were not.
fn endless(values: &ArrayRef, there: &ArrayRef) -> Result<BooleanBuffer> {
    let there = cast(there, &DataType::Float64)?;
    let there = there.as_primitive::<Float64Type>();
    let is_endless = |row: usize| there.is_valid(row) && there.value(row).is_infinite();
    let found = BooleanBuffer::collect_bool(there.len(), is_endless);
    if found.count_set_bits() == 0 {
        return Ok(found);
    }
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let was_endless = |row: usize| texts.is_valid(row) && texts.value(row).to_lowercase().contains("inf");
    Ok(&found & &!&BooleanBuffer::collect_bool(texts.len(), was_endless))
}

fn without(values: &ArrayRef, invalid: &BooleanBuffer) -> Result<ArrayRef> {
    if invalid.count_set_bits() == 0 {
        return Ok(Arc::clone(values));
    }
    nullif(values, &BooleanArray::new(invalid.clone(), None))
}

/// Whether a cast may give another value without saying so. Text is read as a whole or not at all.
fn may_lose(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(..) | DataType::Date64, DataType::Date32) => true,
        _ => numeric(from) && numeric(to),
    }
}

fn numeric(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

/// Whether values of a type are dates or timestamps, or have some.
fn has_times(data_type: &DataType) -> bool {
    match data_type {
        DataType::Date32 | DataType::Timestamp(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_times(field.data_type())),
        DataType::List(item) => has_times(item.data_type()),
        DataType::Map(entries, _) => has_times(entries.data_type()),
        _ => false,
    }
}

/// Dates and timestamps that no calendar has, and times of day before midnight or after the day's end.
fn unplaced(values: &ArrayRef) -> BooleanBuffer {
    use DataType as T;
    let (first, last) = days();
    let seconds = |seconds: i64| seconds >= first * DAY_SECONDS && seconds < (last + 1) * DAY_SECONDS;
    let clock = |value: i64, per_second: i64| (0..DAY_SECONDS * per_second).contains(&value);
    match values.data_type() {
        T::Date32 => failing::<Date32Type>(values, |day| (first..=last).contains(&i64::from(day))),
        T::Date64 => failing::<Date64Type>(values, |millis| seconds(millis.div_euclid(1000))),
        T::Timestamp(TimeUnit::Second, _) => failing::<TimestampSecondType>(values, seconds),
        T::Timestamp(TimeUnit::Millisecond, _) => {
            failing::<TimestampMillisecondType>(values, |value| seconds(value.div_euclid(1000)))
        }
        T::Timestamp(TimeUnit::Microsecond, _) => {
            failing::<TimestampMicrosecondType>(values, |value| seconds(value.div_euclid(1_000_000)))
        }
        T::Time32(TimeUnit::Second) => failing::<Time32SecondType>(values, |value| clock(value.into(), 1)),
        T::Time32(_) => failing::<Time32MillisecondType>(values, |value| clock(value.into(), 1000)),
        T::Time64(TimeUnit::Nanosecond) => failing::<Time64NanosecondType>(values, |value| clock(value, 1_000_000_000)),
        T::Time64(_) => failing::<Time64MicrosecondType>(values, |value| clock(value, 1_000_000)),
        _ => BooleanBuffer::new_unset(values.len()),
    }
}

/// The first and the last day that dates can be, from 1970.
fn days() -> (i64, i64) {
    let day = |date: NaiveDate| i64::from(date.num_days_from_ce() - EPOCH_DAYS);
    (day(NaiveDate::MIN), day(NaiveDate::MAX))
}

fn failing<T: ArrowPrimitiveType>(values: &ArrayRef, holds: impl Fn(T::Native) -> bool) -> BooleanBuffer {
    let values = values.as_primitive::<T>();
    if values.values().iter().all(|value| holds(*value)) {
        return BooleanBuffer::new_unset(values.len());
    }
    BooleanBuffer::collect_bool(values.len(), |row| values.is_valid(row) && !holds(values.value(row)))
}
