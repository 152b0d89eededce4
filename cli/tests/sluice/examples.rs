//! The scripts in `examples/` do what they show.

use std::path::Path;
use std::process::Command;

use shared::testing::{emulator_python, readers_python};

use crate::support::Place;

/// What each script prints, among other things.
const SHOWN: [(&str, &[&str]); 7] = [
    (
        "load.sh",
        &["committed    3", ": already done, nothing was added", "the table has the very rows that were committed"],
    ),
    ("rejected.sh", &["quarantined  1", "record 2, byte 18: 2,-", "replayed     what orders-"]),
    ("corrected.sh", &["removed      2 rows in 1 file", ": undone", ": looked after"]),
    ("routes.sh", &["2 of 2 examples in ", "(also by route archive, ", "filtered     1", "lake/archive/shop"]),
    (
        "three-zones.sh",
        &[
            "to read      1 version in 1 file",
            "2 read, 3 committed, 1 made by SQL",
            "3 read, 2 committed, 1 filtered",
            "2 read, 1 committed, 1 filtered",
            "cursor       version 2 of 2",
            "lake/gold/fruit=plum",
        ],
    ),
    ("lookup.sh", &["region", "committed    2", "filtered     1", "lake/orders/region=south"]),
    ("sql.sh", &["committed    2", "filtered     1", "lake/orders/day=2026-11-29"]),
];

#[test]
fn the_examples_run() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap();
    let readme = std::fs::read_to_string(examples.join("README.md")).unwrap();
    let files = std::fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().path());
    let scripts = files.filter(|path| path.extension().is_some_and(|extension| extension == "sh"));
    let mut scripts: Vec<String> = scripts.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    scripts.sort();
    let mut known = SHOWN.map(|(name, _)| name.to_owned());
    known.sort();
    assert_eq!(scripts, known);
    let binaries = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    for (name, shown) in SHOWN {
        assert!(readme.contains(&format!("]({name})")), "{name}");
        let place = Place::new();
        let mut command = Command::new("sh");
        command.arg(examples.join(name)).current_dir(place.path("")).env_clear().env("PATH", &path);
        let ran = place.ended(command.output().unwrap());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name} {ran:?}");
        for text in shown {
            assert!(ran.stdout.contains(text), "{name} {text}: {ran:?}");
        }
    }
}

/// The deployed shape on a laptop, from a drop to the replay of a dead letter. The page has what it prints.
#[test]
fn the_laptop_example_runs() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    let place = Place::new();
    let mut command = Command::new(examples.join("laptop/run"));
    command.current_dir(place.path("")).env_clear().env("PATH", "/usr/bin:/bin").env("BINARIES", binaries);
    command.env("PYTHON", emulator_python()).env("READER", readers_python()).env("TMPDIR", place.path(""));
    let ran = place.ended(command.output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    let page = std::fs::read_to_string(examples.join("../docs/laptop.md")).unwrap();
    for shown in [
        "1 job: 1 done",
        "           record 3, byte 43: 3,edsger,8.00,express",
        "  id=4  customer=barbara  price=3.25\n  3 rows, version ",
        "does not exist; hint: it was deleted, by a lifecycle rule perhaps; splitting the source again makes it again",
        "1 message is sent back to where each came from",
        "  id=6  customer=katherine  price=8.0\n  5 rows, version ",
        "30 checks passed",
    ] {
        assert!(ran.stdout.contains(shown), "{shown}: {}", ran.stdout);
        assert!(page.contains(shown), "docs/laptop.md should have {shown}");
    }
}
