//! What reading a chunk takes of the account of memory.

use shared::page_sizes as size;
use shared::{Memory, MemoryShare, MemoryTooSmall};

use super::ChunkFile;
use crate::error::LoadError;
use crate::fetch::costs::Costs;
use crate::fetch::row_group_bytes::{RowGroupBytes, batch_bytes};

impl ChunkFile {
    /// Takes of the account what reading its batches takes, and what is taken beside.
    pub(crate) async fn take_memory(&self) -> Result<MemoryShare, LoadError> {
        let costs = self.costs();
        let taken = self.memory.reserve_for(|memory| costs.whole(memory)).await;
        taken.map_err(|source| self.too_large(costs.dearest(&self.memory), source))
    }

    pub(super) fn costs(&self) -> Costs<'_> {
        Costs { footer: self.footer(), is_own: self.is_own(), beside: self.beside }
    }

    /// Rows of a row group that are decoded at once. What others encoded is looked at first.
    pub(super) fn rows_at_once(&self, group: usize, bytes: &RowGroupBytes) -> Result<usize, LoadError> {
        let metadata = self.footer().row_group(group);
        let rows = size::unsigned(metadata.num_rows());
        let batch = batch_bytes(&self.memory);
        if self.is_own() {
            return Ok(size::rows_within(batch, size::fixed_row_bytes(metadata.columns(), rows)));
        }
        let survey = size::survey(bytes, metadata.columns(), rows);
        let beyond = survey.beyond(metadata);
        let whole = *self.whole_cost.get_or_init(|| self.costs().whole(&self.memory));
        if whole.saturating_add(beyond) > self.memory.bytes() {
            let needed = |memory: &Memory| self.costs().whole(memory).saturating_add(beyond);
            self.memory.check(needed).map_err(|source| self.too_large(group, source))?;
        }
        Ok(size::rows_within(batch, survey.row_bytes))
    }

    fn too_large(&self, group: usize, source: MemoryTooSmall) -> LoadError {
        let at = Box::new(self.parquet_source.clone().unwrap_or_else(|| self.object.at.clone()));
        LoadError::Memory { at, what: format!("row group {group}"), source }
    }
}
