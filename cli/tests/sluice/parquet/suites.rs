//! Files of other projects' suites, and of writers that the tests cannot run: each value as another reader finds it, or refused
//! in words. `fixtures/parquet/outcomes.txt` has a line for each file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::kinds::{self, Kind};
use super::python;
use crate::support::{Place, fixture};

/// The folders of files, below `fixtures`.
const FOLDERS: [&str; 2] = ["parquet", "../splitter/tests/suites/parquet-testing"];

/// Kinds of columns that fewer than two writers write, as far as is known.
const OF_ONE_WRITER: [&str; 2] = ["groups without fields", "types of later versions of the format"];

fn expected() -> String {
    std::fs::read_to_string(fixture("parquet/outcomes.txt")).unwrap()
}

#[test]
fn files_of_other_projects_and_writers() {
    let folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| fixture(folder).canonicalize().unwrap()).collect();
    let found = python(
        &Place::new(),
        &format!("import suites\nsources.report(suites.lines({:?}, {folders:?}))", env!("CARGO_BIN_EXE_sluice")),
    );
    let found: Vec<&str> = found.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let expected = expected();
    let expected: Vec<&str> = expected.lines().collect();
    let other: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
    assert!(found == expected, "python fixtures/readers/suites.py makes fixtures/parquet/outcomes.txt: {other:#?}");
    assert!(!expected.iter().any(|line| line.split(": ").nth(1).is_some_and(|told| told.contains("FAULT"))));
}

/// Files here that are loaded with the values that others read, or refused as intervals are.
fn taken() -> Vec<PathBuf> {
    let of = |line: &str| {
        let (name, told) = line.split_once(": ").unwrap();
        let is_taken = told.split_once(" rows").is_some_and(|(rows, _)| rows.parse::<u64>().is_ok());
        let folder =
            FOLDERS.iter().find(|folder| name.split('/').next() == Path::new(folder).file_name().unwrap().to_str());
        (is_taken || told.contains("is an INTERVAL")).then(|| fixture(folder.unwrap()).join("..").join(name))
    };
    expected().lines().filter_map(of).collect()
}

/// `docs/formats.md` has a row for each kind of column; files of at least two writers hold each, and no row is without files.
#[test]
fn each_kind_of_column_is_held_by_files_of_two_writers() {
    let place = Place::new();
    python(&place, "import type_files\ntype_files.write()");
    let mut files = taken();
    files.extend(std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path()));
    let mut writers: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "parquet")) {
        let Some((writer, kinds)) = kinds::of(file).filter(|(writer, _)| !writer.is_empty()) else { continue };
        for kind in kinds {
            writers.entry(kind).or_default().insert(writer.clone());
        }
    }
    let documented = kinds::documented();
    for cell in &documented {
        assert!(kinds::ALL.iter().any(|(_, row)| cell.starts_with(row)), "docs/formats.md has a row {cell}");
    }
    for (kind, row) in kinds::ALL {
        assert!(documented.iter().any(|cell| cell.starts_with(row)), "docs/formats.md has no row {row}");
        let writers = writers.remove(kind).unwrap_or_default();
        let least = if OF_ONE_WRITER.contains(kind) { 1 } else { 2 };
        assert!(writers.len() >= least, "{kind} is written by {writers:?}");
    }
    assert!(writers.is_empty(), "of no row in kinds.rs: {writers:?}");
}

/// Codecs, kinds of pages, and encodings of values that readers know.
const LAYOUTS: [&str; 17] = [
    "UNCOMPRESSED",
    "SNAPPY",
    "GZIP",
    "BROTLI",
    "LZ4",
    "LZ4_RAW",
    "ZSTD",
    "v1",
    "v2",
    "PLAIN",
    "PLAIN_DICTIONARY",
    "RLE",
    "RLE_DICTIONARY",
    "DELTA_BINARY_PACKED",
    "DELTA_LENGTH_BYTE_ARRAY",
    "DELTA_BYTE_ARRAY",
    "BYTE_STREAM_SPLIT",
];

#[test]
fn each_layout_is_held_by_files() {
    let found: BTreeSet<String> = taken().iter().flat_map(|file| kinds::layouts(file)).collect();
    let missing: Vec<&str> = LAYOUTS.into_iter().filter(|layout| !found.contains(*layout)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "{found:?}");
}
