//! Suites that others trust; `tests/suites/README.md` says where they are from.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

mod csv_spectrum;
mod json;
mod parquet;

/// The files of a folder below `tests/suites`, by name.
fn files(folder: &str) -> BTreeMap<String, Bytes> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap().into())).collect()
}
