//! What became of chains, for people and machines.

use serde::Serialize;
use shared::{Routes, Verdict};
use worker::Followed;

use crate::error::{CliError, Done};
use crate::numbers::counted;
use crate::output::Output;

/// What became of all chains.
#[derive(Debug, Serialize)]
pub(super) struct ChainDocument {
    /// Where the routes are.
    pub(super) at: String,
    /// Their version.
    pub(super) version: String,
    /// Whether nothing was done.
    pub(super) dry_run: bool,
    /// Each route with `from_table`, in the order in which they ran.
    pub(super) routes: Vec<RouteDocument>,
    /// Whether it was stopped before all of them ran.
    #[serde(skip)]
    pub(super) is_stopped: bool,
}

/// What became of one.
#[derive(Debug, Serialize)]
pub(super) struct RouteDocument {
    #[serde(flatten)]
    pub(super) followed: Followed,
    /// How many versions of the source table are not read yet; none while there is no source table.
    pub(super) behind: Option<u64>,
    /// What ended it before it was up to date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// Whether the table that is read stands in the way.
    #[serde(skip)]
    bad_input: bool,
}

impl ChainDocument {
    pub(super) fn new(routes: &Routes, dry_run: bool) -> Self {
        let (at, version) = (routes.at.to_string(), routes.version.clone());
        Self { at, version, dry_run, routes: Vec::new(), is_stopped: false }
    }

    /// Whether anything was done, or went wrong.
    pub(super) fn has_news(&self) -> bool {
        self.routes.iter().any(|route| route.followed.table_version.is_some() || route.error.is_some())
    }

    /// Prints what went wrong.
    pub(super) fn show_errors(&self) {
        for RouteDocument { followed, error, hint, bad_input, .. } in &self.routes {
            if let Some(said) = error {
                let (said, hint) = (said.clone(), hint.clone());
                let name = format!("route '{}'", followed.route);
                Output::failure(&name, &CliError::Chain { said, hint, bad_input: *bad_input });
            }
        }
    }

    /// How it ended, by the worst.
    pub(super) fn ended(&self) -> Done {
        let failed = self.routes.iter().filter(|route| route.error.is_some());
        let (count, bad) = failed.fold((0_u64, true), |(count, bad), route| (count + 1, bad && route.bad_input));
        match (count, self.is_stopped) {
            (0, false) => Ok(()),
            (0, true) => Err(CliError::SomeFailed { said: "stopped on request".to_owned(), status: 130 }),
            (count, _) => {
                let all = u64::try_from(self.routes.len()).unwrap_or(u64::MAX);
                let said = format!("{count} of {} not up to date", counted(all, "route"));
                Err(CliError::SomeFailed { said, status: if bad { 3 } else { 1 } })
            }
        }
    }
}

impl RouteDocument {
    pub(super) fn new(followed: Followed, stopped: Option<Verdict>) -> Self {
        let bad_input = matches!(stopped, Some(Verdict::Reject { bad_input: true, .. }));
        let (error, hint) = match stopped {
            Some(Verdict::Reject { reason, .. } | Verdict::Retry { reason, .. }) => match reason.split_once("; hint: ")
            {
                Some((error, hint)) => (Some(error.to_owned()), Some(hint.to_owned())),
                None => (Some(reason), None),
            },
            Some(Verdict::Done) | None => (None, None),
        };
        // Versions count from 0.
        let passed = followed.cursor.and_then(|cursor| u64::try_from(cursor).ok()).map_or(0, |cursor| cursor + 1);
        let behind = followed.latest.map(|latest| (latest + 1).saturating_sub(passed));
        Self { followed, behind, error, hint, bad_input }
    }
}
