//! Bounds of a load that files show: how large their row groups are, and how many files there are.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::reader::{FileReader, SerializedFileReader};
use shared::{DataFileMode, Message};

use crate::support::{Load, World, longs, message};

/// Rows of each row group of a file.
fn row_groups(path: impl AsRef<std::path::Path>) -> Vec<i64> {
    let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    file.metadata().row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect()
}

async fn rewriting() -> World {
    World::new(Load { data_files: DataFileMode::Rewritten, ..Load::default() }).await
}

/// The only chunk of a job, with these rows, each batch a row group of its own.
async fn chunk(world: &World, batches: &[RecordBatch]) -> Message {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), None).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let entry = world.store_encoded(0, rows.try_into().unwrap(), writer.into_inner().unwrap()).await;
    message(&entry.task(&world.area, &world.job.job_id).body().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_group_has_131072_rows_at_most() {
    let world = rewriting().await;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..131_073));
    let task = chunk(&world, &[RecordBatch::try_from_iter([("id", ids)]).unwrap()]).await;
    world.load_done(&[task]).await;
    let files: Vec<String> = world.delta().await.get_file_uris().unwrap().collect();
    assert_eq!(files.iter().map(row_groups).collect::<Vec<_>>(), [[131_072, 1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_rows_are_written_once_they_are_4_mib() {
    let world = rewriting().await;
    let ids = RecordBatch::try_from_iter([("id", longs(&[Some(1)])), ("note", longs(&[Some(1)]))]).unwrap();
    let first = world.chunk(1, &ids).await;
    world.load_done(&[first]).await;
    // Ten rows of a MiB that do not fit the table, which come one by one.
    let long = "x".repeat(1 << 20);
    let row = |id: i64| {
        let note: ArrayRef = Arc::new(StringArray::from_iter_values([&long]));
        RecordBatch::try_from_iter([("id", longs(&[Some(id)])), ("note", note)]).unwrap()
    };
    let task = chunk(&world, &(0..10).map(row).collect::<Vec<_>>()).await;
    world.load_done(&[task]).await;
    assert_eq!(world.chunk_receipt(0).await.rows.quarantined, 10);
    // A row and its reason have 2 MiB.
    let groups = row_groups(world.area.load_quarantine(0).key());
    assert!(groups.len() >= 3 && groups.iter().all(|rows| *rows <= 4), "{groups:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_to_hold_nan_one_after_the_other_do_not_make_a_file_each() {
    const COLUMNS: usize = 40;
    let world = rewriting().await;
    // In batch n, column n has its first value that is not a number.
    let batch = |number: usize| {
        let value = |column: usize| if column == number { f64::NAN } else { 1.5 };
        let column = |column: usize| -> ArrayRef { Arc::new(Float64Array::from(vec![value(column); 2])) };
        RecordBatch::try_from_iter((0..COLUMNS).map(|place| (format!("c{place}"), column(place)))).unwrap()
    };
    let task = chunk(&world, &(0..COLUMNS).map(batch).collect::<Vec<_>>()).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await.len(), 2 * COLUMNS);
    let delta = world.delta().await;
    let files: Vec<_> = delta.snapshot().unwrap().log_data().iter().collect();
    assert_eq!(files.len(), 3);
    // The last file has bounds of no column, since a later one may come to hold NaN in it.
    let has_bounds = |file: &deltalake::kernel::LogicalFileView| {
        file.min_values().is_some_and(|bounds| bounds.to_string().contains("1.5"))
    };
    assert_eq!(files.iter().filter(|file| has_bounds(file)).count(), 2);
}
