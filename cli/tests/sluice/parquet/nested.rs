//! One rule for values at any depth, and structs that get fields as tables get columns.

use super::{ingest, ingested, python};
use crate::support::Place;

#[test]
fn values_in_lists_and_structs_are_taken_as_those_in_columns() {
    let place = Place::new();
    python(
        &place,
        r"
def write(name, kind, values):
    pq.write_table(pa.table({'id': list(range(len(values))), 'v': pa.array(values, kind)}), f'{name}.parquet')
def table(name, kind):
    deltalake.write_deltalake(name, pa.table({'id': pa.array([], pa.int64()), 'v': pa.array([], kind)}))
S = pa.struct
write('null', S([('u', pa.uint32()), ('n', pa.null())]), [{'u': 5, 'n': None}, None])
write('duration', S([('u', pa.uint32()), ('d', pa.duration('us'))]), [{'u': 5, 'd': 1}])
write('floats', S([('f', pa.float64()), ('i', pa.int32())]), [{'f': 0.1, 'i': 1}, {'f': 1e300, 'i': 1}])
table('floats', S([('f', pa.float32()), ('i', pa.int64())]))
write('texts', pa.list_(pa.string()), [['1.23', None], ['1.239'], None, []])
table('texts', pa.list_(pa.decimal128(5, 2)))
write('days', pa.list_(pa.string()), [['2020-02-29'], ['2020-02-29T10:00:00']])
table('days', pa.list_(pa.date32()))
write('keys', pa.map_(pa.string(), pa.int64()), [[('1', 7)], [('x', 7)], [('2', 300)]])
table('keys', pa.map_(pa.int32(), pa.int8()))
",
    );
    for (name, quarantined) in [("null", 0), ("duration", 0), ("floats", 1), ("texts", 1), ("days", 1), ("keys", 2)] {
        let report = ingested(&place, &format!("{name}.parquet"), name);
        assert_eq!(report["rows"]["quarantined"], quarantined, "{name}");
    }
    let found = python(
        &place,
        "rows = lambda name: deltalake.DeltaTable(name).to_pyarrow_table().sort_by('id')['v'].to_pylist()\n\
         sources.report({name: json.loads(json.dumps(rows(name), default=str)) for name in ('null', 'floats', 'texts', 'days', 'keys')})",
    );
    let expected = serde_json::json!({
        "null": [{"u": 5, "n": null}, null],
        "floats": [{"f": f64::from(0.1_f32), "i": 1}],
        "texts": [["1.23", null], null, []],
        "days": [["2020-02-29"]],
        "keys": [[[1, 7]]],
    });
    assert_eq!(found, expected);
}

#[test]
fn structs_get_fields_as_tables_get_columns() {
    let place = Place::new();
    python(
        &place,
        r"
def write(name, **fields):
    kind = pa.struct(list(fields.items()))
    one = {field: 1 for field in fields}
    columns = {'id': [int(name)], 's': pa.array([one], kind), 'l': pa.array([[one]], pa.list_(kind)),
               'm': pa.array([[('k', one)]], pa.map_(pa.string(), kind))}
    pq.write_table(pa.table(columns), f'{name}.parquet')
I = pa.int64()
write('1', a=I)
write('2', a=I, b=I)
write('3', b=I)
write('4', a=I, c=I)
",
    );
    for name in ["1", "2", "3", "4"] {
        let report = ingested(&place, &format!("{name}.parquet"), "t");
        assert_eq!(report["rows"]["committed"], 1, "{name}");
    }
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t')\nrows = t.to_pyarrow_table().sort_by('id')\n\
         sources.report({'s': rows['s'].to_pylist(), 'l': rows['l'].to_pylist(), 'counts': readers.counts('t'), \
         'where': readers.counts('t', 'id > 2')})",
    );
    let row = |a, b, c| serde_json::json!({"a": a, "b": b, "c": c});
    let (one, none) = (Some(1), None::<u8>);
    let rows = [row(one, none, none), row(one, one, none), row(none, one, none), row(one, none, one)];
    assert_eq!(found["s"], serde_json::json!(rows));
    assert_eq!(found["l"], serde_json::json!(rows.map(|row| [row])));
    assert_eq!(found["counts"], serde_json::json!({"deltalake": 4, "polars": 4, "duckdb": 4}));
    assert_eq!(found["where"], serde_json::json!({"deltalake": 2, "polars": 2, "duckdb": 2}));
    for name in ["1", "2", "3", "4"] {
        let verified = place.run(&["status", &format!("{name}.parquet"), "--table", "t", "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
    let ran = ingest(&place, "1.parquet", "t");
    assert_eq!(ran.json()["already_done"], true);
}
