//! `sluice tune`, with real samples.

use serde_json::Value;

use crate::support::Place;

/// Text that becomes about 9 MiB of chunks.
fn numbers() -> String {
    let mut text = String::from("id,noise\n");
    for id in 0..500_000_u64 {
        text += &format!("{id},{:x}\n", id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    text
}

/// What samples of chunks of 1 and 3 MiB say of those of 6 MiB, beside what these really take: memory within 35 %, CPU time within
/// a factor of 2.
#[test]
fn what_is_predicted_is_what_comes() {
    let place = Place::new();
    place.write("x.csv", numbers());
    let of_six = |sample: &str, sizes: &str, basis: &str| {
        let sizes = ["--sizes", sizes, "--chunk-size-mb", "6", "--sample-mb", sample];
        let ran = place.run(&[&["tune", "x.csv", "--json"], &sizes[..]].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        let size = ran.json()["sizes"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&size["chunk_size_mb"], &size["basis"]), (&6.into(), &basis.into()));
        size
    };
    let (predicted, measured) = (of_six("3", "1,3", "predicted"), of_six("6", "6", "measured"));
    for stage in ["splitter", "worker"] {
        for (number, most) in [("peak_bytes", 1.35), ("cpu_seconds", 2.0)] {
            let [predicted, measured] = [&predicted, &measured].map(|size| size[stage][number].as_f64().unwrap());
            let ratio = (predicted / measured).max(measured / predicted);
            println!("{stage}, {number}: {predicted} predicted, {measured} measured");
            assert!(ratio <= most, "{stage}, {number}: {predicted} predicted, {measured} measured");
        }
    }
}

#[test]
fn a_small_file_is_tuned_in_every_form_and_nothing_is_left() {
    let place = Place::with_env(vec![
        ("TMPDIR".to_owned(), std::env::temp_dir().to_string_lossy().into_owned()),
        ("TABLE_URI".to_owned(), "nowhere".to_owned()),
        ("MAX_BAD_RECORDS".to_owned(), "0".to_owned()),
        ("BAD_RECORDS".to_owned(), "fail".to_owned()),
    ]);
    place.write("x.csv", "id,name\n1,a\n2,b,c\n3,d\n");
    place.write("x.ndjson", "{\"a\":1}\n{\"a\":2}\n");
    let split = place.run(&["split", "x.ndjson", "--out", "out", "--json"]);
    let parquet = split.json()["s3_object_key"].as_str().unwrap().trim_start_matches("[place]/").to_owned();
    for (source, format, chunks) in [("x.csv", "csv", 1), ("x.ndjson", "ndjson", 1), (parquet.as_str(), "parquet", 1)] {
        let ran = place.run(&["tune", source, "--json", "--sql", "select * from chunk"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{source}");
        let document = ran.json();
        assert_eq!(document["format"], format);
        let sizes = document["sizes"].as_array().unwrap();
        assert_eq!((sizes.len(), &sizes[0]["chunks"]), (1, &Value::from(chunks)), "{source}");
        assert_eq!(document["recommended"]["chunk_size_mb"], 16);
    }
    let mut left: Vec<_> =
        std::fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["out", "x.csv", "x.ndjson"], "nothing is written beside the source, nor to the table");
}

#[test]
fn the_page_is_written_where_it_is_wanted() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    let ran = place.run(&["tune", "x.csv", "--html", "x.html"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains("\nrecommended: CHUNK_SIZE_MB=16: the whole source is one chunk"), "{}", ran.stdout);
    assert!(std::fs::read_to_string(place.path("x.html")).unwrap().starts_with("<!DOCTYPE html>"));
    let ran = place.run(&["tune", "x.csv", "--html", "no/such/x.html"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("cannot write no/such/x.html"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_tuned_is_told() {
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    place.write("empty.csv", "id\n");
    place.write("x.png", b"\x89PNG\r\n\x1a\n");
    place.write("prices.json", "{\"s3\":1}");
    for (args, status, said) in [
        (&["tune", "none.csv"][..], 3, "none.csv does not exist"),
        (&["tune", "empty.csv"], 3, "has no rows: there is nothing to tune"),
        (&["tune", "x.png"], 3, "this is a PNG image"),
        (&["tune", "x.csv", "--prices", "prices.json"], 2, "cannot use the prices in prices.json: unknown field `s3`"),
        (&["tune", "x.csv", "--sizes", "0"], 2, "0 is not in 1..=5120"),
        (&["tune", "x.csv", "--sql", "select nothing from chunk"], 1, "chunks of 16 MiB: "),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.status, status, "{args:?} {ran:?}");
        assert!(ran.stderr.contains(said), "{args:?} {ran:?}");
    }
}
