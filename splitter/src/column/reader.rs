//! How the texts of a column are read, and the values that come of it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BinaryBuilder, BooleanBuilder, NullBufferBuilder, PrimitiveArray,
    StringArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use shared::{Column, ColumnType, CsvPolicy};

use super::cell::Cell;
use crate::column::invalid_values::Note;
use crate::column::types::data_type;
use crate::records::field::Field;
use crate::records::record_ends::byte;
use crate::value;
use crate::value::moment;
use crate::value::number::{self, Nearest, Notation};

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

/// Whether a field means null in a column.
pub(crate) fn is_null(text: &[u8], csv: &CsvPolicy, column: &Column) -> bool {
    Nulls::of(csv, column).hold(text)
}

/// How numbers are written in a CSV source.
pub(crate) fn notation(csv: &CsvPolicy) -> Notation {
    Notation { point: byte(csv.dialect.decimal), bare_exponents: false }
}

/// How the texts of a column are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) column: &'a Column,
    pub(crate) notation: Notation,
    pub(crate) nulls: Nulls<'a>,
}

/// Values of a column that were read so far.
#[derive(Debug)]
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    Int64(Numbers<Int64Type>),
    Float64(Numbers<Float64Type>),
    /// With its precision and scale.
    Decimal(Numbers<Decimal128Type>, u8, u8),
    Date(Numbers<Date32Type>),
    Timestamp(Numbers<TimestampMicrosecondType>),
    TimestampUtc(Numbers<TimestampMicrosecondType>),
    /// Whether they are UTF-8 is checked for all at once, which is quick.
    Text(BinaryBuilder),
}

/// Values of a fixed width. Arrow's own builder takes about twice the instructions for each: it notes every one that is not null.
#[derive(Debug)]
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    column_type: ColumnType,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new(column_type: ColumnType, rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows), column_type }
    }

    #[inline]
    fn append_option(&mut self, value: Option<T::Native>) {
        if value.is_none() {
            self.tell_values();
            self.nulls.append_null();
        }
        self.values.push(value.unwrap_or_default());
    }

    /// Tells the builder of nulls of the values since the last null.
    fn tell_values(&mut self) {
        self.nulls.append_n_non_nulls(self.values.len() - self.nulls.len());
    }

    fn finish(mut self) -> ArrayRef {
        self.tell_values();
        let values = PrimitiveArray::<T>::new(self.values.into(), self.nulls.finish());
        Arc::new(values.with_data_type(data_type(self.column_type)))
    }
}

impl Builder {
    /// No values of a type yet, and room for so many, and for so many bytes of texts.
    pub(super) fn new(column_type: ColumnType, rows: usize, bytes: usize) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64(Numbers::new(column_type, rows)),
            ColumnType::Float64 => Self::Float64(Numbers::new(column_type, rows)),
            ColumnType::Decimal { precision, scale } => {
                Self::Decimal(Numbers::new(column_type, rows), precision, scale)
            }
            ColumnType::Date32 => Self::Date(Numbers::new(column_type, rows)),
            ColumnType::Timestamp => Self::Timestamp(Numbers::new(column_type, rows)),
            ColumnType::TimestampUtc => Self::TimestampUtc(Numbers::new(column_type, rows)),
            ColumnType::Utf8 => Self::Text(BinaryBuilder::with_capacity(rows, bytes)),
        }
    }

    /// All of them. A text that is not UTF-8 is null, and noted with its place among them.
    pub(super) fn finish(self, note: impl FnMut(usize, Note<'_>)) -> ArrayRef {
        match self {
            Self::Boolean(mut values) => Arc::new(values.finish()),
            Self::Int64(values) => values.finish(),
            Self::Float64(values) => values.finish(),
            Self::Decimal(values, ..) => values.finish(),
            Self::Date(values) => values.finish(),
            Self::Timestamp(values) | Self::TimestampUtc(values) => values.finish(),
            Self::Text(mut values) => Arc::new(texts(&values.finish(), note)),
        }
    }
}

fn texts(values: &BinaryArray, mut note: impl FnMut(usize, Note<'_>)) -> StringArray {
    StringArray::try_from_binary(values.clone()).unwrap_or_else(|_| {
        let one_by_one = values.iter().enumerate().map(|(row, value)| {
            let text = std::str::from_utf8(value?);
            if text.is_err() {
                note(row, Note::Invalid(value?));
            }
            text.ok()
        });
        one_by_one.collect()
    })
}

impl<'a> Reader<'a> {
    /// Reads values, by the functions for types that were inferred, or given. What cannot be read is null, and noted with
    /// its place among the cells.
    pub(super) fn read<'c>(
        self,
        cells: impl Iterator<Item = Cell<'c>>,
        values: &mut Builder,
        note: impl FnMut(usize, Note<'c>),
    ) where
        'a: 'c,
    {
        let (column, notation, point, format) =
            (self.column, self.notation, self.notation.point, self.column.date_format);
        let lenient_date = |text: &[u8]| moment::lenient_date(text, format);
        let lenient_time = |text: &[u8]| moment::lenient_timestamp(text, format);
        macro_rules! read {
            ($values:expr, $strictly:expr, $lenient:expr) => {
                if column.origin.is_given() {
                    self.values(cells, $lenient, note, |value| $values.append_option(value))
                } else {
                    self.values(cells, $strictly, note, |value| $values.append_option(value))
                }
            };
        }
        macro_rules! read_texts {
            ($values:expr, $strictly:expr, $lenient:expr) => {
                read!($values, |text: Field<'_>| $strictly(text.bytes()), |text: Field<'_>| $lenient(text.bytes()))
            };
        }
        match values {
            Builder::Boolean(values) => read_texts!(values, value::boolean, value::lenient_boolean),
            Builder::Int64(values) => read!(values, number::int64, |text| number::lenient_int64(text, point)),
            Builder::Float64(values) if column.origin.is_given() => self.nearest(cells, values, note),
            Builder::Float64(values) => {
                self.values(cells, |text| number::float64(text, notation), note, |value| values.append_option(value));
            }
            Builder::Decimal(values, precision, scale) => {
                let (most, scale) = (*precision, *scale);
                let lenient = |text: Field<'_>| number::lenient_decimal(text, point, most, scale);
                read!(values, |text| number::decimal(text, notation, most, scale), lenient);
            }
            Builder::Date(values) => read_texts!(values, |text| moment::date(text, format), lenient_date),
            Builder::Timestamp(values) => {
                read_texts!(values, |text| moment::timestamp(text, format), lenient_time);
            }
            Builder::TimestampUtc(values) => {
                read_texts!(values, |text| moment::timestamp_utc(text, format), lenient_time);
            }
            Builder::Text(values) => {
                self.values(cells, |text| Some(text.bytes()), note, |value| values.append_option(value));
            }
        }
    }

    /// A text that is not a value as it stands: without the blanks around it, it may be one, or mean null. Else it is noted.
    #[cold]
    fn read_unpadded<'c, V>(
        self,
        text: &'c [u8],
        read: impl Fn(Field<'c>) -> Option<V>,
        note: impl FnOnce(&'c [u8]),
    ) -> Option<V> {
        let unpadded = value::unpadded(text);
        let value = if unpadded.len() < text.len() { read(unpadded.into()) } else { None };
        if value.is_none() && !self.nulls.hold(unpadded) {
            note(text);
        }
        value
    }

    /// The numbers that are nearest to texts. What lost digits is noted too.
    fn nearest<'c>(
        self,
        cells: impl Iterator<Item = Cell<'c>>,
        values: &mut Numbers<Float64Type>,
        note: impl FnMut(usize, Note<'c>),
    ) where
        'a: 'c,
    {
        let append = |nearest: Option<Nearest>| {
            values.append_option(nearest.map(|nearest| nearest.value));
            nearest.is_some_and(|nearest| nearest.is_shortened)
        };
        self.values_or_less(cells, |text| number::lenient_float64(text, self.notation.point), note, append);
    }

    /// Values; what cannot be read is null, and noted unless it means that.
    fn values<'c, V>(
        self,
        cells: impl Iterator<Item = Cell<'c>>,
        read: impl Fn(Field<'c>) -> Option<V>,
        note: impl FnMut(usize, Note<'c>),
        mut append: impl FnMut(Option<V>),
    ) where
        'a: 'c,
    {
        self.values_or_less(cells, read, note, |value| {
            append(value);
            false
        });
    }

    /// The same; `append` says which of them lost digits.
    fn values_or_less<'c, V>(
        self,
        cells: impl Iterator<Item = Cell<'c>>,
        read: impl Fn(Field<'c>) -> Option<V>,
        mut note: impl FnMut(usize, Note<'c>),
        mut append: impl FnMut(Option<V>) -> bool,
    ) where
        'a: 'c,
    {
        let nulls = self.nulls;
        // Most texts are values, so whether they mean null is asked first only where one may be both.
        let empty = nulls.empty.then_some(&[][..]);
        let are_values = nulls.words.iter().map(String::as_bytes).chain(empty).any(|null| read(null.into()).is_some());
        cells.enumerate().for_each(|(row, cell)| {
            let is_shortened = append(match cell {
                Cell::Null => None,
                Cell::Text(text) if are_values && nulls.hold(text.bytes()) => None,
                Cell::Text(text) => read(text)
                    .or_else(|| self.read_unpadded(text.bytes(), &read, |text| note(row, Note::Invalid(text)))),
                Cell::Invalid(text) => {
                    note(row, Note::Invalid(text));
                    None
                }
            });
            if is_shortened {
                note(row, Note::Shortened);
            }
        });
    }
}
