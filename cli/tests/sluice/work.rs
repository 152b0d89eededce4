//! `sluice work`: the same verdicts as the functions', in a process that polls.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use shared::Queue;
use shared::testing::Emulator;

use crate::gate::Gate;
use crate::queues::{MAX_RECEIVES, Queues};
use crate::resume::{assert_each_once, numbered};
use crate::support::{Place, account};

#[test]
fn a_drop_becomes_rows_once_however_often_it_is_told_of() {
    let queues = Queues::new();
    let content = std::fs::read(numbered(&queues.place, 40_000)).unwrap();
    let news = queues.drop_file("in/numbers.csv", content);
    queues.send(&queues.drops, &[news.clone(), news]);
    let splitter = queues.work("splitter", &queues.drops, &["--splitter"]);
    let worker = queues.work("worker", &queues.chunks, &["--workers", "2", "--batch", "2"]);
    queues.wait_until_empty(&queues.drops);
    queues.wait_until_empty(&queues.chunks);
    let status = queues.place.run(&["status", "s3://drops/in/numbers.csv", "--json"]).json();
    assert_eq!(status[0]["state"], "done", "{status}");
    assert_each_once(&queues.place.path("t"), 40_000);
    let (status, report, log) = queues.stop(splitter);
    assert_eq!((status, &report["done"]), (Some(0), &2.into()), "{report} {log}");
    let (status, report, log) = queues.stop(worker);
    assert_eq!((status, &report["rejected"]), (Some(0), &0.into()), "{report} {log}");
    assert!(report["done"].as_u64().unwrap() > 2, "{report} {log}");
}

#[test]
fn a_splitter_that_is_stopped_hands_back_what_it_has_not_begun() {
    let queues = Queues::new();
    let content = std::fs::read(numbered(&queues.place, 20_000)).unwrap();
    let news = ["a", "b", "c"].map(|name| queues.drop_file(&format!("in/{name}.csv"), content.clone()));
    queues.send(&queues.drops, &news);
    let splitter = queues.work("splitter", &queues.drops, &["--splitter", "--batch", "3"]);
    queues.wait_until("a batch of three", || queues.messages(&queues.drops) == (0, 3));
    let (status, report, log) = queues.stop(splitter);
    assert_eq!(status, Some(0), "{log}");
    assert!(report["handed_back"].as_u64().unwrap() >= 1, "{report} {log}");
    let (waiting, in_hand) = queues.messages(&queues.drops);
    assert_eq!(in_hand, 0, "{report} {log}");
    assert!((2..=3).contains(&waiting), "{waiting} {report} {log}");
    let splitter = queues.work("splitter-2", &queues.drops, &["--splitter"]);
    queues.wait_until_empty(&queues.drops);
    assert_eq!(queues.stop(splitter).0, Some(0));
    let worker = queues.work("worker", &queues.chunks, &["--workers", "2"]);
    queues.wait_until_empty(&queues.chunks);
    assert_eq!(queues.stop(worker).0, Some(0));
    assert_eq!(queues.place.rows().num_rows(), 60_000);
}

#[test]
fn a_worker_that_is_stopped_finishes_what_it_has_in_hand() {
    let queues = Queues::new();
    let content = std::fs::read_to_string(numbered(&queues.place, 40_000)).unwrap();
    let tasks = queues.split("numbers.csv", &content);
    queues.send(&queues.chunks, &tasks);
    let worker = queues.work("worker", &queues.chunks, &["--workers", "1"]);
    queues.wait_until("a chunk in hand", || queues.messages(&queues.chunks).1 > 0);
    let (status, report, log) = queues.stop(worker);
    assert_eq!(status, Some(0), "{log}");
    let done = report["done"].as_u64().unwrap();
    let left = u64::try_from(tasks.len()).unwrap() - done;
    assert_eq!(queues.messages(&queues.chunks), (left, 0), "none is lost, none is hidden: {report} {log}");
    let worker = queues.work("worker-2", &queues.chunks, &[]);
    queues.wait_until_empty(&queues.chunks);
    queues.stop(worker);
    assert_each_once(&queues.place.path("t"), 40_000);
}

#[test]
fn what_is_worked_on_for_longer_than_it_is_hidden_stays_in_one_hand() {
    let queues = Queues::new();
    let visibility = Duration::from_secs(4);
    let url = queues.runtime.block_on(queues.emulator.create_queue("short", visibility, Some(("short-dead", 2))));
    queues.send(&url, &queues.split("x.csv", "id\n1\n2\n"));
    let env = queues.emulator.env();
    let endpoint = env.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL").unwrap();
    let gate = Gate::before(&endpoint.1);
    let worker = queues.work_with("worker", &url, &[], &[("AWS_ENDPOINT_URL_S3", &gate.url)]);
    queues.wait_until("a chunk in hand", || queues.messages(&url).1 > 0);
    let other = queues.queue(&url);
    let begun = Instant::now();
    while begun.elapsed() < 2 * visibility {
        assert_eq!(queues.runtime.block_on(other.receive(1, Duration::from_secs(1))).unwrap(), []);
    }
    gate.open();
    queues.wait_until_empty(&url);
    let (status, report, log) = queues.stop(worker);
    assert_eq!((status, &report["done"], &report["retried"]), (Some(0), &1.into(), &0.into()), "{report} {log}");
    assert_eq!(queues.place.rows().num_rows(), 2);
}

#[test]
fn a_message_that_cannot_be_done_dies_alone() {
    let queues = Queues::new();
    let mut tasks = queues.split("x.csv", "id\n1\n2\n");
    tasks.push("no chunk task".to_owned());
    queues.send(&queues.chunks, &tasks);
    let worker = queues.work("worker", &queues.chunks, &["--workers", "1", "--batch", "10"]);
    queues.wait_until("a dead letter", || queues.messages(&queues.dead) == (1, 0));
    let (status, report, log) = queues.stop(worker);
    assert_eq!((status, &report["done"]), (Some(0), &1.into()), "{report} {log}");
    assert_eq!(report["rejected"], MAX_RECEIVES, "{report} {log}");
    let errors = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).count();
    assert_eq!(errors, usize::try_from(MAX_RECEIVES).unwrap(), "one a receive: {log}");
    assert_eq!(queues.messages(&queues.chunks), (0, 0));
    assert_eq!(queues.place.rows().num_rows(), 2);
}

#[test]
fn a_queue_that_is_not_there_is_an_error() {
    let queues = Queues::new();
    let nowhere = queues.chunks.replace("chunks", "nowhere");
    for more in [&[][..], &["--splitter"]] {
        let ran = queues.place.run(&[&["work", "--queue-url", nowhere.as_str()], more].concat());
        assert_eq!(ran.status, 1, "{ran:?}");
        assert!(ran.stderr.contains(&format!("queue {nowhere} does not exist")), "{ran:?}");
    }
}

#[test]
fn a_queue_that_may_not_be_used_is_an_error() {
    let emulator = Emulator::start_with(&[("AUTH", "true")]);
    let queue = emulator.create_queue("chunks", Duration::from_secs(30), None);
    let url = tokio::runtime::Runtime::new().unwrap().block_on(queue);
    let stranger = ("AWS_ACCESS_KEY_ID".to_owned(), "AKIANOBODYKNOWSTHIS0".to_owned());
    let place = Place::with_env(emulator.env().into_iter().chain([stranger]).collect());
    let ran = place.run(&["work", "--queue-url", &url]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains(&format!("not allowed to look into queue {url}")), "{ran:?}");
}

#[test]
fn a_queue_that_does_not_answer_is_waited_for() {
    let env = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_REGION", "eu-central-1")];
    let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let place = Place::with_env(env.into_iter().chain(keys).map(|(n, v)| (n.to_owned(), v.to_owned())).collect());
    let mut command = place.command(&["work", "--queue-url", "http://127.0.0.1:1/0/q"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let failed = |line: &String| line.contains("the queue does not answer");
    let started = Instant::now();
    assert!(lines.any(|line| failed(&line)), "the first failure is told");
    assert!(lines.any(|line| failed(&line)), "it is tried again");
    let asked = Instant::now();
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let more = lines.filter(failed).count();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(more < 20, "{more} more failures in {:?}: it rests in between", started.elapsed());
}

#[test]
fn what_cannot_be_right_is_refused() {
    let place = Place::with_env(account());
    for (args, said) in [
        (&["work"][..], "--queue-url"),
        (&["work", "--queue-url", "chunks"], "a queue is named by its URL"),
        (&["work", "--queue-url", "http://q", "--batch", "11"], "11"),
        (&["work", "--queue-url", "http://q", "--workers", "0"], "0"),
        (&["work", "--queue-url", "http://q", "--splitter"], "CHUNK_BUCKET is not set"),
        (&["dlq", "replay", "--queue-url", "http://q", "--older-than", "1w"], "a time is a whole number"),
        (&["dlq", "replay", "--queue-url", "http://q", "--rate", "501"], "501"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.status, 2, "{args:?} {ran:?}");
        assert!(ran.stderr.contains(said), "{args:?} {ran:?}");
    }
}
