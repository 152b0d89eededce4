//! Data files, as durable notes have them: types of our own, so that no upgrade of a library makes a note unreadable.

use std::collections::{BTreeMap, HashMap};

use deltalake::kernel::Add;
use serde::{Deserialize, Serialize};

/// A data file that is written, with all that the table's log says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    /// Path below the table.
    pub(crate) path: String,
    /// Length.
    pub(crate) bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub(crate) written: i64,
    /// Values of the columns that the table is partitioned by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) partition: BTreeMap<String, Option<String>>,
    /// Statistics as JSON, as the log has them.
    pub(crate) statistics: Option<String>,
    /// See [`tags`](crate::delta::tags).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
}

impl DataFile {
    /// What the log says of it when it brings new rows.
    pub(crate) fn add(&self) -> Add {
        let tags = self.tags.clone().into_iter().map(|(tag, value)| (tag, Some(value)));
        Add {
            path: self.path.clone(),
            // No store has files that are longer.
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            modification_time: self.written,
            data_change: true,
            stats: self.statistics.clone(),
            tags: Some(tags.collect()).filter(|tags: &HashMap<_, _>| !tags.is_empty()),
            partition_values: self.partition.clone().into_iter().collect(),
            ..Add::default()
        }
    }
}

/// The same as version 1 of the notes had it: an action of the log as the library of then wrote it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataFileV1 {
    path: String,
    partition_values: BTreeMap<String, Option<String>>,
    size: u64,
    modification_time: i64,
    stats: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, Option<String>>>,
}

impl From<DataFileV1> for DataFile {
    fn from(file: DataFileV1) -> Self {
        let DataFileV1 { path, partition_values, size, modification_time, stats, tags } = file;
        let tags = tags.unwrap_or_default().into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect();
        Self { path, bytes: size, written: modification_time, partition: partition_values, statistics: stats, tags }
    }
}
