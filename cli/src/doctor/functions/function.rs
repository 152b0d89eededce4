//! A function as it is deployed.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::LastUpdateStatus;
use shared::Settings;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Splitter,
    Worker,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Splitter => "splitter",
            Self::Worker => "worker",
        })
    }
}

/// A function as it is deployed.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) part: Part,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) role: String,
    pub(crate) log_group: String,
    /// None of an image, which brings its own.
    pub(crate) runtime: Option<String>,
    pub(crate) architecture: String,
    pub(crate) state: String,
    /// Why it is in this state, where AWS says so.
    pub(crate) reason: Option<String>,
    pub(crate) timeout_seconds: u64,
    pub(crate) memory_mb: i32,
    pub(crate) variables: HashMap<String, String>,
}

impl Function {
    pub(crate) fn new(part: Part, name: &str, found: GetFunctionConfigurationOutput) -> Self {
        let name = found.function_name.unwrap_or_else(|| name.to_owned());
        let log_group = found.logging_config.and_then(|logging| logging.log_group);
        let failed = found.last_update_status == Some(LastUpdateStatus::Failed);
        Self {
            part,
            log_group: log_group.unwrap_or_else(|| format!("/aws/lambda/{name}")),
            name,
            arn: found.function_arn.unwrap_or_default(),
            role: found.role.unwrap_or_default(),
            runtime: found.runtime.map(|runtime| runtime.as_str().to_owned()),
            architecture: found.architectures.iter().flatten().next().map_or("x86_64", |one| one.as_str()).to_owned(),
            state: match &found.state {
                _ if failed => "Failed".to_owned(),
                Some(state) => state.as_str().to_owned(),
                None => "Active".to_owned(),
            },
            reason: if failed { found.last_update_status_reason } else { found.state_reason },
            timeout_seconds: found.timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or_default(),
            memory_mb: found.memory_size.unwrap_or_default(),
            variables: found.environment.and_then(|environment| environment.variables).unwrap_or_default(),
        }
    }

    /// What it makes of its environment.
    pub(crate) fn settings(&self) -> Result<Settings, shared::SettingsError> {
        Settings::from_lookup(|name| self.variables.get(name).cloned())
    }

    /// Whether it gives what it cannot finish to a call after it.
    pub(crate) fn hands_over(&self) -> bool {
        self.part == Part::Splitter && self.settings().is_ok_and(|settings| settings.aws.source_queue_url.is_some())
    }

    /// ARN of the topic that it tells of jobs that are done.
    pub(crate) fn topic(&self) -> Option<String> {
        self.settings().ok()?.aws.completion_topic_arn
    }

    /// Partition, region and account of its ARN.
    pub(crate) fn home(&self) -> [&str; 3] {
        let mut parts = self.arn.split(':').skip(1);
        let (partition, region, account) = (parts.next(), parts.nth(1), parts.next());
        [partition.unwrap_or("aws"), region.unwrap_or_default(), account.unwrap_or_default()]
    }
}
