//! Functions that are killed over a message: what the dead letter says.

use std::sync::Arc;
use std::time::Duration;

use shared::{Failure, Location, Memory, Message, Queue, Requeue, Storage};

use crate::queues::Queues;

/// Receives the one message of a queue, as often as it takes, and leaves it unanswered.
fn receive(queues: &Queues, url: &str) -> Message {
    let queue = queues.queue(url);
    let received = std::cell::OnceCell::new();
    queues.wait_until("a message", || {
        let one = queues.runtime.block_on(queue.receive(1, Duration::from_secs(1))).unwrap();
        for message in one {
            drop(received.set(message));
        }
        received.get().is_some()
    });
    received.into_inner().unwrap()
}

#[test]
fn a_dead_letter_says_what_its_functions_were_killed_over() {
    let queues = Queues::new();
    let create = |name: &'static str, dead: &'static str, most| {
        let created = queues.emulator.create_queue(name, Duration::from_secs(2), Some((dead, most)));
        queues.runtime.block_on(created)
    };
    let (url, prefix): (String, Location) = (create("short", "short-dead", 2), "s3://chunks/sluice".parse().unwrap());
    let storage: Arc<dyn Storage> = Arc::new(queues.runtime.block_on(queues.emulator.s3()));
    let tasks = queues.split("x.csv", "id\n1\n2\n");
    queues.send(&url, &tasks);
    // What a function does before it loads; none of these lives to answer.
    let requeue = Requeue::new(None, Arc::clone(&storage), Some(prefix.clone()));
    for receives in 1..=2 {
        let message = receive(&queues, &url);
        assert_eq!(message.receive_count, receives);
        let (memory, left) = (Memory::of_mb(300), Some(Duration::from_secs(290)));
        queues.runtime.block_on(requeue.begin(&[message], worker::loading(1), &memory, left));
    }
    queues.wait_until("the dead letter", || {
        let received = queues.runtime.block_on(queues.queue(&url).receive(1, Duration::from_secs(1))).unwrap();
        assert_eq!(received, []);
        queues.messages(&url) == (0, 0)
    });
    let dead = url.replace("short", "short-dead");
    let listed = queues.place.run(&["dlq", "list", "--queue-url", &dead, "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    let said = listed.stdout;
    assert!(said.contains("killed twice while loading chunk 0 of job x-"), "{said}");
    assert!(said.contains("(2 rows, 1 MiB), the last time at receive 2 with MEMORY_MB=300 and 290 s left"), "{said}");
    // A worker that comes after one that was killed, and is done, says so.
    let url = create("later", "later-dead", 9);
    queues.send(&url, &tasks);
    let killed = receive(&queues, &url);
    let service = queues.work("worker", &url, &[]);
    queues.wait_until_empty(&url);
    assert_eq!(queues.stop(service).0, Some(0));
    let noted = queues.runtime.block_on(Failure::of(storage.as_ref(), &prefix, &killed.id)).unwrap().unwrap();
    assert_eq!((noted.last_error.as_str(), noted.unfinished), ("none: it was done at receive 2", None));
    assert_eq!(queues.place.rows().num_rows(), 2);
}
