//! Chunks whose data files went before their commit.

use crate::commit::prepared::Prepared;
use crate::delta::presence::missing;
use crate::delta::table::Table;
use crate::error::LoadError;

/// Of which chunks a data file is gone: nobody could read a version that names it.
pub(super) async fn are_lost(table: &Table, chunks: &[Prepared]) -> Result<Vec<bool>, LoadError> {
    let mut lost = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let file = missing(table, &chunk.files, chunk.table_id.as_deref()).await?;
        if let Some(file) = &file {
            let (table, chunk) = (table.uri(), &chunk.chunk.at);
            tracing::warn!(%table, %chunk, file, "a data file is gone, or too old, before its commit; its chunk is loaded again");
        }
        lost.push(file.is_some());
    }
    Ok(lost)
}
