//! What stands in the columns of records.

use shared::Column;

use crate::records::field::Field;

/// A column and its place among the others, from 0.
pub(crate) type ColumnRef<'a> = (usize, &'a Column);

/// What stands in one column of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Field<'a>),
    /// A text that is not a value of the column, whatever its letters are.
    Invalid(&'a [u8]),
}

/// The first rows, which say which columns earn a dictionary, so that this decides a chunk's bytes: see `ENCODER`.
pub(crate) const FIRST_ROWS: usize = 2048;

/// Rows of which all columns are looked at together, while what they are made of is in the processor's nearest caches.
///
/// At their end it shows whether a dictionary grows in vain, so this, too, decides a chunk's bytes: see `ENCODER`.
pub(crate) const STRIP: usize = 512;

/// The cells of many rows, some rows at a time.
pub(crate) trait Cells {
    /// Goes on to the next rows, at most so many, and returns how many there are; 0 at the end.
    fn advance(&mut self, most: usize) -> usize;

    /// How many there are likely to be in all, for room to be made.
    fn expected(&self) -> usize;

    /// Bytes of all that stands in them, at most.
    fn bytes(&self) -> usize;

    /// What stands in a column, row by row of these, counted from 0.
    fn column<'a>(&'a self, place: ColumnRef<'a>) -> impl Fn(usize) -> Cell<'a> + Copy;
}
