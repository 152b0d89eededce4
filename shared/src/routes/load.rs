//! A file of routes, checked as a whole.

use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::location::Location;
#[cfg(feature = "checks")]
use crate::lookups::Lookup;
use crate::settings::{Settings, Variable};

use super::at::RoutesAt;
use super::chain::{Chain, ChainStart, UpstreamChanges, in_order};
use super::given::RouteKey;
use super::parse::{Key, Keys, RouteTable, Text};
use super::pattern::KeyPattern;
#[cfg(feature = "checks")]
use super::query;
use super::template::TableTemplate;
use super::terms::{ExpectedRoute, Route, RouteExample, RouteProblem, Routes, RoutesError};

/// Settings that have the name of their option in the file, where the variable's would be a word for where something lies.
const SHORT: &[(&str, &str)] = &[("sql", "TRANSFORM_SQL"), ("contract", "CONTRACT_URI")];

/// Keys of a route that are no settings.
const OWN: &[&str] = &["name", "bucket", "key", "suffix", "also", "table"];

/// The key by which a route reads a table rather than dropped files.
const FROM: &str = "from_table";

/// Keys that such a route has instead.
const OWN_OF_CHAIN: &[&str] = &["name", FROM, "table", "start", "upstream_changes"];

/// Settings that it may give: all else is about files.
const OF_CHAIN: &[&str] = &["TRANSFORM_SQL", "PARTITION_BY", "BAD_RECORDS"];

impl Routes {
    /// Reads the file of routes that lies at `at`, and checks all of it but SQL: a version that was in use stays as it is. The error has
    /// everything that is wrong, with line and route.
    pub fn parse(bytes: &[u8], at: &RoutesAt) -> Result<Self, RoutesError> {
        Self::read(bytes, at, false)
    }

    /// The same for routes that come into use, whose SQL is checked, too.
    pub fn parse_new(bytes: &[u8], at: &RoutesAt) -> Result<Self, RoutesError> {
        Self::read(bytes, at, true)
    }

    fn read(bytes: &[u8], at: &RoutesAt, checks_sql: bool) -> Result<Self, RoutesError> {
        let failed = |problems| RoutesError { at: at.clone(), problems };
        let (text, file) = Text::read(bytes).map_err(|problem| failed(vec![problem]))?;
        let mut loader = Loader { text, checks_sql, problems: Vec::new(), examples: Vec::new() };
        let is_chain = |table: &RouteTable| table.keys.keys().any(|key| key.get_ref() == FROM);
        let (chains, tables): (Vec<RouteTable>, Vec<RouteTable>) = file.route.into_iter().partition(is_chain);
        let mut routes: Vec<Route> = tables.into_iter().filter_map(|table| loader.route(table)).collect();
        let chains: Vec<Chain> = chains.into_iter().filter_map(|table| loader.chain(table)).collect();
        for keys in file.example {
            loader.example(keys, None);
        }
        if routes.is_empty() && chains.is_empty() && loader.problems.is_empty() {
            loader.problem(1, None, "[[route]]", "there is none");
        }
        loader.check_names(&routes, &chains);
        loader.check_ranks(&routes);
        let chains = loader.check_chains(chains);
        routes.sort_by_key(|route| std::cmp::Reverse(route.rank()));
        let Loader { mut problems, examples, .. } = loader;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            return Err(failed(problems));
        }
        Ok(Self { at: at.clone(), version: version(bytes), routes, chains, examples })
    }
}

/// Version of a file of routes: a digest of its bytes.
fn version(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes), 8)
}

struct Loader<'a> {
    text: Text<'a>,
    checks_sql: bool,
    problems: Vec<RouteProblem>,
    examples: Vec<RouteExample>,
}

impl Loader<'_> {
    fn problem(&mut self, line: usize, route: Option<&str>, key: &str, reason: impl Into<String>) {
        let (route, key) = (route.map(str::to_owned), key.to_owned());
        self.problems.push(RouteProblem { line, route, key, reason: reason.into() });
    }

    /// Takes the value out of what was read of a key; what is wrong is noted.
    fn or_note<T>(&mut self, route: Option<&str>, key: &Key, read: Result<T, String>) -> Option<T> {
        read.map_err(|reason| self.problem(key.line, route, &key.name, reason)).ok()
    }

    fn route(&mut self, table: RouteTable) -> Option<Route> {
        let before = self.problems.len();
        let RouteTable { keys, examples } = table;
        let keys = self.text.keys(keys);
        let find = |name: &str| keys.iter().find(|key| key.name == name);
        let line = keys.first().map_or(1, |key| key.line);
        let name =
            find("name").and_then(|key| self.or_note(None, key, key.text().and_then(|name| checked_name(&name))));
        let name_of = name.as_deref();
        for needed in ["name", "key", "table"] {
            if find(needed).is_none() {
                self.problem(line, name_of, needed, "the route does not have it");
            }
        }
        let bucket = find("bucket").and_then(|key| self.or_note(name_of, key, key.text().and_then(checked_bucket)));
        let suffixes = find("suffix").and_then(|key| self.or_note(name_of, key, key.texts())).unwrap_or_default();
        let also = |key: &Key| key.value.as_bool().ok_or_else(|| "its value must be true or false".to_owned());
        let also = find("also").and_then(|key| self.or_note(name_of, key, also(key))).unwrap_or_default();
        let pattern = find("key")
            .and_then(|key| self.or_note(name_of, key, key.text().and_then(|text| KeyPattern::parse(&text))));
        let captures: Vec<&str> = pattern.iter().flat_map(KeyPattern::captures).collect();
        let template = find("table").filter(|_| pattern.is_some()).and_then(|key| {
            self.or_note(name_of, key, key.text().and_then(|text| TableTemplate::parse(&text, &captures)))
        });
        let given = self.given(name_of, &keys, OWN);
        if self.checks_sql {
            self.check_sql(name_of, &given, &captures, find("key").map_or(line, |key| key.line));
        }
        for keys in examples {
            self.example(keys, Some(name_of.unwrap_or_default()));
        }
        let (name, key, table) = (name?, pattern?, template?);
        let is_whole = self.problems.len() == before;
        is_whole.then_some(Route { name, line, bucket, suffixes, also, given, key, table })
    }

    /// A route from table to table.
    fn chain(&mut self, table: RouteTable) -> Option<Chain> {
        let before = self.problems.len();
        let RouteTable { keys, examples } = table;
        let keys = self.text.keys(keys);
        let find = |name: &str| keys.iter().find(|key| key.name == name);
        let line = keys.first().map_or(1, |key| key.line);
        let name =
            find("name").and_then(|key| self.or_note(None, key, key.text().and_then(|name| checked_name(&name))));
        let name_of = name.as_deref();
        for needed in ["name", "table"] {
            if find(needed).is_none() {
                self.problem(line, name_of, needed, "the route does not have it");
            }
        }
        for key in
            keys.iter().filter(|key| OWN.contains(&key.name.as_str()) && !OWN_OF_CHAIN.contains(&key.name.as_str()))
        {
            self.problem(
                key.line,
                name_of,
                &key.name,
                format!("a route with {FROM} reads a table, and no dropped files"),
            );
        }
        if !examples.is_empty() {
            self.problem(line, name_of, "[[route.example]]", format!("a route with {FROM} takes no objects"));
        }
        let plain = |key: &Key| {
            let text = key.text()?;
            TableTemplate::parse(&text, &[])?.table(&[])
        };
        let from = find(FROM).and_then(|key| self.or_note(name_of, key, plain(key)));
        let table = find("table").and_then(|key| self.or_note(name_of, key, plain(key)));
        let start = find("start").map(|key| self.or_note(name_of, key, key.setting().and_then(|text| text.parse())));
        let changes = find("upstream_changes");
        let changes = changes.map(|key| self.or_note(name_of, key, key.text().and_then(|text| text.parse())));
        let given = self.given(name_of, &keys, OWN_OF_CHAIN);
        for key in given.iter().filter(|key| !OF_CHAIN.contains(&key.variable)) {
            let reason = format!("a route with {FROM} gives no more than sql, partition_by and bad_records");
            self.problem(key.line, name_of, &key.key, reason);
        }
        if self.checks_sql {
            self.check_sql(name_of, &given, &[], line);
        }
        let (start, upstream_changes) =
            (start.unwrap_or(Some(ChainStart::Version(0)))?, changes.unwrap_or(Some(UpstreamChanges::Fail))?);
        let (name, from, table) = (name?, from?, table?);
        let is_whole = self.problems.len() == before;
        is_whole.then_some(Chain { name, line, from, table, start, upstream_changes, given })
    }

    /// SQL that a route gives, with its captures as parameters; `line` is that of the pattern.
    #[cfg(feature = "checks")]
    fn check_sql(&mut self, route: Option<&str>, given: &[RouteKey], captures: &[&str], line: usize) {
        let lookups = given.iter().find(|key| key.variable == "LOOKUPS");
        let named = lookups.map(|key| Lookup::list(&key.value).unwrap_or_default()).unwrap_or_default();
        let named: Vec<&str> = named.iter().map(|lookup| lookup.name.as_str()).collect();
        if let Some(key) = lookups.filter(|_| !given.iter().any(|key| key.variable == "TRANSFORM_SQL")) {
            self.problem(key.line, route, &key.key, "the route has no sql that could join them");
        }
        for key in given.iter().filter(|key| key.variable == "TRANSFORM_SQL") {
            if let Err(reason) = query::check(&key.value, captures, &named) {
                self.problem(key.line, route, &key.key, format!("the SQL cannot be run: {reason}"));
            }
            let named = query::parameters(&key.value);
            for name in captures.iter().filter(|name| query::PARAMETERS.contains(name) && named.contains(**name)) {
                let reason = format!("call the capture {{{name}}} otherwise: SQL has a parameter ${name} of its own");
                self.problem(line, route, "key", reason);
            }
        }
    }

    /// The splitter's function has no parser of SQL, for the sake of its size: the worker refuses what cannot be run.
    #[cfg(not(feature = "checks"))]
    fn check_sql(&mut self, _: Option<&str>, _: &[RouteKey], _: &[&str], _: usize) {}

    /// The settings that a route gives, each checked by itself and then together.
    fn given(&mut self, route: Option<&str>, keys: &[Key], own: &[&str]) -> Vec<RouteKey> {
        let mut given: Vec<RouteKey> = Vec::new();
        for key in keys.iter().filter(|key| !own.contains(&key.name.as_str()) && !OWN.contains(&key.name.as_str())) {
            let read = variable(&key.name).and_then(|variable| Ok((variable.name, key.setting()?)));
            let Some((variable, value)) = self.or_note(route, key, read) else { continue };
            let alone = Settings::from_lookup(|name| (name == variable).then(|| value.clone()));
            let alone =
                alone.map_err(|error| format!("'{}' cannot be used: it must be {}", error.value, error.expected));
            if self.or_note(route, key, alone).is_some() {
                given.push(RouteKey { key: key.name.clone(), variable, value, line: key.line });
            }
        }
        let find = |name: &str| given.iter().find(|key| key.variable == name);
        if let Err(error) = Settings::from_lookup(|name| find(name).map(|key| key.value.clone())) {
            let (line, key) = find(error.name).map_or((1, String::new()), |key| (key.line, key.key.clone()));
            let reason = format!("'{}' cannot be used: it must be {}", error.value, error.expected);
            self.problem(line, route, &key, reason);
        }
        given
    }

    /// An example of a route, by its name, or of all.
    fn example(&mut self, keys: Keys, route: Option<&str>) {
        let keys = self.text.keys(keys);
        let line = keys.first().map_or(1, |key| key.line);
        let known: &[&str] = if route.is_some() { &["key", "table"] } else { &["key", "expect"] };
        if let Some(key) = keys.iter().find(|key| !known.contains(&key.name.as_str())) {
            return self.problem(key.line, route, &key.name, format!("an example here has {}", known.join(" and ")));
        }
        let find = |name: &str| keys.iter().find(|key| key.name == name);
        let Some(key) = find("key") else { return self.problem(line, route, "key", "the example does not have it") };
        let location = |text: &str| text.parse::<Location>().map_err(|error| error.to_string());
        let object = self.or_note(route, key, key.text().and_then(|text| location(&text)));
        let expected = match (route, find("table"), find("expect")) {
            (Some(route), Some(key), _) => {
                let table = self.or_note(Some(route), key, key.text().and_then(|text| location(&text)));
                table.map(|table| ExpectedRoute::Route(route.to_owned(), Some(table)))
            }
            (Some(route), None, _) => Some(ExpectedRoute::Route(route.to_owned(), None)),
            (None, _, Some(key)) => self.or_note(None, key, key.text().and_then(|text| expected(&text))),
            (None, _, None) => return self.problem(line, None, "expect", "the example does not have it"),
        };
        if let Some((object, expected)) = object.zip(expected) {
            self.examples.push(RouteExample { line, object, expected });
        }
    }

    fn check_names(&mut self, routes: &[Route], chains: &[Chain]) {
        let chains = chains.iter().map(|chain| (chain.line, chain.name.as_str()));
        let mut named: Vec<_> = routes.iter().map(|route| (route.line, route.name.as_str())).chain(chains).collect();
        named.sort_unstable();
        for (place, (line, name)) in named.iter().enumerate() {
            if let Some((first, _)) = named.iter().take(place).find(|(_, first)| first == name) {
                let reason = format!("the route of line {first} has this name too");
                self.problem(*line, Some(name), "name", reason);
            }
        }
    }

    /// Refuses what would add the same rows twice, or for ever; gives the chains in the order in which they are run.
    fn check_chains(&mut self, chains: Vec<Chain>) -> Vec<Chain> {
        for (place, chain) in chains.iter().enumerate() {
            let is_same = |first: &&Chain| first.from == chain.from && first.table == chain.table;
            if let Some(first) = chains.iter().take(place).find(is_same) {
                let reason = format!(
                    "the route of line {} goes from {} to {} too: UNION ALL in one sql makes both kinds of rows",
                    first.line, chain.from, chain.table
                );
                self.problem(chain.line, Some(&chain.name), FROM, reason);
            }
        }
        let first = chains.iter().map(|chain| (chain.line, chain.name.clone())).min();
        in_order(chains).unwrap_or_else(|tables| {
            let (line, name) = first.unwrap_or_default();
            let tables = tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ");
            self.problem(line, Some(&name), FROM, format!("routes go in a loop: {tables}"));
            Vec::new()
        })
    }

    /// Of two routes that take the same object, one has to be more specific.
    fn check_ranks(&mut self, routes: &[Route]) {
        let ranked: Vec<_> = routes.iter().filter(|route| !route.also).map(|route| (route, route.rank())).collect();
        for (place, (route, rank)) in ranked.iter().enumerate() {
            let mut before = ranked.iter().take(place);
            if let Some((first, _)) = before.find(|(first, other)| rank == other && route.overlaps(first)) {
                let reason = format!(
                    "'{}' is as specific as '{}' of route '{}' (line {}), and there are objects that both take: make one more \
                     specific, or set also = true in one if both are meant",
                    route.key.text, first.key.text, first.name, first.line
                );
                self.problem(route.line, Some(&route.name), "key", reason);
            }
        }
    }
}

/// The setting that a key of a route stands for.
fn variable(key: &str) -> Result<&'static Variable, String> {
    let short = SHORT.iter().find(|(short, _)| *short == key).map(|(_, name)| *name);
    let upper = key.to_uppercase();
    if short.is_none() {
        if key.chars().any(char::is_uppercase) {
            return Err(format!("write it in lower case: {}", key.to_lowercase()));
        }
        if let Some((short, _)) = SHORT.iter().chain(&[("table", "TABLE_URI")]).find(|(_, name)| *name == upper) {
            return Err(format!("write it as {short}"));
        }
    }
    let Some(variable) = Variable::find(short.unwrap_or(&upper)) else {
        return Err(format!(
            "a route has no such key: it has {}, {FROM}, and settings by their names in lower case",
            OWN.join(", ")
        ));
    };
    if variable.is_of_route() {
        Ok(variable)
    } else {
        Err("this setting is one of the whole deployment, not of a route".to_owned())
    }
}

fn checked_name(name: &str) -> Result<String, String> {
    const MOST: usize = 100;
    let is_name = name.len() <= MOST && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(format!("'{name}' cannot be used: a name has letters, digits, '-', '_' and '.', {MOST} at most"))
    }
}

fn checked_bucket(bucket: String) -> Result<String, String> {
    let is_name = bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
    if is_name { Ok(bucket) } else { Err(format!("'{bucket}' is not the name of a bucket")) }
}

/// What `expect` says.
fn expected(text: &str) -> Result<ExpectedRoute, String> {
    let table = |uri: &str| {
        uri.trim().parse().map(ExpectedRoute::Table).map_err(|error: crate::location::LocationError| error.to_string())
    };
    match text.split_once(' ') {
        Some(("no", "route")) => Ok(ExpectedRoute::NoRoute),
        Some(("table", uri)) => table(uri),
        _ => Err(format!(
            "'{text}' cannot be used: it must be \"no route\", or the word table and a URI, as \"table s3://lake/raw\""
        )),
    }
}
