//! Stores against their contract, and what is particular to each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use futures::{StreamExt, stream};
use shared::testing::{Emulator, MemoryStorage, storage_contract};
use shared::{
    Copied, LocalStorage, Location, ObjectVersion, PutMode, S3Storage, Storage, StorageError, error_chain, https_client,
};

fn at(text: &str) -> Location {
    text.parse().unwrap()
}

#[tokio::test]
async fn local_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    storage_contract(&LocalStorage, &at(folder.path().to_str().unwrap())).await;
    let mut left = vec![folder.path().to_owned()];
    while let Some(path) = left.pop() {
        assert!(!path.to_str().unwrap().ends_with(".partial"), "{} is left", path.display());
        left.extend(path.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path()));
    }
}

/// A link has the age of its file, so an old file gets none: nobody is to take its copy for something to be cleaned up.
#[tokio::test]
async fn a_local_copy_is_young() {
    for (age, is_linked) in [(Duration::ZERO, true), (Duration::from_hours(2), false)] {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("object"), folder.path().join("copy"));
        std::fs::write(&path, "object").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        let (from, to) = (at(path.to_str().unwrap()), at(copy.to_str().unwrap()));
        let version = LocalStorage.stat(&from).await.unwrap().version;
        LocalStorage.copy(&from, &version, &to).await.unwrap().unwrap();
        let metadata = [path, copy].map(|path| path.metadata().unwrap());
        assert_eq!(metadata[0].ino() == metadata[1].ino(), is_linked, "{age:?}");
        assert!(metadata[1].modified().unwrap().elapsed().unwrap_or_default() < Duration::from_mins(1), "{age:?}");
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    storage_contract(&MemoryStorage::default(), &at("s3://memory/prefix")).await;
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    let emulator = Emulator::start();
    emulator.create_bucket("contract").await;
    storage_contract(&emulator.s3().await, &at("s3://contract")).await;
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_no_object_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let file = at(folder.path().to_str().unwrap()).join("file");
    LocalStorage.put(&file, "x".into(), PutMode::Overwrite).await.unwrap();
    for below in ["object", "folder/object"] {
        let put = LocalStorage.put(&file.join(below), "x".into(), PutMode::IfAbsent).await;
        assert!(matches!(put, Err(StorageError::Unavailable { .. })), "{put:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.csv");
    std::fs::write(&path, "a,b\n1,2\n").unwrap();
    let source = at(path.to_str().unwrap());
    let version = LocalStorage.stat(&source).await.unwrap().version;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"3,4\n").unwrap();
    let read = LocalStorage.get_range(&source, &version, 0..8).await;
    assert!(matches!(read, Err(StorageError::Changed { .. })), "{read:?}");
}

#[tokio::test]
async fn a_replaced_object_is_changed_even_with_the_same_size() {
    let emulator = Emulator::start();
    emulator.create_bucket("replaced").await;
    let (s3, source) = (emulator.s3().await, at("s3://replaced/in/my file+é=1.csv"));
    s3.put(&source, "a,b\n1,2\n".into(), PutMode::Overwrite).await.unwrap();
    let seen = s3.stat(&source).await.unwrap();
    s3.put(&source, "a,b\n1,3\n".into(), PutMode::Overwrite).await.unwrap();
    let read = s3.get_range(&source, &seen.version, 0..8).await;
    assert!(matches!(read, Err(StorageError::Changed { .. })), "{read:?}");
    // The eTag is of the content: what was there before is the same version again.
    s3.put(&source, "a,b\n1,2\n".into(), PutMode::Overwrite).await.unwrap();
    assert_eq!(s3.get_range(&source, &seen.version, 4..7).await.unwrap(), "1,2");
    // As an event notification names it.
    let bare = ObjectVersion(seen.version.0.trim_matches('"').to_owned());
    assert_eq!(s3.get_range(&source, &bare, 4..7).await.unwrap(), "1,2");
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_no_absent_object() {
    let emulator = Emulator::start();
    let (s3, object) = (emulator.s3().await, at("s3://no-such-bucket/key"));
    let version = ObjectVersion("\"0\"".to_owned());
    let upload = async {
        let mut upload = s3.create(&object).await?;
        upload.write("x".into()).await?;
        upload.finish().await
    };
    for (what, result) in [
        ("stat", s3.stat(&object).await.map(drop)),
        ("get", s3.get(&object).await.map(drop)),
        ("get_range", s3.get_range(&object, &version, 0..1).await.map(drop)),
        ("put", s3.put(&object, "x".into(), PutMode::Overwrite).await),
        ("put if absent", s3.put(&object, "x".into(), PutMode::IfAbsent).await),
        ("upload", upload.await),
        ("list", s3.list(&object).await.map(drop)),
        ("delete", s3.delete(&object).await),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, StorageError::NoBucket { .. }), "{what}: {error:?}");
        let text = error_chain(&error);
        assert!(text.contains("s3://no-such-bucket/key"), "{what}: {text}");
        assert!(text.contains("there is no bucket no-such-bucket"), "{what}: {text}");
    }
}

#[tokio::test]
async fn strangers_are_denied() {
    let emulator = Emulator::start_with(&[("AUTH", "true")]);
    emulator.create_bucket("private").await;
    let object = at("s3://private/key");
    emulator.s3().await.put(&object, "x".into(), PutMode::Overwrite).await.unwrap();
    let version = emulator.s3().await.stat(&object).await.unwrap().version;

    let stranger = Credentials::new("stranger", "secret", None, None, "test");
    let config = emulator.sdk_config().await.into_builder();
    let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(stranger);
    let s3 = S3Storage::new(&config.credentials_provider(provider).build());
    for (what, result) in [
        ("stat", s3.stat(&object).await.map(drop)),
        ("get", s3.get(&object).await.map(drop)),
        ("get_range", s3.get_range(&object, &version, 0..1).await.map(drop)),
        ("put", s3.put(&object, "y".into(), PutMode::Overwrite).await),
        ("put if absent", s3.put(&object, "y".into(), PutMode::IfAbsent).await),
        ("list", s3.list(&object).await.map(drop)),
        ("delete", s3.delete(&object).await),
    ] {
        assert!(matches!(result, Err(StorageError::Denied { .. })), "{what}: {result:?}");
    }
    assert_eq!(emulator.s3().await.get(&object).await.unwrap(), "x");
}

#[tokio::test]
async fn a_listing_has_all_its_pages() {
    let emulator = Emulator::start();
    emulator.create_bucket("pages").await;
    let s3 = emulator.s3().await;
    let name = |number: u32| at("s3://pages/p").join(&format!("{number:05}"));
    let puts = stream::iter((0..1_003).rev()).map(|number| {
        let (s3, to) = (s3.clone(), name(number));
        async move { s3.put(&to, "x".into(), PutMode::Overwrite).await }
    });
    puts.buffer_unordered(16).for_each(|put| async { put.unwrap() }).await;
    let listed: Vec<_> =
        s3.list(&at("s3://pages/p")).await.unwrap().into_iter().map(|listed| listed.location).collect();
    assert_eq!(listed, (0..1_003).map(name).collect::<Vec<_>>());
}

/// A server that gives these answers, one a request, and then the number of requests.
fn scripted(answers: &'static [&'static str]) -> (SdkConfig, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(https_client())
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .build();
    let serve = move || {
        for answer in answers {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut body = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    body = length.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; body]).unwrap();
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
        answers.len()
    };
    (config, thread::spawn(serve))
}

#[tokio::test]
async fn a_conflict_of_racers_is_asked_again() {
    const CONFLICT: &str = "HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Length: 57\r\n\r\n\
                            <Error><Code>ConditionalRequestConflict</Code></Error>   ";
    const DONE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n";
    const LOST: &str = "HTTP/1.1 412 Precondition Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (config, server) = scripted(&[CONFLICT, CONFLICT, DONE, CONFLICT, LOST]);
    let (s3, object) = (S3Storage::new(&config).untested(), at("s3://bucket/job.json"));
    s3.put(&object, "x".into(), PutMode::IfAbsent).await.unwrap();
    let lost = s3.put(&object, "x".into(), PutMode::IfAbsent).await;
    assert!(matches!(lost, Err(StorageError::AlreadyExists { .. })), "{lost:?}");
    assert_eq!(server.join().unwrap(), 5);
}

#[tokio::test]
async fn s3_tells_the_checksum_of_a_copy() {
    const COPIED: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<CopyObjectResult><ETag>\"2\"</ETag>\
                          <ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME></CopyObjectResult>";
    const UNTOLD: &str =
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<CopyObjectResult><ETag>\"2\"</ETag></CopyObjectResult>";
    const FAILED_LATE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<Error><Code>AccessDenied</Code></Error>";
    const CHANGED: &str = "HTTP/1.1 412 Precondition Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (config, server) = scripted(&[COPIED, UNTOLD, FAILED_LATE, CHANGED]);
    let (s3, from, to) = (S3Storage::new(&config), at("s3://chunks/00000.parquet"), at("s3://lake/t/part.parquet"));
    let version = ObjectVersion("\"1\"".to_owned());
    let copy = || s3.copy(&from, &version, &to);
    let checksum = Some("crc64nvme:ae8b14860a799888".to_owned());
    assert_eq!(copy().await.unwrap(), Some(Copied { checksum }));
    assert_eq!(copy().await.unwrap(), Some(Copied { checksum: None }));
    let late = copy().await;
    assert!(late.is_err(), "{late:?}");
    let changed = copy().await;
    assert!(matches!(&changed, Err(StorageError::Changed { at, .. }) if *at == from), "{changed:?}");
    assert_eq!(s3.copy(&from, &version, &at("/local")).await.unwrap(), None);
    assert_eq!(server.join().unwrap(), 4);
}
