//! What routes say, as text.

use super::document::{ChainDocument, CheckDocument, ListDocument, RouteDocument, TargetDocument, TestDocument};
use crate::numbers::counted;

/// Characters of a setting's value that are shown, at most: SQL can be long.
const MOST: usize = 60;

pub(super) fn check(document: &CheckDocument) -> String {
    let mut lines = vec![document.object.to_string()];
    for TargetDocument { route, line, also, table, captures, settings } in &document.targets {
        let how = if *also { "also by" } else { "by" };
        lines.push(format!("  table      {table}  ({how} route {route}, line {line})"));
        if !captures.is_empty() {
            lines.push(format!("  captures   {}", listed(captures)));
        }
        if !settings.is_empty() {
            lines.push(format!("  settings   {}", listed(settings)));
        }
    }
    for other in &document.others {
        let loses = other.loses_to.as_ref().map_or_else(String::new, |to| format!("loses to {to}: "));
        lines.push(format!("  not        {}, line {}: {loses}{}", other.route, other.line, other.why));
    }
    lines.push(format!("  routes     {}, version {}", document.routes, document.version));
    lines.join("\n")
}

pub(super) fn list(document: &ListDocument) -> String {
    let count = u64::try_from(document.routes.len() + document.chains.len()).unwrap_or(u64::MAX);
    let mut lines = vec![format!("{} in {}, version {}", counted(count, "route"), document.at, document.version)];
    for RouteDocument { name, line, bucket, key, suffix, also, table, settings } in &document.routes {
        let bucket = bucket.as_ref().map_or_else(String::new, |bucket| format!("s3://{bucket}/"));
        let suffix = if suffix.is_empty() { String::new() } else { format!("  ending with {}", suffix.join(" or ")) };
        let also = if *also { ", beside the route that wins" } else { "" };
        lines.push(format!("  {name}  (line {line}{also})"));
        lines.push(format!("    takes    {bucket}{key}{suffix}"));
        lines.push(format!("    table    {table}"));
        if !settings.is_empty() {
            lines.push(format!("    gives    {}", listed(settings)));
        }
    }
    for ChainDocument { name, line, from_table, table, start, upstream_changes, settings } in &document.chains {
        lines.push(format!("  {name}  (line {line})"));
        lines.push(format!("    reads    {from_table}  (start {start}, upstream_changes {upstream_changes})"));
        lines.push(format!("    table    {table}"));
        if !settings.is_empty() {
            lines.push(format!("    gives    {}", listed(settings)));
        }
    }
    lines.join("\n")
}

pub(super) fn test(document: &TestDocument) -> String {
    let all = u64::try_from(document.examples.len()).unwrap_or(u64::MAX);
    let met = all - document.failing();
    let mut lines = vec![format!("{met} of {} in {} as expected", counted(all, "example"), document.at)];
    for example in &document.examples {
        if let Some(found) = &example.found {
            lines.push(format!("  line {}, {}: expected {}; {found}", example.line, example.object, example.expected));
        }
    }
    lines.join("\n")
}

/// Names and values on one line.
fn listed(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        match value.char_indices().nth(MOST) {
            Some((end, _)) => format!("{name} = {}…", value.get(..end).unwrap_or_default()),
            None => format!("{name} = {value}"),
        }
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
}
