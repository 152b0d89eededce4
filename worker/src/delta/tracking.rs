//! What a commit has to say of itself for features of its table: its time, and numbers of its rows.

use buoyant_kernel::table_features::TableFeature;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Add, DomainMetadata, Metadata, Protocol};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, DeltaTableError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::delta::log::{TxnLog, now};
use crate::schema::features::{is_on, lists};

/// Where a table keeps the highest number that was given to a row.
const DOMAIN: &str = "delta.rowTracking";

/// The highest number that was given to a row, as the log has it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct HighWaterMark {
    row_id_high_water_mark: i64,
}

/// Whether commits have times that grow from version to version.
fn has_times(protocol: &Protocol, metadata: &Metadata) -> bool {
    lists(protocol, &TableFeature::InCommitTimestamp) && is_on(metadata, "delta.enableInCommitTimestamps")
}

/// Whether rows get numbers when they are added.
fn has_row_ids(protocol: &Protocol, metadata: &Metadata) -> bool {
    lists(protocol, &TableFeature::RowTracking) && !is_on(metadata, "delta.rowTrackingSuspended")
}

/// Whether rows keep their numbers when they are written to other files, which this worker does not do.
pub(crate) fn keeps_row_ids(state: &DeltaTableState) -> bool {
    has_row_ids(state.protocol(), state.metadata()) && is_on(state.metadata(), "delta.enableRowTracking")
}

/// The commit as the table wants it, as the version after the latest that `log` has; none where it can stay as it is.
pub(crate) async fn complete(
    data: &CommitData,
    state: &DeltaTableState,
    log: &TxnLog,
) -> DeltaResult<Option<CommitData>> {
    let (protocol, metadata) = (state.protocol(), state.metadata());
    let (times, row_ids) = (has_times(protocol, metadata), has_row_ids(protocol, metadata));
    if !times && !row_ids {
        return Ok(None);
    }
    let mut actions = data.actions.clone();
    if row_ids {
        number_rows(&mut actions, log).await?;
    }
    let info = actions.iter_mut().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    });
    let info = info.ok_or_else(|| DeltaTableError::generic("the commit says nothing of itself"))?;
    if times {
        let before = log.commit_time()?;
        info.in_commit_timestamp = Some(before.map_or_else(now, |before| now().max(before.saturating_add(1))));
    }
    if row_ids {
        // Nothing here writes rows again that keep their numbers.
        info.info.insert("tags".to_owned(), json!({ "delta.rowTracking.preserved": "true" }));
    }
    let (operation, app_metadata) = (data.operation.clone(), data.app_metadata.clone());
    Ok(Some(CommitData { actions, operation, app_metadata, app_transactions: data.app_transactions.clone() }))
}

/// Gives numbers to the rows of files that have none, from the first that was never given on.
async fn number_rows(actions: &mut Vec<Action>, log: &TxnLog) -> DeltaResult<()> {
    let is_new = |action: &Action| matches!(action, Action::Add(add) if add.base_row_id.is_none());
    if !actions.iter().any(is_new) {
        return Ok(());
    }
    let mark: Option<HighWaterMark> = match log.domain(DOMAIN).await? {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => None,
    };
    let version = i64::try_from(log.version()).map_err(DeltaTableError::generic)?.saturating_add(1);
    let first = mark.map_or(0, |mark| mark.row_id_high_water_mark.saturating_add(1));
    let mut next = first;
    for action in actions.iter_mut() {
        let Action::Add(add) = action else { continue };
        if add.base_row_id.is_none() {
            let rows = rows_of(add)?;
            (add.base_row_id, add.default_row_commit_version) = (Some(next), Some(version));
            next = next.saturating_add(rows);
        }
    }
    if next > first {
        let configuration = serde_json::to_string(&HighWaterMark { row_id_high_water_mark: next - 1 })?;
        let domain = DOMAIN.to_owned();
        actions.push(Action::DomainMetadata(DomainMetadata { domain, configuration, removed: false }));
    }
    Ok(())
}

fn rows_of(add: &Add) -> DeltaResult<i64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        num_records: i64,
    }
    let stats = add.stats.as_deref().unwrap_or("{}");
    let stats: Stats = serde_json::from_str(stats).map_err(|error| {
        let reason = format!("{}: its number of rows is not known: {error}", add.path);
        DeltaTableError::generic(reason)
    })?;
    Ok(stats.num_records)
}
