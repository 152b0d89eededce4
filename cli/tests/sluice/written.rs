//! Tables that many programs write as text: each value comes back, or something is said. Where `DuckDB` and Polars read the same,
//! Sluice does, too, or the difference is of a known class (`fixtures/readers/text_readers.py`).

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use shared::testing::run_python;

use crate::support::{Place, Ran};

/// Files in each run of Python.
const AT_ONCE: u64 = 110;

/// What became of files.
#[derive(Debug, Default)]
struct Came {
    /// Split with all records and nothing to warn of.
    silently: Vec<u64>,
    /// Split with a warning, or with rejected records.
    told: usize,
    refused: usize,
    /// How many files other readers agree on, and classes of what differs from them.
    compared: BTreeMap<String, u64>,
}

/// The binary, or the one that `SLUICE_TABLES_BINARY` names.
fn split(place: &Place, seed: u64) -> Ran {
    let (source, out) = (format!("{seed}.txt"), seed.to_string());
    let args = ["split", &source, "--out", &out];
    match std::env::var("SLUICE_TABLES_BINARY") {
        Ok(binary) => {
            place.ended(Command::new(binary).args(args).current_dir(place.path("")).env_clear().output().unwrap())
        }
        Err(_) => place.run(&args),
    }
}

/// Splits the files of these seeds.
fn run(first: u64, count: u64) -> Came {
    let place = Place::new();
    run_python(&place.path(""), &format!("import text_tables\ntext_tables.write({first}, {count})"));
    let seeds: Vec<u64> = (first..first + count).collect();
    let next = AtomicUsize::new(0);
    let split_some = || {
        let mut came = Came::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ran = split(&place, *seed);
            let is_told = || !ran.stderr.is_empty() || !ran.stdout.contains(" 0 quarantined");
            match ran.status {
                0 if is_told() => came.told += 1,
                0 => came.silently.push(*seed),
                3 | 4 => came.refused += 1,
                _ => panic!("seed {seed}: {ran:?}"),
            }
        }
        came
    };
    let mut all = Came::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(split_some)).collect();
        for came in threads.into_iter().map(|thread| thread.join().unwrap()) {
            all.silently.extend(came.silently);
            all.told += came.told;
            all.refused += came.refused;
        }
    });
    let wrong = run_python(&place.path(""), &format!("import text_tables\ntext_tables.compare({:?})", all.silently));
    assert_eq!(wrong.trim(), "{}", "values that differ, by seed");
    let compared = format!("import text_readers\ntext_readers.compare({:?})", all.silently);
    let compared: Value = serde_json::from_str(&run_python(&place.path(""), &compared)).unwrap();
    assert_eq!(compared["wrong"], json!({}), "values that differ from what DuckDB and Polars read, by seed");
    all.compared = serde_json::from_value(compared["found"].clone()).unwrap();
    all
}

/// With `SLUICE_TABLES=20000` that many; the seed of the first with `SLUICE_TABLES_SEED`.
#[test]
fn no_value_differs_in_silence() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (files, first) = (number("SLUICE_TABLES", AT_ONCE), number("SLUICE_TABLES_SEED", 0));
    let (mut silently, mut others) = (0, 0);
    let mut compared: BTreeMap<String, u64> = BTreeMap::new();
    for start in (first..first + files).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let came = run(start, AT_ONCE.min(first + files - start));
        silently += came.silently.len();
        others += came.told + came.refused;
        for (class, count) in came.compared {
            *compared.entry(class).or_default() += count;
        }
        println!("{silently} came back, {others} with a word, up to seed {}; {compared:?}", start + AT_ONCE);
    }
    assert!(compared.get("same") > compared.get("lost by readers"), "{compared:?}");
    assert!(silently > others, "{silently} came back, {others} with a word");
}
