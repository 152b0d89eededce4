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

/// Beginning of the application ids of cursors: how far rows of another table have come into this one, see [`cursor_app_id`].
pub(crate) const CHAIN: &str = "sluice/chain/";

/// Application id of the transaction whose version is the last one of a table, by its id, whose rows are in this one. The URI is the one
/// that it had when it was read first.
pub(crate) fn cursor_app_id(table_id: &str, uri: &str) -> String {
    format!("{CHAIN}{table_id}/{uri}")
}

/// What data files carry that have the rows of a version of another table.
pub(crate) fn step_tag(table_id: &str, version: u64) -> String {
    format!("{CHAIN}{table_id}/{version}")
}

/// Application id of the transaction that a chunk of a job is committed with.
pub(crate) fn chunk_app_id(identity: &ChunkIdentity) -> String {
    format!("{}/{}", job_app_id(&identity.job_id), identity.index)
}
