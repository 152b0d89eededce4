//! Messages that lie, sent to the real worker by a real queue.

use serde_json::{Value, json};

use crate::queues::Queues;

#[test]
fn messages_that_lie_are_dead_letters_with_a_reason() {
    let queues = Queues::new();
    let tasks = queues.split("x.csv", "id\n1\n2\n");
    let task: Value = serde_json::from_str(&tasks[0]).unwrap();
    let worker = queues.work("worker", &queues.chunks, &["--batch", "10"]);
    queues.send(&queues.chunks, &tasks);
    queues.wait_until_empty(&queues.chunks);
    let change = |field: &str, value: Value| {
        let mut task = task.clone();
        match task.get(field) {
            Some(_) => task[field] = value,
            None => task["chunk"][field] = value,
        }
        task
    };
    let bare = |bucket: &str, key: &str| json!({ "s3_bucket": bucket, "s3_object_key": key });
    let key = task["s3_object_key"].as_str().unwrap();
    let data_file = queues.place.files().remove(0);
    let lies = [
        (bare("chunks", key), "from where chunks are loaded by their own tasks"),
        (bare("file://", data_file.to_str().unwrap()), "it is a file of this machine"),
        (bare("file://", "/proc/self/environ"), "it is a file of this machine"),
        (change("index", json!(99)), "it is not chunk 99 of its job"),
        (change("rows", json!(3)), "its task says 3 rows"),
        (change("job_id", json!("other")), "work areas of this deployment lie in"),
        (change("s3_object_key", json!(key.replace("sluice/", "sluice/zz/"))), "work areas of this deployment lie in"),
        (change("s3_bucket", json!("drops")), "work areas of this deployment lie in"),
        (change("s3_bucket", json!("file://")), "it is a file of this machine"),
    ];
    queues.send(&queues.chunks, &lies.each_ref().map(|(lie, _)| lie.to_string()));
    let all = u64::try_from(lies.len()).unwrap();
    queues.wait_until("all of them among the dead letters", || queues.messages(&queues.dead) == (all, 0));
    let (status, report, log) = queues.stop(worker);
    assert_eq!((status, &report["done"]), (Some(0), &1.into()), "{report} {log}");
    for (lie, said) in lies {
        assert!(log.contains(said), "{lie}: {log}");
    }
    assert_eq!(queues.place.rows().num_rows(), 2);
    let listed = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead, "--json"]);
    assert!(listed.stdout.contains("who sent this message?"), "{listed:?}");
}
