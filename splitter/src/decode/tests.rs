use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use proptest::prelude::*;
use shared::{Column, ColumnType, CsvPolicy, Dialect};

use super::*;
use crate::column::cell::Cells;
use crate::column::types::schema;
use crate::records::unterminated::UnterminatedLines;
use shared::values::Values;

#[test]
fn text_is_utf_8_value_by_value() {
    let column = Column::of_text("a".to_owned(), "a".to_owned());
    let csv = CsvPolicy {
        dialect: Dialect::default(),
        data_start: 0,
        columns: vec![column],
        null_words: Vec::new(),
        fields: None,
        footer_start: None,
    };
    for (text, expected, rejected) in [
        (&b"a\n\"\"\n\xc3\xa9\n"[..], vec![Some("a"), None, Some("\u{e9}")], 0),
        (b"a\n\xc3\n\xa9\nb\n", vec![Some("a"), Some("b")], 2),
        (b"\xff\n", vec![], 1),
        (b"", vec![], 0),
    ] {
        let block = Block { start: 0, text: Bytes::from_static(text), unterminated: UnterminatedLines::default() };
        let decoded = decode(&block, &(&csv).into(), BadRecords::Quarantine, 1 << 20).unwrap();
        let rows = decoded.rows.to_arrow(schema(&csv.columns)).unwrap();
        let texts: Vec<_> = rows.column(0).as_string::<i32>().iter().collect();
        assert_eq!((texts, decoded.rejects.len()), (expected, rejected), "{text:?}");
    }
}

#[test]
fn a_dictionary_that_grows_in_vain_is_given_up() {
    let column = Column { column_type: ColumnType::Int64, ..Column::of_text("a".to_owned(), "a".to_owned()) };
    let csv = CsvPolicy {
        dialect: Dialect::default(),
        data_start: 0,
        columns: vec![column],
        null_words: Vec::new(),
        fields: None,
        footer_start: None,
    };
    // Rows of one number, different ones, and rows of the one again, with which the dictionary would pay at the end.
    let cases = [
        (3_000, 40_000, 40_000, true),
        (3_000, 30_000, 30_000, false),
        // In vain it is for 202 rows only, at the one end of a strip that is among them: where strips end decides a chunk's bytes.
        (33_000, 33_100, 20_000, true),
    ];
    for (before, different, behind, is_given_up) in cases {
        let same = |rows| std::iter::repeat_n(7, rows);
        let numbers = || same(before).chain(10..different + 10).chain(same(behind));
        let lines: Vec<String> = numbers().map(|number: i64| format!("{number}\n")).collect();
        let block = Block { start: 0, text: lines.concat().into(), unterminated: UnterminatedLines::default() };
        let decoded = decode(&block, &(&csv).into(), BadRecords::Quarantine, 1 << 20).unwrap();
        assert_eq!(matches!(decoded.rows.columns[0], Values::Plain(_)), is_given_up, "{before} {different} {behind}");
        let rows = decoded.rows.to_arrow(schema(&csv.columns)).unwrap();
        assert!(rows.column(0).as_primitive::<Int64Type>().values().iter().copied().eq(numbers()));
    }
}

#[test]
fn room_is_made_for_no_more_than_a_block_may_hold() {
    let column = Column::of_text("a".to_owned(), "a".to_owned());
    let csv = CsvPolicy {
        dialect: Dialect::default(),
        data_start: 0,
        columns: vec![column],
        null_words: Vec::new(),
        fields: None,
        footer_start: None,
    };
    let block = Block {
        start: 0,
        text: ["1\n".repeat(3000), "x".repeat(1 << 20)].concat().into(),
        unterminated: UnterminatedLines::default(),
    };
    let mut fields = Fields::new(&block, &csv, 1 << 20);
    assert_eq!(fields.advance(2048), 2048);
    assert_eq!(fields.expected(), 64 * 2048);
    assert_eq!(fields.bytes(), block.text.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Few rows have no dictionaries, and are read value by value. Of many the first column has one, the second one that does not pay
    /// in the end, and the third one none, since hardly any of its texts recur.
    #[test]
    fn rows_are_the_same_with_dictionaries_and_without(
        texts in proptest::collection::vec("|NA|\"\"|[0-9]{1,2}(\\.[05])?|2024-0[1-9]-1[0-9]|true|\"a\"\"b\"|[ab]{15,18}|é|ab|~", 1..40),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 1100..3600),
        column_type in proptest::sample::select(vec!["text", "int64", "float64", "date", "decimal(6,1)", "boolean"]),
        bad_records in proptest::sample::select(vec![BadRecords::Quarantine, BadRecords::Null]),
    ) {
        let mut column = Column::of_text("a".to_owned(), "a".to_owned());
        column.column_type = column_type.parse().unwrap();
        column.null_words = column.column_type != ColumnType::Utf8;
        let csv = CsvPolicy { dialect: Dialect::default(), data_start: 0, columns: vec![column; 3], null_words: vec!["NA".to_owned()], fields: None, footer_start: None };
        let line = |(row, pick): (usize, &proptest::sample::Index)| {
            let text = |one_in: usize| if row % one_in == 0 { pick.get(&texts).clone() } else { row.to_string() };
            let line = format!("{},{},{}\n", text(1), text(4), text(9));
            // What no string can hold.
            line.bytes().map(|byte| if byte == b'~' { 0xff } else { byte }).collect()
        };
        let lines: Vec<Vec<u8>> = picks.iter().enumerate().map(line).collect();
        let decode = |lines: &[Vec<u8>]| {
            let block = Block { start: 0, text: lines.concat().into(), unterminated: UnterminatedLines::default() };
            decode(&block, &(&csv).into(), bad_records, 1 << 20).unwrap()
        };
        let plain = |decoded: &Decoded| decoded.rows.to_arrow(schema(&csv.columns)).unwrap();
        let whole = decode(&lines);
        let parts: Vec<Decoded> = lines.chunks(500).map(decode).collect();
        let rows: Vec<_> = parts.iter().map(plain).collect();
        prop_assert_eq!(plain(&whole), arrow::compute::concat_batches(&schema(&csv.columns), &rows).unwrap());
        let told = |rejects: &Rejects| rejects.iter().map(|reject| (reject.raw.to_vec(), reject.reason.to_owned())).collect::<Vec<_>>();
        prop_assert_eq!(told(&whole.rejects), parts.iter().flat_map(|part| told(&part.rejects)).collect::<Vec<_>>());
    }
}
