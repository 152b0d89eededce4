//! Tables whose data files have other names for the columns: column mapping, by name and by number.

use serde_json::Value;

use super::{MAPPED, count, ingest, lead_life, made, python, with_table};
use crate::support::Place;

#[test]
fn mapped_columns_with_deleted_rows() {
    let place = with_table("spark-deletion-vectors");
    let sources = [("a.csv", "part,col1,col2\n0,1,x\n1,2,y\n0,3,z\n", 3), ("b.csv", "col2,part,col1\nq,,7\n", 1)];
    lead_life(&place, sources, &[], MAPPED);
    let script = "print(readers.duckdb_connection().execute(\"select part, col1, col2 from delta_scan('t') where col2 in ('x', 'y', 'z', 'q') order by col1\").fetchall())";
    assert_eq!(python(&place, script), "[(0, 1, 'x'), (1, 2, 'y'), (0, 3, 'z'), (None, 7, 'q')]");
    place.write("whole.csv", "part,col1,col2\n1,9,w\n");
    let whole = ingest(&place, "whole.csv", &["--commit-mode", "file"]);
    assert_eq!(
        (whole.status, place.run(&["status", "whole.csv", "--table", "t", "--verify"]).status),
        (0, 0),
        "{whole:?}"
    );
}

/// Columns that are new to a table with column mapping, as its last metadata has them: name, number, name in files.
fn mapped(place: &Place) -> Value {
    let script = "entries = [json.loads(line) for file in sorted(pathlib.Path('t/_delta_log').glob('*.json')) for line in file.read_text().splitlines()]
last = [entry['metaData'] for entry in entries if 'metaData' in entry][-1]
found = []
def look(of, path):
    for field in of.get('fields', []):
        found.append((path + field['name'], field['metadata']['delta.columnMapping.id'], field['metadata']['delta.columnMapping.physicalName']))
        look(field, path + field['name'] + '.')
    for step in ('type', 'elementType', 'keyType', 'valueType'):
        if isinstance(of.get(step), dict):
            look(of[step], path)
look(json.loads(last['schemaString']), '')
print(json.dumps([found, last['configuration']['delta.columnMapping.maxColumnId']]))";
    serde_json::from_str(&python(place, script)).unwrap()
}

#[test]
fn mapped_tables_get_columns() {
    let place = with_table("spark-deletion-vectors");
    let before = count(&place, MAPPED);
    // Two files that add the same column, and one more that adds another.
    place.write("a.csv", "part,col1,col2,col3\n0,1,x,y\n1,2,x,y\n");
    place.write("b.csv", "part,col1,col3,New\n0,5,z,9\n");
    place.write("c.csv", "part,col1,col2\n0,7,z\n");
    for file in ["a.csv", "b.csv", "c.csv"] {
        let ran = ingest(&place, file, &["--column-names", "keep"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(place.run(&["status", file, "--table", "t", "--verify"]).status, 0, "{file}");
    }
    let [columns, last] = <[Value; 2]>::try_from(mapped(&place).as_array().unwrap().clone()).unwrap();
    assert_eq!(last, "5");
    let names: Vec<_> =
        columns.as_array().unwrap().iter().map(|column| (column[0].as_str().unwrap(), &column[1])).collect();
    assert_eq!(names[3..], [("col3", &4.into()), ("New", &5.into())]);
    let physical = columns[3][2].as_str().unwrap();
    assert!(physical.starts_with("col-") && physical.len() == 40, "{physical}");
    assert_eq!(count(&place, MAPPED), before + 4);
    let script = "print(readers.duckdb_connection().execute(\"select part, col1, col3, New from delta_scan('t') where col3 is not null order by col1\").fetchall())";
    assert_eq!(python(&place, script), "[(0, 1, 'y', None), (1, 2, 'y', None), (0, 5, 'z', 9)]");
    let script = "print(deltalake.QueryBuilder().register('t', deltalake.DeltaTable('t')).execute('select count(*) n from t where col3 is not null').read_all()['n'].to_pylist())";
    assert_eq!(python(&place, script), "[3]");
    let merged =
        place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s", "--json"]);
    assert_eq!((merged.status, merged.json()["compaction"]["merged"].as_u64() > Some(3)), (0, true), "{merged:?}");
    assert_eq!(count(&place, MAPPED), before + 4);
}

/// Columns, fields of structs, and structs in lists and maps, in a table that maps its columns by number.
#[test]
fn mapped_tables_get_nested_columns() {
    let place = with_table("spark-column-mapping-id");
    let before = count(&place, MAPPED);
    let script = "import pyarrow.parquet as pq
rows = {'IntegerType': pa.array([7_000_001, 7_000_002], pa.int32()),
    'nested_struct': [{'aa': 'x', 'ac': {'aca': 5, 'more': 'y'}, 'list': [{'e': 1.5}]}, None],
    'Fresh': pa.array([[('k', {'v': 1})], None], pa.map_(pa.string(), pa.struct([('v', pa.int64())])))}
pq.write_table(pa.table(rows), 'a.parquet')
pq.write_table(pa.table({'IntegerType': pa.array([7_000_003], pa.int32()), 'nested_struct': [{'ac': {'more': 'z'}}]}), 'b.parquet')";
    python(&place, script);
    for file in ["a.parquet", "b.parquet"] {
        let ran = ingest(&place, file, &["--column-names", "keep"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(place.run(&["status", file, "--table", "t", "--verify"]).status, 0, "{file}");
    }
    let [columns, last] = <[Value; 2]>::try_from(mapped(&place).as_array().unwrap().clone()).unwrap();
    let columns = columns.as_array().unwrap();
    let numbers: std::collections::BTreeSet<_> = columns.iter().map(|column| column[1].as_i64().unwrap()).collect();
    assert_eq!((numbers.len(), numbers.last().unwrap().to_string().into()), (columns.len(), last), "{columns:?}");
    assert_eq!(count(&place, MAPPED), before + 3);
    let script = "print([list(row.values()) for row in readers.duckdb_connection().execute(\"select IntegerType, nested_struct, Fresh from delta_scan('t') where IntegerType > 7000000 order by 1\").fetch_arrow_table().to_pylist()])";
    let expected = "[[7000001, {'aa': 'x', 'ac': {'aca': 5, 'more': 'y'}, 'list': [{'e': 1.5}]}, [('k', {'v': 1})]], \
                    [7000002, None, None], [7000003, {'aa': None, 'ac': {'aca': None, 'more': 'z'}, 'list': None}, None]]";
    assert_eq!(python(&place, script), expected);
}

#[test]
fn nested_columns_mapped_by_id() {
    const ROWS: &str = "[str(row) for row in readers.duckdb_connection().execute(\"from delta_scan('t')\").fetch_arrow_table().to_pylist()]";
    let place = with_table("spark-column-mapping-id");
    let before = count(&place, MAPPED);
    // Its own rows once more, as they are.
    let script = format!(
        "import pyarrow.parquet as pq
pq.write_table(readers.duckdb_connection().execute(\"from delta_scan('t')\").fetch_arrow_table(), 'a.parquet')
pathlib.Path('before').write_text('\\n'.join({ROWS}))"
    );
    python(&place, &script);
    let ran = ingest(&place, "a.parquet", &[]);
    assert_eq!((ran.status, ran.json()["rows"]["committed"].as_u64()), (0, Some(before)), "{ran:?}");
    let verified = place.run(&["status", "a.parquet", "--table", "t", "--verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    let twice = format!(
        "before = pathlib.Path('before').read_text().splitlines()\nprint(sorted(2 * before) == sorted({ROWS}))"
    );
    assert_eq!(python(&place, &twice), "True", "each row is there twice");
    assert_eq!(count(&place, MAPPED), 2 * before);
}

/// Files whose columns have names that only their numbers tell, as those that became a Delta table in place.
#[test]
fn files_with_other_names_are_merged_by_number() {
    let place = made(
        "import os, pyarrow.parquet as pq
numbered = lambda name, kind, number: pa.field(name, kind, metadata={'PARQUET:field_id': str(number)})
inner = pa.struct([numbered('theirs', pa.string(), 3)])
schema = pa.schema([numbered('other', inner, 2), numbered('another', pa.int64(), 1)])
os.makedirs('t/_delta_log')
mapped = lambda name, number: {'name': name, 'nullable': True,
    'metadata': {'delta.columnMapping.id': number, 'delta.columnMapping.physicalName': f'col-{number}'}}
fields = [{**mapped('id', 1), 'type': 'long'},
          {**mapped('s', 2), 'type': {'type': 'struct', 'fields': [{**mapped('x', 3), 'type': 'string'}]}}]
log = [{'protocol': {'minReaderVersion': 2, 'minWriterVersion': 5}},
       {'metaData': {'id': 'x', 'format': {'provider': 'parquet', 'options': {}}, 'partitionColumns': [], 'createdTime': 0,
        'schemaString': json.dumps({'type': 'struct', 'fields': fields}),
        'configuration': {'delta.columnMapping.mode': 'id', 'delta.columnMapping.maxColumnId': '3'}}}]
for number in range(3):
    rows = pa.table({'other': pa.array([{'theirs': f'v{number}'}], inner), 'another': [number]}, schema=schema)
    pq.write_table(rows, f't/{number}.parquet', store_schema=False)
    size = os.path.getsize(f't/{number}.parquet')
    log.append({'add': {'path': f'{number}.parquet', 'partitionValues': {}, 'size': size, 'modificationTime': 0, 'dataChange': True}})
pathlib.Path('t/_delta_log/00000000000000000000.json').write_text('\\n'.join(map(json.dumps, log)))",
    );
    place.write("a.csv", "id\n7\n");
    assert_eq!(ingest(&place, "a.csv", &[]).status, 0);
    let merged =
        place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s", "--json"]);
    assert_eq!((merged.status, merged.json()["compaction"]["merged"].as_u64()), (0, Some(4)), "{merged:?}");
    let script =
        "print(readers.duckdb_connection().execute(\"select id, s.x from delta_scan('t') order by 1\").fetchall())";
    assert_eq!(python(&place, script), "[(0, 'v0'), (1, 'v1'), (2, 'v2'), (7, None)]");
}

#[test]
fn files_with_columns_that_the_table_dropped_are_left_alone_and_told() {
    let place = with_table("spark-deletion-vectors");
    for (name, value) in [("a.csv", 1), ("b.csv", 2)] {
        place.write(name, format!("part,col1,col2,gone\n0,{value},x,y\n"));
        assert_eq!(ingest(&place, name, &[]).status, 0);
    }
    // As ALTER TABLE ... DROP COLUMN leaves it.
    python(
        &place,
        "logs = sorted(pathlib.Path('t/_delta_log').glob('*.json'))
last = [json.loads(line)['metaData'] for log in logs for line in log.read_text().splitlines() if 'metaData' in line][-1]
schema = json.loads(last['schemaString'])
schema['fields'] = [field for field in schema['fields'] if field['name'] != 'gone']
last['schemaString'] = json.dumps(schema)
pathlib.Path(f't/_delta_log/{int(logs[-1].stem) + 1:020}.json').write_text(json.dumps({'metaData': last}))",
    );
    let before = count(&place, MAPPED);
    let args = ["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s"];
    let merged = place.run(&args);
    assert_eq!(merged.status, 0, "{merged:?}");
    assert!(merged.stdout.contains(" with other columns than the table, left alone"), "{merged:?}");
    assert_eq!(count(&place, MAPPED), before);
}
