//! What is said of sources and settings that cannot be used.

use crate::support::{Place, fixture};

/// Status and stderr of an ingest.
fn refused(place: &Place, args: &[&str]) -> (i32, String) {
    let ran = place.run(&[&["ingest", "--table", "t"], args].concat());
    assert!(!place.path("t/_delta_log").exists(), "no table is made: {ran:?}");
    assert_eq!(ran.stdout, "");
    (ran.status, ran.stderr)
}

#[test]
fn a_missing_source() {
    let (status, text) = refused(&Place::new(), &["no-such.csv"]);
    assert_eq!(status, 3);
    insta::assert_snapshot!(text, @r"
    error: cannot read the source: [place]/no-such.csv does not exist
    hint: check the path or the key; names are case-sensitive
    ");
}

#[test]
fn an_empty_directory() {
    let place = Place::new();
    std::fs::create_dir(place.path("dir.csv")).unwrap();
    let (status, text) = refused(&place, &["dir.csv"]);
    assert_eq!(status, 3);
    insta::assert_snapshot!(text, @r"
    error: no file to load is in the folder dir.csv
    hint: names that begin with . or _, or end in ~, .tmp, .part and the like, are left out, and so are Delta tables and work areas; name such a file itself to load it
    ");
}

#[test]
fn a_quote_that_is_never_closed() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2,\"b\n3,c\n");
    let (status, text) = refused(&place, &["x.csv", "--bad-records", "fail"]);
    assert_eq!(status, 3);
    insta::assert_snapshot!(text, @r"
    error: [place]/x.csv, byte 12: the file ends inside a quoted field of the record that begins here
    hint: the file was cut off, or a quote is missing; have it written again, or fix the quote
    ");
}

#[test]
fn a_record_that_is_too_long() {
    let place = Place::new();
    let long = "x".repeat(12 << 20);
    place.write("x.csv", format!("id,name\n1,a\n2,\"{long}"));
    let (status, text) = refused(&place, &["x.csv", "--max-record-mb", "1", "--bad-records", "fail"]);
    assert_eq!(status, 3);
    insta::assert_snapshot!(text, @r"
    error: [place]/x.csv, byte 12: the record that begins here is longer than MAX_RECORD_MB=1
    hint: close the quote if one is open; if the record is meant to be that long, run with a higher MAX_RECORD_MB and --again
    ");
}

#[test]
fn not_a_table_at_all() {
    let place = Place::new();
    for (content, text) in [
        (&b"\x89PNG\r\n\x1a\n"[..], "x.csv, byte 0: this is a PNG image, not CSV or Parquet"),
        (b"\x1f\x8b\x08\0", "x.csv: the file ends, after 4 bytes, within its gzip data"),
        (b"a,b\n\0,1\n", "x.csv, byte 4: a NUL byte, so this is neither CSV nor Parquet"),
    ] {
        place.write("x.csv", content);
        let (status, stderr) = refused(&place, &["x.csv"]);
        assert_eq!(status, 3);
        assert!(stderr.contains(text) && stderr.contains("\nhint: "), "{stderr}");
    }
}

#[test]
fn a_truncated_parquet_file() {
    let place = Place::new();
    let (status, text) = refused(&place, &[fixture("hard/truncated.parquet").to_str().unwrap()]);
    assert_eq!(status, 3);
    assert!(text.contains("/hard/truncated.parquet: this Parquet file of "), "{text}");
    assert!(text.contains("hint: the file is damaged or was not written to its end"), "{text}");
}

#[test]
fn a_parquet_file_without_its_start() {
    let place = Place::new();
    let whole = std::fs::read(fixture("flights.parquet")).unwrap();
    for start in [100, 5000] {
        place.write("x.parquet", &whole[start..]);
        let (status, text) = refused(&place, &["x.parquet"]);
        assert_eq!(status, 3);
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @r"
            error: [place]/x.parquet: this ends as a Parquet file, and does not begin as one: its start is missing
            hint: have the file written, or copied, again
            ");
        }
    }
}

#[test]
fn a_table_that_is_a_file() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    place.write("t", "");
    for command in [&["ingest", "x.csv"][..], &["maintain"], &["undo", "x.csv"]] {
        let ran = place.run(&[command, &["--table", "t"]].concat());
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(
            ran.stderr.contains("table [place]/t is a file, and a table is a directory\nhint: give the directory"),
            "{ran:?}"
        );
        assert_eq!(ran.stderr.lines().count(), 2, "{ran:?}");
    }
}

#[test]
fn stores_that_are_not_known_and_access_that_is_not_given() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    for (args, status, hint) in [
        (["ingest", "gs://b/x.csv", "t"], 2, "hint: Sluice works on S3, "),
        (["ingest", "x.csv", "az://b/t"], 2, "hint: Sluice works on S3, "),
        (["undo", "x.csv", "gs://b/t"], 2, "hint: Sluice works on S3, "),
        (["ingest", "s3://b/x.csv", "t"], 1, "hint: set AWS_REGION to the region of buckets"),
    ] {
        let [command, source, table] = args;
        let ran = place.run(&[command, source, "--table", table]);
        assert_eq!((ran.status, ran.stderr.contains(hint)), (status, true), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 2, "{ran:?}");
    }
}

#[test]
fn bad_records_can_be_made_to_fail_the_job() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2\n3,c\n");
    let (status, text) = refused(&place, &["x.csv", "--bad-records", "fail"]);
    assert_eq!(status, 3);
    insta::assert_snapshot!(text, @r"
    error: [place]/x.csv, record 2, byte 12: 1 fields where 2 are expected
    hint: BAD_RECORDS=quarantine with --again keeps such records beside the job and goes on
    ");
}

#[test]
fn a_file_with_too_many_bad_records_leaves_the_table_as_it_was() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1,a\n2\n3,c\n");
    for (limit, status) in [("0", 4), ("33%", 4), ("1", 0), ("34%", 0)] {
        let ran = place.run(&["ingest", "x.csv", "--table", limit, "--max-bad-records", limit]);
        assert_eq!(
            (ran.status, place.path(limit).join("_delta_log").exists()),
            (status, status == 0),
            "{limit} {ran:?}"
        );
    }
    let (status, text) = refused(&place, &["x.csv", "--max-bad-records", "0"]);
    assert_eq!(status, 4);
    insta::assert_snapshot!(text, @r#"
    error: [place]/x.csv: 1 of the first 3 records were rejected, MAX_BAD_RECORDS=0 allows no more; record 2, byte 12: 1 fields where 2 are expected
    hint: `sluice quarantine show` shows more of them; with a higher MAX_BAD_RECORDS it continues from here
    "#);
    assert!(place.area().join("quarantine/split-00000-000.parquet").exists(), "what was rejected can be looked into");
    place.ingest(&place.path("x.csv"), &["--max-bad-records", "1"]);
    assert_eq!(place.rows().num_rows(), 2, "with a higher limit the job goes on");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--max-bad-records", "0"]);
    assert_eq!(ran.status, 4);
    insta::assert_snapshot!(ran.stderr, @r"
    error: 1 of 3 records were rejected, more than MAX_BAD_RECORDS allows; all others are there
    hint: `sluice quarantine show` shows the reasons, each with examples
    ");
}

#[test]
fn a_file_of_which_no_record_is_accepted() {
    let place = Place::new();
    place.write("x.csv", "id,name\n1x,a\n2x,b\n");
    let args = ["x.csv", "--schema", "id:int64"];
    let (status, text) = refused(&place, &args);
    assert_eq!(status, 4);
    insta::assert_snapshot!(text, @r"
    error: [place]/x.csv: all 2 records were rejected; record 1, byte 8, column 'id': '1x' is not an integer of 64 bits; record 2, byte 13, column 'id': '2x' is not an integer of 64 bits
    hint: `sluice quarantine show x.csv --table [place]/t` shows more of them; ingest the file with other options, or with --max-bad-records 100% if all may be rejected
    ");
    let shown = place.run(&["quarantine", "show", "x.csv", "--table", "t"]);
    assert!(shown.stdout.contains("2 records rejected"), "{shown:?}");
    let ran = place.run(&[&["ingest", "--table", "t", "--max-bad-records", "100%"], &args[..]].concat());
    assert_eq!((ran.status, ran.stdout.contains("quarantined  2")), (0, true), "{ran:?}");
}

#[test]
fn a_file_of_which_the_table_takes_no_row() {
    let place = Place::new();
    place.ingest(&place.write("first.csv", "id\n1\n"), &[]);
    place.write("x.csv", "id\n1\n2\n");
    let sql = "select concat('n', id) as id from chunk";
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--sql", sql]);
    assert_eq!((ran.status, ran.stdout.contains("quarantined  2")), (4, true), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @r"
    error: all 2 records were rejected: the table takes none of these rows
    hint: `sluice quarantine show x.csv --table [place]/t` shows more of them; ingest the file with other options, or with --max-bad-records 100% if all may be rejected
    ");
    let told = place.run(&["ingest", "x.csv", "--table", "t", "--max-bad-records", "100%"]);
    assert_eq!(told.status, 0, "{told:?}");
}

#[test]
fn settings_that_cannot_be_used() {
    let place = Place::new();
    place.write("x.csv", "a\n1\n");
    for (args, text) in [
        (
            &["x.csv", "--chunk-size-mb", "0"][..],
            "CHUNK_SIZE_MB='0' cannot be used: it must be a whole number from 1 to 5120",
        ),
        (
            &["x.csv", "--bad-records", "drop"],
            "BAD_RECORDS='drop' cannot be used: it must be one of quarantine, fail, null",
        ),
        (&["gs://b/x.csv"], "'gs://b/x.csv' has the scheme 'gs'"),
    ] {
        let (status, stderr) = refused(&place, args);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    for more in [&[][..], &["--work-dir", "w"]] {
        let ran = place.run(&[&["ingest", "x.csv"], more].concat());
        assert_eq!(ran.status, 2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.stderr, @r"
            error: no table is given
            hint: set --table TABLE_URI, or the variable TABLE_URI; `sluice ingest` also takes tables from --routes FILE
            ");
        }
    }
    let ran = place.run(&["status", "x.csv"]);
    assert_eq!((ran.status, ran.stderr.contains("; or set --work-dir DIR")), (2, true), "{ran:?}");
}

#[test]
fn errors_as_json() {
    let ran = Place::new().run(&["ingest", "no-such.csv", "--table", "t", "--json"]);
    insta::assert_snapshot!(ran.stdout, @r#"{"error":"cannot read the source: [place]/no-such.csv does not exist","hint":"check the path or the key; names are case-sensitive","exit_status":3}"#);
}

#[test]
fn a_file_that_is_cut_off_leaves_the_table_as_it_was_however_many_chunks_it_has() {
    let place = Place::new();
    let mut text = String::from("id,noise\n");
    for id in 0..60_000_u64 {
        text +=
            &format!("{id},{:x}{:x}\n", id.wrapping_mul(0x9e37_79b9_7f4a_7c15), id.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    }
    place.write("x.csv", text + "60000,\"cut off h");
    let (status, stderr) = refused(&place, &["x.csv", "--chunk-size-mb", "1", "--bad-records", "fail"]);
    assert_eq!(status, 3);
    assert!(stderr.contains("the file ends inside a quoted field"), "{stderr}");
    let job = place.area();
    assert!(job.join("chunks/00000.parquet").exists(), "a chunk was made before the end was seen");
}
