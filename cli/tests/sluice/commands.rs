//! What the commands print.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::Place;

#[test]
fn a_summary_for_people() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,b,c\n3,d\n");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--sql", "select * from chunk where id < 3"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "quiet when stderr is no terminal");
    let steady: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains("commit attempt")).collect();
    let text = steady.join("\n").replace(job_id(&place).as_str(), "[job]");
    insta::assert_snapshot!(text, @r"
    [job]: done
      source       [place]/x.csv
      read as      csv, utf-8, delimiter ',', 1 header row
      table        [place]/t (version 1)
      columns      2 new: id, name
      read         3
      committed    1
      filtered     1
      quarantined  1
      chunks       1 (0.0 MiB)
      rejected records are in [place]/t/_sluice/[job]/quarantine
    ");
    let second = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert!(second.stdout.contains(": already done, nothing was added\n"), "{second:?}");
}

fn job_id(place: &Place) -> String {
    place.area().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_document_of_ingest() {
    let place = Place::new();
    let source = place.write("x.csv", "id,name\n1,a\n2,b\n");
    let mut report = place.ingest(&source, &[]);
    let object = report.as_object_mut().unwrap();
    assert!(object.remove("seconds").unwrap().as_f64().unwrap() > 0.0);
    assert!(object.remove("peak_rss_bytes").unwrap().as_u64().unwrap() > 1 << 20);
    let chunk = object["chunks"][0].clone();
    let expected = json!({
        "job_id": job_id(&place),
        "source": "[place]/x.csv",
        "already_done": false,
        "rows": {"read": 2, "committed": 2, "filtered": 0, "quarantined": 0, "added": 0},
        "chunks": [{"index": 0, "rows": 2, "bytes": chunk["bytes"]}],
        "table": {"uri": "[place]/t", "version": 1},
        "commits": {"attempts": 1, "conflicts": 0, "wait_ms": 0},
        "quarantine": null,
        "reading": {
            "format": "csv",
            "compression": "none",
            "encoding": "UTF-8",
            "dialect": {"delimiter": ",", "quote": "\""},
            "confidence": object["reading"]["confidence"],
            "header_rows": 1,
            "lines": {
                "total": 3,
                "of_records": 2,
                "skipped": [{"kind": "header", "lines": 1, "first": {"line": 1, "byte_offset": 0, "text": "id,name"}}],
            },
            "columns": [
                {"name": "id", "type": "int64", "origin": "inferred"},
                {"name": "name", "type": "text", "origin": "inferred"},
            ],
            "table": {"is_new": true},
            "drop": {"number": 1, "earlier_rows": "kept"},
        },
        "warnings": [],
    });
    assert_eq!(report, expected);
    let receipt: Value = serde_json::from_slice(&std::fs::read(place.area().join("receipt.json")).unwrap()).unwrap();
    assert_eq!(receipt["reading"], expected["reading"]);
    let again = place.ingest(&source, &[]);
    assert_eq!((&again["already_done"], &again["reading"]), (&json!(true), &expected["reading"]));
}

#[test]
fn split_alone_prints_a_task_a_chunk() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,b\n");
    let ran = place.run(&["split", "x.csv", "--out", "out", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let tasks: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["s3_bucket"], "file://");
    let key = tasks[0]["s3_object_key"].as_str().unwrap();
    let chunk = place.path(key.strip_prefix("[place]/").unwrap());
    assert_eq!(Value::from(chunk.metadata().unwrap().len()), tasks[0]["chunk"]["bytes"]);
    assert_eq!(crate::support::read(&chunk).num_rows(), 2);
    let text = place.run(&["split", "x.csv", "--out", "out"]).stdout;
    assert!(text.contains("was split already: 1 chunk in [place]/out/"), "{text}");
}

#[test]
fn status_by_source_and_by_name() {
    let place = Place::new();
    let source = place.write("x.csv", "id,name\n1,a\n2\n");
    place.ingest(&source, &[]);
    let by_source = place.run(&["status", "x.csv", "--table", "t", "--json"]).json();
    let by_name = place.run(&["status", &job_id(&place), "--table", "t", "--json"]).json();
    assert_eq!(by_source, by_name);
    let status = &by_source[0];
    assert_eq!((&status["state"], &status["chunks"]), (&json!("done"), &json!({"split": 1, "committed": 1})));
    assert_eq!(status["rows"], status["receipt"]["rows"]);
    let unknown = place.run(&["status", "y.csv", "--table", "t"]);
    assert_eq!((unknown.status, unknown.stderr.contains("no job is known of 'y.csv'")), (3, true), "{unknown:?}");
}

#[test]
fn help_names_every_command() {
    let help = Place::new().run(&["--help"]).stdout;
    for command in ["ingest", "split", "status", "undo", "maintain", "work", "dlq", "doctor"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    assert!(help.contains("Exit status: 0 done"), "{help}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n");
    for args in [&["plan", "x.csv", "--json"][..], &["plan", "x.csv"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (ended.status.code(), String::from_utf8(ended.stderr).unwrap()),
            (Some(0), String::new()),
            "{args:?}"
        );
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = place.command(&["plan", "x.csv", "--json"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: cannot write the result to stdout: No space left on device"), "{stderr}");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let place = Place::new();
    place.write("x.csv", "id,\"na\u{1b}[31mme\u{7}\"\n1,a\n");
    for args in
        [&["plan", "x.csv"][..], &["ingest", "x.csv", "--table", "t", "--sql", "select \"\u{1b}[2J\" from chunk"]]
    {
        let ran = place.run(args);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains("\\u{1b}["), "{printed:?}");
        assert!(!printed.contains(['\u{1b}', '\u{7}']), "{printed:?}");
    }
}

#[test]
fn the_log_names_sluice_the_job_and_the_source() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n");
    assert_eq!(place.run(&["ingest", "x.csv", "--table", "t"]).status, 0);
    place.write("y.csv", "id,name,more\n2,b,c\n");
    assert_eq!(place.run(&["ingest", "y.csv", "--table", "t"]).status, 0);
    assert_eq!(place.run(&["undo", "y.csv", "--table", "t"]).status, 0);
    let script = "import deltalake, json
for entry in reversed(deltalake.DeltaTable('t').history()):
    job = (entry['sluice'].get('jobs') or [{}])[0]
    print(entry['operation'], entry['engineInfo'].split('/')[0].split(':')[0], entry['sluice']['text'].split('/')[0],
          job.get('source', '-').rsplit('/')[-1], 'job_id' in job)";
    let history = shared::testing::run_python(place.path("").as_path(), script);
    let history = history.replace(&undone_job(&place), "[job]");
    insta::assert_snapshot!(history, @r"
    CREATE TABLE Sluice created - False
    WRITE Sluice loaded from  x.csv True
    ADD COLUMN Sluice columns added - False
    WRITE Sluice loaded from  y.csv True
    DELETE Sluice undone: job [job] - False
    ");
}

/// The job that was undone.
fn undone_job(place: &Place) -> String {
    let areas = std::fs::read_dir(place.path("t/_sluice")).unwrap().map(|entry| entry.unwrap().path());
    let undone = areas.into_iter().find(|area| area.join("undone.json").exists()).unwrap();
    undone.file_name().unwrap().to_str().unwrap().to_owned()
}
