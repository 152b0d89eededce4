//! Tables that many programs write as text: each value comes back, or something is said.

use std::sync::atomic::{AtomicUsize, Ordering};

use shared::testing::run_python;

use crate::support::Place;

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
            let ran = place.run(&["split", &format!("{seed}.txt"), "--out", &seed.to_string()]);
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
    all
}

/// With `SLUICE_TABLES=20000` that many; the seed of the first with `SLUICE_TABLES_SEED`.
#[test]
fn no_value_differs_in_silence() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (files, first) = (number("SLUICE_TABLES", AT_ONCE), number("SLUICE_TABLES_SEED", 0));
    let (mut silently, mut others) = (0, 0);
    for start in (first..first + files).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let came = run(start, AT_ONCE.min(first + files - start));
        silently += came.silently.len();
        others += came.told + came.refused;
        println!("{silently} came back, {others} with a word, up to seed {}", start + AT_ONCE);
    }
    assert!(silently > others, "{silently} came back, {others} with a word");
}
