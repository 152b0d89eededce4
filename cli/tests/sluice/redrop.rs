//! A file that is dropped again under its name.

use serde_json::Value;

use crate::support::{Place, read};

/// Ingests in the mode that has later drops take the place of earlier ones.
fn replace(place: &Place, name: &str, more: &[&str]) -> Value {
    place.ingest(&place.path(name), &[&["--on-replace", "replace"], more].concat())
}

fn ids(place: &Place) -> Vec<i64> {
    let rows = place.rows();
    let ids = rows.column_by_name("id").unwrap();
    let mut ids: Vec<i64> = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(ids).values().to_vec();
    ids.sort_unstable();
    ids
}

/// Entries of the table's log.
fn log(place: &Place) -> Vec<String> {
    let entry = |version: usize| std::fs::read_to_string(place.path(&format!("t/_delta_log/{version:020}.json"))).ok();
    (0..).map_while(entry).collect()
}

#[test]
fn a_later_drop_takes_the_place_of_earlier_ones() {
    let place = Place::new();
    let other = place.write("other.csv", "id\n100\n");
    place.ingest(&other, &[]);
    place.write("x.csv", "id\n1\n2\n");
    // The first drop came while rows were still added.
    let first = place.ingest(&place.path("x.csv"), &[])["job_id"].as_str().unwrap().to_owned();
    place.write("x.csv", "id\n2\n3\n4\n");
    let second = replace(&place, "x.csv", &[]);
    assert_eq!(ids(&place), [2, 3, 4, 100]);
    assert_eq!(second["rows"]["committed"], 3);
    let again = replace(&place, "x.csv", &[]);
    assert_eq!((again["already_done"].as_bool(), again["job_id"] == second["job_id"]), (Some(true), true));

    let status = place.run(&["status", &first, "--table", "t"]);
    assert!(status.stdout.contains(&format!("{first}: replaced by a later job\n")), "{status:?}");
    assert!(status.stdout.contains(&format!("replaced by  {}", second["job_id"].as_str().unwrap())), "{status:?}");
    let version = log(&place).len();
    assert!(log(&place)[version - 1].contains("\"numRemovedFiles\":1"));
}

#[test]
fn a_drop_that_comes_back_takes_the_place_of_the_one_between() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n");
    let modified = std::fs::metadata(&source).unwrap().modified().unwrap();
    let first = replace(&place, "x.csv", &[])["job_id"].as_str().unwrap().to_owned();
    place.write("x.csv", "id\n2\n3\n");
    replace(&place, "x.csv", &[]);
    place.write("x.csv", "id\n1\n");
    // As on S3, where the same bytes have the same eTag.
    std::fs::File::open(&source).unwrap().set_modified(modified).unwrap();
    let third = replace(&place, "x.csv", &[])["job_id"].as_str().unwrap().to_owned();
    assert_eq!((third, ids(&place)), (format!("{first}-g2"), vec![1]));
    assert_eq!(replace(&place, "x.csv", &[])["already_done"], true);
}

#[test]
fn a_second_load_on_purpose_takes_the_place_of_the_first() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    replace(&place, "x.csv", &[]);
    replace(&place, "x.csv", &["--again", "--sql", "select id + 10 as id from chunk"]);
    assert_eq!(ids(&place), [11]);
}

#[test]
fn nothing_takes_the_place_of_rows_without_a_row() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    replace(&place, "x.csv", &[]);
    place.write("x.csv", "id\n");
    let refused = place.run(&["ingest", "x.csv", "--table", "t", "--on-replace", "replace"]);
    assert_eq!((refused.status, refused.stderr.contains("it has no rows")), (3, true), "{refused:?}");
    place.write("x.csv", "id\nx\ny\n");
    let args = ["ingest", "x.csv", "--table", "t", "--on-replace", "replace"];
    let refused = place.run(&args);
    assert_eq!((refused.status, refused.stderr.contains("all 2 records were rejected")), (4, true), "{refused:?}");
    let refused = place.run(&[&args[..], &["--max-bad-records", "100%"]].concat());
    assert_eq!((refused.status, refused.stderr.contains("all of its records were rejected")), (3, true), "{refused:?}");
    assert!(refused.stderr.contains("hint: `sluice quarantine show` shows why"), "{refused:?}");
    assert_eq!(ids(&place), [1]);
}

#[test]
fn rows_that_others_rewrote_are_not_replaced() {
    let deleted =
        |condition: &str| format!("import deltalake, os; deltalake.DeltaTable('t').delete('{condition}'); os._exit(0)");
    for (condition, status) in [("id = 1", 1), ("id > 0", 0)] {
        let place = Place::new();
        place.write("x.csv", "id\n1\n5\n");
        replace(&place, "x.csv", &[]);
        shared::testing::run_python(&place.path(""), &deleted(condition));
        place.write("x.csv", "id\n2\n3\n");
        let ran = place.run(&["ingest", "x.csv", "--table", "t", "--on-replace", "replace"]);
        assert_eq!((ran.status, ran.stderr.contains("rewrote or removed files")), (status, status == 1), "{ran:?}");
    }
}

/// Makes a file look as if it were written a minute later.
fn touch(source: &std::path::Path) {
    let later = std::fs::metadata(source).unwrap().modified().unwrap() + std::time::Duration::from_mins(1);
    std::fs::File::options().append(true).open(source).unwrap().set_modified(later).unwrap();
}

#[test]
fn the_same_content_again_adds_nothing() {
    let lines = |rows: std::ops::Range<u32>| rows.map(|id| format!("{{\"id\":{id}}}\n")).collect::<String>();
    for (name, text, other) in [
        ("x.csv", "id,name\n1,a\n2,b\n".to_owned(), "id,name\n1,a\n2,c\n".to_owned()),
        ("y.csv", "id,name\n1,a\n".to_owned(), "id,nama\n1,a\n".to_owned()),
        ("z.jsonl", lines(0..3), lines(1..4)),
    ] {
        let place = Place::new();
        let source = place.write(name, &text);
        let first = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
        touch(&source);
        for _ in 0..2 {
            let again = place.ingest(&source, &[]);
            assert_eq!((&again["already_done"], &again["job_id"]), (&true.into(), &first.clone().into()), "{name}");
        }
        let count = || place.files().iter().map(|file| read(file).num_rows()).sum::<usize>();
        let rows = count();
        place.write(name, &other);
        touch(&source);
        touch(&source);
        let changed = place.ingest(&source, &[]);
        assert_eq!((&changed["already_done"], changed["job_id"] == first), (&false.into(), false), "{name}");
        assert_eq!(count(), 2 * rows, "{name}: one size, other content");
        touch(&source);
        let on_purpose = place.ingest(&source, &["--again"]);
        assert_eq!((&on_purpose["already_done"], count()), (&false.into(), 3 * rows), "{name}");
    }
}

#[test]
fn content_that_came_back_is_new_where_drops_replace_drops() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n");
    replace(&place, "x.csv", &[]);
    place.write("x.csv", "id\n2\n");
    touch(&source);
    replace(&place, "x.csv", &[]);
    touch(&source);
    assert_eq!(replace(&place, "x.csv", &[])["already_done"], true, "the last one is recognised");
    place.write("x.csv", "id\n1\n");
    touch(&source);
    touch(&source);
    touch(&source);
    assert_eq!(replace(&place, "x.csv", &[])["already_done"], false);
    assert_eq!(ids(&place), [1]);
}

#[test]
fn a_parquet_file_that_may_have_been_touched_only_is_told_of() {
    const TOLD: &str = "an earlier drop of this name and size is in the table";
    let place = Place::new();
    let source = place.path("x.parquet");
    std::fs::copy(crate::support::fixture("spark/int96.parquet"), &source).unwrap();
    let ingest = |more: &[&str]| {
        let ran = place.run(&[&["ingest", "x.parquet", "--table", "t", "--json"], more].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran
    };
    let first = ingest(&[]);
    let job = first.json()["job_id"].as_str().unwrap().to_owned();
    let again = ingest(&[]);
    assert_eq!((again.json()["already_done"].as_bool(), again.stderr.contains(TOLD)), (Some(true), false), "{again:?}");
    touch(&source);
    let touched = ingest(&[]);
    assert!(touched.stderr.contains(TOLD) && touched.stderr.contains(&job), "{touched:?}");
    for (more, is_told) in [(&["--again"][..], false), (&["--on-replace", "replace"], false), (&[], true)] {
        touch(&source);
        touch(&source);
        let ran = ingest(more);
        assert_eq!((ran.stderr.contains(TOLD), first.stderr.contains(TOLD)), (is_told, false), "{more:?} {ran:?}");
    }
}
