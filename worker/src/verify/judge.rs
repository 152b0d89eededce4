//! What differences between receipts and table mean, by the log of the table.

use std::collections::BTreeSet;

use serde::Serialize;
use shared::JobId;

use super::tally::{ByChunk, DifferingChunk};
use crate::delta::app_ids::job_app_id;
use crate::delta::snapshot::TableSnapshot;
use crate::delta::tags::chunk_of;
use crate::error::LoadError;
use crate::undo::history::History;

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The table has the very rows that were committed.
    Equal,
    /// It has not.
    Differs,
    /// The job's rows cannot be told apart from others any more, or there is no hash to compare with.
    Untold,
}

/// What deletion vectors have to do with the differences; nothing where no row was deleted.
pub(super) fn deleted(differing: &[DifferingChunk], stored: &ByChunk) -> Option<String> {
    let stored_of = |one: &DifferingChunk| stored.get(&one.chunk).cloned().unwrap_or_default();
    let deleted: u64 = differing.iter().map(|one| stored_of(one).rows.saturating_sub(one.found.rows)).sum();
    if deleted == 0 {
        return None;
    }
    let is_certain = |one: &DifferingChunk| one.expected.row_hash.is_some() || one.expected.checksum.is_some();
    let are_all = differing.iter().all(|one| is_certain(one) && stored_of(one) == one.expected);
    let others = if are_all {
        "with them, the files hold the very rows that were committed, so no other row is missing or changed"
    } else if differing.iter().all(is_certain) {
        "even with them, the files do not hold the rows that were committed"
    } else {
        "the others cannot be checked, since the chunks to compare them with are gone"
    };
    Some(format!("{deleted} of its rows are deleted since, by deletion vectors; {others}"))
}

/// What the differences say, and what the log says of them.
pub(super) async fn judge(
    snapshot: &TableSnapshot,
    job: &JobId,
    paths: &BTreeSet<String>,
    differing: &[DifferingChunk],
) -> Result<(Finding, Option<String>), LoadError> {
    if differing.is_empty() {
        return Ok((Finding::Equal, None));
    }
    let failed = |error| LoadError::table(snapshot.table().uri(), "read the log of", error);
    let history = History::read(&snapshot.table().log_store(), snapshot.version().unwrap_or_default(), job).await;
    let history = history.map_err(failed)?;
    let gone: Vec<&String> = history.added.keys().filter(|path| !paths.contains(*path)).collect();
    let removals: Vec<_> = gone.iter().filter_map(|path| history.removed.get(*path)).collect();
    let chunks_gone: BTreeSet<&str> =
        gone.iter().filter_map(|path| history.added.get(*path)).filter_map(chunk_of).collect();
    if let Some(last) = removals.iter().max() {
        let is_rearranged = removals.iter().all(|removal| removal.rearranged)
            && differing.iter().all(|one| one.chunk == job_app_id(job) || chunks_gone.contains(one.chunk.as_str()));
        let reason = format!(
            "version {} ({}) rewrote or removed files since, {} of the job's are gone; rows in the files that took their \
             place cannot be told apart from others any more",
            last.version,
            last.operation,
            gone.len()
        );
        return Ok((if is_rearranged { Finding::Untold } else { Finding::Differs }, Some(reason)));
    }
    let is_unhashed = |one: &DifferingChunk| one.expected.row_hash.is_none() && one.expected.checksum.is_none();
    if differing.iter().all(|one| one.expected.rows == one.found.rows && is_unhashed(one)) {
        let reason = "there are as many rows as there should be, and nothing that they could be compared with: the receipts are \
                      from before rows were hashed, or the files are no longer the chunks, and the chunks are gone";
        return Ok((Finding::Untold, Some(reason.to_owned())));
    }
    if !history.is_whole && differing.iter().all(|one| one.found.rows < one.expected.rows) {
        let reason = "files of the job are gone, and so is the part of the log that would tell why";
        return Ok((Finding::Untold, Some(reason.to_owned())));
    }
    Ok((Finding::Differs, None))
}
