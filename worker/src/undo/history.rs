//! What the log says of one job: the files that its commits added, and who removed files since.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use deltalake::DeltaResult;
use deltalake::kernel::{Action, Add, CommitInfo, Remove};
use deltalake::logstore::{LogStoreRef, get_actions};
use futures::{StreamExt, TryStreamExt, stream};
use shared::{JobId, Seal};

use crate::delta::app_ids::{NAME, job_app_id};
use crate::delta::tags::{chunk_of, is_of};

/// Entries that are read at once.
const AT_ONCE: usize = 16;

/// What the log says of a job, read from its end back to the commit of the job's first chunk.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Files that the job's commits added, by path.
    pub(crate) added: HashMap<String, Add>,
    /// Who removed a file last, by the file's path.
    pub(crate) removed: HashMap<String, Removal>,
    /// Files of the job that were merged into others of its files, by path.
    pub(crate) merged: HashSet<String>,
    /// Files of versions that rewrote rows, by version.
    rearranged: BTreeMap<u64, Vec<String>>,
    /// A version that adds files of several jobs and does not say which are whose.
    pub(crate) mixed: Option<u64>,
    /// Where the rows of files that versions added come from, by version.
    origins: BTreeMap<u64, Origin>,
    /// Files that versions added, by path, and whether they may hold rows of the job.
    may_hold: HashMap<String, bool>,
    /// The last version by which others put rows in the place of all that was in the table.
    pub(crate) overwrite: Option<Removal>,
    /// Whether the job's first commit is still there, and with it all that came after.
    pub(crate) is_whole: bool,
}

/// Where the rows of files that a version added may come from.
#[derive(Debug)]
struct Origin {
    added: Vec<String>,
    /// Files whose rows it may have written back: those that it removed, but for an overwrite, which writes none back.
    rewritten: Vec<String>,
    /// Whether it added files that had been in the table before, as RESTORE and corrections of statistics do.
    readded: bool,
}

/// A version that removed a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Removal {
    pub(crate) version: u64,
    /// What its writer calls it.
    pub(crate) operation: String,
    /// Whether its writer says that no rows came or went by it.
    pub(crate) rearranged: bool,
    /// Whether it may have written rows back that it was not asked about: they are in other files now.
    pub(crate) rewrote: bool,
    /// Whether it put something else in the place of all that was in the table.
    pub(crate) replaced: bool,
    /// When it was made, in milliseconds since 1970, and by what, as far as its writer says.
    pub(crate) time: Option<i64>,
    pub(crate) by: Option<String>,
}

/// The operation that brings an earlier version back.
const RESTORE: &str = "RESTORE";

/// Operations after which nothing of a file that they remove is in the table, unless they are told which rows they are about. All
/// others may write back, in the files that they add, the rows that they were not asked about.
const REPLACING: [&str; 6] = [
    RESTORE,
    "WRITE",
    "REPLACE TABLE",
    "REPLACE TABLE AS SELECT",
    "CREATE OR REPLACE TABLE",
    "CREATE OR REPLACE TABLE AS SELECT",
];

/// What became of a file that was added once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState<'a> {
    /// It is in the table.
    There,
    /// Its rows are in files that others rewrote.
    Moved,
    /// It was taken out.
    TakenOut(&'a Removal),
    /// The log does not tell any more.
    Untold,
}

/// What became of files, each version looked at once: one of many files may have been rewritten many times.
#[derive(Debug)]
pub(crate) struct FileStates<'a, F> {
    history: &'a History,
    is_active: F,
    /// What became of all rows that a version rewrote, by version.
    of_heirs: BTreeMap<u64, FileState<'a>>,
}

impl<'a, F: Fn(&str) -> bool> FileStates<'a, F> {
    /// What became of a file.
    pub(crate) fn of(&self, path: &str) -> FileState<'a> {
        if (self.is_active)(path) {
            return FileState::There;
        }
        match self.history.removed.get(path) {
            None => FileState::Untold,
            Some(removal) if !removal.rearranged => FileState::TakenOut(removal),
            Some(removal) => self.of_heirs.get(&removal.version).copied().unwrap_or(FileState::Untold),
        }
    }

    /// What became of the rows that a version rewrote into `heirs`, once that is known of all later versions.
    fn together(&self, version: u64, heirs: &[String]) -> FileState<'a> {
        let (mut last, mut is_untold) = (None, false);
        for heir in heirs {
            match self.of(heir) {
                FileState::There | FileState::Moved => return FileState::Moved,
                FileState::TakenOut(removal) => last = last.max(Some(removal)),
                // The version took the file out itself, so its rows are in the others.
                FileState::Untold
                    if self.history.removed.get(heir).is_some_and(|removal| removal.version == version) => {}
                FileState::Untold => is_untold = true,
            }
        }
        last.filter(|_| !is_untold).map_or(FileState::Untold, FileState::TakenOut)
    }
}

impl History {
    /// Reads the log from `version` back.
    pub(crate) async fn read(store: &LogStoreRef, version: u64, job: &JobId) -> DeltaResult<Self> {
        let mut history = Self::default();
        let reads = (0..=version)
            .rev()
            .map(|version| async move { store.read_commit_entry(version).await.map(|e| (version, e)) });
        let mut entries = stream::iter(reads).buffered(AT_ONCE);
        while let Some((version, Some(entry))) = entries.try_next().await? {
            history.take(version, &entry, job)?;
            if history.is_whole {
                break;
            }
        }
        history.trace();
        Ok(history)
    }

    /// Follows rows from file to file, the first version first. Of a file that came before the log begins nothing is known.
    fn trace(&mut self) {
        for origin in std::mem::take(&mut self.origins).into_values() {
            let holds = origin.rewritten.iter().any(|path| self.may_hold_rows(path));
            for path in origin.added {
                let holds = holds || (origin.readded && self.may_hold_rows(&path));
                self.may_hold.insert(path, holds);
            }
        }
    }

    /// What became of files, where `is_active` says of each whether it is in the table.
    pub(crate) fn file_states<F: Fn(&str) -> bool>(&self, is_active: F) -> FileStates<'_, F> {
        let mut file_states = FileStates { history: self, is_active, of_heirs: BTreeMap::new() };
        // The last version first: files that a version added went in later ones.
        for (&version, heirs) in self.rearranged.iter().rev() {
            let file_state = file_states.together(version, heirs);
            file_states.of_heirs.insert(version, file_state);
        }
        file_states
    }

    /// Whether a file may hold rows of the job, others' files included.
    pub(crate) fn may_hold_rows(&self, path: &str) -> bool {
        self.added.contains_key(path) || self.may_hold.get(path).copied().unwrap_or(!self.is_whole)
    }

    fn take(&mut self, version: u64, entry: &Bytes, job: &JobId) -> DeltaResult<()> {
        let seal = job_app_id(job);
        let (mut has_chunks, mut has_others, mut operation) = (false, false, "an unknown operation".to_owned());
        let (mut time, mut by, mut has_replaced) = (None, None, false);
        let (mut adds, mut removes) = (Vec::new(), Vec::new());
        for action in get_actions(version, entry)? {
            match action {
                Action::Txn(txn) if txn.app_id == seal => self.is_whole |= txn.version != Seal::UNDONE.0,
                Action::Txn(txn) if is_of(&txn.app_id, job) => has_chunks = true,
                Action::Txn(txn) => has_others |= txn.app_id.starts_with("sluice/") && !txn.app_id.starts_with(NAME),
                Action::CommitInfo(info) => {
                    time = info.timestamp.or(info.in_commit_timestamp);
                    by = who(&info);
                    has_replaced = has_replaced_all(&info);
                    operation = info.operation.unwrap_or(operation);
                }
                Action::Add(add) => adds.push(add),
                Action::Remove(remove) => removes.push(remove),
                _ => {}
            }
        }
        if adds.iter().any(|add| !add.data_change && chunk_of(add).is_some_and(|chunk| is_of(chunk, job))) {
            let rearranged = removes.iter().filter(|remove| !remove.data_change);
            self.merged.extend(rearranged.map(|remove| remove.path.clone()));
            let own = adds.iter().filter(|add| chunk_of(add).is_some_and(|chunk| is_of(chunk, job)));
            self.added.extend(own.map(|add| (add.path.clone(), add.clone())));
        }
        if removes.iter().any(|remove| !remove.data_change) {
            let arranged = adds.iter().filter(|add| !add.data_change).map(|add| add.path.clone()).collect();
            self.rearranged.insert(version, arranged);
        }
        let restored = operation == RESTORE;
        let has_overwritten = has_replaced && !restored && !removes.is_empty();
        let rewritten =
            if has_replaced { Vec::new() } else { removes.iter().map(|remove| remove.path.clone()).collect() };
        let added = adds.iter().map(|add| add.path.clone()).collect();
        let readded = restored || removes.is_empty() && adds.iter().all(|add| !add.data_change);
        self.origins.insert(version, Origin { added, rewritten, readded });
        let rewrote = !adds.is_empty() && !has_replaced;
        let removal = Removal { version, operation, rearranged: false, rewrote, replaced: has_replaced, time, by };
        if has_overwritten && !has_chunks && !has_others {
            self.overwrite.get_or_insert_with(|| removal.clone());
        }
        for Remove { path, data_change, .. } in removes {
            self.removed.entry(path).or_insert_with(|| Removal { rearranged: !data_change, ..removal.clone() });
        }
        if has_chunks {
            self.take_files(version, adds, has_others, job);
        }
        Ok(())
    }

    /// Files without a tag are the job's if all chunks of the commit are.
    fn take_files(&mut self, version: u64, adds: Vec<Add>, has_others: bool, job: &JobId) {
        for add in adds {
            match chunk_of(&add) {
                Some(chunk) if !is_of(chunk, job) => continue,
                None if has_others => {
                    self.mixed = Some(version);
                    continue;
                }
                _ => {}
            }
            self.added.insert(add.path.clone(), add);
        }
    }
}

fn has_replaced_all(info: &CommitInfo) -> bool {
    let predicate = info.operation_parameters.as_ref().and_then(|parameters| parameters.get("predicate"));
    let is_any = predicate.and_then(|predicate| predicate.as_str()).is_none_or(|text| matches!(text, "" | "[]"));
    is_any && info.operation.as_deref().is_some_and(|operation| REPLACING.contains(&operation))
}

/// Who made a version, as far as it says: a person, and the program.
fn who(info: &CommitInfo) -> Option<String> {
    let text = |key: &str| info.info.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let program = info.engine_info.clone().or_else(|| text("clientVersion"));
    match (info.user_name.clone().or_else(|| info.user_id.clone()), program) {
        (Some(user), Some(program)) => Some(format!("{user}, {program}")),
        (user, program) => user.or(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(version: u64, rearranged: bool) -> Removal {
        Removal {
            version,
            operation: "OPTIMIZE".to_owned(),
            rearranged,
            rewrote: false,
            replaced: false,
            time: None,
            by: None,
        }
    }

    #[test]
    fn rows_are_followed_from_file_to_file() {
        let add = |path: &str, new: bool| {
            format!(
                r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":1,"modificationTime":1,"dataChange":{new}}}}}"#
            )
        };
        let remove = |path: &str, gone: bool| format!(r#"{{"remove":{{"path":"{path}","dataChange":{gone}}}}}"#);
        let by =
            |operation: &str| format!(r#"{{"commitInfo":{{"operation":"{operation}","operationParameters":{{}}}}}}"#);
        let txn = |id: &str| format!(r#"{{"txn":{{"appId":"sluice/{id}","version":1}}}}"#);
        let versions = [
            vec![by("WRITE"), add("other", true)],
            vec![by("WRITE"), txn("j/0"), txn("j"), add("a", true)],
            vec![by("OPTIMIZE"), remove("a", false), remove("other", false), add("b", false)],
            vec![by("COMPUTE STATISTICS"), add("b", false)],
            vec![by("DELETE"), remove("b", true), add("c", true)],
            vec![by("WRITE"), remove("c", true), add("d", true)],
            vec![by("UPDATE"), remove("d", true), add("e", true)],
            vec![by("WRITE"), add("f", true)],
            vec![by("OPTIMIZE"), remove("e", false), remove("f", false), add("g", false)],
            vec![by("RESTORE"), remove("g", true), add("c", true)],
        ];
        let job = JobId::from("j".to_owned());
        // From the last version back: all of them, or those that are still in the log.
        for (first, expected) in [(1, "abc"), (2, "abcother"), (5, "abcother"), (6, "abcdegother")] {
            let mut history = History::default();
            for (version, lines) in versions.iter().enumerate().skip(first).rev() {
                let entry = Bytes::from(lines.join("\n"));
                history.take(u64::try_from(version).unwrap(), &entry, &job).unwrap();
            }
            history.trace();
            let may =
                ["a", "b", "c", "d", "e", "f", "g", "other"].into_iter().filter(|path| history.may_hold_rows(path));
            assert_eq!(may.collect::<String>(), expected, "from version {first}");
        }
    }

    #[test]
    fn files_that_were_arranged_anew_many_times() {
        const TIMES: u64 = 20;
        let files = |version: u64| (0..30).map(move |file| format!("{version}/{file}"));
        let mut history = History::default();
        for version in 1..=TIMES {
            history.removed.extend(files(version - 1).map(|path| (path, removal(version, true))));
            history.rearranged.insert(version, files(version).collect());
        }
        assert_eq!(history.file_states(|_| false).of("0/7"), FileState::Untold);
        let last = removal(TIMES + 1, false);
        history.removed.extend(files(TIMES).map(|path| (path, last.clone())));
        assert_eq!(history.file_states(|_| false).of("0/7"), FileState::TakenOut(&last));
        assert_eq!(history.file_states(|path| path == "20/29").of("0/7"), FileState::Moved);
        assert_eq!(history.file_states(|path| path == "20/29").of("20/29"), FileState::There);
        history.removed.remove("20/3");
        assert_eq!(history.file_states(|_| false).of("0/7"), FileState::Untold);
    }
}
