//! Each type of Parquet, by files of at least two writers that have it: `docs/formats.md` has a row for each.

use std::sync::Arc;

use arrow::array::AsArray;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type, Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::{ingest, ingested, python};
use crate::support::{Place, read};

#[test]
fn every_type_is_what_its_writer_reads() {
    let place = Place::new();
    let names = python(&place, "import type_files\ntype_files.write()");
    for name in names.as_array().unwrap() {
        let name = name.as_str().unwrap();
        let report = ingested(&place, &format!("{name}.parquet"), &format!("t_{name}"));
        assert_eq!(report["rows"]["quarantined"], 0, "{name}");
        let verified = place.run(&["status", &format!("{name}.parquet"), "--table", &format!("t_{name}"), "--verify"]);
        assert_eq!(verified.status, 0, "{name}: {verified:?}");
    }
    assert_eq!(python(&place, "import type_files\ntype_files.compare()"), serde_json::json!({}));
}

/// The Parquet crate is the one writer here that has a word for these.
#[test]
fn an_enum_is_text() {
    let schema = "message m { required int64 id; optional binary colour (ENUM); required group l (LIST) \
                  { repeated group list { optional binary element (ENUM); } } optional binary raw (BSON); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut id = group.next_column().unwrap().unwrap();
    id.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    id.close().unwrap();
    let bytes = |text: &str| ByteArray::from(text);
    let mut colour = group.next_column().unwrap().unwrap();
    colour.typed::<ByteArrayType>().write_batch(&[bytes("red")], Some(&[1, 0]), None).unwrap();
    colour.close().unwrap();
    let mut list = group.next_column().unwrap().unwrap();
    list.typed::<ByteArrayType>().write_batch(&[bytes("é"), bytes("b")], Some(&[2, 2, 0]), Some(&[0, 1, 0])).unwrap();
    list.close().unwrap();
    let mut raw = group.next_column().unwrap().unwrap();
    raw.typed::<ByteArrayType>().write_batch(&[bytes("x")], Some(&[0, 1]), None).unwrap();
    raw.close().unwrap();
    group.close().unwrap();
    let place = Place::new();
    place.write("x.parquet", file.into_inner().unwrap());
    ingested(&place, "x.parquet", "t");
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t').to_pyarrow_table().sort_by('id')\n\
         sources.report([t['colour'].to_pylist(), t['l'].to_pylist(), str(t['raw'].type)])",
    );
    assert_eq!(found, serde_json::json!([["red", null], [["é", "b"], []], "binary"]));
}

#[test]
fn digits_beyond_microseconds_are_cut_towards_the_past_and_counted() {
    let place = Place::new();
    python(
        &place,
        "at = pa.array([1_700_000_000_123_456_789, -1, 1000, None], pa.timestamp('ns'))\n\
         pq.write_table(pa.table({'id': [1, 2, 3, 4], 'at': at, 'all': pa.array([[1], [999, 1], [], None], pa.list_(pa.timestamp('ns')))}), 'x.parquet')",
    );
    let report = ingested(&place, "x.parquet", "t");
    assert_eq!(report["rows"]["shortened"], 4);
    let again = place.run(&["ingest", "x.parquet", "--table", "u"]);
    assert!(again.stdout.contains("4 values lost digits that the table's types have no place for"), "{again:?}");
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t').to_pyarrow_table().sort_by('id')\nsources.report([sources.plain(t['at']), sources.plain(t['all'])])",
    );
    let expected = serde_json::json!([[1_700_000_000_123_456_000_i64, -1000, 1000, null], [[0], [0, 0], [], null]]);
    assert_eq!(found, expected);
}

/// The format says nothing of these, and readers differ.
#[test]
fn a_decimal_of_no_bytes_is_0_and_times_of_day_are_counted_from_midnight() {
    let schema = "message m { required int96 at; required binary d (DECIMAL(4, 2)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    // The second of January of 1970 and so many nanoseconds.
    let at = |nanos: i64| {
        let bytes = nanos.to_le_bytes();
        let half = |place: usize| u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap());
        let mut value = Int96::new();
        value.set_data(half(0), half(4), 2_440_589);
        value
    };
    let mut column = group.next_column().unwrap().unwrap();
    let moments = [at(-1_000_000_000), at(86_401_000_000_000), at(1000)];
    column.typed::<Int96Type>().write_batch(&moments, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let decimals = [ByteArray::from(vec![]), ByteArray::from(vec![0xff]), ByteArray::from(vec![1, 0])];
    column.typed::<ByteArrayType>().write_batch(&decimals, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let place = Place::new();
    place.write("x.parquet", file.into_inner().unwrap());
    ingested(&place, "x.parquet", "t");
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t').to_pyarrow_table()
sources.report([[str(at) for at in t['at'].to_pylist()], [str(d) for d in t['d'].to_pylist()]])",
    );
    let moments = ["1970-01-01 23:59:59", "1970-01-03 00:00:01", "1970-01-02 00:00:00.000001"];
    assert_eq!(found, json!([moments, ["0.00", "-0.01", "2.56"]]));
}

/// As Impala wrote them.
#[test]
fn a_decimal_without_a_scale_has_the_scale_0() {
    let place = Place::new();
    python(
        &place,
        r"
pq.write_table(pa.table({'d': pa.array([D(-7), None, D(123456789)], pa.decimal128(9, 0))}), 'with.parquet', store_schema=False)
file = open('with.parquet', 'rb').read()
start = len(file) - 8 - int.from_bytes(file[-8:-4], 'little')
# Converted type, scale and precision; then without the scale, and without the logical type.
footer = file[start:-8]
assert footer.count(b'\x25\x0a\x15\x00\x15\x12') == 1
footer = footer.replace(b'\x25\x0a\x15\x00\x15\x12', b'\x25\x0a\x25\x12')
open('x.parquet', 'wb').write(file[:start] + footer + len(footer).to_bytes(4, 'little') + file[-4:])
",
    );
    assert_eq!(ingested(&place, "x.parquet", "t")["rows"]["committed"], 3);
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t').to_pyarrow_table()['d']\nsources.report([str(t.type), [str(d) for d in t.to_pylist()]])",
    );
    assert_eq!(found, json!(["decimal128(9, 0)", ["-7", "None", "123456789"]]));
}

/// The types of a table's columns.
const TIMES: &str = r"
def kinds(table):
    return {field['name']: field['type'] for field in json.loads(deltalake.DeltaTable(table).schema().to_json())['fields']}
";

#[test]
fn int96_of_spark_are_instants() {
    let place = Place::new();
    std::fs::copy(crate::support::fixture("spark/int96.parquet"), place.path("spark.parquet")).unwrap();
    python(
        &place,
        "columns = {'at': pa.array([], pa.timestamp('us')), 'id': pa.array([], pa.int32())}\n\
         deltalake.write_deltalake('theirs', pa.table(columns))",
    );
    for table in ["new", "theirs"] {
        ingested(&place, "spark.parquet", table);
        let verified = place.run(&["status", "spark.parquet", "--table", table, "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
    let found = python(
        &place,
        &format!(
            "{TIMES}\n\
             new = [kinds('new'), readers.rows('new', ['id', 'at', 'wall'])]\n\
             sources.report([new, [kinds('theirs')['at'], readers.rows('theirs', ['id', 'at'])]])"
        ),
    );
    let wall = [
        ["1", "2024-07-01 12:00:00.123456", "2024-07-01 08:00:00.123456"],
        ["2", "9999-12-31 23:59:59.999999", "9999-12-31 18:59:59.999999"],
        ["3", "1900-01-01 00:00:00", "1899-12-31 19:00:00"],
    ];
    let mut instants: Vec<_> = wall.iter().map(|[id, at, wall]| json!([id, format!("{at}+00:00"), wall])).collect();
    instants.push(json!(["4", null, null]));
    let mut walls: Vec<_> = wall.iter().map(|[id, at, _]| json!([id, at])).collect();
    walls.push(json!(["4", null]));
    let at = json!({"name": "at", "type": "timestamp", "nullable": true, "metadata": {}});
    let kinds = json!({
        "id": "integer",
        "at": "timestamp",
        "all": {"type": "array", "elementType": "timestamp", "containsNull": true},
        "s": {"type": "struct", "fields": [at]},
        "m": {"type": "map", "keyType": "string", "valueType": "timestamp", "valueContainsNull": true},
        "wall": "timestamp_ntz",
    });
    assert_eq!(found, json!([[kinds, instants], ["timestamp_ntz", walls]]));
}

/// Copied, and cut since a row group is larger than a chunk.
#[test]
fn int96_are_instants_if_the_footer_has_the_word_of_spark() {
    let place = Place::new();
    python(
        &place,
        r"
at = pa.array([n * 7_919_000_003 for n in range(100_000)], pa.timestamp('us'))
def write(name, metadata):
    how = {'use_deprecated_int96_timestamps': True, 'store_schema': False, 'use_dictionary': False, 'compression': 'none'}
    with pq.ParquetWriter(f'{name}.parquet', pa.schema([('at', at.type)]), **how) as file:
        file.write_table(pa.table({'at': at}))
        file.add_key_value_metadata(metadata)
write('spark', {'org.apache.spark.version': '3.5.0'})
write('others', {'writer': 'x'})
",
    );
    for (file, size) in [("spark", "100"), ("spark", "1"), ("others", "100"), ("others", "1")] {
        let (source, table) = (format!("{file}.parquet"), format!("{file}_{size}"));
        let ran = place.run(&["ingest", &source, "--table", &table, "--chunk-size-mb", size]);
        assert_eq!(ran.status, 0, "{ran:?}");
    }
    let found = python(
        &place,
        &format!(
            "{TIMES}\n\
             tables = ('spark_100', 'spark_1', 'others_100', 'others_1')\n\
             source = pq.read_table('spark.parquet', coerce_int96_timestamp_unit='us')['at'].cast(pa.int64()).to_pylist()\n\
             of = lambda name: sorted(deltalake.DeltaTable(name).to_pyarrow_table()['at'].cast(pa.int64()).to_pylist())\n\
             sources.report([[kinds(name)['at'] for name in tables], all(of(name) == source for name in tables)])"
        ),
    );
    assert_eq!(found, json!([["timestamp", "timestamp", "timestamp_ntz", "timestamp_ntz"], true]));
}

#[test]
fn one_value_that_cannot_be_kept_costs_its_row() {
    let place = Place::new();
    python(
        &place,
        r"
def write(name, number, kind, good, bad):
    values = pa.array([good, bad, None], number).view(kind)
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), values)
    pq.write_table(pa.table({'id': [1, 2, 3], 'v': values, 'l': lists}), f'{name}.parquet')
write('infinity', pa.int32(), pa.date32(), 1, 2**31 - 1)
write('before', pa.int32(), pa.time32('ms'), 0, -1)
write('after', pa.int64(), pa.time64('us'), 0, 86_400 * 10**6)
write('never', pa.int64(), pa.timestamp('us'), 0, 2**63 - 1)
write('far', pa.int64(), pa.timestamp('ms', 'UTC'), 0, 2**60)
",
    );
    for (name, shown) in [
        ("infinity", "2147483647"),
        ("before", "-1"),
        ("after", "86400000000"),
        ("never", "9223372036854775807"),
        ("far", "1152921504606846976"),
    ] {
        let report = ingested(&place, &format!("{name}.parquet"), name);
        assert_eq!(report["rows"]["committed"], 2, "{name}");
        assert_eq!(report["rows"]["quarantined"], 1, "{name}");
        let job = report["job_id"].as_str().unwrap();
        let rejected = read(&place.path(&format!("{name}/_sluice/{job}/quarantine/load-00000.parquet")));
        let rejected = format!("{:?}", rejected.columns());
        assert!(rejected.contains(shown) && rejected.contains("\"v\""), "{name}: {rejected}");
    }
    let counts =
        python(&place, "sources.report([readers.counts(name) for name in ('infinity', 'before', 'never', 'far')])");
    for count in counts.as_array().unwrap() {
        assert_eq!(count, &serde_json::json!({"deltalake": 2, "polars": 2, "duckdb": 2}));
    }
}

#[test]
fn a_text_that_is_not_utf_8_costs_its_row() {
    let place = Place::new();
    python(
        &place,
        r"
raw = lambda values: pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())
texts = [b'a', b'caf\xe9', b'c', None] * 2500
columns = {'id': list(range(len(texts))), 't': raw(texts), 'n': pa.array([1] * len(texts), pa.uint32())}
columns['s'] = pa.StructArray.from_arrays([raw([b'x', b'y', b'\xff', b'z'] * 2500)], ['t'])
pq.write_table(pa.table(columns), 'x.parquet', row_group_size=3000, store_schema=False)
",
    );
    let report = ingested(&place, "x.parquet", "t");
    assert_eq!(report["rows"]["committed"], 5000);
    assert_eq!(report["rows"]["quarantined"], 5000);
    let job = report["job_id"].as_str().unwrap();
    let rejected = read(&place.path(&format!("t/_sluice/{job}/quarantine/load-00000.parquet")));
    assert_eq!(rejected.num_rows(), 5000);
    let raw = rejected.column_by_name("raw").unwrap().as_binary::<i32>().value(0);
    assert_eq!(std::str::from_utf8(raw).unwrap(), r#"{"id":1,"n":1,"s":"{t: y}","t":"636166e9"}"#);
    let verified = place.run(&["status", "x.parquet", "--table", "t", "--verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    let found = python(
        &place,
        "t = deltalake.DeltaTable('t').to_pyarrow_table().sort_by('id')\n\
         sources.report([t['id'].to_pylist()[:4], t['t'].to_pylist()[:4], t['s'].to_pylist()[:2]])",
    );
    assert_eq!(found, serde_json::json!([[0, 3, 4, 7], ["a", null, "a", null], [{"t": "x"}, {"t": "z"}]]));
    let ran = place.run(&["ingest", "x.parquet", "--table", "u", "--bad-records", "fail"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("column 't': its text is not UTF-8"), "{ran:?}");
    let ran = ingest(&place, "x.parquet", "t");
    assert_eq!(ran.json()["already_done"], true);
}
