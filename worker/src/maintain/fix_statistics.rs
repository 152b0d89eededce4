//! Statistics in the log that exclude values of their files are replaced. This adds versions to the table, and neither adds nor
//! takes a row: the log has a file once more, with other statistics, which take the place of those before.

use std::collections::{BTreeMap, HashMap};

use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Add, CommitInfo, PrimitiveType, Snapshot, StructField};
use deltalake::logstore::ObjectStoreRef;
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, DeltaTableError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::json;
use shared::{Backoff, Location};

use super::asked::Maintenance;
use super::paths::LoggedPaths;
use crate::context::LoadContext;
use crate::delta::commit_error::{Loss, loss};
use crate::delta::commit_info::ENGINE;
use crate::delta::exclusive::require_exclusive;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::statistics::correct::{Corrected, FixedValue, correct};
use crate::delta::statistics::footer::{Footer, read_footer};
use crate::delta::statistics::indexed::Leaf;
use crate::delta::statistics::numbers::{NotNumbers, find_not_numbers};
use crate::delta::statistics::statistics;
use crate::delta::statistics::tree::{FileStatistics, value_of};
use crate::delta::write::indexed;
use crate::error::LoadError;
use crate::schema::write_schema::WriteSchema;

/// Files that are looked into at once.
const AT_ONCE: usize = 8;

/// Most files of one commit: an entry of the log is read by everyone.
const MOST_FILES: usize = 1000;

/// What such a commit is called, as other writers call it.
const OPERATION: &str = "COMPUTE STATISTICS";

/// What became of wrong statistics, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FixedStatistics {
    /// Files whose statistics were compared with their footers.
    pub checked: u64,
    /// Files that were left alone: some of their rows are deleted, or the log has their path in a form that is not written here.
    pub skipped: u64,
    /// Files whose statistics were wrong.
    pub files: Vec<FixedFile>,
    /// Columns of which the log has bounds that footers neither prove nor refute, and in how many files. They are left alone.
    pub unproven: BTreeMap<String, u64>,
}

/// A file whose statistics were wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FixedFile {
    /// Its path in the table.
    pub path: String,
    /// What changed.
    pub values: Vec<FixedValue>,
}

/// A file with the statistics that it is to have, and those that it had.
#[derive(Debug)]
struct Fix {
    add: Add,
    before: Option<String>,
    fixed: FixedFile,
}

/// What a look at a file gave.
#[derive(Debug, Default)]
struct Examined {
    /// All statistics, if some were wrong.
    right: Option<String>,
    values: Vec<FixedValue>,
    unproven: Vec<String>,
}

/// Replaces wrong statistics.
pub(super) async fn fix(
    context: &LoadContext,
    table: &Location,
    asked: &Maintenance,
) -> Result<Option<FixedStatistics>, LoadError> {
    if !asked.fix_statistics {
        return Ok(None);
    }
    let no_table = || LoadError::NoSuchTable { table: table.clone() };
    let head = context.open(table).await?.ok_or_else(no_table)?;
    let state = head.state().cloned().ok_or_else(no_table)?;
    let failed = |error| LoadError::table(table, "read the statistics of", error);
    let (indexed, write_schema) = (indexed(head.table()), WriteSchema::of(&state).map_err(failed)?);
    let is_partition = |field: &&StructField| write_schema.file_partition_by().contains(field.name());
    let columns: Vec<&StructField> = write_schema.file_fields().iter().filter(|field| !is_partition(field)).collect();
    let leaves = indexed.leaves(&columns);
    let (files, skipped) = files(&head, &state).await.map_err(failed)?;
    let mut fixed = FixedStatistics { skipped, ..FixedStatistics::default() };
    let store = head.table().object_store();
    let looks = files.into_iter().map(|(add, at)| {
        let (store, leaves) = (&store, &leaves);
        let whole = |footer: &Footer<'_>, not_numbers: &NotNumbers| {
            let rows = footer.rows().unwrap_or_default();
            statistics(footer, rows, &columns, &indexed, not_numbers)
        };
        async move { examine(store, &add, &at, leaves, whole).await.map(|examined| (add, examined)) }
    });
    let mut looks = std::pin::pin!(stream::iter(looks).buffered(AT_ONCE));
    let mut corrections = Vec::new();
    while let Some((add, examined)) = looks.try_next().await.map_err(failed)? {
        fixed.checked += 1;
        for column in examined.unproven {
            *fixed.unproven.entry(column).or_default() += 1;
        }
        let Some(right) = examined.right else { continue };
        tracing::info!(%table, file = add.path, asked.dry_run, "statistics to be fixed");
        let of_file = FixedFile { path: add.path.clone(), values: examined.values };
        let before = add.stats.clone();
        corrections.push(Fix { add: Add { stats: Some(right), data_change: false, ..add }, before, fixed: of_file });
        if corrections.len() == MOST_FILES {
            fixed.files.extend(commit(context, head.clone(), std::mem::take(&mut corrections), asked.dry_run).await?);
        }
    }
    fixed.files.extend(commit(context, head, corrections, asked.dry_run).await?);
    Ok(Some(fixed))
}

/// The files of a version whose statistics can be replaced, and how many more there are.
///
/// A file that some rows are deleted of would get them back by an entry without its deletion vector. For paths in another form
/// see [`LoggedPaths`].
async fn files(head: &TableSnapshot, state: &DeltaTableState) -> DeltaResult<(Vec<(Add, Path)>, u64)> {
    let log_store = head.table().log_store();
    let snapshot = Snapshot::try_new(log_store.as_ref(), Some(state.version())).await?;
    let logged = LoggedPaths::read(log_store.as_ref(), &snapshot).await?;
    let (mut files, mut skipped) = (Vec::new(), 0);
    let mut views = snapshot.file_views(log_store.as_ref(), None);
    while let Some(view) = views.try_next().await? {
        #[expect(deprecated, reason = "nothing else in the library gives the tags of a file")]
        let add = view.add_action();
        if add.deletion_vector.is_some() || !logged.are_written(&add)? {
            skipped += 1;
        } else {
            files.push((add, view.object_store_path()));
        }
    }
    Ok((files, skipped))
}

/// Compares the statistics of a file with its footer. `whole` makes statistics of a file that has none.
async fn examine(
    store: &ObjectStoreRef,
    add: &Add,
    at: &Path,
    leaves: &[Leaf<'_>],
    whole: impl Fn(&Footer<'_>, &NotNumbers) -> Result<String, serde_json::Error>,
) -> DeltaResult<Examined> {
    let size = u64::try_from(add.size).map_err(DeltaTableError::generic)?;
    let read = read_footer(store.as_ref(), at, size).await?;
    let footer = Footer::new(&read);
    let of_log = add.stats.as_deref().and_then(|stats| FileStatistics::parse(stats).ok());
    let has_bound = |leaf: &Leaf<'_>| {
        of_log
            .as_ref()
            .is_none_or(|log| value_of(&log.min_values, &leaf.path).or(value_of(&log.max_values, &leaf.path)).is_some())
    };
    // Only the values themselves tell whether there is one that is not a number.
    let floats = leaves.iter().filter(|leaf| matches!(leaf.kind, PrimitiveType::Float | PrimitiveType::Double));
    let floats = floats.filter(|leaf| has_bound(leaf)).filter_map(|leaf| footer.leaf(&leaf.path)).collect();
    let not_numbers = find_not_numbers(store, at, read.clone(), floats).await?;
    let Some(mut log) = of_log else {
        let right = whole(&footer, &not_numbers)?;
        return Ok(Examined {
            values: vec![FixedValue::all(add.stats.clone(), &right)],
            right: Some(right),
            ..Examined::default()
        });
    };
    let Corrected { values, unproven } = correct(&mut log, &footer, leaves, &not_numbers)?;
    let right = if values.is_empty() { None } else { Some(log.json()?) };
    Ok(Examined { right, values, unproven })
}

/// Puts a version that has the files with their new statistics, as long as the files are in the table as they were; gives those
/// that were fixed. A dry run puts nothing.
///
/// `head` is at the version that the files were listed in. A later one may lack some of them, so that the put conflicts with
/// whatever came since, a commit of files before these included, and they are compared first.
async fn commit(
    context: &LoadContext,
    mut head: TableSnapshot,
    mut corrections: Vec<Fix>,
    dry_run: bool,
) -> Result<Vec<FixedFile>, LoadError> {
    if !dry_run && !corrections.is_empty() {
        require_exclusive(&context.table_store, head.table()).await?;
    }
    let mut backoff = Backoff::new(&context.limits());
    let mut attempts = 1;
    while !dry_run && !corrections.is_empty() {
        let actions = corrections.iter().map(|fix| Action::Add(fix.add.clone()));
        let actions = std::iter::once(Action::CommitInfo(info())).chain(actions).collect();
        // The library has no operation of its own for this; what the commit is called, its info says.
        let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
        let data = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let Err(error) = head.put(&data).await else { break };
        if loss(&error) == Loss::Refused {
            return Err(LoadError::table(head.table().uri(), "commit to", error));
        }
        let Some(wait) = backoff.next_wait() else {
            let (table, source) =
                (head.table().uri().clone(), LoadError::table(head.table().uri(), "commit to", error));
            return Err(LoadError::Contention { table, attempts, source: Some(Box::new(source)) });
        };
        tokio::time::sleep(wait).await;
        head.reopen(&context.table_store).await?;
        if retain(&head, &mut corrections).await? {
            break;
        }
        attempts += 1;
    }
    Ok(corrections.into_iter().map(|fix| fix.fixed).collect())
}

/// Leaves out files that others removed or changed; gives whether the files that are left are fixed already, by a put that was
/// taken for lost.
async fn retain(head: &TableSnapshot, corrections: &mut Vec<Fix>) -> Result<bool, LoadError> {
    let failed = |error| LoadError::table(head.table().uri(), "read the statistics of", error);
    let Some(state) = head.state() else {
        corrections.clear();
        return Ok(true);
    };
    let (files, _) = files(head, state).await.map_err(failed)?;
    let now: HashMap<String, Option<String>> = files.into_iter().map(|(add, _)| (add.path, add.stats)).collect();
    let is_fixed = |fix: &Fix| now.get(&fix.add.path) == Some(&fix.add.stats);
    if corrections.iter().any(is_fixed) {
        // All were in one commit.
        corrections.retain(is_fixed);
        return Ok(true);
    }
    corrections.retain(|fix| now.get(&fix.add.path) == Some(&fix.before));
    Ok(false)
}

fn info() -> CommitInfo {
    CommitInfo {
        timestamp: Some(crate::delta::log::now()),
        operation: Some(OPERATION.to_owned()),
        operation_parameters: Some(HashMap::new()),
        is_blind_append: Some(false),
        engine_info: Some(ENGINE.to_owned()),
        info: HashMap::from([("sluice".to_owned(), json!({ "text": "statistics corrected" }))]),
        ..CommitInfo::default()
    }
}
