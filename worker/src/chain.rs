//! Chains: what each version of a table adds goes on to another one, in order, each version once.
//!
//! The last version whose rows are there is a transaction in the table that they go to, the *cursor*. It moves in the commit that adds
//! the rows, and an attempt to commit looks it up on the very snapshot that it is built on (`commit/attempts.rs`). So a step is in
//! the table once, whoever else takes it at the same time.

mod cursor;
mod step;
mod upstream;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::{Chain, ChainStart, Location, Rows, UpstreamChanges, Verdict};

use self::cursor::Cursor;
use self::step::{NewFiles, write};
use self::upstream::{Change, Upstream};
use crate::chunk::{AssignedChunk, ChainStep};
use crate::commit::commit;
use crate::commit::prepared::{CommitOutcome, Decided, Prepared};
use crate::context::LoadContext;
use crate::delta::commit_info::LoadedFrom;
use crate::delta::exclusive::require_exclusive;
use crate::delta::snapshot::TableSnapshot;
use crate::error::LoadError;
use crate::rows::shaping::Shaping;

/// How often in a row a step is taken anew because others, or changes of its table, came before it.
const MAX_REPEATS: u32 = 5;

const CHANGED_HINT: &str = "upstream_changes = \"ignore\" in the route passes over such versions: their new rows do not come, and the rows \
                            that they take out stay; or take the rows out of the target, and give the route a new one to read all anew";

const AHEAD_HINT: &str =
    "it was put back to an earlier state: bring back its later versions, or give the route another table to write to";

const LOOP_HINT: &str = "routes of several files, or several URIs of one table, make a loop: change one of them";

/// How a chain is followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Following {
    /// Whether it goes on where versions or files are gone, or another table took the place of the one that was read.
    pub accept_loss: bool,
    /// Whether nothing is done, and only told what there is to do.
    pub dry_run: bool,
}

/// How far a chain has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// Name of the route.
    pub route: String,
    /// The table that is read.
    pub from: Location,
    /// The table that is written.
    pub table: Location,
    /// Latest version of the table that is read; none while there is no such table.
    pub latest: Option<u64>,
    /// The last version whose rows are in the table that is written; none before the first one.
    pub cursor: Option<i64>,
    /// Latest version that was written; none if none was.
    pub table_version: Option<u64>,
    /// Versions with new rows that were read, or that there are to read in a dry run.
    pub versions: u64,
    /// Their files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// What became of their rows.
    pub rows: Rows,
    /// Versions that were passed over, since they take rows out.
    pub ignored: BTreeSet<u64>,
    /// Versions that were passed over, since they are gone: the first and the last of each gap.
    pub lost: BTreeSet<(u64, u64)>,
    /// Files that were passed over, since they are gone.
    pub lost_files: Vec<String>,
    /// Where rejected rows are kept.
    pub rejected: Vec<Location>,
}

/// Brings a table up to date with the one that it is made of. The settings of the context are those of the route. What was done before
/// an error stays, so both are given.
pub async fn follow(context: &LoadContext, chain: &Chain, following: Following) -> (Followed, Option<Verdict>) {
    let mut followed = Followed::new(chain);
    let error = Follower { context, chain, following }.run(&mut followed).await.err();
    (followed, error.map(|Stop(verdict)| verdict))
}

/// What ends a run.
struct Stop(Verdict);

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Self {
        Self(error.verdict())
    }
}

struct Follower<'a> {
    context: &'a LoadContext,
    chain: &'a Chain,
    following: Following,
}

impl Follower<'_> {
    async fn run(&self, followed: &mut Followed) -> Result<(), Stop> {
        let Some(upstream) = Upstream::open(self.context, &self.chain.from).await? else { return Ok(()) };
        followed.latest = Some(upstream.latest);
        if self.following.dry_run {
            return Ok(self.look_ahead(&upstream, followed).await?);
        }
        let (mut repeats, mut longest) = (0, Duration::ZERO);
        while repeats < MAX_REPEATS {
            let began = Instant::now();
            if self.context.deadline.is_some_and(|deadline| began + longest > deadline) {
                tracing::info!(route = self.chain.name, "the time of this call is too short for one more version");
                return Ok(());
            }
            let target = self.context.tables.handle(&self.chain.table);
            let target = target.look(&self.chain.table, &self.context.table_store).await?;
            let cursor = Cursor::find(&target, &upstream, self.following.accept_loss).await?;
            if std::mem::replace(&mut followed.cursor, cursor.at) != cursor.at {
                // Another run went on, which is no repeat.
                repeats = 0;
            }
            self.refuse_ahead(&upstream, &cursor).await?;
            let Some(change) = self.next(&upstream, Some(&target), self.begin(&cursor), followed).await? else {
                return Ok(());
            };
            let is_done = Box::pin(self.step(&upstream, &target, &cursor, &change, followed)).await?;
            repeats = if is_done { 0 } else { repeats + 1 };
            longest = longest.max(began.elapsed());
        }
        Err(LoadError::Contention { table: self.chain.table.clone(), attempts: MAX_REPEATS, source: None }.into())
    }

    /// Counts what there is to do.
    async fn look_ahead(&self, upstream: &Upstream, followed: &mut Followed) -> Result<(), LoadError> {
        let target = self.context.head(&self.chain.table).await?;
        let cursor = match &target {
            Some(target) => Cursor::find(target, upstream, self.following.accept_loss).await?,
            None => Cursor::first(upstream),
        };
        followed.cursor = cursor.at;
        let mut next = self.begin(&cursor);
        while let Some(change) = self.next(upstream, target.as_ref(), next, followed).await? {
            if change.added.is_empty() {
                break;
            }
            followed.count(&change);
            next = Some(change.version + 1);
        }
        Ok(())
    }

    /// The version to go on with; none where only the cursor is to be set.
    fn begin(&self, cursor: &Cursor) -> Option<u64> {
        match (cursor.at, self.chain.start) {
            (Some(at), _) => Some(u64::try_from(at).map_or(0, |at| at + 1)),
            (None, ChainStart::Version(version)) => Some(version),
            (None, ChainStart::Now) => None,
        }
    }

    /// The next version with new rows; or the last one, with none, if there is any after the cursor. None when all is done.
    async fn next(
        &self,
        upstream: &Upstream,
        target: Option<&TableSnapshot>,
        begin: Option<u64>,
        followed: &mut Followed,
    ) -> Result<Option<Change>, LoadError> {
        let Some(mut version) = begin else { return Ok(Some(Change::none(upstream.latest))) };
        let mut passed: Option<Change> = None;
        while version <= upstream.latest {
            let Some(change) = upstream.change(version).await? else {
                let first = upstream.first_from(version + 1).await?;
                self.lose(upstream, version, first - 1, followed)?;
                passed = Some(Change::none(first - 1).after(passed));
                version = first;
                continue;
            };
            self.refuse_loop(upstream, target, &change)?;
            let has_rows = !change.added.is_empty();
            if change.removed > 0 || change.is_rewound {
                self.ignore(upstream, &change, followed)?;
            } else if has_rows {
                return Ok(Some(change.after(passed)));
            }
            passed = Some(Change { added: Vec::new(), ..change.after(passed) });
            version += 1;
        }
        Ok(passed)
    }

    /// Refuses a cursor beyond the latest version: a table that was put back to an earlier one would be passed over, version by version.
    async fn refuse_ahead(&self, upstream: &Upstream, cursor: &Cursor) -> Result<(), LoadError> {
        let is_ahead = |latest: u64| cursor.at.and_then(|at| u64::try_from(at).ok()).is_some_and(|at| at > latest);
        if !is_ahead(upstream.latest) {
            return Ok(());
        }
        // Another run may have seen a later version.
        let latest = Upstream::open(self.context, upstream.uri()).await?.map_or(0, |upstream| upstream.latest);
        if !is_ahead(latest) {
            return Ok(());
        }
        Err(LoadError::Upstream {
            from: Box::new(upstream.uri().clone()),
            table: self.chain.table.clone(),
            reason: format!("it was read up to version {}, and its latest is {latest}", cursor.at.unwrap_or_default()),
            hint: AHEAD_HINT,
        })
    }

    /// Passes over versions that are gone, if that is accepted.
    fn lose(&self, upstream: &Upstream, first: u64, last: u64, followed: &mut Followed) -> Result<(), LoadError> {
        let what =
            if first == last { format!("version {first} is") } else { format!("versions {first} to {last} are") };
        if !self.following.accept_loss {
            let (from, table) = (Box::new(upstream.uri().clone()), self.chain.table.clone());
            return Err(LoadError::UpstreamGone { from, table, what });
        }
        if followed.lost.insert((first, last)) {
            tracing::warn!(route = self.chain.name, from = %upstream.uri(), "{what} gone, and passed over");
        }
        Ok(())
    }

    /// Passes over a version that takes rows out, if the route wants that.
    fn ignore(&self, upstream: &Upstream, change: &Change, followed: &mut Followed) -> Result<(), LoadError> {
        let Change { version, operation, removed, added, .. } = change;
        if self.chain.upstream_changes == UpstreamChanges::Fail {
            return Err(LoadError::Upstream {
                from: Box::new(upstream.uri().clone()),
                table: self.chain.table.clone(),
                reason: format!(
                    "version {version} ({operation}) takes {removed} of its files out, and adds {}{}",
                    added.len(),
                    if change.is_rewound { " that were there before" } else { "" }
                ),
                hint: CHANGED_HINT,
            });
        }
        if followed.ignored.insert(*version) {
            let (route, from) = (&self.chain.name, upstream.uri());
            tracing::warn!(route, %from, version, operation, removed, added = added.len(), "passed over a version that takes rows out");
        }
        Ok(())
    }

    /// Refuses rows that came through the table that they would go to.
    fn refuse_loop(
        &self,
        upstream: &Upstream,
        target: Option<&TableSnapshot>,
        change: &Change,
    ) -> Result<(), LoadError> {
        let id = target.and_then(|target| target.table().id());
        let Some(id) = id.filter(|id| *id == upstream.id || change.hops.contains(id)) else {
            return Ok(());
        };
        Err(LoadError::Upstream {
            from: Box::new(upstream.uri().clone()),
            table: self.chain.table.clone(),
            reason: format!("rows of version {} came through that table, whose id is {id}", change.version),
            hint: LOOP_HINT,
        })
    }

    /// Takes one step; gives whether it is in the table now, rather than to be taken anew.
    async fn step(
        &self,
        upstream: &Upstream,
        target: &TableSnapshot,
        cursor: &Cursor,
        change: &Change,
        followed: &mut Followed,
    ) -> Result<bool, Stop> {
        let table = target.table();
        require_exclusive(&self.context.table_store, table).await?;
        let chunk = self.chunk(upstream, cursor, change);
        let rejected = chunk.quarantine.clone();
        let new = NewFiles { added: &change.added, accept_loss: self.following.accept_loss };
        let (prepared, gone) = Box::pin(write(self.context, upstream, new, table, chunk)).await?;
        let handle = self.context.tables.handle(&self.chain.table);
        let decided = commit(self.context, &self.chain.table, &handle, vec![prepared], true).await?;
        let Some(Decided { chunk: Prepared { counts, note, .. }, outcome }) = decided.into_iter().next() else {
            let (what, reason) = (upstream.entry_at(change.version).to_string(), "a step was lost".to_owned());
            return Err(LoadError::Bug { what, reason }.into());
        };
        if let Some(note) = note {
            note.withdraw(table).await;
        }
        match outcome {
            CommitOutcome::Committed(version) => {
                followed.cursor = i64::try_from(change.version).ok();
                followed.table_version = Some(version);
                followed.take(change, counts.rows);
                followed.rejected.extend(rejected.filter(|_| counts.rows.quarantined > 0));
                followed.lost_files.extend(gone);
                Ok(true)
            }
            // By another process, or to be written again.
            CommitOutcome::Found | CommitOutcome::Outdated => Ok(false),
            CommitOutcome::Failed(verdict) => Err(Stop(verdict)),
        }
    }

    fn chunk(&self, upstream: &Upstream, cursor: &Cursor, change: &Change) -> AssignedChunk {
        let (settings, from, version) = (&self.context.settings, upstream.uri().to_string(), change.version);
        let rejected = format!("_sluice/_chains/{}/{version}/rejected.parquet", upstream.id);
        let hops = std::iter::once(&upstream.id).chain(&change.hops).cloned().collect();
        AssignedChunk {
            at: upstream.entry_at(version),
            origin: None,
            from: LoadedFrom { job_id: None, source: format!("{from}, version {version}") },
            stat: None,
            app_id: cursor.app_id.clone(),
            table: self.chain.table.clone(),
            shaping: Shaping::of_version(settings, from, change.time),
            partition_by: settings.load.partition_by.clone(),
            bad_records: settings.read.bad_records,
            expectations: None,
            parquet_source: None,
            quarantine: Some(self.chain.table.join(&rejected)),
            messages: Vec::new(),
            receives: None,
            step: Some(ChainStep { after: cursor.at, version: i64::try_from(version).unwrap_or(i64::MAX), hops }),
        }
    }
}

impl Followed {
    fn new(chain: &Chain) -> Self {
        Self {
            route: chain.name.clone(),
            from: chain.from.clone(),
            table: chain.table.clone(),
            latest: None,
            cursor: None,
            table_version: None,
            versions: 0,
            files: 0,
            bytes: 0,
            rows: Rows::default(),
            ignored: BTreeSet::new(),
            lost: BTreeSet::new(),
            lost_files: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn count(&mut self, change: &Change) {
        self.versions += u64::from(!change.added.is_empty());
        self.files += u64::try_from(change.added.len()).unwrap_or_default();
        self.bytes += change.bytes();
    }

    fn take(&mut self, change: &Change, rows: Rows) {
        self.count(change);
        self.rows.read += rows.read;
        self.rows.committed += rows.committed;
        self.rows.filtered += rows.filtered;
        self.rows.quarantined += rows.quarantined;
        self.rows.added += rows.added;
        self.rows.shortened += rows.shortened;
    }
}
