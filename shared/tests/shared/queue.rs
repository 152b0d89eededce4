//! Queues against their contract.

use std::collections::HashSet;
use std::time::Duration;

use shared::testing::{Emulator, queue_contract};
use shared::{MemoryQueue, Queue};

#[tokio::test]
async fn memory_keeps_the_contract() {
    let visibility = Duration::from_secs(1);
    let queue = MemoryQueue::new(visibility, 4);
    let dead_letters = async || queue.dead_letters().into_iter().map(|message| message.body).collect();
    queue_contract(&queue, visibility, 4, dead_letters).await;
    assert!(queue.is_empty());
}

#[tokio::test]
async fn sqs_keeps_the_contract() {
    let emulator = Emulator::start();
    let visibility = Duration::from_secs(3);
    let dead = emulator.create_queue("dead", Duration::from_mins(10), None).await;
    let url = emulator.create_queue("live", visibility, Some(("dead", 4))).await;
    let (queue, dead) = (emulator.sqs(&url).await, emulator.sqs(&dead).await);
    let dead_letters = async || {
        let received = dead.receive(10, Duration::ZERO).await.unwrap();
        received.into_iter().map(|message| message.body).collect()
    };
    queue_contract(&queue, visibility, 4, dead_letters).await;
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_named() {
    let emulator = Emulator::start();
    let url = format!("{}/000000000000/nowhere", emulator.endpoint());
    let queue = emulator.sqs(&url).await;
    let error = queue.send(&["x".to_owned()]).await.unwrap_err();
    let text = shared::error_chain(&error);
    assert!(text.contains(&url) && text.contains("NonExistentQueue"), "{text}");
}

#[tokio::test]
async fn large_bodies_are_sent_in_batches_that_sqs_takes() {
    let emulator = Emulator::start();
    let queue = emulator.sqs(&emulator.create_queue("large", Duration::from_mins(1), None).await).await;
    let bodies: Vec<String> = (0..12).map(|number| format!("{number:02}").repeat(100 << 10)).collect();
    queue.send(&bodies).await.unwrap();
    let mut seen = HashSet::new();
    while seen.len() < bodies.len() {
        let batch = queue.receive(10, Duration::from_secs(5)).await.unwrap();
        assert!(!batch.is_empty(), "messages are missing");
        seen.extend(batch.into_iter().map(|message| message.body));
    }
    assert_eq!(seen, bodies.into_iter().collect());
}
