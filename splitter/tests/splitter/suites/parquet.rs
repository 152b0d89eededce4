//! apache/parquet-testing: what is whole becomes the same rows, what is broken a clear error.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use bytes::Bytes;
use splitter::SplitError;

use super::files;
use crate::one_file::{Split, read, settings, split_file};

/// Each column in one piece.
fn columns(rows: &[RecordBatch]) -> Vec<ArrayRef> {
    let width = rows.first().map_or(0, RecordBatch::num_columns);
    let column = |index: usize| {
        let pieces: Vec<_> = rows.iter().map(|rows| rows.column(index).as_ref()).collect();
        concat(&pieces).unwrap()
    };
    (0..width).map(column).collect()
}

/// What becomes of a file whose row groups are copied, and of the same when chunks are one byte too small for that.
async fn outcome(file: &Bytes) -> String {
    let settings = settings(&[("COLUMN_NAMES", "keep")]);
    let copied = match split_file(file.clone(), settings.clone()).await {
        Ok(split) => split,
        Err(error) => return refused(&error),
    };
    let told = same_rows(file, &copied).await;
    let Some(chunk) = copied.outcome.manifest.chunks.first() else { return told };
    let cut = match split_file(file.clone(), settings.with_chunk_bytes(chunk.bytes - 1)).await {
        // Not to be cut any further.
        Err(error) if error.to_string().ends_with("is larger than a chunk") => return told,
        Err(error) => refused(&error),
        Ok(split) => same_rows(file, &split).await,
    };
    format!("{told}; cut: {cut}")
}

fn refused(error: &SplitError) -> String {
    assert!(error.is_bad_input(), "{error}");
    format!("refused: {error}")
}

/// How many rows there are in the chunks, and that they are those which a plain reader finds in the file; or the error of
/// both.
async fn same_rows(file: &Bytes, split: &Split) -> String {
    match (read(file.clone()), split.rows().await) {
        (Ok(theirs), Ok(ours)) => {
            let rows = ours.iter().map(RecordBatch::num_rows).sum::<usize>();
            let is_same = columns(&ours) == columns(&theirs);
            format!("{rows} rows{}", if is_same { "" } else { ", others than a plain reader finds" })
        }
        // Copied as it stands, for the worker to refuse.
        (Err(theirs), Err(ours)) if theirs == ours => format!("unreadable: {ours}"),
        (theirs, ours) => panic!("{:?}, {:?}", theirs.err(), ours.err()),
    }
}

/// What becomes of the files of a folder, those aside that become the same rows, of which there are `whole`.
async fn exceptions(folder: &str, whole: usize) -> String {
    let mut lines = Vec::new();
    let files = files(folder);
    let count = files.len();
    for (name, file) in files {
        let told = Box::pin(outcome(&file)).await;
        if told.split("; cut: ").any(|told| !told.ends_with(" rows")) {
            lines.push(format!("{name}: {told}"));
        }
    }
    assert_eq!(count - lines.len(), whole, "{lines:#?}");
    lines.join("\n")
}

/// Those with a wrong checksum are broken on purpose. One has page sizes of another type than the format has, and one a
/// dictionary with no page header, which the Parquet reader does not take. The footer of another says that it has no rows, so
/// a plain reader finds none.
#[tokio::test]
async fn whole_files() {
    insta::assert_snapshot!(exceptions("parquet-testing/data", 55).await, @r"
    datapage_v1-corrupt-checksum.parquet: unreadable: Parquet error: Page CRC checksum mismatch; cut: refused: s3://b/source, column 'a': the values of row group 0 cannot be decoded: Page CRC checksum mismatch
    dict-page-offset-zero.parquet: refused: s3://b/source: Parquet error: Expected list element type of I64 but got I16
    large_string_map.brotli.parquet: refused: s3://b/source: the Parquet data expand to more than 256 MiB, which is the limit by MAX_EXPANSION_RATIO
    nation.dict-malformed.parquet: unreadable: EOF: Invalid page header; cut: refused: s3://b/source, column 'name': the values of row group 0 cannot be decoded: EOF: Invalid page header
    repeated_no_annotation.parquet: 6 rows, others than a plain reader finds; cut: refused: s3://b/source: 0 rows were read where the footer says 6
    rle-dict-uncompressed-corrupt-checksum.parquet: unreadable: Parquet error: Page CRC checksum mismatch; cut: refused: s3://b/source, column 'long_field': the values of row group 0 cannot be decoded: Page CRC checksum mismatch
    ");
}

#[tokio::test]
async fn broken_files() {
    insta::assert_snapshot!(exceptions("parquet-testing/bad_data", 1).await, @r"
    ARROW-GH-41317.parquet: refused: s3://b/source: Parquet error: Expected list element type of I32 but got I16
    ARROW-GH-41321.parquet: unreadable: Parquet error: Invalid or corrupted RLE bit width 254. Max allowed is 32; cut: unreadable: Parquet error: Invalid or corrupted RLE bit width 254. Max allowed is 32
    ARROW-GH-45185.parquet: unreadable: Parquet error: first repetition level of batch must be 0; cut: refused: s3://b/source, column 'x.list.element': the values of row group 0 cannot be decoded: first repetition level of batch must be 0
    ARROW-GH-47662.parquet: unreadable: Parquet error: insufficient values read from column - expected: 100, got: 91; cut: refused: s3://b/source, column 'flba_field': the values of row group 0 cannot be decoded: insufficient values read from column - expected: 100, got: 91
    ARROW-RS-GH-6229-DICTHEADER.parquet: refused: s3://b/source, byte 466: column 'region_key' of row group 0 lies outside of the file
    ARROW-RS-GH-6229-LEVELS.parquet: unreadable: Parquet error: Insufficient repetition levels read from column; cut: refused: s3://b/source, column 'outer.list.item.c': the values of row group 0 cannot be decoded: Insufficient repetition levels read from column
    PARQUET-1481.parquet: refused: s3://b/source: Parquet error: Unexpected Type -7
    ");
}
