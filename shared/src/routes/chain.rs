//! Routes from table to table: what each version of a Delta table adds goes to another one.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::location::Location;
use crate::settings::{Settings, SettingsError};

use super::given::RouteKey;
use super::pinned::PinnedRoute;

/// A route whose source is a Delta table.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name, which no other route of the file has.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// The table that it reads.
    pub from: Location,
    /// The table that it writes.
    pub table: Location,
    /// Where it begins.
    pub start: ChainStart,
    /// What becomes of versions that take rows out.
    pub upstream_changes: UpstreamChanges,
    /// Settings that it gives.
    pub given: Vec<RouteKey>,
}

/// With which version of its source a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainStart {
    /// With this one.
    Version(u64),
    /// With the first that comes after the chain was first run.
    Now,
}

/// What becomes of a version of the source that takes out rows: by a deletion, an update, an overwrite, an undo or a replaced drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamChanges {
    /// The chain stops there.
    Fail,
    /// It passes over the version, and with it over what the version adds.
    Ignore,
}

impl Chain {
    /// Settings as the route has them: what it gives comes before what is given otherwise.
    pub fn settings(&self, settings: &Settings, version: &str) -> Result<Settings, SettingsError> {
        let given: Vec<_> = self.given.iter().map(|given| (given.variable, given.value.clone())).collect();
        let route = PinnedRoute { name: self.name.clone(), version: version.to_owned() };
        let place = settings.routes.as_ref().map(|at| format!("route '{}' ({at}, line {})", self.name, self.line));
        settings.routed(&given, self.table.clone(), (route, place), Vec::new())
    }
}

impl FromStr for ChainStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(version) => Ok(Self::Version(version)),
            Err(_) if text == "now" => Ok(Self::Now),
            Err(_) => Err(format!("'{text}' cannot be used: it must be \"now\", or a version of the table, 0 or more")),
        }
    }
}

impl FromStr for UpstreamChanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "ignore" => Ok(Self::Ignore),
            "propagate" => Err("'propagate' is not supported: it must be fail or ignore".to_owned()),
            _ => Err(format!("'{text}' cannot be used: it must be fail or ignore")),
        }
    }
}

impl fmt::Display for ChainStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Now => f.write_str("now"),
        }
    }
}

impl fmt::Display for UpstreamChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "fail",
            Self::Ignore => "ignore",
        })
    }
}

/// Chains in an order in which each comes after those that write the table that it reads; or the tables of a loop, the first of them
/// once more at its end.
pub(super) fn in_order(chains: Vec<Chain>) -> Result<Vec<Chain>, Vec<Location>> {
    let (mut ordered, mut open) = (Vec::new(), chains);
    while !open.is_empty() {
        let written: BTreeSet<Location> = open.iter().map(|chain| chain.table.clone()).collect();
        let (waiting, ready): (Vec<Chain>, Vec<Chain>) =
            open.into_iter().partition(|chain| written.contains(&chain.from));
        if ready.is_empty() {
            return Err(loop_of(&waiting));
        }
        ordered.extend(ready);
        open = waiting;
    }
    Ok(ordered)
}

/// The tables of a loop among chains of which each reads a table that another one writes.
fn loop_of(chains: &[Chain]) -> Vec<Location> {
    let mut path: Vec<Location> = chains.first().map(|chain| chain.from.clone()).into_iter().collect();
    while let Some(written_by) = path.last().and_then(|last| chains.iter().find(|chain| chain.table == *last)) {
        let begins = path.iter().position(|known| *known == written_by.from);
        path.push(written_by.from.clone());
        if let Some(begins) = begins {
            // From each table to the one that it is made of; it is shown in the direction of the rows.
            let mut tables = path.split_off(begins);
            tables.reverse();
            return tables;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(pairs: &[(&str, &str)]) -> Vec<Chain> {
        let chain = |(place, (from, table)): (usize, &(&str, &str))| Chain {
            name: format!("c{place}"),
            line: place,
            from: format!("s3://lake/{from}").parse().unwrap(),
            table: format!("s3://lake/{table}").parse().unwrap(),
            start: ChainStart::Version(0),
            upstream_changes: UpstreamChanges::Fail,
            given: Vec::new(),
        };
        pairs.iter().enumerate().map(chain).collect()
    }

    #[test]
    fn what_is_written_comes_before_what_reads_it() {
        let ordered = |pairs: &[(&str, &str)]| match in_order(chains(pairs)) {
            Ok(chains) => chains.iter().map(|chain| chain.name.clone()).collect::<Vec<_>>().join(" "),
            Err(tables) => {
                tables.iter().map(|table| table.to_string().replace("s3://lake/", "")).collect::<Vec<_>>().join(">")
            }
        };
        for (pairs, expected) in [
            (&[][..], ""),
            (&[("b", "c"), ("a", "b"), ("a", "d")], "c1 c2 c0"),
            // Two ways to one table are no loop.
            (&[("b", "d"), ("c", "d"), ("a", "b"), ("a", "c")], "c2 c3 c0 c1"),
            (&[("a", "a")], "a>a"),
            (&[("a", "b"), ("b", "a")], "a>b>a"),
            (&[("c", "d"), ("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")], "c>a>b>c"),
        ] {
            assert_eq!(ordered(pairs), expected);
        }
    }

    #[test]
    fn words() {
        for (text, expected) in [("fail", Ok("fail")), ("ignore", Ok("ignore"))] {
            assert_eq!(text.parse::<UpstreamChanges>().map(|word| word.to_string()), expected.map(str::to_owned));
        }
        let error = "propagate".parse::<UpstreamChanges>().unwrap_err();
        assert_eq!(error, "'propagate' is not supported: it must be fail or ignore");
        for (text, expected) in [("now", "now"), ("0", "0"), ("12", "12")] {
            assert_eq!(text.parse::<ChainStart>().unwrap().to_string(), expected);
        }
        for text in ["", "-1", "first"] {
            assert!(text.parse::<ChainStart>().is_err(), "{text}");
        }
    }
}
