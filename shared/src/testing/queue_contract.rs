//! What every queue promises.

#![expect(clippy::expect_used, reason = "a broken promise is to fail the test that asked")]

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::queue::{Message, Queue, ReceiptHandle};

/// Longest wait for a message that has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time that a queue may take beyond the visibility until it gives a message again.
const MARGIN: Duration = Duration::from_millis(500);

/// Holds a queue to the promises of [`Queue`]: one that is empty, hides a received message for `visibility` (a second or
/// more, since the steps between have to fit) and lets it die after `max_receives` (4 or more). `dead_letters` gives the
/// bodies of the dead letters, or of those that it has not given yet. Takes twice the visibility.
///
/// # Panics
///
/// When a promise is broken.
pub async fn queue_contract(
    queue: &dyn Queue,
    visibility: Duration,
    max_receives: u32,
    dead_letters: impl AsyncFn() -> Vec<String>,
) {
    nothing_comes_from_an_empty_queue(queue).await;
    what_is_sent_comes_until_it_is_acknowledged(queue, visibility).await;
    a_message_comes_while_it_is_waited_for(queue).await;
    a_message_that_nobody_acknowledges_dies(queue, max_receives, dead_letters).await;
    // Long enough for everything that was acknowledged to come back, were it still there.
    sleep(visibility + MARGIN).await;
    assert_silent(queue).await;
}

async fn nothing_comes_from_an_empty_queue(queue: &dyn Queue) {
    queue.send(&[]).await.expect("sending nothing");
    queue.acknowledge(&[]).await.expect("acknowledging nothing");
    assert_silent(queue).await;
    let begun = Instant::now();
    assert_eq!(queue.receive(1, Duration::from_secs(1)).await.expect("receive"), []);
    assert!(begun.elapsed() > Duration::from_millis(900), "the wait took {:?}", begun.elapsed());
}

async fn assert_silent(queue: &dyn Queue) {
    assert_eq!(queue.receive(10, Duration::ZERO).await.expect("receive"), []);
}

/// As many messages as have to come, and not one more.
async fn receive_all(queue: &dyn Queue, count: usize) -> Vec<Message> {
    let begun = Instant::now();
    let mut received = Vec::new();
    while received.len() < count && begun.elapsed() < PATIENCE {
        let batch = queue.receive(10, Duration::from_secs(1)).await.expect("receive");
        assert!(batch.len() <= 10, "{} messages at once", batch.len());
        received.extend(batch);
    }
    assert_eq!(received.len(), count);
    let ids: HashSet<_> = received.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), count, "each comes once");
    assert_silent(queue).await;
    received.sort_by(|a, b| a.body.cmp(&b.body));
    received
}

async fn receive_one(queue: &dyn Queue) -> Message {
    receive_all(queue, 1).await.pop().expect("one message")
}

fn receipts(messages: &[Message]) -> Vec<ReceiptHandle> {
    messages.iter().map(|message| message.receipt.clone()).collect()
}

async fn what_is_sent_comes_until_it_is_acknowledged(queue: &dyn Queue, visibility: Duration) {
    // More than two batches of SQS; sorted as text.
    let bodies: Vec<String> = (0..23).map(|number| format!("{{\"number\":\"{number:02} é\"}}")).collect();
    queue.send(&bodies).await.expect("send");
    let first = receive_all(queue, bodies.len()).await;
    assert_eq!(first.iter().map(|message| message.body.clone()).collect::<Vec<_>>(), bodies);
    assert!(first.iter().all(|message| message.receive_count == 1), "{first:?}");

    // Of five, three are done with, one takes longer, and one is given back at once.
    let [done @ .., long, returned] = first.get(..5).expect("23 messages") else { unreachable!("these are five") };
    queue.acknowledge(&receipts(done)).await.expect("acknowledge");
    queue.hide(&long.receipt, visibility * 3).await.expect("hide");
    queue.hide(&returned.receipt, Duration::ZERO).await.expect("hide");
    let again = receive_one(queue).await;
    assert_eq!((&again.id, &again.body, again.receive_count), (&returned.id, &returned.body, 2));

    sleep(visibility + MARGIN).await;
    let second = receive_all(queue, 19).await;
    for message in &second {
        let before = first.iter().find(|before| before.id == message.id).expect("it came before");
        assert_eq!(message.body, before.body);
        assert_eq!(message.receive_count, if message.id == returned.id { 3 } else { 2 });
        assert_ne!(message.receipt, before.receipt, "each receive has its own receipt");
        assert_ne!(message.id, long.id, "it was hidden for longer");
        assert!(done.iter().all(|done| done.id != message.id), "an acknowledged message came back");
    }
    stale_receipts_are_harmless(queue, done, &first, &second).await;

    queue.hide(&long.receipt, Duration::ZERO).await.expect("hide");
    let long = receive_one(queue).await;
    queue.acknowledge(&receipts(&second)).await.expect("acknowledge");
    queue.acknowledge(&[long.receipt]).await.expect("acknowledge");
}

/// Receipts of messages that are gone, and of an earlier receive of those that were received again.
async fn stale_receipts_are_harmless(queue: &dyn Queue, gone: &[Message], first: &[Message], second: &[Message]) {
    queue.acknowledge(&receipts(gone)).await.expect("acknowledging twice");
    let mut stale: Vec<_> = gone.iter().collect();
    stale.extend(second.iter().filter_map(|message| first.iter().find(|before| before.id == message.id)).take(2));
    for message in stale {
        queue.hide(&message.receipt, Duration::ZERO).await.expect("hiding by a stale receipt");
        queue.acknowledge(std::slice::from_ref(&message.receipt)).await.expect("acknowledging by a stale receipt");
    }
    assert_silent(queue).await;
}

async fn a_message_comes_while_it_is_waited_for(queue: &dyn Queue) {
    let begun = Instant::now();
    let send = async {
        sleep(Duration::from_millis(200)).await;
        queue.send(&["late".to_owned()]).await.expect("send");
    };
    let (received, ()) = tokio::join!(queue.receive(10, PATIENCE), send);
    let received = received.expect("receive");
    assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["late"]);
    assert!(begun.elapsed() < PATIENCE, "a receive ends when a message comes");
    queue.acknowledge(&receipts(&received)).await.expect("acknowledge");
}

async fn a_message_that_nobody_acknowledges_dies(
    queue: &dyn Queue,
    max_receives: u32,
    dead_letters: impl AsyncFn() -> Vec<String>,
) {
    queue.send(&["doomed".to_owned(), "saved".to_owned()]).await.expect("send");
    for count in 1..=max_receives {
        assert_eq!(dead_letters().await, Vec::<String>::new(), "after {} receives", count - 1);
        let received = receive_all(queue, 2).await;
        assert!(received.iter().all(|message| message.receive_count == count), "{received:?}");
        for message in &received {
            if count == max_receives && message.body == "saved" {
                queue.acknowledge(std::slice::from_ref(&message.receipt)).await.expect("acknowledge");
            } else {
                queue.hide(&message.receipt, Duration::ZERO).await.expect("hide");
            }
        }
    }
    assert_silent(queue).await;
    let begun = Instant::now();
    let mut dead = dead_letters().await;
    while dead.is_empty() && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50)).await;
        dead = dead_letters().await;
    }
    assert_eq!(dead, ["doomed"]);
}
