//! Tables that are there already: their types win, new columns are added, none is dropped.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::support::Place;

#[test]
fn the_table_wins_and_what_does_not_fit_is_quarantined() {
    let place = Place::new();
    let first = place.write("first.csv", "id,qty\n1,10\n");
    place.ingest(&first, &[]);
    let second = place.write("second.csv", "id,qty\n2,20\n3,many\n4,40\n");
    let report = place.ingest(&second, &[]);
    assert_eq!((&report["rows"]["committed"], &report["rows"]["quarantined"]), (&2.into(), &1.into()));
    let rows = place.rows();
    assert_eq!(rows.column_by_name("qty").unwrap().data_type(), &DataType::Int64);
    let sum: i64 = rows.column_by_name("qty").unwrap().as_primitive::<Int64Type>().iter().flatten().sum();
    assert_eq!(sum, 70);
    let folder = place.path("t/_sluice");
    let job = report["job_id"].as_str().unwrap();
    let rejected = crate::support::read(&folder.join(job).join("quarantine/split-00000-000.parquet"));
    assert_eq!(rejected.column_by_name("column").unwrap().as_string::<i32>().value(0), "qty");
    let raw = rejected.column_by_name("raw").unwrap().as_binary::<i32>().value(0).to_vec();
    assert!(String::from_utf8(raw).unwrap().contains("many"));
}

#[test]
fn new_columns_are_added_and_missing_ones_are_null() {
    let place = Place::new();
    let first = place.write("first.csv", "id,colour\n1,red\n");
    place.ingest(&first, &[]);
    let second = place.write("second.csv", "id,size\n2,7\n");
    place.ingest(&second, &[]);
    let files = place.files();
    assert_eq!(files.len(), 2);
    let second = files.iter().map(|file| crate::support::read(file)).find(|rows| rows.column_by_name("size").is_some());
    let second = second.expect("a file with the new column");
    assert_eq!(second.column_by_name("size").unwrap().as_primitive::<Int64Type>().value(0), 7);
    assert!(second.column_by_name("colour").is_none_or(|colour| colour.null_count() == 1), "nothing is made up");
}

#[test]
fn partitions() {
    let place = Place::new();
    let source = place.write("x.csv", "id,day\n1,mon\n2,tue\n3,mon\n");
    place.ingest(&source, &["--partition-by", "day"]);
    let mut folders: Vec<String> = place
        .files()
        .iter()
        .map(|file| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort();
    assert_eq!(folders, ["day=mon", "day=tue"]);
    let ran = place.run(&["ingest", "x.csv", "--table", "u", "--partition-by", "month"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("month"), "{ran:?}");
}

#[test]
fn sql_that_would_not_give_the_same_rows_again_is_refused() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    for (sql, text) in [
        ("select id, random() as r from chunk", "random"),
        ("select id, now() as at from chunk", "now"),
        ("drop table chunk", "not one query"),
        ("select no_such from chunk", "no_such"),
        ("select count(*) as n from chunk", "count() does not take each row by itself"),
        ("select id + 1 from chunk", "in SQL, AS gives another name"),
        ("select id from chunk pivot (max(id) for id in (1))", "…"),
        ("select id, id as \"ID\" from chunk", "have one name"),
        ("select", "Expected: an expression, found: EOF"),
    ] {
        let ran = place.run(&["ingest", "x.csv", "--table", "t", "--again", "--sql", sql]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.stderr.to_lowercase().contains(&text.to_lowercase()), "{sql}: {ran:?}");
        assert!(!place.path("t").exists(), "{sql}: neither table nor job is made");
    }
}

#[test]
fn sql_of_a_drop_without_records_is_not_asked() {
    let place = Place::new();
    for (name, text) in [("header.csv", "id,amount\n"), ("empty.csv", ""), ("empty.ndjson", "\n")] {
        place.write(name, text);
        let ran = place.run(&["ingest", name, "--table", "t", "--sql", "select id, amount * 2 as double from chunk"]);
        assert_eq!(ran.status, 0, "{name} {ran:?}");
        assert!(ran.stdout.contains("no records, nothing was added"), "{name} {ran:?}");
    }
}

#[test]
fn a_file_of_sql() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.write("q.sql", "\u{feff}-- the first\nselect id from chunk where id = 1\n");
    place.write("none.sql", "");
    place.ingest(&source, &["--sql-file", "q.sql"]);
    assert_eq!(place.rows().num_rows(), 1);
    let ran = place.run(&["ingest", "x.csv", "--table", "u", "--sql-file", "none.sql"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("there is none in none.sql"), "{ran:?}");
}

#[test]
fn a_job_keeps_its_sql() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &["--sql", "select id from chunk where id = 1"]);
    let mut command = place.command(&["ingest", "x.csv", "--table", "t"]);
    let ran = place.ended(command.env("TRANSFORM_SQL", "select id from chunk").output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("it keeps the SQL that it was first seen with"), "{ran:?}");
    assert_eq!(place.rows().num_rows(), 1);
}

/// A file as Spark writes timestamps: nanoseconds of the day and the Julian day.
fn int96_file(place: &Place) -> std::path::PathBuf {
    let schema = parse_message_type("message spark_schema { required int96 at; }").unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema.into(), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = [(0, 2_440_588), (1_000, 5_373_484), (0, 1_721_426)].map(|(nanoseconds, julian_day)| {
        let mut value = Int96::new();
        value.set_data(nanoseconds, 0, julian_day);
        value
    });
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let file = writer.into_inner().unwrap();
    place.write("spark.parquet", file)
}

#[test]
fn timestamps_of_spark_do_not_wrap_around() {
    let place = Place::new();
    let source = int96_file(&place);
    place.ingest(&source, &[]);
    let rows = place.rows();
    let at = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    // 1970-01-01, 9999-12-31 and a microsecond, 0001-01-01.
    assert_eq!(at.values().to_vec(), [0, 253_402_214_400_000_001, -62_135_596_800_000_000]);
}
