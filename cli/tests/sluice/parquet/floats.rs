//! Numbers that become `float` and `double`: the digits come back, or it is said how many did not.

use serde_json::json;

use super::{ingested, python};
use crate::support::Place;

const TABLE: &str = "
def table(name):
    deltalake.write_deltalake(name, pa.table({
        'd': pa.array([], pa.float64()), 'f': pa.array([], pa.float32()), 'l': pa.array([], pa.list_(pa.float64())),
        's': pa.array([], pa.struct([('f', pa.float32())])), 'm': pa.array([], pa.map_(pa.string(), pa.float64()))}))
";

/// Texts of a number each; the last four lose digits.
const TEXTS: [&str; 12] = [
    "0.1",
    "-0.10000000000000000000",
    "1.000000000000000056e-01",
    "0.30000000000000004",
    "12345678901234567000",
    "9007199254740992",
    "1e23",
    "0",
    "1.23456789012345678901",
    "9007199254740993",
    "0.333333333333333333333333333333",
    "1e-400",
];

#[test]
fn text_files_say_how_many_numbers_were_rounded() {
    let place = Place::new();
    python(&place, &format!("{TABLE}\ntable('csv')\ntable('ndjson')"));
    let csv = format!("d,n\n{}", TEXTS.map(|text| format!("{text},1\n")).concat());
    place.write("x.csv", &csv);
    place.write("comma.csv", csv.replace(',', ";").replace('.', ","));
    // A record that is rejected for another column is not counted, and each row with a text that comes again is.
    let rejected = "1.23456789012345678901,x\n";
    place.write("rejected.csv", format!("d,n\n{rejected}{}", "1.23456789012345678901,1\n".repeat(5000)));
    place.write("x.ndjson", TEXTS.map(|text| format!("{{\"d\": {text}}}\n")).concat());
    let run = |args: &[&str]| {
        let ran = place.run(&[&["ingest"], args, &["--json"]].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        let rows = ran.json()["rows"].clone();
        json!([rows["committed"], rows["shortened"]])
    };
    assert_eq!(run(&["x.csv", "--table", "csv"]), json!([12, 4]));
    assert_eq!(run(&["x.ndjson", "--table", "ndjson"]), json!([12, 4]));
    assert_eq!(run(&["x.csv", "--table", "given", "--schema", "d:float64"]), json!([12, 4]));
    assert_eq!(run(&["comma.csv", "--table", "comma", "--schema", "d:float64"]), json!([12, 4]));
    let schema = ["--schema", "d:float64,n:int64"];
    assert_eq!(run(&[&["rejected.csv", "--table", "rejected"], &schema[..]].concat()), json!([5000, 5000]));
    let ran = place.run(&["ingest", "x.csv", "--table", "again", "--schema", "d:float64"]);
    assert!(ran.stdout.contains("4 values lost digits that the table's types have no place for"), "{ran:?}");
    assert_eq!(place.run(&["status", "x.csv", "--table", "given", "--json"]).json()[0]["rows"]["shortened"], 4);
}

/// Makes a table for each Parquet file that it writes, of one kind of numbers each.
fn write(place: &Place) {
    let texts = TEXTS.map(|text| format!("'{text}'")).join(", ");
    python(
        place,
        &format!(
            "{TABLE}
texts = [{texts}]
double, nested = pa.float64(), lambda values: {{
    'l': pa.ListArray.from_arrays(pa.array([0, *range(1, len(values) + 1)], pa.int32()), values),
    'm': pa.MapArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), pa.array(['k'] * len(values)), values)}}
files = {{
    'texts': {{'d': pa.array(texts), **nested(pa.array(texts))}},
    'integers': {{'d': pa.array([1, 2**53, 2**53 + 1, -2**63, None]), **nested(pa.array([1, 2**53, 2**53 + 1, 3, None]))}},
    'unsigned': {{'d': pa.array([2**64 - 1, 2**64 - 2**11], pa.uint64())}},
    'decimals': {{'d': pa.array([D('0.1'), D('1.23456789012345678901'), D('0.5')], pa.decimal128(38, 37))}},
    'doubles': {{'f': pa.array([0.1, 0.5, 16777217.0, 0.30000000000000004, None, float('nan'), float('-inf')]),
                's': pa.array([{{'f': value}} for value in (0.1, 16777217.0, None, 1e-50, 2.0, 3.0, -0.0)])}},
    'floats': {{'d': pa.array([0.1, 3e38], pa.float32())}},
    'endless': {{'f': pa.array([1e39, 1.5]), 'd': pa.array(['1e309', '2'])}},
}}
for name, columns in files.items():
    table(name)
    pq.write_table(pa.table(columns), f'{{name}}.parquet')
sources.report(None)"
        ),
    );
}

#[test]
fn parquet_columns_say_how_many_numbers_were_rounded() {
    let place = Place::new();
    write(&place);
    for (name, committed, shortened) in [
        ("texts", 12, 12),
        ("integers", 5, 3),
        ("unsigned", 2, 1),
        ("decimals", 3, 1),
        ("doubles", 7, 4),
        ("floats", 2, 0),
        ("endless", 1, 0),
    ] {
        let rows = ingested(&place, &format!("{name}.parquet"), name)["rows"].clone();
        let found = (rows["committed"].as_u64(), rows["shortened"].as_u64().unwrap_or(0));
        assert_eq!(found, (Some(committed), shortened), "{name}: {rows}");
        let file = format!("{name}.parquet");
        let verified = place.run(&["status", &file, "--table", name, "--verify"]);
        assert_eq!(verified.status, 0, "{name}: {verified:?}");
    }
    let found = python(
        &place,
        "read = lambda name, column: deltalake.DeltaTable(name).to_pyarrow_table()[column].to_pylist()
sources.report([read('texts', 'd'), read('decimals', 'd'), read('integers', 'd')[2], read('doubles', 'f')[:4]])",
    );
    let third = 0.333_333_333_333_333_3;
    let texts = json!([
        0.1,
        -0.1,
        0.1,
        0.300_000_000_000_000_04,
        12_345_678_901_234_567_000.0,
        9_007_199_254_740_992.0,
        1e23,
        0.0,
        1.234_567_890_123_456_7,
        9_007_199_254_740_992.0,
        third,
        0.0
    ]);
    let doubles = json!([f64::from(0.1_f32), 0.5, 16_777_216.0, f64::from(0.3_f32)]);
    assert_eq!(found, json!([texts, [0.1, 1.234_567_890_123_456_7, 0.5], 9_007_199_254_740_992.0, doubles]));
}
