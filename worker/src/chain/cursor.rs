//! How far the rows of a table have come into another one: a transaction in the log of that one.

use super::upstream::Upstream;
use crate::delta::app_ids::{CHAIN, cursor_app_id};
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;

/// What may help where another table took the place of one that was read.
const REPLACED_HINT: &str = "give the route a new target table; or, if the rows of before may stay beside those of the new one, run `sluice chain` once with \
                             --accept-loss, which begins with the new one";

/// How far the rows of a table have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Application id of the transaction.
    pub(super) app_id: String,
    /// The last version whose rows are there; none before the first one.
    pub(super) at: Option<i64>,
}

impl Cursor {
    /// That of a table that nothing was read of.
    pub(super) fn first(upstream: &Upstream) -> Self {
        Self { app_id: cursor_app_id(&upstream.id, &upstream.uri().to_string()), at: None }
    }

    /// Looks the cursor up in the table that is written. A table is known by its id, wherever it is moved. That another one lies where it
    /// was is an error, unless the loss is accepted.
    pub(super) async fn find(
        target: &TableSnapshot,
        upstream: &Upstream,
        accept_loss: bool,
    ) -> Result<Self, LoadError> {
        let named = target.transactions_named(CHAIN).await?;
        let (id, uri) = (upstream.id.as_str(), upstream.uri().to_string());
        let cursors = || named.iter().filter_map(|(name, at)| Some((name.split_once('/')?, *at)));
        if let Some(((_, of), at)) = cursors().find(|((known, _), _)| *known == id) {
            return Ok(Self { app_id: cursor_app_id(id, of), at: Some(at) });
        }
        match cursors().find(|((_, of), _)| *of == uri) {
            Some(((other, _), _)) if !accept_loss => Err(LoadError::Upstream {
                from: Box::new(upstream.uri().clone()),
                table: target.table().uri().clone(),
                reason: format!("another table took its place: its id is {id}, and rows came from {other} before"),
                hint: REPLACED_HINT,
            }),
            _ => Ok(Self::first(upstream)),
        }
    }
}
