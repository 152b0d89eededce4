//! Where rows come from: as parameters of SQL, and as columns.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::support::{Place, rows};

/// Records of several chunks whose `id` is their number; of some the splitter takes no `id`.
fn large() -> String {
    let mut text = "id,pad\n".to_owned();
    let mut state = 1_u64;
    for record in 1..=100_000_u32 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let is_rejected = record <= 2 || record % 9_999 < 2 || record == 100_000;
        let id = if is_rejected { "x".to_owned() } else { record.to_string() };
        text += &format!("{id},{state:016x}{:016x}\n", state.rotate_left(17));
    }
    text
}

fn longs(rows: &RecordBatch, name: &str) -> Vec<i64> {
    rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn rows_say_which_record_they_are() {
    let place = Place::new();
    let source = place.write("large.csv", large());
    let read = ["--schema", "id:int64,pad:text", "--chunk-size-mb", "1"];
    let columns = [&read[..], &["--provenance", "source,record_number,chunk,job,ingested_at"]].concat();
    let done = place.ingest(&source, &columns);
    let chunks = done["chunks"].as_array().unwrap().len();
    assert!(chunks > 2, "{done}");
    let loaded = place.rows();
    assert!(loaded.num_rows() > 99_900);
    assert_eq!(longs(&loaded, "_record_number"), longs(&loaded, "id"));
    let of_chunks: std::collections::BTreeSet<i64> = longs(&loaded, "_chunk").into_iter().collect();
    assert_eq!(of_chunks.len(), chunks);
    let text = |name: &str| loaded.column_by_name(name).unwrap().as_string::<i32>().value(7).to_owned();
    assert_eq!(text("_job"), done["job_id"].as_str().unwrap());
    assert_eq!(text("_source"), source.display().to_string());
    let moments = loaded.column_by_name("_ingested_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    assert_eq!((moments.null_count(), moments.values().iter().min()), (0, moments.values().iter().max()));

    let sql = "select *, $record_number as n, $chunk as c, $job as j from chunk where id % 7 = 0";
    let args =
        [&["ingest", "large.csv", "--table", "u", "--json", "--sql", sql, "--provenance", "record_number"], &read[..]]
            .concat();
    let ran = place.run(&args);
    assert_eq!(ran.status, 0, "{ran:?}");
    let loaded = rows(&place.path("u"));
    let names: Vec<&str> = loaded.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "pad", "n", "c", "j", "_record_number"]);
    assert_eq!((longs(&loaded, "n"), longs(&loaded, "_record_number")), (longs(&loaded, "id"), longs(&loaded, "id")));
    assert!(loaded.num_rows() > 14_000);
}

#[test]
fn captures_are_parameters_and_never_sql() {
    let place = Place::new();
    place.write(
        "routes.toml",
        "version = 1\n[[route]]\nname = \"all\"\nkey = \"**/in/{system}/*.csv\"\ntable = \"t\"\nprovenance = [\"source\"]\nsql = \"select *, $system as system from chunk\"\n",
    );
    let folder = place.path("in/x', 1 as \"id");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.csv"), "id\n7\n").unwrap();
    let ran = place.run(&["ingest", "in/x', 1 as \"id/a.csv", "--routes", "routes.toml", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let loaded = place.rows();
    let text = |name: &str| loaded.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!((longs(&loaded, "id"), text("system")), (vec![7], "x', 1 as \"id".to_owned()));
    assert!(text("_source").ends_with("/a.csv"));
}

#[test]
fn what_cannot_be_named_is_refused_before_the_file_is_split() {
    let place = Place::new();
    place.write("a.csv", "id,_source\n1,x\n");
    for (args, expected) in [
        (
            &["--sql", "select $system from chunk"][..],
            "there is no parameter $system, only $source, $job, $chunk, $ingested_at, $record_number",
        ),
        (&["--provenance", "source"], "the rows have a column '_source' already, which PROVENANCE adds"),
        (
            &["--provenance", "row"],
            "PROVENANCE='row' cannot be used: it must be some of source, record_number, chunk, job, ingested_at, separated by commas",
        ),
    ] {
        let ran = place.run(&[&["ingest", "a.csv", "--table", "t"], args].concat());
        assert_eq!((ran.status, ran.stderr.contains(expected)), (2, true), "{ran:?}");
        assert!(!place.path("t").exists());
    }
}

#[test]
fn sql_of_a_route_is_checked_when_the_routes_are_loaded() {
    let place = Place::new();
    for (sql, expected) in [
        (
            "select $sytem from chunk",
            "there is no parameter $sytem, only $system, $source, $record_number, $chunk, $job, $ingested_at",
        ),
        ("select * from orders", "there is no table 'orders', only 'chunk', also called 'source'"),
        ("selec * from chunk", "Expected: an SQL statement, found: selec"),
        ("select total(a) from chunk", "there is no function total(), or it takes several rows together"),
    ] {
        let key = "version = 1\n[[route]]\nname = \"all\"\nkey = \"{system}/**\"\ntable = \"t\"";
        place.write("routes.toml", format!("{key}\nsql = \"{sql}\"\n"));
        let ran = place.run(&["route", "list", "--routes", "routes.toml"]);
        assert_eq!(ran.status, 2, "{ran:?}");
        let said = format!("[place]/routes.toml, line 6, route 'all', sql: the SQL cannot be run: {expected}");
        assert!(ran.stderr.contains(&said), "{ran:?}");
    }
}
