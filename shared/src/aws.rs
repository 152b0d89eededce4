//! How AWS is reached, and what it answers, in few words.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use tokio::sync::OnceCell;

use crate::telemetry::error_chain;

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// Settings by the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`; read once, so that all services share
/// credentials and connections.
pub async fn aws_settings() -> &'static SdkConfig {
    CONFIG.get_or_init(|| aws_config::load_defaults(BehaviorVersion::latest())).await
}

/// The region of these settings, of a profile's too; none before they were read, and where there is none.
pub fn aws_region() -> Option<String> {
    CONFIG.get()?.region().map(ToString::to_string)
}

/// The message of the service, or, where no answer came, why.
pub fn aws_error_message<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error_chain(error),
    }
}
