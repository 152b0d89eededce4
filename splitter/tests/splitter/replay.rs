//! A replay of rejected records gives the same bytes whatever interrupts it.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use bytes::Bytes;
use shared::testing::MemoryStorage;
use shared::{Job, Manifest, PutMode, Storage, WorkArea, get_json};
use splitter::{Changes, Replay, SplitError, SplitOutcome, split_opened};

use crate::properties::{How, at, context, rows};

/// Chunks of so many bytes, by one thread that never dies.
fn how(chunk_bytes: u64) -> How {
    How { chunk_bytes, max_record_bytes: 16 << 20, threads: 1, calls: u64::MAX }
}

/// Only records whose number is a multiple of `taken_each` are taken: the numbers of the others have a letter.
async fn split_with_rejects(objects: &MemoryStorage, records: usize, taken_each: usize, chunk_bytes: u64) -> Job {
    let letter = |id: &usize| if id.is_multiple_of(taken_each) { "" } else { "x" };
    let lines: String = (1..=records).fold("id,note\n".to_owned(), |mut text, id| {
        text.extend([letter(&id), &id.to_string(), ",\"", &"note\n".repeat(id % 5), "\"\n"]);
        text
    });
    objects.put(&at("source.csv"), lines.into(), PutMode::Overwrite).await.unwrap();
    let mut context = context(objects, "out", how(chunk_bytes));
    context.settings.read.schema = vec!["id:int64".parse().unwrap()];
    splitter::split(&context, &at("source.csv")).await.unwrap().job
}

/// What `sluice quarantine replay` does with the splitter: in chunks as pinned, and with numbers as text.
async fn replay(objects: &MemoryStorage, job: &Job, how: How) -> Result<SplitOutcome, SplitError> {
    let context = context(objects, "out", how);
    let area = WorkArea::new(&context.work_prefix, &job.job_id);
    let manifest: Manifest =
        get_json(context.storage.as_ref(), &area.manifest(), "manifest").await.map_err(SplitError::WorkArea)?;
    let changes = Changes { schema: vec!["id:text".parse().unwrap()], ..Changes::default() };
    let replay = Replay::inspect(&context.storage, job.clone(), area, &manifest, &changes).await?;
    let begun = replay.begin(&context, 1).await.map_err(SplitError::WorkArea)?;
    let area = WorkArea::new(&context.work_prefix, &begun.job_id);
    split_opened(&context, begun, area).await
}

/// Chunks and rejects of replays; removes all that they made.
fn take_product(objects: &MemoryStorage) -> BTreeMap<String, Bytes> {
    let all = objects.objects().into_iter().map(|(at, body)| (at.key().to_owned(), body));
    let replays: BTreeMap<String, Bytes> = all.filter(|(name, _)| name.contains("-replay/")).collect();
    for name in replays.keys() {
        futures::executor::block_on(objects.delete(&at(name))).unwrap();
    }
    replays.into_iter().filter(|(name, _)| name.contains("/chunks/") || name.contains("/quarantine/")).collect()
}

async fn check(objects: &MemoryStorage, job: &Job, deaths: impl Iterator<Item = u64>) -> BTreeMap<String, Bytes> {
    let whole = how(1 << 20);
    replay(objects, job, whole).await.unwrap();
    let product = take_product(objects);
    replay(objects, job, How { threads: 8, ..whole }).await.unwrap();
    assert!(take_product(objects) == product, "8 threads");
    for calls in deaths {
        let died = replay(objects, job, How { calls, ..whole }).await.is_err();
        replay(objects, job, whole).await.unwrap();
        let again = replay(objects, job, whole).await.unwrap();
        assert!(again.was_split_before);
        assert!(take_product(objects) == product, "{calls} calls, died: {died}");
    }
    product
}

#[tokio::test(flavor = "multi_thread")]
async fn every_point_of_death() {
    let objects = MemoryStorage::default();
    let job = split_with_rejects(&objects, 400, 9, 4_000).await;
    let product = check(&objects, &job, 1..80).await;
    assert!(product.len() > 1, "{:?}", product.keys());
    let of_chunks =
        product.into_iter().filter(|(name, _)| name.contains("/chunks/")).flat_map(|(_, chunk)| rows(chunk));
    let ids: Vec<String> = of_chunks
        .flat_map(|batch| {
            batch.column(0).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let expected: Vec<String> = (1..=400).filter(|id| id % 9 != 0).map(|id| format!("x{id}")).collect();
    assert_eq!(ids, expected, "in the order of the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_held_at_once() {
    let objects = MemoryStorage::default();
    let job = split_with_rejects(&objects, 60_000, 1_000, 100_000).await;
    let product = check(&objects, &job, [40, 80].into_iter()).await;
    let taken: usize = product.values().flat_map(|chunk| rows(chunk.clone())).map(|batch| batch.num_rows()).sum();
    assert_eq!((taken, product.len() > 1), (59_940, true), "{:?}", product.keys());
}

#[tokio::test]
async fn a_quarantine_that_lacks_records_is_told() {
    let objects = MemoryStorage::default();
    let job = split_with_rejects(&objects, 10, 2, 4_000).await;
    let area = WorkArea::new(&at("out"), &job.job_id);
    let mut manifest: Manifest = get_json(&objects, &area.manifest(), "manifest").await.unwrap();
    manifest.quarantine[0].records += 1;
    shared::put_json(&objects, &area.manifest(), &manifest, PutMode::Overwrite).await.unwrap();
    let error = replay(&objects, &job, how(1 << 20)).await.unwrap_err();
    let said = shared::error_chain(&error);
    assert!(said.contains("it has 5 records, and 6 by the manifest"), "{said}");
}
