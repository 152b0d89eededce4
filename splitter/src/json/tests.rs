mod records;

use bytes::Bytes;
use proptest::prelude::*;
use shared::{BadRecords, ColumnNames, Settings};

use super::*;
use crate::decode::decode;
use crate::json::detect::{is_ndjson, is_other_json};
use crate::json::keys::Keys;
use crate::records::format::RecordFormat;
use crate::records::framer::tests::frame;
use crate::records::unterminated::UnterminatedLines;
use crate::schema::infer::Evidence;

fn blocks(pieces: &[&[u8]], block_bytes: u64) -> Vec<Block> {
    frame(&LINES, pieces, block_bytes, 1 << 20)
}

/// The policy that is found for a text from all of it.
fn policy(text: &[u8], told: &str) -> NdjsonPolicy {
    let settings = Settings::from_lookup(|name| (name == "SCHEMA").then(|| told.to_owned())).unwrap();
    let mut keys = Keys::observe(text, &[], false);
    settings.read.schema.iter().for_each(|declared| keys.declare(&declared.name));
    let mut columns = keys.columns(ColumnNames::Lower, &[]);
    let at = "s3://b/k".parse().unwrap();
    crate::schema::settle(&at, &mut columns, &keys.into_evidence(), &settings, &[]).unwrap();
    NdjsonPolicy { data_start: 0, columns, null_words: Vec::new(), other_keys: OtherKeys::default() }
}

/// Rows and rejects of blocks, as text.
fn read(blocks: &[Block], json: &NdjsonPolicy) -> String {
    let types: Vec<String> =
        json.columns.iter().map(|column| format!("{}:{}", column.name, column.column_type)).collect();
    let mut lines = vec![types.join(" ")];
    for block in blocks {
        let decoded = decode(block, &RecordFormat::from(json), BadRecords::Quarantine, 1 << 20).unwrap();
        let options = arrow::util::display::FormatOptions::default().with_null("∅");
        let rows = decoded.rows.to_arrow(crate::column::types::schema(&json.columns)).unwrap();
        for row in 0..rows.num_rows() {
            let cells = rows.columns().iter().map(|column| {
                arrow::util::display::array_value_to_string(column, row).unwrap();
                let formatter = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
                formatter.value(row).to_string()
            });
            lines.push(cells.collect::<Vec<_>>().join(" | "));
        }
        for reject in decoded.rejects.iter() {
            let column = reject.column.map(|column| format!(" {column}")).unwrap_or_default();
            lines.push(format!("! @{}{column}: {}", reject.byte_offset, reject.reason));
        }
    }
    lines.join("\n")
}

fn of_text(text: &str, told: &str) -> String {
    read(&blocks(&[text.as_bytes()], 1 << 20), &policy(text.as_bytes(), told))
}

#[test]
fn objects_become_rows() {
    for (text, told, expected) in [
        ("{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}\n", "", "a:int64 b:text\n1 | x\n2 | y"),
        ("{\"a\":1}\r\n\n  \n{\"a\":null}\r\n{}", "", "a:int64\n1\n∅\n∅"),
        ("{\"a\":1}\n{\"b\":2}\n", "", "a:int64 b:int64\n1 | ∅\n∅ | 2"),
        // Quotes tell numbers from names; an empty string is not a null.
        ("{\"a\":\"1\"}\n{\"a\":\"\"}\n", "", "a:text\n1\n"),
        ("{\"a\":1}\n{\"a\":\"1\"}\n", "", "a:text\n1\n1"),
        // Numbers are kept as they stand where no number holds them.
        ("{\"a\":1e5}\n{\"a\":0.1}\n", "", "a:float64\n100000.0\n0.1"),
        ("{\"a\":12345678901234567890}\n", "", "a:decimal(38,0)\n12345678901234567890"),
        ("{\"a\":0.1234567890123456789}\n{\"a\":1.5}\n", "", "a:text\n0.1234567890123456789\n1.5"),
        ("{\"a\":true}\n{\"a\":false}\n", "", "a:boolean\ntrue\nfalse"),
        ("{\"a\":\"2013-01-31\"}\n", "", "a:date\n2013-01-31"),
        ("{\"a\":{\"b\": [1, 2.50]}}\n", "", "a:text\n{\"b\": [1, 2.50]}"),
        ("{\"a\":\"\\u00e9\\n\\\"\"}\n", "", "a:text\né\n\""),
        ("{\"\\u0061\":1}\n{\"a\":2}\n", "", "a:int64\n1\n2"),
        ("{\"a\":\"1.5\"}\n{\"a\":2}\n", "a:decimal(5,2)", "a:decimal(5,2)\n1.50\n2.00"),
        ("{\"a\":20130131}\n{\"a\":\"\"}\n", "a:date", "a:date\n2013-01-31\n∅"),
        ("{\"a\":1}\n", "late:text", "a:int64 late:text\n1 | ∅"),
    ] {
        assert_eq!(of_text(text, told), expected, "{text}");
    }
}

#[test]
fn what_is_no_such_object_is_rejected() {
    let known = policy(b"{\"id\":1,\"day\":\"2013-01-31\"}", "");
    for (line, expected) in [
        ("[1]", "! @0: not a JSON object: invalid type: sequence, expected an object at byte 0 of the line"),
        ("{\"id\":1", "! @0: not a JSON object: EOF while parsing an object at byte 7 of the line"),
        ("{\"id\":1} x", "! @0: not a JSON object: trailing characters at byte 10 of the line"),
        ("{\"id\":01}", "! @0: not a JSON object: invalid number at byte 8 of the line"),
        ("{\"id\":1,\"id\":2}", "! @0 id: the key is there twice, the second time as key 2"),
        (
            "{\"x\":1}",
            "! @0 x: a key that no record of the sample has; name it in SCHEMA, or find types with INFER=full",
        ),
        ("{\"day\":\"\\ud800\"}", "! @0: not a JSON object: unexpected end of hex escape at byte 8 of the line"),
        ("{\"id\":\"1\"}", "! @0 id: '1' is not an integer of 64 bits"),
        ("{\"id\":1.5}", "! @0 id: '1.5' is not an integer of 64 bits"),
        ("{\"day\":20130131}", "! @0 day: '20130131' is not a date as YYYY-MM-DD"),
    ] {
        let text = format!("{line}\n{{\"id\":2}}\n");
        let expected = format!("id:int64 day:date\n2 | ∅\n{expected}");
        assert_eq!(read(&blocks(&[text.as_bytes()], 1 << 20), &known), expected, "{line}");
    }
    let invalid = Block {
        start: 7,
        text: Bytes::from_static(b"{\"id\":\"\xff\"}\n"),
        unterminated: UnterminatedLines::default(),
    };
    assert_eq!(read(&[invalid], &known), "id:int64 day:date\n! @7: the text is not valid UTF-8");
}

#[test]
fn ndjson_is_known_by_its_first_lines() {
    for (head, whole, is_it, is_other) in [
        ("{\"a\":1}\n{\"a\":2}\n", true, true, true),
        ("\n {\"a\":1}\n{\"a\":2", false, true, true),
        ("{\"a\":1}", true, true, true),
        ("{\"a\":1}", false, false, true),
        ("{}\n", true, true, false),
        ("{\"a\":1}\nx\ny\n", true, false, true),
        ("[{\"a\":1},\n{\"a\":2}]\n", true, false, true),
        ("{\n  \"a\": 1\n}\n", true, false, true),
        ("[id],[name]\n1,x\n", true, false, false),
        ("a,b\n1,2\n", true, false, false),
        ("", true, false, false),
    ] {
        let found = (is_ndjson(head.as_bytes(), whole), is_other_json(head.as_bytes()));
        assert_eq!(found, (is_it, is_other), "{head}");
    }
}

#[test]
fn keys_of_pieces_are_those_of_the_whole() {
    let (first, second) = ("{\"a\":1,\"b\":2}\n", "{\"c\":\"x\",\"a\":1.5}\n");
    let mut keys = Keys::observe(first.as_bytes(), &[], false);
    keys.merge(&Keys::observe(second.as_bytes(), &[], false));
    let whole = Keys::observe((first.to_owned() + second).as_bytes(), &[], false);
    assert_eq!(keys.names, ["a", "b", "c"]);
    let (of_pieces, of_whole) = (keys.into_evidence(), whole.into_evidence());
    assert_eq!(of_pieces, of_whole);
    assert_eq!(of_whole.iter().map(Evidence::nulls).collect::<Vec<_>>(), [0, 1, 1]);
}

/// A JSON value and what its column shall show of it.
fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9_f64).prop_map(Into::into),
        "[a-zé\"\\\\\n\t{}:, ]{0,12}".prop_map(Into::into),
        proptest::collection::vec("[a-z\"]{0,3}", 0..3).prop_map(Into::into),
    ]
}

proptest! {
    /// Whatever the pieces, the rows are the same, and each value reads as it did in its record.
    #[test]
    fn rows_are_the_records_in_any_pieces(
        records in proptest::collection::vec(proptest::collection::btree_map("[a-d]", value(), 0..5), 1..20),
        block_bytes in 1_u64..200,
    ) {
        let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        let text = lines.concat().into_bytes();
        let json = policy(&text, "");
        let whole = blocks(&[&text], block_bytes);
        for size in [1, 7, 64 << 10] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            prop_assert_eq!(&blocks(&pieces, block_bytes), &whole);
        }
        let mut records = records.iter();
        for block in &whole {
            let objects = Objects::read(block, &json, 1 << 20);
            prop_assert!(objects.found.rejects.len() == 0, "{:?}", objects.found.rejects);
            let rows = objects.found.taken.len();
            let columns: Vec<Vec<Option<String>>> = objects.values.iter().map(|values| {
                let mut column = vec![None; rows];
                for value in values {
                    let text = value.span.of(value.source.of(objects.records, &objects.copied)).to_vec();
                    column[usize::try_from(value.row).unwrap()] = Some(String::from_utf8(text).unwrap());
                }
                column
            }).collect();
            for (row, record) in (0..rows).zip(records.by_ref()) {
                for (column, values) in json.columns.iter().zip(&columns) {
                    let expected = record.get(&column.source_name).filter(|value| !value.is_null());
                    let expected = expected.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    prop_assert_eq!(&values[row], &expected);
                }
            }
        }
        prop_assert!(records.next().is_none());
    }

    #[test]
    fn nothing_panics(text in proptest::collection::vec(proptest::sample::select(b"{}[]\":,\\u0d8a1e-.\n\r \xff".to_vec()), 0..60)) {
        let json = policy(&text, "");
        if !json.columns.is_empty() {
            read(&blocks(&[&text], 8), &json);
        }
        is_ndjson(&text, true);
        is_other_json(&text);
    }
}
