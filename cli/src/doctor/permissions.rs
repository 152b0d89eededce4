//! What the roles may do, against what their functions need.

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use shared::Location;

use super::aws::{Aws, Refusal};
use super::findings::{Finding, Subject};
use super::functions::Functions;
use super::functions::function::{Function, Part};
use super::queues::Queues;

/// Stands for any object in what is simulated.
const ANY_OBJECT: &str = "sluice-doctor";

/// Actions that a function needs on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    actions: &'static [&'static str],
    /// For people, as policies write it.
    resource: String,
    /// One of the resources that this stands for.
    example: String,
    /// Value of `s3:prefix`, where a listing is meant.
    prefix: Option<String>,
}

/// What the functions work on.
#[derive(Debug)]
struct World<'a> {
    /// Buckets that files are dropped in, with prefixes.
    sources: &'a [Location],
    work_prefix: Option<Location>,
    table: Option<Location>,
    queues: &'a Queues,
}

/// Simulates what each role needs.
pub(super) async fn check(
    aws: &Aws,
    functions: &Functions,
    queues: &Queues,
    sources: &[Location],
    findings: &mut Vec<Finding>,
) {
    let world = World { sources, work_prefix: functions.work_prefix(), table: functions.table(), queues };
    for function in functions.all() {
        findings.extend(check_role(aws, function, &world).await);
    }
}

async fn check_role(aws: &Aws, function: &Function, world: &World<'_>) -> Vec<Finding> {
    let subject = Subject::new("permissions", super::aws::name(&function.role));
    let mut denied = Vec::new();
    let needs = needs(function, world);
    for need in &needs {
        match simulate(aws, &function.role, need).await {
            Ok(refused) if refused.is_empty() => {}
            Ok(refused) => denied.push((refused.join(", "), need)),
            Err(refusal) if refusal.is_missing() => {
                return vec![subject.problem("there is no such role", "run terraform apply, which makes it")];
            }
            Err(refusal) => return vec![refusal.finding(&subject)],
        }
    }
    if denied.is_empty() {
        let count: usize = needs.iter().map(|need| need.actions.len()).sum();
        return vec![subject.ok(format!("all {count} that were looked at of what the {} needs", function.part))];
    }
    let part = function.part;
    let finding = |(actions, need): (String, &Need)| {
        let hint =
            format!("allow it in the {part}'s role, its boundary and the account's policies: run terraform apply");
        subject.problem(format!("denied on {}: {actions}", need.resource), hint)
    };
    denied.into_iter().map(finding).collect()
}

/// Which of the actions are denied.
async fn simulate(aws: &Aws, role: &str, need: &Need) -> Result<Vec<String>, Refusal> {
    let mut ask = aws.iam.simulate_principal_policy().policy_source_arn(role).resource_arns(&need.example);
    ask = ask.set_action_names(Some(need.actions.iter().map(|action| (*action).to_owned()).collect()));
    for (key, kind, value) in [
        ("s3:prefix", ContextKeyTypeEnum::String, need.prefix.as_deref()),
        ("aws:SecureTransport", ContextKeyTypeEnum::Boolean, Some("true")),
    ] {
        if let Some(value) = value {
            let entry = ContextEntry::builder().context_key_name(key).context_key_type(kind).context_key_values(value);
            ask = ask.context_entries(entry.build());
        }
    }
    let answer = ask.send().await.map_err(|error| Refusal::new("iam:SimulatePrincipalPolicy", &error))?;
    let results = answer.evaluation_results().iter();
    let refused = results.filter(|result| *result.eval_decision() != PolicyEvaluationDecisionType::Allowed);
    Ok(refused.map(|result| result.eval_action_name().to_owned()).collect())
}

fn needs(function: &Function, world: &World<'_>) -> Vec<Need> {
    const TAKE: &[&str] =
        &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"];
    const SEND: &[&str] = &["sqs:SendMessage"];
    const WRITE: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"];
    const APPEND: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
    let [partition, region, account] = function.home();
    let (events, chunks) = (world.queues.events.as_ref(), world.queues.chunks.as_ref());
    let queue = |queue: Option<&super::queues::Queue>, actions| queue.map(|queue| Need::exact(actions, &queue.arn));
    // Beside the work areas, where the order of drops is noted.
    let drops = world.work_prefix.as_ref().map(|prefix| prefix.beside("_drops"));
    let mut needs = Vec::new();
    match function.part {
        Part::Splitter => {
            for source in world.sources {
                needs.extend(below(partition, source, "", &["s3:GetObject"]));
            }
            needs.extend(
                world.table.iter().flat_map(|table| below(partition, table, "/_delta_log/", &["s3:GetObject"])),
            );
            needs
                .extend(drops.iter().flat_map(|drops| below(partition, drops, "/", &["s3:GetObject", "s3:PutObject"])));
            needs.extend(queue(events, TAKE));
            needs.extend(queue(chunks, SEND));
            needs.extend(queue(events.filter(|_| function.hands_over()), SEND));
        }
        Part::Worker => {
            needs.extend(world.table.iter().flat_map(|table| below(partition, table, "/", APPEND)));
            needs.extend(drops.iter().flat_map(|drops| below(partition, drops, "/", &["s3:GetObject"])));
            needs.extend(queue(chunks, TAKE));
        }
    }
    needs.extend(world.work_prefix.iter().flat_map(|area| below(partition, area, "/", WRITE)));
    needs.extend(function.topic().map(|topic| Need::exact(&["sns:Publish"], &topic)));
    let key = [events, chunks].into_iter().flatten().find_map(|queue| queue.key.as_deref());
    needs.extend(key.map(|key| Need::exact(&["kms:Decrypt", "kms:GenerateDataKey"], key)));
    let logs = format!("arn:{partition}:logs:{region}:{account}:log-group:{}", function.log_group);
    let (resource, example) = (format!("{logs}:*"), format!("{logs}:log-stream:{ANY_OBJECT}"));
    needs.push(Need { actions: &["logs:CreateLogStream", "logs:PutLogEvents"], resource, example, prefix: None });
    needs
}

/// Actions on all objects below a location, and their listing.
fn below(partition: &str, at: &Location, glue: &str, actions: &'static [&'static str]) -> [Need; 2] {
    let bucket = format!("arn:{partition}:s3:::{}", at.bucket());
    let prefix = if at.key().is_empty() { String::new() } else { format!("{}{glue}", at.key()) };
    let objects = Need {
        actions,
        resource: format!("{bucket}/{prefix}*"),
        example: format!("{bucket}/{prefix}{ANY_OBJECT}"),
        prefix: None,
    };
    let listing = Need {
        actions: &["s3:ListBucket"],
        resource: format!("{bucket}, prefix {prefix}*"),
        example: bucket,
        prefix: Some(format!("{prefix}{ANY_OBJECT}")),
    };
    [objects, listing]
}

impl Need {
    fn exact(actions: &'static [&'static str], arn: &str) -> Self {
        Self { actions, resource: arn.to_owned(), example: arn.to_owned(), prefix: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
    use aws_sdk_lambda::types::EnvironmentResponse;
    use aws_sdk_sqs::types::QueueAttributeName;

    use super::super::queues::Queue;
    use super::*;

    /// What a function needs when the chunk queue is under a key.
    fn needs_of(part: Part, variables: &[(&str, &str)]) -> Vec<String> {
        let variables: HashMap<_, _> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let found = GetFunctionConfigurationOutput::builder()
            .function_arn("arn:aws-cn:lambda:cn-north-1:1:function:f")
            .environment(EnvironmentResponse::builder().set_variables(Some(variables)).build());
        let queue = |arn: &str, key: &str| {
            let attributes = [(QueueAttributeName::QueueArn, arn), (QueueAttributeName::KmsMasterKeyId, key)];
            Some(Queue::new("", &attributes.map(|(name, value)| (name, value.to_owned())).into()))
        };
        let queues = Queues { events: queue("arn:q:e", ""), chunks: queue("arn:q:c", "arn:k"), chunks_kept_seconds: 0 };
        let at = |text: &str| Some(Location::S3 { bucket: "b".to_owned(), key: text.to_owned() });
        let (work_prefix, table) = (at("w"), at("t"));
        let sources = [at("").unwrap(), at("in/").unwrap()];
        let world = World { sources: &sources, work_prefix, table, queues: &queues };
        let line = |need: &Need| format!("{}: {}", need.resource, need.actions.join(" "));
        needs(&Function::new(part, "f", found.build()), &world).iter().map(line).collect()
    }

    #[test]
    fn what_the_splitter_needs() {
        let shared = [
            "arn:aws-cn:s3:::b/*: s3:GetObject",
            "arn:aws-cn:s3:::b, prefix *: s3:ListBucket",
            "arn:aws-cn:s3:::b/in/*: s3:GetObject",
            "arn:aws-cn:s3:::b, prefix in/*: s3:ListBucket",
            "arn:aws-cn:s3:::b/t/_delta_log/*: s3:GetObject",
            "arn:aws-cn:s3:::b, prefix t/_delta_log/*: s3:ListBucket",
            "arn:aws-cn:s3:::b/w_drops/*: s3:GetObject s3:PutObject",
            "arn:aws-cn:s3:::b, prefix w_drops/*: s3:ListBucket",
            "arn:q:e: sqs:ReceiveMessage sqs:DeleteMessage sqs:ChangeMessageVisibility sqs:GetQueueAttributes",
            "arn:q:c: sqs:SendMessage",
        ];
        let own = [
            "arn:aws-cn:s3:::b/w/*: s3:GetObject s3:PutObject s3:AbortMultipartUpload",
            "arn:aws-cn:s3:::b, prefix w/*: s3:ListBucket",
            "arn:k: kms:Decrypt kms:GenerateDataKey",
            "arn:aws-cn:logs:cn-north-1:1:log-group:/aws/lambda/f:*: logs:CreateLogStream logs:PutLogEvents",
        ];
        assert_eq!(needs_of(Part::Splitter, &[]), [&shared[..], &own].concat());
        let handing_over = [&shared[..], &["arn:q:e: sqs:SendMessage"], &own].concat();
        assert_eq!(needs_of(Part::Splitter, &[("SOURCE_QUEUE_URL", "https://q/e")]), handing_over);
    }

    #[test]
    fn what_the_worker_needs() {
        let needed = [
            "arn:aws-cn:s3:::b/t/*: s3:GetObject s3:PutObject s3:DeleteObject s3:AbortMultipartUpload",
            "arn:aws-cn:s3:::b, prefix t/*: s3:ListBucket",
            "arn:aws-cn:s3:::b/w_drops/*: s3:GetObject",
            "arn:aws-cn:s3:::b, prefix w_drops/*: s3:ListBucket",
            "arn:q:c: sqs:ReceiveMessage sqs:DeleteMessage sqs:ChangeMessageVisibility sqs:GetQueueAttributes",
            "arn:aws-cn:s3:::b/w/*: s3:GetObject s3:PutObject s3:AbortMultipartUpload",
            "arn:aws-cn:s3:::b, prefix w/*: s3:ListBucket",
            "arn:k: kms:Decrypt kms:GenerateDataKey",
            "arn:aws-cn:logs:cn-north-1:1:log-group:/aws/lambda/f:*: logs:CreateLogStream logs:PutLogEvents",
        ];
        assert_eq!(needs_of(Part::Worker, &[("SOURCE_QUEUE_URL", "https://q/e")]), needed);
        let topic = "arn:aws-cn:sns:cn-north-1:1:t";
        let telling = needs_of(Part::Worker, &[("COMPLETION_TOPIC_ARN", topic)]);
        assert_eq!(
            telling.iter().filter(|need| !needed.contains(&need.as_str())).collect::<Vec<_>>(),
            [&format!("{topic}: sns:Publish")]
        );
    }
}
