//! Notes of data files that are about to be committed and that no work area tells of: those of files that no splitter made, and
//! those that small files are merged into. Vacuum leaves them alone, however long their maker is suspended.

use std::collections::HashSet;
use std::time::Duration;

use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::{DeltaResult, DeltaTableError, ObjectMeta, Path};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::delta::data_file::DataFile;
use crate::delta::table::Table;
use crate::error::LoadError;

/// Where notes are, below the table. Readers and vacuum skip names that begin with an underscore.
const FOLDER: &str = "_sluice/_staged";

/// Age from which a note of data files does not count. SQS keeps no message for longer, so nothing resumes the load by itself.
pub(crate) const STALE: Duration = Duration::from_hours(14 * 24);

/// A note that is there until its files are in the table, or given up.
#[derive(Debug)]
pub(crate) struct StagingNote {
    at: Path,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    /// Version of this document, 1.
    version: u32,
    /// Paths of data files below the table.
    files: Vec<String>,
}

impl StagingNote {
    /// Notes files that are written and not committed.
    pub(crate) async fn put(table: &Table, files: &[DataFile]) -> Result<Self, LoadError> {
        let at = Path::from(format!("{FOLDER}/{}.json", uuid::Uuid::new_v4()));
        let document = Document { version: 1, files: files.iter().map(|file| file.path.clone()).collect() };
        let put = async {
            let body = serde_json::to_vec(&document)?;
            table.object_store().put(&at, body.into()).await?;
            Ok::<_, DeltaTableError>(())
        };
        put.await.map_err(|error| LoadError::table(table.uri(), "note the data files of", error))?;
        Ok(Self { at })
    }

    /// Takes the note back.
    pub(crate) async fn withdraw(self, table: &Table) {
        if let Err(error) = table.object_store().delete(&self.at).await {
            tracing::debug!(at = %self.at, %error, "a note of data files was not removed");
        }
    }
}

/// What notes say.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Names of data files that are about to be committed.
    pub(crate) names: HashSet<String>,
    /// Notes that do not count any more.
    pub(crate) stale: Vec<ObjectMeta>,
}

/// Reads all notes.
pub(crate) async fn noted(store: &ObjectStoreRef) -> DeltaResult<Noted> {
    let oldest = chrono::Utc::now() - STALE;
    let mut noted = Noted::default();
    let mut listed = store.list(Some(&Path::from(FOLDER)));
    while let Some(note) = listed.try_next().await? {
        if note.last_modified < oldest {
            noted.stale.push(note);
            continue;
        }
        let document = match store.get(&note.location).await {
            Ok(document) => document.bytes().await?,
            // It was taken back just now.
            Err(deltalake::ObjectStoreError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let document: Document = serde_json::from_slice(&document)?;
        let names = document.files.iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned());
        noted.names.extend(names);
    }
    Ok(noted)
}
