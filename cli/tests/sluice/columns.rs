//! Names of columns: those of a table that is there, whatever characters they have, and those that new ones get.

use serde_json::json;

use crate::parquet::python;
use crate::support::Place;

/// Tables by deltalake and Polars, and sources of each format, all with the same odd names.
const ODD: &str = r"
names = ['Order ID', 'a,;{}()=\tb', 'x.y', 'plain']
row = lambda n: {name: [n * 10 + place] for place, name in enumerate(names)}
deltalake.write_deltalake('by_deltalake', pa.table(row(0)))
polars.DataFrame(row(0)).write_delta('by_polars')
deltalake.write_deltalake('by_parts', pa.table(row(0)), partition_by=['Order ID'])
pq.write_table(pa.table(row(1)), 'x.parquet')
quoted = ','.join('\x22' + name + '\x22' for name in names)
open('x.csv', 'w').write(quoted + '\n' + ','.join(str(20 + place) for place in range(4)) + '\n')
open('x.ndjson', 'w').write(json.dumps({name: 30 + place for place, name in enumerate(names)}) + '\n')
";

#[test]
fn columns_of_a_table_are_met_whatever_their_names_are() {
    let place = Place::new();
    python(&place, ODD);
    for table in ["by_deltalake", "by_polars", "by_parts"] {
        for file in ["x.parquet", "x.csv", "x.ndjson"] {
            let planned = place.run(&["plan", file, "--table", table]);
            assert!(planned.stdout.contains("  Order ID  "), "{planned:?}");
            let ran = place.run(&["ingest", file, "--table", table, "--json"]);
            assert_eq!(ran.status, 0, "{table} {file}: {ran:?}");
            assert_eq!(ran.json()["rows"]["committed"], 1, "{table} {file}: {ran:?}");
            let verified = place.run(&["status", file, "--table", table, "--verify"]);
            assert_eq!(verified.status, 0, "{table} {file}: {verified:?}");
        }
    }
    let found = python(
        &place,
        r"
names = ['Order ID', 'a,;{}()=\tb', 'x.y', 'plain']
def of(table):
    fields = [field.name for field in deltalake.DeltaTable(table).schema().fields]
    return fields if fields != names else readers.rows(table, names)
sources.report([of(table) for table in ('by_deltalake', 'by_polars', 'by_parts')])
",
    );
    let row = |n: u32| (0..4).map(|place| (n * 10 + place).to_string()).collect::<Vec<_>>();
    let rows = json!([row(0), row(1), row(2), row(3)]);
    assert_eq!(found, json!([rows, rows, rows]));
}

#[test]
fn sql_may_name_what_the_table_has() {
    let place = Place::new();
    python(&place, "deltalake.write_deltalake('t', pa.table({'Order ID': [1], 'x.y': ['a']}))");
    place.write("x.csv", "order,letter\n2,b\n");
    let sql = "SELECT \"order\" AS \"Order ID\", letter AS \"x.y\" FROM chunk";
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--sql", sql]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(
        python(&place, "sources.report(readers.rows('t', ['Order ID', 'x.y']))"),
        json!([["1", "a"], ["2", "b"]])
    );
    let sql = "SELECT \"order\" AS \"Order  ID\" FROM chunk";
    for table in ["t", "new"] {
        let ran = place.run(&["ingest", "x.csv", "--table", table, "--again", "--sql", sql]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.stderr.contains("column name 'Order  ID' has a character that Delta refuses"), "{ran:?}");
    }
}

#[test]
fn new_columns_have_neither_spaces_nor_points_and_the_next_file_finds_them() {
    let place = Place::new();
    place.write("1.csv", "Order ID,x.y,x_y\n1,2,3\n");
    place.write("2.csv", "Order ID,x.y,x_y\n4,5,6\n");
    python(&place, "pq.write_table(pa.table({'Order ID': [7], 'x.y': [8], 'x_y': [9]}), '3.parquet')");
    let planned = place.run(&["plan", "3.parquet"]);
    insta::assert_snapshot!(planned.stdout, @"
    [place]/3.parquet (1,068 bytes)
      format       parquet (found)
      row groups   1
    columns
      name      type   example  in the source
      order_id  Int64  7        Order ID
      x_y       Int64  8        x.y
      x_y_2     Int64  9        x_y
    first rows
      order_id  x_y  x_y_2
      7         8    9
    expected: about 1 chunk of at most 100.0 MiB, about 1 row, about 294 bytes in all
    ");
    for file in ["1.csv", "2.csv", "3.parquet"] {
        let ran = place.run(&["ingest", file, "--table", "t"]);
        assert_eq!(ran.status, 0, "{ran:?}");
    }
    let found = python(
        &place,
        "names = [field.name for field in deltalake.DeltaTable('t').schema().fields]\n\
         sources.report([names, readers.rows('t', names)])",
    );
    let rows = json!([["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]]);
    assert_eq!(found, json!([["order_id", "x_y", "x_y_2"], rows]));
}

#[test]
fn fields_of_structs_keep_points_and_others_filter_on_them() {
    let place = Place::new();
    python(
        &place,
        "pq.write_table(pa.table({'s': [{'a.b': 1, 'c': {'d.e': 'x'}}, {'a.b': 2, 'c': {'d.e': 'y'}}]}), 'x.parquet')",
    );
    let ran = place.run(&["ingest", "x.parquet", "--table", "t"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let found = python(
        &place,
        r#"
by_deltalake = lambda where: deltalake.QueryBuilder().register('t', deltalake.DeltaTable('t')).execute(f'select s from t where {where}').read_all().num_rows
by_duckdb = lambda where: len(readers.duckdb_connection().execute(f"select s from delta_scan('t') where {where}").fetchall())
field = polars.col('s').struct.field
by_polars = lambda condition: polars.scan_delta('t').filter(condition).collect().height
sources.report([by_deltalake("s['a.b'] = 2"), by_deltalake("s['c']['d.e'] = 'y'"), by_duckdb('s."a.b" = 2'), by_duckdb("s.c.\"d.e\" = 'y'"),
                by_polars(field('a.b') == 2), by_polars(field('c').struct.field('d.e') == 'y')])
"#,
    );
    assert_eq!(found, json!([1, 1, 1, 1, 1, 1]));
}
