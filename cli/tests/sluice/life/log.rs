//! What the table's log says of files: who added them, and who took them out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The log as it was read so far.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// The newest version that was read.
    version: Option<u64>,
    /// The job that each data file was made for, by its mark; none for files of others.
    owners: BTreeMap<String, Option<String>>,
}

/// A version of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: String,
    /// Jobs that files were added for; none for files without a job.
    pub(super) added: Vec<Option<String>>,
    /// Jobs whose files were removed.
    pub(super) removed: Vec<Option<String>>,
}

impl Log {
    pub(super) fn of(table: &Path) -> Self {
        Self { folder: table.join("_delta_log"), version: None, owners: BTreeMap::new() }
    }

    /// The newest version that was read.
    pub(super) fn version(&self) -> Option<u64> {
        self.version
    }

    /// Versions that came since the last call.
    pub(super) fn read_on(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let next = self.version.map_or(0, |version| version + 1);
            let Ok(text) = std::fs::read_to_string(self.folder.join(format!("{next:020}.json"))) else {
                return entries;
            };
            self.version = Some(next);
            entries.push(self.take(&text));
        }
    }

    fn take(&mut self, text: &str) -> Entry {
        let mut entry = Entry { operation: String::new(), added: Vec::new(), removed: Vec::new() };
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            if let Some(operation) = action["commitInfo"]["operation"].as_str() {
                operation.clone_into(&mut entry.operation);
            }
            if let Some(name) = name(&action["remove"]) {
                entry.removed.push(self.owners.get(&name).cloned().flatten());
            }
            if let Some(name) = name(&action["add"]) {
                let owner = owner(&action["add"]).or_else(|| self.owners.get(&name).cloned().flatten());
                entry.added.push(owner.clone());
                self.owners.insert(name, owner);
            }
        }
        entry
    }
}

/// The name of a file, without its folder: each has a name of its own.
fn name(action: &Value) -> Option<String> {
    let (_, name) = action["path"].as_str().map(|path| path.rsplit_once('/').unwrap_or(("", path)))?;
    Some(name.to_owned())
}

/// The job of a file's mark, as `sluice/JOB/0`.
fn owner(add: &Value) -> Option<String> {
    let mark = add["tags"]["sluice.chunk"].as_str()?.strip_prefix("sluice/")?;
    mark.split_once('/').map(|(job, _)| job.to_owned())
}
