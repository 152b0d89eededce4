//! The two queues, what calls the functions from them, and their dead letters.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::aws::{Aws, Refusal, name};
use super::findings::{Finding, Subject};
use super::functions::Functions;
use super::functions::function::Function;
use super::mappings::{self, Mapping};

const DAY_SECONDS: u64 = 86_400;

/// What SQS keeps a message for at most.
const LONGEST_RETENTION: u64 = 14 * DAY_SECONDS;

/// Fewer receives, and throttling alone makes dead letters.
const LEAST_RECEIVES: u64 = 5;

/// A queue as it is set up.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) arn: String,
    visibility_seconds: u64,
    pub(super) retention_seconds: u64,
    redrive: Option<Redrive>,
    /// Queues whose dead letters it takes, when it does not take all.
    takes_from: Option<Vec<String>>,
    visible: u64,
    pub(super) policy: String,
    /// ARN of the key that its messages are under.
    pub(super) key: Option<String>,
}

#[derive(Clone, Debug)]
struct Redrive {
    to: String,
    max_receives: u64,
}

/// The queues that are there.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) events: Option<Queue>,
    pub(super) chunks: Option<Queue>,
    /// How long a chunk task is kept at most, as a dead letter too.
    pub(super) chunks_kept_seconds: u64,
}

impl Queue {
    pub(super) fn new(url: &str, attributes: &HashMap<QueueAttributeName, String>) -> Self {
        use QueueAttributeName as Name;
        let text = |name: Name| attributes.get(&name).map(String::as_str).unwrap_or_default();
        let number = |name: Name| text(name).parse().unwrap_or_default();
        let redrive = serde_json::from_str::<Value>(text(Name::RedrivePolicy)).ok().and_then(|policy| {
            let count = policy.get("maxReceiveCount")?;
            let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
            Some(Redrive { to: policy.get("deadLetterTargetArn")?.as_str()?.to_owned(), max_receives: count })
        });
        Self {
            url: url.to_owned(),
            arn: text(Name::QueueArn).to_owned(),
            visibility_seconds: number(Name::VisibilityTimeout),
            retention_seconds: number(Name::MessageRetentionPeriod),
            redrive,
            takes_from: takes_from(text(Name::RedriveAllowPolicy)),
            visible: number(Name::ApproximateNumberOfMessages),
            policy: text(Name::Policy).to_owned(),
            key: Some(text(Name::KmsMasterKeyId)).filter(|key| key.starts_with("arn:")).map(str::to_owned),
        }
    }

    pub(super) fn name(&self) -> &str {
        name(&self.arn)
    }
}

fn takes_from(policy: &str) -> Option<Vec<String>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    match policy.get("redrivePermission")?.as_str()? {
        "denyAll" => Some(Vec::new()),
        "byQueue" => {
            let arns = policy.get("sourceQueueArns")?.as_array()?.iter();
            Some(arns.filter_map(|arn| arn.as_str().map(str::to_owned)).collect())
        }
        _ => None,
    }
}

/// Looks at both queues, with what calls the functions from them.
pub(super) async fn check(aws: &Aws, functions: &Functions, findings: &mut Vec<Finding>) -> Queues {
    let (source, chunk) = (functions.source_queue_url(), functions.chunk_queue_url());
    let (events, _) = check_one(aws, functions.splitter.as_ref(), source, findings).await;
    let (chunks, chunks_kept_seconds) = check_one(aws, functions.worker.as_ref(), chunk, findings).await;
    Queues { events, chunks, chunks_kept_seconds }
}

/// The queue of one function, which its environment or its mapping names; with how long its messages are kept.
async fn check_one(
    aws: &Aws,
    function: Option<&Function>,
    url: Option<String>,
    findings: &mut Vec<Finding>,
) -> (Option<Queue>, u64) {
    let mapped = match function {
        Some(function) => mappings::look(aws, function, findings).await,
        None => None,
    };
    let arn = mapped.iter().flatten().next().map(|mapping| mapping.queue.clone());
    let queue = match (url, arn) {
        (Some(url), _) => find("queue", &url, look(aws, &url).await, findings),
        (None, Some(arn)) => find("queue", &arn, look_by_arn(aws, &arn).await, findings),
        (None, None) => None,
    };
    if let (Some(function), Some(mapped)) = (function, &mapped) {
        findings.extend(mappings::judge(
            function.part,
            &function.name,
            mapped,
            queue.as_ref().map(|queue| queue.arn.as_str()),
        ));
    }
    let Some(queue) = queue else { return (None, 0) };
    if let Some(function) = function {
        let window = mapped.iter().flatten().map(|mapping: &Mapping| mapping.window_seconds).max();
        findings.push(judge_visibility(&queue, function, window.unwrap_or_default()));
    }
    findings.push(judge_redrive(&queue));
    let mut kept = queue.retention_seconds;
    if let Some(redrive) = &queue.redrive {
        let dead = look_by_arn(aws, &redrive.to).await;
        if let Some(dead) = find("dead letters", &redrive.to, dead, findings) {
            kept = kept.max(dead.retention_seconds);
            findings.extend(judge_dead(&queue, &dead));
        }
    }
    (Some(queue), kept)
}

/// The queue, or the finding that says why there is none.
fn find(check: &'static str, of: &str, looked: Result<Queue, Refusal>, findings: &mut Vec<Finding>) -> Option<Queue> {
    let subject = Subject::new(check, name(of));
    match looked {
        Ok(queue) => return Some(queue),
        Err(refusal) if refusal.is_missing() => {
            findings.push(subject.problem("there is no such queue", "run terraform apply, which makes it"));
        }
        Err(refusal) => findings.push(refusal.finding(&subject)),
    }
    None
}

async fn look(aws: &Aws, url: &str) -> Result<Queue, Refusal> {
    let get = aws.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let found = get.send().await.map_err(|error| Refusal::new("sqs:GetQueueAttributes", &error))?;
    Ok(Queue::new(url, &found.attributes.unwrap_or_default()))
}

async fn look_by_arn(aws: &Aws, arn: &str) -> Result<Queue, Refusal> {
    let account = arn.split(':').nth(4).map(str::to_owned);
    let get = aws.sqs.get_queue_url().queue_name(name(arn)).set_queue_owner_aws_account_id(account);
    let found = get.send().await.map_err(|error| Refusal::new("sqs:GetQueueUrl", &error))?;
    look(aws, found.queue_url().unwrap_or_default()).await
}

/// A message that comes again while it is worked on is worked on twice.
fn judge_visibility(queue: &Queue, function: &Function, window_seconds: u64) -> Finding {
    let Function { part, timeout_seconds: timeout, .. } = function;
    let (subject, visibility) = (Subject::new("visibility", queue.name()), queue.visibility_seconds);
    let advised = 6 * timeout + window_seconds;
    let hint =
        format!("set it to {advised} s, six times {part}_timeout_seconds and the batch window: run terraform apply");
    if visibility < *timeout {
        let says = format!(
            "{visibility} s, less than the {timeout} s of the {part}: a message comes again while it is worked on"
        );
        subject.problem(says, hint)
    } else if visibility < advised {
        let says = format!(
            "{visibility} s, less than six times the {timeout} s of the {part}: throttled calls use up receives"
        );
        subject.warning(says, hint)
    } else {
        subject.ok(format!("{visibility} s for the {timeout} s of the {part}"))
    }
}

fn judge_redrive(queue: &Queue) -> Finding {
    let subject = Subject::new("redrive", queue.name());
    match &queue.redrive {
        None => subject.problem(
            "there is no redrive policy: a message that cannot be done comes again until it expires, and is lost",
            "give it a queue of dead letters: run terraform apply",
        ),
        Some(Redrive { max_receives, .. }) if *max_receives < LEAST_RECEIVES => subject.warning(
            format!("{} until a message is a dead letter: throttling alone can make one", receives(*max_receives)),
            format!("set max_receive_count to {LEAST_RECEIVES} or more"),
        ),
        Some(Redrive { to, max_receives }) => subject.ok(format!("to {} after {}", name(to), receives(*max_receives))),
    }
}

fn receives(count: u64) -> String {
    crate::numbers::counted(count, "receive")
}

fn judge_dead(queue: &Queue, dead: &Queue) -> Vec<Finding> {
    vec![judge_taking(queue, dead), judge_retention(queue, dead), judge_letters(dead)]
}

fn judge_taking(queue: &Queue, dead: &Queue) -> Finding {
    let subject = Subject::new("redrive", dead.name());
    match &dead.takes_from {
        Some(sources) if !sources.contains(&queue.arn) => subject.problem(
            format!("its redrive allow policy lets no dead letters of {} in", queue.name()),
            format!("add {} to sourceQueueArns: run terraform apply", queue.arn),
        ),
        _ => subject.ok(format!("takes dead letters of {}", queue.name())),
    }
}

/// The time of a dead letter runs from when it was first sent.
fn judge_retention(queue: &Queue, dead: &Queue) -> Finding {
    let subject = Subject::new("retention", dead.name());
    let days = |seconds: u64| crate::numbers::counted(seconds / DAY_SECONDS, "day");
    let (kept, before) = (days(dead.retention_seconds), days(queue.retention_seconds));
    if dead.retention_seconds < queue.retention_seconds {
        let says =
            format!("{kept} from the first sending, and {} keeps {before}: a letter may be gone at once", queue.name());
        subject.problem(says, "set message_retention_seconds to 1209600, 14 days: run terraform apply")
    } else if dead.retention_seconds < LONGEST_RETENTION {
        let says = format!("{kept}, and 14 are possible: that is the time there is to fix the cause");
        subject.warning(says, "set message_retention_seconds to 1209600: run terraform apply")
    } else {
        subject.ok(kept)
    }
}

fn judge_letters(dead: &Queue) -> Finding {
    let subject = Subject::new("dead letters", dead.name());
    match dead.visible {
        0 => subject.ok("none"),
        count => subject.warning(
            format!("{} failed too often", crate::numbers::counted(count, "message")),
            format!("look: sluice dlq list --queue-url {}", dead.url),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(attributes: &[(QueueAttributeName, &str)]) -> Queue {
        let all = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned()));
        let arn = (QueueAttributeName::QueueArn, "arn:aws:sqs:r:1:q".to_owned());
        Queue::new("https://sqs/1/q", &all.chain([arn]).collect())
    }

    fn line(finding: &Finding) -> String {
        finding.text().lines().next().unwrap().to_owned()
    }

    #[test]
    fn redrive_policies() {
        for (policy, says) in [
            (
                r#"{"deadLetterTargetArn":"a:dead","maxReceiveCount":5}"#,
                "ok       redrive of q: to dead after 5 receives",
            ),
            (
                r#"{"deadLetterTargetArn":"a:dead","maxReceiveCount":"7"}"#,
                "ok       redrive of q: to dead after 7 receives",
            ),
            (
                r#"{"deadLetterTargetArn":"a:dead","maxReceiveCount":1}"#,
                "warning  redrive of q: 1 receive until a message is a dead letter: throttling alone can make one",
            ),
            (
                "",
                "problem  redrive of q: there is no redrive policy: a message that cannot be done comes again \
                 until it expires, and is lost",
            ),
        ] {
            assert_eq!(line(&judge_redrive(&queue(&[(QueueAttributeName::RedrivePolicy, policy)]))), says);
        }
    }

    #[test]
    fn redrive_allow_policies() {
        let (ok, refused) = (
            "ok       redrive of q: takes dead letters of q",
            "problem  redrive of q: its redrive allow policy lets no dead letters of q in",
        );
        for (policy, says) in [
            ("", ok),
            (r#"{"redrivePermission":"allowAll"}"#, ok),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:r:1:q"]}"#, ok),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:r:1:p"]}"#, refused),
            (r#"{"redrivePermission":"denyAll"}"#, refused),
        ] {
            let dead = queue(&[(QueueAttributeName::RedriveAllowPolicy, policy)]);
            assert_eq!(line(&judge_taking(&queue(&[]), &dead)), says, "{policy}");
        }
    }

    #[test]
    fn retentions() {
        let of = |seconds: &str| queue(&[(QueueAttributeName::MessageRetentionPeriod, seconds)]);
        for (source, dead, says) in [
            ("345600", "1209600", "ok       retention of q: 14 days"),
            (
                "345600",
                "345600",
                "warning  retention of q: 4 days, and 14 are possible: that is the time there is to fix the cause",
            ),
            (
                "345600",
                "86400",
                "problem  retention of q: 1 day from the first sending, and q keeps 4 days: a letter may be \
                 gone at once",
            ),
        ] {
            assert_eq!(line(&judge_retention(&of(source), &of(dead))), says);
        }
    }

    #[test]
    fn keys_are_known_by_their_arn_alone() {
        let of = |key: &str| queue(&[(QueueAttributeName::KmsMasterKeyId, key)]).key;
        assert_eq!(of("arn:aws:kms:r:1:key/k"), Some("arn:aws:kms:r:1:key/k".to_owned()));
        assert_eq!((of("alias/aws/sqs"), of("")), (None, None));
    }
}
