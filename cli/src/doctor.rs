//! `sluice doctor`: what is wrong with a deployment, and how to fix it.
//!
//! Each module looks at one part of it and judges what it saw; what could not be seen is a finding, too.

mod aws;
mod concurrency;
mod findings;
mod functions;
mod mappings;
mod notification;
mod permissions;
mod policy;
mod queues;
mod storage;
mod topic;

use crate::args::DoctorArgs;
use crate::config::{Config, config};
use crate::error::{CliError, Done};
use crate::output::Output;
use aws::Aws;
use findings::{Diagnosis, Finding, Status, Subject};

/// Runs the command; an error when there is a problem.
pub(crate) async fn run(args: &DoctorArgs, with_all: bool, output: Output) -> Done {
    let aws = Aws::from_env().await;
    let mut findings = Vec::new();
    findings.extend(config().map(of_file));
    let functions = functions::check(&aws, args, &mut findings).await?;
    let queues = queues::check(&aws, &functions, &mut findings).await;
    let events = queues.events.as_ref();
    let sources = notification::check(&aws, &functions, events, args.source.as_ref(), &mut findings).await;
    permissions::check(&aws, &functions, &queues, &sources, &mut findings).await;
    storage::check(&aws, &functions, &queues, args.read_only, &mut findings).await;
    topic::check(&aws, &functions, &mut findings).await;
    concurrency::check(&aws, &functions, &mut findings).await;
    let diagnosis = Diagnosis::new(&args.name, findings);
    output.result(&diagnosis, &diagnosis.text(with_all))?;
    match diagnosis.count(Status::Problem) {
        0 => Ok(()),
        problems => Err(CliError::Unhealthy { problems: problems.try_into().unwrap_or(u64::MAX) }),
    }
}

/// Which settings of the commands come from a file. The functions have none of them.
fn of_file(config: &Config) -> Finding {
    let gives = match config.in_use() {
        none if none.is_empty() => "no setting that the environment does not".to_owned(),
        names => names.join(", "),
    };
    Subject::new("settings", config.at.display().to_string()).ok(format!("gives sluice's commands {gives}"))
}

impl DoctorArgs {
    /// The splitter's function.
    fn splitter(&self) -> String {
        self.splitter.clone().unwrap_or_else(|| format!("{}-splitter", self.name))
    }

    /// The worker's function.
    fn worker(&self) -> String {
        self.worker.clone().unwrap_or_else(|| format!("{}-worker", self.name))
    }
}
