//! Who may send to a queue or a topic, by its policy.

use serde_json::Value;

/// Somebody whom a policy lets send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A bucket.
    Bucket(String),
    /// A topic, by its ARN.
    Topic(String),
    /// A rule of `EventBridge`, by its ARN.
    Rule(String),
    /// A service, or anyone at all, whatever it sends for.
    Any(String),
}

/// Services that a notification can come from.
const SERVICES: [&str; 3] = ["s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"];

/// Senders by the statements that allow an action such as `sqs:SendMessage`; a policy that cannot be read allows none.
pub(super) fn senders(policy: &str, action: &str) -> Vec<Sender> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let mut senders: Vec<Sender> = Vec::new();
    for statement in list(&policy["Statement"]) {
        let allows =
            statement["Effect"] == "Allow" && texts(&statement["Action"]).iter().any(|allowed| covers(allowed, action));
        if allows {
            for sender in of_statement(statement) {
                if !senders.contains(&sender) {
                    senders.push(sender);
                }
            }
        }
    }
    senders
}

fn of_statement(statement: &Value) -> Vec<Sender> {
    let services: Vec<String> = match &statement["Principal"] {
        Value::String(all) => vec![all.clone()],
        principal if texts(&principal["AWS"]).contains(&"*") => vec!["*".to_owned()],
        principal => texts(&principal["Service"]).into_iter().map(str::to_owned).collect(),
    };
    let services = services.into_iter().filter(|service| service == "*" || SERVICES.contains(&service.as_str()));
    let sources = sources(&statement["Condition"]);
    services
        .flat_map(|service| match sources.as_slice() {
            [] => vec![Sender::Any(service)],
            sources => sources.iter().map(|arn| Sender::new(arn)).collect(),
        })
        .collect()
}

impl Sender {
    fn new(arn: &str) -> Self {
        // Buckets are written with region and account as *, too.
        let bucket = arn.split(':').nth(2).filter(|service| *service == "s3").and_then(|_| arn.rsplit(':').next());
        match (bucket, arn.split(':').nth(2)) {
            (Some(name), _) if !name.contains(['*', '?']) => Self::Bucket(name.to_owned()),
            (_, Some("sns")) => Self::Topic(arn.to_owned()),
            (_, Some("events")) => Self::Rule(arn.to_owned()),
            _ => Self::Any(arn.to_owned()),
        }
    }
}

/// ARNs that a condition asks of the source.
fn sources(condition: &Value) -> Vec<String> {
    let mut sources = Vec::new();
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        let is_positive = ["ArnEquals", "ArnLike", "StringEquals", "StringLike"].contains(&operator.as_str());
        for (key, values) in keys.as_object().into_iter().flatten() {
            if is_positive && key.eq_ignore_ascii_case("aws:SourceArn") {
                sources.extend(texts(values).into_iter().map(str::to_owned));
            }
        }
    }
    sources
}

/// Whether an action as a policy writes it, with wildcards, is the one meant.
fn covers(written: &str, action: &str) -> bool {
    let (written, action) = (written.to_ascii_lowercase(), action.to_ascii_lowercase());
    match written.split_once('*') {
        None => written == action,
        Some((before, after)) => action.starts_with(before) && action.ends_with(after),
    }
}

/// One or many, as policies have it.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(all) => all,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn senders_of_every_spelling() {
        let s3 = json!({"Service": "s3.amazonaws.com"});
        let from = |operator: &str, arn: &str| json!({operator: {"aws:SourceArn": arn}});
        let bucket = || vec![Sender::Bucket("b".to_owned())];
        for (principal, action, condition, expected) in [
            (s3.clone(), json!("sqs:SendMessage"), from("ArnEquals", "arn:aws:s3:::b"), bucket()),
            (s3.clone(), json!(["SQS:SendMessage"]), from("ArnLike", "arn:aws:s3:*:*:b"), bucket()),
            (json!("*"), json!("sqs:*"), json!({"StringLike": {"AWS:sourcearn": ["arn:aws:s3:::b"]}}), bucket()),
            (json!({"AWS": "*"}), json!("*"), from("StringEquals", "arn:aws:s3:::b"), bucket()),
            (
                json!({"Service": "sns.amazonaws.com"}),
                json!("sqs:Send*"),
                from("ArnEquals", "arn:aws:sns:r:1:t"),
                vec![Sender::Topic("arn:aws:sns:r:1:t".to_owned())],
            ),
            (
                json!({"Service": ["events.amazonaws.com"]}),
                json!("sqs:SendMessage"),
                from("ArnEquals", "arn:aws:events:r:1:rule/x"),
                vec![Sender::Rule("arn:aws:events:r:1:rule/x".to_owned())],
            ),
            (s3.clone(), json!("sqs:SendMessage"), json!(null), vec![Sender::Any("s3.amazonaws.com".to_owned())]),
            (
                s3.clone(),
                json!("sqs:SendMessage"),
                from("ArnLike", "arn:aws:s3:::b*"),
                vec![Sender::Any("arn:aws:s3:::b*".to_owned())],
            ),
            (s3.clone(), json!("sqs:ReceiveMessage"), from("ArnEquals", "arn:aws:s3:::b"), vec![]),
            (json!({"AWS": "arn:aws:iam::1:root"}), json!("sqs:SendMessage"), json!(null), vec![]),
        ] {
            let statement =
                json!({"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition});
            let policy = json!({"Statement": [statement.clone()]}).to_string();
            assert_eq!(senders(&policy, "sqs:SendMessage"), expected, "{policy}");
            let denied = json!({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}, statement]});
            assert_eq!(senders(&denied.to_string(), "sqs:SendMessage"), expected, "{denied}");
        }
        assert_eq!(senders("", "sqs:SendMessage"), []);
    }
}
