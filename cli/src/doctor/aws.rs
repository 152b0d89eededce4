//! The services that a deployment is made of, and what they answer.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use shared::{S3Storage, aws_error_message, aws_settings};

use super::findings::{Finding, Subject};

/// The services.
#[derive(Debug)]
pub(super) struct Aws {
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) sns: aws_sdk_sns::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) s3: S3Storage,
}

impl Aws {
    /// By the usual AWS variables, profiles and `AWS_ENDPOINT_URL`.
    pub(super) async fn from_env() -> Self {
        let config = aws_settings().await;
        Self {
            lambda: aws_sdk_lambda::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            s3: S3Storage::new(config),
        }
    }
}

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What may not be allowed, as a policy names it.
    action: &'static str,
    kind: Kind,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What was asked for is not there.
    Missing,
    Denied,
    Other,
}

impl Refusal {
    pub(super) fn new<E>(action: &'static str, error: &SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        // SQS has two protocols, and the codes of the older one have a prefix. The answer to a HEAD has no code at all.
        let code = error.code().unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let kind = match (code, error.raw_response().map(|response| response.status().as_u16())) {
            ("NonExistentQueue" | "QueueDoesNotExist", _) | (_, Some(404)) => Kind::Missing,
            ("AccessDenied" | "AccessDeniedException" | "AuthorizationError", _) | (_, Some(403)) => Kind::Denied,
            _ => Kind::Other,
        };
        // Without credentials, a line for each place follows where none were found.
        let reason =
            aws_error_message(error).lines().next().unwrap_or_default().trim_end_matches(" Attempted:").to_owned();
        Self { action, kind, reason }
    }

    /// Whether there is nothing by that name.
    pub(super) fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    /// That it is not known how things are.
    pub(super) fn finding(&self, subject: &Subject) -> Finding {
        let hint = match self.kind {
            Kind::Denied => format!("allow {} to whoever runs this", self.action),
            Kind::Missing | Kind::Other => format!("see whether {} answers, and run this again", self.action),
        };
        subject.unknown(format!("cannot be looked into: {}", self.reason), hint)
    }
}

/// The last part of an ARN or a URL.
pub(super) fn name(of: &str) -> &str {
    of.rsplit([':', '/']).next().unwrap_or_default()
}
