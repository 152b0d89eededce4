//! What routes say, for people and machines.

use serde::Serialize;
use shared::{Chain, Location, Route, RouteExample, RouteFate, RouteKey, RouteTarget, Routes};

/// What routes say of an object.
#[derive(Debug, Serialize)]
pub(super) struct CheckDocument {
    pub(super) object: Location,
    pub(super) routes: String,
    pub(super) version: String,
    /// The tables that it goes to, the one of the route that wins first.
    pub(super) targets: Vec<TargetDocument>,
    /// The routes that do not take it, the most specific first.
    pub(super) others: Vec<OtherDocument>,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetDocument {
    pub(super) route: String,
    pub(super) line: usize,
    /// Whether it takes the object beside the one that wins.
    pub(super) also: bool,
    pub(super) table: Location,
    pub(super) captures: Vec<(String, String)>,
    /// Keys of the route that are settings, with their values.
    pub(super) settings: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub(super) struct OtherDocument {
    pub(super) route: String,
    pub(super) line: usize,
    /// The route that it loses to; none if it does not take such objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loses_to: Option<String>,
    pub(super) why: String,
}

/// All routes.
#[derive(Debug, Serialize)]
pub(super) struct ListDocument {
    pub(super) at: String,
    pub(super) version: String,
    /// The most specific first.
    pub(super) routes: Vec<RouteDocument>,
    /// Those that read a table, in the order in which they run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) chains: Vec<ChainDocument>,
}

/// A route that reads a table.
#[derive(Debug, Serialize)]
pub(super) struct ChainDocument {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) from_table: Location,
    pub(super) table: Location,
    pub(super) start: String,
    pub(super) upstream_changes: String,
    /// Keys that are settings, with their values.
    pub(super) settings: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub(super) struct RouteDocument {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) bucket: Option<String>,
    pub(super) key: String,
    pub(super) suffix: Vec<String>,
    pub(super) also: bool,
    pub(super) table: String,
    /// Keys that are settings, with their values.
    pub(super) settings: Vec<(String, String)>,
}

/// What came of the examples.
#[derive(Debug, Serialize)]
pub(super) struct TestDocument {
    pub(super) at: String,
    pub(super) version: String,
    pub(super) examples: Vec<ExampleDocument>,
}

#[derive(Debug, Serialize)]
pub(super) struct ExampleDocument {
    pub(super) line: usize,
    pub(super) object: Location,
    pub(super) expected: String,
    /// What came of it, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
}

fn settings(given: &[RouteKey]) -> Vec<(String, String)> {
    given.iter().map(|given| (given.key.clone(), given.value.clone())).collect()
}

impl CheckDocument {
    pub(super) fn new(routes: &Routes, object: &Location, targets: &[RouteTarget]) -> Self {
        let target = |target: &RouteTarget| {
            let route = routes.find(&target.route.name)?;
            let (name, table, captures) = (route.name.clone(), target.table.clone(), target.captured.clone());
            let settings = settings(&target.given);
            Some(TargetDocument { route: name, line: route.line, also: route.also, table, captures, settings })
        };
        let other = |(route, fate): (&Route, RouteFate)| {
            let (loses_to, why) = match fate {
                RouteFate::Loses(to, why) => (Some(to), why),
                RouteFate::Differs(why) => (None, why),
                RouteFate::Wins | RouteFate::Also => return None,
            };
            Some(OtherDocument { route: route.name.clone(), line: route.line, loses_to, why })
        };
        Self {
            object: object.clone(),
            routes: routes.at.to_string(),
            version: routes.version.clone(),
            targets: targets.iter().filter_map(target).collect(),
            others: routes.fates(object).into_iter().filter_map(other).collect(),
        }
    }
}

impl ListDocument {
    pub(super) fn new(routes: &Routes) -> Self {
        let document = |route: &Route| RouteDocument {
            name: route.name.clone(),
            line: route.line,
            bucket: route.bucket.clone(),
            key: route.key().to_owned(),
            suffix: route.suffixes.clone(),
            also: route.also,
            table: route.table().to_owned(),
            settings: settings(&route.given),
        };
        let (at, version) = (routes.at.to_string(), routes.version.clone());
        let chain = |chain: &Chain| ChainDocument {
            name: chain.name.clone(),
            line: chain.line,
            from_table: chain.from.clone(),
            table: chain.table.clone(),
            start: chain.start.to_string(),
            upstream_changes: chain.upstream_changes.to_string(),
            settings: settings(&chain.given),
        };
        let chains = routes.chains.iter().map(chain).collect();
        Self { at, version, routes: routes.routes.iter().map(document).collect(), chains }
    }
}

impl TestDocument {
    pub(super) fn new(routes: &Routes) -> Self {
        let document = |example: &RouteExample| ExampleDocument {
            line: example.line,
            object: example.object.clone(),
            expected: example.expected.to_string(),
            found: routes.failing(example),
        };
        let mut examples: Vec<ExampleDocument> = routes.examples.iter().map(document).collect();
        examples.sort_by_key(|example| example.line);
        Self { at: routes.at.to_string(), version: routes.version.clone(), examples }
    }

    /// Examples that do not come out as they should.
    pub(super) fn failing(&self) -> u64 {
        let failing = self.examples.iter().filter(|example| example.found.is_some()).count();
        u64::try_from(failing).unwrap_or(u64::MAX)
    }
}
