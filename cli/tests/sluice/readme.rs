//! What the README and the documents say is so.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use shared::testing::run_python;

use crate::support::{Place, fixture};

/// Pages that documents link to before they are there.
const TO_COME: &[&str] = &["limits.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(document: &Path) -> String {
    std::fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

/// The README's two runs of the first command give what it shows, and its Python reads the table.
#[test]
fn the_commands_of_the_readme_give_what_it_shows() {
    const COMMAND: &str = "sluice ingest fixtures/flights.csv --table lake/flights";
    let readme = read(&root().join("README.md"));
    assert!(readme.contains(&format!("\n{COMMAND}\n")), "{COMMAND}");
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).collect();
    let place = Place::new();
    std::fs::create_dir(place.path("fixtures")).unwrap();
    std::fs::copy(fixture("flights.csv"), place.path("fixtures/flights.csv")).unwrap();
    let shown: Vec<&str> = blocks.iter().filter_map(|block| block.strip_prefix("\nflights-")).collect();
    assert_eq!(shown.len(), 2);
    for shown in shown {
        let ran = place.run(&COMMAND.split(' ').skip(1).collect::<Vec<_>>());
        assert_eq!(ran.status, 0, "{ran:?}");
        let output = ran.stdout.replace("[place]", "/home/you/sluice");
        assert_eq!(steady(&output), steady(&format!("flights-{shown}")));
    }
    let python = blocks.iter().find_map(|block| block.strip_prefix("python\n")).expect("a block of Python");
    let printed = run_python(&place.path(""), python);
    assert!(printed.contains("4637"), "{printed}");
}

#[test]
fn the_readme_has_the_commands_of_a_newcomer() {
    let readme = read(&root().join("README.md"));
    for command in [
        "cargo install --locked --path cli",
        "cargo run --release -p sluice -- ingest fixtures/flights.csv --table lake/flights",
        "cargo test --workspace",
    ] {
        assert!(readme.contains(command), "{command}");
    }
    assert!(readme.lines().count() <= 200, "a README of more than 200 lines is a manual");
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
    let designs = ["splitter/src/design.md", "worker/src/design.md", "fixtures/README.md", "examples/README.md"];
    let terraform =
        ["terraform/README.md", "terraform/examples/minimal/README.md", "terraform/examples/complete/README.md"];
    let mut documents: Vec<PathBuf> =
        others.iter().chain(&designs).chain(&terraform).map(|name| root().join(name)).collect();
    documents.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let broken: Vec<String> = documents.iter().flat_map(|document| broken_links(document)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The lines of a run's output without what differs from run to run: the digest in a job's name, seconds and memory.
fn steady(output: &str) -> Vec<String> {
    let line = |line: &str| match (line.strip_prefix("flights-"), line.split_once(" conflicts, ")) {
        (Some(rest), _) => rest.split_once(':').map_or_else(|| rest.to_owned(), |(_, said)| format!("flights:{said}")),
        (None, Some((commits, _))) => commits.to_owned(),
        (None, None) => line.to_owned(),
    };
    output.trim().lines().map(line).collect()
}

/// Links of a document to files and headings that are not there.
fn broken_links(document: &Path) -> Vec<String> {
    let text = read(document);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let own = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    let broken = own.filter(|target| {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { document.to_owned() } else { document.parent().unwrap().join(path) };
        if !path.exists() {
            return !TO_COME.iter().any(|page| path.ends_with(page));
        }
        !heading.is_empty() && !headings(&read(&path)).contains(heading)
    });
    broken.map(|target| format!("{}: {target}", document.display())).collect()
}

/// The anchors that GitHub gives to the headings of a document.
fn headings(text: &str) -> HashSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
