//! Chunks whose data files went before their commit.

use super::{Commit, Decided, Fate};
use crate::error::LoadError;
use crate::presence::missing;

impl Commit<'_> {
    /// Takes out the chunks of which a data file is gone: nobody could read a version that names it. They are written again.
    pub(super) async fn set_lost_aside(&mut self) -> Result<(), LoadError> {
        let table = self.head.table().clone();
        let mut lost = Vec::with_capacity(self.open.len());
        for chunk in &self.open {
            lost.push(missing(&table, &chunk.files, chunk.table_id.as_deref()).await?);
        }
        let all = self.terms.whole && lost.iter().any(Option::is_some);
        for (mut chunk, lost) in std::mem::take(&mut self.open).into_iter().zip(lost) {
            if let Some(file) = &lost {
                let (table, chunk) = (table.uri(), &chunk.chunk.at);
                tracing::warn!(%table, %chunk, file, "a data file is gone, or too old, before its commit; its chunk is loaded again");
            }
            if lost.is_some() || all {
                self.discard(&chunk).await;
                self.decided.push(Decided { chunk, fate: Fate::Outdated });
            } else {
                chunk.table_id = table.id();
                self.open.push(chunk);
            }
        }
        Ok(())
    }
}
