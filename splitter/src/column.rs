//! Columns: the cells of many records become values of one type.

pub(crate) mod batch;
pub(crate) mod cell;
pub(crate) mod dictionary;
pub(crate) mod invalid_values;
pub(crate) mod reader;
pub(crate) mod types;

use std::collections::{BTreeMap, BTreeSet};

use shared::ColumnType;

use self::cell::{Cell, Cells, ColumnRef, FIRST_ROWS, STRIP};
use self::reader::{Builder, Reader};
use crate::column::dictionary::Dictionary;
use crate::column::invalid_values::{InvalidValues, Note};
use shared::values::{Keyed, Sparse, Values};

/// Decodes all columns.
pub(crate) fn decode<'a>(
    rows: &mut impl Cells,
    readers: impl Iterator<Item = Reader<'a>>,
    invalid: &mut InvalidValues,
) -> Vec<Values> {
    let mut count = rows.advance(FIRST_ROWS);
    let begin = |(index, reader): (usize, Reader<'a>)| {
        let (place, expected) = ((index, reader.column), (rows.expected(), rows.bytes()));
        let decoder = Decoder::begin(reader, count, 0, expected, rows.column(place), |row, noted| {
            invalid.note(row, place, noted);
        });
        (place, decoder)
    };
    let mut decoders: Vec<_> = readers.enumerate().map(begin).collect();
    loop {
        count = rows.advance(STRIP);
        if count == 0 {
            break;
        }
        for (place, decoder) in &mut decoders {
            decoder.take(count, 0, rows.column(*place), |row, noted| invalid.note(row, *place, noted));
        }
    }
    let finish =
        |(place, decoder): (ColumnRef<'a>, Decoder<'a>)| decoder.finish(|row, noted| invalid.note(row, place, noted));
    decoders.into_iter().map(finish).collect()
}

/// Decodes a column that has a cell in these of so many rows, in order, and in the others none: to nothing else than if they were null,
/// and without a step for each of them.
pub(crate) fn decode_some<'a, 'c>(
    place: ColumnRef<'a>,
    reader: Reader<'a>,
    (given, rows): (Vec<u32>, usize),
    bytes: usize,
    cell: impl Fn(usize) -> Cell<'c> + Copy,
    invalid: &mut InvalidValues,
) -> Values
where
    'a: 'c,
{
    let row = |number: usize| given.get(number).and_then(|row| usize::try_from(*row).ok()).unwrap_or(rows);
    let mut note = |number, noted: Note<'_>| invalid.note(row(number), place, noted);
    let mut end = rows.min(FIRST_ROWS);
    let mut taken = given.partition_point(|row| usize::try_from(*row).is_ok_and(|row| row < end));
    let mut decoder = Decoder::begin(reader, taken, end - taken, (given.len(), bytes), cell, &mut note);
    while taken < given.len() {
        // Strips without a cell change nothing.
        let next = end + (row(taken) - end) / STRIP * STRIP + STRIP;
        let count = (taken..given.len()).take_while(|number| row(*number) < next).count();
        let absent = next.min(rows) - end - count;
        decoder.take(count, absent, |number| cell(taken + number), &mut note);
        (taken, end) = (taken + count, next.min(rows));
    }
    decoder.pass(rows - end);
    let values = decoder.finish(note);
    if given.len() == rows { values } else { Values::Sparse(Sparse::new(given, rows, values)) }
}

/// A column that is being decoded.
#[derive(Debug)]
struct Decoder<'a> {
    reader: Reader<'a>,
    read: Read,
    /// Cells that were taken.
    cells: usize,
}

#[derive(Debug)]
enum Read {
    /// Its texts recur; each is read once, at the end.
    Dictionary(Box<Dictionary>),
    /// Each is read when it comes.
    Plain(Builder),
}

impl<'a> Decoder<'a> {
    /// Begins a column with the cells of its first rows, of which others have none. So many cells are expected in all, of so many
    /// bytes at most. Cells that do not fit are noted by their number among all.
    fn begin<'c>(
        reader: Reader<'a>,
        count: usize,
        absent: usize,
        (expected, most_bytes): (usize, usize),
        cell: impl Fn(usize) -> Cell<'c> + Copy,
        note: impl FnMut(usize, Note<'_>),
    ) -> Self
    where
        'a: 'c,
    {
        let column_type = reader.column.column_type;
        // Of booleans Parquet has no dictionaries.
        if column_type != ColumnType::Boolean
            && let Some(dictionary) = Dictionary::begin((count, absent), expected, cell, |text| reader.nulls.hold(text))
        {
            return Self { reader, read: Read::Dictionary(Box::new(dictionary)), cells: count };
        }
        let length = |number| if let Cell::Text(text) = cell(number) { text.len() } else { 0 };
        let texts = if column_type == ColumnType::Utf8 { count } else { 0 };
        let bytes = (0..texts).map(length).sum::<usize>().div_ceil(count.max(1)) * expected;
        let values = Builder::new(column_type, expected, bytes.min(most_bytes));
        let mut decoder = Self { reader, read: Read::Plain(values), cells: 0 };
        decoder.take(count, absent, cell, note);
        decoder
    }

    /// Takes the cells of more rows, of which others have none. Cells that do not fit are noted by their number among all.
    fn take<'c>(
        &mut self,
        count: usize,
        absent: usize,
        cell: impl Fn(usize) -> Cell<'c>,
        mut note: impl FnMut(usize, Note<'_>),
    ) where
        'a: 'c,
    {
        match &mut self.read {
            Read::Dictionary(dictionary) => {
                dictionary.add(count, cell);
                dictionary.pass(absent);
                if dictionary.is_in_vain() {
                    self.read = Read::Plain(read_rows(dictionary, self.reader, note));
                }
            }
            Read::Plain(values) => {
                let before = self.cells;
                self.reader.read((0..count).map(cell), values, |number, noted| note(before + number, noted));
            }
        }
        self.cells += count;
    }

    /// Continues after rows without a cell.
    fn pass(&mut self, absent: usize) {
        if let Read::Dictionary(dictionary) = &mut self.read {
            dictionary.pass(absent);
        }
    }

    /// The values of all cells.
    fn finish(self, mut note: impl FnMut(usize, Note<'_>)) -> Values {
        let Self { reader, read, .. } = self;
        let values = match read {
            Read::Dictionary(dictionary) if dictionary.pays() => return read_dictionary(*dictionary, reader, note),
            Read::Dictionary(dictionary) => read_rows(&dictionary, reader, &mut note),
            Read::Plain(values) => values,
        };
        Values::Plain(values.finish(note))
    }
}

/// Reads each text of a dictionary once.
fn read_dictionary(dictionary: Dictionary, reader: Reader<'_>, mut note: impl FnMut(usize, Note<'_>)) -> Values {
    let (mut unread, mut shortened) = (BTreeMap::new(), BTreeSet::new());
    let mut values = Builder::new(reader.column.column_type, dictionary.len(), dictionary.text_bytes());
    let mut note_text = |number, noted: Note<'_>| match noted {
        Note::Invalid(text) => drop(unread.insert(number, text.to_vec())),
        Note::Shortened => drop(shortened.insert(number)),
    };
    reader.read(dictionary.cells(), &mut values, &mut note_text);
    let values = values.finish(note_text);
    if !unread.is_empty() || !shortened.is_empty() {
        for (row, key) in dictionary.keys().iter().enumerate() {
            let Ok(number) = usize::try_from(*key) else { continue };
            if let Some(text) = unread.get(&number) {
                note(row, Note::Invalid(text));
            } else if shortened.contains(&number) {
                note(row, Note::Shortened);
            }
        }
    }
    Values::Keyed(Keyed::of_all(dictionary.into_keys(), values))
}

/// Reads the text of each row of a dictionary that does not pay.
fn read_rows(dictionary: &Dictionary, reader: Reader<'_>, note: impl FnMut(usize, Note<'_>)) -> Builder {
    let cells: Vec<_> = dictionary.cells().collect();
    let keys = dictionary.keys().iter();
    let rows = keys.filter_map(|key| cells.get(usize::try_from(*key).ok()?).copied());
    let mut values = Builder::new(reader.column.column_type, dictionary.keys().len(), dictionary.text_bytes());
    reader.read(rows, &mut values, note);
    values
}
