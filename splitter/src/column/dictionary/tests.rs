//! Dictionaries of cells.

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
    let (null, invalid) = (dictionary(ROWS, |_| Cell::Null), dictionary(ROWS, |_| Cell::Invalid(b"")));
    assert_eq!((null.is_some(), invalid.is_none()), (true, true));
    // Half of the rows mean null, and the others are as different as can be.
    let texts: Vec<String> = (0..ROWS).map(|row| if row % 2 == 0 { String::new() } else { row.to_string() }).collect();
    assert!(dictionary(ROWS, |row| Cell::Text(texts[row].as_bytes().into())).is_none());
}

proptest! {
    #[test]
    fn cells_are_told_from_each_other_in_runs(
        runs in proptest::collection::vec((0_usize..5, 1_usize..200), 20..40),
    ) {
        let cells = [Cell::Text(b"a"[..].into()), Cell::Text(b"b"[..].into()), Cell::Text(b"ab"[..].into()), Cell::Null, Cell::Invalid(b"a")];
        let rows: Vec<usize> = runs.iter().flat_map(|(cell, rows)| vec![*cell; *rows]).collect();
        let mut dictionary = Dictionary::new(SLOTS);
        for part in rows.chunks(512) {
            dictionary.add(part.len(), |row| cells[part[row]]);
        }
        let kind = |cell: &Cell<'_>| match cell {
            Cell::Text(text) => (0, text.bytes().to_vec()),
            Cell::Null => (1, Vec::new()),
            Cell::Invalid(text) => (2, text.to_vec()),
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
