//! The table that a chain reads, version by version.

use bytes::Bytes;
use deltalake::kernel::{Action, Add};
use deltalake::logstore::get_actions;
use shared::Location;

use crate::context::LoadContext;
use crate::delta::commit_info::hops_of;
use crate::delta::table::Table;
use crate::error::LoadError;
use crate::schema::write_schema::WriteSchema;

/// A table that a chain reads, as it is now.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) table: Table,
    /// Its id, which it keeps wherever it is moved.
    pub(super) id: String,
    /// Its latest version.
    pub(super) latest: u64,
    /// Its columns.
    pub(super) columns: WriteSchema,
}

/// What a version of it changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) version: u64,
    /// Data files with new rows.
    pub(super) added: Vec<Add>,
    /// Data files that were taken out, with their rows.
    pub(super) removed: usize,
    /// Whether what it adds was there before: a `RESTORE` to an earlier version.
    pub(super) is_rewound: bool,
    /// What its writer calls it.
    pub(super) operation: String,
    /// When it was made, in milliseconds since 1970, where its writer says.
    pub(super) time: Option<i64>,
    /// Ids of the tables that its rows came through.
    pub(super) hops: Vec<String>,
}

impl Upstream {
    /// Opens the table; none where there is none.
    pub(super) async fn open(context: &LoadContext, uri: &Location) -> Result<Option<Self>, LoadError> {
        let Some(head) = context.head(uri).await? else { return Ok(None) };
        let (Some(state), Some(latest), Some(id)) = (head.state(), head.version(), head.table().id()) else {
            return Ok(None);
        };
        let columns = WriteSchema::of(state).map_err(|error| LoadError::table(uri, "read the schema of", error))?;
        Ok(Some(Self { table: head.table().clone(), id, latest, columns }))
    }

    pub(super) fn uri(&self) -> &Location {
        self.table.uri()
    }

    /// Where the entry of a version is in its log.
    pub(super) fn entry_at(&self, version: u64) -> Location {
        self.uri().join(&format!("_delta_log/{version:020}.json"))
    }

    /// What a version changed; none where its entry is gone.
    pub(super) async fn change(&self, version: u64) -> Result<Option<Change>, LoadError> {
        let failed = |error| LoadError::table(self.uri(), "read the log of", error);
        match self.entry(version).await? {
            Some(entry) => {
                let actions = get_actions(version, &entry).map_err(failed)?;
                Ok(Some(Change::of(version, actions)))
            }
            None => Ok(None),
        }
    }

    /// The first version from this one on whose entry is there; the one after the latest if there is none.
    pub(super) async fn first_from(&self, version: u64) -> Result<u64, LoadError> {
        for version in version..=self.latest {
            if self.entry(version).await?.is_some() {
                return Ok(version);
            }
        }
        Ok(self.latest + 1)
    }

    async fn entry(&self, version: u64) -> Result<Option<Bytes>, LoadError> {
        let read = self.table.log_store().read_commit_entry(version).await;
        read.map_err(|error| LoadError::table(self.uri(), "read the log of", error))
    }
}

impl Change {
    /// What the entry of a version says. Files that were only rearranged, by compaction for instance, are no change.
    fn of(version: u64, actions: Vec<Action>) -> Self {
        let mut change = Self { version, operation: "an unknown operation".to_owned(), ..Self::default() };
        for action in actions {
            match action {
                Action::Add(add) if add.data_change => change.added.push(add),
                Action::Remove(remove) if remove.data_change => change.removed += 1,
                Action::CommitInfo(info) => {
                    change.hops = hops_of(&info);
                    change.time = info.in_commit_timestamp.or(info.timestamp);
                    change.operation = info.operation.unwrap_or(change.operation);
                }
                _ => {}
            }
        }
        change.is_rewound = change.operation.eq_ignore_ascii_case("RESTORE") && !change.added.is_empty();
        change
    }

    /// A version without any change.
    pub(super) fn none(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// The same, with what earlier versions say that are passed over with it.
    pub(super) fn after(mut self, passed: Option<Self>) -> Self {
        for hop in passed.into_iter().flat_map(|passed| passed.hops) {
            if !self.hops.contains(&hop) {
                self.hops.push(hop);
            }
        }
        self
    }

    /// Length of its new files in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.added.iter().map(|add| u64::try_from(add.size).unwrap_or_default()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(lines: &[&str]) -> Change {
        let entry = Bytes::from(lines.join("\n"));
        Change::of(7, get_actions(7, &entry).unwrap())
    }

    const NEW: &str = r#"{"add":{"path":"day=1%202/a.parquet","partitionValues":{"day":"1 2"},"size":10,"modificationTime":1,"dataChange":true}}"#;
    const MERGED: &str =
        r#"{"add":{"path":"b.parquet","partitionValues":{},"size":10,"modificationTime":1,"dataChange":false}}"#;
    const TAKEN: &str = r#"{"remove":{"path":"c.parquet","dataChange":true,"deletionTimestamp":1}}"#;
    const MOVED: &str = r#"{"remove":{"path":"c.parquet","dataChange":false,"deletionTimestamp":1}}"#;

    #[test]
    fn only_new_rows_and_rows_that_go_are_changes() {
        let info = r#"{"commitInfo":{"timestamp":5,"operation":"MERGE","sluice":{"hops":["b","a"],"text":"x"}}}"#;
        let found = change(&[info, NEW, MERGED, TAKEN, MOVED]);
        assert_eq!((found.added.len(), found.removed, found.bytes(), found.time), (1, 1, 10, Some(5)));
        assert_eq!(found.added[0].path, "day=1 2/a.parquet");
        assert_eq!((found.operation.as_str(), found.hops), ("MERGE", vec!["b".to_owned(), "a".to_owned()]));
        let compacted = change(&[r#"{"commitInfo":{"operation":"OPTIMIZE","sluice":"x"}}"#, MERGED, MOVED]);
        assert_eq!((compacted.added.len(), compacted.removed, compacted.hops.len()), (0, 0, 0));
        assert_eq!(change(&[NEW]).operation, "an unknown operation");
        let restored = change(&[r#"{"commitInfo":{"operation":"RESTORE"}}"#, NEW]);
        assert!(restored.is_rewound && !change(&[NEW]).is_rewound);
    }
}
