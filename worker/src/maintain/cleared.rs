//! Objects that are to go, and those that went.

use std::time::{Duration, SystemTime};

use deltalake::logstore::ObjectStoreRef;
use deltalake::{DeltaResult, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

/// Objects that were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Objects of a table that are to go.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<(Path, u64)>);

/// Removes what was found, if it was looked for.
pub(super) async fn clear(found: Option<Found>, store: &ObjectStoreRef, dry_run: bool) -> DeltaResult<Option<Cleared>> {
    let Some(Found(objects)) = found else { return Ok(None) };
    let mut cleared = Cleared::default();
    for (path, bytes) in &objects {
        tracing::info!(%path, bytes, dry_run, "to be removed");
        cleared.add(*bytes);
    }
    if !dry_run {
        let paths = stream::iter(objects.into_iter().map(|(path, _)| Ok(path))).boxed();
        let gone = store.delete_stream(paths).map(|deleted| match deleted {
            // Somebody else was faster.
            Err(ObjectStoreError::NotFound { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        });
        gone.try_collect::<()>().await?;
    }
    Ok(Some(cleared))
}

impl Cleared {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// The time so long ago.
pub(super) fn before(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}
