//! Why a source could not be split is kept beside the job.

use shared::{LoadFailure, Storage, WorkArea};

use crate::error::SplitError;

/// Keeps why a source was given up. That it cannot be kept is not what the split fails by.
pub(crate) async fn note(storage: &dyn Storage, area: &WorkArea, why: &SplitError) {
    let failure = LoadFailure { version: 1, chunks: 0, reason: shared::error_chain(why) };
    if let Err(error) = failure.put(storage, area).await {
        tracing::warn!(reason = shared::error_chain(&error), "the work area does not keep why the source was given up");
    }
}
