//! The URIs of a table in its log.

use deltalake::kernel::Transaction;
use shared::Location;

use crate::delta::app_ids::{JOB, NAME};
use crate::delta::former_uris::FormerUris;
use crate::delta::log::now;
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;

/// The URIs of the table that its log does not have yet, so that jobs are known by them when it is moved or copied. A log that
/// has jobs and no URI gets none unless all are known: with the present one alone it would seem that there were no others.
pub(super) async fn new_names(
    snapshot: &TableSnapshot,
    former_uris: &FormerUris,
) -> Result<Vec<Transaction>, LoadError> {
    let uri = snapshot.table().uri();
    let mut former: Vec<&Location> = former_uris.moved.keys().filter(|former| *former != uri).collect();
    former.sort();
    let ids: Vec<String> = former.into_iter().chain([uri]).map(|uri| format!("{NAME}{uri}")).collect();
    let known = snapshot.transactions(ids.clone()).await?;
    let new = (1..).zip(ids).zip(known).filter_map(|(id, known)| known.is_none().then_some(id)).collect::<Vec<_>>();
    if new.is_empty() || !former_uris.are_all_known && has_jobs_and_no_name(snapshot).await? {
        return Ok(Vec::new());
    }
    let now = now();
    Ok(new.into_iter().map(|(number, id)| Transaction::new_with_last_update(id, number, Some(now))).collect())
}

/// Whether Sluice loaded the table before its log said under which URI.
async fn has_jobs_and_no_name(snapshot: &TableSnapshot) -> Result<bool, LoadError> {
    let ours = snapshot.transactions_named(JOB).await?;
    Ok(!ours.is_empty() && !ours.keys().any(|id| NAME.strip_prefix(JOB).is_some_and(|name| id.starts_with(name))))
}
