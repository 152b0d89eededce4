//! The values of a column: of each row, or each different one once with the places where it stands.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

/// A column of rows.
#[derive(Clone, Debug)]
pub enum Values {
    /// The value of each row.
    Plain(ArrayRef),
    /// Values that recur.
    Keyed(Keyed),
    /// The values of some rows; the others have none.
    Sparse(Sparse),
}

/// The values of a column of which some rows have none. These take no memory, since a block may have millions of rows, thousands of columns
/// and hardly any values.
#[derive(Clone, Debug)]
pub struct Sparse {
    /// The rows that have a value, in order. Counted from `first`.
    given: ScalarBuffer<u32>,
    first: usize,
    rows: usize,
    /// Their values, some of which may be null.
    pub values: Box<Values>,
}

impl Sparse {
    /// Of so many rows, with the values of these, in order.
    pub fn new(given: Vec<u32>, rows: usize, values: Values) -> Self {
        Self { given: given.into(), first: 0, rows, values: Box::new(values) }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows that have a value, in order.
    pub fn given(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.given.iter().filter_map(|row| usize::try_from(*row).ok()?.checked_sub(self.first))
    }

    fn slice(&self, start: usize, rows: usize) -> Self {
        let first = self.first + start;
        let before =
            |row: usize| self.given.partition_point(|given| usize::try_from(*given).is_ok_and(|given| given < row));
        let (from, to) = (before(first), before(first + rows));
        Self {
            given: self.given.slice(from, to - from),
            first,
            rows,
            values: Box::new(self.values.slice(from, to - from)),
        }
    }

    fn filter(&self, taken: &BooleanArray, taken_before: &[u32]) -> Result<Self, ArrowError> {
        let is_taken = |row: usize| row < taken.len() && taken.value(row);
        let kept = self.given().filter(|row| is_taken(*row));
        let given = kept.filter_map(|row| taken_before.get(row).copied()).collect::<Vec<_>>();
        let values = self.values.filter(&self.given().map(|row| Some(is_taken(row))).collect(), &[])?;
        Ok(Self::new(given, taken.true_count(), values))
    }

    fn to_arrow(&self) -> Result<ArrayRef, ArrowError> {
        let mut places = vec![None; self.rows];
        for (place, row) in (0..).zip(self.given()) {
            if let Some(of_row) = places.get_mut(row) {
                *of_row = Some(place);
            }
        }
        take(&self.values.to_arrow()?, &UInt32Array::from(places), None)
    }
}

impl Values {
    /// So many rows, the first of them at `start`.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        match self {
            Self::Plain(values) => Self::Plain(values.slice(start, rows)),
            Self::Keyed(values) => Self::Keyed(values.slice(start, rows)),
            Self::Sparse(values) => Self::Sparse(values.slice(start, rows)),
        }
    }

    /// Those of rows that are to be taken, of which there are so many before each row.
    pub fn filter(&self, taken: &BooleanArray, taken_before: &[u32]) -> Result<Self, ArrowError> {
        match self {
            Self::Plain(values) => Ok(Self::Plain(filter(values, taken)?)),
            Self::Keyed(values) => values.filter(taken).map(Self::Keyed),
            Self::Sparse(values) => values.filter(taken, taken_before).map(Self::Sparse),
        }
    }

    /// The same values for Arrow.
    pub fn to_arrow(&self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain(values) => Ok(Arc::clone(values)),
            Self::Keyed(values) => values.to_arrow(),
            Self::Sparse(values) => values.to_arrow(),
        }
    }
}

/// The values of a column, each once, and which of them each row has.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Of each row, the place of its value.
    pub keys: ScalarBuffer<i32>,
    /// Some of these may be null.
    pub values: ArrayRef,
    /// Whether each of these is some row's for sure.
    pub are_all_used: bool,
}

impl Keyed {
    /// Values that are some row's each.
    pub fn of_all(keys: Vec<i32>, values: ArrayRef) -> Self {
        Self { keys: keys.into(), values, are_all_used: true }
    }

    fn slice(&self, start: usize, rows: usize) -> Self {
        let are_all_used = self.are_all_used && rows == self.keys.len();
        Self { keys: self.keys.slice(start, rows), values: Arc::clone(&self.values), are_all_used }
    }

    fn filter(&self, taken: &BooleanArray) -> Result<Self, ArrowError> {
        let keys = filter(&Int32Array::new(self.keys.clone(), None), taken)?;
        let keys = keys.as_primitive::<Int32Type>().values().clone();
        Ok(Self { keys, values: Arc::clone(&self.values), are_all_used: false })
    }

    fn to_arrow(&self) -> Result<ArrayRef, ArrowError> {
        take(&self.values, &Int32Array::new(self.keys.clone(), None), None)
    }
}
