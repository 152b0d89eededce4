//! What a power loss leaves: nothing is said to be done before it is on the disk.
//!
//! The real binary runs with the shim, which writes down in order what it does to files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::resume::numbered;
use crate::shim::Shim;
use crate::support::Place;

/// What a run does to the files of a place, a line each.
fn record(place: &Place, args: &[&str]) -> Vec<String> {
    let to = place.path("record.txt");
    drop(std::fs::remove_file(&to));
    let ran = Shim::below(&place.path("")).log(&to).on(&mut place.command(args)).output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    std::fs::read_to_string(to).unwrap().lines().map(str::to_owned).collect()
}

/// Between the two names of a file.
const TO: &str = " -> ";

/// What is not on the disk, as far as a record goes.
#[derive(Default)]
struct Disk {
    /// Files with content that was not synced.
    written: BTreeSet<PathBuf>,
    /// New names, by the folder that was not synced since.
    named: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    syncs: usize,
}

impl Disk {
    fn name(&mut self, path: &str) {
        let path = PathBuf::from(path);
        self.named.entry(path.parent().unwrap().to_owned()).or_default().insert(path);
    }

    /// Takes a line of a record. What gets a lasting name has to be on the disk by then.
    fn take(&mut self, line: &str) {
        let (what, rest) = line.split_once(' ').unwrap();
        match (what, rest.split_once(TO)) {
            ("write" | "truncate", _) => drop(self.written.insert(rest.into())),
            // A name that was given up need not last.
            ("create" | "unlink", _) => {}
            ("fsync", _) => {
                self.written.remove(Path::new(rest));
                self.named.remove(Path::new(rest));
                self.syncs += 1;
            }
            ("mkdir", _) => self.name(rest),
            ("rename" | "link", Some((from, to))) => {
                assert!(!self.written.contains(Path::new(from)), "{line}: named before its content is on the disk");
                self.name(to);
            }
            _ => panic!("{line}"),
        }
    }

    /// What of a folder is not on the disk.
    fn missing(&self, below: &Path) -> Vec<&PathBuf> {
        let named = self.named.values().flatten();
        self.written.iter().chain(named).filter(|path| path.starts_with(below)).collect()
    }
}

/// Goes through a record: the table's files and log are on the disk when a receipt of them is named, and at the end all is.
fn check(place: &Place, record: &[String], least_receipts: usize) -> Disk {
    let (place, mut disk, mut receipts) = (place.path("").canonicalize().unwrap(), Disk::default(), 0);
    let (table, area) = (place.join("t"), place.join("t/_sluice"));
    for line in record {
        if line.ends_with("/receipt.json") || line.contains(TO) && line.contains("/loaded/") {
            let missing: Vec<_> = disk.missing(&table).into_iter().filter(|path| !path.starts_with(&area)).collect();
            assert_eq!(missing, Vec::<&PathBuf>::new(), "not on the disk when this was put: {line}");
            receipts += 1;
        }
        disk.take(line);
    }
    assert!(receipts >= least_receipts, "{receipts} receipts");
    assert_eq!(disk.missing(&table), Vec::<&PathBuf>::new(), "not on the disk at the end");
    disk
}

#[test]
fn all_of_a_table_is_on_the_disk_before_its_receipts_are() {
    let by_parity = ["--sql", "select id, square, id % 2 as parity from chunk", "--partition-by", "parity"];
    for more in [&[][..], &by_parity, &["--commit-mode", "file"]] {
        let place = Place::new();
        let source = numbered(&place, 20_000);
        let base = ["ingest", source.to_str().unwrap(), "--table", "t", "--chunk-size-mb", "1", "--workers", "1"];
        let record = record(&place, &[&base, more].concat());
        let names = |of: &str| record.iter().filter(|line| line.contains(TO) && line.contains(of)).count();
        assert!(names("/_delta_log/0") >= 2 && names("/chunks/") >= 2, "{record:?}");
        check(&place, &record, 3);
    }
}

#[test]
fn what_maintenance_writes_is_on_the_disk() {
    let place = Place::new();
    for name in ["a.csv", "b.csv"] {
        let source = place.write(name, "id\n1\n2\n");
        place.ingest(&source, &[]);
    }
    let maintained = record(
        &place,
        &["maintain", "--table", "t", "--checkpoint", "--compact", "across-jobs", "--compact-after", "0s"],
    );
    let names = |of: &str| maintained.iter().filter(|line| line.contains(TO) && line.ends_with(of)).count();
    // One before the log is cleaned up, and one of the merge.
    assert_eq!((names(".checkpoint.parquet"), names("/_last_checkpoint")), (2, 2), "{maintained:?}");
    check(&place, &maintained, 0);
}

#[test]
fn what_is_durable_costs_few_syncs() {
    let place = Place::new();
    let source = place.write("x.csv", "id\n1\n2\n");
    place.ingest(&source, &[]);
    let source = place.write("y.csv", "id\n3\n");
    let record = record(&place, &["ingest", source.to_str().unwrap(), "--table", "t"]);
    let disk = check(&place, &record, 2);
    let named = record.iter().filter(|line| line.starts_with("rename") || line.starts_with("link")).count();
    let made = record.iter().filter(|line| line.starts_with("mkdir")).count();
    // A file and its folder each, the folder above each new folder, and those of the table once.
    assert!(disk.syncs <= 2 * named + made + 8, "{} syncs of {named} names and {made} folders: {record:?}", disk.syncs);
}
