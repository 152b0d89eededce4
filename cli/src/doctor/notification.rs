//! The way from a drop to the events queue, and what must not go that way.

mod paths;

use aws_sdk_s3::types::{Event, FilterRuleName, NotificationConfigurationFilter};
use shared::Location;

use super::aws::{Aws, Refusal, name};
use super::findings::{Finding, Subject};
use super::functions::Functions;
use super::queues::Queue;
use paths::{DeliveryPath, Via};

/// All that makes an object.
const ALL: &str = "s3:ObjectCreated:*";

/// How objects are made that come in one piece, and large ones.
const NEEDED: [&str; 2] = ["s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"];

/// How the others are made.
const FURTHER: [&str; 2] = ["s3:ObjectCreated:Copy", "s3:ObjectCreated:Post"];

/// How the names of all objects end that Sluice writes.
const OWN_ENDS: [&str; 2] = [".parquet", ".json"];

/// Whom a bucket tells of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Notifications {
    rules: Vec<Rule>,
    /// Whether `EventBridge` is notified of everything.
    is_bridged: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// ARN of queue or topic.
    target: String,
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

/// Follows the way back from the queue to the buckets; gives where files are dropped.
pub(super) async fn check(
    aws: &Aws,
    functions: &Functions,
    queue: Option<&Queue>,
    source: Option<&Location>,
    findings: &mut Vec<Finding>,
) -> Vec<Location> {
    let Some(queue) = queue else { return source.cloned().into_iter().collect() };
    let paths = paths::find(aws, queue, source, findings).await;
    let mut drops = Vec::new();
    for path in &paths {
        match look(aws, &path.bucket).await {
            Ok(notifications) => {
                findings.extend(judge(path, &notifications));
                drops.extend(dropped(path, &notifications));
            }
            Err(refusal) => findings.push(absent(&path.bucket, &refusal)),
        }
    }
    findings.extend(check_loops(aws, functions, queue, &paths).await);
    drops
}

async fn look(aws: &Aws, bucket: &str) -> Result<Notifications, Refusal> {
    let get = aws.s3.client().get_bucket_notification_configuration().bucket(bucket).send();
    let found = get.await.map_err(|error| Refusal::new("s3:GetBucketNotification", &error))?;
    let queues = found.queue_configurations().iter().map(|to| Rule::new(to.queue_arn(), to.events(), to.filter()));
    let topics = found.topic_configurations().iter().map(|to| Rule::new(to.topic_arn(), to.events(), to.filter()));
    Ok(Notifications {
        rules: queues.chain(topics).collect(),
        is_bridged: found.event_bridge_configuration().is_some(),
    })
}

impl Rule {
    fn new(target: &str, events: &[Event], filter: Option<&NotificationConfigurationFilter>) -> Self {
        let rules = filter.and_then(|filter| filter.key()).map_or(&[][..], |key| key.filter_rules());
        let value = |name: &FilterRuleName| {
            let rule = rules
                .iter()
                .find(|rule| rule.name().is_some_and(|known| known.as_str().eq_ignore_ascii_case(name.as_str())));
            rule.and_then(|rule| rule.value()).unwrap_or_default().to_owned()
        };
        Self {
            target: target.to_owned(),
            events: events.iter().map(|event| event.as_str().to_owned()).collect(),
            prefix: value(&FilterRuleName::Prefix),
            suffix: value(&FilterRuleName::Suffix),
        }
    }

    fn covers(&self, event: &str) -> bool {
        self.events.iter().any(|told| told == ALL || told == event)
    }

    /// Whether objects under a prefix can be among what it tells of.
    fn meets(&self, prefix: &str) -> bool {
        self.prefix.starts_with(prefix) || prefix.starts_with(&self.prefix)
    }

    /// Whether it covers what Sluice writes under a prefix.
    fn covers_own(&self, prefix: &str) -> bool {
        let suffix = self.suffix.as_str();
        let is_own = OWN_ENDS.iter().any(|own| own.ends_with(suffix) || suffix.ends_with(own));
        is_own && self.meets(prefix) && NEEDED.iter().any(|event| self.covers(event))
    }

    /// For people: which objects.
    fn objects(&self) -> String {
        let part = |what, value: &str| if value.is_empty() { String::new() } else { format!(" {what} {value}") };
        match (self.prefix.as_str(), self.suffix.as_str()) {
            ("", "") => "all objects".to_owned(),
            (prefix, suffix) => format!("objects{}{}", part("under", prefix), part("that end in", suffix)),
        }
    }
}

fn absent(bucket: &str, refusal: &Refusal) -> Finding {
    let subject = Subject::new("notification", bucket);
    if refusal.is_missing() {
        subject.problem("there is no such bucket", "set source_bucket_name to the bucket that files are dropped in")
    } else {
        refusal.finding(&subject)
    }
}

/// Whether a bucket sends events of all drops.
fn judge(path: &DeliveryPath, notifications: &Notifications) -> Vec<Finding> {
    let subject = Subject::new("notification", &path.bucket);
    let target = match &path.via {
        Via::EventBridge if notifications.is_bridged => {
            let hint =
                "look in EventBridge whether the rule is enabled, has the queue as its target, and takes drops only";
            return vec![
                subject.unknown("all objects go to EventBridge; what its rule takes is not looked into", hint),
            ];
        }
        Via::EventBridge => {
            return vec![
                subject.problem("the bucket sends no events to EventBridge", "enable EventBridge on the bucket"),
            ];
        }
        Via::Target(arn) => arn,
    };
    let hint = "set manage_notification = true, or have the bucket notify it of s3:ObjectCreated:*";
    let rules: Vec<&Rule> = notifications.rules.iter().filter(|rule| rule.target == *target).collect();
    let is_met = |rule: &&Rule| path.prefix.as_ref().is_none_or(|prefix| rule.meets(prefix));
    match (rules.as_slice(), &path.prefix) {
        ([], _) => vec![subject.problem(format!("it does not notify {} of what is dropped", name(target)), hint)],
        (rules, Some(prefix)) if !rules.iter().any(is_met) => {
            let objects: Vec<String> = rules.iter().map(|rule| rule.objects()).collect();
            let says =
                format!("{} is notified of {}, not of what is under {prefix}", name(target), objects.join(" and "));
            vec![subject.problem(says, "set source_prefix to where files are dropped")]
        }
        (rules, _) => rules.iter().map(|rule| judge_rule(&subject, rule)).collect(),
    }
}

/// Whether a rule is for every way in which an object is made.
fn judge_rule(subject: &Subject, rule: &Rule) -> Finding {
    let lacking = |events: &[&'static str]| -> Vec<&'static str> {
        events.iter().copied().filter(|event| !rule.covers(event)).collect()
    };
    let (needed, further) = (lacking(&NEEDED), lacking(&FURTHER));
    let (objects, to, hint) = (rule.objects(), name(&rule.target), "notify of s3:ObjectCreated:*");
    if needed.contains(&NEEDED[1]) && needed.len() == 1 {
        let says = format!("{to} is not notified of {}: large files come in parts, and are left alone", NEEDED[1]);
        subject.problem(says, hint)
    } else if !needed.is_empty() {
        subject.problem(format!("{to} is not notified of {}", needed.join(" and ")), hint)
    } else if !further.is_empty() {
        subject.warning(format!("{to} is not notified of {}", further.join(" and ")), hint)
    } else {
        subject.ok(format!("{objects} to {to}"))
    }
}

/// Where files are dropped: by the rules of a bucket, as far as they are known.
fn dropped(path: &DeliveryPath, notifications: &Notifications) -> Vec<Location> {
    let said = path.prefix.as_deref().unwrap_or_default();
    let rules = notifications.rules.iter().filter(|rule| path.target() == Some(&rule.target) && rule.meets(said));
    let longer = |rule: &Rule| if rule.prefix.len() > said.len() { rule.prefix.clone() } else { said.to_owned() };
    let mut keys: Vec<String> = rules.map(longer).collect();
    if keys.is_empty() && (path.prefix.is_some() || path.via == Via::EventBridge) {
        keys.push(said.to_owned());
    }
    keys.dedup();
    keys.into_iter().map(|key| Location::S3 { bucket: path.bucket.clone(), key }).collect()
}

/// Whether what Sluice writes is taken for a drop, whichever bucket it is in.
async fn check_loops(aws: &Aws, functions: &Functions, queue: &Queue, paths: &[DeliveryPath]) -> Vec<Finding> {
    let targets: Vec<&str> = paths.iter().filter_map(DeliveryPath::target).chain([queue.arn.as_str()]).collect();
    let mut findings = Vec::new();
    for (what, at) in [("chunks", functions.work_prefix()), ("table", functions.table())] {
        let Some(at @ Location::S3 { .. }) = at else { continue };
        let subject = Subject::new("loop", format!("{at}/"));
        match look(aws, at.bucket()).await {
            Ok(notifications) => findings.push(judge_loop(&subject, what, at.key(), &notifications, &targets)),
            // That the bucket is missing is said where it is needed.
            Err(refusal) if refusal.is_missing() => {}
            Err(refusal) => findings.push(refusal.finding(&subject)),
        }
    }
    findings
}

fn judge_loop(subject: &Subject, what: &str, key: &str, notifications: &Notifications, targets: &[&str]) -> Finding {
    let own = format!("{key}/");
    let rules = notifications.rules.iter().filter(|rule| targets.contains(&rule.target.as_str()));
    match rules.into_iter().find(|rule| rule.covers_own(&own)) {
        Some(rule) => subject.problem(
            format!(
                "{} is notified of {}: what is written to the {what} is split again",
                name(&rule.target),
                rule.objects()
            ),
            "keep source_prefix apart from chunk_prefix and table_uri, or give each a bucket",
        ),
        None => subject.ok(format!("nothing that is written to the {what} is taken for a drop")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:r:1:q";

    fn notifications(rules: &[(&[&str], &str, &str)]) -> Notifications {
        let rules = rules.iter().map(|(events, prefix, suffix)| Rule {
            target: QUEUE.to_owned(),
            events: events.iter().map(|event| format!("s3:ObjectCreated:{event}")).collect(),
            prefix: (*prefix).to_owned(),
            suffix: (*suffix).to_owned(),
        });
        Notifications { rules: rules.collect(), is_bridged: false }
    }

    fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| finding.text().lines().next().unwrap().to_owned()).collect()
    }

    #[test]
    fn rules_of_a_bucket() {
        for (rules, prefix, says) in [
            (vec![], None, "problem  notification of b: it does not notify q of what is dropped"),
            (vec![(&["*"][..], "", "")], None, "ok       notification of b: all objects to q"),
            (
                vec![(&["*"], "in/", ".csv")],
                None,
                "ok       notification of b: objects under in/ that end in .csv to q",
            ),
            (
                vec![(&["Put", "Post", "Copy", "CompleteMultipartUpload"], "", "")],
                None,
                "ok       notification of b: all objects to q",
            ),
            (
                vec![(&["Put", "CompleteMultipartUpload"], "", "")],
                None,
                "warning  notification of b: q is not notified of s3:ObjectCreated:Copy and s3:ObjectCreated:Post",
            ),
            (
                vec![(&["Put"], "", "")],
                None,
                "problem  notification of b: q is not notified of s3:ObjectCreated:CompleteMultipartUpload: large \
                 files come in parts, and are left alone",
            ),
            (
                vec![(&["CompleteMultipartUpload"], "", "")],
                None,
                "problem  notification of b: q is not notified of s3:ObjectCreated:Put",
            ),
            (vec![(&["*"], "in/", "")], Some("in/x"), "ok       notification of b: objects under in/ to q"),
            (vec![(&["*"], "in/", "")], Some(""), "ok       notification of b: objects under in/ to q"),
            (
                vec![(&["*"], "in/", "")],
                Some("out"),
                "problem  notification of b: q is notified of objects under in/, not of what is under out",
            ),
        ] {
            let path = DeliveryPath {
                bucket: "b".to_owned(),
                via: Via::Target(QUEUE.to_owned()),
                prefix: prefix.map(str::to_owned),
            };
            assert_eq!(lines(&judge(&path, &notifications(&rules))), [says], "{rules:?}");
        }
    }

    #[test]
    fn drops_are_where_rules_and_words_meet() {
        for (rules, said, drops) in [
            (vec![], None, vec![]),
            (vec![], Some("in/"), vec!["s3://b/in/"]),
            (vec![(&["*"][..], "in/", ".csv"), (&["*"], "in/", ".parquet")], None, vec!["s3://b/in/"]),
            (vec![(&["*"], "in/", ""), (&["*"], "up/", "")], Some("in"), vec!["s3://b/in/"]),
            (vec![(&["*"], "in/", "")], Some("in/day/"), vec!["s3://b/in/day/"]),
        ] {
            let (via, prefix) = (Via::Target(QUEUE.to_owned()), said.map(str::to_owned));
            let path = DeliveryPath { bucket: "b".to_owned(), via, prefix };
            let found = dropped(&path, &notifications(&rules));
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), drops, "{rules:?}");
        }
    }

    #[test]
    fn event_bridge() {
        let path = DeliveryPath { bucket: "b".to_owned(), via: Via::EventBridge, prefix: None };
        for (is_bridged, says) in [
            (true, "unknown  notification of b: all objects go to EventBridge; what its rule takes is not looked into"),
            (false, "problem  notification of b: the bucket sends no events to EventBridge"),
        ] {
            assert_eq!(lines(&judge(&path, &Notifications { rules: Vec::new(), is_bridged })), [says]);
        }
    }

    #[test]
    fn loops() {
        let subject = Subject::new("loop", "s3://b/lake/t/");
        for (prefix, suffix, is_loop) in [
            ("", "", true),
            ("lake/", "", true),
            ("lake/t/_delta_log/", "", true),
            ("", ".parquet", true),
            ("", "t", true),
            ("", "0.json", true),
            ("", ".csv", false),
            ("in/", "", false),
            ("lake/table", "", false),
        ] {
            let found = judge_loop(&subject, "table", "lake/t", &notifications(&[(&["*"], prefix, suffix)]), &[QUEUE]);
            assert_eq!(lines(&[found])[0].starts_with("problem"), is_loop, "{prefix} {suffix}");
            let found = judge_loop(&subject, "table", "lake/t", &notifications(&[(&["*"], prefix, suffix)]), &["else"]);
            assert!(lines(&[found])[0].starts_with("ok"), "another queue is another's business");
        }
    }
}
