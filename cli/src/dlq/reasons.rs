//! Why messages became dead letters, as worker and splitter noted it beside the work areas.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use shared::{Failure, Location, StorageError, Stores};

use super::dead_message::DeadMessage;
use crate::args;
use crate::config;
use crate::error::CliError;

/// Notes that are read at once.
const AT_ONCE: usize = 16;

/// Where reasons are kept.
#[derive(Debug)]
pub(super) struct Reasons {
    pub(super) storage: Arc<Stores>,
    pub(super) work_prefix: Option<Location>,
}

impl Reasons {
    /// In a directory that was asked for, or in `CHUNK_BUCKET`; without either only those of chunk tasks are found, which
    /// name their work area.
    pub(super) fn new(work_dir: Option<&str>) -> Result<Self, CliError> {
        let work_prefix = match work_dir {
            Some(dir) => Some(args::location(dir)?),
            None => config::settings().map_err(CliError::Settings)?.work_prefix,
        };
        Ok(Self { storage: Stores::from_env(), work_prefix })
    }

    /// Looks up the reasons of letters.
    pub(super) async fn add_to(&self, letters: &mut [DeadMessage]) -> Result<(), StorageError> {
        let look_ups = letters.iter_mut().filter_map(|letter| {
            let prefix = self.work_prefix.clone().or_else(|| letter.work_prefix.clone())?;
            Some(async move {
                if let Some(failure) = Failure::of(self.storage.as_ref(), &prefix, &letter.id).await? {
                    letter.explain(failure);
                }
                Ok(())
            })
        });
        stream::iter(look_ups).buffer_unordered(AT_ONCE).try_collect().await
    }
}
