//! A topic is notified of each job that is done.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use shared::testing::Emulator;
use shared::{Message, Queue, SqsQueue};
use tokio::runtime::Runtime;

use crate::support::Place;

/// A topic that a queue takes all notices from; its ARN, and the queue.
async fn topic(emulator: &Emulator) -> (String, SqsQueue) {
    let config = emulator.sdk_config().await;
    let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
    let url = emulator.create_queue("notices", Duration::from_secs(30), None).await;
    let queue = SqsQueue::new(&config, &url);
    let queue_arn = queue.attributes().await.unwrap().arn;
    let statement = json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": queue_arn});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let policy = HashMap::from([(QueueAttributeName::Policy, policy)]);
    sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(policy)).send().await.unwrap();
    let arn = sns.create_topic().name("loaded").send().await.unwrap().topic_arn.unwrap();
    sns.subscribe().topic_arn(&arn).protocol("sqs").endpoint(queue_arn).send().await.unwrap();
    (arn, queue)
}

async fn received(queue: &SqsQueue) -> Vec<Message> {
    queue.receive(10, Duration::from_secs(1)).await.unwrap()
}

#[test]
fn a_job_that_is_done_is_told_of_once() {
    let (emulator, runtime) = (Emulator::start(), Runtime::new().unwrap());
    let (arn, queue) = runtime.block_on(topic(&emulator));
    let with = |arn: &str| {
        Place::with_env([emulator.env(), vec![("COMPLETION_TOPIC_ARN".to_owned(), arn.to_owned())]].concat())
    };
    let place = with(&arn);
    let source = place.write("x.csv", "id\n1\n2\n");
    let job = place.ingest(&source, &[])["job_id"].as_str().unwrap().to_owned();
    let notices = runtime.block_on(received(&queue));
    assert_eq!(notices.len(), 1);
    let envelope: Value = serde_json::from_str(&notices[0].body).unwrap();
    let notice: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(envelope["Subject"], json!(format!("Sluice: 2 rows loaded, 0 rejected, job {job}")));
    assert_eq!(envelope["MessageAttributes"]["job_id"]["Value"], json!(job));
    assert_eq!((&notice["job_id"], &notice["rows"]["committed"]), (&json!(job), &json!(2)));
    assert!(place.path(&format!("t/_sluice/{job}/noticed.json")).exists());

    for again in
        [&["ingest", "x.csv", "--table", "t"][..], &["status", &job, "--table", "t"], &["maintain", "--table", "t"]]
    {
        assert_eq!(place.run(again).status, 0, "{again:?}");
    }
    assert_eq!(runtime.block_on(received(&queue)), []);
    std::fs::remove_file(place.path(&format!("t/_sluice/{job}/noticed.json"))).unwrap();
    // Whoever wrote the receipt has had the time to send the notice.
    let receipt = std::fs::File::open(place.path(&format!("t/_sluice/{job}/receipt.json"))).unwrap();
    receipt.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(1)).unwrap();
    let maintained = place.run(&["maintain", "--table", "t"]);
    assert!(maintained.stdout.contains("made good    1 job\n"), "{maintained:?}");
    assert_eq!(runtime.block_on(received(&queue)).len(), 1);
}
