//! From what Lambda hands over to what it is answered, with buckets on disk and queues in memory.

mod stopped;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::testing::BucketsOnDisk;
use shared::{
    ChunkTask, CommitMode, Failure, Location, Manifest, MemoryQueue, Message, Progress, PutMode, Queue, ReceiptHandle,
    Settings, Storage, Verdict, WorkArea, get_json,
};
use splitter::{HandlerContext, HandlerError, SplitContext, handle, handle_message};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const CHUNK_BYTES: u64 = 64 << 10;

/// A splitter with its surroundings.
struct World {
    dir: TempDir,
    context: HandlerContext,
    tasks: Arc<MemoryQueue>,
    source_queue: Arc<MemoryQueue>,
}

impl World {
    fn new() -> Self {
        Self::with_hook(|_, _| ())
    }

    /// Calls `hook` before each call of the store.
    fn with_hook(hook: impl Fn(&'static str, &Location) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let queue = || Arc::new(MemoryQueue::new(Duration::from_secs(30), 3));
        let (tasks, source_queue) = (queue(), queue());
        let split = SplitContext {
            storage: Arc::new(BucketsOnDisk::new(dir.path()).with_hook(hook)),
            queue: Some(tasks.clone()),
            work_prefix: "s3://chunks/sluice".parse().unwrap(),
            table: Some("s3://lake/flights".parse().unwrap()),
            settings: Settings::from_lookup(|_| None).unwrap().with_chunk_bytes(CHUNK_BYTES),
            threads: 2,
            topic: None,
            known: splitter::Known::default(),
            gate: None,
            announce_again: false,
            progress: Arc::new(Progress::default()),
            stop: CancellationToken::new(),
        };
        Self { dir, context: HandlerContext { split, source_queue: None, routes: None }, tasks, source_queue }
    }

    fn storage(&self) -> &dyn Storage {
        self.context.split.storage.as_ref()
    }

    async fn put(&self, key: &str, content: impl Into<bytes::Bytes>) {
        self.storage().put(&drop_at(key), content.into(), PutMode::Overwrite).await.unwrap();
    }

    /// What S3 tells of the object as it is now.
    async fn event(&self, key: &str) -> String {
        let stat = self.storage().stat(&drop_at(key)).await.unwrap();
        event(key, stat.version.0.trim_matches('"'))
    }

    /// The messages of a batch that are to come again.
    async fn failures(&self, messages: &[(&str, &str)]) -> Vec<String> {
        failures(&handle(&self.context, batch(messages)).await.unwrap())
    }

    /// Chunk tasks that were sent since the last look.
    async fn sent(&self) -> Vec<ChunkTask> {
        let mut sent = Vec::new();
        loop {
            let messages = self.tasks.receive(10, Duration::ZERO).await.unwrap();
            if messages.is_empty() {
                return sent;
            }
            let receipts: Vec<_> = messages.iter().map(|message| message.receipt.clone()).collect();
            self.tasks.acknowledge(&receipts).await.unwrap();
            sent.extend(messages.iter().map(|message| ChunkTask::parse(&message.body).unwrap()));
        }
    }

    /// Rows of all chunks of the job that a task belongs to.
    async fn rows(&self, task: &ChunkTask) -> u64 {
        let area = WorkArea::of_chunk(&task.location().unwrap()).unwrap();
        let manifest: Manifest = get_json(self.storage(), &area.manifest(), "manifest").await.unwrap();
        manifest.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// Whether no job was begun.
    fn is_untouched(&self) -> bool {
        let jobs = std::fs::read_dir(self.dir.path().join("chunks/sluice")).into_iter().flatten().flatten();
        self.tasks.is_empty() && jobs.filter(|entry| entry.file_name() != "_failures").count() == 0
    }
}

fn drop_at(key: &str) -> Location {
    Location::S3 { bucket: "drops".to_owned(), key: key.to_owned() }
}

fn event(key: &str, e_tag: &str) -> String {
    let object = json!({"key": key.replace('+', "%2B").replace(' ', "+"), "eTag": e_tag, "size": 1, "sequencer": "01"});
    let s3 = json!({"bucket": {"name": "drops"}, "object": object});
    json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}).to_string()
}

fn batch(messages: &[(&str, &str)]) -> Value {
    let record = |(id, body): &(&str, &str)| {
        let attributes = json!({"ApproximateReceiveCount": "1"});
        json!({"eventSource": "aws:sqs", "messageId": id, "receiptHandle": "r", "body": body, "attributes": attributes})
    };
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

fn failures(answer: &Value) -> Vec<String> {
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

const FEW: &str = "id,name\n1,a\n2,b\n";

/// Records that do not compress well, some chunks of them.
fn many() -> String {
    let mut state = 1_u64;
    let mut number = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 1
    };
    (0..20_000).fold("a,b,c\n".to_owned(), |csv, _| csv + &format!("{},{},{}\n", number(), number(), number()))
}

#[tokio::test]
async fn a_poisoned_message_fails_alone() {
    let world = World::new();
    world.put("in/my file+é=1.csv", FEW).await;
    let good = world.event("in/my file+é=1.csv").await;
    assert_eq!(world.failures(&[("bad", "{"), ("good", &good), ("worse", "{}")]).await, ["bad", "worse"]);
    let sent = world.sent().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(world.rows(&sent[0]).await, 2);
}

#[tokio::test]
async fn bad_input_fails_alone() {
    let world = World::new();
    world.put("a.csv", FEW).await;
    world.put("image.csv", &b"PK\x03\x04 is a zip archive"[..]).await;
    let (good, bad) = (world.event("a.csv").await, world.event("image.csv").await);
    assert_eq!(world.failures(&[("bad", &bad), ("good", &good)]).await, ["bad"]);
    assert_eq!(world.sent().await.len(), 1);
}

#[tokio::test]
async fn a_message_that_fails_is_left_alone_for_as_long_as_its_verdict_asks_and_explained() {
    let mut world = World::new();
    world.context.source_queue = Some(world.source_queue.clone());
    world.source_queue.send(&["no news".to_owned()]).await.unwrap();
    let received = world.source_queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let mut batch = batch(&[(&received.id, &received.body)]);
    batch["Records"][0]["receiptHandle"] = received.receipt.0.into();
    assert_eq!(failures(&handle(&world.context, batch).await.unwrap()), [received.id.as_str()]);
    // Two seconds, where the queue itself would take thirty.
    assert_eq!(world.source_queue.receive(1, Duration::from_secs(20)).await.unwrap().len(), 1);
    let prefix = &world.context.split.work_prefix;
    let failure = Failure::of(world.storage(), prefix, &received.id).await.unwrap().unwrap();
    assert!(failure.first_error.contains("JSON"), "{failure:?}");
    assert_eq!(failure.receives, 1);
}

#[tokio::test]
async fn every_object_of_a_message_counts() {
    let world = World::new();
    world.put("a.csv", FEW).await;
    world.put("b.csv", FEW.replace("1,a", "3,c")).await;
    let [a, b, gone] = [world.event("a.csv").await, world.event("b.csv").await, "{}".to_owned()]
        .map(|event| serde_json::from_str::<Value>(&event).unwrap()["Records"][0].clone());
    let both = json!({"Records": [a.clone(), b]}).to_string();
    assert!(world.failures(&[("both", &both)]).await.is_empty());
    assert_eq!(world.sent().await.len(), 2);
    let half = json!({"Records": [gone, a]}).to_string();
    assert_eq!(world.failures(&[("half", &half)]).await, ["half"]);
}

#[tokio::test]
async fn a_failed_object_does_not_hold_up_the_others_of_its_message() {
    let world = World::new();
    world.put("bad.csv", &b"PK\x03\x04"[..]).await;
    world.put("good.csv", FEW).await;
    let [bad, good] = [world.event("bad.csv").await, world.event("good.csv").await]
        .map(|event| serde_json::from_str::<Value>(&event).unwrap()["Records"][0].clone());
    assert_eq!(world.failures(&[("m", &json!({"Records": [bad, good]}).to_string())]).await, ["m"]);
    assert_eq!(world.sent().await.len(), 1);
}

#[tokio::test]
async fn a_record_without_an_id_fails_the_invocation_before_anything_is_done() {
    let world = World::new();
    world.put("a.csv", FEW).await;
    let event = world.event("a.csv").await;
    for id in [json!(""), json!(null)] {
        let mut batch = batch(&[("m", &event), ("n", &event)]);
        batch["Records"][1]["messageId"] = id;
        assert!(matches!(handle(&world.context, batch).await, Err(HandlerError::Payload(_))));
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn a_duplicate_event_makes_nothing_new() {
    let world = World::new();
    world.put("a.csv", many()).await;
    let event = world.event("a.csv").await;
    assert!(world.failures(&[("m", &event), ("n", &event)]).await.is_empty());
    let first = world.sent().await;
    assert!(first.len() > 2);
    assert!(world.failures(&[("o", &event)]).await.is_empty());
    assert!(world.sent().await.is_empty());
    assert_eq!(world.rows(&first[0]).await, 20_000);
}

#[tokio::test]
async fn a_file_that_goes_into_one_commit_is_told_of_once_more_behind_its_manifest() {
    let mut world = World::new();
    world.context.split.settings.load.commit_mode = CommitMode::File;
    world.put("in.csv", FEW).await;
    let event = world.event("in.csv").await;
    for _ in 0..2 {
        // The second time nothing is left to be split, but the first may have ended before it could tell.
        assert_eq!(world.failures(&[("m", &event)]).await, Vec::<String>::new());
        let indices: Vec<u32> = world.sent().await.iter().map(|task| task.chunk.as_ref().unwrap().index).collect();
        assert_eq!(indices.last(), Some(&0));
        assert!(indices.len() <= 2, "{indices:?}");
    }
}

#[tokio::test]
async fn a_deleted_object_is_acknowledged_but_not_a_mistyped_one() {
    let world = World::new();
    let typed = json!({"s3_bucket": "drops", "s3_object_key": "gone.csv"}).to_string();
    assert_eq!(world.failures(&[("deleted", &event("gone.csv", "e")), ("typed", &typed)]).await, ["typed"]);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn an_older_event_is_acknowledged_and_left_to_the_newer_one() {
    let world = World::new();
    world.put("a.csv", "").await;
    let older = world.event("a.csv").await;
    world.put("a.csv", FEW).await;
    assert!(world.failures(&[("older", &older)]).await.is_empty());
    assert!(world.is_untouched());
    let newer = world.event("a.csv").await;
    assert!(world.failures(&[("newer", &newer), ("older", &older)]).await.is_empty());
    assert_eq!(world.sent().await.len(), 1);
}

#[tokio::test]
async fn an_empty_object_is_done_without_chunks() {
    let world = World::new();
    world.put("a.csv", "").await;
    let event = world.event("a.csv").await;
    assert!(world.failures(&[("m", &event)]).await.is_empty());
    assert!(world.sent().await.is_empty());
}

#[tokio::test]
async fn news_without_a_drop_is_acknowledged() {
    let world = World::new();
    let messages = [
        ("test", include_str!("../../../fixtures/events/s3_test_event.json")),
        ("sns", include_str!("../../../fixtures/events/sns_test_event.json")),
        ("delete", include_str!("../../../fixtures/events/s3_delete.json")),
        ("folder", &event("in/", "e")),
    ];
    assert!(world.failures(&messages).await.is_empty());
    assert!(world.is_untouched());
}

#[tokio::test]
async fn the_splitter_does_not_feed_on_itself() {
    let world = World::new();
    let written = |bucket: &str, key: &str| event(key, "e").replace("\"drops\"", &format!("\"{bucket}\""));
    let chunk = written("chunks", "sluice/a-1/chunks/00000.parquet");
    let data = written("lake", "flights/part-0.parquet");
    assert_eq!(world.failures(&[("chunk", &chunk), ("data", &data)]).await, ["data"]);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn an_object_that_changes_under_the_splitter_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let writer = BucketsOnDisk::new(dir.path());
    let file = writer.path(&drop_at("a.csv"));
    let target = file.clone();
    let storage = writer.with_hook(move |method, at| {
        if method == "get_range" && at.key() == "a.csv" {
            std::fs::write(&target, "id\n7\n").unwrap();
        }
    });
    let mut world = World::new();
    world.context.split.storage = Arc::new(storage);
    world.put("a.csv", FEW).await;
    let event = world.event("a.csv").await;
    assert_eq!(world.failures(&[("m", &event)]).await, ["m"]);
    // By then the event is an older one.
    assert!(world.failures(&[("m", &event)]).await.is_empty());
    assert!(world.sent().await.is_empty());
}

#[tokio::test]
async fn a_panic_fails_its_message_only() {
    let world = World::with_hook(|method, at| {
        assert!(method != "stat" || at.key() != "panic.csv", "as the test wants it");
    });
    world.put("a.csv", FEW).await;
    let good = world.event("a.csv").await;
    assert_eq!(world.failures(&[("bad", &event("panic.csv", "e")), ("good", &good)]).await, ["bad"]);
    assert_eq!(world.sent().await.len(), 1);
}

#[tokio::test]
async fn a_direct_invocation_ends_as_its_objects_do() {
    let world = World::new();
    world.put("a.csv", FEW).await;
    world.put("bad.csv", &b"PK\x03\x04"[..]).await;
    let invoke = |event: String| {
        let payload = serde_json::from_str(&event).unwrap();
        handle(&world.context, payload)
    };
    invoke(world.event("a.csv").await).await.unwrap();
    assert_eq!(world.sent().await.len(), 1);
    let error = invoke(world.event("bad.csv").await).await.unwrap_err();
    assert!(error.to_string().contains("s3://drops/bad.csv"), "{error}");
}

#[tokio::test]
async fn a_poller_gets_the_verdict() {
    let world = World::new();
    let message = |body: &str| Message {
        id: "m".to_owned(),
        receipt: ReceiptHandle("r".to_owned()),
        body: body.to_owned(),
        receive_count: 1,
    };
    assert_eq!(handle_message(&world.context, &message(&event("gone.csv", "e"))).await, Verdict::Done);
    let Verdict::Reject { reason, .. } = handle_message(&world.context, &message("{}")).await else {
        panic!("no reject")
    };
    assert!(reason.starts_with("the message is not an object-created event"), "{reason}");
}
