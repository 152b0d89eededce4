//! What must hold of a Parquet source, so that its row groups can be copied or cut.

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use shared::{Location, SourceObject};

use crate::chunk::assemble::{byte_range, payload_bytes};
use crate::error::{BadInput, SplitError};
use crate::parquet_source::columns::has_values;
use crate::parquet_source::footer::unread_column;
use crate::source::ranged_file::HINT;

/// What may help where a column cannot be decoded, though the file is whole.
const REWRITE: &str = "have the file written again, the column in another type or with another codec";

/// The columns that Arrow reads must be those of the footer, one by one. Groups without fields are none: they have no
/// values, and Arrow leaves them out.
pub(super) fn check_columns(at: &Location, metadata: &ArrowReaderMetadata) -> Result<(), SplitError> {
    if let Some((column, reason)) = unread_column(metadata.metadata()) {
        return Err(BadInput { column: Some(column), ..BadInput::whole(at, reason, REWRITE) }.into());
    }
    let root = metadata.metadata().file_metadata().schema();
    let described = root.get_fields().iter().filter(|field| has_values(field)).map(|field| field.name());
    if !described.eq(metadata.schema().fields().iter().map(|field| field.name().as_str())) {
        let reason = "its columns are read in another order than the footer has them";
        return Err(BadInput::whole(at, reason, HINT).into());
    }
    Ok(())
}

/// Pages must lie within the file, and in it only.
pub(super) fn check_places(source: &SourceObject, parquet: &ParquetMetaData) -> Result<(), SplitError> {
    let at = &source.uri;
    for (number, group) in parquet.row_groups().iter().enumerate().filter(|(_, group)| group.num_rows() != 0) {
        for column in group.columns() {
            let range = byte_range(column);
            let is_negative = column.compressed_size() < 0 || column.dictionary_page_offset().is_some_and(|at| at < 0);
            if is_negative || column.data_page_offset() < 4 || range.end > source.size {
                let path = column.column_path().string();
                let reason = format!("column '{path}' of row group {number} lies outside of the file");
                return Err(BadInput::at_byte(at, range.start, reason, HINT).into());
            }
            if column.file_path().is_some() {
                let reason = format!("row group {number} keeps its pages in another file");
                return Err(BadInput::whole(at, reason, "merge the files first").into());
            }
        }
        if group.num_rows() < 0 {
            let reason = format!("row group {number} says it has {} rows", group.num_rows());
            return Err(BadInput::whole(at, reason, HINT).into());
        }
    }
    Ok(())
}

/// Row groups can only be cut where they can be decoded.
pub(super) fn check_codecs(at: &Location, parquet: &ParquetMetaData, has_brotli: bool) -> Result<(), SplitError> {
    let mut columns = parquet.row_groups().iter().flat_map(RowGroupMetaData::columns);
    if has_brotli || !columns.any(|column| matches!(column.compression(), Compression::BROTLI(_))) {
        return Ok(());
    }
    let largest = parquet.row_groups().iter().map(payload_bytes).max().unwrap_or_default();
    let reason = format!(
        "row groups of up to {largest} bytes do not fit into a chunk, and the function cannot cut them: they are compressed with Brotli"
    );
    Err(BadInput::whole(at, reason, "load it with `sluice ingest`, or with a larger CHUNK_SIZE_MB").into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::BrotliLevel;
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_not_cut() {
        let at = "s3://b/k".parse().unwrap();
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9));
        let rows = RecordBatch::try_from_iter([("id", column)]).unwrap();
        for (codec, is_cut) in [(Compression::SNAPPY, true), (Compression::BROTLI(BrotliLevel::default()), false)] {
            let properties = WriterProperties::builder().set_compression(codec).build();
            let mut file = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
            file.write(&rows).unwrap();
            let file = Bytes::from(file.into_inner().unwrap());
            let parquet = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
            assert!(check_codecs(&at, &parquet, true).is_ok(), "{codec}");
            let checked = check_codecs(&at, &parquet, false);
            assert_eq!(checked.is_ok(), is_cut, "{codec}");
            if let Err(error) = checked {
                insta::assert_snapshot!(error, @"s3://b/k: row groups of up to 84 bytes do not fit into a chunk, and the function cannot cut them: they are compressed with Brotli");
                assert!(error.is_bad_input());
            }
        }
    }
}
