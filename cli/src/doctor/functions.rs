//! The two functions: whether they run, and whether their configuration is right.

pub(super) mod function;
mod judge;

use shared::{Location, Settings};

use self::function::{Function, Part};
use self::judge::{judge, judge_agreement, judge_recursion};
use super::aws::{Aws, Refusal};
use super::findings::{Finding, Subject};
use crate::args::DoctorArgs;
use crate::error::CliError;

/// The functions that are there.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) splitter: Option<Function>,
    pub(super) worker: Option<Function>,
}

impl Functions {
    pub(super) fn all(&self) -> impl Iterator<Item = &Function> {
        [&self.splitter, &self.worker].into_iter().flatten()
    }

    /// A setting of the splitter, or else of the worker.
    fn setting<T>(&self, of: impl Fn(Settings) -> Option<T>) -> Option<T> {
        self.all().find_map(|function| function.settings().ok().and_then(&of))
    }

    pub(super) fn work_prefix(&self) -> Option<Location> {
        self.setting(|settings| settings.work_prefix)
    }

    pub(super) fn table(&self) -> Option<Location> {
        self.table_with_settings().map(|(table, _)| table)
    }

    pub(super) fn table_with_settings(&self) -> Option<(Location, Settings)> {
        self.setting(|settings| Some((settings.table.clone()?, settings)))
    }

    pub(super) fn chunk_queue_url(&self) -> Option<String> {
        self.setting(|settings| settings.aws.chunk_queue_url)
    }

    pub(super) fn source_queue_url(&self) -> Option<String> {
        self.splitter.as_ref()?.settings().ok()?.aws.source_queue_url
    }
}

/// Looks at both functions and their environment; an error when neither can be seen.
pub(super) async fn check(aws: &Aws, args: &DoctorArgs, findings: &mut Vec<Finding>) -> Result<Functions, CliError> {
    let (splitter, worker) = (args.splitter(), args.worker());
    let seen = [look(aws, Part::Splitter, &splitter).await, look(aws, Part::Worker, &worker).await];
    if let [Err(refusal), Err(_)] = &seen {
        let (reason, is_missing) = (refusal.reason.clone(), refusal.is_missing());
        return Err(CliError::NoDeployment { splitter, worker, reason, is_missing });
    }
    for (name, seen) in [splitter, worker].iter().zip(&seen) {
        match seen {
            Ok(function) => findings.extend(judge(function)),
            Err(refusal) => findings.push(absent(name, refusal)),
        }
    }
    let [splitter, worker] = seen.map(Result::ok);
    if let (Some(splitter), Some(worker)) = (&splitter, &worker) {
        findings.extend(judge_agreement(splitter, worker));
    }
    if let Some(splitter) = splitter.as_ref().filter(|splitter| splitter.hands_over()) {
        let loops = aws.lambda.get_function_recursion_config().function_name(&splitter.name).send().await;
        let loops = loops.map_err(|error| Refusal::new("lambda:GetFunctionRecursionConfig", &error));
        findings.push(judge_recursion(splitter, loops.map(|loops| loops.recursive_loop)));
    }
    Ok(Functions { splitter, worker })
}

async fn look(aws: &Aws, part: Part, name: &str) -> Result<Function, Refusal> {
    let asked = aws.lambda.get_function_configuration().function_name(name).send().await;
    asked.map(|found| Function::new(part, name, found)).map_err(|e| Refusal::new("lambda:GetFunctionConfiguration", &e))
}

fn absent(name: &str, refusal: &Refusal) -> Finding {
    let subject = Subject::new("state", name);
    if refusal.is_missing() {
        subject.problem("there is no such function", "run terraform apply, or name it with --splitter or --worker")
    } else {
        refusal.finding(&subject)
    }
}
