//! Uploads in parts.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::error::{failed, unavailable};
use crate::location::Location;
use crate::storage::{StorageError, Upload};

/// Size of the parts of an upload, 8 MiB: above S3's minimum of 5, and 10,000 of them hold 78 GiB.
const PART_BYTES: usize = 8 << 20;

/// Parts that are on their way at once; with [`PART_BYTES`] it bounds what an upload holds in memory.
const PARTS_IN_FLIGHT: usize = 3;

/// An upload; what fits one part goes as one put.
#[derive(Debug)]
pub(super) struct S3Upload {
    client: Client,
    at: Location,
    pending: BytesMut,
    multipart: Option<Multipart>,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    next_part: i32,
    in_flight: JoinSet<Result<CompletedPart, StorageError>>,
    done: Vec<CompletedPart>,
}

impl S3Upload {
    pub(super) fn new(client: Client, at: Location) -> Self {
        Self { client, at, pending: BytesMut::new(), multipart: None }
    }

    async fn send_part(&mut self, body: Bytes) -> Result<(), StorageError> {
        if self.multipart.is_none() {
            let created = self
                .client
                .create_multipart_upload()
                .bucket(self.at.bucket())
                .key(self.at.key())
                .send()
                .await
                .map_err(|error| failed(&self.at, "start an upload to", &error))?;
            let id = created.upload_id().ok_or_else(|| unavailable(&self.at, "write", "the answer has no UploadId"))?;
            self.multipart =
                Some(Multipart { id: id.to_owned(), next_part: 1, in_flight: JoinSet::new(), done: Vec::new() });
        }
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        while multipart.in_flight.len() >= PARTS_IN_FLIGHT {
            multipart.collect_one(&self.at).await?;
        }
        let number = multipart.next_part;
        multipart.next_part += 1;
        let upload = self
            .client
            .upload_part()
            .bucket(self.at.bucket())
            .key(self.at.key())
            .upload_id(&multipart.id)
            .part_number(number)
            .body(ByteStream::from(body));
        let at = self.at.clone();
        multipart.in_flight.spawn(async move {
            let sent = upload.send().await.map_err(|error| failed(&at, "write", &error))?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build())
        });
        Ok(())
    }
}

impl Multipart {
    async fn collect_one(&mut self, at: &Location) -> Result<(), StorageError> {
        if let Some(joined) = self.in_flight.join_next().await {
            self.done.push(joined.map_err(|error| unavailable(at, "write", error))??);
        }
        Ok(())
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.pending.extend_from_slice(&bytes);
        while self.pending.len() > PART_BYTES {
            let part = self.pending.split_to(PART_BYTES).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        let rest = self.pending.split().freeze();
        if self.multipart.is_none() {
            let put = self.client.put_object().bucket(self.at.bucket()).key(self.at.key());
            let sent = put.body(ByteStream::from(rest)).send().await;
            return sent.map(drop).map_err(|error| failed(&self.at, "write", &error));
        }
        self.send_part(rest).await?;
        let Some(mut multipart) = self.multipart.take() else { return Ok(()) };
        while !multipart.in_flight.is_empty() {
            multipart.collect_one(&self.at).await?;
        }
        multipart.done.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(multipart.done)).build();
        self.client
            .complete_multipart_upload()
            .bucket(self.at.bucket())
            .key(self.at.key())
            .upload_id(&multipart.id)
            .multipart_upload(parts)
            .send()
            .await
            .map(drop)
            .map_err(|error| failed(&self.at, "finish the upload to", &error))
    }

    async fn abort(mut self: Box<Self>) -> Result<(), StorageError> {
        let Some(mut multipart) = self.multipart.take() else { return Ok(()) };
        multipart.in_flight.shutdown().await;
        self.client
            .abort_multipart_upload()
            .bucket(self.at.bucket())
            .key(self.at.key())
            .upload_id(&multipart.id)
            .send()
            .await
            .map(drop)
            .map_err(|error| failed(&self.at, "give up the upload to", &error))
    }
}
