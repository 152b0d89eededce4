//! Sources that their table cannot take, refused before they are split.

use async_trait::async_trait;
use shared::Location;
use splitter::{BadInput, Examination, Gate, SplitContext, SplitError};
use worker::{LoadContext, TableStore};

/// What may help where nothing better is known.
const HINT: &str =
    "`sluice plan SOURCE --table TABLE` shows the columns; SQL gives them other names and types, or leaves them out";

/// Whether a table takes the columns of a source.
#[derive(Debug)]
pub(crate) struct TableGate {
    load: LoadContext,
    table: Location,
}

impl TableGate {
    /// For sources that are split like this, and bound for `table`.
    pub(crate) fn new(split: &SplitContext, table: Location) -> Self {
        let load = LoadContext::new(split.storage.clone(), split.settings.clone(), TableStore::from_env());
        Self { load, table }
    }
}

#[async_trait]
impl Gate for TableGate {
    async fn admit(&self, found: &Examination) -> Result<(), SplitError> {
        // Of nothing no table is made.
        if found.is_empty {
            return Ok(());
        }
        let Self { load, table } = self;
        let (sql, partition_by) = (load.settings.load.sql.as_deref(), &load.settings.load.partition_by);
        let checked = worker::check_columns(load, table, &found.schema, sql, partition_by).await;
        let Some(refusal) = checked.map_err(|error| SplitError::Gate(Box::new(error)))? else { return Ok(()) };
        let reason = format!("it does not fit table {table}: {}", refusal.reason);
        let (at, hint) = (found.source.uri.clone(), refusal.hint.unwrap_or(HINT));
        Err(BadInput { at, byte: None, record: None, column: None, reason, hint }.into())
    }
}
