//! Pages of Parquet files of other writers, which may hold anything: who is to blame where they cannot be decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::ChunkReader;

/// Does what may panic, since the decoder does on some unexpected bytes.
pub fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(ParquetError::General(format!("the decoder gave up: {}", said.unwrap_or("it does not say why"))))
    })
}

/// The first column of a row group that cannot be decoded by itself, as far as there is one, and what the decoder says of it, or of
/// the row group as a whole.
pub fn undecodable(
    bytes: &(impl ChunkReader + Clone + 'static),
    metadata: &ArrowReaderMetadata,
    group: usize,
    error: &ParquetError,
) -> (Option<String>, String) {
    let columns = metadata.metadata().file_metadata().schema_descr();
    for (place, column) in columns.columns().iter().enumerate() {
        let decoded = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.clone());
            let mask = ProjectionMask::leaves(columns, [place]);
            let mut rows = builder.with_row_groups(vec![group]).with_projection(mask).build()?;
            rows.try_for_each(|batch| batch.map(drop).map_err(ParquetError::from))
        });
        if let Err(error) = decoded {
            return (Some(column.path().string()), message(&error));
        }
    }
    (None, message(error))
}

/// What the decoder says, without whom it says it through.
fn message(error: &ParquetError) -> String {
    let text = error.to_string();
    let prefixes = ["Parquet argument error: ", "Parquet error: ", "Arrow: ", "External: "];
    let mut rest = text.as_str();
    while let Some(next) = prefixes.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = next;
    }
    rest.to_owned()
}
