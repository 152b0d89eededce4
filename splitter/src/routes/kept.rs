//! Routes that a process keeps for a while, whatever becomes of their file.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use shared::{Location, PutMode, Routes, RoutesAt, Storage, StorageError, error_chain, routes_at};
use tokio::sync::Mutex;

use super::read::read;
use crate::error::SplitError;

/// How long routes are used before their file is read again. By the clock on the wall: a function may be frozen for hours.
const LIFE: Duration = Duration::from_mins(1);

/// Many objects without a route read the routes no more often than this.
const MOMENT: Duration = Duration::from_secs(1);

/// The name, beside those of versions, of the last routes that could be used.
const GOOD: &str = "good";

/// The routes of a deployment, read again after a while. What cannot be used does not replace what can: not in this process, and not
/// in one that starts later.
#[derive(Clone, Debug)]
pub struct KeptRoutes {
    at: RoutesAt,
    work_prefix: Location,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    routes: Arc<Routes>,
    /// When the file was last looked at.
    looked: SystemTime,
}

impl KeptRoutes {
    /// The routes that are kept at a place, of jobs whose work areas are below a prefix.
    pub fn new(at: RoutesAt, work_prefix: Location) -> Self {
        Self { at, work_prefix, kept: Arc::default() }
    }

    /// The routes as they are `now`, or were up to a minute ago. Each version that is given out is kept beside the work areas, where
    /// jobs find it that came by it.
    pub(super) async fn current(&self, storage: &dyn Storage, now: SystemTime) -> Result<Arc<Routes>, SplitError> {
        self.no_older_than(LIFE, storage, now).await
    }

    /// The routes as they are `now`, or were up to a second ago: for an object that no route takes yet.
    pub(super) async fn renewed(&self, storage: &dyn Storage, now: SystemTime) -> Result<Arc<Routes>, SplitError> {
        self.no_older_than(MOMENT, storage, now).await
    }

    async fn no_older_than(
        &self,
        life: Duration,
        storage: &dyn Storage,
        now: SystemTime,
    ) -> Result<Arc<Routes>, SplitError> {
        let mut kept = self.kept.lock().await;
        // A clock that was put back says nothing of the age.
        let is_fresh = |kept: &&Kept| now.duration_since(kept.looked).is_ok_and(|age| age < life);
        if let Some(fresh) = kept.as_ref().filter(is_fresh) {
            return Ok(Arc::clone(&fresh.routes));
        }
        let routes = match (read(storage, &self.at).await, kept.as_ref()) {
            (Ok((routes, text)), _) => {
                for name in [routes.version.as_str(), GOOD] {
                    // Written over, so that it does not expire while it is in use.
                    let at = routes_at(&self.work_prefix, name);
                    storage.put(&at, text.clone(), PutMode::Overwrite).await.map_err(SplitError::WorkArea)?;
                }
                Arc::new(routes)
            }
            (Err(error), Some(good)) => self.instead(&error, Arc::clone(&good.routes)),
            (Err(error), None) => match self.last_good(storage).await? {
                Some(good) => self.instead(&error, Arc::new(good)),
                None => return Err(error),
            },
        };
        *kept = Some(Kept { routes: Arc::clone(&routes), looked: now });
        Ok(routes)
    }

    /// Goes on with other routes than those that cannot be used.
    fn instead(&self, error: &SplitError, good: Arc<Routes>) -> Arc<Routes> {
        let (routes, version, reason) = (self.at.to_string(), good.version.as_str(), error_chain(error));
        tracing::error!(routes, version, reason, "the routes cannot be used: the last good version stays in use");
        good
    }

    /// The last routes of this deployment that could be used; none if there are none yet.
    async fn last_good(&self, storage: &dyn Storage) -> Result<Option<Routes>, SplitError> {
        self.stored(storage, GOOD).await
    }

    /// A version of the routes that was given out before; none where it is gone.
    pub(super) async fn stored(&self, storage: &dyn Storage, version: &str) -> Result<Option<Routes>, SplitError> {
        match storage.get(&routes_at(&self.work_prefix, version)).await {
            Ok(text) => Ok(Routes::parse(&text, &self.at).ok()),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(SplitError::WorkArea(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::testing::MemoryStorage;

    use super::*;

    async fn put(storage: &MemoryStorage, table: &str) {
        let text = format!("version = 1\n[[route]]\nname = \"a\"\nkey = \"**\"\ntable = \"{table}\"\n");
        storage.put(&at(), text.into(), PutMode::Overwrite).await.unwrap();
    }

    fn at() -> Location {
        "s3://config/routes.toml".parse().unwrap()
    }

    fn kept() -> KeptRoutes {
        KeptRoutes::new(at().into(), "s3://chunks/sluice".parse().unwrap())
    }

    /// The table that objects go to, so many seconds after the start.
    async fn table(kept: &KeptRoutes, storage: &MemoryStorage, seconds: u64) -> Result<String, String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let routes = kept.current(storage, now).await.map_err(|error| error.to_string())?;
        Ok(routes.targets(&"s3://b/k".parse().unwrap()).unwrap()[0].table.to_string())
    }

    #[tokio::test]
    async fn routes_are_read_again_after_a_minute_of_the_clock() {
        let (storage, kept) = (MemoryStorage::default(), kept());
        assert!(table(&kept, &storage, 0).await.unwrap_err().contains("cannot read the routes"));
        put(&storage, "s3://lake/one").await;
        assert_eq!(table(&kept, &storage, 0).await.unwrap(), "s3://lake/one");
        put(&storage, "s3://lake/two").await;
        assert_eq!(table(&kept, &storage, 59).await.unwrap(), "s3://lake/one");
        assert_eq!(table(&kept, &storage, 60).await.unwrap(), "s3://lake/two");
        put(&storage, "s3://lake/three").await;
        let before = 30;
        assert_eq!(table(&kept, &storage, before).await.unwrap(), "s3://lake/three", "the clock was put back");
    }

    #[tokio::test]
    async fn a_broken_file_does_not_replace_a_good_one() {
        let (storage, kept_on) = (MemoryStorage::default(), kept());
        put(&storage, "gs://lake/broken").await;
        assert!(table(&kept_on, &storage, 0).await.unwrap_err().contains("line 5, route 'a', table"));
        put(&storage, "s3://lake/one").await;
        assert_eq!(table(&kept_on, &storage, 0).await.unwrap(), "s3://lake/one");
        put(&storage, "gs://lake/broken").await;
        assert_eq!(table(&kept_on, &storage, 100).await.unwrap(), "s3://lake/one");
        assert_eq!(table(&kept(), &storage, 100).await.unwrap(), "s3://lake/one", "in a process that starts now");
        storage.delete(&at()).await.unwrap();
        assert_eq!(table(&kept_on, &storage, 200).await.unwrap(), "s3://lake/one");
        put(&storage, "s3://lake/two").await;
        assert_eq!(table(&kept_on, &storage, 300).await.unwrap(), "s3://lake/two");
    }
}
