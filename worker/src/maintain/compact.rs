//! Small data files become fewer larger ones. This adds versions to the table, and neither adds nor takes a row.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field};
use buoyant_kernel::expressions::{Scalar, StructData};
use deltalake::kernel::{Action, Add, DeletionVectorDescriptor, LogicalFileView, Remove, Snapshot};
use deltalake::protocol::DeltaOperation;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, DeltaTableError, Path};
use serde::Serialize;
use serde_json::json;
use shared::{Backoff, Location};

use super::asked::{Compaction, Maintenance};
use super::cleared::before;
use super::paths::LoggedPaths;
use crate::context::LoadContext;
use crate::delta::commit_error::{Loss, loss};
use crate::delta::commit_info::commit_data;
use crate::delta::data_file::DataFile;
use crate::delta::deletions::{deleted_rows, without};
use crate::delta::exclusive::require_exclusive;
use crate::delta::presence::missing;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::staging::StagingNote;
use crate::delta::tags::{chunk_of, merged};
use crate::delta::tracking::keeps_row_ids;
use crate::delta::write::{DataFiles, Room};
use crate::error::LoadError;
use crate::fetch::data_file::StoredFile;
use crate::rows::conform::carry::carry;
use crate::schema::write_schema::WriteSchema;
use crate::verdict::Patience;

/// A file of less than one part in so many of the size that the table wants is small.
const SMALL: u64 = 2;

/// Most files that become one: they are read one after the other, and a call has only so much time.
const MOST_FILES: usize = 500;

/// What became of small data files, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Files that were merged.
    pub merged: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that they became; none in a dry run, which does not make them.
    pub made: u64,
    /// Small files that were left alone, since the log has their paths in a form that is not written here.
    pub skipped: u64,
    /// Small files that were left alone, since they have columns that the table does not have, or has in another type. A dry run does not
    /// look into them.
    pub unlike: u64,
}

/// What became of files that were to be merged.
#[derive(Clone, Copy, Debug)]
enum Merged {
    /// So many others.
    Into(u64),
    /// Nothing, since they have other columns than the table.
    Unlike,
    /// Nothing, since they are no longer what they were.
    Changed,
}

/// Merges small files, as long as there is time.
pub(super) async fn compact(
    context: &LoadContext,
    table: &Location,
    asked: &Maintenance,
) -> Result<Option<Compacted>, LoadError> {
    if asked.compact == Compaction::Off {
        return Ok(None);
    }
    let head = context.open(table).await?.ok_or_else(|| LoadError::NoSuchTable { table: table.clone() })?;
    let Some(state) = head.state() else { return Err(LoadError::NoSuchTable { table: table.clone() }) };
    if keeps_row_ids(state) {
        let reason = "its files cannot be merged: its rows keep their numbers (delta.enableRowTracking), and here they would get others";
        return Err(LoadError::Unsupported { table: table.clone(), reason: reason.to_owned() });
    }
    if !asked.dry_run {
        require_exclusive(&context.table_store, head.table()).await?;
    }
    let (bins, skipped) =
        bins(&head, state, asked).await.map_err(|error| LoadError::table(table, "read the log of", error))?;
    let (mut compacted, mut longest, mut failed) =
        (Compacted { skipped, ..Compacted::default() }, Duration::ZERO, None);
    for bin in bins {
        let began = Instant::now();
        if context.deadline.is_some_and(|deadline| began + 2 * longest > deadline) {
            break;
        }
        let made = if asked.dry_run { Ok(Merged::Into(0)) } else { merge(context, head.clone(), &bin).await };
        // Files that cannot be read do not keep the others from being merged.
        let made = made.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            Merged::Changed
        });
        let files = u64::try_from(bin.files.len()).unwrap_or_default();
        match made {
            Merged::Into(made) => {
                tracing::info!(%table, files, bytes = bin.bytes, made, asked.dry_run, "to be merged");
                compacted.merged += files;
                compacted.bytes += bin.bytes;
                compacted.made += made;
            }
            Merged::Unlike => compacted.unlike += files,
            Merged::Changed => {}
        }
        longest = longest.max(began.elapsed());
    }
    failed.map_or(Ok(Some(compacted)), Err)
}

/// Files that become one, or a few.
#[derive(Debug, Default)]
struct Bin {
    files: Vec<SmallFile>,
    bytes: u64,
    /// What tells whose they are, if they are of one job.
    tag: Option<String>,
}

#[derive(Debug)]
struct SmallFile {
    path: String,
    at: Path,
    rows: Option<usize>,
    partition: Option<StructData>,
    /// Which of its rows are deleted, where some are.
    deleted: Option<DeletionVectorDescriptor>,
    remove: Remove,
}

/// Files that may be merged, of one partition, and of one job unless it was asked for more; and how many could not be removed, for
/// which see [`LoggedPaths`].
async fn bins(head: &TableSnapshot, state: &DeltaTableState, asked: &Maintenance) -> DeltaResult<(Vec<Bin>, u64)> {
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
        // What a merged file carries in place of the chunk that it is made of. Once rows are deleted, what is left is no job's.
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

/// A file whose rows are written anew.
struct Source<'a> {
    small: &'a SmallFile,
    stored: StoredFile,
}

impl Bin {
    fn take(&mut self, other: Self) {
        self.tag = if self.files.is_empty() || self.tag == other.tag { other.tag } else { None };
        self.bytes += other.bytes;
        self.files.extend(other.files);
    }

    /// Whether all of its files are in the table as they were, which is as it was.
    fn still_holds(&self, then: &DeltaTableState, now: &DeltaTableState) -> bool {
        let active: HashMap<String, Option<DeletionVectorDescriptor>> =
            now.log_data().iter().map(|view| (view.path().into_owned(), view.deletion_vector_descriptor())).collect();
        self.files.iter().all(|file| active.get(&file.path) == Some(&file.deleted))
            && now.metadata() == then.metadata()
            && now.protocol() == then.protocol()
    }
}

/// Merges files.
async fn merge(context: &LoadContext, head: TableSnapshot, bin: &Bin) -> Result<Merged, LoadError> {
    let Some(state) = head.state() else { return Ok(Merged::Changed) };
    let failed = |error| LoadError::table(head.table().uri(), "merge data files of", error);
    let write_schema = WriteSchema::of(state).map_err(failed)?;
    if let Err(refusal) = write_schema.check_partitions() {
        tracing::warn!(table = %head.table().uri(), "its small files are left alone: {}", refusal.reason);
        return Ok(Merged::Changed);
    }
    let (memory, room) = (&context.settings.memory, Room::of(&context.settings));
    let mut files = DataFiles::new(head.table(), &write_schema, room)?;
    let mut share = None;
    for small in &bin.files {
        let rewritten = async {
            let stored = StoredFile::open(head.table(), small.at.clone(), memory).await.map_err(failed)?;
            // Rows of one file wait for those of the next, so the share is kept. Where it cannot grow, nothing waits while others are waited for.
            let is_enough = share.as_mut().is_some_and(|share| stored.try_grow(share, Room::needed));
            if !is_enough {
                if share.is_some() {
                    files.flush().await?;
                }
                drop(share.take());
                share = Some(stored.take_memory(Room::needed).await?);
            }
            rewrite(&head, &write_schema, &Source { small, stored }, &mut files).await
        };
        match rewritten.await {
            Ok(true) => {}
            Ok(false) => {
                files.abort().await;
                return Ok(Merged::Unlike);
            }
            Err(error) => {
                files.abort().await;
                return Err(error);
            }
        }
    }
    let added = files.finish(bin.tag.as_deref()).await?;
    let note = StagingNote::put(head.table(), &added).await?;
    let committed = commit(context, head.clone(), bin, added).await;
    note.withdraw(head.table()).await;
    Ok(committed?.map_or(Merged::Changed, Merged::Into))
}

/// Writes the rows of a file anew; gives whether that can be done without a change of any value.
async fn rewrite(
    head: &TableSnapshot,
    write_schema: &WriteSchema,
    file: &Source<'_>,
    files: &mut DataFiles<'_>,
) -> Result<bool, LoadError> {
    let failed = |error: DeltaTableError| LoadError::table(head.table().uri(), "merge data files of", error);
    let Source { small, stored } = file;
    let deleted = deleted_rows(head.table(), small.deleted.as_ref()).await.map_err(failed)?;
    let mut rows = 0;
    for group in 0..stored.groups() {
        for batch in stored.batches(group).await.map_err(failed)? {
            let batch = batch.map_err(failed)?;
            let first = u64::try_from(rows).unwrap_or_default();
            rows += batch.num_rows();
            let batch = without(&batch, first, &deleted).map_err(|error| failed(error.into()))?;
            match fit(&batch, write_schema, small.partition.as_ref()).map_err(failed)? {
                Some(batch) => files.write(&batch).await?,
                None => return Ok(false),
            }
        }
    }
    match small.rows {
        Some(expected) if expected != rows => {
            let reason = format!("{} has {rows} rows, and the log says {expected}", small.path);
            Err(failed(DeltaTableError::generic(reason)))
        }
        _ => Ok(true),
    }
}

/// The columns of the table for the rows of a file; none when one of them has another type there.
fn fit(
    rows: &RecordBatch,
    write_schema: &WriteSchema,
    partition: Option<&StructData>,
) -> DeltaResult<Option<RecordBatch>> {
    let (all, schema) = (rows.num_columns(), write_schema.schema());
    let rows = write_schema.of_file(rows)?;
    if rows.num_columns() < all {
        // The table has dropped the column.
        return Ok(None);
    }
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let column = match (of_partition(partition, field), rows.column_by_name(field.name())) {
            (Some(value), _) => value.to_array(rows.num_rows())?,
            (None, Some(column)) => match widened(column, field.data_type())? {
                Some(values) => values,
                None => return Ok(None),
            },
            (None, None) => new_null_array(field.data_type(), rows.num_rows()),
        };
        columns.push(column);
    }
    Ok(Some(RecordBatch::try_new(Arc::clone(schema), columns)?))
}

/// Values in the type of the table, which may have been a narrower one when they were written; none where a value would change.
fn widened(values: &ArrayRef, to: &DataType) -> DeltaResult<Option<ArrayRef>> {
    let from = values.data_type();
    let is_wider = match (from, to) {
        (DataType::Float64, DataType::Float32) => false,
        (DataType::Date32, DataType::Timestamp(_, None)) => true,
        (from, to) => from.is_numeric() && to.is_numeric(),
    };
    if from == to {
        return Ok(Some(Arc::clone(values)));
    }
    if !is_wider {
        return Ok(None);
    }
    let carried = carry(values, to)?;
    let is_whole = carried.misfits.count_set_bits() + carried.shortened.count_set_bits() == 0;
    Ok(is_whole.then_some(carried.values))
}

/// The value that all rows of a file have in a column by which the table is partitioned.
fn of_partition<'a>(partition: Option<&'a StructData>, field: &Field) -> Option<&'a Scalar> {
    let partition = partition?;
    let place = partition.fields().iter().position(|one| one.name() == field.name())?;
    partition.values().get(place)
}

/// Puts a version that has the new files in place of the old ones, unless those are no longer there. What lost against others
/// is left for vacuum: a put that reports failure may have landed.
async fn commit(
    context: &LoadContext,
    mut head: TableSnapshot,
    bin: &Bin,
    added: Vec<DataFile>,
) -> Result<Option<u64>, LoadError> {
    let mut backoff = Backoff::new(&context.limits());
    let made = u64::try_from(added.len()).unwrap_or_default();
    let first = added.first().map(|file| file.path.clone());
    let written_for = head.table().id();
    let removed = bin.files.iter().map(|file| Action::Remove(file.remove.clone()));
    let actions =
        removed.chain(added.iter().map(|file| Action::Add(Add { data_change: false, ..file.add() }))).collect();
    let target_size = head.state().map_or(0, |state| state.table_config().target_file_size().get());
    let target_size = i64::try_from(target_size).unwrap_or(i64::MAX);
    let operation = DeltaOperation::Optimize { predicate: None, target_size };
    let about = json!({ "text": "compacted" });
    let data = commit_data(actions, operation, about, HashMap::new(), Vec::new());
    let (mut attempts, mut patience) = (1, Patience::default());
    loop {
        let then = head.state().cloned();
        if let Some(file) = missing(head.table(), &added, written_for.as_deref()).await? {
            tracing::warn!(table = %head.table().uri(), file, "a merged file is gone before its commit; nothing is merged");
            return Ok(None);
        }
        let Err(error) = head.put(&data).await else { return Ok(Some(made)) };
        if loss(&error) == Loss::Refused {
            return Err(LoadError::table(head.table().uri(), "commit to", error));
        }
        head.reopen(&context.table_store).await?;
        let (Some(then), Some(now)) = (&then, head.state()) else { return Ok(None) };
        if now.log_data().iter().any(|view| Some(view.path().as_ref()) == first.as_deref()) {
            return Ok(Some(made));
        }
        if !bin.still_holds(then, now) {
            return Ok(None);
        }
        let is_conflict = loss(&error) == Loss::Conflict;
        let error = LoadError::table(head.table().uri(), "commit to", error);
        if !is_conflict && !patience.bears(&error) {
            return Err(error);
        }
        let Some(wait) = backoff.next_wait() else {
            let (table, source) = (head.table().uri().clone(), error);
            return Err(LoadError::Contention { table, attempts, source: Some(Box::new(source)) });
        };
        tokio::time::sleep(wait).await;
        attempts += 1;
    }
}
