//! What a table becomes by a source: never one that no reader opens.

use super::{ingested, python, refused, versions};
use crate::support::Place;

/// Sources with timestamps without time zone at any place, those of Spark's default output among them, and two too deep.
const SOURCES: &str = r"
T = datetime.datetime(2024, 1, 1)
ntz = pa.timestamp('us')
def write(name, kind, value, **how):
    pq.write_table(pa.table({'id': [2], 'm': pa.array([value], kind)}), f'{name}.parquet', **how)
write('top', ntz, T)
write('map', pa.map_(pa.string(), ntz), [('created', T)])
write('spark', pa.map_(pa.string(), pa.timestamp('ns')), [('created', T)], use_deprecated_int96_timestamps=True, store_schema=False)
write('key', pa.map_(ntz, pa.string()), [(T, 'created')])
write('deeper', pa.list_(pa.struct([('m', pa.map_(pa.string(), pa.list_(ntz)))])), [{'m': [('a', [T])]}])
kind, value = pa.int32(), 1
for level in range(60):
    kind, value = pa.struct([('f', kind)]), {'f': value}
write('deep', kind, value)
kind, value = pa.int32(), 1
for level in range(60):
    kind, value = pa.list_(kind), [value]
write('lists', kind, value, store_schema=False)
deltalake.write_deltalake('others', pa.table({'id': [1]}))
deltalake.write_deltalake('listing', pa.table({'id': [1], 't': pa.array([T], ntz)}))
pq.write_table(pa.table({'id': [1]}), 'first.parquet')
";

const WITH_TIMESTAMPS: [&str; 5] = ["top", "map", "spark", "key", "deeper"];

#[test]
fn timestamps_without_zone_are_added_where_the_protocol_may_be_raised() {
    let place = Place::new();
    python(&place, SOURCES);
    for name in WITH_TIMESTAMPS {
        let file = format!("{name}.parquet");
        // A table of others stays as it is: its protocol would have to be raised.
        let said = refused(&place, &file, "others");
        assert!(said.contains("column 'm' has timestamps without time zone"), "{said}");
        assert!(said.contains("hint: ALTER TABLE ... SET TBLPROPERTIES ('delta.feature.timestampNtz'"), "{said}");
        assert_eq!(versions(&place.path("others")), 1);
        // A new one gets what it needs at once, and one of Sluice's own with the column.
        ingested(&place, &file, &format!("new_{name}"));
        ingested(&place, "first.parquet", &format!("own_{name}"));
        ingested(&place, &file, &format!("own_{name}"));
    }
    ingested(&place, "map.parquet", "listing");
    let counts = python(
        &place,
        "tables = [f'{kind}_{name}' for kind in ('new', 'own') for name in ('top', 'map', 'spark', 'key', 'deeper')]\n\
         counts = {table: sorted(set(readers.counts(table).values())) for table in [*tables, 'others', 'listing']}\n\
         sources.report(counts)",
    );
    for (table, counts) in counts.as_object().unwrap() {
        let expected = if table.starts_with("own") || table == "listing" { 2 } else { 1 };
        assert_eq!(counts, &serde_json::json!([expected]), "{table}");
    }
}

#[test]
fn what_no_reader_could_open_is_refused_at_once() {
    let place = Place::new();
    python(&place, SOURCES);
    ingested(&place, "first.parquet", "own");
    for table in ["new", "own", "others"] {
        let before = versions(&place.path(table));
        for file in ["deep.parquet", "lists.parquet"] {
            let said = refused(&place, file, table);
            assert!(said.contains("column 'm': no reader could open the table with it"), "{said}");
            assert!(said.lines().count() == 2, "{said}");
        }
        assert_eq!(versions(&place.path(table)), before);
        let planned = place.run(&["plan", "deep.parquet", "--table", table]);
        assert_eq!(planned.status, 3, "{planned:?}");
    }
}

#[test]
fn a_group_without_fields_moves_no_value() {
    let place = Place::new();
    python(
        &place,
        r"
columns = {name: pa.array([factor, 2 * factor, 3 * factor], pa.int32()) for name, factor in (('a', 1), ('b', 10), ('c', 100))}
for place in range(4):
    pq.write_table(pa.table(columns), f'{place}.parquet', store_schema=False)
    sources.with_empty_group(f'{place}.parquet', 'extra', place)
",
    );
    for number in 0..4 {
        let ran = super::ingest(&place, &format!("{number}.parquet"), &format!("t{number}"));
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.stderr.contains("a group without fields has no values, and is left out"), "{ran:?}");
        assert!(ran.stderr.contains("extra"), "{ran:?}");
    }
    let found = python(
        &place,
        "sources.report([deltalake.DeltaTable(f't{n}').to_pyarrow_table().to_pydict() for n in range(4)])",
    );
    for table in found.as_array().unwrap() {
        assert_eq!(table, &serde_json::json!({"a": [1, 2, 3], "b": [10, 20, 30], "c": [100, 200, 300]}));
    }
}
