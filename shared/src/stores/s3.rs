//! Objects on S3.

mod error;
mod upload;

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective, TaggingDirective};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Mutex;

use self::error::{failed, status, unavailable};
use self::upload::S3Upload;
use super::first_wins::{first_wins, is_own_server};
use crate::aws::aws_settings;
use crate::backoff::{Backoff, BackoffSettings};
use crate::location::Location;
use crate::storage::{
    Copied, ObjectStat, ObjectVersion, PutMode, ROOM_BYTES, Storage, StorageError, StoredObject, Upload,
};

/// How often a range whose body broke off is asked for again; the SDK retries requests, not bodies.
const BODY_ATTEMPTS: u32 = 4;

/// How long a bucket that was there is taken to be there: the look-ups of one job, and no longer.
const PRESENT_FOR: Duration = Duration::from_secs(10);

/// Characters that are escaped where a key stands in a header.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Objects on S3, or on a server that speaks its protocol.
///
/// On a server that is not AWS's the first put-if-absent to a bucket is preceded by a test that such puts are what they are to be.
#[derive(Clone, Debug)]
pub struct S3Storage {
    client: Client,
    /// Where it is reached; none for AWS itself.
    own_server: Option<String>,
    /// Buckets of which the test was passed.
    exclusive: Arc<Mutex<HashSet<String>>>,
    /// When buckets were last seen to be there.
    present: Arc<std::sync::Mutex<HashMap<String, Instant>>>,
}

impl S3Storage {
    /// A store with the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`.
    pub async fn from_env() -> Self {
        Self::new(aws_settings().await)
    }

    /// A store with these settings. A server of one's own is addressed by path (`http://host/bucket/key`), since its
    /// buckets seldom have names in the DNS.
    pub fn new(config: &SdkConfig) -> Self {
        let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.or_else(|| config.endpoint_url().map(str::to_owned));
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(endpoint.is_some()).build();
        let own_server = endpoint.filter(|endpoint| is_own_server(endpoint));
        Self { client: Client::from_conf(config), own_server, exclusive: Arc::default(), present: Arc::default() }
    }

    /// The same without the test of a server that is not AWS's, for one that answers by a script.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn untested(self) -> Self {
        Self { own_server: None, ..self }
    }

    /// What it reaches S3 by, for what concerns buckets rather than objects.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn get_range_once(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: &Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let changed = || StorageError::Changed { at: at.clone(), version: version.0.clone() };
        let output = self
            .client
            .get_object()
            .bucket(at.bucket())
            .key(at.key())
            .if_match(&version.0)
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .send()
            .await
            .map_err(|error| match status(&error) {
                Some(412 | 416) => changed(),
                _ => failed(at, "read", &error),
            })?;
        let expected = range.end - range.start;
        // S3 answers a range that goes beyond the end with what there is of it.
        if output.content_length().is_some_and(|length| u64::try_from(length).is_ok_and(|length| length < expected)) {
            return Err(changed());
        }
        let mut body = output.body;
        let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or_default() + ROOM_BYTES);
        while let Some(piece) = body.try_next().await.map_err(|source| unavailable(at, "read", source))? {
            bytes.extend_from_slice(&piece);
        }
        if u64::try_from(bytes.len()).ok() != Some(expected) {
            let text = format!("{} bytes came where {expected} were asked for", bytes.len());
            return Err(unavailable(at, "read", text));
        }
        Ok(bytes.freeze())
    }

    /// Refuses to put an object if absent where a server would let several win. Who comes meanwhile waits for the test.
    async fn require_exclusive(&self, at: &Location) -> Result<(), StorageError> {
        let Some(endpoint) = &self.own_server else { return Ok(()) };
        let mut exclusive = self.exclusive.lock().await;
        if exclusive.contains(at.bucket()) {
            return Ok(());
        }
        let folder = test_folder(at);
        let put = |name: String| {
            let at = folder.join(&name);
            async move {
                match self.put_untested(&at, Bytes::new(), PutMode::IfAbsent).await {
                    Ok(()) => Ok(true),
                    Err(StorageError::AlreadyExists { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        };
        let delete = |name: String| {
            let at = folder.join(&name);
            async move { self.delete(&at).await }
        };
        let tested = first_wins(put, delete).await.map_err(|error| match error {
            // Whoever put an object knows nothing of the test.
            StorageError::NoBucket { .. } => StorageError::NoBucket { at: at.clone() },
            error => error,
        })?;
        if !tested.is_heeded {
            return Err(StorageError::NotExclusive { at: at.clone(), endpoint: endpoint.clone() });
        }
        exclusive.insert(at.bucket().to_owned());
        Ok(())
    }

    async fn put_untested(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        let condition = (mode == PutMode::IfAbsent).then(|| "*".to_owned());
        let mut backoff = Backoff::new(&BackoffSettings::default());
        loop {
            let put = self.client.put_object().bucket(at.bucket()).key(at.key()).set_if_none_match(condition.clone());
            let Err(error) = put.body(ByteStream::from(body.clone())).send().await else { return Ok(()) };
            match (mode, status(&error)) {
                (PutMode::IfAbsent, Some(412)) => return Err(StorageError::AlreadyExists { at: at.clone() }),
                // Two puts met, and S3 wants to be asked again which of them won; the SDK leaves that to its caller.
                (PutMode::IfAbsent, Some(409)) => match backoff.next_wait() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(failed(at, "write", &error)),
                },
                _ => return Err(failed(at, "write", &error)),
            }
        }
    }

    /// What a HEAD found to be absent, the object or the bucket. The answer to a HEAD has no body that could say; the
    /// answer to a GET has, and holds for the bucket for a while.
    async fn absence(&self, at: &Location) -> StorageError {
        if self.seen().get(at.bucket()).is_some_and(|seen| seen.elapsed() < PRESENT_FOR) {
            return StorageError::NotFound { at: at.clone() };
        }
        let error = match self.client.get_object().bucket(at.bucket()).key(at.key()).range("bytes=0-0").send().await {
            Err(error) => failed(at, "look up", &error),
            // It came into being in between: absent is what it was when it was asked for.
            Ok(_) => StorageError::NotFound { at: at.clone() },
        };
        if matches!(error, StorageError::NotFound { .. }) {
            self.seen().insert(at.bucket().to_owned(), Instant::now());
        }
        error
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for S3Storage {
    async fn stat(&self, at: &Location) -> Result<ObjectStat, StorageError> {
        let head = self.client.head_object().bucket(at.bucket()).key(at.key()).send().await;
        let head = match head {
            Err(error) if status(&error) == Some(404) => return Err(self.absence(at).await),
            head => head.map_err(|error| failed(at, "look up", &error))?,
        };
        let size = head
            .content_length()
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| unavailable(at, "look up", "the answer has no Content-Length"))?;
        let tag = head.e_tag().ok_or_else(|| unavailable(at, "look up", "the answer has no ETag"))?;
        Ok(ObjectStat { size, version: ObjectVersion(tag.to_owned()) })
    }

    async fn get(&self, at: &Location) -> Result<Bytes, StorageError> {
        let output = self
            .client
            .get_object()
            .bucket(at.bucket())
            .key(at.key())
            .send()
            .await
            .map_err(|error| failed(at, "read", &error))?;
        let body = output.body.collect().await.map_err(|source| unavailable(at, "read", source))?;
        Ok(body.into_bytes())
    }

    async fn get_range(
        &self,
        at: &Location,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let mut backoff = Backoff::new(&BackoffSettings { max_attempts: BODY_ATTEMPTS, ..BackoffSettings::default() });
        loop {
            match self.get_range_once(at, version, &range).await {
                Err(error @ StorageError::Unavailable { .. }) => match backoff.next_wait() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
                result => return result,
            }
        }
    }

    async fn put(&self, at: &Location, body: Bytes, mode: PutMode) -> Result<(), StorageError> {
        if mode == PutMode::IfAbsent {
            self.require_exclusive(at).await?;
        }
        self.put_untested(at, body, mode).await
    }

    async fn create(&self, at: &Location) -> Result<Box<dyn Upload>, StorageError> {
        Ok(Box::new(S3Upload::new(self.client.clone(), at.clone())))
    }

    /// S3 computes the checksum of the copy itself when it is asked to, from the bytes that it wrote. Tags and metadata are left
    /// behind: to copy those would take permissions of their own.
    async fn copy(
        &self,
        from: &Location,
        version: &ObjectVersion,
        to: &Location,
    ) -> Result<Option<Copied>, StorageError> {
        let Location::S3 { bucket, key } = to else { return Ok(None) };
        let source = format!("{}/{}", from.bucket(), utf8_percent_encode(from.key(), ESCAPED));
        let copy = self.client.copy_object().bucket(bucket).key(key).copy_source(source);
        let copied = copy
            .copy_source_if_match(&version.0)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace)
            .send()
            .await
            .map_err(|error| match status(&error) {
                Some(412) => StorageError::Changed { at: from.clone(), version: version.0.clone() },
                _ => failed(from, "copy", &error),
            })?;
        let checksum = copied.copy_object_result().and_then(|result| result.checksum_crc64_nvme());
        Ok(Some(Copied { checksum: checksum.and_then(as_text) }))
    }

    async fn list(&self, prefix: &Location) -> Result<Vec<StoredObject>, StorageError> {
        let folder = match prefix.key() {
            "" => String::new(),
            key => format!("{}/", key.trim_end_matches('/')),
        };
        let mut pages = self.client.list_objects_v2().bucket(prefix.bucket()).prefix(folder).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(prefix, "list", &error))?;
            listed.extend(page.contents().iter().filter_map(|object| {
                Some(StoredObject {
                    location: Location::S3 { bucket: prefix.bucket().to_owned(), key: object.key()?.to_owned() },
                    size: u64::try_from(object.size()?).ok()?,
                    // A store that does not say has written it just now, so that nothing is done to it for its age.
                    modified: object
                        .last_modified()
                        .and_then(|time| SystemTime::try_from(*time).ok())
                        .unwrap_or_else(SystemTime::now),
                })
            }));
        }
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(listed)
    }

    async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        let delete = self.client.delete_object().bucket(at.bucket()).key(at.key());
        delete.send().await.map(drop).map_err(|error| failed(at, "delete", &error))
    }
}

/// Where objects are written to test puts to a location: a folder up, for in the same one each may be taken for a document; and no
/// higher, for a role may write no more than that.
fn test_folder(at: &Location) -> Location {
    let folder = at.parent().unwrap_or_else(|| at.clone());
    folder.parent().unwrap_or(folder)
}

/// A checksum as S3 writes it, eight bytes in base 64, as our own are written.
fn as_text(crc64nvme: &str) -> Option<String> {
    let bytes: [u8; 8] = BASE64_STANDARD.decode(crc64nvme).ok()?.try_into().ok()?;
    Some(crate::checksum::text(u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_a_test_lies_where_a_role_may_write_and_no_documents_are_read() {
        for (at, folder) in [
            ("s3://b/sluice/job-1/job.json", "s3://b/sluice"),
            ("s3://b/sluice/job-1/loaded/00000.json", "s3://b/sluice/job-1"),
            ("s3://b/sluice_drops/0f/00000001.json", "s3://b/sluice_drops"),
            ("s3://b/sluice/_first-wins/x-one", "s3://b/sluice"),
        ] {
            assert_eq!(test_folder(&at.parse().unwrap()).to_string(), folder, "{at}");
        }
        for at in ["s3://b/job.json", "s3://b/x/job.json"] {
            assert_eq!(test_folder(&at.parse().unwrap()).bucket(), "b", "{at}");
        }
    }

    #[test]
    fn checksums_are_written_alike() {
        // The check value of the catalogue, as S3 has it for an object `123456789`.
        assert_eq!(as_text("rosUhgp5mIg=").as_deref(), Some("crc64nvme:ae8b14860a799888"));
        assert_eq!(as_text("AAAAAA=="), None);
        assert_eq!(as_text("no base 64"), None);
    }
}
