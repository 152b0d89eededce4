//! `sluice quarantine`.

use crate::support::Place;

#[test]
fn reasons_with_counts_and_examples() {
    let place = Place::new();
    let source = place.write("x.csv", b"id,name\n1,a\n2\n\"x\",\"b\nc\"\n3\n4,d,\t\n5,\xff\n");
    let job =
        place.ingest(&source, &["--schema", "id:int64", "--encoding", "utf-8"])["job_id"].as_str().unwrap().to_owned();
    let by_job = place.run(&["quarantine", "show", &job, "--table", "t"]);
    assert_eq!(by_job.status, 0, "{by_job:?}");
    insta::assert_snapshot!(by_job.stdout.replace(&job, "[job]"), @r#"
    [job]: 5 records rejected
      source       [place]/x.csv
      kept in      [place]/t/_sluice/[job]/quarantine
            2  1 fields where 2 are expected
               record 2, byte 12: 2
               record 4, byte 24: 3
            1  3 fields where 2 are expected
               record 5, byte 26: 4,d,\t
            1  column 'id': is not an integer of 64 bits (2 lines)
               record 3, byte 14: "x","b\nc"
            1  column 'name': the text is not valid UTF-8, or not valid in the file's encoding
               record 6, byte 32: 5,\xff
    "#);
    let by_source = place.run(&["quarantine", "show", source.to_str().unwrap(), "--table", "t"]);
    assert_eq!(by_source.stdout, by_job.stdout);
    let json = place.run(&["quarantine", "show", &job, "--table", "t", "--json"]).json();
    insta::assert_snapshot!(json["reasons"][2], @r#"{"column":"id","examples":[{"byte_offset":14,"number":3,"object":"split-00000-000.parquet","raw":"\"x\",\"b\\nc\"","reason":"'x' is not an integer of 64 bits"}],"lines":2,"reason":"is not an integer of 64 bits","records":1,"stage":"split"}"#);
}

#[test]
fn nothing_was_rejected_or_no_such_job() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n");
    let job = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
    let ran = place.run(&["quarantine", "show", &job, "--table", "t"]);
    assert_eq!(ran.stdout, format!("{job}: 0 records rejected\n  source       [place]/x.csv\n"));
    assert_eq!(place.run(&["quarantine", "show", "no-such", "--table", "t"]).status, 3);
}

#[test]
fn rows_that_the_worker_rejected() {
    let place = Place::new();
    place.ingest(&place.write("first.csv", "id,name\n1,a\n"), &["--schema", "id:int64"]);
    let source = place.write("x.csv", "id,name\n1,a\n2,b\n3,c\n4,d\n5\n");
    let sql =
        "select case when id < 4 then concat('n', id) else cast(id as varchar) end as id, name from chunk where id > 1";
    let report = place.ingest(&source, &["--schema", "id:int64", "--sql", sql]);
    assert_eq!((&report["rows"]["committed"], &report["rows"]["quarantined"]), (&1.into(), &3.into()), "{report}");
    let job = report["job_id"].as_str().unwrap();
    let shown = place.run(&["quarantine", "show", job, "--table", "t"]);
    insta::assert_snapshot!(shown.stdout.replace(job, "[job]"), @r#"
    [job]: 3 records rejected
      source       [place]/x.csv
      kept in      [place]/t/_sluice/[job]/quarantine
            2  column 'id': does not fit type long
               row 1 of chunk 0: {"id":"n2","name":"b"}
               row 2 of chunk 0: {"id":"n3","name":"c"}
            1  1 fields where 2 are expected
               record 5, byte 24: 5
    "#);
    let json = place.run(&["quarantine", "show", job, "--table", "t", "--json"]).json();
    insta::assert_snapshot!(json["reasons"][0]["examples"][1], @r#"{"byte_offset":null,"number":2,"object":"load-00000.parquet","raw":"{\"id\":\"n3\",\"name\":\"c\"}","reason":"'n3' does not fit type long"}"#);
    let replay = place.run(&["quarantine", "replay", job, "--table", "t", "--csv-delimiter", ";"]);
    let left_out = "left out     2 rejected by the worker: rows that do not fit the table";
    assert!(
        replay.stdout.contains(left_out) && replay.stdout.contains("to load them after all: sluice undo"),
        "{replay:?}"
    );
}

#[test]
fn rows_that_the_worker_rejected_are_named_by_their_records() {
    let place = Place::new();
    place.ingest(&place.write("first.csv", "id,name\n1,a\n"), &["--schema", "id:int64"]);
    // The third record has too few fields; what the worker rejects are the fifth and the last.
    let mut text = String::from("id,name\n");
    for number in 1..=30_000_u32 {
        text += &match number {
            3 | 20_000 => "3\n".to_owned(),
            5 | 30_000 => format!("x{number},b\n"),
            _ => format!(
                "{number},{:x}{:x}\n",
                u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                number.wrapping_mul(0x85eb_ca6b)
            ),
        };
    }
    let source = place.write("x.csv", text);
    let report = place.ingest(&source, &["--infer", "none", "--schema", "id:text", "--chunk-size-mb", "1"]);
    assert_eq!(report["rows"]["quarantined"], 4, "{report}");
    let shown = place.run(&["quarantine", "show", "x.csv", "--table", "t"]);
    for said in
        ["record 5 (row 4 of chunk 0): {\"id\":\"x5\"", "record 30000 (row ", "record 3, byte", "record 20000, byte"]
    {
        assert!(shown.stdout.contains(said), "{said}: {shown:?}");
    }
}
