//! Dictionaries: the different texts of a column, each once, and which of them stands in each row.

use rapidhash::v3::rapidhash_v3;

use crate::decode::Cell;

/// Runs of neighbouring cells, evenly over the column, that tell whether it earns a dictionary.
const SAMPLE_RUNS: usize = 256;

/// Cells of each.
const SAMPLE_RUN: usize = 4;

/// The share of a sample that must have occurred in it before, as a divisor. Of values in no order, it has so many when a
/// column of 32,768 rows has fewer than 8,192 different ones.
const REPEATED_SHARE: usize = 16;

/// Places that are tried for a text. More are only needed where texts were chosen to collide.
const MOST_TRIES: usize = 64;

/// The longest text that its first and last eight bytes and its length tell from all others.
const SHORT: usize = 16;

/// A column whose cells recur.
#[derive(Debug)]
pub(crate) struct Dictionary<'a> {
    /// The different cells, in the order in which they come first.
    pub(crate) cells: Vec<Cell<'a>>,
    /// Of each row, the number of its cell.
    pub(crate) keys: Vec<i32>,
}

/// Rows of which all columns are looked at together, while what they are made of is in the processor's nearest caches.
const STRIP: usize = 1024;

impl<'a> Dictionary<'a> {
    /// The dictionaries of those columns that earn one: a function of the cells alone, as a chunk's bytes must be.
    pub(crate) fn of_columns(
        (rows, columns): (usize, usize),
        cell: impl Fn(usize, usize) -> Cell<'a>,
        is_null: impl Fn(usize, &[u8]) -> bool,
    ) -> Vec<Option<Self>> {
        let start = |column| {
            let recurs = recur(rows, |row| cell(row, column), |text| is_null(column, text));
            recurs.then(|| (Interner::new(rows / 2), Vec::with_capacity(rows)))
        };
        let mut begun: Vec<Option<(Interner<'a>, Vec<i32>)>> = (0..columns).map(start).collect();
        for strip in (0..rows).step_by(STRIP).map(|start| start..rows.min(start + STRIP)) {
            for (column, begun) in begun.iter_mut().enumerate() {
                let Some((interner, keys)) = begun else { continue };
                for row in strip.clone() {
                    let Some(key) = interner.number(cell(row, column)) else { break };
                    keys.push(key);
                }
                if keys.len() < strip.end {
                    *begun = None;
                }
            }
        }
        let finish = |(interner, keys): (Interner<'a>, _)| Self { cells: interner.cells, keys };
        begun.into_iter().map(|begun| begun.map(finish)).collect()
    }
}

/// Whether values occur so often that writing each once, and its number in its places, pays.
fn recur<'a>(rows: usize, cell: impl Fn(usize) -> Cell<'a>, is_null: impl Fn(&[u8]) -> bool) -> bool {
    if rows < SAMPLE_RUNS * SAMPLE_RUN {
        return false;
    }
    let mut interner = Interner::new(usize::MAX);
    let mut values = 0;
    for run in 0..SAMPLE_RUNS {
        for place in 0..SAMPLE_RUN {
            let cell = cell(run * (rows / SAMPLE_RUNS) + place);
            if matches!(cell, Cell::Text(text) if !is_null(text)) {
                values += 1;
                interner.number(cell);
            }
        }
    }
    interner.cells.len() + values / REPEATED_SHARE <= values
}

/// Numbers different cells from 0, in the order in which they come first.
#[derive(Debug)]
struct Interner<'a> {
    /// Most cells that are numbered.
    most: usize,
    /// By hash, the number of a cell plus one, or 0. As many as a power of two.
    slots: Vec<u32>,
    ends: Vec<Ends>,
    cells: Vec<Cell<'a>>,
    null: Option<i32>,
}

impl<'a> Interner<'a> {
    fn new(most: usize) -> Self {
        const SLOTS: usize = 256;
        Self { most, slots: vec![0; SLOTS], ends: Vec::new(), cells: Vec::new(), null: None }
    }

    /// The number of a cell; `None` when it would be one too many, or is a misfit, or one of many that collide.
    #[inline]
    fn number(&mut self, cell: Cell<'a>) -> Option<i32> {
        match cell {
            Cell::Text(text) => self.number_text(text),
            Cell::Null if self.null.is_some() => self.null,
            Cell::Null => {
                self.null = Some(self.add(Ends::default(), cell)?);
                self.null
            }
            Cell::Misfit(_) => None,
        }
    }

    #[inline]
    fn number_text(&mut self, text: &'a [u8]) -> Option<i32> {
        let ends = Ends::of(text);
        let mut slot = self.slot(ends, text);
        for _ in 0..MOST_TRIES {
            let Some(number) = self.slots.get(slot)?.checked_sub(1) else {
                let number = self.add(ends, Cell::Text(text))?;
                *self.slots.get_mut(slot)? = u32::try_from(number).ok()? + 1;
                if self.cells.len() * 2 > self.slots.len() {
                    self.grow()?;
                }
                return Some(number);
            };
            if self.holds(number, ends, text) {
                return i32::try_from(number).ok();
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        None
    }

    #[inline]
    fn slot(&self, ends: Ends, text: &[u8]) -> usize {
        let hash = if text.len() > SHORT { rapidhash_v3(text) } else { ends.hash() };
        usize::try_from(hash).unwrap_or_default() & (self.slots.len() - 1)
    }

    #[inline]
    fn holds(&self, number: u32, ends: Ends, text: &[u8]) -> bool {
        let Ok(number) = usize::try_from(number) else { return false };
        let is_alike = self.ends.get(number).is_some_and(|held| *held == ends);
        is_alike && (text.len() <= SHORT || matches!(self.cells.get(number), Some(Cell::Text(held)) if *held == text))
    }

    fn add(&mut self, ends: Ends, cell: Cell<'a>) -> Option<i32> {
        let number = i32::try_from(self.cells.len()).ok().filter(|_| self.cells.len() < self.most)?;
        self.ends.push(ends);
        self.cells.push(cell);
        Some(number)
    }

    /// Gives all texts a place among twice as many slots; `None` when too many collide.
    fn grow(&mut self) -> Option<()> {
        self.slots = vec![0; self.slots.len() * 2];
        for (number, (ends, cell)) in (1..).zip(self.ends.iter().zip(&self.cells)) {
            let Cell::Text(text) = cell else { continue };
            let start = self.slot(*ends, text);
            let places = (start..start + MOST_TRIES).map(|place| place & (self.slots.len() - 1));
            let free = places.into_iter().find(|place| self.slots.get(*place) == Some(&0))?;
            *self.slots.get_mut(free)? = number;
        }
        Some(())
    }
}

/// The first and the last eight bytes of a text, and its length; of a short one, all that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
    length: usize,
}

impl Ends {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let length = text.len();
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), length };
        }
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            return Self { first: first.into(), last: last.into(), length };
        }
        let first = match *text {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => [0; 4],
        };
        Self { first: u32::from_le_bytes(first).into(), last: 0, length }
    }

    /// The same in every process, as what collides decides over the bytes of a chunk.
    #[inline]
    fn hash(self) -> u64 {
        // Two numbers whose bits are in no order, so that multiplying mixes all bits of a text.
        const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
        let length = u64::try_from(self.length).unwrap_or_default();
        let product = u128::from(self.first ^ MIX[0]) * u128::from(self.last ^ length.rotate_left(32) ^ MIX[1]);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        half(product) ^ half(product >> 64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(cell: Cell<'_>) -> &[u8] {
        if let Cell::Text(text) = cell { text } else { panic!("{cell:?}") }
    }

    fn dictionary<'a>(rows: usize, cell: impl Fn(usize) -> Cell<'a>) -> Option<Dictionary<'a>> {
        Dictionary::of_columns((rows, 1), |row, _| cell(row), |_, text| text.is_empty()).remove(0)
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
            ("each once but in the sample", |row| if row % 128 < 4 { 7 } else { row }, ROWS, false),
            ("too few to tell", |_| 7, 1023, false),
            ("just enough to tell", |_| 7, 1024, true),
        ];
        for (what, value, rows, expected) in cases {
            let texts: Vec<String> = (0..rows).map(|row| value(row).to_string()).collect();
            let dictionary = dictionary(rows, |row| Cell::Text(texts[row].as_bytes()));
            assert_eq!(dictionary.is_some(), expected, "{what}");
        }
        let (null, misfit) = (dictionary(ROWS, |_| Cell::Null), dictionary(ROWS, |_| Cell::Misfit(b"")));
        assert_eq!((null.is_some(), misfit.is_none()), (true, true));
        // Half of the rows mean null, and the others are as different as can be.
        let texts: Vec<String> =
            (0..ROWS).map(|row| if row % 2 == 0 { String::new() } else { row.to_string() }).collect();
        assert!(dictionary(ROWS, |row| Cell::Text(texts[row].as_bytes())).is_none());
    }

    proptest! {
        #[test]
        fn the_cell_of_each_row_is_found_by_its_key(
            different in proptest::collection::vec("[ab\0]{0,3}|[ab]{4,9}|a{15,18}|[ab]{8}[ab]{0,2}[ab]{8}", 1..300),
            rows in proptest::collection::vec(any::<proptest::sample::Index>(), 1024..1500),
        ) {
            let texts: Vec<&[u8]> = rows.iter().map(|row| row.get(&different).as_bytes()).collect();
            if let Some(Dictionary { cells, keys }) = dictionary(texts.len(), |row| Cell::Text(texts[row])) {
                let found: Vec<&[u8]> = keys.iter().map(|key| text(cells[usize::try_from(*key).unwrap()])).collect();
                prop_assert_eq!(found, texts);
                let distinct: std::collections::BTreeSet<&[u8]> = cells.iter().map(|cell| text(*cell)).collect();
                prop_assert_eq!(distinct.len(), cells.len());
            }
        }
    }
}
