use arrow::array::AsArray;
use bytes::Bytes;
use shared::Dialect;

use super::*;

#[test]
fn text_is_utf_8_value_by_value() {
    let column = Column::of_text("a".to_owned(), "a".to_owned());
    let csv = CsvPolicy { dialect: Dialect::default(), data_start: 0, columns: vec![column], null_words: Vec::new() };
    let schema = schema(&csv.columns);
    for (text, expected, rejected) in [
        (&b"a\n\"\"\n\xc3\xa9\n"[..], vec![Some("a"), None, Some("\u{e9}")], 0),
        (b"a\n\xc3\n\xa9\nb\n", vec![Some("a"), Some("b")], 2),
        (b"\xff\n", vec![], 1),
        (b"", vec![], 0),
    ] {
        let block = Block { start: 0, text: Bytes::from_static(text), torn: None };
        let decoded = decode(&block, &(&csv).into(), &schema, BadRecords::Quarantine, 1 << 20).unwrap();
        let texts: Vec<_> = decoded.rows.column(0).as_string::<i32>().iter().collect();
        assert_eq!((texts, decoded.rejects.len()), (expected, rejected), "{text:?}");
    }
}
