//! The queue message that says where a chunk is and what it is: all that splitter and worker agree on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::JobId;
use crate::location::{Location, LocationError};
use crate::policy::LoadPolicy;

/// One chunk to load.
///
/// `s3_bucket` and `s3_object_key` stand at the top level, so that a consumer which knows only these two works on our
/// queue, and a message that has only these two is a chunk task too: it is bound for the worker's own table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkTask {
    /// Version of this message; 1, also when it is absent. 2 where the job asks for what workers of version 1 would pass over.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Bucket of the chunk; `file://` on a local file system.
    pub s3_bucket: String,
    /// Key of the chunk; an absolute path on a local file system.
    pub s3_object_key: String,
    /// The job, the chunk belongs to, and what it must turn out to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<ChunkIdentity>,
}

/// What a chunk is: its place in its job, and what its bytes must turn out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkIdentity {
    /// The job.
    pub job_id: JobId,
    /// Position among the chunks of the job, from 0.
    pub index: u32,
    /// Rows.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Checksum of all bytes.
    pub checksum: String,
}

impl fmt::Display for ChunkTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chunk {
            Some(ChunkIdentity { job_id, index, rows, bytes, .. }) => {
                write!(f, "chunk {index} of job {job_id} ({rows} rows, {} MiB)", bytes.div_ceil(1 << 20))
            }
            None => write!(f, "{}/{}", self.s3_bucket, self.s3_object_key),
        }
    }
}

/// Versions that are read, up to this one.
const LATEST: u32 = 2;

fn first_version() -> u32 {
    1
}

/// Why a message is not a chunk task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkTaskError {
    /// Not the JSON that it should be.
    #[error("the message is not a chunk task")]
    Malformed(#[source] serde_json::Error),
    /// Made by a newer splitter.
    #[error("the chunk task has version {0}, and this worker knows versions up to {latest}", latest = LATEST)]
    Version(u32),
    /// Bucket or key are not a location.
    #[error("the chunk task names no chunk")]
    Location(#[source] LocationError),
}

impl ChunkTask {
    /// The task for a chunk.
    pub fn new(at: &Location, chunk: ChunkIdentity) -> Self {
        Self { version: 1, s3_bucket: at.bucket().to_owned(), s3_object_key: at.key().to_owned(), chunk: Some(chunk) }
    }

    /// The same for a chunk that is to be loaded so: workers that know nothing of expectations or look-ups refuse it, where they would
    /// load all rows as they are.
    #[must_use]
    pub fn to_load(self, load: &LoadPolicy) -> Self {
        let is_plain = load.expectations.is_none() && load.lookups.is_empty();
        Self { version: if is_plain { 1 } else { 2 }, ..self }
    }

    /// Reads the body of a message.
    pub fn parse(body: &str) -> Result<Self, ChunkTaskError> {
        let task: Self = serde_json::from_str(body).map_err(ChunkTaskError::Malformed)?;
        if !(1..=LATEST).contains(&task.version) {
            return Err(ChunkTaskError::Version(task.version));
        }
        task.location()?;
        Ok(task)
    }

    /// The body of a message.
    pub fn body(&self) -> Result<String, ChunkTaskError> {
        serde_json::to_string(self).map_err(ChunkTaskError::Malformed)
    }

    /// Where the chunk lies.
    pub fn location(&self) -> Result<Location, ChunkTaskError> {
        Location::from_bucket_and_key(&self.s3_bucket, &self.s3_object_key).map_err(ChunkTaskError::Location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookups::PinnedLookup;

    fn task() -> ChunkTask {
        let at = "s3://b/p/j/chunks/00003.parquet".parse().unwrap();
        let chunk = ChunkIdentity {
            job_id: JobId::from("j".to_owned()),
            index: 3,
            rows: 10,
            bytes: 1234,
            checksum: "crc64nvme:00".to_owned(),
        };
        ChunkTask::new(&at, chunk)
    }

    #[test]
    fn wire_format() {
        insta::assert_snapshot!(task().body().unwrap(), @r#"{"version":1,"s3_bucket":"b","s3_object_key":"p/j/chunks/00003.parquet","chunk":{"job_id":"j","index":3,"rows":10,"bytes":1234,"checksum":"crc64nvme:00"}}"#);
    }

    #[test]
    fn reads_what_it_writes_and_what_others_write() {
        assert_eq!(ChunkTask::parse(&task().body().unwrap()).unwrap(), task());
        let bare = ChunkTask::parse(r#"{"s3_bucket":"b","s3_object_key":"k","written_by":"someone else"}"#).unwrap();
        assert_eq!((bare.version, bare.chunk), (1, None));
        for body in ["", "{}", "[]", r#"{"s3_bucket":"b"}"#, r#"{"s3_bucket":"b","s3_object_key":""}"#] {
            assert!(ChunkTask::parse(body).is_err(), "{body}");
        }
        let newer = r#"{"version":3,"s3_bucket":"b","s3_object_key":"k"}"#;
        assert!(matches!(ChunkTask::parse(newer), Err(ChunkTaskError::Version(3))));
    }

    #[test]
    fn what_workers_of_version_1_would_pass_over_has_another_version() {
        let lookup = PinnedLookup {
            name: "k".to_owned(),
            from: "s3://b/k.csv".parse().unwrap(),
            table_version: None,
            size: 1,
            digest: String::new(),
        };
        let load = LoadPolicy { lookups: vec![lookup], ..LoadPolicy::default() };
        assert_eq!(task().to_load(&LoadPolicy::default()).version, 1);
        let task = task().to_load(&load);
        assert_eq!(task.version, 2);
        assert_eq!(ChunkTask::parse(&task.body().unwrap()).unwrap(), task);
    }
}
