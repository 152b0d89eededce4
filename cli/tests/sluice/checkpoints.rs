//! Tables whose log was cut to a checkpoint, each written by a real program.

use std::path::Path;

use serde_json::Value;
use shared::testing::run_python;

use crate::shim::{Fault, Shim};
use crate::support::Place;

/// What the checkpoint writers share: the version that the table is at, its checkpoint, and a log cut to it.
const COMMON: &str = r#"
import glob, json, os, pathlib, re
import deltalake, pyarrow as pa, pyarrow.parquet as pq
log = pathlib.Path("t/_delta_log")
def checkpoint():
    deltalake.DeltaTable("t").create_checkpoint()
    (made,) = log.glob("*.checkpoint.parquet")
    return made
def cut():
    last = json.loads((log / "_last_checkpoint").read_text())["version"]
    for entry in log.glob("*.json"):
        if int(entry.name[:20]) < last: entry.unlink()
"#;

/// Programs that write checkpoints of the table `t`. Kinds that no package writes are made of the rows of a real checkpoint.
const WRITERS: [(&str, &str); 8] = [
    ("deltalake", "checkpoint(); cut()"),
    (
        "deltalake, by version 2 of the format",
        "deltalake.DeltaTable('t').alter.add_feature(deltalake.TableFeatures.V2Checkpoint, \
         allow_protocol_versions_increase=True); checkpoint(); cut()",
    ),
    (
        "several parts",
        r#"
made = checkpoint()
rows = pq.read_table(made)
for part in (1, 2):
    name = made.name.replace(".parquet", f".{part:010}.0000000002.parquet")
    half = rows.num_rows // 2
    pq.write_table(rows.slice(0, half) if part == 1 else rows.slice(half), log / name)
made.unlink()
hint = json.loads((log / "_last_checkpoint").read_text())
(log / "_last_checkpoint").write_text(json.dumps({**hint, "parts": 2}))
cut()"#,
    ),
    (
        "texts with large offsets",
        r"
def large(type):
    if pa.types.is_struct(type):
        return pa.struct([field.with_type(large(field.type)) for field in type])
    return pa.large_string() if pa.types.is_string(type) else type
made = checkpoint()
rows = pq.read_table(made)
pq.write_table(rows.cast(pa.schema([field.with_type(large(field.type)) for field in rows.schema])), made)
cut()",
    ),
    (
        "texts as dictionaries",
        r#"
made = checkpoint()
rows = pq.read_table(made)
def dictionary(array):
    if not pa.types.is_struct(array.type): return array
    names = [field.name for field in array.type]
    fields = [array.field(place) for place in range(len(names))]
    fields = [field.dictionary_encode() if pa.types.is_string(field.type) else field for field in fields]
    return pa.StructArray.from_arrays(fields, names, mask=array.is_null())
columns = [dictionary(rows[name].combine_chunks()) if name in ("metaData", "txn") else rows[name] for name in rows.column_names]
pq.write_table(pa.table(columns, names=rows.column_names), made)
cut()"#,
    ),
    ("a manifest with sidecars", "sidecars(as_json=False)"),
    ("a manifest in JSON with sidecars", "sidecars(as_json=True)"),
    ("sluice", ""),
];

/// A checkpoint by version 2 of the format, as Spark writes it: `UUID` in its name, files in a sidecar.
const SIDECARS: &str = r#"
def with_maps(value, key=None):
    if isinstance(value, list) and key in ("configuration", "options"): return dict(value)
    return {key: with_maps(one, key) for key, one in value.items()} if isinstance(value, dict) else value
def sidecars(as_json):
    table = deltalake.DeltaTable("t")
    table.alter.add_feature(deltalake.TableFeatures.V2Checkpoint, allow_protocol_versions_increase=True)
    made = checkpoint()
    rows = pq.read_table(made)
    is_file = [add is not None or remove is not None for add, remove in zip(rows["add"].to_pylist(), rows["remove"].to_pylist())]
    (log / "_sidecars").mkdir()
    sidecar = log / "_sidecars" / "3a0d65cd-4056-49b8-937b-95f9e3ee90e5.parquet"
    pq.write_table(rows.filter(pa.array(is_file)).select(["add", "remove"]), sidecar)
    def lean(value):
        if isinstance(value, dict): return {key: lean(one) for key, one in value.items() if one is not None}
        return [lean(one) for one in value] if isinstance(value, list) else value
    actions = [lean(row) for row in rows.filter(pa.array([not one for one in is_file])).to_pylist()]
    version = int(made.name[:20])
    actions = [action for action in actions if "checkpointMetadata" not in action]
    actions.append({"checkpointMetadata": {"version": version}})
    actions.append({"sidecar": {"path": sidecar.name, "sizeInBytes": sidecar.stat().st_size, "modificationTime": 1}})
    made.unlink()
    name = f"{version:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11"
    if as_json:
        (log / f"{name}.json").write_text("\n".join(json.dumps(with_maps(action)) for action in actions))
    else:
        types = {field.name: field.type for field in rows.schema if field.name not in ("add", "remove")}
        types["checkpointMetadata"] = pa.struct([("version", pa.int64())])
        types["sidecar"] = pa.struct([("path", pa.string()), ("sizeInBytes", pa.int64()), ("modificationTime", pa.int64())])
        pq.write_table(pa.Table.from_pylist(actions, schema=pa.schema(types.items())), log / f"{name}.parquet")
    (log / "_last_checkpoint").unlink()
    for entry in log.glob("*.json"):
        if re.fullmatch(r"\d{20}\.json", entry.name) and int(entry.name[:20]) < version: entry.unlink()
"#;

/// Whether each reader finds so many rows in the table `t`. Not every reader knows every kind of checkpoint: those that know
/// this one are to find the rows, and `least` of the three are to know it.
fn assert_found(place: &Place, filter: &str, rows: u64, least: usize) {
    let script = format!(
        r#"
import deltalake, polars, readers
where = "{filter}"
table = lambda: deltalake.QueryBuilder().register("t", deltalake.DeltaTable("t"))
found = [
    lambda: table().execute(f"select count(*) as n from t where {{where}}").read_all()["n"].to_pylist()[0],
    lambda: polars.scan_delta("t").filter(polars.sql_expr(where)).select(polars.len()).collect().item(),
    lambda: readers.duckdb_connection().execute(f"select count(*) from delta_scan('t') where {{where}}").fetchone()[0],
]
for count in found:
    try: print(count())
    except Exception: pass"#
    );
    let found = run_python(&place.path(""), &script);
    assert!(found.lines().all(|found| found == rows.to_string()) && found.lines().count() >= least, "{found}");
}

/// Readers that cannot open the table `t`.
fn who_fails(place: &Place) -> String {
    let script = "
import deltalake, polars, readers
found = {
    'deltalake': lambda: deltalake.DeltaTable('t'),
    'polars': lambda: polars.scan_delta('t').collect(),
    'duckdb': lambda: readers.duckdb_connection().execute(\"select * from delta_scan('t')\").fetchall(),
}
for name, reader in found.items():
    try: reader()
    except Exception: print(name)
";
    run_python(&place.path(""), script).replace('\n', " ")
}

fn type_in_plan(place: &Place, source: &Path) -> Value {
    let planned = place.run(&["plan", source.to_str().unwrap(), "--table", "t", "--json"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    let columns = planned.json()["columns"].as_array().unwrap().clone();
    columns.iter().find(|column| column["name"] == "code").unwrap()["type"].clone()
}

#[test]
fn drops_are_loaded_whoever_wrote_the_checkpoint() {
    for (writer, script) in WRITERS {
        println!("{writer}");
        let least = if ["deltalake", "sluice"].contains(&writer) { 3 } else { 1 };
        let place = Place::new();
        let first = place.write("first.csv", "id,code\n1,x\n2,y\n");
        place.ingest(&first, &[]);
        place.ingest(&place.write("second.csv", "id,code\n3,z\n"), &[]);
        if writer == "sluice" {
            let maintained = place.run(&["maintain", "--table", "t", "--checkpoint"]);
            assert_eq!(maintained.status, 0, "{maintained:?}");
            run_python(&place.path(""), &format!("{COMMON}cut()"));
        } else {
            run_python(&place.path(""), &format!("{COMMON}{SIDECARS}{script}"));
        }
        let before = std::fs::read_dir(place.path("t/_delta_log")).unwrap().count();

        // By itself the column would be numbers; the table has text.
        let third = place.write("third.csv", "id,code\n4,007\n");
        assert_eq!(type_in_plan(&place, &third), "text", "{writer}");
        place.ingest(&third, &[]);
        place.ingest(&place.write("fourth.ndjson", "{\"id\": 5, \"code\": \"008\"}\n"), &[]);
        run_python(
            &place.path(""),
            "import pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.table({'id': [6], 'code': ['009']}), 'fifth.parquet')",
        );
        place.ingest(&place.path("fifth.parquet"), &[]);
        assert_found(&place, "code in ('x', '007', '008', '009')", 4, least);

        // By its receipts, and by the transactions of the checkpoint alone.
        let again = place.ingest(&first, &[]);
        assert_eq!(again["already_done"], true, "{writer}");
        let area = place.path("t/_sluice").join(again["job_id"].as_str().unwrap());
        std::fs::remove_file(area.join("receipt.json")).unwrap();
        std::fs::remove_dir_all(area.join("loaded")).unwrap();
        place.ingest(&first, &[]);
        assert_found(&place, "id > 0", 6, least);
        assert!(std::fs::read_dir(place.path("t/_delta_log")).unwrap().count() >= before + 3, "{writer}");
    }
}

const ALL: &str = "deltalake polars duckdb";

/// A table of four versions with a checkpoint of the last, made by deltalake.
fn with_checkpoint() -> Place {
    let place = Place::new();
    for drop in 0..3 {
        place.ingest(&place.write(&format!("{drop}.csv"), format!("id,code\n{drop},x\n")), &[]);
    }
    run_python(&place.path(""), &format!("{COMMON}checkpoint()"));
    place
}

fn last_checkpoint(place: &Place) -> std::path::PathBuf {
    place.path("t/_delta_log/00000000000000000003.checkpoint.parquet")
}

#[test]
fn a_hint_at_a_missing_checkpoint_is_said_and_fixed() {
    let place = with_checkpoint();
    std::fs::remove_file(last_checkpoint(&place)).unwrap();
    assert_eq!(who_fails(&place), ALL);
    let fourth = place.write("3.csv", "id,code\n3,x\n");
    let ingested = place.run(&["ingest", fourth.to_str().unwrap(), "--table", "t"]);
    assert_eq!(ingested.status, 0, "{ingested:?}");
    let said = "_delta_log/_last_checkpoint names 00000000000000000003.checkpoint.parquet, which is missing";
    let fix = "`sluice maintain --checkpoint --table [place]/t` fixes it";
    assert!(ingested.stderr.contains(said) && ingested.stderr.contains(fix), "{ingested:?}");
    let status = place.run(&["status", fourth.to_str().unwrap(), "--table", "t", "--verify"]);
    assert_eq!(status.status, 0, "{status:?}");
    assert!(status.stderr.contains(said), "{status:?}");
    assert_eq!(who_fails(&place), ALL);

    let dry = place.run(&["maintain", "--table", "t", "--dry-run", "--json"]);
    assert_eq!(dry.json()["checkpoint"]["broken_hint"], said, "without being asked for, too");
    let maintained = place.run(&["maintain", "--table", "t", "--checkpoint"]);
    assert!(maintained.stdout.contains(&format!("written, since {said}")), "{maintained:?}");
    assert_found(&place, "id >= 0", 4, 3);
    let again = place.run(&["maintain", "--table", "t", "--checkpoint", "--json"]);
    assert_eq!(again.json()["checkpoint"]["broken_hint"], Value::Null);
    assert_eq!(again.stderr, "", "{again:?}");
}

#[test]
fn a_hint_is_fixed_by_an_older_checkpoint_and_by_one_of_the_same_version() {
    let place = with_checkpoint();
    run_python(&place.path(""), &format!("{COMMON}cut()"));
    place.ingest(&place.write("3.csv", "id,code\n3,x\n"), &[]);
    let hint = place.path("t/_delta_log/_last_checkpoint");
    // The second leads nobody to the checkpoint that the first was fixed by.
    for broken in [r#"{"version":4,"size":1}"#, r#"{"version":4,"size":1,"parts":2}"#] {
        std::fs::write(&hint, broken).unwrap();
        assert!(who_fails(&place).contains("duckdb"), "{broken}");
        let maintained = place.run(&["maintain", "--table", "t", "--checkpoint"]);
        assert_eq!(maintained.status, 0, "{maintained:?}");
        assert_found(&place, "id >= 0", 4, 3);
    }
}

#[test]
fn what_is_missing_of_a_log_is_said() {
    let place = with_checkpoint();
    run_python(&place.path(""), &format!("{COMMON}cut()"));
    std::fs::remove_file(last_checkpoint(&place)).unwrap();
    let maintained = place.run(&["maintain", "--table", "t", "--checkpoint"]);
    assert_eq!(maintained.status, 1, "{maintained:?}");
    assert!(
        maintained.stderr.contains(
            "the log of table [place]/t cannot be read: _delta_log/_last_checkpoint names \
             00000000000000000003.checkpoint.parquet, which is missing, and so are the entries of versions 0 to 2"
        ),
        "{maintained:?}"
    );
    assert!(maintained.stderr.contains("hint: restore the checkpoint"), "{maintained:?}");
    let status = place.run(&["status", "0.csv", "--table", "t", "--verify"]);
    assert!(status.stderr.contains("_last_checkpoint names 00000000000000000003.checkpoint.parquet"), "{status:?}");
    let ingested = place.run(&["ingest", place.write("3.csv", "id\n3\n").to_str().unwrap(), "--table", "t"]);
    assert!(ingested.stderr.contains("_last_checkpoint names 00000000000000000003.checkpoint.parquet"), "{ingested:?}");
    let plan = place.run(&["plan", "3.csv", "--table", "t"]);
    assert!(
        plan.stderr.contains(
            "[place]/t/_delta_log is not a valid Delta log: neither its entries nor its checkpoints have a schema; the oldest is \
             version 3; _last_checkpoint names a checkpoint of version 3, which is missing"
        ),
        "{plan:?}"
    );
    assert_eq!(ingested.status, 1, "{ingested:?}");
}

/// The version that the hint at the last checkpoint names.
fn hinted(place: &Place) -> Option<Value> {
    let hint = std::fs::read(place.path("t/_delta_log/_last_checkpoint")).ok()?;
    Some(serde_json::from_slice::<Value>(&hint).unwrap()["version"].take())
}

/// A table with checkpoints of versions 1 and 2, whose writer was killed before its hint named the second.
fn with_late_hint() -> Place {
    let place = Place::new();
    place.ingest(&place.write("x.csv", "id\n1\n"), &[]);
    assert_eq!(place.run(&["maintain", "--table", "t", "--checkpoint"]).status, 0);
    place.ingest(&place.write("y.csv", "id\n2\n"), &[]);
    let mut killed = place.command(&["maintain", "--table", "t", "--checkpoint"]);
    let shim = Shim::below(&place.path("t")).matching("_last_checkpoint").at(1, Fault::Kill);
    assert_eq!(shim.on(&mut killed).output().unwrap().status.code(), None);
    assert!(place.path("t/_delta_log/00000000000000000002.checkpoint.parquet").exists());
    assert_eq!(hinted(&place), Some(1.into()));
    place
}

#[test]
fn a_checkpoint_is_not_left_behind_an_earlier_hint() {
    let place = with_late_hint();
    assert_eq!(place.run(&["maintain", "--table", "t", "--checkpoint"]).status, 0);
    assert_ne!(hinted(&place), Some(1.into()));
    place.ingest(&place.write("z.csv", "id\n3\n"), &[]);
    assert_eq!(place.run(&["maintain", "--table", "t", "--checkpoint"]).status, 0);
    assert_eq!(hinted(&place), Some(3.into()));
    assert_eq!(place.rows().num_rows(), 3);
}

#[test]
fn a_hint_at_a_checkpoint_that_was_cleaned_up_beside_a_later_one() {
    let place = with_late_hint();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(40 * 24);
    for entry in std::fs::read_dir(place.path("t/_delta_log")).unwrap() {
        std::fs::File::open(entry.unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    // Others clean up.
    run_python(&place.path(""), "import deltalake; deltalake.DeltaTable('t').cleanup_metadata()");
    assert!(!place.path("t/_delta_log/00000000000000000001.checkpoint.parquet").exists());
    assert_eq!(hinted(&place), Some(1.into()));
    let source = place.write("z.csv", "id\n3\n");
    place.ingest(&source, &[]);
    assert_eq!(place.ingest(&source, &[])["already_done"], true);
    assert_eq!(place.ingest(&place.path("x.csv"), &[])["already_done"], true);
    assert_eq!(place.run(&["maintain", "--table", "t", "--checkpoint"]).status, 0);
    assert_eq!((hinted(&place), place.rows().num_rows()), (Some(3.into()), 3));
}
