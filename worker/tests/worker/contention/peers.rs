//! Other ways to append to a table: each commits one tiny file at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deltalake::kernel::transaction::{CommitBuilder, CommitData, CommitProperties};
use deltalake::kernel::{Action, Add, DataType, PrimitiveType, StructField, Transaction};
use deltalake::logstore::{CommitOrBytes, ObjectStoreRef};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder};
use shared::{Backoff, BackoffSettings};
use tempfile::TempDir;
use url::Url;

use super::Race;

/// A way to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The library's own loop of 15 retries, without waits; then a look and the same again.
    Default,
    /// One attempt of the library, then a wait that doubles, without jitter.
    Fixed,
    /// A put if absent after the last version that was read, with full jitter.
    Lean,
}

pub(super) const ALL: [Peer; 3] = [Peer::Default, Peer::Fixed, Peer::Lean];

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Default => "library, its own retries",
            Self::Fixed => "library, fixed exponential backoff",
            Self::Lean => "put if absent, full jitter",
        }
    }
}

/// As many appends, by as many writers, as there is time for.
pub(super) async fn race(peer: Peer, store: ObjectStoreRef, writers: usize, count: usize, most: Duration) -> Race {
    let folder = TempDir::new().unwrap();
    let url = Url::from_directory_path(folder.path()).unwrap();
    let id = StructField::new("id", DataType::Primitive(PrimitiveType::Long), true);
    open(&url, &store).create().with_columns([id]).await.unwrap();
    let (next, attempts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let writers = (0..writers).map(|_| {
        let (url, store, next, attempts) = (url.clone(), Arc::clone(&store), Arc::clone(&next), Arc::clone(&attempts));
        tokio::spawn(async move {
            let mut table = open(&url, &store);
            table.load().await.unwrap();
            let mut version = table.version().unwrap();
            let mut each = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let since = Instant::now();
                if number >= count || !append(peer, &mut table, &mut version, number, &attempts, began + most).await {
                    return each;
                }
                each.push(since.elapsed());
            }
        })
    });
    let mut each = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        each.extend(writer.await.unwrap());
    }
    let versions = each.len() as u64;
    Race::new(attempts.load(Ordering::SeqCst), versions, began.elapsed(), each)
}

fn open(url: &Url, store: &ObjectStoreRef) -> DeltaTable {
    let builder = DeltaTableBuilder::from_url(url.clone()).unwrap();
    builder.with_storage_backend(Arc::clone(store), url.clone()).build().unwrap()
}

/// Appends one file; gives whether that was done in time.
async fn append(
    peer: Peer,
    table: &mut DeltaTable,
    version: &mut u64,
    number: usize,
    attempts: &AtomicU64,
    end: Instant,
) -> bool {
    let add = Add { path: format!("{number}.parquet"), size: 1, data_change: true, ..Add::default() };
    let txn = Transaction::new(format!("app/{number}"), 1);
    let first = Duration::from_millis(20);
    let settings = BackoffSettings { max_attempts: u32::MAX, initial: first, max: first * 64, max_elapsed: None };
    let (mut jitter, mut fixed) = (Backoff::new(&settings), first);
    while Instant::now() < end {
        attempts.fetch_add(1, Ordering::SeqCst);
        if match peer {
            Peer::Default => by_library(table, &add, &txn, 15).await,
            Peer::Fixed => by_library(table, &add, &txn, 0).await,
            Peer::Lean => by_put(table, version, &add, &txn).await,
        } {
            return true;
        }
        match peer {
            Peer::Default => {}
            Peer::Fixed => {
                tokio::time::sleep(fixed).await;
                fixed = (fixed * 2).min(first * 64);
            }
            Peer::Lean => tokio::time::sleep(jitter.next_wait().unwrap()).await,
        }
        match peer {
            Peer::Default | Peer::Fixed => table.update_incremental(None).await.unwrap(),
            Peer::Lean => {
                while table.log_store().read_commit_entry(*version + 1).await.unwrap().is_some() {
                    *version += 1;
                }
            }
        }
    }
    false
}

fn operation() -> DeltaOperation {
    DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }
}

async fn by_library(table: &mut DeltaTable, add: &Add, txn: &Transaction, retries: usize) -> bool {
    let properties = CommitProperties::default().with_max_retries(retries).with_application_transaction(txn.clone());
    let properties = properties.with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
    let commit = CommitBuilder::from(properties).with_actions(vec![Action::Add(add.clone())]);
    let done = commit.build(Some(table.snapshot().unwrap()), table.log_store(), operation()).await;
    if let Ok(done) = done {
        table.state = Some(done.snapshot());
        return true;
    }
    false
}

async fn by_put(table: &DeltaTable, version: &mut u64, add: &Add, txn: &Transaction) -> bool {
    let data = CommitData::new(vec![Action::Add(add.clone())], operation(), HashMap::new(), vec![txn.clone()]);
    let entry = CommitOrBytes::LogBytes(data.get_bytes().unwrap());
    let put = table.log_store().write_commit_entry(*version + 1, entry, uuid::Uuid::new_v4()).await;
    *version += u64::from(put.is_ok());
    put.is_ok()
}
