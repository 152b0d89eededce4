//! What S3 answers, as errors of a store.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::aws::aws_error_message;
use crate::location::Location;
use crate::storage::StorageError;

pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

pub(super) fn failed<E>(at: &Location, action: &'static str, error: &SdkError<E>) -> StorageError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let no_bucket = error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchBucket");
    if no_bucket {
        return StorageError::NoBucket { at: at.clone() };
    }
    match status(error) {
        Some(404) => StorageError::NotFound { at: at.clone() },
        Some(401 | 403) => StorageError::Denied { at: at.clone(), source: aws_error_message(error).into() },
        _ => unavailable(at, action, aws_error_message(error)),
    }
}

pub(super) fn unavailable(
    at: &Location,
    action: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StorageError {
    StorageError::Unavailable { at: at.clone(), action, source: source.into() }
}
