//! What routes say, and what comes of them for an object.

use std::fmt;

use crate::location::Location;
use crate::settings::{Settings, SettingsError};

use super::at::RoutesAt;
use super::chain::Chain;
use super::given::RouteKey;
use super::pattern::KeyPattern;
use super::pinned::PinnedRoute;
use super::rank::Rank;
use super::template::{TableTemplate, check_captured};

/// All routes of a file.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Where they are kept.
    pub at: RoutesAt,
    /// Digest of its bytes.
    pub version: String,
    /// The most specific first.
    pub routes: Vec<Route>,
    /// Those whose source is a table, in the order in which they are run: each after those that write what it reads.
    pub chains: Vec<Chain>,
    /// What the file says that should come of some objects.
    pub examples: Vec<RouteExample>,
}

/// A route: which objects it takes, and what it says of them.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name, which no other route of the file has.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// The bucket whose objects it takes; none for any, and for files.
    pub bucket: Option<String>,
    /// Endings of keys, of which a key has to have one; none for any.
    pub suffixes: Vec<String>,
    /// Whether it takes objects beside the route that wins, rather than in competition with others.
    pub also: bool,
    /// Settings that it gives.
    pub given: Vec<RouteKey>,
    pub(super) key: KeyPattern,
    pub(super) table: TableTemplate,
}

/// What should come of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteExample {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The object.
    pub object: Location,
    /// What should come of it.
    pub expected: ExpectedRoute,
}

/// What an example expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedRoute {
    /// No route takes the object.
    NoRoute,
    /// It goes to this table, by whichever route.
    Table(Location),
    /// This route takes it, and gives it this table if one is named.
    Route(String, Option<Location>),
}

/// Where an object goes by a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// The route, in the version of its file.
    pub route: PinnedRoute,
    /// The table.
    pub table: Location,
    /// What its captures are.
    pub captured: Vec<(String, String)>,
    /// Settings that the route gives.
    pub given: Vec<RouteKey>,
}

/// What a route is to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFate {
    /// It is the most specific one that takes the object.
    Wins,
    /// It takes the object beside the one that wins.
    Also,
    /// It would take the object, and another one is more specific: its name, and why.
    Loses(String, String),
    /// It does not take the object: why.
    Differs(String),
}

impl Route {
    /// The pattern of its keys, as it is written.
    pub fn key(&self) -> &str {
        &self.key.text
    }

    /// The table, as it is written.
    pub fn table(&self) -> &str {
        &self.table.text
    }

    pub(super) fn rank(&self) -> Rank {
        Rank::new(self.bucket.is_some(), &self.key, !self.suffixes.is_empty())
    }

    /// What its captures are in an object that it takes; else why it does not take it.
    fn captured(&self, object: &Location) -> Result<Vec<(String, String)>, String> {
        let (bucket, key) = match object {
            Location::S3 { bucket, key } => (Some(bucket), key.as_str()),
            Location::Local { path } => (None, path.trim_start_matches('/')),
        };
        if let Some(wanted) = self.bucket.as_ref().filter(|wanted| bucket != Some(wanted)) {
            return Err(format!("the bucket is not {wanted}"));
        }
        if !self.suffixes.is_empty() && !self.suffixes.iter().any(|suffix| key.ends_with(suffix.as_str())) {
            return Err(format!("the key does not end with {}", self.suffixes.join(" or ")));
        }
        self.key.captured(key).ok_or_else(|| format!("the key does not match {}", self.key.text))
    }

    /// Whether there is an object that both take.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let buckets = self.bucket.as_ref().zip(other.bucket.as_ref());
        let ends = |one: &Self, other: &Self| {
            one.suffixes.iter().any(|a| other.suffixes.iter().any(|b| a.ends_with(b.as_str())))
        };
        let is_any = self.suffixes.is_empty() || other.suffixes.is_empty();
        buckets.is_none_or(|(one, other)| one == other)
            && (is_any || ends(self, other) || ends(other, self))
            && self.key.overlaps(&other.key)
    }

    /// The table that an object which it takes goes to. The error says what is wrong with a capture.
    fn target(&self, captured: Vec<(String, String)>, version: &str) -> Result<RouteTarget, String> {
        captured.iter().try_for_each(check_captured)?;
        let table = self.table.table(&captured)?;
        let route = PinnedRoute { name: self.name.clone(), version: version.to_owned() };
        Ok(RouteTarget { route, table, captured, given: self.given.clone() })
    }
}

impl Routes {
    /// Where an object goes: by the most specific route that takes it, and by all that take it also. Never empty.
    pub fn targets(&self, object: &Location) -> Result<Vec<RouteTarget>, Box<RouteError>> {
        let wrong = |route: &Route, reason| self.wrong(route, object, reason);
        let mut has_winner = false;
        let mut targets: Vec<RouteTarget> = Vec::new();
        for route in &self.routes {
            let Ok(captured) = route.captured(object) else { continue };
            if !route.also && std::mem::replace(&mut has_winner, true) {
                continue;
            }
            let target = route.target(captured, &self.version).map_err(|reason| wrong(route, reason))?;
            if let Some(same) = targets.iter().find(|other| other.table == target.table) {
                let reason = format!("route '{}' gives it the same table, {}", same.route.name, target.table);
                return Err(wrong(route, reason));
            }
            targets.push(target);
        }
        if targets.is_empty() {
            let (object, routes) = (object.clone(), self.at.clone());
            return Err(Box::new(RouteError::NoRoute { object, routes, count: self.routes.len() }));
        }
        // The one that wins comes first.
        targets.sort_by_key(|target| self.find(&target.route.name).is_some_and(|route| route.also));
        Ok(targets)
    }

    /// What each route is to an object, the most specific first.
    pub fn fates(&self, object: &Location) -> Vec<(&Route, RouteFate)> {
        let mut winner: Option<&Route> = None;
        let fates = self.routes.iter().map(|route| {
            let fate = match (route.captured(object), winner) {
                (Err(why), _) => RouteFate::Differs(why),
                (Ok(_), _) if route.also => RouteFate::Also,
                (Ok(_), Some(winner)) => RouteFate::Loses(winner.name.clone(), route.rank().why_below(&winner.rank())),
                (Ok(_), None) => {
                    winner = Some(route);
                    RouteFate::Wins
                }
            };
            (route, fate)
        });
        fates.collect()
    }

    /// The route of this name.
    pub fn find(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// What comes of an example that is not what it expects; none if it is.
    pub fn failing(&self, example: &RouteExample) -> Option<String> {
        let targets = match (self.targets(&example.object), &example.expected) {
            (Err(error), expected) => {
                let is_met = matches!(*error, RouteError::NoRoute { .. }) && *expected == ExpectedRoute::NoRoute;
                return (!is_met).then(|| error.to_string());
            }
            (Ok(targets), _) => targets,
        };
        let is_met = targets.iter().any(|target| match &example.expected {
            ExpectedRoute::NoRoute => false,
            ExpectedRoute::Table(table) => target.table == *table,
            ExpectedRoute::Route(name, table) => {
                target.route.name == *name && table.as_ref().is_none_or(|table| target.table == *table)
            }
        });
        let told =
            || targets.iter().map(|target| format!("route '{}' gives it table {}", target.route.name, target.table));
        (!is_met).then(|| told().collect::<Vec<_>>().join("; "))
    }

    fn wrong(&self, route: &Route, object: &Location, reason: String) -> Box<RouteError> {
        let (routes, line, name) = (self.at.clone(), route.line, route.name.clone());
        Box::new(RouteError::Refused { object: object.clone(), routes, line, name, reason })
    }
}

impl RouteTarget {
    /// Settings as the route has them for its object: what it gives comes before what is given otherwise.
    pub fn settings(&self, settings: &Settings) -> Result<Settings, SettingsError> {
        let given: Vec<_> = self.given.iter().map(|given| (given.variable, given.value.clone())).collect();
        let of_sql = self.given.iter().find(|given| ["TRANSFORM_SQL", "LOOKUPS"].contains(&given.variable));
        let place = of_sql.zip(settings.routes.as_ref());
        let place = place.map(|(given, at)| format!("route '{}' ({at}, line {})", self.route.name, given.line));
        settings.routed(&given, self.table.clone(), (self.route.clone(), place), self.captured.clone())
    }
}

impl fmt::Display for ExpectedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => f.write_str("no route"),
            Self::Table(table) => write!(f, "table {table}"),
            Self::Route(name, Some(table)) => write!(f, "route '{name}' with table {table}"),
            Self::Route(name, None) => write!(f, "route '{name}'"),
        }
    }
}

/// How the message of [`RouteError::NoRoute`] begins: dead letters are told by it.
pub const NO_ROUTE: &str = "no route";

/// Why an object has no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// None takes it.
    #[error("{NO_ROUTE}: none of the {count} routes in {routes} takes {object}")]
    NoRoute {
        /// The object.
        object: Location,
        /// The routes.
        routes: RoutesAt,
        /// How many there are.
        count: usize,
    },
    /// One takes it that cannot give it a table.
    #[error("route '{name}' cannot take {object}: {reason} ({routes}, line {line})")]
    Refused {
        /// The object.
        object: Location,
        /// The routes.
        routes: RoutesAt,
        /// Line of the route, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl RouteError {
    /// What may help.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoRoute { .. } => "add a route that takes it; `sluice route check KEY` says why each one does not",
            Self::Refused { .. } => {
                "change the route, or drop the file under another key; `sluice route check KEY` shows more"
            }
        }
    }
}

/// What is wrong with a file of routes: all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the routes cannot be used: {at}, {}", listed(.problems))]
pub struct RoutesError {
    /// Where they are kept.
    pub at: RoutesAt,
    /// At least one, by their lines.
    pub problems: Vec<RouteProblem>,
}

/// Something that is wrong with a file of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteProblem {
    /// Line, from 1.
    pub line: usize,
    /// Name of the route; none outside of one, and where it has none.
    pub route: Option<String>,
    /// The key, or the table.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for RouteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, ", self.line)?;
        if let Some(route) = &self.route {
            write!(f, "route '{route}', ")?;
        }
        write!(f, "{}: {}", self.key, self.reason)
    }
}

fn listed(problems: &[RouteProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl RoutesError {
    /// What may help.
    pub fn hint(&self) -> &'static str {
        "docs/routes.md lists the keys and the rule by which routes are chosen"
    }
}
