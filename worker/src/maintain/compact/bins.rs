//! Which small files become one.

use std::collections::{BTreeMap, HashMap};

use buoyant_kernel::expressions::StructData;
use deltalake::kernel::{Add, DeletionVectorDescriptor, LogicalFileView, Remove, Snapshot};
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, Path};

use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::{chunk_of, merged};
use crate::maintain::asked::{Compaction, Maintenance};
use crate::maintain::cleared::before;
use crate::maintain::paths::LoggedPaths;

/// A file of less than one part in so many of the size that the table wants is small.
const SMALL: u64 = 2;

/// Most files that become one: they are read one after the other, and a call has only so much time.
const MOST_FILES: usize = 500;

/// Files that become one, or a few.
#[derive(Debug, Default)]
pub(super) struct Bin {
    pub(super) files: Vec<SmallFile>,
    pub(super) bytes: u64,
    /// What tells whose they are, if they are of one job.
    pub(super) tag: Option<String>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct SmallFile {
    pub(super) path: String,
    pub(super) at: Path,
    pub(super) rows: Option<usize>,
    pub(super) partition: Option<StructData>,
    /// Which of its rows are deleted, where some are.
    pub(super) deleted: Option<DeletionVectorDescriptor>,
    pub(super) remove: Remove,
}

/// Files that may be merged, of one partition, and of one job unless it was asked for more; and how many could not be removed, for
/// which see [`LoggedPaths`].
pub(super) async fn bins(
    head: &TableSnapshot,
    state: &DeltaTableState,
    asked: &Maintenance,
) -> DeltaResult<(Vec<Bin>, u64)> {
    let log_store = head.table().log_store();
    let snapshot = Snapshot::try_new(log_store.as_ref(), Some(state.version())).await?;
    let logged = LoggedPaths::read(log_store.as_ref(), &snapshot).await?;
    let target = state.table_config().target_file_size().get();
    let old = chrono::DateTime::<chrono::Utc>::from(before(asked.compact_after)).timestamp_millis();
    let mut groups: BTreeMap<_, Vec<(Bin, i64)>> = BTreeMap::new();
    let mut skipped = 0;
    for view in state.log_data().iter() {
        let bytes = u64::try_from(view.size()).unwrap_or_default();
        #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
        let add = view.add_action();
        // What a merged file carries in place of the chunk that it is made of. Once rows are deleted, what is left is not a job's.
        let tag = chunk_of(&add).filter(|_| add.deletion_vector.is_none()).and_then(merged);
        let is_foreign = tag.is_none() && asked.compact == Compaction::WithinJobs;
        if bytes >= target / SMALL || view.modification_time() > old || is_foreign {
            continue;
        }
        if !logged.are_written(&add)? {
            skipped += 1;
            continue;
        }
        let partition: BTreeMap<String, Option<String>> = view.partition_values_map().into_iter().collect();
        let group = (partition, tag.clone().filter(|_| asked.compact == Compaction::WithinJobs));
        groups
            .entry(group)
            .or_default()
            .push((Bin { bytes, files: vec![small_file(&view, &add)], tag }, view.modification_time()));
    }
    let mut bins = Vec::new();
    for mut files in groups.into_values() {
        files.sort_by_key(|(file, modified)| (*modified, file.files.first().map(|file| file.path.clone())));
        let mut bin = Bin::default();
        for (file, _) in files {
            if bin.bytes + file.bytes > target || bin.files.len() >= MOST_FILES {
                bins.push(std::mem::take(&mut bin));
            }
            bin.take(file);
        }
        bins.push(bin);
    }
    bins.retain(|bin| bin.files.len() > 1);
    Ok((bins, skipped))
}

fn small_file(view: &LogicalFileView, add: &Add) -> SmallFile {
    let (base_row_id, default_row_commit_version) = (add.base_row_id, add.default_row_commit_version);
    SmallFile {
        path: view.path().into_owned(),
        at: view.object_store_path(),
        rows: view.num_records(),
        partition: view.partition_values(),
        deleted: add.deletion_vector.clone(),
        remove: Remove { base_row_id, default_row_commit_version, ..view.remove_action(false) },
    }
}

impl Bin {
    fn take(&mut self, other: Self) {
        self.tag = if self.files.is_empty() || self.tag == other.tag { other.tag } else { None };
        self.bytes += other.bytes;
        self.files.extend(other.files);
    }

    /// Whether all of its files are in the table as they were, which is as it was.
    pub(super) fn still_holds(&self, then: &DeltaTableState, now: &DeltaTableState) -> bool {
        let active: HashMap<String, Option<DeletionVectorDescriptor>> =
            now.log_data().iter().map(|view| (view.path().into_owned(), view.deletion_vector_descriptor())).collect();
        self.files.iter().all(|file| active.get(&file.path) == Some(&file.deleted))
            && now.metadata() == then.metadata()
            && now.protocol() == then.protocol()
    }
}
