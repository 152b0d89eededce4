//! Whether functions run, and whether their configuration is right.

use aws_sdk_lambda::types::RecursiveLoop;
use shared::{Location, RoutesAt};

use super::function::{Function, Part};
use crate::doctor::aws::Refusal;
use crate::doctor::findings::{Finding, Subject};

/// What runs the binaries, the best first.
const RUNTIMES: [&str; 2] = ["provided.al2023", "provided.al2"];

/// What there is to say of a function by itself.
pub(super) fn judge(function: &Function) -> Vec<Finding> {
    let mut findings = vec![judge_state(function), judge_size(function)];
    findings.extend(judge_environment(function));
    findings
}

fn judge_state(function: &Function) -> Finding {
    let Function { part, name, runtime, architecture, state, reason, .. } = function;
    let subject = Subject::new("state", name);
    let runtime = runtime.as_deref().unwrap_or("an image");
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    match state.as_str() {
        "Active" if runtime == "an image" || RUNTIMES.contains(&runtime) => {
            subject.ok(format!("active, {runtime} on {architecture}"))
        }
        "Active" => subject.problem(
            format!("its runtime is {runtime}, which does not run the {part}'s binary"),
            format!("deploy it with {}, as the Terraform module does", RUNTIMES[0]),
        ),
        "Inactive" | "Pending" => subject.warning(
            format!("it is {}{reason}", state.to_lowercase()),
            "run this again once it was called, or updated",
        ),
        _ => {
            subject.problem(format!("it is {}{reason}", state.to_lowercase()), "fix the reason and run terraform apply")
        }
    }
}

/// Whether it has the time and the memory for a chunk of the usual size.
fn judge_size(function: &Function) -> Finding {
    const LEAST_SECONDS: u64 = 60;
    const LEAST_MB: i32 = 512;
    let Function { part, name, timeout_seconds, memory_mb, .. } = function;
    let subject = Subject::new("size", name);
    let says = format!("{timeout_seconds} s and {memory_mb} MB a call");
    if *timeout_seconds < LEAST_SECONDS {
        subject.warning(format!("{says}; a chunk may need longer"), format!("raise {part}_timeout_seconds"))
    } else if *memory_mb < LEAST_MB {
        subject.warning(format!("{says}; a chunk may need more"), format!("raise {part}_memory_mb"))
    } else {
        subject.ok(says)
    }
}

fn judge_environment(function: &Function) -> Vec<Finding> {
    let subject = Subject::new("environment", &function.name);
    let settings = match function.settings() {
        Ok(settings) => settings,
        Err(error) => return vec![subject.problem(error.to_string(), "fix the variable and run terraform apply")],
    };
    let mut findings = Vec::new();
    let mut need = |variable: &str, is_there: bool, input: &str| {
        if !is_there {
            findings
                .push(subject.problem(format!("{variable} is not set"), format!("run terraform apply with {input}")));
        }
    };
    need("TABLE_URI", settings.table.is_some() || settings.routes.is_some(), "table_uri, or with routes_file");
    if function.part == Part::Splitter {
        need("CHUNK_BUCKET", settings.work_prefix.is_some(), "chunk_bucket_name");
        need("CHUNK_QUEUE_URL", settings.aws.chunk_queue_url.is_some(), "the module's own queue of chunks");
    }
    let routes = settings.routes.as_ref().and_then(|routes| match routes {
        RoutesAt::File(at) => Some(at),
        RoutesAt::DynamoDb(_) => None,
    });
    for (variable, at) in [
        ("TABLE_URI", settings.table.as_ref()),
        ("ROUTES_URI", routes),
        ("CHUNK_BUCKET", settings.work_prefix.as_ref()),
    ] {
        if let Some(Location::Local { path }) = at {
            let says = format!("{variable} is the path {path}, and what a function writes to its own disk is lost");
            findings.push(subject.problem(says, format!("give {variable} a bucket on S3")));
        }
    }
    if function.part == Part::Splitter && settings.aws.source_queue_url.is_none() {
        findings.push(subject.warning(
            "SOURCE_QUEUE_URL is not set: a file that needs several calls uses up a receive with each",
            "set splitter_hand_over = true",
        ));
    }
    if findings.is_empty() {
        findings.push(subject.ok("complete, and every variable can be used"));
    }
    findings
}

/// Whether both mean the same work areas and the same table.
pub(super) fn judge_agreement(splitter: &Function, worker: &Function) -> Vec<Finding> {
    let subject = Subject::new("environment", format!("{} and {}", splitter.name, worker.name));
    let (Ok(one), Ok(other)) = (splitter.settings(), worker.settings()) else { return Vec::new() };
    let shown = |at: Option<&str>| at.unwrap_or("nothing").to_owned();
    let (text, routes) = (
        |at: &Option<Location>| at.as_ref().map(ToString::to_string),
        |at: &Option<RoutesAt>| at.as_ref().map(ToString::to_string),
    );
    let mut findings = Vec::new();
    for (what, one, other) in [
        ("CHUNK_BUCKET and CHUNK_PREFIX differ", text(&one.work_prefix), text(&other.work_prefix)),
        ("TABLE_URI differs", text(&one.table), text(&other.table)),
        ("ROUTES_URI differs", routes(&one.routes), routes(&other.routes)),
    ] {
        if one != other {
            let says = format!(
                "{what}: {} for the splitter, {} for the worker",
                shown(one.as_deref()),
                shown(other.as_deref())
            );
            findings.push(subject.problem(says, "set both alike: run terraform apply, which does"));
        }
    }
    if findings.is_empty() {
        findings.push(subject.ok("both name the same work areas and the same table"));
    }
    findings
}

/// Lambda ends what it takes for a loop, and a splitter that calls itself through its queue looks like one.
pub(super) fn judge_recursion(splitter: &Function, loops: Result<Option<RecursiveLoop>, Refusal>) -> Finding {
    let subject = Subject::new("recursion", &splitter.name);
    match loops {
        Err(refusal) => refusal.finding(&subject),
        Ok(Some(RecursiveLoop::Allow)) => subject.ok("it may hand over to itself as often as a file needs"),
        Ok(_) => subject.problem(
            "it hands over to itself, and Lambda ends that as a loop after 16 calls",
            "allow recursive loops (aws_lambda_function_recursion_config): run terraform apply",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(part: Part, variables: &[(&str, &str)]) -> Function {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Function {
            part,
            name: "f".to_owned(),
            arn: "arn:aws-cn:lambda:cn-north-1:1:function:f".to_owned(),
            role: "arn:aws-cn:iam::1:role/r".to_owned(),
            log_group: "/aws/lambda/f".to_owned(),
            runtime: Some("provided.al2023".to_owned()),
            architecture: "arm64".to_owned(),
            state: "Active".to_owned(),
            reason: None,
            timeout_seconds: 900,
            memory_mb: 1769,
            variables: variables.collect(),
        }
    }

    fn first_line(finding: &Finding) -> String {
        finding.text().lines().next().unwrap().to_owned()
    }

    #[test]
    fn states() {
        let (image, other) = (None, Some("python3.14"));
        let al2023 = Some("provided.al2023");
        for (runtime, state, says) in [
            (al2023, "Active", "ok       state of f: active, provided.al2023 on arm64"),
            (image, "Active", "ok       state of f: active, an image on arm64"),
            (other, "Active", "problem  state of f: its runtime is python3.14, which does not run the worker's binary"),
            (al2023, "Inactive", "warning  state of f: it is inactive (why)"),
            (al2023, "Failed", "problem  state of f: it is failed (why)"),
        ] {
            let (runtime, state, reason) = (runtime.map(str::to_owned), state.to_owned(), Some("why".to_owned()));
            let function = Function { runtime, state, reason, ..function(Part::Worker, &[]) };
            assert_eq!(first_line(&judge_state(&function)), says);
        }
    }

    #[test]
    fn sizes() {
        for (timeout_seconds, memory_mb, says) in [
            (60, 512, "ok       size of f: 60 s and 512 MB a call"),
            (59, 512, "warning  size of f: 59 s and 512 MB a call; a chunk may need longer"),
            (60, 511, "warning  size of f: 60 s and 511 MB a call; a chunk may need more"),
        ] {
            let function = Function { timeout_seconds, memory_mb, ..function(Part::Worker, &[]) };
            assert_eq!(first_line(&judge_size(&function)), says);
        }
    }

    #[test]
    fn environments() {
        let (table, bucket) = (("TABLE_URI", "s3://b/t"), ("CHUNK_BUCKET", "c"));
        let (chunks, source) = (("CHUNK_QUEUE_URL", "https://q/c"), ("SOURCE_QUEUE_URL", "https://q/e"));
        let ok = "ok       environment of f: complete, and every variable can be used";
        let lost =
            "problem  environment of f: TABLE_URI is the path /t, and what a function writes to its own disk is lost";
        for (part, variables, says) in [
            (Part::Splitter, vec![table, bucket, chunks, source], vec![ok]),
            (Part::Worker, vec![table], vec![ok]),
            (Part::Worker, vec![], vec!["problem  environment of f: TABLE_URI is not set"]),
            (Part::Worker, vec![("ROUTES_URI", "s3://config/routes.toml")], vec![ok]),
            (Part::Worker, vec![("TABLE_URI", "/t")], vec![lost]),
            (
                Part::Worker,
                vec![("TABLE_URI", "gs://t")],
                vec![
                    "problem  environment of f: TABLE_URI='gs://t' cannot be used: it must be \
                     s3://bucket/prefix or a path",
                ],
            ),
            (Part::Splitter, vec![table, chunks, source], vec!["problem  environment of f: CHUNK_BUCKET is not set"]),
            (
                Part::Splitter,
                vec![table, bucket, source],
                vec!["problem  environment of f: CHUNK_QUEUE_URL is not set"],
            ),
            (
                Part::Splitter,
                vec![table, bucket, chunks],
                vec![
                    "warning  environment of f: SOURCE_QUEUE_URL is not set: a file that needs several calls \
                     uses up a receive with each",
                ],
            ),
        ] {
            let found = judge_environment(&function(part, &variables));
            assert_eq!(found.iter().map(first_line).collect::<Vec<_>>(), says, "{variables:?}");
        }
    }

    #[test]
    fn agreement() {
        let of = "environment of f and f";
        let chunks = "CHUNK_BUCKET and CHUNK_PREFIX differ:";
        for (splitter, worker, says) in [
            ("c", "c", format!("ok       {of}: both name the same work areas and the same table")),
            ("c", "d", format!("problem  {of}: {chunks} s3://c/sluice for the splitter, s3://d/sluice for the worker")),
            ("c", "", format!("problem  {of}: {chunks} s3://c/sluice for the splitter, nothing for the worker")),
        ] {
            let of = |part, bucket| function(part, &[("CHUNK_BUCKET", bucket)]);
            let found = judge_agreement(&of(Part::Splitter, splitter), &of(Part::Worker, worker));
            assert_eq!(found.iter().map(first_line).collect::<Vec<_>>(), [says]);
        }
    }
}
