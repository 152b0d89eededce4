//! Records are read along the order of their keys as `serde_json` reads them.

use std::fmt::Write as _;

use super::*;
use crate::dice::{Dice, cases};
use crate::json::record::RecordReader;
use crate::records::unterminated::UnterminatedLines;

/// Blocks that are compared.
const BLOCKS: u64 = 1_000;

/// Keys as they are written. The third is the first with an escape.
const KEYS: [&str; 9] =
    ["id", "type", "\\u0069d", "a key that is longer than sixteen bytes", "é", "", "a.b", "q\\\"", "type2"];

const VALUES: [&str; 37] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "12345678901234567890",
    "1.5",
    "0.12345678901234567",
    "-2.5e-7",
    "1E+400",
    "\"\"",
    "\"short\"",
    "\"a string of more than sixteen bytes, é and 日本 too\"",
    "\"with \\\"escapes\\\" \\u00e9 \\n\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\u{7f}\"",
    "{}",
    "[]",
    "[ ]",
    "[1,-2.5,\"x\",null,[true,{}]]",
    "{\"a\":{\"b\":[1, 2 , 3]},\"a\":\"\\ud800\",\"c\" : false}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "01",
    "-",
    "1.",
    "[1,]",
    "[1 2]",
    "[1}",
    "{\"a\":1]",
    "{\"a\":1,}",
    "{\"a\" 1}",
    "{1:2}",
    "[nul]",
    "[\"\\x\"]",
    "[\"\\u12g4\"]",
];

/// Bytes that make JSON something else, or no JSON.
const BYTES: &[u8] = b"{}[]\":,\\ \t\r\n0129.eE+-truflsn/\x01\x1f\x7f\xc3\xa9\xff";

/// A line of an object, most of whose keys are in order.
fn record(dice: &mut Dice) -> Vec<u8> {
    let blank = |dice: &mut Dice| if dice.one_in(12) { dice.of(&[" ", "  ", "\t", "\r"]) } else { "" };
    let mut keys: Vec<&str> = KEYS.iter().copied().filter(|_| !dice.one_in(4)).collect();
    if dice.one_in(4) && !keys.is_empty() {
        let (one, other) = (dice.below(keys.len()), dice.below(keys.len()));
        keys.swap(one, other);
    }
    if dice.one_in(16) {
        keys.push(dice.of(&["id", "unknown", "type"]));
    }
    // Keys with escapes are not read the fast way.
    if !dice.one_in(8) {
        keys.retain(|key| !key.contains('\\'));
    }
    let mut line = blank(dice).to_owned() + "{";
    for (place, key) in keys.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let blanks = [blank(dice), blank(dice), blank(dice), blank(dice)];
        // The last values are not valid, and rare.
        let value = if dice.one_in(32) { dice.of(&VALUES) } else { dice.of(&VALUES[..14]) };
        let [before, after, before_value, after_value] = blanks;
        write!(line, "{comma}{before}\"{key}\"{after}:{before_value}{value}{after_value}").unwrap();
    }
    line += "}";
    line += blank(dice);
    let line = line.into_bytes();
    if dice.one_in(5) { dice.mutated(&line, BYTES) } else { line }
}

/// All that was found in a block.
fn found(objects: &Objects<'_>) -> String {
    let text = |value: &Value| value.span.of(value.source.of(objects.records, &objects.copied)).escape_ascii();
    let value = |value: &Value| format!("{} {:?} {}", value.row, value.kind, text(value));
    let columns: Vec<Vec<String>> = objects.values.iter().map(|values| values.iter().map(value).collect()).collect();
    let Rows { taken, records, rejects, lines } = &objects.found;
    let rejects: Vec<_> = rejects.iter().map(|reject| (reject.record, reject.byte_offset, reject.reason)).collect();
    format!("{records} {taken:?}\n{rejects:?}\n{columns:?}\n{lines:?}")
}

/// `SLUICE_SEEDS=100000` compares so many blocks.
#[test]
fn records_are_read_as_serde_json_reads_them() {
    let keys: Vec<String> = KEYS.iter().map(|key| format!("{{\"{key}\":\"x\"}}\n")).collect();
    let json = policy(keys.concat().as_bytes(), "");
    for seed in 0..cases(BLOCKS) {
        let mut dice = Dice(seed);
        let lines: Vec<Vec<u8>> = (0..dice.below(12)).map(|_| record(&mut dice)).collect();
        let mut text = lines.join(dice.of(&[&b"\n"[..], b"\r\n", b"\n\n"]));
        text.truncate(text.len() - dice.below(3).min(text.len()));
        let block = Block { start: 7, text: text.into(), unterminated: UnterminatedLines::default() };
        let most = if dice.one_in(8) { 100 } else { 1 << 20 };
        let (fast, slow) = (Objects::read(&block, &json, most), Objects::read_by(None, &block, &json, most));
        assert_eq!(found(&fast), found(&slow), "seed {seed}: {}", block.text.escape_ascii());
    }
}

/// What programs write is read the fast way. Nothing else would show that it is not.
#[test]
fn usual_records_are_not_left_to_serde_json() {
    let sample = b"{\"id\":1,\"type\":\"x\",\"actor\":{\"id\":1},\"a key that is longer than sixteen bytes\":1.5}\n";
    let json = policy(sample, "");
    let mut reader = RecordReader::new(column_keys(&json));
    for (line, values) in [
        ("{\"id\":1,\"type\":\"x\",\"actor\":{\"id\":1},\"a key that is longer than sixteen bytes\":1.5}", 4),
        ("{\"id\": 2, \"type\": \"y\", \"actor\": {\"id\": 1, \"tags\": [\"a\", \"b\"]}}", 3),
        ("  { \"id\" : 2 , \"type\" : \"y\" , \"actor\" : null } ", 2),
        ("{\"a key that is longer than sixteen bytes\":-1e9,\"type\":\"\\n\",\"id\":12345678901234567890}", 3),
        ("{\"type\":\"é\"}", 1),
        ("{}", 0),
    ] {
        let found = reader.read(line.as_bytes(), (0, line.len()), &mut Vec::new());
        assert_eq!(found.map(<[_]>::len), Some(values), "{line}");
    }
    for line in [
        "{\"id\":1,\"id\":1}",
        "{\"other\":1}",
        "{\"\\u0069d\":1}",
        "{\"id\":01}",
        "{\"id\":1",
        "{\"id\":1}}",
        "[]",
        "x",
    ] {
        assert!(reader.read(line.as_bytes(), (0, line.len()), &mut Vec::new()).is_none(), "{line}");
    }
}
