//! Buckets and queues on the emulator, and services that work on them.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::testing::Emulator;
use shared::{Queue, QueueAttributes, SqsQueue};
use tokio::runtime::Runtime;

use crate::support::Place;

/// Receives after which a chunk task is a dead letter.
pub(crate) const MAX_RECEIVES: u32 = 3;

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A deployment: drops, a queue of their news, chunks, a queue of chunk tasks with its dead letters, and the table `t`.
pub(crate) struct Queues {
    pub(crate) place: Place,
    pub(crate) drops: String,
    pub(crate) chunks: String,
    pub(crate) dead: String,
    pub(crate) emulator: Emulator,
    pub(crate) runtime: Runtime,
}

/// `sluice work`, under way.
pub(crate) struct Service {
    child: Child,
    name: String,
}

impl Queues {
    pub(crate) fn new() -> Self {
        let (emulator, runtime) = (Emulator::start(), Runtime::new().unwrap());
        let visibility = Duration::from_secs(30);
        let (drops, chunks, dead) = runtime.block_on(async {
            emulator.create_bucket("drops").await;
            emulator.create_bucket("chunks").await;
            let dead = emulator.create_queue("chunks-dead", visibility, None).await;
            let chunks = emulator.create_queue("chunks", visibility, Some(("chunks-dead", MAX_RECEIVES))).await;
            let drops = emulator.create_queue("drops", visibility, Some(("drops-dead", MAX_RECEIVES))).await;
            (drops, chunks, dead)
        });
        let mut env = emulator.env();
        let own =
            [("TABLE_URI", "t"), ("CHUNK_BUCKET", "chunks"), ("CHUNK_QUEUE_URL", &chunks), ("CHUNK_SIZE_MB", "1")];
        env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self { place: Place::with_env(env), drops, chunks, dead, emulator, runtime }
    }

    pub(crate) fn queue(&self, url: &str) -> SqsQueue {
        self.runtime.block_on(self.emulator.sqs(url))
    }

    pub(crate) fn attributes(&self, url: &str) -> QueueAttributes {
        let queue = self.queue(url);
        self.runtime.block_on(queue.attributes()).unwrap()
    }

    /// Messages of a queue that wait, and those that are in somebody's hand.
    pub(crate) fn messages(&self, url: &str) -> (u64, u64) {
        let QueueAttributes { visible, in_flight, .. } = self.attributes(url);
        (visible, in_flight)
    }

    pub(crate) fn send(&self, url: &str, bodies: &[String]) {
        let queue = self.queue(url);
        self.runtime.block_on(queue.send(bodies)).unwrap();
    }

    /// Receives messages as often as they may be, so that they become dead letters.
    pub(crate) fn let_die(&self, url: &str, bodies: &[String]) {
        self.send(url, bodies);
        let queue = self.queue(url);
        self.runtime.block_on(async {
            for _ in 0..MAX_RECEIVES {
                let (mut received, begun) = (Vec::new(), Instant::now());
                while received.len() < bodies.len() {
                    assert!(begun.elapsed() < PATIENCE, "only {} of {} came", received.len(), bodies.len());
                    received.extend(queue.receive(10, Duration::from_secs(1)).await.unwrap());
                }
                for message in received {
                    queue.hide(&message.receipt, Duration::ZERO).await.unwrap();
                }
            }
            assert_eq!(queue.receive(10, Duration::from_secs(1)).await.unwrap(), []);
        });
    }

    /// Chunk tasks of a file, whose chunks are put where the worker finds them.
    pub(crate) fn split(&self, name: &str, content: &str) -> Vec<String> {
        let source = self.place.write(name, content);
        let ran = self.place.run(&["split", source.to_str().unwrap(), "--out", "s3://chunks/sluice", "--json"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.stdout.lines().map(str::to_owned).collect()
    }

    /// Drops a file; gives the news of it as S3 sends it.
    pub(crate) fn drop_file(&self, key: &str, content: Vec<u8>) -> String {
        let put = async {
            let settings = aws_sdk_s3::config::Builder::from(&self.emulator.sdk_config().await).force_path_style(true);
            let client = aws_sdk_s3::Client::from_conf(settings.build());
            client.put_object().bucket("drops").key(key).body(content.into()).send().await.unwrap()
        };
        let e_tag = self.runtime.block_on(put).e_tag.unwrap().replace('"', "");
        let object = serde_json::json!({"key": key, "eTag": e_tag, "size": 1, "sequencer": "01"});
        let record = serde_json::json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "drops"}, "object": object}});
        serde_json::json!({ "Records": [record] }).to_string()
    }

    /// Starts `sluice work` on a queue.
    pub(crate) fn work(&self, name: &str, url: &str, more: &[&str]) -> Service {
        self.work_with(name, url, more, &[])
    }

    /// As [`Self::work`], with further variables.
    pub(crate) fn work_with(&self, name: &str, url: &str, more: &[&str], env: &[(&str, &str)]) -> Service {
        let mut command = self.place.command(&[&["work", "--json", "--queue-url", url], more].concat());
        command.envs(env.iter().copied());
        command.stdout(File::create(self.place.path(&format!("{name}.out"))).unwrap());
        command.stderr(File::create(self.place.path(&format!("{name}.log"))).unwrap());
        Service { child: command.spawn().unwrap(), name: name.to_owned() }
    }

    /// Asks a service to stop; gives its status, what it printed at the end, and its log.
    pub(crate) fn stop(&self, mut service: Service) -> (Option<i32>, Value, String) {
        let id = service.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = service.child.wait().unwrap().code();
        let text = |kind| std::fs::read_to_string(self.place.path(&format!("{}.{kind}", service.name))).unwrap();
        (status, serde_json::from_str(&text("out")).unwrap_or_default(), text("log"))
    }

    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).unwrap_or_default();
            if begun.elapsed() > PATIENCE {
                let logs = std::fs::read_dir(self.place.path(".")).unwrap().flatten();
                let logs = logs.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "log"));
                panic!("{what} did not come; logs:\n{}", logs.map(log).collect::<String>());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn wait_until_empty(&self, url: &str) {
        self.wait_until(&format!("the end of {url}"), || self.messages(url) == (0, 0));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Errors mean that it has ended, which is what was wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
