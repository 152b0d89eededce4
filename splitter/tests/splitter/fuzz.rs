//! Fuzz targets: what must hold of any bytes. Each is a plain function of bytes, so that another driver can call it too.
//!
//! Here they are given files of the corpus, and mutations of them that a seed decides. `SLUICE_FUZZ=600` tries for so many
//! seconds a target instead of a moment; what fails is kept below `target/tmp`, and belongs in `tests/corpus` once it is fixed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;

mod mutate;
mod targets;

use mutate::Mutator;

/// Inputs of a target where `SLUICE_FUZZ` is not set.
const INPUTS: u64 = 150;

/// The files of folders of this package, by name.
fn corpus(folders: &[&str]) -> Vec<Bytes> {
    let files = folders.iter().flat_map(|folder| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap().into()))
    });
    files.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Tries a target on a corpus, and on as many mutations of it as there is time for.
fn fuzz(name: &str, target: fn(&[u8]), corpus: &[Bytes], words: &[&[u8]]) {
    for input in corpus {
        attempt(name, target, input);
    }
    let seconds = std::env::var("SLUICE_FUZZ").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let start = Instant::now();
    let mut seeds = 0..seconds.map_or(INPUTS, |_| u64::MAX);
    while seconds.is_none_or(|seconds| start.elapsed() < seconds)
        && let Some(seed) = seeds.next()
    {
        attempt(name, target, &Mutator::new(seed).mutation(corpus, words));
    }
}

/// Calls a target, and keeps the input should it fail.
fn attempt(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        std::fs::write(&kept, input).unwrap();
        panic!("this input of {name} is kept as {}: {}", kept.display(), input.escape_ascii());
    }
}

const CSV: &[&str] = &["../fixtures/hard", "tests/suites/csv-spectrum/csvs", "tests/corpus/csv"];
const CSV_WORDS: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\\\"",
    b"'",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"NA",
    b"#",
    b"1.5",
    b"1,5",
    b"2024-01-31",
    b"31/12/2024 10:00",
    b"true",
    b"99999999999999999999",
    b"\xc3\xa9",
];

#[test]
fn csv() {
    fuzz("csv", targets::csv, &corpus(CSV), CSV_WORDS);
}

#[test]
fn encodings() {
    fuzz("encodings", targets::encodings, &corpus(CSV), CSV_WORDS);
}

#[test]
fn types() {
    fuzz("types", targets::types, &corpus(&["tests/corpus/types"]), CSV_WORDS);
}

#[test]
fn ndjson() {
    let words: &[&[u8]] =
        &[b"{", b"}", b"[", b"\"", b"\\u00e9", b"\\ud800", b":", b",", b"\n", b"null", b"1e5", b"\"a\":", b"-0"];
    fuzz(
        "ndjson",
        targets::ndjson,
        &corpus(&["tests/suites/JSONTestSuite/test_parsing", "tests/corpus/ndjson"]),
        words,
    );
}

#[test]
fn compressed() {
    fuzz("compressed", targets::compressed, &corpus(&["tests/corpus/compressed"]), &[b"\0\0\0\0", b"\xff\xff\xff\xff"]);
}

#[test]
fn parquet() {
    let words: &[&[u8]] = &[b"PAR1", b"\0", b"\x15\x00", b"\x19\x1c", b"\xff\xff\xff\xff\xff\xff\xff\xff\x01"];
    let folders = ["tests/suites/parquet-testing/data", "tests/suites/parquet-testing/bad_data"];
    // The small ones, of which each byte is more likely to matter.
    let corpus: Vec<Bytes> = corpus(&folders).into_iter().filter(|file| file.len() < 8 << 10).collect();
    fuzz("parquet", targets::parquet, &corpus, words);
}
