//! Before the first commit on a server that is not AWS's: of two writers of the same version only one may win.
//!
//! Everything rests on that, and not all servers heed it. What was found is remembered by the process, and beside the table, so that
//! functions, which do not live long, need not test it each time.

use std::time::Duration;

use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::{ObjectStoreExt, PutMode, PutOptions};
use deltalake::{ObjectStoreError, Path};
use serde::{Deserialize, Serialize};
use shared::{Location, first_wins};

use crate::delta::table::Table;
use crate::delta::table_store::TableStore;
use crate::error::LoadError;

/// Where it is noted, below the table. Readers and vacuum skip names that begin with an underscore.
const NOTE: &str = "_sluice/_store.json";

/// How long the note counts: another program may listen at the same address one day.
const COUNTS_FOR: Duration = Duration::from_hours(7 * 24);

/// Which server, and which bucket on it, passed the test: a copy of the table on another one has the note, too.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Version of this document, 1.
    version: u32,
    endpoint: String,
    bucket: String,
}

/// Makes sure that commits to a table cannot overwrite each other.
pub(crate) async fn require_exclusive(store: &TableStore, table: &Table) -> Result<(), LoadError> {
    let (Location::S3 { bucket, .. }, Some(endpoint)) = (table.uri(), &store.own_server) else { return Ok(()) };
    let mut exclusive = store.tested.lock().await;
    if !exclusive.contains(&(endpoint.clone(), bucket.clone())) {
        let note = Note { version: 1, endpoint: endpoint.clone(), bucket: bucket.clone() };
        let objects = table.object_store();
        if !is_noted(&objects, &note).await {
            let failed = |error: ObjectStoreError| LoadError::table(table.uri(), "test puts to", error);
            if !test(&objects).await.map_err(failed)? {
                return Err(LoadError::NotExclusive { table: table.uri().clone(), endpoint: endpoint.clone() });
            }
            remember(&objects, &note).await;
        }
        exclusive.insert((endpoint.clone(), bucket.clone()));
    }
    Ok(())
}

async fn is_noted(store: &ObjectStoreRef, note: &Note) -> bool {
    let Ok(found) = store.get(&Path::from(NOTE)).await else { return false };
    let age = chrono::Utc::now().signed_duration_since(found.meta.last_modified).to_std();
    let is_young = age.is_ok_and(|age| age < COUNTS_FOR);
    let Ok(document) = found.bytes().await else { return false };
    is_young && serde_json::from_slice::<Note>(&document).is_ok_and(|found| found == *note)
}

/// That it cannot be noted costs another test.
async fn remember(store: &ObjectStoreRef, note: &Note) {
    let noted = match serde_json::to_vec(note) {
        Ok(document) => store.put(&Path::from(NOTE), document.into()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = noted {
        tracing::debug!(error, "not noted that commits cannot overwrite each other");
    }
}

async fn test(store: &ObjectStoreRef) -> Result<bool, ObjectStoreError> {
    let at = |name: String| Path::from(format!("_sluice/{name}"));
    let put = |name: String| async move {
        let options = PutOptions::from(PutMode::Create);
        match store.put_opts(&at(name), bytes::Bytes::new().into(), options).await {
            Ok(_) => Ok(true),
            Err(ObjectStoreError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let tried = first_wins(put, |name| async move { store.delete(&at(name)).await }).await?;
    Ok(tried.is_heeded)
}
