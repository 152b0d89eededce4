//! What AWS answers, in few words.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::telemetry::error_chain;

/// What the service said, or, where no answer came, why.
pub fn said<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error_chain(error),
    }
}
