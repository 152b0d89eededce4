//! Invocations that stop before their object is split: the next one resumes.

use std::time::Duration;

use serde_json::json;
use shared::Queue;
use splitter::handle_within;
use tokio_util::sync::CancellationToken;

use super::{World, batch, failures, many};

/// A world that is told to stop when it has noted its first chunk, and the token of that.
fn world_that_stops() -> World {
    let stop = CancellationToken::new();
    let hook = stop.clone();
    let mut world = World::with_hook(move |method, at| {
        if method == "put" && at.name() == "checkpoint.json" {
            hook.cancel();
        }
    });
    world.context.split.stop = stop;
    world
}

#[tokio::test]
async fn a_stopped_job_resumes_and_makes_the_same_chunks() {
    let whole = World::new();
    whole.put("a.csv", many()).await;
    let event = whole.event("a.csv").await;
    assert!(whole.failures(&[("m", &event)]).await.is_empty());
    let expected = whole.sent().await;

    let mut world = world_that_stops();
    world.put("a.csv", many()).await;
    let other = json!({"s3_bucket": "drops", "s3_object_key": "never begun"}).to_string();
    assert_eq!(world.failures(&[("m", &event), ("other", &other)]).await, ["m", "other"]);
    // The next chunk may have been complete by then.
    let sent = world.sent().await;
    assert!((1..=2).contains(&sent.len()) && expected.len() > 2, "{sent:?}");
    assert_eq!(sent, expected[..sent.len()]);
    world.context.split.stop = CancellationToken::new();
    assert!(world.failures(&[("m", &event)]).await.is_empty());
    assert_eq!(world.sent().await, expected[sent.len()..]);
}

#[tokio::test]
async fn a_stopped_job_that_came_further_is_handed_over() {
    let mut world = world_that_stops();
    world.context.source_queue = Some(world.source_queue.clone());
    world.put("a.csv", many()).await;
    let event = world.event("a.csv").await;
    assert!(world.failures(&[("m", &event)]).await.is_empty());
    let handed_over = world.source_queue.receive(10, Duration::ZERO).await.unwrap();
    assert_eq!(handed_over.iter().map(|message| &message.body).collect::<Vec<_>>(), [&event]);
    // Told to stop before it came any further, it uses up a receive: a job that never advances must not go round for ever.
    assert_eq!(world.failures(&[("n", &event)]).await, ["n"]);
    assert_eq!(world.source_queue.len(), 1);
}

#[tokio::test]
async fn stops_ahead_of_the_end_of_the_invocation() {
    let world = World::new();
    world.put("a.csv", many()).await;
    let event = world.event("a.csv").await;
    let answer = handle_within(&world.context, batch(&[("m", &event)]), Duration::ZERO).await.unwrap();
    assert_eq!(failures(&answer), ["m"]);
    let answer = handle_within(&world.context, batch(&[("m", &event)]), Duration::from_mins(10)).await.unwrap();
    assert!(failures(&answer).is_empty());
    assert!(!world.context.split.stop.is_cancelled());
}
