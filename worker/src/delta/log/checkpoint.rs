//! The transactions of a checkpoint, all at once: a commit looks up two a chunk, and one at a time each takes several reads.
#![expect(
    deprecated,
    reason = "what is to take the place of this reader of Parquet is to be written by everyone for himself"
)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use buoyant_kernel::engine::arrow_data::ArrowEngineData;
use buoyant_kernel::{Engine, Snapshot};
use deltalake::kernel::{DataType, StructField, StructType};
use deltalake::logstore::LogStoreRef;
use deltalake::{DeltaResult, DeltaTableError, ObjectStoreError, Path};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;

/// Bytes that are read from the end of the file at first; with them comes its footer.
const FOOTER_BYTES: usize = 64 << 10;

/// Versions of the transactions of a checkpoint; none when it is in several pieces, is written in a way that is not known
/// here, or has more than `most` of them.
pub(super) async fn transactions(
    store: &LogStoreRef,
    version: u64,
    most: usize,
) -> DeltaResult<Option<HashMap<String, i64>>> {
    let at = Path::from(format!("_delta_log/{version:020}.checkpoint.parquet"));
    let reader = ParquetObjectReader::new(store.object_store(None), at).with_footer_size_hint(FOOTER_BYTES);
    // Without the hints of Arrow, texts are of one type, whatever their writer held them as.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = match ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await {
        Ok(builder) => builder,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let only = ["txn.appId", "txn.version"];
    let columns = ProjectionMask::columns(builder.parquet_schema(), only);
    let mut batches = builder.with_projection(columns).build()?;
    let mut transactions = HashMap::new();
    while let Some(batch) = batches.try_next().await? {
        if take(&batch, &mut transactions).is_none() || transactions.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(transactions))
}

/// Transactions of a snapshot whose application ids begin so, by the rest of these: whatever its checkpoint is like, for the kernel
/// reads it. It blocks.
pub(super) fn transactions_named(
    snapshot: &Snapshot,
    engine: &dyn Engine,
    beginning: &str,
) -> DeltaResult<HashMap<String, i64>> {
    let txn = [("appId", DataType::STRING), ("version", DataType::LONG)];
    let txn = StructType::try_new(txn.map(|(name, of)| StructField::nullable(name, of)))?;
    let schema = Arc::new(StructType::try_new([StructField::nullable("txn", txn)])?);
    let mut named = HashMap::new();
    for batch in snapshot.log_segment().read_actions(engine, schema)? {
        let batch: RecordBatch = (*ArrowEngineData::try_from_engine_data(batch?.actions)?).into();
        let mut transactions = HashMap::new();
        take(&batch, &mut transactions)
            .ok_or_else(|| DeltaTableError::generic("the kernel reads transactions as other types than expected"))?;
        // The latest entries come first.
        for (id, version) in transactions {
            if let Some(rest) = id.strip_prefix(beginning) {
                named.entry(rest.to_owned()).or_insert(version);
            }
        }
    }
    Ok(named)
}

/// None when the columns are not what they are expected to be: to take that for no transactions would be to load twice.
fn take(batch: &RecordBatch, transactions: &mut HashMap<String, i64>) -> Option<()> {
    let txn = batch.column_by_name("txn")?.as_struct_opt()?;
    let ids = txn.column_by_name("appId")?.as_string_opt::<i32>()?;
    let versions = txn.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
    for row in (0..batch.num_rows()).filter(|row| txn.is_valid(*row) && ids.is_valid(*row) && versions.is_valid(*row)) {
        transactions.insert(ids.value(row).to_owned(), versions.value(row));
    }
    Some(())
}

fn is_missing(error: &ParquetError) -> bool {
    let ParquetError::External(cause) = error else { return false };
    matches!(cause.downcast_ref::<ObjectStoreError>(), Some(ObjectStoreError::NotFound { .. }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, LargeStringArray, StringArray, StructArray};

    use super::*;

    fn taken(ids: ArrayRef) -> Option<HashMap<String, i64>> {
        let versions: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        let txn: ArrayRef = Arc::new(StructArray::try_from(vec![("appId", ids), ("version", versions)]).unwrap());
        let batch = RecordBatch::try_from_iter([("txn", txn)]).unwrap();
        let mut transactions = HashMap::new();
        take(&batch, &mut transactions).map(|()| transactions)
    }

    #[test]
    fn what_is_not_understood_is_not_taken_for_nothing() {
        let words = vec![Some("a"), None];
        let known: ArrayRef = Arc::new(StringArray::from(words.clone()));
        assert_eq!(taken(known), Some(HashMap::from([("a".to_owned(), 7)])));
        assert_eq!(taken(Arc::new(LargeStringArray::from(words))), None);
        let empty = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
        assert_eq!(take(&empty, &mut HashMap::new()), None);
    }
}
