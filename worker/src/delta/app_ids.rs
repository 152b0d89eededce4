//! Application ids of the transactions that Sluice leaves in a table's log.

use shared::{ChunkIdentity, JobId};

/// Beginning of the application ids of all transactions of Sluice.
pub(crate) const JOB: &str = "sluice/";

/// Application id of the transaction whose version is a job's seal.
pub(crate) fn job_app_id(job: &JobId) -> String {
    format!("{JOB}{job}")
}

/// Beginning of the application ids of transactions that say under which URI Sluice loaded the table; the URI follows.
pub(crate) const NAME: &str = "sluice/table/";

/// Application id of the transaction that a chunk of a job is committed with.
pub(crate) fn chunk_app_id(identity: &ChunkIdentity) -> String {
    format!("{}/{}", job_app_id(&identity.job_id), identity.index)
}
