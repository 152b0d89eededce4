//! The targets.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use shared::RejectedRecord;
use splitter::SplitError;

use crate::one_file::{Split, plan_file, settings, split_file};

/// What became of a file.
#[derive(Debug, PartialEq)]
struct Became {
    /// Rows, cell by cell.
    rows: Vec<Vec<Option<String>>>,
    rejects: Vec<RejectedRecord>,
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The error of a file that is refused blames the file, and names it.
fn blamed<T>(result: Result<T, SplitError>) -> Result<T, SplitError> {
    if let Err(error) = &result {
        assert!(error.is_bad_input(), "{}", shared::error_chain(error));
        assert!(error.to_string().starts_with("s3://b/source"), "{error}");
    }
    result
}

/// What became of a file that is not refused: every record is a row or rejected.
async fn became(split: &Split) -> Became {
    let (batches, rejects) = (split.rows().await.unwrap(), split.rejects().await);
    let rows: Vec<_> = batches.iter().flat_map(cells).collect();
    let manifest = &split.outcome.manifest;
    let count = |count: usize| u64::try_from(count).unwrap();
    assert_eq!(manifest.records, count(rows.len() + rejects.len()));
    assert_eq!(manifest.quarantined, count(rejects.len()));
    assert!(rejects.is_sorted_by(|one, next| one.number < next.number && one.byte_offset < next.byte_offset));
    Became { rows, rejects }
}

fn cells(rows: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let options = FormatOptions::default();
    // Time zones by name are not known here.
    let columns: Vec<ArrayRef> = rows
        .columns()
        .iter()
        .map(|column| match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<Arc<str>>)),
            None => Arc::clone(column),
        })
        .collect();
    let columns: Vec<_> = columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let cell = |column: usize, row| rows.column(column).is_valid(row).then(|| columns[column].value(row).to_string());
    (0..rows.num_rows()).map(|row| (0..columns.len()).map(|column| cell(column, row)).collect()).collect()
}

/// Splits a file of text in blocks of two sizes, which must not show.
async fn split_text(file: &[u8], told: &[(&str, &str)]) -> Option<(Split, Became)> {
    // Files of nothing but rejected records are looked at, too.
    let told = &[told, &[("MAX_BAD_RECORDS", "100%")]].concat();
    let whole = blamed(split_file(file.to_vec(), settings(told)).await).ok()?;
    let became_whole = became(&whole).await;
    // A block of some lines, if a chunk of eight has room for the footer of so many columns.
    let small = settings(told).with_chunk_bytes(4_000);
    match blamed(split_file(file.to_vec(), small).await) {
        Ok(cut) => assert_eq!(became(&cut).await, became_whole),
        Err(error) => assert!(error.to_string().ends_with("is larger than a chunk once encoded"), "{error}"),
    }
    Some((whole, became_whole))
}

/// A file of CSV in any dialect, all of it found.
pub(super) fn csv(file: &[u8]) {
    run(async {
        let told = [("FORMAT", "csv"), ("INFER", "none"), ("COMPRESSION", "none"), ("ENCODING", "utf-8")];
        let Some((_, became)) = split_text(file, &told).await else { return };
        for reject in became.rejects {
            let start = usize::try_from(reject.byte_offset.unwrap()).unwrap();
            assert!(file[start..].starts_with(&reject.raw), "{reject:?}");
        }
    });
}

/// A file in an encoding that its first byte says; of what is found otherwise.
pub(super) fn encodings(file: &[u8]) {
    const ENCODINGS: [&str; 9] =
        ["auto", "utf-8", "utf-16le", "utf-16be", "windows-1252", "shift_jis", "gb18030", "euc-kr", "iso-2022-jp"];
    let Some((first, file)) = file.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*first) % ENCODINGS.len()];
    run(async {
        drop(split_text(file, &[("ENCODING", encoding)]).await);
    });
}

/// A file of lines of JSON.
pub(super) fn ndjson(file: &[u8]) {
    let file = [b"{\"a\":1}\n{\"a\":", file].concat();
    run(async {
        let told = [("FORMAT", "ndjson"), ("COMPRESSION", "none"), ("ENCODING", "utf-8")];
        let Some((_, became)) = split_text(&file, &told).await else { return };
        let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        assert_eq!(lines.count(), became.rows.len() + became.rejects.len());
        for reject in became.rejects {
            let start = usize::try_from(reject.byte_offset.unwrap()).unwrap();
            assert!(file[start..].starts_with(&reject.raw), "{reject:?}");
        }
    });
}

/// A compressed file, or one that was.
pub(super) fn compressed(file: &[u8]) {
    run(async {
        let told = [("MAX_EXPANDED_MB", "1"), ("ENCODING", "utf-8"), ("FORMAT", "csv"), ("INFER", "none")];
        drop(split_text(file, &told).await);
    });
}

/// A file of Parquet.
pub(super) fn parquet(file: &[u8]) {
    run(async {
        let told = settings(&[("FORMAT", "parquet")]);
        drop(blamed(plan_file(file.to_vec(), told.clone()).await));
        for chunk_bytes in [100 << 20, 1_000] {
            let settings = told.clone().with_chunk_bytes(chunk_bytes);
            let Ok(split) = blamed(split_file(file.to_vec(), settings).await) else { continue };
            let chunks = &split.outcome.manifest.chunks;
            assert_eq!(split.outcome.manifest.records, chunks.iter().map(|chunk| chunk.rows).sum::<u64>());
        }
    });
}

/// A file of one column: whatever types are found, the same records are taken, and only null words become null.
pub(super) fn types(file: &[u8]) {
    let file = [b"v\n", file].concat();
    run(async {
        let told = [("FORMAT", "csv"), ("CSV_DELIMITER", "\x01"), ("CSV_QUOTE", "none"), ("CSV_HEADER", "true")];
        let told = [&told[..], &[("COMPRESSION", "none"), ("ENCODING", "utf-8"), ("CSV_SKIP_LINES", "0")]].concat();
        let Some((_, typed)) = split_text(&file, &told).await else { return };
        let as_text = [&told[..], &[("INFER", "none")]].concat();
        let (_, text) = split_text(&file, &as_text).await.unwrap();
        assert_eq!(typed.rejects, text.rejects);
        assert_eq!(typed.rows.len(), text.rows.len());
        for (typed, text) in typed.rows.concat().into_iter().zip(text.rows.concat()) {
            let is_null =
                text.as_ref().is_none_or(|text| ["NA", "N/A", "NULL", "null", "\\N"].contains(&text.as_str()));
            assert!(typed.is_some() || is_null, "{text:?}");
        }
    });
}
