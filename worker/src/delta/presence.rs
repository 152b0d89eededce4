//! Whether data files are still where they were written.
//!
//! Nobody can read a table whose log names a file that is gone. Files go while a load waits: its process is suspended for hours
//! and vacuum takes what no version names, or somebody deletes the table under it. So files are looked at before each commit
//! where that may have happened.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::{DeltaTableError, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use shared::Location;

use crate::delta::data_file::DataFile;
use crate::delta::staging::STALE;
use crate::delta::table::Table;
use crate::error::LoadError;

/// Age up to which files on S3 are taken to be there, by the wall clock, which goes on while a process is suspended. Vacuum
/// takes none that is younger than an hour.
const TRUSTED_FOR: Duration = Duration::from_mins(15);

/// Age from which files are taken to be gone, though they may be there: a vacuum that does not heed their note any more
/// ([`STALE`]) may be about to delete them. A day is more than any vacuum takes.
const GIVEN_UP: Duration = STALE.saturating_sub(Duration::from_hours(24));

/// Files that are looked at once.
const AT_ONCE: usize = 16;

/// The first file that is gone, given up, or not as long as it was written, of those about which there is a doubt: all on a local
/// disk, where a look costs next to nothing; else those that are not young, and those that were written for another table than
/// is there now. `written_for` is the id of that table; none when there was none.
pub(crate) async fn missing(
    table: &Table,
    files: &[DataFile],
    written_for: Option<&str>,
) -> Result<Option<String>, LoadError> {
    if let Some(old) = files.iter().find(|file| age(file).is_some_and(|age| age >= GIVEN_UP)) {
        return Ok(Some(old.path.clone()));
    }
    let is_doubtful = matches!(table.uri(), Location::Local { .. }) || table.id().as_deref() != written_for;
    let doubtful: Vec<(String, u64)> = files
        .iter()
        .filter(|file| is_doubtful || !is_young(file))
        .map(|file| (file.path.clone(), file.bytes))
        .collect();
    let store = table.object_store();
    let looks = doubtful.into_iter().map(|(path, size)| {
        let store = Arc::clone(&store);
        async move {
            match store.head(&Path::parse(&path)?).await {
                Ok(there) if size == there.size => Ok(None),
                Ok(_) | Err(ObjectStoreError::NotFound { .. }) => Ok(Some(path)),
                Err(error) => Err(DeltaTableError::from(error)),
            }
        }
    });
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    let failed = |error| LoadError::table(table.uri(), "look for data files of", error);
    while let Some(missing) = looks.try_next().await.map_err(failed)? {
        if missing.is_some() {
            return Ok(missing);
        }
    }
    Ok(None)
}

/// Whether a file was written a short while ago; one from the future is not known to be.
fn is_young(file: &DataFile) -> bool {
    age(file).is_some_and(|age| age < TRUSTED_FOR)
}

/// How long ago a file was written; none if that time is in the future.
fn age(file: &DataFile) -> Option<Duration> {
    let written = u64::try_from(file.written).ok().map(Duration::from_millis)?;
    let written = SystemTime::UNIX_EPOCH.checked_add(written)?;
    SystemTime::now().duration_since(written).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recent_past_is_young() {
        let minute = 60_000;
        for (age, expected) in [(0, true), (14 * minute, true), (16 * minute, false), (-minute, false)] {
            let file = DataFile { written: crate::delta::log::now() - age, ..DataFile::default() };
            assert_eq!(is_young(&file), expected, "{age}");
        }
        assert!(!is_young(&DataFile { written: i64::MIN, ..DataFile::default() }));
    }
}
