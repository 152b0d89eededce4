//! A job that is done has one receipt, and whoever asked for it is told of it.

use async_trait::async_trait;
use bytes::Bytes;
use shared::testing::{MemoryStorage, MemoryTopic};
use shared::{
    BadRecords, ChunkEntry, ChunkReceipt, CommitMode, Completion, CompletionError, Format, Job, LoadPolicy, Location,
    Manifest, Moment, ObjectStat, ObjectVersion, OnReplace, Policy, PutMode, Receipt, RowHash, Rows, Run, SourceObject,
    Storage, StorageError, StoredObject, TextPolicy, Upload, WorkArea, get_json, put_json,
};

/// A job of two chunks, all of which is in the table.
struct Done {
    storage: MemoryStorage,
    topic: MemoryTopic,
    area: WorkArea,
}

impl Done {
    async fn new() -> Self {
        let (storage, topic) = (MemoryStorage::default(), MemoryTopic::default());
        let source = SourceObject { uri: at("s3://b/in.csv"), size: 1, version: ObjectVersion("1".to_owned()) };
        let policy = Policy {
            encoder: 0,
            chunk_bytes: 1,
            block_bytes: 1,
            max_record_bytes: 1,
            codec: "snappy".to_owned(),
            bad_records: BadRecords::Quarantine,
            text: TextPolicy::default(),
            format: Format::Parquet { column_names: vec![], int96_instants: false },
        };
        let load = LoadPolicy { commit: CommitMode::Chunk, on_replace: OnReplace::Append, ..LoadPolicy::default() };
        let table = at("s3://b/t");
        let job = Job::new(source, &table, 1, Some(table.clone()), policy, load);
        let area = WorkArea::new(&at("s3://b/work"), &job.job_id);
        put_json(&storage, &area.job(), &job, PutMode::Overwrite).await.unwrap();
        let chunk = |index| ChunkEntry { index, rows: 2, bytes: 1, checksum: String::new() };
        let chunks = vec![chunk(0), chunk(1)];
        let manifest = Manifest {
            version: 1,
            job_id: job.job_id,
            records: 4,
            quarantined: 0,
            shortened: 0,
            chunks,
            quarantine: vec![],
            content: None,
            lines: None,
            run: Some(Run::until_now(Moment::now(), 2, 7)),
        };
        put_json(&storage, &area.manifest(), &manifest, PutMode::Overwrite).await.unwrap();
        for index in 0..2 {
            let rows = Rows { read: 2, committed: 2, ..Rows::default() };
            let row_hash = Some(RowHash(u128::MAX - 1));
            let receipt = ChunkReceipt {
                index,
                rows,
                row_hash,
                checksum: None,
                expectations: None,
                table_version: Some(7),
                attempts: Some(index + 2),
            };
            put_json(&storage, &area.chunk_receipt(index), &receipt, PutMode::Overwrite).await.unwrap();
        }
        Self { storage, topic, area }
    }

    async fn complete(&self) -> Result<Option<Receipt>, CompletionError> {
        self.completion(&self.storage).complete(&self.area).await
    }

    async fn ensure_complete(&self) -> Result<Option<Receipt>, CompletionError> {
        self.completion(&self.storage).ensure_complete(&self.area).await
    }

    fn completion<'a>(&'a self, storage: &'a dyn Storage) -> Completion<'a> {
        Completion { storage, topic: Some(&self.topic) }
    }

    fn notices(&self) -> usize {
        self.topic.notices().len()
    }
}

fn at(text: &str) -> Location {
    text.parse().unwrap()
}

#[tokio::test]
async fn one_receipt_and_one_notice() {
    let done = Done::new().await;
    let manifest: Manifest = get_json(&done.storage, &done.area.manifest(), "manifest").await.unwrap();
    let receipt = done.complete().await.unwrap().unwrap();
    let (split, run) = (manifest.run.unwrap(), receipt.run.clone().unwrap());
    assert_eq!((run.started, run.attempts, run.bytes), (split.started, 3, split.bytes));
    assert!(run.ended >= split.ended && run.duration_ms >= split.duration_ms, "{run:?}");
    assert_eq!(
        (receipt.rows.committed, receipt.row_hash, receipt.table_version),
        (4, Some(RowHash(u128::MAX - 3)), Some(7))
    );
    for again in [done.complete().await, done.ensure_complete().await] {
        assert_eq!(again.unwrap(), Some(receipt.clone()));
    }
    let notices = done.topic.notices();
    assert_eq!((notices.len(), &notices[0].job_id), (1, &receipt.job_id));
    let body: serde_json::Value = serde_json::from_str(&notices[0].body).unwrap();
    assert_eq!((&body["kind"], &body["rows"]["committed"]), (&"sluice.completion".into(), &4.into()));
}

#[tokio::test]
async fn while_something_is_outstanding_nobody_is_told() {
    for missing in [WorkArea::manifest, |area: &WorkArea| area.chunk_receipt(1)] {
        let done = Done::new().await;
        done.storage.delete(&missing(&done.area)).await.unwrap();
        assert_eq!(done.ensure_complete().await.unwrap(), None);
        assert_eq!(done.notices(), 0);
    }
}

#[tokio::test]
async fn a_notice_that_is_refused_is_made_good() {
    let done = Done::new().await;
    done.topic.refuse(2);
    let error = done.complete().await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot publish to topic arn:aws:sns:eu-central-1:123456789012:done: Throttled: slow down");
    assert!(matches!(done.ensure_complete().await, Err(CompletionError::Notice(_))));
    // Who comes to a receipt of another leaves the notice to him.
    done.complete().await.unwrap().unwrap();
    assert_eq!(done.notices(), 0);
    done.ensure_complete().await.unwrap().unwrap();
    done.ensure_complete().await.unwrap().unwrap();
    assert_eq!(done.notices(), 1);
}

#[tokio::test]
async fn what_was_done_before_there_was_a_topic_is_not_told() {
    let done = Done::new().await;
    Completion { storage: &done.storage, topic: None }.complete(&done.area).await.unwrap().unwrap();
    done.ensure_complete().await.unwrap().unwrap();
    assert_eq!(done.notices(), 0);
}

#[tokio::test]
async fn of_two_that_are_at_it_one_tells() {
    let done = Done::new().await;
    let other = Done { storage: done.storage.clone(), topic: done.topic.clone(), area: done.area.clone() };
    let faulty = Faulty { storage: done.storage.clone(), before: Some(other) };
    let receipt = done.completion(&faulty).complete(&done.area).await.unwrap().unwrap();
    let there: Receipt = get_json(&done.storage, &done.area.receipt(), "receipt").await.unwrap();
    assert_eq!((receipt, done.notices()), (there, 1));
}

#[tokio::test]
async fn a_receipt_that_was_put_twice_is_told_of() {
    let done = Done::new().await;
    let faulty = Faulty { storage: done.storage.clone(), before: None };
    done.completion(&faulty).complete(&done.area).await.unwrap().unwrap();
    assert_eq!(done.notices(), 1);
}

/// A store in which a receipt is there already when it is put if absent: that of another, or, since the store repeats a put
/// that had succeeded, one's own.
#[derive(Debug)]
struct Faulty {
    storage: MemoryStorage,
    before: Option<Done>,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Done").field("area", &self.area).finish_non_exhaustive()
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        self.storage.stat(at).await
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        self.storage.get(at).await
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, StorageError> {
        self.storage.get_range(at, version, range).await
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        if at.name() == "receipt.json" {
            match &self.before {
                Some(other) => drop(other.complete().await.unwrap()),
                None => self.storage.put(at, body.clone(), mode).await?,
            }
        }
        self.storage.put(at, body, mode).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        self.storage.create(at).await
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        self.storage.list(prefix).await
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        self.storage.delete(at).await
    }
}
