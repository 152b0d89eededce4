//! What was begun is gone on with; nothing is lost, nothing comes twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::shim::{Fault, Shim};
use crate::support::{Place, rows};

/// A CSV of `records` records of some 100 bytes, numbered from 1.
pub(crate) fn numbered(place: &Place, records: u64) -> PathBuf {
    let mut text = String::from("id,square,filler\n");
    for id in 1..=records {
        // Hardly compressible, so that there are several chunks of 1 MiB.
        let filler = format!("{:032x}{:032x}", md(id), md(id + records));
        text += &format!("{id},{},{filler}\n", id * id);
    }
    place.write("numbered.csv", text)
}

/// Bits that look like noise: the finaliser of splitmix64, twice.
fn md(seed: u64) -> u128 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (u128::from(mix(seed)) << 64) | u128::from(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

pub(crate) fn assert_each_once(table: &Path, records: u64) {
    let rows = rows(table);
    let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    assert_eq!(u64::try_from(ids.len()).unwrap(), records);
    let distinct: BTreeSet<i64> = ids.iter().flatten().collect();
    assert_eq!(distinct.len(), ids.len(), "no id comes twice");
    assert_eq!(distinct.last().copied(), i64::try_from(records).ok());
}

#[test]
fn a_second_run_adds_nothing_whatever_its_settings() {
    let place = Place::new();
    let source = numbered(&place, 40_000);
    let first = place.ingest(&source, &["--chunk-size-mb", "1"]);
    assert!(first["chunks"].as_array().unwrap().len() > 2, "{first}");
    assert!(first["chunks"].as_array().unwrap().iter().all(|chunk| chunk["bytes"].as_u64().unwrap() <= 1 << 20));
    let second = place.ingest(&source, &["--chunk-size-mb", "7", "--chunk-codec", "zstd", "--workers", "1"]);
    assert_eq!((&second["already_done"], &second["chunks"]), (&true.into(), &first["chunks"]));
    assert_eq!(second["rows"], first["rows"]);
    assert_each_once(&place.path("t"), 40_000);
}

#[test]
fn an_option_that_contradicts_a_job_in_the_table_is_an_error() {
    let place = Place::new();
    let source = place.write("x.csv", "id,a\n1,x\n2,y\n");
    let options =
        ["--sql", "select id from chunk", "--schema", "id:int64", "--csv-delimiter", ",", "--null-words", "n"];
    let job = place.ingest(&source, &options)["job_id"].as_str().unwrap().to_owned();
    assert_eq!(place.ingest(&source, &options)["already_done"], true, "the same options contradict nothing");
    for (option, value, pinned, given) in [
        ("--sql", "select a from chunk", "select id from chunk", "select a from chunk"),
        ("--schema", "ID:text", "ID:int64", "ID:text"),
        ("--csv-delimiter", "tab", ",", "tab"),
        ("--csv-quote", "none", "\"", "none"),
        ("--null-words", "m,o", "n", "m,o"),
        ("--encoding", "latin1", "UTF-8", "windows-1252"),
        ("--compression", "gzip", "none", "gzip"),
        ("--format", "ndjson", "csv", "ndjson"),
        ("--bad-records", "null", "quarantine", "null"),
        ("--partition-by", "a", "none", "a"),
        ("--on-replace", "replace", "append", "replace"),
        ("--max-record-mb", "3", "16", "3"),
        ("--csv-header", "false", "1", "0"),
        ("--csv-header", "2", "1", "2"),
        ("--csv-skip-lines", "1", "0", "1"),
    ] {
        let ran = place.run(&["ingest", "x.csv", "--table", "t", option, value]);
        let said = format!(
            "error: job {job} is in the table with {option} {pinned}, and not {given}\nhint: leave the option out"
        );
        assert_eq!((ran.status, ran.stderr.starts_with(&said)), (3, true), "{said} {ran:?}");
    }
    assert_eq!(place.rows().num_rows(), 2);
    assert_eq!(place.run(&["undo", &job, "--table", "t"]).status, 0);
    let again = place.ingest(&source, &["--again", "--sql", "select a from chunk"]);
    assert_eq!(again["job_id"].as_str(), Some(format!("{job}-g2").as_str()));
}

#[test]
fn how_a_job_read_its_header_and_names_is_told_by_what_it_has() {
    let title = "Orders of May\n\nUnit Price,a\n1,x\n2,y\n";
    let (no_header, keep) = (["--csv-skip-lines", "3", "--csv-header", "0"], ["--column-names", "keep"]);
    for (text, first, option, value, said) in [
        (title, &[][..], "--csv-skip-lines", "2", None),
        (title, &[], "--csv-skip-lines", "1", None),
        (title, &[], "--csv-skip-lines", "0", Some("--csv-skip-lines 1, and not 0")),
        (title, &[], "--csv-skip-lines", "3", Some("--csv-skip-lines 1, and not 3")),
        (title, &[], "--csv-header", "true", None),
        (title, &[], "--csv-header", "0", Some("--csv-header 1, and not 0")),
        (title, &no_header, "--csv-header", "true", Some("--csv-header 0, and not 1")),
        (title, &no_header, "--csv-skip-lines", "3", None),
        (title, &no_header, "--csv-skip-lines", "4", Some("--csv-skip-lines 3, and not 4")),
        ("a b,c\nx,y\n", &[], "--column-names", "snake", None),
        ("aB,c\n1,y\n", &[], "--column-names", "snake", Some("--column-names lower, and not snake")),
        ("aB,c\n1,y\n", &keep, "--column-names", "lower", Some("--column-names keep, and not lower")),
        ("a,b\n1,y\n", &[], "--infer", "none", Some("--infer sample or full, and not none")),
        ("a,b\nx,y\nz,w\n", &[], "--infer", "none", None),
        ("a,b\n1,y\n", &["--schema", "a:int64"], "--infer", "none", None),
        ("a,b\n1,y\n", &["--infer", "none"], "--infer", "full", None),
    ] {
        let place = Place::new();
        place.ingest(&place.write("x.csv", text), first);
        let ran = place.run(&["ingest", "x.csv", "--table", "t", option, value]);
        let is_said = said.is_none_or(|said| ran.stderr.contains(said));
        assert_eq!((ran.status == 3, is_said), (said.is_some(), true), "{option} {value} {ran:?}");
    }
}

#[test]
fn again_loads_again() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    let first = place.ingest(&source, &[]);
    let again = place.ingest(&source, &["--again"]);
    assert_ne!(first["job_id"], again["job_id"]);
    assert_eq!(place.rows().num_rows(), 4);
    let third = place.ingest(&source, &[]);
    assert_eq!((&third["already_done"], &third["job_id"]), (&true.into(), &again["job_id"]));
    assert_eq!(place.rows().num_rows(), 4);
}

#[test]
fn a_second_time_that_has_no_receipt_is_gone_on_with() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    let mut killed = place.command(&["ingest", "x.csv", "--table", "t", "--again"]);
    let shim = Shim::below(&place.path("t")).matching("-g2/receipt.json").at(1, Fault::Kill);
    assert_eq!(shim.on(&mut killed).output().unwrap().status.code(), None);
    assert_eq!(place.rows().num_rows(), 4);
    let again = place.ingest(&source, &["--again"]);
    assert!(again["job_id"].as_str().unwrap().ends_with("-g2"), "{again}");
    assert_eq!(place.rows().num_rows(), 4);
}

#[test]
fn a_file_in_one_commit_shows_at_once_or_not_at_all() {
    let place = Place::new();
    let source = numbered(&place, 40_000);
    let first = place.ingest(&source, &["--chunk-size-mb", "1", "--commit-mode", "file"]);
    assert!(first["chunks"].as_array().unwrap().len() > 2, "{first}");
    assert_eq!((&first["table"]["version"], &first["commits"]["attempts"]), (&1.into(), &1.into()), "{first}");
    assert_each_once(&place.path("t"), 40_000);
    let second = place.ingest(&source, &["--commit-mode", "chunk"]);
    assert_eq!((&second["already_done"], &second["table"]["version"]), (&true.into(), &1.into()), "{second}");
}

#[test]
fn another_work_area_does_not_load_another_cut_of_the_same_job() {
    let place = Place::new();
    let source = numbered(&place, 20_000);
    place.ingest(&source, &["--chunk-size-mb", "1"]);
    let source = source.to_str().unwrap();
    let ran = place.run(&["ingest", source, "--table", "t", "--work-dir", "elsewhere", "--chunk-size-mb", "2"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("cut in another way"), "{ran:?}");
    assert_each_once(&place.path("t"), 20_000);
}

#[test]
fn a_table_that_was_lost_is_loaded_again() {
    for commit in ["chunk", "file"] {
        let place = Place::new();
        let source = place.write("x.csv", "id\n1\n2\n");
        place.ingest(&source, &["--work-dir", "work", "--commit-mode", commit]);
        std::fs::remove_dir_all(place.path("t")).unwrap();
        let ran = place.run(&["ingest", "x.csv", "--table", "t", "--work-dir", "work", "--json"]);
        assert!(ran.stderr.contains("it was recreated, or its log was lost"), "{ran:?}");
        assert_eq!((&ran.json()["already_done"], &ran.json()["rows"]["committed"]), (&false.into(), &2.into()));
        assert_eq!(place.rows().num_rows(), 2);
        // The chunks are gone with the table, and made again.
        std::fs::remove_dir_all(place.path("t")).unwrap();
        let job = std::fs::read_dir(place.path("work")).unwrap().next().unwrap().unwrap().path();
        std::fs::remove_dir_all(job.join("chunks")).unwrap();
        assert_eq!(place.ingest(&source, &["--work-dir", "work"])["rows"]["committed"], 2);
        assert_eq!(place.rows().num_rows(), 2);
    }
}

#[test]
fn a_changed_file_is_another_job() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    let first = place.ingest(&source, &[]);
    let source = place.write("x.csv", "id\n1\n2\n3\n");
    let second = place.ingest(&source, &[]);
    assert_ne!(first["job_id"], second["job_id"]);
    assert_eq!(place.rows().num_rows(), 5);
}

/// Ends a run by `signal` once `file` exists below the job's work area, or after its end.
fn end_when(place: &Place, source: &Path, file: &str, signal: &str, more: &[&str]) -> Option<i32> {
    end_command_when(place, &[&["ingest", source.to_str().unwrap(), "--table", "t"], more].concat(), "", file, signal)
}

/// Ends a command by `signal` once `file` exists below a work area whose name has this ending, or after its end.
pub(crate) fn end_command_when(place: &Place, args: &[&str], area: &str, file: &str, signal: &str) -> Option<i32> {
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let seen = || {
        let jobs = std::fs::read_dir(place.path("t/_sluice")).ok()?;
        let mut areas = jobs.flatten().filter(|job| job.file_name().to_string_lossy().ends_with(area));
        areas.any(|job| job.path().join(file).exists()).then_some(())
    };
    while seen().is_none() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_mins(1), "{file} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).output().unwrap();
    drop(kill);
    child.wait().unwrap().code()
}

#[test]
fn a_killed_run_is_gone_on_with_under_other_settings() {
    for (file, more) in [
        ("job.json", &["--chunk-size-mb", "5"][..]),
        ("chunks/00000.parquet", &["--chunk-size-mb", "5"]),
        ("checkpoint.json", &["--chunk-size-mb", "2", "--workers", "1"]),
        ("chunks/00002.parquet", &[]),
        ("loaded/00000.json", &["--chunk-size-mb", "5"]),
        ("loaded/00002.json", &[]),
        ("manifest.json", &["--chunk-size-mb", "5"]),
    ] {
        let place = Place::new();
        let source = numbered(&place, 40_000);
        end_when(&place, &source, file, "-KILL", &["--chunk-size-mb", "1"]);
        let report = place.ingest(&source, more);
        assert_eq!(report["rows"]["committed"], 40_000, "killed at {file}");
        assert!(report["chunks"].as_array().unwrap().len() > 2, "the first cut holds");
        assert_each_once(&place.path("t"), 40_000);
    }
}

#[test]
fn a_job_that_another_version_began_is_left_to_it() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    let job = place.area().join("job.json");
    let text = std::fs::read_to_string(&job).unwrap();
    let older = text.replace("\"encoder\": 7,", "");
    assert_ne!(older, text);
    std::fs::write(&job, older).unwrap();
    assert_eq!(place.ingest(&source, &[])["already_done"], true, "what is split needs no encoder");
    for gone in ["manifest.json", "receipt.json"] {
        std::fs::remove_file(place.area().join(gone)).unwrap();
    }
    let ran = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("cuts chunks otherwise (encoder 0; this one has 7)"), "{ran:?}");
    assert_eq!(place.rows().num_rows(), 2);
}

#[test]
fn ctrl_c_finishes_what_is_in_hand() {
    let place = Place::new();
    let source = numbered(&place, 60_000);
    let status = end_when(&place, &source, "checkpoint.json", "-INT", &["--chunk-size-mb", "1"]);
    // On a quick machine it may have been done before the signal came.
    assert!(matches!(status, Some(130 | 0)), "{status:?}");
    let partial = |path: PathBuf| path.to_string_lossy().ends_with(".partial");
    let job = place.area();
    let left = std::fs::read_dir(job.join("chunks")).unwrap().filter(|entry| partial(entry.as_ref().unwrap().path()));
    assert_eq!(left.count(), 0, "nothing half-written is left");
    let report = place.ingest(&source, &[]);
    assert_eq!(report["rows"]["committed"], 60_000);
    assert_each_once(&place.path("t"), 60_000);
}
