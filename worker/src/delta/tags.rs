//! Tags of data files in the log: which chunk a file is made of.

use deltalake::kernel::Add;
use shared::JobId;

use crate::delta::app_ids::job_app_id;

/// Tag of a data file in the log: the application id of the chunk that it is made of. One commit may hold several chunks.
pub(crate) const CHUNK_TAG: &str = "sluice.chunk";

/// Tag of a data file that is a chunk, in the log: the checksum of its bytes.
pub(crate) const CHECKSUM_TAG: &str = "sluice.checksum";

/// What stands in place of a chunk's number where a file is made of several chunks of a job.
const MERGED: &str = "/merged";

/// Application id of the chunk that a file is made of; none when the file does not say.
pub(crate) fn chunk_of(add: &Add) -> Option<&str> {
    add.tags.as_ref()?.get(CHUNK_TAG)?.as_deref()
}

/// What a file carries that is merged of files of a chunk's job; none when the chunk is of no job.
pub(crate) fn merged(chunk: &str) -> Option<String> {
    job_of(chunk).map(|job| format!("{job}{MERGED}"))
}

/// Whether a file carries that it is merged.
pub(crate) fn is_merged(chunk: &str) -> bool {
    chunk.ends_with(MERGED)
}

/// Whether a chunk, by its application id, is of a job.
pub(crate) fn is_of(chunk: &str, job: &JobId) -> bool {
    chunk.strip_prefix(&job_app_id(job)).is_some_and(|rest| rest.starts_with('/'))
}

/// Application id of the job of a chunk; none when the chunk is of no job.
pub(crate) fn job_of(chunk: &str) -> Option<&str> {
    let (job, _) = chunk.rsplit_once('/')?;
    job.contains('/').then_some(job)
}
