//! What readers find by filters, which files of a table they skip by the statistics in its log.

use shared::testing::run_python;

use crate::support::Place;

/// A Parquet file with extreme values of each type, and a CSV with the same where text can have them.
const SOURCES: &str = r#"
import datetime as dt, decimal, pyarrow as pa, pyarrow.parquet as pq
D, utc = decimal.Decimal, dt.timezone.utc
moments = [dt.datetime(2024, 1, 1, 0, 0, 0, 123456), dt.datetime(1969, 12, 31, 23, 59, 59, 999999)]
columns = {
    "part": pa.array(["p", "p", "p"]),
    "money": pa.array([D("1234567890123456.78"), D("1234567890123456.79"), None], pa.decimal128(18, 2)),
    "wei": pa.array([D(2**100), D(2**100 + 1), None], pa.decimal128(38, 0)),
    "u64": pa.array([2**64 - 1, 2**63 + 5, None], pa.uint64()),
    "tiny": pa.array([D("1.234567890123456789"), D("-1.234567890123456789"), None], pa.decimal128(38, 18)),
    "nan": pa.array([1.5, float("nan"), None], pa.float64()),
    "single": pa.array([0.1, -0.0, None], pa.float32()),
    "zero": pa.array([0.0, -0.0, None], pa.float64()),
    "int": pa.array([2**63 - 1, -(2**63), None], pa.int64()),
    "day": pa.array([dt.date(9999, 12, 31), dt.date(1, 1, 1), None], pa.date32()),
    "utc": pa.array([moment.replace(tzinfo=utc) for moment in moments] + [None], pa.timestamp("us", "UTC")),
    "ntz": pa.array(moments + [None], pa.timestamp("us")),
    "text": pa.array(["é" * 100, "x" * 100, None]),
    "truth": pa.array([True, False, None]),
    "within": pa.array([{"money": D("90071992547409.93")}, {"money": D("90071992547409.91")}, None],
                       pa.struct([("money", pa.decimal128(18, 2))])),
}
pq.write_table(pa.table(columns), "all.parquet")
"#;

/// Filters, and how many rows of the source they find.
const FILTERS: &str = r#"
filters = [
    ("money = cast('1234567890123456.78' as decimal(18,2))", 1),
    ("money < cast('1234567890123456.79' as decimal(18,2))", 1),
    ("money > cast('1234567890123456.78' as decimal(18,2))", 1),
    ("wei = cast('1267650600228229401496703205377' as decimal(38,0))", 1),
    ("wei < cast('1267650600228229401496703205377' as decimal(38,0))", 1),
    ("u64 = cast('18446744073709551615' as decimal(20,0))", 1),
    ("u64 < cast('9223372036854775814' as decimal(20,0))", 1),
    ("tiny = cast('1.234567890123456789' as decimal(38,18))", 1),
    ("tiny < cast('-1.234567890123456788' as decimal(38,18))", 1),
    ("within.money = cast('90071992547409.93' as decimal(18,2))", 1),
    ("within.money < cast('90071992547409.92' as decimal(18,2))", 1),
    ("nan = 1.5", 1), ("nan < 2.0", 1),
    ("single < 0.05", 1), ("single > 0.09", 1), ("zero = 0.0", 2), ("zero < 1.0", 2),
    ("int = 9223372036854775807", 1), ("int < -9223372036854775807", 1),
    ("day = date '9999-12-31'", 1), ("day < date '0001-01-02'", 1),
    ("ntz = cast('2024-01-01T00:00:00.123456' as timestamp)", 1),
    ("ntz < cast('1970-01-01T00:00:00' as timestamp)", 1),
    ("text > 'éé'", 1), ("text < 'y'", 1), ("truth = true", 1), ("truth = false", 1),
]
names = ["money", "wei", "u64", "tiny", "nan", "single", "zero", "int", "day", "utc", "ntz", "text", "truth", "within.money"]
filters += [(f"{name} is null", 1) for name in names]
# Whatever is no number is greater than all numbers.
not_numbers = [("nan > 5.0", 1), ("nan = cast('nan' as double)", 1)]
import readers
def look(filters, times=1):
    for where, rows in filters:
        counts = readers.counts("t", where)
        if set(counts.values()) != {rows * times}: print(where, counts)
"#;

/// Filters that find other rows than they should, with what each reader finds.
fn wrong(place: &Place, filters: &str, times: u32) -> String {
    run_python(&place.path(""), &format!("{FILTERS}look({filters}, {times})"))
}

fn parquet() -> Place {
    let place = Place::new();
    run_python(&place.path(""), SOURCES);
    place
}

/// Writes the table `t` by the Python package, which has statistics of decimals rounded, and leaves out what is not a number.
const BY_OTHERS: &str = "
import deltalake, pyarrow.parquet as pq
import pyarrow as pa
rows = pq.read_table('all.parquet')
rows = rows.set_column(rows.column_names.index('u64'), 'u64', rows['u64'].cast(pa.decimal128(20, 0)))
deltalake.write_deltalake('t', rows, partition_by=PARTITIONS)
";

#[test]
fn values_are_found_however_a_drop_came_in() {
    for more in [
        &[][..],
        &["--partition-by", "part"],
        &["--sql", "select *, 1 as one from source"],
        &["--sql", "select * from source where true", "--partition-by", "part"],
    ] {
        let place = parquet();
        place.ingest(&place.path("all.parquet"), more);
        assert_eq!(wrong(&place, "filters + not_numbers", 1), "", "{more:?}");
    }
}

#[test]
fn values_are_found_after_compaction_of_files_with_wrong_statistics() {
    let place = parquet();
    run_python(&place.path(""), &BY_OTHERS.replace("PARTITIONS", "None"));
    assert_ne!(wrong(&place, "filters", 1), "", "nothing is wrong before");
    place.ingest(&place.path("all.parquet"), &[]);
    let maintained =
        place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0h", "--json"]);
    assert_eq!(maintained.json()["compaction"]["merged"], 2, "{maintained:?}");
    assert_eq!(wrong(&place, "filters + not_numbers", 2), "");
    run_python(&place.path(""), "import deltalake; deltalake.DeltaTable('t').create_checkpoint()");
    assert_eq!(wrong(&place, "filters + not_numbers", 2), "", "by a checkpoint of another program");
}

#[test]
fn wrong_statistics_are_fixed_where_they_are() {
    for partitions in ["None", "['part']"] {
        let place = parquet();
        run_python(&place.path(""), &BY_OTHERS.replace("PARTITIONS", partitions));
        let before = wrong(&place, "filters", 1);
        assert!(before.contains("money = "), "{before}");
        place.ingest(&place.path("all.parquet"), &[]);
        let fix = &["maintain", "--table", "t", "--fix-statistics", "--json"];
        let dry = place.run(&[&fix[..], &["--dry-run"]].concat()).json();
        assert_eq!(dry["statistics"]["files"].as_array().unwrap().len(), 1, "that of the other program: {dry}");
        let fixed = place.run(fix).json();
        assert_eq!(fixed["statistics"]["files"], dry["statistics"]["files"]);
        let values = fixed["statistics"]["files"][0]["values"].as_array().unwrap();
        let money = values.iter().find(|value| value["column"] == "money" && value["statistic"] == "max").unwrap();
        assert_eq!((&money["before"], &money["after"]), (&"1234567890123456.8".into(), &"1234567890123456.79".into()));
        assert_eq!(wrong(&place, "filters", 2), "");
        let version = fixed["version"].as_u64().unwrap();
        let again = place.run(fix).json();
        assert_eq!((&again["statistics"]["files"], again["version"].as_u64()), (&serde_json::json!([]), Some(version)));
        assert_eq!(place.run(fix).json()["version"], version, "nothing is fixed twice");
        run_python(&place.path(""), "import deltalake; deltalake.DeltaTable('t').create_checkpoint()");
        assert_eq!(wrong(&place, "filters", 2), "", "by a checkpoint of another program");
    }
}

#[test]
fn a_job_whose_statistics_were_fixed_is_verified_and_undone() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    let entry = place.path("t/_delta_log/00000000000000000001.json");
    // As of a writer that rounds.
    let log = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, log.replace(r#"\"maxValues\":{\"id\":2}"#, r#"\"maxValues\":{\"id\":1}"#)).unwrap();
    let counts = || run_python(&place.path(""), "import readers; print(*readers.counts('t', 'id = 2').values())");
    assert_ne!(counts(), "1 1 1");
    let fixed = place.run(&["maintain", "--table", "t", "--fix-statistics"]);
    assert!(fixed.stdout.contains("column id: max 1 → 2"), "{fixed:?}");
    assert_eq!(counts(), "1 1 1");
    let last = std::fs::read_to_string(place.path("t/_delta_log/00000000000000000002.json")).unwrap();
    assert!(last.contains("\"sluice.chunk\"") && last.contains("\"dataChange\":false"), "{last}");
    assert!(last.contains("COMPUTE STATISTICS") && !last.contains("\"remove\""), "{last}");
    let status = place.run(&["status", source.to_str().unwrap(), "--table", "t", "--verify"]);
    assert_eq!(status.status, 0, "{status:?}");
    place.write("x.csv", "id\n3\n");
    place.ingest(&source, &["--on-replace", "replace"]);
    let rows =
        || run_python(&place.path(""), "import deltalake; print(*deltalake.DeltaTable('t').to_pyarrow_table()['id'])");
    assert_eq!(rows(), "3");
    let undone = place.run(&["undo", source.to_str().unwrap(), "--table", "t"]);
    assert_ne!(undone.status, 101, "{undone:?}");
}
