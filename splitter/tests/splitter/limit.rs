//! Files that are given up for their rejected records.

use std::sync::Arc;

use shared::testing::MemoryStorage;
use shared::{Location, Manifest, Progress, PutMode, Settings, Storage};
use splitter::{SplitContext, SplitError, split};

fn at(key: &str) -> Location {
    Location::S3 { bucket: "b".to_owned(), key: key.to_owned() }
}

/// `good` records, then as many that are rejected and others by turns.
fn text(good: u64, turns: u64) -> String {
    let noise =
        |id: u64| format!("{id},{:032x}\n", u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let head = "id,noise\n".to_owned() + &(0..good).map(noise).collect::<String>();
    head + &(0..turns).map(|id| noise(id) + "only one\n").collect::<String>()
}

/// Splits into chunks of 1 MiB; gives the error.
async fn split_with(objects: &MemoryStorage, limit: &str, threads: usize) -> Option<SplitError> {
    let told = |name: &str| match name {
        "CHUNK_SIZE_MB" => Some("1".to_owned()),
        "MAX_BAD_RECORDS" => Some(limit.to_owned()),
        _ => None,
    };
    let context = SplitContext {
        storage: Arc::new(objects.clone()),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings: Settings::from_lookup(told).unwrap(),
        threads,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    split(&context, &at("source")).await.err()
}

async fn dropped(text: &str) -> MemoryStorage {
    let objects = MemoryStorage::default();
    objects.put(&at("source"), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    objects
}

/// What there is of a job in the end: not the checkpoint, which tells of the last attempt, nor when it was split.
fn results(objects: &MemoryStorage) -> Vec<(Location, bytes::Bytes)> {
    let objects = objects.objects().into_iter();
    // Why an earlier run gave up stays until the job is loaded.
    let results = objects.filter(|(place, _)| !matches!(place.name(), "checkpoint.json" | "failed.json"));
    let timeless = |(place, body): (Location, bytes::Bytes)| {
        if place.name() != "manifest.json" {
            return (place, body);
        }
        let manifest: Manifest = serde_json::from_slice(&body).unwrap();
        (place, serde_json::to_vec(&Manifest { run: None, ..manifest }).unwrap().into())
    };
    results.map(timeless).collect()
}

#[tokio::test]
async fn a_file_is_given_up_at_the_same_record_at_any_parallelism_and_when_tried_again() {
    let text = text(60_000, 20_000);
    let whole = dropped(&text).await;
    assert!(split_with(&whole, "", 2).await.is_none());
    for (limit, rejected) in
        [("0", true), ("15000", true), ("0.5%", true), ("19.9%", true), ("20000", false), ("20%", false)]
    {
        let mut told = Vec::new();
        for threads in [1, 4] {
            let objects = dropped(&text).await;
            for _attempt in 0..2 {
                let error = split_with(&objects, limit, threads).await;
                let bad = error.map(|error| match error {
                    SplitError::TooManyBad(bad) => (bad.rejected, bad.read, bad.chunks),
                    error => panic!("{limit}: {error}"),
                });
                told.push(bad);
            }
            assert!(split_with(&objects, "", 3).await.is_none());
            assert!(
                results(&objects) == results(&whole),
                "{limit}: with a higher limit the job goes on, and is the same"
            );
        }
        assert_eq!((told.iter().all(|one| *one == told[0]), told[0].is_some()), (true, rejected), "{limit} {told:?}");
        if let Some((_, read, chunks)) = told[0] {
            assert!(chunks > 0, "chunks before were announced");
            assert!(read < 100_000 || limit == "19.9%", "{limit}: {read} records were read before it was given up");
        }
    }
}

#[tokio::test]
async fn a_percentage_of_a_few_records_is_taken_at_the_end() {
    for (good, turns, limit, expected) in [
        (0, 3, "50%", None),
        (
            0,
            3,
            "49%",
            Some(
                "s3://b/source: 3 of the first 6 records were rejected, MAX_BAD_RECORDS=49% allows no more; record 2, byte 44: 1 fields where 2 are expected",
            ),
        ),
    ] {
        let objects = dropped(&text(good, turns)).await;
        let error = split_with(&objects, limit, 1).await.map(|error| error.to_string());
        let told = error.as_deref().map(|told| told.split("; record 4").next().unwrap_or_default());
        assert_eq!(told, expected);
    }
}
