//! The encode pool: threads for work that keeps a core busy.

use std::hint::black_box;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads for work that keeps a core busy. They end when it is dropped and what was begun is done.
///
/// The runtime's threads for calls that block are no place for it: work goes to any of them, and the allocator keeps apart for
/// each what it once took, so that a process holds several times what is in use.
#[derive(Clone, Debug)]
pub struct EncodePool(mpsc::Sender<Work>);

/// Work of which nothing came, since it panicked.
#[derive(Debug, thiserror::Error)]
#[error("a thread that encodes has panicked")]
pub struct Panicked;

/// Half of the free memory that glibc is to keep at the end of each heap.
const MAPPING_BYTES: usize = 16 << 20;

/// Has glibc keep what a block took for the next one.
///
/// What is free at the end of a heap goes back to the system when it is more than 128 KiB, and is taken again page by page. Once a mapping is
/// freed, twice its size is kept instead, and memory up to its size comes from heaps (mallopt(3), `M_MMAP_THRESHOLD`), unless the
/// environment sets such thresholds. To other allocators this is a mapping that is never touched.
pub fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(MAPPING_BYTES)));
}

impl EncodePool {
    /// A pool of so many threads, from 1.
    pub fn new(threads: usize) -> io::Result<Self> {
        let (sender, works) = mpsc::channel::<Work>();
        let works = Arc::new(Mutex::new(works));
        for _ in 0..threads.max(1) {
            let works = Arc::clone(&works);
            let next = move || works.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let run = move || {
                while let Ok(work) = next() {
                    work();
                }
            };
            thread::Builder::new().name("encode".to_owned()).spawn(run)?;
        }
        Ok(Self(sender))
    }

    /// Has work done once a thread is free.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
        let (sender, result) = oneshot::channel();
        let work = move || {
            // A panic is the end of the work, not of the thread. A result that is no longer awaited is not an error.
            drop(catch_unwind(AssertUnwindSafe(work)).map(|done| sender.send(done)));
        };
        self.0.send(Box::new(work)).map_err(|_| Panicked)?;
        // Waited for on a thread of the runtime, whose clock, where it is a simulated one, then stands still.
        let waited = tokio::task::spawn_blocking(|| result.blocking_recv());
        waited.await.map_err(|_| Panicked)?.map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_and_not_the_thread() {
        let pool = EncodePool::new(1).unwrap();
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(pool.run(name).await.unwrap().as_deref(), Some("encode"));
        assert!(pool.run(|| assert!(thread::current().name().is_none(), "on purpose")).await.is_err());
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }
}
