//! Columns: the cells of many records become values of one type.

mod reader;

use std::collections::BTreeMap;

use shared::{Column, ColumnType};

use self::reader::Builder;
pub(crate) use self::reader::{Nulls, Reader};
use crate::batch::{Keyed, Values};
use crate::decode::Misfits;
use crate::dictionary::Dictionary;
use crate::field::Field;

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

/// The first rows, which say which columns earn a dictionary, so that this decides a chunk's bytes: see `ENCODER`.
pub(crate) const FIRST_ROWS: usize = 2048;

/// Rows of which all columns are looked at together, while what they are made of is in the processor's nearest caches.
///
/// At their end it shows whether a dictionary grows in vain, so this, too, decides a chunk's bytes: see `ENCODER`.
pub(crate) const STRIP: usize = 512;

/// The cells of many rows, some rows at a time.
pub(crate) trait Cells {
    /// Goes on to the next rows, at most so many, and tells how many there are; 0 at the end.
    fn advance(&mut self, most: usize) -> usize;

    /// How many there are likely to be in all, for room to be made.
    fn expected(&self) -> usize;

    /// Bytes of all that stands in them, at most.
    fn bytes(&self) -> usize;

    /// What stands in a column, row by row of these, counted from 0.
    fn column<'a>(&'a self, place: Place<'a>) -> impl Fn(usize) -> Cell<'a> + Copy;
}

/// Decodes all columns.
pub(crate) fn decode<'a>(
    rows: &mut impl Cells,
    readers: impl Iterator<Item = Reader<'a>>,
    misfits: &mut Misfits,
) -> Vec<Values> {
    let mut count = rows.advance(FIRST_ROWS);
    let mut decoders: Vec<_> =
        readers.enumerate().map(|(index, reader)| Decoder::begin(index, reader, count, rows, misfits)).collect();
    let mut start = count;
    loop {
        count = rows.advance(STRIP);
        if count == 0 {
            return decoders.into_iter().map(|decoder| decoder.finish(misfits)).collect();
        }
        for decoder in &mut decoders {
            decoder.take(start, count, rows, misfits);
        }
        start += count;
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
    Dictionary(Box<Dictionary>),
    /// Each is read when it comes.
    Plain(Builder),
}

impl<'a> Decoder<'a> {
    /// Begins a column with its first rows.
    fn begin(index: usize, reader: Reader<'a>, count: usize, rows: &impl Cells, misfits: &mut Misfits) -> Self {
        let (place, column_type) = ((index, reader.column), reader.column.column_type);
        let cell = rows.column(place);
        // Of booleans Parquet has no dictionaries.
        if column_type != ColumnType::Boolean
            && let Some(dictionary) = Dictionary::begin(count, rows.expected(), cell, |text| reader.nulls.hold(text))
        {
            return Self { place, reader, read: Read::Dictionary(Box::new(dictionary)) };
        }
        let length = |row| if let Cell::Text(text) = cell(row) { text.len() } else { 0 };
        let texts = if column_type == ColumnType::Utf8 { count } else { 0 };
        let bytes = (0..texts).map(length).sum::<usize>().div_ceil(count.max(1)) * rows.expected();
        let values = Builder::new(column_type, rows.expected(), bytes.min(rows.bytes()));
        let mut decoder = Self { place, reader, read: Read::Plain(values) };
        decoder.take(0, count, rows, misfits);
        decoder
    }

    /// Takes so many rows in hand, before which there were `start`.
    fn take(&mut self, start: usize, count: usize, rows: &impl Cells, misfits: &mut Misfits) {
        let cell = rows.column(self.place);
        match &mut self.read {
            Read::Dictionary(dictionary) => {
                dictionary.add(count, cell);
                if dictionary.is_in_vain() {
                    self.read = Read::Plain(read_rows(dictionary, self.reader, self.place, misfits));
                }
            }
            Read::Plain(values) => {
                self.reader.read((0..count).map(cell), values, |row, text| misfits.note(start + row, self.place, text));
            }
        }
    }

    fn finish(self, misfits: &mut Misfits) -> Values {
        let Self { place, reader, read } = self;
        let values = match read {
            Read::Dictionary(dictionary) if dictionary.pays() => {
                return read_dictionary(*dictionary, reader, place, misfits);
            }
            Read::Dictionary(dictionary) => read_rows(&dictionary, reader, place, misfits),
            Read::Plain(values) => values,
        };
        Values::Plain(values.finish(|row, text| misfits.note(row, place, text)))
    }
}

/// Reads each text of a dictionary once.
fn read_dictionary(dictionary: Dictionary, reader: Reader<'_>, place: Place<'_>, misfits: &mut Misfits) -> Values {
    let mut unread = BTreeMap::new();
    let mut values = Builder::new(reader.column.column_type, dictionary.len(), dictionary.text_bytes());
    let mut note = |number, text: &[u8]| {
        unread.insert(number, text.to_vec());
    };
    reader.read(dictionary.cells(), &mut values, &mut note);
    let values = values.finish(note);
    if !unread.is_empty() {
        for (row, key) in dictionary.keys().iter().enumerate() {
            if let Some(text) = usize::try_from(*key).ok().and_then(|number| unread.get(&number)) {
                misfits.note(row, place, text);
            }
        }
    }
    Values::Keyed(Keyed::of_all(dictionary.into_keys(), values))
}

/// Reads the text of each row of a dictionary that does not pay.
fn read_rows(dictionary: &Dictionary, reader: Reader<'_>, place: Place<'_>, misfits: &mut Misfits) -> Builder {
    let cells: Vec<_> = dictionary.cells().collect();
    let keys = dictionary.keys().iter();
    let rows = keys.filter_map(|key| cells.get(usize::try_from(*key).ok()?).copied());
    let mut values = Builder::new(reader.column.column_type, dictionary.keys().len(), dictionary.text_bytes());
    reader.read(rows, &mut values, |row, text| misfits.note(row, place, text));
    values
}
