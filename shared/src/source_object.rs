//! The dropped file.

use serde::{Deserialize, Serialize};

use crate::location::Location;
use crate::storage::{ObjectVersion, Storage, StorageError};

/// One dropped file at one moment: a write makes it another source object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceObject {
    /// Where it lies.
    pub uri: Location,
    /// Length in bytes.
    pub size: u64,
    /// eTag, or the time of modification of a local file; every read requires it.
    pub version: ObjectVersion,
}

impl SourceObject {
    /// The object as it is now.
    pub async fn look_up(storage: &dyn Storage, uri: &Location) -> Result<Self, StorageError> {
        let stat = storage.stat(uri).await?;
        Ok(Self { uri: uri.clone(), size: stat.size, version: stat.version })
    }
}
