//! What a process keeps of its tables between loads: their heads, and the chunks that wait to be committed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::Location;
use tokio::sync::oneshot;

use crate::commit::prepared::{Decided, Prepared};
use crate::delta::snapshot::TableSnapshot;
use crate::delta::table_store::TableStore;
use crate::error::LoadError;

/// Most chunks of one commit: an entry of the log is read by everyone.
const MOST_CHUNKS: usize = 200;

/// The tables of a process; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    handles: Arc<Mutex<HashMap<Location, Arc<TableHandle>>>>,
}

impl Tables {
    pub(crate) fn handle(&self, uri: &Location) -> Arc<TableHandle> {
        Arc::clone(locked(&self.handles).entry(uri.clone()).or_default())
    }
}

/// One table of a process.
#[derive(Debug, Default)]
pub(crate) struct TableHandle {
    /// Who has the turn commits for all who wait.
    pub(crate) turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting>>,
    /// As it was seen last.
    last: Mutex<Option<TableSnapshot>>,
}

/// Chunks that one load wants to be committed.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) chunks: Vec<Prepared>,
    /// Whether they go into a commit of their own.
    pub(crate) whole: bool,
    pub(crate) answer: oneshot::Sender<Vec<Decided>>,
}

impl TableHandle {
    /// The table at its latest version.
    pub(crate) async fn look(&self, uri: &Location, store: &TableStore) -> Result<TableSnapshot, LoadError> {
        let last = locked(&self.last).clone();
        let snapshot = match last {
            Some(mut snapshot) => {
                // What a failure leaves is not used again.
                snapshot.catch_up(store).await.inspect_err(|_| self.forget())?;
                snapshot
            }
            None => TableSnapshot::open_head(uri, store).await?,
        };
        self.keep(&snapshot);
        Ok(snapshot)
    }

    /// Has the next look open the table again.
    pub(crate) fn forget(&self) {
        *locked(&self.last) = None;
    }

    /// Keeps a table for the next look.
    pub(crate) fn keep(&self, snapshot: &TableSnapshot) {
        *locked(&self.last) = Some(snapshot.clone());
    }

    /// Lets chunks wait; the answer comes from whoever commits them.
    pub(crate) fn enqueue(&self, chunks: Vec<Prepared>, whole: bool) -> oneshot::Receiver<Vec<Decided>> {
        let (answer, receiver) = oneshot::channel();
        locked(&self.waiting).push(Waiting { chunks, whole, answer });
        receiver
    }

    /// Takes as many of the waiting, the first first, as one commit may hold; none twice, for the same chunk may have come
    /// by two messages.
    pub(crate) fn take_group(&self) -> Vec<Waiting> {
        let mut waiting = locked(&self.waiting);
        let (mut group, mut rest) = (Vec::new(), Vec::new());
        let (mut ids, mut count) = (HashSet::new(), 0);
        for one in waiting.drain(..) {
            let own: Vec<String> = one.chunks.iter().map(|chunk| chunk.chunk.app_id.clone()).collect();
            let is_mixed = one.whole || group.iter().any(|one: &Waiting| one.whole);
            let fits = group.is_empty() || !is_mixed && count + own.len() <= MOST_CHUNKS;
            if fits && own.iter().all(|id| !ids.contains(id)) {
                count += own.len();
                ids.extend(own);
                group.push(one);
            } else {
                rest.push(one);
            }
        }
        *waiting = rest;
        group
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
