//! Files of any schema in any layout: equal to what pyarrow reads, or refused by name.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ingest, python};
use crate::support::Place;

/// Files in each run of Python.
const AT_ONCE: u64 = 100;

/// Runs the files of these seeds; gives how many were loaded and how many refused.
fn run(first: u64, count: u64) -> (usize, usize) {
    let place = Place::new();
    let written = python(&place, &format!("import fuzz_sources\nfuzz_sources.write({first}, {count})"));
    let seeds: Vec<u64> = written.as_array().unwrap().iter().map(|seed| seed.as_u64().unwrap()).collect();
    let next = AtomicUsize::new(0);
    let load_some = || {
        let mut loaded = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ran = ingest(&place, &format!("{seed}.parquet"), &format!("t{seed}"));
            if ran.status == 3 {
                assert!(ran.stderr.contains("column '"), "seed {seed} is refused without a name: {ran:?}");
                continue;
            }
            assert_eq!(ran.status, 0, "seed {seed}: {ran:?}");
            assert_eq!(ran.json()["rows"]["quarantined"], 0, "seed {seed}");
            loaded.push(*seed);
        }
        loaded
    };
    let loaded: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(load_some)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let wrong = python(&place, &format!("import fuzz_sources\nfuzz_sources.compare({loaded:?})"));
    assert_eq!(wrong, serde_json::json!({}));
    (loaded.len(), seeds.len() - loaded.len())
}

/// With `SLUICE_FUZZ_FILES=10000` that many; the seed of the first with `SLUICE_FUZZ_SEED`.
#[test]
fn any_schema_is_loaded_as_it_is_or_refused_by_name() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (files, first) = (number("SLUICE_FUZZ_FILES", AT_ONCE), number("SLUICE_FUZZ_SEED", 0));
    let (mut loaded, mut refused) = (0, 0);
    for start in (first..first + files).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let (some, others) = run(start, AT_ONCE.min(first + files - start));
        (loaded, refused) = (loaded + some, refused + others);
        println!("{loaded} loaded, {refused} refused, up to seed {}", start + AT_ONCE);
    }
    assert!(loaded > refused, "{loaded} loaded, {refused} refused");
}
