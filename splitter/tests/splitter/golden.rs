//! The bytes of chunks. Where they change, `ENCODER` has to: a job that is gone on with would double rows, or lose them.

use shared::PutMode;
use shared::Storage;
use shared::testing::MemoryStorage;

use crate::properties::{How, at, split_to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_the_bytes_that_this_encoder_makes() {
    let objects = MemoryStorage::default();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/flights.csv");
    objects.put(&at("source.csv"), std::fs::read(fixture).unwrap().into(), PutMode::Overwrite).await.unwrap();
    let how = How { chunk_bytes: 400 << 10, max_record_bytes: 1 << 20, threads: 2, calls: u64::MAX };
    let outcome = split_to(&objects, "out", how).await.unwrap();
    let chunks: Vec<_> = outcome.manifest.chunks.iter().map(|chunk| (chunk.rows, chunk.checksum.as_str())).collect();
    let expected = [
        (8416, "crc64nvme:f10cb1424f992e99"),
        (8330, "crc64nvme:439353d8f9633714"),
        (8324, "crc64nvme:86583c9d541acf14"),
        (1934, "crc64nvme:08879089565f232c"),
    ];
    assert_eq!((outcome.job.policy.encoder, chunks.as_slice()), (7, &expected[..]));
}
