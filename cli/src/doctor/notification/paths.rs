//! Which buckets lead to the events queue, as the policies on the way say.

use shared::Location;

use super::super::aws::{Aws, Refusal, name};
use super::super::findings::{Finding, Subject};
use super::super::policy::{Sender, senders};
use super::super::queues::Queue;

/// A bucket, and whom it has to tell of drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeliveryPath {
    pub(super) bucket: String,
    pub(super) via: Via,
    /// Where files are dropped, when that was said.
    pub(super) prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// ARN of a queue or a topic.
    Target(String),
    EventBridge,
}

impl DeliveryPath {
    /// The queue or topic.
    pub(super) fn target(&self) -> Option<&str> {
        match &self.via {
            Via::Target(arn) => Some(arn),
            Via::EventBridge => None,
        }
    }
}

/// All paths to the queue; of a source that is told, only those that begin there.
pub(super) async fn find(
    aws: &Aws,
    queue: &Queue,
    source: Option<&Location>,
    findings: &mut Vec<Finding>,
) -> Vec<DeliveryPath> {
    let subject = Subject::new("policy", queue.name());
    let senders = senders(&queue.policy, "sqs:SendMessage");
    findings.extend(judge_senders(&subject, &senders));
    let mut paths = Vec::new();
    // Whom a bucket that no policy names has to tell.
    let mut via = Via::Target(queue.arn.clone());
    for sender in &senders {
        match sender {
            Sender::Bucket(bucket) => paths.push(DeliveryPath::new(bucket, &Via::Target(queue.arn.clone()))),
            Sender::Topic(topic) => {
                via = Via::Target(topic.clone());
                let buckets = check_topic(aws, queue, topic, findings).await;
                paths.extend(buckets.iter().map(|bucket| DeliveryPath::new(bucket, &via)));
            }
            Sender::Rule(_) => via = Via::EventBridge,
            Sender::Any(_) => {}
        }
    }
    if let Some(source) = source {
        paths.retain(|path| path.bucket == source.bucket());
        if paths.is_empty() {
            paths.push(DeliveryPath::new(source.bucket(), &via));
        }
        for path in &mut paths {
            path.prefix = Some(source.key().to_owned());
        }
    } else if paths.is_empty() && !senders.is_empty() {
        let hint = "name the place where files are dropped: --source s3://bucket/prefix";
        findings.push(Subject::new("notification", queue.name()).unknown("no policy names the bucket", hint));
    }
    paths
}

impl DeliveryPath {
    fn new(bucket: &str, via: &Via) -> Self {
        Self { bucket: bucket.to_owned(), via: via.clone(), prefix: None }
    }
}

/// Whether anybody may send notifications, and nobody but those that are meant.
fn judge_senders(subject: &Subject, senders: &[Sender]) -> Vec<Finding> {
    if senders.is_empty() {
        let says = "neither S3, SNS nor EventBridge may send to it: no drop is ever heard of";
        return vec![
            subject.problem(says, "allow sqs:SendMessage to the service that notifies it: run terraform apply"),
        ];
    }
    let judge = |sender: &Sender| match sender {
        Sender::Bucket(bucket) => subject.ok(format!("bucket {bucket} may send")),
        Sender::Topic(topic) => subject.ok(format!("topic {} may send", name(topic))),
        Sender::Rule(rule) => subject.ok(format!("rule {} may send", name(rule))),
        Sender::Any(who) => subject.warning(
            format!("{who} may send, for whatever bucket: anybody's"),
            "ask for aws:SourceArn in the statement's condition: run terraform apply",
        ),
    };
    senders.iter().map(judge).collect()
}

/// Looks at a topic and its subscription; gives the buckets that may publish to it.
async fn check_topic(aws: &Aws, queue: &Queue, topic: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    let subject = Subject::new("policy", format!("topic {}", name(topic)));
    let attributes = match aws.sns.get_topic_attributes().topic_arn(topic).send().await {
        Ok(found) => found.attributes.unwrap_or_default(),
        Err(error) => {
            let refusal = Refusal::new("sns:GetTopicAttributes", &error);
            let missing = || subject.problem("there is no such topic", "run terraform apply, which makes it");
            findings.push(if refusal.is_missing() { missing() } else { refusal.finding(&subject) });
            return Vec::new();
        }
    };
    findings.push(check_subscription(aws, queue, topic).await);
    let policy = attributes.get("Policy").map(String::as_str).unwrap_or_default();
    let buckets: Vec<String> = senders(policy, "sns:Publish")
        .into_iter()
        .filter_map(|sender| if let Sender::Bucket(bucket) = sender { Some(bucket) } else { None })
        .collect();
    findings.push(match buckets.as_slice() {
        [] => {
            let hint = "allow sns:Publish to s3.amazonaws.com, with the bucket as aws:SourceArn: run terraform apply";
            subject.problem("it names no bucket that may publish", hint)
        }
        buckets => subject.ok(format!("bucket {} may publish", buckets.join(", "))),
    });
    buckets
}

async fn check_subscription(aws: &Aws, queue: &Queue, topic: &str) -> Finding {
    let subject = Subject::new("subscription", format!("topic {}", name(topic)));
    let list = aws.sns.list_subscriptions_by_topic().topic_arn(topic).into_paginator().items();
    let all = match list.send().collect::<Result<Vec<_>, _>>().await {
        Ok(all) => all,
        Err(error) => return Refusal::new("sns:ListSubscriptionsByTopic", &error).finding(&subject),
    };
    let ours = all.iter().find(|one| one.protocol() == Some("sqs") && one.endpoint() == Some(&queue.arn));
    judge_subscription(&subject, queue.name(), ours.map(|one| one.subscription_arn().unwrap_or_default()))
}

fn judge_subscription(subject: &Subject, queue: &str, arn: Option<&str>) -> Finding {
    match arn {
        None => {
            subject.problem(format!("{queue} does not subscribe to it"), "run terraform apply, which subscribes it")
        }
        Some("PendingConfirmation") => subject.problem(
            format!("the subscription of {queue} waits to be confirmed"),
            "have the owner of the queue subscribe it, or confirm by the link in the message that waits there",
        ),
        Some(_) => subject.ok(format!("{queue} subscribes to it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions() {
        let subject = Subject::new("subscription", "t");
        let line = |arn| judge_subscription(&subject, "q", arn).text().lines().next().map(str::to_owned);
        for (arn, says) in [
            (None, "problem  subscription of t: q does not subscribe to it"),
            (Some("PendingConfirmation"), "problem  subscription of t: the subscription of q waits to be confirmed"),
            (Some("arn:aws:sns:r:1:t:5"), "ok       subscription of t: q subscribes to it"),
        ] {
            assert_eq!(line(arn).as_deref(), Some(says));
        }
    }

    #[test]
    fn those_who_may_send() {
        let subject = Subject::new("policy", "q");
        let lines = |senders: &[Sender]| -> Vec<String> {
            judge_senders(&subject, senders)
                .iter()
                .filter_map(|one| one.text().lines().next().map(str::to_owned))
                .collect()
        };
        let text = ToOwned::to_owned;
        for (sender, says) in [
            (Sender::Bucket(text("b")), "ok       policy of q: bucket b may send"),
            (Sender::Topic(text("arn:aws:sns:r:1:t")), "ok       policy of q: topic t may send"),
            (Sender::Rule(text("arn:aws:events:r:1:rule/x")), "ok       policy of q: rule x may send"),
            (
                Sender::Any(text("s3.amazonaws.com")),
                "warning  policy of q: s3.amazonaws.com may send, for whatever bucket: anybody's",
            ),
        ] {
            assert_eq!(lines(&[sender]), [says]);
        }
        assert_eq!(
            lines(&[]),
            ["problem  policy of q: neither S3, SNS nor EventBridge may send to it: no drop is ever heard of"]
        );
    }
}
