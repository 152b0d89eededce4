//! What calls a function from its queue.

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};

use super::aws::{Aws, Refusal, name};
use super::findings::{Finding, Subject};
use super::functions::function::{Function, Part};

/// An event source mapping.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    /// ARN of the queue.
    pub(super) queue: String,
    state: String,
    batch_size: i32,
    pub(super) window_seconds: u64,
    pub(super) most_calls: Option<i32>,
    /// Whether the function says which messages of a batch failed.
    is_partial: bool,
}

impl Mapping {
    fn new(found: &EventSourceMappingConfiguration) -> Self {
        let window = found.maximum_batching_window_in_seconds().and_then(|window| window.try_into().ok());
        Self {
            queue: found.event_source_arn().unwrap_or_default().to_owned(),
            state: found.state().unwrap_or_default().to_owned(),
            batch_size: found.batch_size().unwrap_or(10),
            window_seconds: window.unwrap_or_default(),
            most_calls: found.scaling_config().and_then(aws_sdk_lambda::types::ScalingConfig::maximum_concurrency),
            is_partial: found.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures),
        }
    }
}

/// All mappings of a function; none, with a finding, when they cannot be seen.
pub(super) async fn look(aws: &Aws, function: &Function, findings: &mut Vec<Finding>) -> Option<Vec<Mapping>> {
    let list = aws.lambda.list_event_source_mappings().function_name(&function.name).into_paginator().items();
    match list.send().collect::<Result<Vec<_>, _>>().await {
        Ok(found) => Some(found.iter().map(Mapping::new).collect()),
        Err(error) => {
            let refusal = Refusal::new("lambda:ListEventSourceMappings", &error);
            findings.push(refusal.finding(&Subject::new("mapping", &function.name)));
            None
        }
    }
}

/// Whether the function is called from its queue, and so that no message is lost.
pub(super) fn judge(part: Part, function: &str, mappings: &[Mapping], queue: Option<&str>) -> Vec<Finding> {
    let subject = Subject::new("mapping", function);
    let meant: Vec<&Mapping> = mappings.iter().filter(|mapping| queue.is_none_or(|arn| mapping.queue == arn)).collect();
    if meant.is_empty() {
        let wanted = queue.map_or("a queue", name);
        let says = match mappings.first() {
            Some(other) => format!("it is called from {}, and its messages are sent to {wanted}", name(&other.queue)),
            None => format!("nothing calls it from {wanted}"),
        };
        let hint = "run terraform apply, which maps it to its queue; or have sluice work do its work";
        return vec![if mappings.is_empty() { subject.warning(says, hint) } else { subject.problem(says, hint) }];
    }
    meant.into_iter().flat_map(|mapping| judge_one(part, &subject, mapping)).collect()
}

fn judge_one(part: Part, subject: &Subject, mapping: &Mapping) -> Vec<Finding> {
    let from = name(&mapping.queue);
    let mut findings = Vec::new();
    if !matches!(mapping.state.as_str(), "Enabled" | "Enabling" | "Creating" | "Updating") {
        findings.push(subject.warning(
            format!("it is {}: nothing calls the function from {from}", mapping.state.to_lowercase()),
            "enable it, unless sluice work does its work",
        ));
    }
    if !mapping.is_partial {
        findings.push(subject.problem(
            format!("ReportBatchItemFailures is missing: messages of {from} that failed are deleted with the others"),
            "set function_response_types = [\"ReportBatchItemFailures\"]: run terraform apply",
        ));
    }
    if part == Part::Splitter && mapping.batch_size != 1 {
        findings.push(subject.warning(
            format!("batches of {} files share the time of one call", mapping.batch_size),
            "set batch_size = 1: run terraform apply",
        ));
    }
    if mapping.most_calls.is_none() {
        findings.push(subject.warning(
            "nothing bounds its calls: they may take all of the account's concurrency, and tables meet many writers",
            format!("set {part}_max_concurrency"),
        ));
    }
    if findings.is_empty() {
        let (size, calls) = (mapping.batch_size, mapping.most_calls.unwrap_or_default());
        findings.push(subject.ok(format!("batches of {size} from {from}, {calls} calls at once")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_the_splitter() {
        let sound = || Mapping {
            queue: "arn:aws:sqs:r:1:q".to_owned(),
            state: "Enabled".to_owned(),
            batch_size: 1,
            window_seconds: 0,
            most_calls: Some(10),
            is_partial: true,
        };
        let other = Mapping { queue: "arn:aws:sqs:r:1:other".to_owned(), ..sound() };
        for (mappings, says) in [
            (vec![sound()], "ok       mapping of f: batches of 1 from q, 10 calls at once"),
            (vec![other.clone(), sound()], "ok       mapping of f: batches of 1 from q, 10 calls at once"),
            (vec![], "warning  mapping of f: nothing calls it from q"),
            (vec![other], "problem  mapping of f: it is called from other, and its messages are sent to q"),
            (
                vec![Mapping { state: "Disabled".to_owned(), ..sound() }],
                "warning  mapping of f: it is disabled: nothing calls the function from q",
            ),
            (
                vec![Mapping { is_partial: false, ..sound() }],
                "problem  mapping of f: ReportBatchItemFailures is missing: messages of q that failed are \
                 deleted with the others",
            ),
            (
                vec![Mapping { batch_size: 2, ..sound() }],
                "warning  mapping of f: batches of 2 files share the time of one call",
            ),
            (
                vec![Mapping { most_calls: None, ..sound() }],
                "warning  mapping of f: nothing bounds its calls: they may take all of the account's \
                 concurrency, and tables meet many writers",
            ),
        ] {
            let found = judge(Part::Splitter, "f", &mappings, Some("arn:aws:sqs:r:1:q"));
            let lines: Vec<_> = found.iter().map(|finding| finding.text().lines().next().unwrap().to_owned()).collect();
            assert_eq!(lines, [says]);
        }
    }
}
