//! Seals are in the logs of tables: they must not change by accident, and those of builds before stay valid.

use std::fs;
use std::path::Path;

use shared::{Job, Seal};

/// Jobs as the build before this one pinned them, each with its seal.
const OLDER: [&str; 3] = ["csv", "ndjson", "parquet"];

fn older(name: &str) -> Job {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared/older").join(name).with_extension("json");
    serde_json::from_slice(&fs::read(at).unwrap()).unwrap()
}

/// A change of these numbers means that a job which is in progress cannot be found again once its work area is lost. A new field of
/// a policy is left out of its JSON as long as it has the value that jobs had before there was the field.
#[test]
fn golden_seals() {
    let seals = OLDER.map(|name| {
        let job = older(name);
        let policy = job.policy.clone();
        job.with_policy(policy).seal.0
    });
    assert_eq!(seals, [7_775_084_750_627_331_122, 3_900_784_032_005_312_494, 6_792_104_887_658_831_632]);
}

#[test]
fn jobs_of_builds_before_keep_their_seals() {
    for name in OLDER {
        let (pinned, job) = (older(name).seal, older(name));
        let policy = job.policy.clone();
        let now = job.with_policy(policy);
        assert_ne!(now.seal, pinned, "{name}");
        assert_eq!(now.clone().sealed_as(pinned).map(|job| job.seal), Some(pinned), "{name}");
        assert_eq!(now.clone().sealed_as(now.seal), Some(now.clone()), "{name}");
        assert_eq!(now.sealed_as(Seal(7)), None, "{name}");
    }
}
