//! Columns: the cells of many records become values of one type.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Int32Array, NullBufferBuilder, PrimitiveArray, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use shared::{Column, ColumnType, CsvPolicy, DateFormat};

use crate::batch::Values;
use crate::decode::{Misfits, data_type};
use crate::dictionary::Dictionary;
use crate::field::Field;
use crate::value;
use crate::value::moment;
use crate::value::number::{self, Notation};

/// A column and its place among the others, from 0.
pub(crate) type Place<'a> = (usize, &'a Column);

/// What stands in one column of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Field<'a>),
    /// A text that is no value of the column, whatever its letters are.
    Misfit(&'a [u8]),
}

/// Rows of which all columns are looked at together, while what they are made of is in the processor's nearest caches.
///
/// The first of them say which columns earn a dictionary, so this, too, decides a chunk's bytes: see `ENCODER`.
pub(crate) const STRIP: usize = 2048;

/// The cells of many rows, some rows at a time.
pub(crate) trait Cells {
    /// Goes on to the next [`STRIP`] of rows, or to as many as there are, and tells how many; 0 at the end.
    fn advance(&mut self) -> usize;

    /// What stands in one of these rows, counted from 0, in a column.
    fn cell(&self, row: usize, place: Place<'_>) -> Cell<'_>;
}

/// Decodes all columns.
pub(crate) fn decode<'a>(
    rows: &mut impl Cells,
    readers: impl Iterator<Item = Reader<'a>>,
    misfits: &mut Misfits,
) -> Result<Vec<Values>, ArrowError> {
    let mut count = rows.advance();
    let begin = |(index, reader): (usize, Reader<'a>)| {
        let dictionary =
            Dictionary::begin(count, |row| rows.cell(row, (index, reader.column)), |text| reader.nulls.hold(text));
        // Of booleans Parquet has no dictionaries.
        let dictionary = dictionary.filter(|_| reader.column.column_type != ColumnType::Boolean);
        let read = dictionary.map_or_else(|| Read::Plain(Vec::new()), Read::Dictionary);
        Decoder { place: (index, reader.column), reader, read }
    };
    let mut decoders: Vec<_> = readers.enumerate().map(begin).collect();
    let mut start = 0;
    // Of no rows there is one strip, too, for the sake of its type.
    loop {
        for decoder in &mut decoders {
            decoder.take(start, count, rows, misfits);
        }
        start += count;
        count = rows.advance();
        if count == 0 {
            return decoders.into_iter().map(|decoder| decoder.finish(misfits)).collect();
        }
    }
}

/// A column that is being decoded.
#[derive(Debug)]
struct Decoder<'a> {
    place: Place<'a>,
    reader: Reader<'a>,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// Its texts recur; each is read once, at the end.
    Dictionary(Dictionary),
    /// Strips that were read.
    Plain(Vec<ArrayRef>),
}

impl Decoder<'_> {
    /// Takes so many rows in hand, before which there were `start`.
    fn take(&mut self, start: usize, count: usize, rows: &impl Cells, misfits: &mut Misfits) {
        let cell = |row| rows.cell(row, self.place);
        match &mut self.read {
            Read::Dictionary(dictionary) => dictionary.add(count, cell),
            Read::Plain(strips) => {
                strips.push(
                    self.reader.read((0..count).map(cell), |row, text| misfits.note(start + row, self.place, text)),
                );
            }
        }
    }

    fn finish(self, misfits: &mut Misfits) -> Result<Values, ArrowError> {
        match self.read {
            Read::Plain(strips) => concat(&strips.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map(Values::Plain),
            Read::Dictionary(dictionary) => read_dictionary(dictionary, self.reader, self.place, misfits),
        }
    }
}

/// Reads each text of a dictionary once.
fn read_dictionary(
    dictionary: Dictionary,
    reader: Reader<'_>,
    place: Place<'_>,
    misfits: &mut Misfits,
) -> Result<Values, ArrowError> {
    let mut unread = BTreeMap::new();
    let values = reader.read(dictionary.cells(), |number, text| {
        unread.insert(number, text);
    });
    if !unread.is_empty() {
        for (row, key) in dictionary.keys().iter().enumerate() {
            if let Some(text) = usize::try_from(*key).ok().and_then(|number| unread.get(&number)) {
                misfits.note(row, place, text);
            }
        }
    }
    let (pays, keys) = (dictionary.pays(), dictionary.into_keys());
    if pays {
        Ok(Values::Keyed(keys.into(), values))
    } else {
        take(&values, &Int32Array::from(keys), None).map(Values::Plain)
    }
}

/// The texts of a column that mean null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nulls<'a> {
    /// Whether a text of no letters does.
    empty: bool,
    words: &'a [String],
}

impl<'a> Nulls<'a> {
    /// None do.
    pub(crate) const NONE: Self = Self { empty: false, words: &[] };

    /// Those of a CSV source.
    pub(crate) fn of(csv: &'a CsvPolicy, column: &Column) -> Self {
        Self { empty: true, words: if column.null_words { &csv.null_words } else { &[] } }
    }

    /// Whether a text is one of them.
    pub(crate) fn hold(self, text: &[u8]) -> bool {
        if text.is_empty() { self.empty } else { self.words.iter().any(|word| word.as_bytes() == text) }
    }
}

/// Reads a date or a time.
type ReadMoment<V> = fn(&[u8], DateFormat) -> Option<V>;

/// How the texts of a column are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) column: &'a Column,
    pub(crate) notation: Notation,
    pub(crate) nulls: Nulls<'a>,
}

impl<'a> Reader<'a> {
    /// Reads values, by the functions that read one of a type that was inferred and told. What cannot be read is null, and noted.
    fn read(self, cells: impl Iterator<Item = Cell<'a>> + Clone, note: impl FnMut(usize, &'a [u8])) -> ArrayRef {
        let Self { column, notation, .. } = self;
        let (is_told, point) = (column.origin.is_told(), notation.point);
        macro_rules! primitive {
            ($type:ty, $strictly:expr, $told:expr) => {
                Arc::new(
                    if is_told {
                        self.numbers::<$type>(cells, $told, note)
                    } else {
                        self.numbers::<$type>(cells, $strictly, note)
                    }
                    .with_data_type(data_type(column.column_type)),
                )
            };
        }
        match column.column_type {
            ColumnType::Boolean => {
                let read = if is_told { value::told_boolean } else { value::boolean };
                Arc::new(self.values(cells, |text| read(text.bytes()), note).collect::<BooleanArray>())
            }
            ColumnType::Int64 => primitive!(Int64Type, number::int64, |text| number::told_int64(text, point)),
            ColumnType::Float64 => primitive!(Float64Type, |text| number::float64(text, notation), |text| {
                number::told_float64(text, point)
            }),
            ColumnType::Decimal { precision, scale } => {
                primitive!(Decimal128Type, |text| number::decimal(text, notation, precision, scale), |text| {
                    number::told_decimal(text, point, precision, scale)
                })
            }
            ColumnType::Date32 => self.moments::<Date32Type>(cells, [moment::date, moment::told_date], note),
            ColumnType::Timestamp => {
                self.moments::<TimestampMicrosecondType>(cells, [moment::timestamp, moment::told_timestamp], note)
            }
            ColumnType::TimestampUtc => {
                self.moments::<TimestampMicrosecondType>(cells, [moment::timestamp_utc, moment::told_timestamp], note)
            }
            ColumnType::Utf8 => Arc::new(self.texts(cells.clone()).unwrap_or_else(|| {
                self.values(cells, |text| std::str::from_utf8(text.bytes()).ok(), note).collect::<StringArray>()
            })),
        }
    }

    /// Dates and times, by the function that reads one of an inferred type, and that which reads one of a told type.
    fn moments<T: ArrowPrimitiveType>(
        self,
        cells: impl Iterator<Item = Cell<'a>>,
        [strictly, told]: [ReadMoment<T::Native>; 2],
        note: impl FnMut(usize, &'a [u8]),
    ) -> ArrayRef {
        let read = if self.column.origin.is_told() { told } else { strictly };
        let moments = self.numbers::<T>(cells, |text| read(text.bytes(), self.column.date_format), note);
        Arc::new(moments.with_data_type(data_type(self.column.column_type)))
    }

    /// Texts; `None` where not all of them are UTF-8. That is told of all at once, which is quick.
    fn texts(self, cells: impl Iterator<Item = Cell<'a>> + Clone) -> Option<StringArray> {
        let length = |cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        let (rows, bytes) = cells.clone().map(length).fold((0, 0), |(rows, bytes), length| (rows + 1, bytes + length));
        let (mut text, mut ends) = (Vec::with_capacity(bytes), Vec::with_capacity(rows + 1));
        let mut nulls = NullBufferBuilder::new(rows);
        ends.push(0);
        for cell in cells {
            match cell {
                Cell::Null => nulls.append_null(),
                Cell::Text(value) if self.nulls.hold(value.bytes()) => nulls.append_null(),
                Cell::Text(value) => {
                    text.extend_from_slice(value.bytes());
                    nulls.append_non_null();
                }
                Cell::Misfit(_) => return None,
            }
            ends.push(i32::try_from(text.len()).ok()?);
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), text.into(), nulls.finish()).ok()
    }

    fn numbers<T: ArrowPrimitiveType>(
        self,
        cells: impl Iterator<Item = Cell<'a>>,
        read: impl Fn(Field<'a>) -> Option<T::Native>,
        note: impl FnMut(usize, &'a [u8]),
    ) -> PrimitiveArray<T> {
        let rows = cells.size_hint().0;
        let mut numbers = Vec::with_capacity(rows);
        let mut nulls = NullBufferBuilder::new(rows);
        for value in self.values(cells, read, note) {
            nulls.append(value.is_some());
            numbers.push(value.unwrap_or_default());
        }
        PrimitiveArray::new(numbers.into(), nulls.finish())
    }

    /// Values; what cannot be read is null, and noted unless it means that.
    fn values<V>(
        self,
        cells: impl Iterator<Item = Cell<'a>>,
        read: impl Fn(Field<'a>) -> Option<V>,
        mut note: impl FnMut(usize, &'a [u8]),
    ) -> impl Iterator<Item = Option<V>> {
        let nulls = self.nulls;
        // Most texts are values, so whether they mean null is asked first only where one may be both.
        let empty = nulls.empty.then_some(&[][..]);
        let are_values = nulls.words.iter().map(String::as_bytes).chain(empty).any(|null| read(null.into()).is_some());
        cells.enumerate().map(move |(row, cell)| match cell {
            Cell::Null => None,
            Cell::Text(text) if are_values && nulls.hold(text.bytes()) => None,
            Cell::Text(text) => {
                let value = read(text);
                if value.is_none() && !nulls.hold(text.bytes()) {
                    note(row, text.bytes());
                }
                value
            }
            Cell::Misfit(text) => {
                note(row, text);
                None
            }
        })
    }
}
