//! Many sources in one command.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::resume::numbered;
use crate::support::{Place, Ran, read};

/// Documents of the sources, and the summary.
fn documents(ran: &Ran) -> (Vec<Value>, Value) {
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran:?}")));
    let mut documents: Vec<Value> = lines.collect();
    let mut last = documents.pop().expect("a summary");
    (documents, last["summary"].take())
}

/// Names of sources with what became of them.
fn states(documents: &[Value]) -> Vec<String> {
    let state = |document: &Value| {
        let source = document["source"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        format!("{source} {}", document["state"].as_str().unwrap())
    };
    let mut states: Vec<String> = documents.iter().map(state).collect();
    states.sort();
    states
}

/// Values of a column of integers, in order.
fn numbers(place: &Place, column: &str) -> Vec<i64> {
    let mut values: Vec<i64> = Vec::new();
    for rows in place.files().iter().map(|file| read(file)) {
        let Some(column) = rows.column_by_name(column) else { continue };
        let column: &arrow::array::Int64Array = arrow::array::AsArray::as_primitive(column);
        values.extend(column.iter().flatten());
    }
    values.sort_unstable();
    values
}

/// Entries of the table's log.
fn versions(place: &Place) -> usize {
    let entry = |version: &usize| place.path(&format!("t/_delta_log/{version:020}.json")).exists();
    (0..1000).take_while(entry).count()
}

#[test]
fn a_file_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("drops/sub")).unwrap();
    for number in 1..=6 {
        place.write(&format!("drops/{number}.csv"), format!("id\n{number}\n"));
    }
    place.write("drops/sub/7.csv", "id\n7\n");
    place.write("drops/bad.pdf", "%PDF-1.7 and so on");
    place.write("drops/_8.csv", "id\n8\n");
    let args = ["ingest", "drops", "drops/1.csv", "none.csv", "no*.csv", "--table", "t"];

    let ran = place.run(&[&args[..], &["--json"]].concat());
    let (sources, summary) = documents(&ran);
    let loaded = (1..=7).map(|number| format!("{number}.csv loaded"));
    let failed = ["bad.pdf failed", "no*.csv failed", "none.csv failed"].map(str::to_owned);
    assert_eq!(states(&sources), loaded.chain(failed).collect::<Vec<_>>());
    let counts =
        ["sources", "loaded", "already_done", "failed", "not_begun"].map(|count| summary[count].as_u64().unwrap());
    assert_eq!(
        (ran.status, counts, &summary["rows"]["committed"]),
        (3, [10, 7, 0, 3, 0], &Value::from(7)),
        "{summary}"
    );
    assert!(ran.stderr.contains("no file to load matches the pattern no*.csv"), "{ran:?}");
    let report = sources.iter().find(|source| source["state"] == "loaded").unwrap();
    assert!(report["job_id"].is_string() && report["reading"].is_object() && report["commits"].is_null(), "{report}");
    assert_eq!(numbers(&place, "id"), (1..=7).collect::<Vec<_>>());
    // The table, the first source, and most of the others together.
    let version = versions(&place);
    assert!(version <= 6, "{version} versions");

    let again = place.run(&args);
    assert_eq!((again.status, versions(&place)), (3, version), "{again:?}");
    assert!(again.stdout.starts_with("10 sources: 7 already done, 3 failed\n"), "{again:?}");
    assert!(again.stdout.contains("  already done            1         0  [place]/drops/sub/7.csv\n"), "{again:?}");
    assert!(again.stderr.ends_with("error: of 10 sources, 3 failed\n"), "{again:?}");

    // What the table lost by others, or an option that contradicts, is looked into the whole way.
    let other =
        place.run(&["ingest", "drops/1.csv", "drops/2.csv", "--table", "t", "--sql", "select id + 1 as id from chunk"]);
    assert_eq!(other.status, 3, "{other:?}");
    assert!(other.stdout.starts_with("2 sources: 2 failed\n"), "{other:?}");
}

#[test]
fn a_run_that_is_killed_is_run_again() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("drops")).unwrap();
    for number in 1..=24 {
        place.write(&format!("drops/{number}.csv"), format!("id\n{number}\n"));
    }
    let args = ["ingest", "drops/*.csv", "--table", "t"];
    let mut killed = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while versions(&place) < 2 && began.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();

    let ran = place.run(&args);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("24 sources: "), "{ran:?}");
    assert_eq!(numbers(&place, "id"), (1..=24).collect::<Vec<_>>());
}

#[test]
fn none_is_begun_after_a_failure_if_that_is_asked_for() {
    let place = Place::new();
    place.write("a.csv", "%PDF-1.7 and so on");
    place.write("b.csv", "id\n1\n");
    place.write("c.csv", "id\n2\n");
    let ran = place.run(&["ingest", "a.csv", "b.csv", "c.csv", "--table", "t", "--fail-fast", "--json"]);
    let (sources, summary) = documents(&ran);
    assert_eq!((ran.status, states(&sources)), (3, vec!["a.csv failed".to_owned()]), "{ran:?}");
    assert_eq!((&summary["not_begun"], &summary["loaded"]), (&Value::from(2), &Value::from(0)), "{summary}");

    let again = place.run(&["ingest", "-", "b.csv", "--table", "t"]);
    assert_eq!(
        (again.status, again.stderr.contains("- is a pipe, which can only be loaded alone")),
        (2, true),
        "{again:?}"
    );
    let twice = place.run(&["ingest", "b.csv", "c.csv", "--table", "t", "--again"]);
    assert_eq!((twice.status, twice.stderr.contains("--again is for one source")), (2, true), "{twice:?}");
}

#[test]
fn columns_are_those_that_one_file_after_the_other_makes() {
    let place = Place::new();
    place.write("a.csv", "id\n1\n");
    place.write("b.csv", "id,v\n2,7\n");
    place.write("c.csv", "id,v\n3,8\n4,8.5\n");
    place.write("d.csv", "id,w\n5,x\n");
    let mut ingest = place.command(&["ingest", "--files-from", "-", "--table", "t", "--json"]);
    let piped = ingest.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"d.csv\0c.csv\0b.csv\0a.csv\0").unwrap();
    let ran = place.ended(child.wait_with_output().unwrap());
    let (sources, summary) = documents(&ran);
    assert_eq!((ran.status, sources.len(), &summary["loaded"]), (0, 4, &Value::from(4)), "{ran:?}");
    // 8.5 is no integer, as b.csv made the column.
    assert_eq!((numbers(&place, "v"), numbers(&place, "id")), (vec![7, 8], vec![1, 2, 3, 5]));
    let reasons = summary["rejected_by_reason"].as_array().unwrap();
    assert_eq!((reasons.len(), &reasons[0]["records"]), (1, &Value::from(1)), "{summary}");
    assert!(reasons[0]["reason"].as_str().unwrap().starts_with("column 'v': "), "{summary}");
}

#[test]
fn files_go_to_tables_by_their_routes() {
    let place = Place::new();
    for (name, content) in [("orders", "id\n1\n"), ("items", "sku\na\n")] {
        std::fs::create_dir_all(place.path(&format!("in/{name}"))).unwrap();
        place.write(&format!("in/{name}/1.csv"), content);
        place.write(&format!("in/{name}/2.csv"), content.replace('1', "2").replace('a', "b"));
    }
    place.write("in/stray.csv", "id\n1\n");
    let root = place.path("").canonicalize().unwrap();
    let (root, key) = (root.display(), root.display().to_string().trim_start_matches('/').to_owned());
    let routes = format!(
        "version = 1\n\n[[route]]\nname = \"all\"\nkey = \"{key}/in/{{name}}/*.csv\"\ntable = \"{root}/{{name}}\"\n"
    );
    place.write("routes.toml", routes);
    let ran = place.run(&["ingest", "in", "--routes", "routes.toml", "--json"]);
    let (sources, summary) = documents(&ran);
    assert_eq!((ran.status, &summary["loaded"], &summary["failed"]), (3, &Value::from(4), &Value::from(1)), "{ran:?}");
    assert_eq!(summary["tables"].as_array().unwrap().len(), 2, "{summary}");
    assert!(sources.iter().filter(|source| source["state"] == "loaded").all(|source| source["route"]["name"] == "all"));
}

#[test]
fn a_checkpoint_is_written_when_it_is_due() {
    let place = Place::new();
    let first = place.write("1.csv", "id\n1\n");
    place.ingest(&first, &[]);
    let log = place.path("t/_delta_log/00000000000000000000.json");
    let entry = std::fs::read_to_string(&log).unwrap();
    let often = entry.replace("\"delta.checkpointInterval\":\"100\"", "\"delta.checkpointInterval\":\"3\"");
    assert_ne!(often, entry);
    std::fs::write(&log, often).unwrap();
    let second = place.write("2.csv", "id\n2\n");
    place.ingest(&second, &[]);
    let hint = place.path("t/_delta_log/_last_checkpoint");
    assert!(!hint.exists());
    let third = place.write("3.csv", "id\n3\n");
    place.ingest(&third, &[]);
    assert!(std::fs::read_to_string(&hint).unwrap().contains("\"version\":3"));
    assert_eq!(numbers(&place, "id"), [1, 2, 3]);
    // What is done is found by the checkpoint, too.
    let again = place.run(&["ingest", "1.csv", "2.csv", "3.csv", "--table", "t"]);
    assert!(again.stdout.starts_with("3 sources: 3 already done\n"), "{again:?}");
}

/// Chunks of a file that are cut before its bad record are loaded by no other file's commit.
#[test]
fn nothing_is_loaded_of_a_file_that_fails_at_its_end() {
    const RECORDS: u64 = 100_000;
    for has_table in [false, true] {
        let place = Place::new();
        let text = std::fs::read_to_string(numbered(&place, RECORDS)).unwrap();
        place.write("a.csv", format!("{text}x,1,y\n"));
        place.write("b.csv", "id,square,filler\n-1,1,y\n-2,4,y\n");
        place.write("first.csv", "id,square,filler\n-3,9,y\n");
        let read = ["--table", "t", "--chunk-size-mb", "1", "--schema", "id:int64", "--bad-records", "fail"];
        if has_table {
            let first = place.run(&[&["ingest", "first.csv"], &read[..]].concat());
            assert_eq!(first.status, 0, "{first:?}");
        }
        let args = [&["ingest", "a.csv", "b.csv"], &read[..]].concat();
        let ran = place.run(&[&args[..], &["--json"]].concat());
        let (sources, summary) = documents(&ran);
        assert_eq!((ran.status, states(&sources)), (3, vec!["a.csv failed".to_owned(), "b.csv loaded".to_owned()]));
        let loaded = if has_table { vec![-3, -2, -1] } else { vec![-2, -1] };
        assert_eq!((numbers(&place, "id"), &summary["rows"]["committed"]), (loaded.clone(), &Value::from(2)));

        place.write("a.csv", text);
        let corrected = place.run(&args);
        assert_eq!(corrected.status, 0, "{corrected:?}");
        let all = loaded.into_iter().chain(1..=i64::try_from(RECORDS).unwrap()).collect::<Vec<_>>();
        assert!(numbers(&place, "id") == all, "each record comes once");
    }
}

#[test]
fn rows_that_an_earlier_command_loaded_are_not_counted_again() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,a\n2\n");
    place.write("b.csv", "id,name\n3,b\n");
    let first = place.run(&["ingest", "a.csv", "b.csv", "--table", "t"]);
    assert_eq!(first.status, 0, "{first:?}");
    place.write("c.csv", "id,name\n4,c\n");
    let ran = place.run(&["ingest", "a.csv", "c.csv", "--table", "t", "--max-bad-records", "0", "--json"]);
    let (sources, summary) = documents(&ran);
    assert_eq!((ran.status, states(&sources)), (4, vec!["a.csv rejected".to_owned(), "c.csv loaded".to_owned()]));
    let rows = &summary["rows"];
    assert_eq!((&rows["committed"], &rows["quarantined"]), (&Value::from(1), &Value::from(0)), "{summary}");
}
