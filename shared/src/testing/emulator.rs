//! AWS on this machine: S3, SQS and the rest as a child process.

#![expect(clippy::expect_used, reason = "a test that has no emulator fails, and says why")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use tempfile::TempDir;

use crate::aws::https_client;
use crate::queues::sqs::SqsQueue;
use crate::stores::s3::S3Storage;
use crate::testing::python;

const REGION: &str = "eu-central-1";

/// What the server and the script that deploys to it need of Python.
const REQUIREMENTS: &str = "emulator/requirements.txt";

/// Name and secret of the account's owner, whom the server knows from the start.
const KEY: &str = "test";

/// Time for a server to start; on an idle machine it takes half a second.
const START: Duration = Duration::from_mins(1);

/// Time for a server to end by itself.
const STOP: Duration = Duration::from_secs(3);

/// How often another port is tried when somebody was faster at the first.
const PORTS: usize = 3;

/// An AWS server of its own for a test: S3, SQS, SNS, Lambda, IAM, `DynamoDB`, `CloudWatch` on a loopback port, all state in a
/// temporary folder. It ends, with the functions that it runs, when this is dropped, a panic included; and by itself
/// within seconds when the process that started it is gone.
///
/// The server is `fixtures/emulator/ministack_plus.py`. It runs in a Python virtual environment below the target folder,
/// which the first one to start makes and all later ones use.
#[derive(Debug)]
pub struct Emulator {
    server: Child,
    port: u16,
    folder: TempDir,
}

impl Emulator {
    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start; the message says what to install.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further environment variables, as `("AUTH", "true")`, with which it enforces policies.
    ///
    /// # Panics
    ///
    /// When it does not start; the message says what to install.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let python = python::with_requirements(REQUIREMENTS);
        for _ in 0..PORTS {
            let mut emulator = Self::spawn(&python, variables);
            if emulator.becomes_ready() {
                return emulator;
            }
            let log = emulator.log();
            assert!(log.contains("already in use"), "the emulator did not start; its log:\n{log}");
        }
        panic!("{PORTS} free ports were taken by others before the emulator could")
    }

    fn spawn(python: &Path, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("sluice-emulator-").tempdir().expect("a temporary folder");
        for name in ["tmp", "state", "s3"] {
            fs::create_dir(folder.path().join(name)).expect("a folder for the emulator");
        }
        let log = File::create(folder.path().join("log")).expect("a log for the emulator");
        let port = free_port();
        let endpoint = endpoint(port);
        let server = Command::new(python)
            .arg(python::fixture("emulator/ministack_plus.py"))
            .args(["--exit-with", &std::process::id().to_string()])
            .env_clear()
            // Functions inherit all of this, and the endpoint is the only way by which they find the server.
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("MINISTACK_REGION", REGION)
            .envs([("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "127.0.0.1")])
            .env("GATEWAY_PORT", port.to_string())
            // Off, since the first would listen on all interfaces.
            .envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0")])
            .envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1")])
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path().join("tmp"))
            .env("STATE_DIR", folder.path().join("state"))
            .env("S3_DATA_DIR", folder.path().join("s3"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log for the emulator"))
            .stderr(log)
            // A group of its own, so that the functions it runs can be ended with it.
            .process_group(0)
            .spawn()
            .expect("the emulator's Python");
        Self { server, port, folder }
    }

    /// Whether it answers before it exits.
    fn becomes_ready(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < START && self.server.try_wait().is_ok_and(|status| status.is_none()) {
            // Its own word comes first: had it lost the port to another server, that one would answer in its place.
            if self.log().contains("Running on ") && is_ready(self.port) {
                return true;
            }
            sleep(Duration::from_millis(25));
        }
        false
    }

    /// Where it listens, as `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Settings of the SDK with which it is used, as the account's owner.
    pub async fn sdk_config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(https_client())
            .region(Region::new(REGION))
            .endpoint_url(self.endpoint())
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "emulator"))
            .load()
            .await
    }

    /// Environment variables with which a child process uses it.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_REGION", REGION),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Objects on it.
    pub async fn s3(&self) -> S3Storage {
        S3Storage::new(&self.sdk_config().await)
    }

    /// A queue on it.
    pub async fn sqs(&self, url: &str) -> SqsQueue {
        SqsQueue::new(&self.sdk_config().await, url)
    }

    /// Makes a bucket.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn create_bucket(&self, name: &str) {
        let settings = aws_sdk_s3::config::Builder::from(&self.sdk_config().await).force_path_style(true).build();
        let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuCentral1);
        let create = aws_sdk_s3::Client::from_conf(settings).create_bucket().bucket(name);
        create.create_bucket_configuration(place.build()).send().await.expect("a new bucket");
    }

    /// Makes a queue and gives its URL. With the name of a queue for dead letters, which is made where there is none, a
    /// message goes there after so many receives.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn create_queue(&self, name: &str, visibility: Duration, dead_letters: Option<(&str, u32)>) -> String {
        let client = aws_sdk_sqs::Client::new(&self.sdk_config().await);
        let mut create = client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string());
        if let Some((name, max_receives)) = dead_letters {
            let made = client.create_queue().queue_name(name).send().await.expect("a queue for dead letters");
            let asked = client.get_queue_attributes().attribute_names(QueueAttributeName::QueueArn);
            let known = asked.queue_url(made.queue_url().expect("its URL")).send().await.expect("its attributes");
            let arn = known.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).expect("its name");
            let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": max_receives });
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        let made = create.send().await.expect("a new queue");
        made.queue_url().expect("its URL").to_owned()
    }

    /// Makes a table of routes in `DynamoDB`, whose partition key is `PartitionKey`, with items of texts.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn create_routes(&self, name: &str, items: &[&[(&str, &str)]]) {
        let client = aws_sdk_dynamodb::Client::new(&self.sdk_config().await);
        let attribute =
            AttributeDefinition::builder().attribute_name("PartitionKey").attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name("PartitionKey").key_type(KeyType::Hash);
        let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(attribute.build().expect("an attribute"));
        create.key_schema(key.build().expect("a key")).send().await.expect("a new table");
        for item in items {
            let item = item.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned())));
            client.put_item().table_name(name).set_item(Some(item.collect())).send().await.expect("a new item");
        }
    }

    /// Runs a script of `fixtures/emulator` in the server's Python, as the account's owner; gives what it prints.
    ///
    /// # Panics
    ///
    /// When the script fails; the message is what it complained of.
    pub fn run_script(&self, name: &str, args: &[&str]) -> String {
        let mut command = Command::new(python::with_requirements(REQUIREMENTS));
        command.arg("-B").arg(python::fixture(&format!("emulator/{name}"))).args(args).env_clear().envs(self.env());
        let output = command.output().expect("the emulator's Python");
        let (printed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name} ended with {}:\n{complaint}\n{}", output.status, self.log());
        printed.into_owned()
    }

    /// Sends a signal to the server and the functions that it runs.
    fn signal(&self, signal: &str) {
        // The shell has its own kill, so that no package has to be installed for it.
        let kill = Command::new("sh")
            .args(["-c", r#"kill -s "$1" -- "-$2""#, "sh", signal, &self.server.id().to_string()])
            .stderr(Stdio::null())
            .status();
        // Without it the server is killed further down, and its functions by nobody.
        drop(kill);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < STOP && self.server.try_wait().is_ok_and(|status| status.is_none()) {
            sleep(Duration::from_millis(10));
        }
        // What is left of the group: a server that hangs, or a function that has outlived it.
        self.signal("KILL");
        // Errors mean that it is gone, which is what was wanted.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /_ministack/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
