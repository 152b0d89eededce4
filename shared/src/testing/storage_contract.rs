//! What every store of objects promises.

#![expect(clippy::expect_used, reason = "a broken promise is to fail the test that asked")]

use bytes::Bytes;
use futures::future::join_all;

use crate::checksum::Checksum;
use crate::location::Location;
use crate::storage::{PutMode, Storage, StorageError};

/// Holds a store to the contracts of [`Storage`]. Everything that it writes lies below `prefix`, where nothing may lie yet.
///
/// # Panics
///
/// When a promise is broken.
pub async fn storage_contract(storage: &dyn Storage, prefix: &Location) {
    what_is_put_reads_back(storage, &prefix.join("put")).await;
    what_is_absent_is_not_found(storage, &prefix.join("absent")).await;
    ranges_are_exact(storage, &prefix.join("ranges")).await;
    versions_are_never_mixed(storage, &prefix.join("versions")).await;
    // Several races, since a store that looks first and writes then is mostly lucky.
    for race in 0..8 {
        one_of_many_racers_wins(storage, &prefix.join(&format!("races/{race}"))).await;
    }
    an_upload_appears_when_it_is_finished(storage, &prefix.join("upload")).await;
    an_upload_that_is_given_up_leaves_nothing(storage, &prefix.join("given up")).await;
    a_large_upload_arrives_byte_for_byte(storage, &prefix.join("large")).await;
    listings_are_sorted_and_end_at_slashes(storage, &prefix.join("list")).await;
    an_object_is_deleted_once_and_for_all(storage, &prefix.join("delete")).await;
    a_copy_is_the_version_that_was_meant(storage, &prefix.join("copy")).await;
    keys_are_taken_literally(storage, &prefix.join("keys")).await;
}

async fn put(storage: &dyn Storage, at: &Location, body: impl Into<Bytes>) {
    storage.put(at, body.into(), PutMode::Overwrite).await.expect("put");
}

async fn assert_holds(storage: &dyn Storage, at: &Location, body: &[u8]) {
    let read = storage.get(at).await.expect("get");
    // Not assert_eq: a large object is not to be printed.
    assert!(read == body, "{at}: {} bytes were read that are not the {} expected", read.len(), body.len());
    assert_eq!(storage.stat(at).await.expect("stat").size, length(body), "{at}");
}

fn length(body: &[u8]) -> u64 {
    u64::try_from(body.len()).expect("a length fits 64 bits")
}

async fn what_is_put_reads_back(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("object");
    for body in [&b"first"[..], b"", b"the third is the longest"] {
        put(storage, &at, body).await;
        assert_holds(storage, &at, body).await;
    }
    let refused = storage.put(&at, Bytes::from_static(b"fourth"), PutMode::IfAbsent).await;
    assert!(matches!(&refused, Err(StorageError::AlreadyExists { at: named }) if *named == at), "{refused:?}");
    assert_holds(storage, &at, b"the third is the longest").await;
}

async fn what_is_absent_is_not_found(storage: &dyn Storage, folder: &Location) {
    let there = folder.join("there");
    put(storage, &there, "x").await;
    let version = storage.stat(&there).await.expect("stat").version;
    for at in [folder.join("gone"), folder.join("no/such/folder/gone")] {
        let stat = storage.stat(&at).await;
        assert!(matches!(&stat, Err(StorageError::NotFound { at: named }) if *named == at), "stat: {stat:?}");
        let get = storage.get(&at).await;
        assert!(matches!(&get, Err(StorageError::NotFound { .. })), "get: {get:?}");
        let range = storage.get_range(&at, &version, 0..1).await;
        assert!(matches!(&range, Err(StorageError::NotFound { .. })), "get_range: {range:?}");
    }
}

async fn ranges_are_exact(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("object");
    let body: Vec<u8> = (0..=99).collect();
    put(storage, &at, body.clone()).await;
    let version = storage.stat(&at).await.expect("stat").version;
    for (start, end) in [(0, 100), (0, 1), (99, 100), (37, 64), (0, 0), (50, 50), (100, 100)] {
        let read = storage.get_range(&at, &version, start..end).await.expect("get_range");
        let expected: Vec<u8> = (start..end).filter_map(|byte| u8::try_from(byte).ok()).collect();
        assert_eq!(read, expected, "{start}..{end}");
    }
    for range in [99..101, 0..1_000, 100..101, 5_000..5_001] {
        let read = storage.get_range(&at, &version, range.clone()).await;
        assert!(matches!(&read, Err(StorageError::Changed { .. })), "{range:?} of 100 bytes: {read:?}");
    }
    let untouched = storage.get_range(&folder.join("gone"), &version, 7..7).await.expect("an empty range");
    assert!(untouched.is_empty());
}

async fn versions_are_never_mixed(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("object");
    put(storage, &at, "first!").await;
    let first = storage.stat(&at).await.expect("stat");
    assert_eq!(storage.stat(&at).await.expect("stat"), first, "a version lasts as long as its object");
    // A local version is a time, and is as fine as the clock of the file system.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    put(storage, &at, "second").await;
    let second = storage.stat(&at).await.expect("stat");
    assert_ne!(first.version, second.version);
    let read = storage.get_range(&at, &first.version, 0..6).await;
    let told = matches!(&read, Err(StorageError::Changed { at: named, version })
        if *named == at && *version == first.version.0);
    assert!(told, "a version that is gone: {read:?}");
    let read = storage.get_range(&at, &second.version, 0..6).await.expect("get_range");
    assert_eq!(read, "second");
}

async fn one_of_many_racers_wins(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("object");
    let bodies: Vec<Bytes> = (0..32).map(|racer| format!("racer {racer}").repeat(racer + 1).into()).collect();
    let results = join_all(bodies.iter().map(|body| storage.put(&at, body.clone(), PutMode::IfAbsent))).await;
    let mut winners = Vec::new();
    for (body, result) in bodies.iter().zip(results) {
        match result {
            Ok(()) => winners.push(body),
            Err(error) => assert!(matches!(error, StorageError::AlreadyExists { .. }), "{error:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for winner in winners {
        assert_holds(storage, &at, winner).await;
    }
    assert_eq!(keys(storage, folder).await, ["object"], "losers leave nothing");
}

async fn an_upload_appears_when_it_is_finished(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("below/object");
    let mut upload = storage.create(&at).await.expect("create");
    upload.write("one, ".into()).await.expect("write");
    upload.write(Bytes::new()).await.expect("write");
    upload.write("two".into()).await.expect("write");
    let early = storage.get(&at).await;
    assert!(matches!(&early, Err(StorageError::NotFound { .. })), "{early:?}");
    assert_eq!(keys(storage, folder).await, Vec::<String>::new());
    upload.finish().await.expect("finish");
    assert_holds(storage, &at, b"one, two").await;
    assert_eq!(keys(storage, folder).await, ["below/object"]);

    let mut upload = storage.create(&at).await.expect("create");
    upload.write("its successor".into()).await.expect("write");
    assert_holds(storage, &at, b"one, two").await;
    upload.finish().await.expect("finish");
    assert_holds(storage, &at, b"its successor").await;

    let empty = folder.join("empty");
    storage.create(&empty).await.expect("create").finish().await.expect("finish");
    assert_holds(storage, &empty, b"").await;
}

async fn an_upload_that_is_given_up_leaves_nothing(storage: &dyn Storage, folder: &Location) {
    // More than a part on S3, and less.
    for size in [9 << 20, 10] {
        let body = Bytes::from(vec![b'x'; size]);
        let mut aborted = storage.create(&folder.join("aborted")).await.expect("create");
        aborted.write(body.clone()).await.expect("write");
        aborted.abort().await.expect("abort");
        let mut dropped = storage.create(&folder.join("dropped")).await.expect("create");
        dropped.write(body).await.expect("write");
        drop(dropped);
        assert_eq!(keys(storage, folder).await, Vec::<String>::new());
        for name in ["aborted", "dropped"] {
            let read = storage.get(&folder.join(name)).await;
            assert!(matches!(&read, Err(StorageError::NotFound { .. })), "{name}: {read:?}");
        }
    }
}

async fn a_large_upload_arrives_byte_for_byte(storage: &dyn Storage, folder: &Location) {
    let at = folder.join("object");
    // No two places of it are alike, so that a part that is lost, doubled or out of its place shows.
    let body: Bytes = (0..5_u32 << 20).flat_map(|word| word.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect();
    let mut rest = body.clone();
    let mut upload = storage.create(&at).await.expect("create");
    for size in [1, 4_099, 65_537, 3_000_001, 7, 9_437_189].into_iter().cycle() {
        let piece = rest.split_to(size.min(rest.len()));
        upload.write(piece).await.expect("write");
        if rest.is_empty() {
            break;
        }
    }
    upload.finish().await.expect("finish");
    assert_holds(storage, &at, &body).await;
    let version = storage.stat(&at).await.expect("stat").version;
    let across_parts = storage.get_range(&at, &version, 8_388_600..8_388_616).await.expect("get_range");
    assert_eq!(across_parts, body.slice(8_388_600..8_388_616));
}

/// The keys below a folder as they are listed, without the folder's own.
async fn keys(storage: &dyn Storage, folder: &Location) -> Vec<String> {
    let listed = storage.list(folder).await.expect("list");
    let own = format!("{}/", folder.key());
    let below = |key: &str| key.strip_prefix(&own).expect("what is listed lies below the prefix").to_owned();
    listed.iter().map(|listed| below(listed.location.key())).collect()
}

async fn listings_are_sorted_and_end_at_slashes(storage: &dyn Storage, folder: &Location) {
    for key in ["b/2", "é", "bc/x", "b/c/3", "a", "b-c", "b/1", "B"] {
        put(storage, &folder.join(key), "x".repeat(key.len())).await;
    }
    let mut unfinished = storage.create(&folder.join("b/unfinished")).await.expect("create");
    unfinished.write("x".into()).await.expect("write");
    assert_eq!(keys(storage, folder).await, ["B", "a", "b-c", "b/1", "b/2", "b/c/3", "bc/x", "é"]);
    for listed in storage.list(folder).await.expect("list") {
        let key = listed.location.key().strip_prefix(&format!("{}/", folder.key())).expect("below the folder");
        assert_eq!(listed.size, length(key.as_bytes()), "{key}");
    }
    assert_eq!(keys(storage, &folder.join("b")).await, ["1", "2", "c/3"]);
    assert_eq!(keys(storage, &folder.join("b/c")).await, ["3"]);
    for nothing_below in ["a", "b-", "c", "no/such"] {
        assert_eq!(keys(storage, &folder.join(nothing_below)).await, Vec::<String>::new(), "{nothing_below}");
    }
    unfinished.abort().await.expect("abort");
}

async fn an_object_is_deleted_once_and_for_all(storage: &dyn Storage, folder: &Location) {
    let (at, other) = (folder.join("object"), folder.join("object.2"));
    put(storage, &at, "x").await;
    put(storage, &other, "y").await;
    for _ in 0..2 {
        storage.delete(&at).await.expect("delete");
        let read = storage.get(&at).await;
        assert!(matches!(&read, Err(StorageError::NotFound { .. })), "{read:?}");
    }
    for never in ["never", "no/such/folder/never", "object.2/never"] {
        storage.delete(&folder.join(never)).await.expect("delete");
    }
    assert_holds(storage, &other, b"y").await;
    storage.put(&at, "again".into(), PutMode::IfAbsent).await.expect("a deleted object is absent");
    assert_holds(storage, &at, b"again").await;
}

async fn a_copy_is_the_version_that_was_meant(storage: &dyn Storage, folder: &Location) {
    let (at, copy, late) = (folder.join("an object +é%20"), folder.join("below/copy"), folder.join("late"));
    let body: Bytes = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    put(storage, &at, body.clone()).await;
    let version = storage.stat(&at).await.expect("stat").version;
    let Some(copied) = storage.copy(&at, &version, &copy).await.expect("copy") else {
        assert_eq!(keys(storage, folder).await, ["an object +é%20"], "nothing is copied");
        return;
    };
    let mut checksum = Checksum::default();
    checksum.update(&body);
    assert_eq!(copied.checksum.unwrap_or_else(|| checksum.text()), checksum.text());
    assert_holds(storage, &copy, &body).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    put(storage, &at, "another").await;
    assert_holds(storage, &copy, &body).await;
    let changed = storage.copy(&at, &version, &late).await;
    assert!(matches!(&changed, Err(StorageError::Changed { at: named, .. }) if *named == at), "{changed:?}");
    storage.delete(&at).await.expect("delete");
    assert_holds(storage, &copy, &body).await;
    let absent = storage.copy(&at, &version, &late).await;
    assert!(matches!(&absent, Err(StorageError::NotFound { at: named }) if *named == at), "{absent:?}");
    assert_eq!(keys(storage, folder).await, ["below/copy"]);
}

async fn keys_are_taken_literally(storage: &dyn Storage, folder: &Location) {
    let mut names = [
        "with space",
        "a+b",
        "é",
        "k=v",
        "100%",
        "x%2Fy",
        "it's \"quoted\"",
        "#1",
        "what?",
        "a&b;c,d",
        "東京",
        "~(1)@[2]{3}",
    ];
    names.sort_unstable();
    for name in names {
        let at = folder.join(name);
        put(storage, &at, name).await;
        assert_holds(storage, &at, name.as_bytes()).await;
        let version = storage.stat(&at).await.expect("stat").version;
        let read = storage.get_range(&at, &version, 0..1).await.expect("get_range");
        assert_eq!(read, name.as_bytes().get(..1).expect("a name is not empty"));
    }
    assert_eq!(keys(storage, folder).await, names);
    let mut upload = storage.create(&folder.join("date=2013-01-01/a + é.parquet")).await.expect("create");
    upload.write("part".into()).await.expect("write");
    upload.finish().await.expect("finish");
    assert_eq!(keys(storage, &folder.join("date=2013-01-01")).await, ["a + é.parquet"]);
    for name in names {
        storage.delete(&folder.join(name)).await.expect("delete");
    }
    assert_eq!(keys(storage, folder).await, ["date=2013-01-01/a + é.parquet"]);
}
