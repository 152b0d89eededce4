//! What became of chains, as text.

use shared::Rows;
use worker::Followed;

use super::document::{ChainDocument, RouteDocument};
use crate::numbers::{counted, grouped, size};

pub(super) fn text(document: &ChainDocument) -> String {
    let routes = document.routes.iter().flat_map(|route| lines(route, document.dry_run));
    routes.collect::<Vec<_>>().join("\n")
}

fn lines(route: &RouteDocument, dry_run: bool) -> Vec<String> {
    let RouteDocument { followed, behind, error, .. } = route;
    let mut lines = vec![format!("{}: {} → {}", followed.route, followed.from, followed.table)];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<11}  {text}"));
    let Some(latest) = followed.latest else {
        if error.is_none() {
            line("waiting", format!("there is no table {} yet", followed.from));
        }
        return lines;
    };
    let found = format!(
        "{} in {} ({})",
        counted(followed.versions, "version"),
        counted(followed.files, "file"),
        size(followed.bytes)
    );
    match (dry_run, followed.versions) {
        (true, 0) => line("to read", "no version with new rows".to_owned()),
        (true, _) => line("to read", found),
        (false, 0) => line("read", "no version with new rows".to_owned()),
        (false, _) => line("read", found),
    }
    if !dry_run && followed.versions > 0 {
        line("rows", rows(followed.rows));
    }
    passed_over(followed, &mut line);
    if let Some(version) = followed.table_version {
        line("table", format!("version {version}"));
    }
    let up_to = followed.cursor.map_or_else(|| "no version".to_owned(), |cursor| format!("version {cursor}"));
    match behind.filter(|behind| *behind > 0) {
        Some(behind) => line("cursor", format!("{up_to} of {latest}, {} behind", counted(behind, "version"))),
        None => line("cursor", format!("{up_to} of {latest}")),
    }
    lines
}

fn rows(rows: Rows) -> String {
    let Rows { read, committed, filtered, quarantined, added, .. } = rows;
    let more = [(filtered, "filtered"), (added, "made by SQL"), (quarantined, "quarantined")];
    let more = more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {} {what}", grouped(*count)));
    format!("{} read, {} committed{}", grouped(read), grouped(committed), more.collect::<String>())
}

/// What is not in the table.
fn passed_over(followed: &Followed, line: &mut impl FnMut(&str, String)) {
    for at in &followed.rejected {
        line("quarantine", at.to_string());
    }
    if !followed.ignored.is_empty() {
        let versions: Vec<String> = followed.ignored.iter().map(u64::to_string).collect();
        line("ignored", format!("versions that take rows out: {}", versions.join(", ")));
    }
    for (first, last) in &followed.lost {
        line("lost", if first == last { format!("version {first}") } else { format!("versions {first} to {last}") });
    }
    for file in &followed.lost_files {
        line("lost", format!("file {file}"));
    }
}
