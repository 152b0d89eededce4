//! The emulator ends with its owner, and several get on with each other.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use shared::testing::Emulator;
use shared::{PutMode, Storage, StorageError};

fn answers(endpoint: &str) -> bool {
    TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).is_ok()
}

#[test]
fn it_ends_with_its_owner() {
    let emulator = Emulator::start();
    let endpoint = emulator.endpoint();
    assert!(answers(&endpoint));
    drop(emulator);
    assert!(!answers(&endpoint));
}

#[test]
fn it_ends_with_a_test_that_panics() {
    let mut endpoint = String::new();
    let test = AssertUnwindSafe(|| {
        let emulator = Emulator::start();
        endpoint = emulator.endpoint();
        assert!(answers(&endpoint));
        resume_unwind(Box::new("a failed test"));
    });
    assert!(catch_unwind(test).is_err());
    assert!(!answers(&endpoint));
}

#[tokio::test]
async fn two_have_nothing_in_common() {
    let (one, other) = (Emulator::start(), Emulator::start());
    one.create_bucket("bucket").await;
    other.create_bucket("bucket").await;
    let object = "s3://bucket/key".parse().unwrap();
    one.s3().await.put(&object, "x".into(), PutMode::IfAbsent).await.unwrap();
    let read = other.s3().await.get(&object).await;
    assert!(matches!(read, Err(StorageError::NotFound { .. })), "{read:?}");
}
