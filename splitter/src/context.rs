//! What the splitter works with.

use std::sync::Arc;

use shared::{JobId, Location, Progress, Queue, Seal, Settings, Storage, Topic};
use tokio_util::sync::CancellationToken;

use crate::examination::Gate;

/// What the splitter works with.
#[derive(Clone, Debug)]
pub struct SplitContext {
    /// Store of source and work area.
    pub storage: Arc<dyn Storage>,
    /// Where chunk tasks go; none when they are not sent.
    pub queue: Option<Arc<dyn Queue>>,
    /// Prefix below which each job has its work area.
    pub work_prefix: Location,
    /// The table that the source is bound for; none when the splitter is used alone.
    pub table: Option<Location>,
    /// Where notices of completed jobs go; none when they are not sent.
    pub topic: Option<Arc<dyn Topic>>,
    /// Checks a new source before its job is pinned; none for no check.
    pub gate: Option<Arc<dyn Gate>>,
    /// Settings; of a job that was seen before only its pinned policy counts.
    pub settings: Settings,
    /// Blocks that are decoded and encoded at once, from 1. Has no influence on the result.
    pub threads: usize,
    /// What the caller knows of the source's jobs, from the table.
    pub known: Known,
    /// Whether chunks that an earlier attempt announced, and that are not in the table yet, are announced once more: for
    /// a queue that did not outlive that attempt.
    pub announce_again: bool,
    /// Counters to raise.
    pub progress: Arc<Progress>,
    /// Cancelled when the splitter is to stop.
    pub stop: CancellationToken,
}

impl SplitContext {
    /// The least that a split needs: chunks go below `work_prefix`, no task is sent, and one block is worked on at a time.
    /// The table is that of the settings.
    pub fn new(storage: Arc<dyn Storage>, work_prefix: Location, settings: Settings) -> Self {
        Self {
            storage,
            queue: None,
            work_prefix,
            table: settings.table.clone(),
            topic: None,
            gate: None,
            settings,
            threads: 1,
            known: Known::default(),
            announce_again: false,
            progress: Arc::default(),
            stop: CancellationToken::new(),
        }
    }
}

/// What a caller that can read the table's log knows of the jobs of a source. The default is to know nothing.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The table's URI that names of jobs are made of, where that is a former one.
    pub named_for: Option<Location>,
    /// Generation of the job that is to be loaded, unless there is a later one; 0 for whichever is there.
    pub generation: u32,
    /// Whether that generation is wanted beside or in place of an earlier one.
    pub is_again: bool,
    /// Earlier generations in place of which it is begun.
    pub instead_of: Vec<JobId>,
    /// The path of a link by which the source was dropped.
    pub dropped_as: Option<Location>,
    /// Columns of the table, as its log writes them; none where the caller has not looked, and the log is read for them.
    pub table_schema: Option<String>,
    /// When the source was dropped, in milliseconds since 1970 (UTC), where an event says it.
    pub dropped_at: Option<i64>,
    /// What the table holds of that generation's policy, where its work area is gone: it is pinned again as it was.
    pub seal: Option<Seal>,
}
