//! The URIs of a table in its log.

use deltalake::kernel::Transaction;
use shared::Location;

use super::Commit;
use crate::error::LoadError;
use crate::route::{JOB, NAME};

impl Commit<'_> {
    /// The URIs of the table that its log does not have yet, so that jobs are known by them when it is moved or copied. A log that
    /// has jobs and no URI gets none unless all are known: with the present one alone it would seem that there were no others.
    pub(super) async fn new_names(&self) -> Result<Vec<Transaction>, LoadError> {
        let uri = self.head.table().uri();
        let mut former: Vec<&Location> = self.context.delta.moved.keys().filter(|former| *former != uri).collect();
        former.sort();
        let ids: Vec<String> = former.into_iter().chain([uri]).map(|uri| format!("{NAME}{uri}")).collect();
        let known = self.transactions(ids.clone()).await?;
        let new = (1..).zip(ids).zip(known).filter_map(|(id, known)| known.is_none().then_some(id)).collect::<Vec<_>>();
        if new.is_empty() || !self.context.delta.knows_former_names && self.has_jobs_and_no_name().await? {
            return Ok(Vec::new());
        }
        let now = crate::log::now();
        Ok(new.into_iter().map(|(number, id)| Transaction::new_with_last_update(id, number, Some(now))).collect())
    }

    /// Whether Sluice loaded the table before its log said under which URI.
    async fn has_jobs_and_no_name(&self) -> Result<bool, LoadError> {
        let ours = self.head.transactions_named(JOB).await?;
        Ok(!ours.is_empty() && !ours.keys().any(|id| NAME.strip_prefix(JOB).is_some_and(|name| id.starts_with(name))))
    }
}
