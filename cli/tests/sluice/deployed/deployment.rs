//! A deployment of `terraform/` on an emulator, and a look into it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use shared::testing::Emulator;
use shared::{
    DeadLetters, Failure, JobId, Location, Manifest, Queue, Receipt, S3Storage, SourceObject, SqsQueue, Storage,
    StorageError, WorkArea, get_json,
};
use tokio::runtime::Runtime;

use crate::support::{Place, read};

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// A deployment, with what is looked at from outside.
pub(crate) struct Deployment {
    pub(crate) emulator: Emulator,
    pub(crate) events: SqsQueue,
    pub(crate) chunks: SqsQueue,
    pub(crate) dead: DeadLetters,
    resources: Value,
    storage: S3Storage,
    runtime: Runtime,
}

impl Deployment {
    /// Deploys one of the runs in `terraform/tests/deployment.json` to an emulator with further variables. Messages come
    /// again soon.
    pub(crate) fn new(run: &str, variables: &[(&str, &str)]) -> Self {
        Self::deploy(run, variables, &[])
    }

    /// The same with the visibility timeouts that Terraform sets.
    pub(crate) fn with_true_timeouts(run: &str, variables: &[(&str, &str)]) -> Self {
        Self::deploy(run, variables, &["--visibility-divisor", "1"])
    }

    fn deploy(run: &str, variables: &[(&str, &str)], more: &[&str]) -> Self {
        let deployments = Path::new(env!("CARGO_MANIFEST_DIR")).join("../terraform/tests/deployment.json");
        let mut all: Value = serde_json::from_str(&std::fs::read_to_string(&deployments).unwrap()).unwrap();
        let emulator = Emulator::start_with(variables);
        let (splitter, worker) = (binary("splitter"), binary("worker"));
        let [deployments, splitter, worker] = [&deployments, &splitter, &worker].map(|path| path.to_str().unwrap());
        let args = [&[deployments, run, "--splitter", splitter, "--worker", worker], more].concat();
        let urls: Value = serde_json::from_str(&emulator.run_script("deploy.py", &args)).unwrap();
        let (resources, runtime) = (all[run].take(), Runtime::new().unwrap());
        let config = runtime.block_on(emulator.sdk_config());
        let url = |queue| urls[resources[queue]["name"].as_str().unwrap()].as_str().unwrap();
        Self {
            events: SqsQueue::new(&config, url("aws_sqs_queue.events")),
            chunks: SqsQueue::new(&config, url("aws_sqs_queue.chunks")),
            dead: DeadLetters::new(&config, url("aws_sqs_queue.chunks_dead")),
            storage: S3Storage::new(&config),
            resources,
            runtime,
            emulator,
        }
    }

    /// An attribute of a resource.
    fn attribute(&self, resource: &str, pointer: &str) -> &str {
        self.resources[resource].pointer(pointer).and_then(Value::as_str).unwrap()
    }

    /// A variable of the worker.
    fn variable(&self, name: &str) -> &str {
        self.attribute("aws_lambda_function.worker", &format!("/environment/0/variables/{name}"))
    }

    /// Receives after which a chunk task is a dead letter.
    pub(crate) fn max_receives(&self) -> usize {
        let policy: Value = serde_json::from_str(self.attribute("aws_sqs_queue.chunks", "/redrive_policy")).unwrap();
        usize::try_from(policy["maxReceiveCount"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn drop_at(&self, key: &str) -> Location {
        let bucket = self.attribute("aws_s3_bucket_notification.source[0]", "/bucket");
        Location::from_bucket_and_key(bucket, key).unwrap()
    }

    fn work_prefix(&self) -> Location {
        Location::from_bucket_and_key(self.variable("CHUNK_BUCKET"), self.variable("CHUNK_PREFIX")).unwrap()
    }

    /// Where a chunk is to be that no splitter made.
    pub(crate) fn late_chunk(&self) -> Location {
        self.work_prefix().join("by-hand/late.parquet")
    }

    fn table_at(&self) -> Location {
        self.variable("TABLE_URI").parse().unwrap()
    }

    /// The work area for a drop as it is now.
    pub(crate) fn work_area(&self, drop: &Location) -> WorkArea {
        let source = self.runtime.block_on(SourceObject::look_up(&self.storage, drop)).unwrap();
        WorkArea::new(&self.work_prefix(), &JobId::derive(&source, &self.table_at(), 1))
    }

    /// Uploads an object, in parts when it is large.
    pub(crate) fn put(&self, at: &Location, body: Vec<u8>) {
        let upload = async {
            let mut upload = self.storage.create(at).await?;
            upload.write(body.into()).await?;
            upload.finish().await
        };
        self.runtime.block_on(upload).unwrap();
    }

    /// Whether a document is written.
    pub(crate) fn exists(&self, at: &Location) -> bool {
        match self.runtime.block_on(self.storage.get(at)) {
            Ok(_) => true,
            Err(StorageError::NotFound { .. }) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn list(&self, prefix: &Location) -> Vec<Location> {
        let listed = self.runtime.block_on(self.storage.list(prefix)).unwrap();
        listed.into_iter().map(|listed| listed.location).collect()
    }

    /// Receipts of all jobs that are done.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let receipts = self.list(&self.work_prefix()).into_iter().filter(|at| at.name() == "receipt.json");
        receipts.map(|at| self.runtime.block_on(get_json(&self.storage, &at, "receipt")).unwrap()).collect()
    }

    /// Why messages failed.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failures = self.list(&self.work_prefix().join("_failures"));
        failures.iter().map(|at| self.runtime.block_on(get_json(&self.storage, at, "failure")).unwrap()).collect()
    }

    /// Waits until a drop is in the table.
    pub(crate) fn loaded(&self, drop: &Location) -> Receipt {
        self.find(&format!("the receipt for {drop}"), || {
            self.receipts().into_iter().find(|receipt| receipt.source == *drop)
        })
    }

    /// All data files of the table, by its log.
    pub(crate) fn table(&self) -> Vec<RecordBatch> {
        let get = |at: &Location| self.runtime.block_on(self.storage.get(at)).unwrap();
        let commits = self.list(&self.table_at().join("_delta_log"));
        let mut files = Vec::new();
        for commit in commits.iter().filter(|at| at.name().split_once('.').is_some_and(|(_, kind)| kind == "json")) {
            for action in serde_json::Deserializer::from_slice(&get(commit)).into_iter::<Value>() {
                let action = action.unwrap();
                assert!(action["remove"].is_null(), "only appends are made");
                files.extend(action["add"]["path"].as_str().map(str::to_owned));
            }
        }
        let place = Place::new();
        files.iter().map(|file| read(&place.write("data.parquet", get(&self.table_at().join(file))))).collect()
    }

    /// Messages of a queue that wait, and those that are in somebody's hand.
    pub(crate) fn messages(&self, queue: &SqsQueue) -> (u64, u64) {
        let attributes = self.runtime.block_on(queue.attributes()).unwrap();
        (attributes.visible, attributes.in_flight)
    }

    pub(crate) fn send(&self, queue: &SqsQueue, body: String) {
        self.runtime.block_on(queue.send(&[body])).unwrap();
    }

    /// Sends a chunk task of bucket and key alone.
    pub(crate) fn send_chunk_task(&self, at: &Location) {
        self.send(&self.chunks, json!({ "s3_bucket": at.bucket(), "s3_object_key": at.key() }).to_string());
    }

    /// The event of a drop, as S3 writes it for a key that needs no encoding.
    pub(crate) fn event(&self, at: &Location) -> String {
        let stat = self.runtime.block_on(self.storage.stat(at)).unwrap();
        let object = json!({"key": at.key(), "eTag": stat.version.0.trim_matches('"'), "size": stat.size});
        let s3 = json!({"bucket": {"name": at.bucket()}, "object": object});
        let record = json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:CompleteMultipartUpload", "s3": s3});
        json!({ "Records": [record] }).to_string()
    }

    /// The chunk tasks of a drop, as the splitter sent them.
    pub(crate) fn chunk_tasks(&self, drop: &Location) -> Vec<String> {
        let area = self.work_area(drop);
        let manifest: Manifest = self.runtime.block_on(get_json(&self.storage, &area.manifest(), "manifest")).unwrap();
        manifest.chunks.iter().map(|chunk| chunk.task(&area, &manifest.job_id).body().unwrap()).collect()
    }

    /// Sends all dead chunk tasks back, by the queue's own task.
    pub(crate) fn replay(&self) {
        let arn = self.attribute("aws_sqs_queue.chunks_dead", "/arn");
        self.runtime.block_on(self.dead.start_move(arn, None, None)).unwrap();
    }

    /// Calls the worker with the event of the schedule, and with changes to it; gives its answer.
    pub(crate) fn look_after_tables(&self, changes: &[(&str, Value)]) -> Value {
        let mut event: Value =
            serde_json::from_str(self.attribute("aws_cloudwatch_event_target.maintain[0]", "/input")).unwrap();
        for (name, value) in changes {
            event["maintain"][*name] = value.clone();
        }
        let client = aws_sdk_lambda::Client::new(&self.runtime.block_on(self.emulator.sdk_config()));
        let call = client.invoke().function_name(self.attribute("aws_lambda_function.worker", "/function_name"));
        let call = call.payload(aws_sdk_lambda::primitives::Blob::new(event.to_string()));
        let answer = self.runtime.block_on(call.send()).unwrap();
        assert_eq!(answer.function_error(), None, "{}", self.emulator.log());
        serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
    }

    /// Ends every worker of this deployment, as the kernel does when memory runs out; gives their number.
    pub(crate) fn kill_workers(&self) -> usize {
        let (program, endpoint) = (binary("worker"), format!("AWS_ENDPOINT_URL={}", self.emulator.endpoint()));
        let has = |file: PathBuf, wanted: &str| {
            std::fs::read(file).is_ok_and(|words| words.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes()))
        };
        let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let is_worker = |path: &PathBuf| {
            has(path.join("cmdline"), program.to_str().unwrap()) && has(path.join("environ"), &endpoint)
        };
        let kill = |worker: &PathBuf| Command::new("kill").arg("-KILL").arg(worker.file_name().unwrap()).status();
        processes.filter(is_worker).filter(|worker| kill(worker).unwrap().success()).count()
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.find(what, || is_so().then_some(()));
    }

    /// As [`Self::until`], for what is over soon: looks without a pause.
    pub(crate) fn until_soon(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come; the emulator's log:\n{}", self.emulator.log());
        }
    }

    /// Waits for what has to come.
    fn find<T>(&self, what: &str, probe: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = probe() {
                println!("{what} came after {:?}", begun.elapsed());
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come; the emulator's log:\n{}", self.emulator.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A binary of this workspace, which cargo builds when it builds all of it.
fn binary(name: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_sluice")).with_file_name(name);
    assert!(binary.exists(), "there is no {}: run cargo build --workspace", binary.display());
    binary
}
