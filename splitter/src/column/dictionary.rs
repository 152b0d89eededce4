//! Dictionaries: the different cells of a column, each once, and which of them stands in each row.
//!
//! Most columns of real files repeat: flags, codes, dates, names. Their texts are recognised before they are read, so that each
//! different one is converted once, and Parquet's dictionary page is written as it is. Looking up a text is then the most frequent
//! operation of the whole splitter, so it is made of steps none of which waits for memory before it goes on to the next cell:
//!
//! 1. 64 cells get an *outline* and a hash. A text of up to 16 bytes is its own outline: equal outlines are equal texts, and no
//!    second comparison is needed. A longer text has its first and last eight bytes, and its length.
//! 2. The slots of all 64 hashes are read.
//! 3. The outlines in these slots are compared. Only what was not found goes the slow way, cell by cell ([`Dictionary::number`]),
//!    which tries further slots and adds new texts.
//!
//! A batch of known texts of one byte each takes an even shorter way: a table by byte.
//!
//! A dictionary is not always worth it. [`Dictionary::begin`] looks at the first rows, [`Dictionary::is_in_vain`] gives one up
//! that grows too large, and [`Dictionary::pays`] decides at the end. All of these, and the numbers below, decide a chunk's
//! bytes (see `ENCODER`), so they depend on the cells alone. The hash has a fixed seed for the same reason: texts that find no
//! slot are numbered twice. Cells are numbered in the order in which they come first, so the hash does not show otherwise.

mod outline;

use std::ops::Range;

use crate::column::cell::Cell;
use crate::column::dictionary::outline::Outline;
use crate::records::field::{Field, WORD_BYTES};
use crate::records::span::Span;

/// Rows that it takes to decide whether a column earns a dictionary.
const LEAST_ROWS: usize = 1024;

/// The share of the first rows that must have occurred in them before, as a divisor. Of values in no order, 2,048 rows have so
/// many when there are fewer than 8,192 different ones.
const REPEATED_SHARE: usize = 8;

/// Places that are tried for a text. More are only needed where texts were chosen to collide.
const MOST_TRIES: usize = 64;

/// Cells that are numbered together.
const BATCH: usize = 64;

/// Slots for each text, at least, most of which are free, so that few texts are not found at first.
const SLOTS_PER_TEXT: usize = 4;

/// Texts beyond which a dictionary that does not pay is given up, for the sake of the memory that it takes.
const LEAST_IN_VAIN: usize = 1 << 15;

/// Slots of an empty dictionary.
const SLOTS: usize = 4096;

/// A dictionary that grows by rows.
#[derive(Debug)]
pub(crate) struct Dictionary {
    /// By hash, the number of a text plus one, or 0. As many as a power of two.
    slots: Vec<u32>,
    /// By number, from 0 in the order in which they came first.
    outlines: Vec<Outline>,
    held: Vec<Held>,
    /// By byte, the number of the text that it is alone, or -1.
    of_bytes: [i32; 256],
    /// The texts that are held.
    text: Vec<u8>,
    null: Option<i32>,
    /// Of each row that has a cell, the number of it.
    keys: Vec<i32>,
    /// Rows that have none, which count as if it were null.
    absent: usize,
}

/// A cell, its text elsewhere.
#[derive(Clone, Copy, Debug)]
enum Held {
    Null,
    Text(Span),
    Invalid(Span),
}

/// A batch of cells that are looked for, and what was found.
struct Lookup {
    /// By what, and where first.
    looked_for: [(Outline, usize); BATCH],
    /// What stands there.
    slots: [u32; BATCH],
    /// Their numbers.
    keys: [i32; BATCH],
}

impl Dictionary {
    /// A dictionary of so many rows with a cell, and so many without, with room for as many cells as are expected, if they show that
    /// their column earns one: a function of the cells alone, as a chunk's bytes must be.
    pub(crate) fn begin<'a>(
        (rows, absent): (usize, usize),
        expected: usize,
        cell: impl Fn(usize) -> Cell<'a>,
        is_null: impl Fn(&[u8]) -> bool,
    ) -> Option<Self> {
        if rows + absent < LEAST_ROWS {
            return None;
        }
        let mut dictionary = Self::new(match expected {
            0 => 0,
            // Whatever these are, each finds a place here, and so none is held twice.
            1..=MOST_TRIES => MOST_TRIES * SLOTS_PER_TEXT,
            _ => SLOTS,
        });
        dictionary.absent = absent;
        dictionary.keys.reserve(expected);
        dictionary.add(rows, cell);
        let is_value = |cell: Cell<'_>| matches!(cell, Cell::Text(text) if !is_null(text.bytes()));
        let are_values: Vec<bool> = dictionary.cells().map(is_value).collect();
        let is_value =
            |number: &i32| usize::try_from(*number).ok().and_then(|number| are_values.get(number)) == Some(&true);
        let values = dictionary.keys.iter().filter(|number| is_value(number)).count();
        let different = are_values.into_iter().filter(|is_value| *is_value).count();
        (different + values / REPEATED_SHARE <= values).then_some(dictionary)
    }

    fn new(slots: usize) -> Self {
        Self {
            slots: vec![0; slots],
            outlines: Vec::new(),
            held: Vec::new(),
            of_bytes: [-1; 256],
            text: Vec::new(),
            null: None,
            keys: Vec::new(),
            absent: 0,
        }
    }

    /// Adds so many rows.
    pub(crate) fn add<'a>(&mut self, rows: usize, cell: impl Fn(usize) -> Cell<'a>) {
        let mut lookup = Lookup { looked_for: [(Outline::NONE, 0); BATCH], slots: [0; BATCH], keys: [0; BATCH] };
        self.keys.reserve(rows);
        for batch in (0..rows).step_by(BATCH).map(|start| start..rows.min(start + BATCH)) {
            if !self.find_bytes(batch.clone(), &cell, &mut lookup) {
                self.find(batch.clone(), &cell, &mut lookup);
            }
            self.keys.extend_from_slice(lookup.keys.get(..batch.len()).unwrap_or_default());
        }
    }

    /// Continues after so many rows without a cell.
    pub(crate) fn pass(&mut self, absent: usize) {
        self.absent += absent;
    }

    /// Finds the numbers of rows that are known texts of one byte each, as flags and small numbers are; whether all were.
    #[inline]
    fn find_bytes<'a>(&self, rows: Range<usize>, cell: &impl Fn(usize) -> Cell<'a>, lookup: &mut Lookup) -> bool {
        lookup.keys.iter_mut().zip(rows).all(|(key, row)| {
            let Cell::Text(text) = cell(row) else { return false };
            *key = text.byte().and_then(|byte| self.of_bytes.get(usize::from(byte)).copied()).unwrap_or(-1);
            *key >= 0
        })
    }

    /// Finds the numbers of rows; cells that were not there yet get one.
    ///
    /// In steps none of which waits for memory before it goes on to the next cell.
    #[inline]
    fn find<'a>(&mut self, rows: Range<usize>, cell: &impl Fn(usize) -> Cell<'a>, lookup: &mut Lookup) {
        let Lookup { looked_for, slots, keys } = lookup;
        for (looked_for, row) in looked_for.iter_mut().zip(rows.clone()) {
            *looked_for = if let Cell::Text(text) = cell(row) { Outline::with_hash(text) } else { (Outline::NONE, 0) };
        }
        for (slot, (_, hash)) in slots.iter_mut().zip(&*looked_for) {
            *slot = self.slots.get(hash & (self.slots.len() - 1)).copied().unwrap_or_default();
        }
        for ((key, (slot, looked_for)), row) in keys.iter_mut().zip(slots.iter().zip(&*looked_for)).zip(rows) {
            let number = slot.wrapping_sub(1);
            let found = usize::try_from(number).ok().and_then(|number| self.outlines.get(number));
            let (outline, _) = looked_for;
            let is_found = found == Some(outline) && (outline.length <= WORD_BYTES || self.is_text(number, cell(row)));
            *key = if is_found {
                i32::try_from(number).unwrap_or_default()
            } else {
                self.number_cell(cell(row), *looked_for)
            };
        }
    }

    /// Whether a number's text is this one, of those that begin and end alike.
    fn is_text(&self, number: u32, cell: Cell<'_>) -> bool {
        let held = usize::try_from(number).ok().and_then(|number| self.held.get(number));
        matches!((held, cell), (Some(Held::Text(held)), Cell::Text(text)) if held.of(&self.text) == text.bytes())
    }

    /// The different cells, in the order in which they came first.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> + Clone {
        self.held.iter().map(|held| match held {
            Held::Null => Cell::Null,
            Held::Text(span) => Cell::Text(Field::at(&self.text, *span)),
            Held::Invalid(span) => Cell::Invalid(span.of(&self.text)),
        })
    }

    /// Of each row that has a cell, the number of it among these.
    pub(crate) fn keys(&self) -> &[i32] {
        &self.keys
    }

    /// The same, in the place of the dictionary.
    pub(crate) fn into_keys(self) -> Vec<i32> {
        self.keys
    }

    /// How many different cells there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Bytes of all of them.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether it has grown large, and does not pay.
    pub(crate) fn is_in_vain(&self) -> bool {
        self.held_with_null() > LEAST_IN_VAIN && !self.pays()
    }

    /// Whether cells occur twice on average, so that what is written of each is less with the dictionary.
    pub(crate) fn pays(&self) -> bool {
        self.held_with_null() * 2 <= self.keys.len() + self.absent
    }

    /// How many different cells there are, null for rows without one included.
    fn held_with_null(&self) -> usize {
        self.held.len() + usize::from(self.absent > 0 && self.null.is_none())
    }

    #[inline(never)]
    fn number_cell(&mut self, cell: Cell<'_>, looked_for: (Outline, usize)) -> i32 {
        match cell {
            Cell::Text(text) => self.number(text, looked_for),
            Cell::Null => {
                let null = self.null.unwrap_or_else(|| self.hold(Outline::NONE, Held::Null));
                self.null = Some(null);
                null
            }
            Cell::Invalid(text) => {
                let span = self.keep(text);
                self.hold(Outline::NONE, Held::Invalid(span))
            }
        }
    }

    /// The number of a text. One of many that collide is held for each row that has it.
    fn number(&mut self, text: Field<'_>, (outline, hash): (Outline, usize)) -> i32 {
        let mut free = None;
        for place in self.places(hash) {
            let slot = self.slots.get(place).copied().unwrap_or_default();
            let Some(number) = slot.checked_sub(1) else {
                free = Some(place);
                break;
            };
            if self.is(number, outline, text) {
                return i32::try_from(number).unwrap_or_default();
            }
        }
        let span = self.keep(text.bytes());
        let number = self.hold(outline, Held::Text(span));
        if let Some(slot) = free.and_then(|free| self.slots.get_mut(free)) {
            *slot = u32::try_from(number).unwrap_or_default() + 1;
            if let Some(of_byte) = text.byte().and_then(|byte| self.of_bytes.get_mut(usize::from(byte))) {
                *of_byte = number;
            }
        }
        if self.held.len() * SLOTS_PER_TEXT > self.slots.len() {
            self.grow();
        }
        number
    }

    /// The slots that a text of this hash may have.
    fn places(&self, hash: usize) -> impl Iterator<Item = usize> + use<> {
        let last = self.slots.len() - 1;
        (0..MOST_TRIES).map(move |next| hash.wrapping_add(next) & last)
    }

    /// Whether this is the text of a number.
    fn is(&self, number: u32, outline: Outline, text: Field<'_>) -> bool {
        let held = usize::try_from(number).ok().and_then(|number| self.outlines.get(number));
        held == Some(&outline) && (text.len() <= WORD_BYTES || self.is_text(number, Cell::Text(text)))
    }

    fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(start, self.text.len())
    }

    fn hold(&mut self, outline: Outline, held: Held) -> i32 {
        let number = i32::try_from(self.held.len()).unwrap_or(i32::MAX);
        self.outlines.push(outline);
        self.held.push(held);
        number
    }

    /// Gives all texts a place among four times as many slots; those that find none are from now on not found.
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        for (number, (held, outline)) in (1..).zip(self.held.iter().zip(&self.outlines)) {
            let hash = match held {
                Held::Text(text) if outline.length > WORD_BYTES => Outline::of_long(Field::at(&self.text, *text)).1,
                Held::Text(_) => outline.hash(),
                Held::Null | Held::Invalid(_) => continue,
            };
            let mut places = self.places(hash);
            let free = places.find(|place| self.slots.get(*place) == Some(&0));
            if let Some(slot) = free.and_then(|free| self.slots.get_mut(free)) {
                *slot = number;
            }
        }
    }
}

#[cfg(test)]
mod tests;
