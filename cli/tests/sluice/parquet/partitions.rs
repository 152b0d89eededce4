//! Partitions: what three readers take from folders and log for the value that was loaded, or it is refused.

use arrow::array::AsArray;
use serde_json::{Value, json};

use super::{ingest, python, versions};
use crate::support::{Place, Ran, read};

fn partitioned(place: &Place, file: &str, table: &str, more: &[&str]) -> Ran {
    place.run(&[&["ingest", file, "--table", table, "--partition-by", "p", "--json"], more].concat())
}

/// What is said of rejected rows: column and reason.
fn reasons(place: &Place, table: &str, report: &Value) -> Vec<(String, String)> {
    let job = report["job_id"].as_str().unwrap();
    let rejected = read(&place.path(&format!("{table}/_sluice/{job}/quarantine/load-00000.parquet")));
    let texts = |name: &str| {
        let values = rejected.column_by_name(name).unwrap().as_string::<i32>().iter();
        values.map(|value| value.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    texts("column").into_iter().zip(texts("reason")).collect()
}

fn verified(place: &Place, file: &str, table: &str) {
    let verified = place.run(&["status", file, "--table", table, "--verify"]);
    assert_eq!(verified.status, 0, "{file}: {verified:?}");
}

#[test]
fn bytes_are_no_partition() {
    let place = Place::new();
    python(
        &place,
        r"
pq.write_table(pa.table({'id': [1], 'p': pa.array([bytes(range(16))], pa.binary(16))}), 'uuid.parquet')
pq.write_table(pa.table({'id': [1], 'p': pa.array([b'ab'])}), 'bytes.parquet')
deltalake.write_deltalake('theirs', pa.table({'id': [1], 'p': pa.array([b'a'])}), partition_by=['p'])
",
    );
    for file in ["uuid.parquet", "bytes.parquet"] {
        let ran = partitioned(&place, file, "t", &[]);
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.stderr.contains("a table cannot be partitioned by 'p', which is binary"), "{ran:?}");
        assert!(ran.stderr.contains("hint: partition by another column, or make text of it by SQL"), "{ran:?}");
        assert!(!place.path("t").exists(), "nothing is split");
        let ran = partitioned(&place, file, "theirs", &[]);
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.stderr.contains("the table is partitioned by 'p', which is binary"), "{ran:?}");
        assert_eq!(versions(&place.path("theirs")), 1);
        let sql = ["--sql", "SELECT id, encode(p, 'hex') AS p FROM chunk"];
        let ran = partitioned(&place, file, &format!("text_{file}"), &sql);
        assert_eq!(ran.status, 0, "{ran:?}");
    }
    let found = python(
        &place,
        "sources.report([readers.rows(f'text_{name}.parquet', ['id', 'p']) for name in ('uuid', 'bytes')])",
    );
    assert_eq!(found, json!([[["1", "000102030405060708090a0b0c0d0e0f"]], [["1", "6162"]]]));
}

/// Texts, of which some cannot be the name of a folder.
const TEXTS: &str = r"
texts = ['', 'a', '__HIVE_DEFAULT_PARTITION__', None, 'é' * 42, 'é' * 43, 'x' * 253, 'x' * 254, 'null', 'a b/%20', 'a\n']
pq.write_table(pa.table({'id': range(len(texts)), 'p': texts}), 'x.parquet')
";

#[test]
fn a_text_that_no_folder_can_be_named_by_costs_its_row() {
    let place = Place::new();
    python(&place, TEXTS);
    let ran = partitioned(&place, "x.parquet", "t", &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("empty texts in columns that the table is partitioned by are null in it"), "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["rows"]["committed"], &report["rows"]["quarantined"]), (&8.into(), &3.into()));
    let of_p = |reason: String| ("p".to_owned(), reason);
    let long = |letters: String, bytes| {
        of_p(format!("'{letters}' needs a folder with a name of {bytes} bytes, and a partition's has at most 255"))
    };
    let word =
        "'__HIVE_DEFAULT_PARTITION__' stands for null in the folders of partitions, so readers would take it for null";
    let expected = [of_p(word.to_owned()), long("é".repeat(43), 260), long("x".repeat(80), 256)];
    assert_eq!(reasons(&place, "t", &report), expected);
    verified(&place, "x.parquet", "t");

    let ran = partitioned(&place, "x.parquet", "u", &["--bad-records", "null"]);
    assert_eq!(ran.json()["rows"]["quarantined"], 0);
    verified(&place, "x.parquet", "u");
    let ran = partitioned(&place, "x.parquet", "w", &["--bad-records", "fail"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("column 'p': '__HIVE_DEFAULT_PARTITION__' stands for null"), "{ran:?}");

    let found = python(
        &place,
        &format!(
            "{TEXTS}\n\
             at = lambda places: [texts[place] or None if place in places else None for place in range(len(texts))]\n\
             right = lambda numbers, values: sorted([[str(n), values[n]] for n in numbers], key=lambda row: [v or '' for v in row])\n\
             taken = [0, 1, 3, 4, 6, 8, 9, 10]\n\
             t = readers.rows('t', ['id', 'p'])\n\
             u = readers.rows('u', ['id', 'p'])\n\
             sources.report([t == right(taken, at(taken)) or t, u == right(range(len(texts)), at(taken)) or u])"
        ),
    );
    assert_eq!(found, json!([true, true]));
}

#[test]
fn an_empty_text_is_null_where_no_null_may_be() {
    let place = Place::new();
    python(
        &place,
        r"
schema = deltalake.Schema([deltalake.Field('p', 'string', nullable=False), deltalake.Field('id', 'long')])
deltalake.DeltaTable.create('t', schema, partition_by=['p'])
pq.write_table(pa.table({'id': [1, 2, 3], 'p': ['', 'a', None]}), 'x.parquet')
",
    );
    let report = ingest(&place, "x.parquet", "t").json();
    assert_eq!((&report["rows"]["committed"], &report["rows"]["quarantined"]), (&1.into(), &2.into()));
    let expected =
        ["an empty text is null in a partition, and the table takes no null here", "the table takes no null here"];
    assert_eq!(reasons(&place, "t", &report), expected.map(|reason| ("p".to_owned(), reason.to_owned())));
    verified(&place, "x.parquet", "t");
    assert_eq!(python(&place, "sources.report(readers.rows('t', ['id', 'p']))"), json!([["2", "a"]]));
}

#[test]
fn years_that_python_has_no_dates_in_cost_their_rows() {
    let place = Place::new();
    python(
        &place,
        r"
days = [-719163, -719162, 0, 2932896, 2932897, None]
micros = [day and day * 86_400_000_000 for day in days]
kinds = {'date': pa.array(days, pa.int32()).cast(pa.date32())}
kinds['ntz'] = pa.array(micros, pa.int64()).cast(pa.timestamp('us'))
kinds['utc'] = pa.array(micros, pa.int64()).cast(pa.timestamp('us', 'UTC'))
for name, values in kinds.items():
    pq.write_table(pa.table({'id': range(6), 'p': values}), f'{name}.parquet')
pq.write_table(pa.table({'id': range(5), 'p': [0.1, float('nan'), float('inf'), 1e300, None]}), 'double.parquet')
",
    );
    for (name, bad) in [("date", 2), ("ntz", 2), ("utc", 2), ("double", 1)] {
        let file = format!("{name}.parquet");
        let ran = partitioned(&place, &file, name, &[]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let report = ran.json();
        assert_eq!(report["rows"]["quarantined"], bad, "{report}");
        verified(&place, &file, name);
        let told = reasons(&place, name, &report);
        assert!(told.iter().all(|(column, _)| column == "p"), "{told:?}");
        let word = if name == "double" { "needs a folder" } else { "is not in the years 1 to 9999" };
        assert!(told.iter().all(|(_, reason)| reason.contains(word)), "{told:?}");
    }
    let found = python(
        &place,
        r"
first = lambda name: [[row[0], row[1] and row[1][:10]] for row in readers.rows(name, ['id', 'p'])]
sources.report([first(name) for name in ('date', 'ntz', 'utc', 'double')])
",
    );
    let days = json!([["1", "0001-01-01"], ["2", "1970-01-01"], ["3", "9999-12-31"], ["5", null]]);
    assert_eq!(found, json!([days, days, days, [["0", "0.1"], ["1", "nan"], ["2", "inf"], ["4", null]]]));
}

#[test]
fn columns_whose_names_no_folder_can_have_are_refused_before_the_split() {
    let place = Place::new();
    for name in ["n".repeat(240).as_str(), "a/b", "a:b"] {
        place.write("x.csv", format!("id,{name}\n1,2\n"));
        let ran = place.run(&["ingest", "x.csv", "--table", "t", "--partition-by", name]);
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.stderr.contains(&format!("a table cannot be partitioned by '{name}', whose name ")), "{ran:?}");
        assert!(ran.stderr.contains("hint: partition by another column, or give this one a"), "{ran:?}");
        assert!(!place.path("t").exists(), "nothing is split");
    }
}

#[test]
fn a_table_is_partitioned_by_a_name_of_the_source() {
    let place = Place::new();
    place.write("x.csv", "id,Extra Col,extra-col\n1,2,3\n");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--partition-by", "Extra Col"]);
    assert_eq!(ran.status, 3, "two columns can be meant: {ran:?}");
    let said = "it lacks the partition column 'Extra Col'; the columns are id, extra_col, extra-col\n\
                hint: PARTITION_BY, or --partition-by, takes names of columns of the table; `sluice plan` shows them";
    assert!(ran.stderr.contains(said), "{ran:?}");
    place.write("x.csv", "id,Extra Col\n1,2\n");
    let by = ["ingest", "x.csv", "--table", "t", "--partition-by", "Extra Col"];
    let ran = place.run(&by);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(place.path("t/extra_col=2").exists());
    assert!(place.run(&by).stdout.contains("already done"));
}

#[test]
fn only_empty_texts_that_come_into_the_table_are_told_of() {
    let place = Place::new();
    python(
        &place,
        r"
schema = deltalake.Schema([deltalake.Field('p', 'string'), deltalake.Field('id', 'integer')])
deltalake.DeltaTable.create('t', schema, partition_by=['p'])
pq.write_table(pa.table({'id': pa.array([1, 2**40], pa.int64()), 'p': ['a', '']}), 'x.parquet')
pq.write_table(pa.table({'id': pa.array([1, 2**40], pa.int64()), 'p': ['', '']}), 'y.parquet')
",
    );
    for (file, told) in [("x.parquet", false), ("y.parquet", true)] {
        let ran = place.run(&["ingest", file, "--table", "t", "--json"]);
        assert_eq!((ran.status, &ran.json()["rows"]["quarantined"]), (0, &1.into()), "{ran:?}");
        assert_eq!(ran.stderr.contains("empty texts in columns"), told, "{ran:?}");
        assert_eq!(ran.stderr.contains("values=1"), told, "{ran:?}");
    }
}
