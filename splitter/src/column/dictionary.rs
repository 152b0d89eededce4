//! Dictionaries: the different cells of a column, each once, and which of them stands in each row.
//!
//! Whether a column has one decides a chunk's bytes, and so do the numbers below: see `ENCODER`.

use std::ops::Range;

use rapidhash::v3::rapidhash_v3;

use crate::column::cell::Cell;
use crate::records::field::{Field, WORD_BYTES, halves};
use crate::records::span::Span;

/// Rows that it takes to tell whether a column earns a dictionary.
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
    Misfit(Span),
}

/// What tells a text from others; of one that is a word, all that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outline {
    /// The bytes of a word; of a longer text its first and its last eight.
    bits: [u64; 2],
    length: usize,
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

    /// Goes on behind so many rows without a cell.
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
            Held::Misfit(span) => Cell::Misfit(span.of(&self.text)),
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
            Cell::Misfit(text) => {
                let span = self.keep(text);
                self.hold(Outline::NONE, Held::Misfit(span))
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
                Held::Null | Held::Misfit(_) => continue,
            };
            let mut places = self.places(hash);
            let free = places.find(|place| self.slots.get(*place) == Some(&0));
            if let Some(slot) = free.and_then(|free| self.slots.get_mut(free)) {
                *slot = number;
            }
        }
    }
}

impl Outline {
    /// That of no text.
    const NONE: Self = Self { bits: [0; 2], length: usize::MAX };

    /// That of a text, and by what the text is looked for.
    #[inline]
    fn with_hash(text: Field<'_>) -> (Self, usize) {
        let Some(word) = text.word() else { return Self::of_long(text) };
        let outline = Self { bits: halves(word.bits), length: word.length };
        (outline, outline.hash())
    }

    /// The same of a text that is no word.
    fn of_long(text: Field<'_>) -> (Self, usize) {
        let end = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let bits = [end(text.bytes().first_chunk()), end(text.bytes().last_chunk())];
        let hash = usize::try_from(rapidhash_v3(text.bytes())).unwrap_or_default();
        (Self { bits, length: text.len() }, hash)
    }

    /// That of a word. The same in every process, as what collides decides over the bytes of a chunk.
    #[inline]
    fn hash(self) -> usize {
        // Two numbers whose bits are in no order, so that multiplying mixes all bits of a text.
        const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
        let length = u64::try_from(self.length).unwrap_or_default();
        let [first, last] = self.bits;
        let product = u128::from(first ^ MIX[0]) * u128::from(last ^ length.rotate_left(32) ^ MIX[1]);
        let [low, high] = halves(product);
        usize::try_from(low ^ high).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(cell: Cell<'_>) -> &[u8] {
        if let Cell::Text(text) = cell { text.bytes() } else { panic!("{cell:?}") }
    }

    /// The dictionary of a column that earns it, made in two parts.
    fn dictionary<'a>(rows: usize, cell: impl Fn(usize) -> Cell<'a>) -> Option<Dictionary> {
        let begun = rows.min(2048);
        let mut dictionary = Dictionary::begin((begun, 0), rows, &cell, <[u8]>::is_empty)?;
        let part = (rows - begun) / 3;
        dictionary.add(part, |row| cell(begun + row));
        dictionary.add(rows - begun - part, |row| cell(begun + part + row));
        dictionary.pays().then_some(dictionary)
    }

    #[test]
    fn dictionaries_are_for_values_that_recur() {
        const ROWS: usize = 32_768;
        type Value = fn(usize) -> usize;
        let cases: [(&str, Value, usize, bool); 8] = [
            ("one value", |_| 7, ROWS, true),
            ("few values", |row| row * 7919 % 1000, ROWS, true),
            ("many values", |row| row * 7919 % 30_011, ROWS, false),
            ("each once", |row| row, ROWS, false),
            ("each four times in a row", |row| row / 4, ROWS, true),
            ("each once but in the sample", |row| if row < 2048 { 7 } else { row }, ROWS, false),
            ("too few to tell", |_| 7, 1023, false),
            ("just enough to tell", |_| 7, 1024, true),
        ];
        for (what, value, rows, expected) in cases {
            let texts: Vec<String> = (0..rows).map(|row| value(row).to_string()).collect();
            let dictionary = dictionary(rows, |row| Cell::Text(texts[row].as_bytes().into()));
            assert_eq!(dictionary.is_some(), expected, "{what}");
        }
        let (null, misfit) = (dictionary(ROWS, |_| Cell::Null), dictionary(ROWS, |_| Cell::Misfit(b"")));
        assert_eq!((null.is_some(), misfit.is_none()), (true, true));
        // Half of the rows mean null, and the others are as different as can be.
        let texts: Vec<String> =
            (0..ROWS).map(|row| if row % 2 == 0 { String::new() } else { row.to_string() }).collect();
        assert!(dictionary(ROWS, |row| Cell::Text(texts[row].as_bytes().into())).is_none());
    }

    proptest! {
        #[test]
        fn cells_are_told_from_each_other_in_runs(
            runs in proptest::collection::vec((0_usize..5, 1_usize..200), 20..40),
        ) {
            let cells = [Cell::Text(b"a"[..].into()), Cell::Text(b"b"[..].into()), Cell::Text(b"ab"[..].into()), Cell::Null, Cell::Misfit(b"a")];
            let rows: Vec<usize> = runs.iter().flat_map(|(cell, rows)| vec![*cell; *rows]).collect();
            let mut dictionary = Dictionary::new(SLOTS);
            for part in rows.chunks(512) {
                dictionary.add(part.len(), |row| cells[part[row]]);
            }
            let kind = |cell: &Cell<'_>| match cell {
                Cell::Text(text) => (0, text.bytes().to_vec()),
                Cell::Null => (1, Vec::new()),
                Cell::Misfit(text) => (2, text.to_vec()),
            };
            let held: Vec<_> = dictionary.cells().map(|cell| kind(&cell)).collect();
            let found = dictionary.keys().iter().map(|key| held[usize::try_from(*key).unwrap()].clone());
            prop_assert!(found.eq(rows.iter().map(|row| kind(&cells[*row]))));
        }

        #[test]
        fn the_cell_of_each_row_is_found_by_its_key(
            different in proptest::collection::vec("[ab\0]{0,3}|[ab]{4,9}|a{15,18}|[ab]{8}[ab]{0,2}[ab]{8}", 1..300),
            rows in proptest::collection::vec(any::<proptest::sample::Index>(), 1024..2500),
        ) {
            let texts: Vec<&[u8]> = rows.iter().map(|row| row.get(&different).as_bytes()).collect();
            if let Some(dictionary) = dictionary(texts.len(), |row| Cell::Text(texts[row].into())) {
                let cells: Vec<_> = dictionary.cells().collect();
                let found: Vec<&[u8]> = dictionary.keys().iter().map(|key| text(cells[usize::try_from(*key).unwrap()])).collect();
                prop_assert_eq!(found, texts);
                let distinct: std::collections::BTreeSet<&[u8]> = cells.iter().map(|cell| text(*cell)).collect();
                prop_assert_eq!(distinct.len(), cells.len());
            }
        }
    }
}
