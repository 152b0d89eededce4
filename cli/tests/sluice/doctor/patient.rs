//! A deployment, and the hands that break it.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_lambda::types::{Environment, State};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, Event, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NotificationConfiguration, QueueConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::runtime::Runtime;

use crate::deployed::deployment::Deployment;
use crate::support::{Place, Ran};

/// A deployment, and the hands that break it.
pub(crate) struct Patient {
    deployment: Deployment,
    place: Place,
    pub(crate) runtime: Runtime,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    /// What the doctor said before.
    known: Vec<String>,
}

impl Patient {
    pub(crate) fn new(run: &str) -> Self {
        let (deployment, runtime) = (Deployment::with_true_timeouts(run, &[]), Runtime::new().unwrap());
        let config: SdkConfig = runtime.block_on(deployment.emulator.sdk_config());
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Self {
            place: Place::with_env(deployment.emulator.env()),
            sqs: aws_sdk_sqs::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            known: Vec::new(),
            deployment,
            runtime,
        }
    }

    pub(crate) fn doctor(&self, more: &[&str]) -> Ran {
        let mut ran = self.place.run(&[&["doctor"], more].concat());
        ran.stdout = ran.stdout.replace(&self.deployment.emulator.endpoint(), "[emulator]");
        ran
    }

    /// What the doctor says that was not said before.
    pub(crate) fn news(&mut self) -> String {
        let ran = self.doctor(&[]);
        let mut found: Vec<String> = Vec::new();
        for line in ran.stdout.lines().filter(|line| !line.ends_with(" passed")) {
            match found.last_mut().filter(|_| line.starts_with(' ')) {
                Some(finding) => *finding += &format!("\n{line}"),
                None => found.push(line.to_owned()),
            }
        }
        let problems = found.iter().filter(|finding| finding.starts_with("problem")).count();
        let error = format!("error: {problems} problem{} found\n", if problems == 1 { "" } else { "s" });
        assert_eq!((ran.status, ran.stderr), if problems == 0 { (0, String::new()) } else { (1, error) });
        let is_new = |finding: &&String| !self.known.contains(finding);
        let news = found.iter().filter(is_new).cloned().collect::<Vec<_>>().join("\n");
        self.known = found;
        news
    }

    pub(crate) async fn queue(&self, name: &str) -> String {
        self.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
    }

    pub(crate) fn set(&self, queue: &str, attribute: QueueAttributeName, value: &str) {
        self.runtime.block_on(async {
            let set = self.sqs.set_queue_attributes().queue_url(self.queue(queue).await);
            set.attributes(attribute, value).send().await.unwrap();
        });
    }

    pub(crate) fn notify(&self, bucket: &str, rules: NotificationConfiguration) {
        let put = self.s3.put_bucket_notification_configuration().bucket(bucket).notification_configuration(rules);
        self.runtime.block_on(put.send()).unwrap();
    }

    pub(crate) fn set_variables(&self, function: &str, change: impl FnOnce(&mut HashMap<String, String>)) {
        self.runtime.block_on(async {
            let known = self.lambda.get_function_configuration().function_name(function).send().await.unwrap();
            let mut variables = known.environment.unwrap().variables.unwrap();
            change(&mut variables);
            let environment = Environment::builder().set_variables(Some(variables)).build();
            let update = self.lambda.update_function_configuration().function_name(function).environment(environment);
            update.send().await.unwrap();
        });
        self.deployment.until("the end of the update", || {
            let asked = self.lambda.get_function_configuration().function_name(function).send();
            self.runtime.block_on(asked).unwrap().state == Some(State::Active)
        });
    }

    /// The mapping of a function.
    pub(crate) async fn mapping(&self, function: &str) -> String {
        let listed = self.lambda.list_event_source_mappings().function_name(function).send().await.unwrap();
        listed.event_source_mappings()[0].uuid().unwrap().to_owned()
    }
}

pub(crate) fn to_queue(name: &str, events: &[Event]) -> NotificationConfiguration {
    let rule = QueueConfiguration::builder().queue_arn(format!("arn:aws:sqs:eu-central-1:000000000000:{name}"));
    let rule = rule.set_events(Some(events.to_vec())).build().unwrap();
    NotificationConfiguration::builder().queue_configurations(rule).build()
}

/// A rule of a bucket's lifecycle.
pub(crate) fn expiry(prefix: &str, days: i32) -> BucketLifecycleConfiguration {
    let rule = LifecycleRule::builder().status(ExpirationStatus::Enabled);
    let rule = rule.filter(LifecycleRuleFilter::builder().prefix(prefix).build());
    let rule = rule.expiration(LifecycleExpiration::builder().days(days).build()).build().unwrap();
    BucketLifecycleConfiguration::builder().rules(rule).build().unwrap()
}
