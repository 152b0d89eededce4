//! Tables of other writers, with what these ask of all writers: loaded into, verified, looked after, undone, and read by others.

mod deletions;
mod instants;
mod log_entries;
mod mapping;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use shared::testing::run_python;

use crate::support::{Place, Ran, fixture};

/// A place with a table of the fixtures as `t`.
fn with_table(name: &str) -> Place {
    let place = Place::new();
    let from = fixture("tables").join(name);
    let copied = Command::new("cp").args(["-r".as_ref(), from.as_os_str(), place.path("t").as_os_str()]).status();
    assert!(copied.unwrap().success());
    place
}

/// A place with a table `t` that Python makes of what it is told.
fn made(script: &str) -> Place {
    let place = Place::new();
    python(&place, script);
    place
}

fn python(place: &Place, script: &str) -> String {
    let begin = "import deltalake, json, pathlib, readers, pyarrow as pa\nwrite = deltalake.write_deltalake\n";
    run_python(&place.path(""), &format!("{begin}{script}"))
}

/// Rows of the table by those of three readers that are named, which have to agree.
fn count(place: &Place, readers: &str) -> u64 {
    let script = format!("found = readers.counts('t', only={readers:?}.split())\nprint(sorted(set(found.values())))");
    let counts = python(place, &script);
    counts.trim_matches(['[', ']']).parse().unwrap_or_else(|_| panic!("the readers disagree: {counts}"))
}

const ALL: &str = "deltalake polars duckdb";

/// Those that read tables with column mapping.
const MAPPED: &str = "deltalake duckdb";

fn ingest(place: &Place, source: &str, more: &[&str]) -> Ran {
    place.run(&[&["ingest", source, "--table", "t", "--json"], more].concat())
}

/// Actions of a kind in the table's log from a version on.
fn actions(place: &Place, kind: &str, from: u64) -> Vec<Value> {
    let mut entries: Vec<_> =
        std::fs::read_dir(place.path("t/_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let version = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".json")?.parse::<u64>().ok();
    let mut found = Vec::new();
    for path in entries.iter().filter(|path| version(path).is_some_and(|version| version >= from)) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            found.extend(action.get(kind).cloned());
        }
    }
    found
}

fn latest(place: &Place) -> u64 {
    let entries = std::fs::read_dir(place.path("t/_delta_log")).unwrap();
    let versions =
        entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.parse::<u64>().ok());
    versions.max().unwrap()
}

/// Two loads, verified, checkpointed, merged, undone; after each step those that can read the table find the rows that it should
/// have. `sources` are files of so many rows.
fn lead_life(place: &Place, sources: [(&str, &str, u64); 2], sql: &[&str], readers: &str) {
    let (before, first) = (count(place, readers), latest(place) + 1);
    let mut expected = before;
    for (name, text, rows) in sources {
        place.write(name, text);
        let ran = ingest(place, name, sql);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(ran.json()["rows"]["committed"], rows, "{ran:?}");
        expected += rows;
        let verified = place.run(&["status", name, "--table", "t", "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
    assert!(actions(place, "protocol", first).is_empty(), "what the table asks for is not changed");
    let checkpoint = place.run(&["maintain", "--table", "t", "--checkpoint"]);
    assert_eq!(checkpoint.status, 0, "{checkpoint:?}");
    assert_eq!(count(place, readers), expected, "loaded twice, and from a checkpoint");
    for (name, _, rows) in sources {
        let undone = place.run(&["undo", name, "--table", "t"]);
        assert_eq!(undone.status, 0, "{undone:?}");
        expected -= rows;
    }
    assert_eq!((count(place, readers), expected), (before, before));
    for (name, _, rows) in sources {
        let again = ingest(place, name, &[sql, &["--again"]].concat());
        assert_eq!(again.status, 0, "{again:?}");
        expected += rows;
    }
    let merged =
        place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s", "--json"]);
    assert_eq!(merged.status, 0, "{merged:?}");
    assert!(merged.json()["compaction"]["merged"].as_u64().unwrap() > 1, "{merged:?}");
    assert_eq!(count(place, readers), expected);
}

/// A load that is refused by name, after which the table is as it was.
fn refused(place: &Place, source: &str, said: &str) {
    let before = latest(place);
    let ran = ingest(place, source, &[]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    assert!(ran.stderr.contains("hint: "), "{ran:?}");
    assert_eq!(latest(place), before);
}

#[test]
fn features_that_are_listed_and_not_used() {
    let place = with_table("spark-vacuum-protocol-check");
    lead_life(&place, [("a.csv", "id,str\n1,a\n2,b\n", 2), ("b.csv", "id,str\n3,c\n", 1)], &[], "duckdb");
    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64())}))
features = ['appendOnly', 'invariants', 'checkConstraints', 'generatedColumns', 'identityColumns', 'columnMapping',
            'changeDataFeed', 'allowColumnDefaults', 'v2Checkpoint', 'vacuumProtocolCheck', 'domainMetadata', 'deletionVectors']
of_readers = [name for name in features if name in ('columnMapping', 'v2Checkpoint', 'vacuumProtocolCheck', 'deletionVectors')]
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 3, 'minWriterVersion': 7, 'readerFeatures': of_readers, 'writerFeatures': features}
    if 'metaData' in action:
        action['metaData']['configuration'] = {'delta.columnMapping.mode': 'none', 'delta.enableChangeDataFeed': 'true'}
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    lead_life(&place, [("a.csv", "id,new\n1,x\n2,y\n", 2), ("b.csv", "id\n3\n", 1)], &[], "duckdb");
    assert_eq!(actions(&place, "metaData", 1).len(), 1, "a column came, and its table still asks for the same");
}

#[test]
fn a_table_whose_versions_a_catalog_decides_on() {
    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64())}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
features = ['catalogManaged', 'inCommitTimestamp']
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 3, 'minWriterVersion': 7, 'readerFeatures': features[:1], 'writerFeatures': features}
    if 'metaData' in action:
        action['metaData']['configuration'] = {'delta.enableInCommitTimestamps': 'true'}
    if 'commitInfo' in action:
        action['commitInfo']['inCommitTimestamp'] = 1
actions.sort(key=lambda action: 'commitInfo' not in action)
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    place.write("a.csv", "id\n1\n");
    refused(&place, "a.csv", "the table has the feature catalogManaged");
}

#[test]
fn in_commit_timestamps() {
    let place = with_table("spark-in-commit-timestamps");
    let text = "name,birthyear,age\nAnn,1986,30\nBob,1995,20\n";
    lead_life(&place, [("a.csv", text, 2), ("b.csv", "name,birthyear,age\nCy,1986,1\n", 1)], &[], ALL);
    // Spark's own are from 0 to 3.
    let times: Vec<i64> =
        actions(&place, "commitInfo", 3).iter().map(|info| info["inCommitTimestamp"].as_i64().unwrap()).collect();
    assert!(times.len() > 6 && times.is_sorted_by(|one, next| one < next), "{times:?}");
    for entry in std::fs::read_dir(place.path("t/_delta_log")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "json") {
            assert!(std::fs::read_to_string(&entry).unwrap().starts_with("{\"commitInfo\""), "{entry:?}");
        }
    }
    // A clock that lags behind the one of the last writer.
    let last = place.path(&format!("t/_delta_log/{:020}.json", latest(&place)));
    let entry = std::fs::read_to_string(&last).unwrap();
    let time = times.last().unwrap();
    let ahead = entry.replacen(&format!("\"inCommitTimestamp\":{time}"), "\"inCommitTimestamp\":9999999999999", 1);
    assert_ne!(entry, ahead);
    std::fs::write(&last, ahead).unwrap();
    place.write("c.csv", text);
    assert_eq!(ingest(&place, "c.csv", &[]).status, 0);
    let info = actions(&place, "commitInfo", latest(&place));
    assert_eq!(info[0]["inCommitTimestamp"], 10_000_000_000_000_i64);
}

#[test]
fn rows_with_numbers() {
    let place = made(
        "write('t', pa.table({'id': pa.array([1, 2], pa.int64())}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 1, 'minWriterVersion': 7, 'writerFeatures': ['domainMetadata', 'rowTracking']}
    if 'metaData' in action:
        action['metaData']['configuration'] = {'delta.enableRowTracking': 'true',
            'delta.rowTracking.materializedRowIdColumnName': '_row_id', 'delta.rowTracking.materializedRowCommitVersionColumnName': '_row_version'}
    if 'add' in action:
        action['add'].update(baseRowId=0, defaultRowCommitVersion=0)
actions.append({'domainMetadata': {'domain': 'delta.rowTracking', 'configuration': json.dumps({'rowIdHighWaterMark': 1}), 'removed': False}})
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    for (name, rows, base, mark) in [("a.csv", 3, 2, 4), ("b.csv", 1, 5, 5)] {
        place.write(name, format!("id\n{}", "7\n".repeat(rows)));
        let ran = ingest(&place, name, &[]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let add = &actions(&place, "add", latest(&place))[0];
        assert_eq!((&add["baseRowId"], &add["defaultRowCommitVersion"]), (&base.into(), &latest(&place).into()));
        let domain = &actions(&place, "domainMetadata", latest(&place))[0];
        assert_eq!(domain["configuration"], format!("{{\"rowIdHighWaterMark\":{mark}}}"));
        let info = &actions(&place, "commitInfo", latest(&place))[0];
        assert_eq!(info["tags"]["delta.rowTracking.preserved"], "true");
        // From a checkpoint too.
        assert_eq!(place.run(&["maintain", "--table", "t", "--checkpoint"]).status, 0);
    }
    assert_eq!(count(&place, ALL), 6);
    let undone = place.run(&["undo", "a.csv", "--table", "t"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    let removed = &actions(&place, "remove", latest(&place))[0];
    assert_eq!(removed["baseRowId"], 2);
    assert_eq!(count(&place, ALL), 3);
    let fixed = place.run(&["maintain", "--table", "t", "--fix-statistics"]);
    assert_eq!(fixed.status, 0, "{fixed:?}");
    // What is undone gives no number back.
    place.write("c.csv", "id\n9\n");
    assert_eq!(ingest(&place, "c.csv", &[]).status, 0);
    assert_eq!(actions(&place, "add", latest(&place))[0]["baseRowId"], 6);
    let merged = place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s"]);
    assert_ne!(merged.status, 0);
    assert!(merged.stderr.contains("delta.enableRowTracking"), "{merged:?}");
}

#[test]
fn clustered_rows() {
    let place = made(
        "names = [f'c{number}' for number in range(40)]
write('t', pa.table({name: pa.array([1], pa.int64()) for name in names}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 1, 'minWriterVersion': 7, 'writerFeatures': ['domainMetadata', 'clustering']}
actions.append({'domainMetadata': {'domain': 'delta.clustering', 'configuration': json.dumps({'clusteringColumns': [['c38']]}), 'removed': False}})
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    let names = (0..40).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    let row = (0..40).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let text = format!("{names}\n{row}\n");
    lead_life(&place, [("a.csv", &text, 1), ("b.csv", &format!("{text}{row}\n"), 2)], &[], ALL);
    for add in actions(&place, "add", 1) {
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        assert!(stats["minValues"]["c38"].is_number() && stats["minValues"]["c39"].is_null(), "{stats}");
    }
    assert!(actions(&place, "domainMetadata", 1).is_empty());
}

#[test]
fn types_that_were_widened() {
    let place = with_table("spark-type-widening");
    let text = "{\"byte_long\": 9000000000, \"decimal_decimal_greater_scale\": 1.23456, \"date_timestamp_ntz\": \"2024-01-01T10:00:00\"}\n";
    let sources = [("a.ndjson", text, 1), ("b.ndjson", text, 1)];
    lead_life(&place, sources, &[], "duckdb");
}

#[test]
fn what_is_asked_for_and_not_done_is_refused_by_name() {
    for (table, said) in [
        ("databricks-generated-columns", "is a generated column (delta.generationExpression)"),
        ("databricks-v2-checkpoint", "column 'id' is an identity column (delta.identity.start)"),
        ("materialized-partitions", "the feature materializePartitionColumns"),
        ("spark-iceberg-compat", "delta.enableIcebergCompat"),
    ] {
        let place = with_table(table);
        place.write("a.csv", "id\n1\n");
        refused(&place, "a.csv", said);
    }
}

/// A table with a CHECK constraint that Python made, and what it takes.
#[test]
fn constraints_are_checked() {
    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64()), 'amount': pa.array([1.5]), 'Kind': ['a']}))
t = deltalake.DeltaTable('t')
t.alter.add_constraint({'positive': 'amount > 0'})
t.alter.add_constraint({'known': \"Kind IN ('a', 'b') OR Kind LIKE 'x%'\"})",
    );
    place.write("a.csv", "id,amount,kind\n1,2.5,a\n2,-1,b\n3,,a\n4,3,c\n5,1,xyz\n");
    let ran = ingest(&place, "a.csv", &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let rows = &ran.json()["rows"];
    assert_eq!((&rows["committed"], &rows["quarantined"]), (&2.into(), &3.into()));
    assert_eq!(count(&place, ALL), 3);
    let shown = place.run(&["quarantine", "show", "a.csv", "--table", "t"]);
    for said in [
        "against constraint 'positive' of the table, amount > 0: amount is '-1.0'",
        "amount is null",
        "against constraint 'known' of the table",
        "Kind is 'c'",
    ] {
        assert!(shown.stdout.contains(said), "{said}: {shown:?}");
    }
    assert_eq!(place.run(&["status", "a.csv", "--table", "t", "--verify"]).status, 0);
    place.write("f.csv", "id,amount,kind\n6,1,a\n7,-1,a\n");
    let whole = ingest(&place, "f.csv", &["--commit-mode", "file"]);
    assert_eq!((whole.status, count(&place, ALL)), (0, 4), "{whole:?}");
    // The next writer finds all rows in order.
    python(&place, "deltalake.DeltaTable('t').alter.add_constraint({'again': 'amount > 0'})");
    let failed = ingest(&place, "a.csv", &["--again", "--bad-records", "fail"]);
    assert_eq!((failed.status, failed.stderr.contains("constraint 'again'")), (3, true), "{failed:?}");
    python(&place, "deltalake.DeltaTable('t').alter.add_constraint({'odd': 'id % 2 >= 0'})");
    place.write("b.csv", "id,amount,kind\n1,2.5,a\n");
    refused(&place, "b.csv", "constraint 'odd' cannot be checked here: operator %");
}

#[test]
fn invariants_are_checked_at_any_depth() {
    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64()), 's': [{'x': 5}]}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'metaData' in action:
        schema = json.loads(action['metaData']['schemaString'])
        inner = schema['fields'][1]['type']['fields'][0]
        inner['metadata']['delta.invariants'] = json.dumps({'expression': {'expression': 's.x > 3'}})
        action['metaData']['schemaString'] = json.dumps(schema)
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    python(
        &place,
        "import pyarrow.parquet as pq
pq.write_table(pa.table({'id': [1, 2, 3], 's': [{'x': 4}, {'x': -5}, None]}), 'a.parquet')",
    );
    let ran = ingest(&place, "a.parquet", &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let rows = &ran.json()["rows"];
    assert_eq!((&rows["committed"], &rows["quarantined"]), (&1.into(), &2.into()), "{ran:?}");
    let shown = place.run(&["quarantine", "show", "a.parquet", "--table", "t"]);
    assert!(shown.stdout.contains("against the invariant of column 's.x' of the table, s.x > 3"), "{shown:?}");
    assert_eq!(count(&place, ALL), 2);
}

#[test]
fn a_default_that_is_not_computed_is_needed() {
    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64()), 'kind': ['a']}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 1, 'minWriterVersion': 7, 'writerFeatures': ['allowColumnDefaults']}
    if 'metaData' in action:
        schema = json.loads(action['metaData']['schemaString'])
        schema['fields'][1]['metadata']['CURRENT_DEFAULT'] = \"'new'\"
        action['metaData']['schemaString'] = json.dumps(schema)
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    place.write("a.csv", "id,kind\n1,x\n2,\n");
    assert_eq!(ingest(&place, "a.csv", &[]).status, 0);
    assert_eq!(count(&place, ALL), 3);
    place.write("b.csv", "id\n3\n");
    refused(&place, "b.csv", "it lacks column 'kind', of which the table has a default value");
}

#[test]
fn rows_of_an_append_only_table_are_not_replaced() {
    let place = made(
        "deltalake.DeltaTable.create('t', deltalake.Schema([deltalake.Field('id', 'long')]), configuration={'delta.appendOnly': 'true'})",
    );
    place.write("x.csv", "id\n1\n");
    let replace = ["--on-replace", "replace"];
    assert_eq!(ingest(&place, "x.csv", &replace).status, 0, "there is nothing to replace");
    place.write("x.csv", "id\n2\n3\n");
    let before = latest(&place);
    let jobs = || std::fs::read_dir(place.path("t/_sluice")).unwrap().count();
    let known = jobs();
    let ran = ingest(&place, "x.csv", &replace);
    assert_eq!(ran.status, 3, "{ran:?}");
    for said in ["rows can only be added to it (delta.appendOnly)", "of the earlier drop x-", "hint: ON_REPLACE=append"]
    {
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!((latest(&place), jobs()), (before, known), "nothing is split, and no job is pinned");
    assert_eq!(ingest(&place, "x.csv", &[]).status, 0);
    assert_eq!(count(&place, ALL), 3);
    let undo = place.run(&["undo", "x.csv", "--table", "t"]);
    assert_eq!((undo.status, undo.stderr.contains("one of these jobs")), (2, true), "{undo:?}");
    let job = ingest(&place, "x.csv", &[]).json()["job_id"].as_str().unwrap().to_owned();
    let undo = place.run(&["undo", &job, "--table", "t"]);
    assert_eq!((undo.status, undo.stderr.contains("(delta.appendOnly)")), (3, true), "{undo:?}");
}
