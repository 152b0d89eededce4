//! Paths of data files, as the log has them and as the library writes them.
//!
//! Readers compare paths letter by letter. Other writers may leave as it is what the library encodes, such as an `é`. An entry of the
//! library about such a file is about another one to them: removed, the file stays, and added, it is there twice.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use deltalake::kernel::{Add, Snapshot};
use deltalake::logstore::LogStore;
use deltalake::{DeltaResult, DeltaTableError};
use futures::TryStreamExt;

/// The paths of a version's files, letter by letter as its log has them.
#[derive(Debug, Default)]
pub(super) struct LoggedPaths(HashSet<String>);

impl LoggedPaths {
    /// Reads the paths of all files of a version.
    pub(super) async fn read(store: &dyn LogStore, snapshot: &Snapshot) -> DeltaResult<Self> {
        let mut batches = snapshot.files(store, None);
        let mut paths = HashSet::new();
        while let Some(batch) = batches.try_next().await? {
            let of_batch =
                batch.column_by_name("path").ok_or_else(|| DeltaTableError::generic("files without paths"))?;
            let of_batch = cast(of_batch, &DataType::Utf8)?;
            paths.extend(of_batch.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        Ok(Self(paths))
    }

    /// Whether the log has a file by the path that the library writes for it.
    pub(super) fn are_written(&self, add: &Add) -> DeltaResult<bool> {
        let written = serde_json::to_value(Add { stats: None, ..add.clone() })?;
        Ok(written["path"].as_str().is_some_and(|path| self.0.contains(path)))
    }
}
